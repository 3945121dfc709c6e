"""Freshly made keys; none of them opens anything."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bot.adapters.coinbase.auth import Credentials

NAME = "organizations/11111111-0000-4000-8000-000000000001/apiKeys/22222222-0000-4000-8000-000000000002"


def es256_pem(curve: ec.EllipticCurve | None = None) -> str:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def ed25519_parts() -> tuple[bytes, bytes, str]:
    """Seed, public half, PKCS8 PEM."""
    key = ed25519.Ed25519PrivateKey.generate()
    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return seed, public, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def base64_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def credentials() -> Credentials:
    return Credentials.parse(NAME, es256_pem())
