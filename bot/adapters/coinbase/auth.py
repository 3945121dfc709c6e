"""API keys: every form the portal issues becomes one, and one that cannot be used is refused without being shown."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from bot.errors import GateRefused

_NAME: Final = re.compile(r"[A-Za-z0-9/_.:-]{8,256}", re.ASCII)
_SEED: Final = 32

SigningKey = EllipticCurvePrivateKey | Ed25519PrivateKey


class _Unusable(Exception):
    """Why a secret is no key, in words that hold nothing of it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key that signs. pem: unencrypted PKCS8, the one form handed to the SDK; never shown."""

    name: str = field(repr=False)
    pem: str = field(repr=False)

    @classmethod
    def parse(cls, name: str, secret: str) -> Credentials:
        r"""Read what the operator pasted: ES256 PEM (`\n` escapes too), Ed25519 as base64 of 32 or 64 bytes, or PKCS8.

        Raises: GateRefused; its reasons never contain the key.
        """
        reasons = []
        if _NAME.fullmatch(name.strip()) is None:
            reasons.append("COINBASE_API_KEY must be the key's name, like organizations/.../apiKeys/...")
        try:
            pem = _pem(_load(secret))
        except _Unusable as unusable:
            raise GateRefused([*reasons, f"COINBASE_API_SECRET is no usable private key: {unusable}"]) from None
        if reasons:
            raise GateRefused(reasons)
        return cls(name.strip(), pem)


def websocket_token(credentials: Credentials) -> str:
    """A fresh JWT for one subscribe message; good for two minutes."""
    from coinbase.jwt_generator import build_ws_jwt  # noqa: PLC0415 - the SDK costs 100 ms and reads the environment

    return str(build_ws_jwt(credentials.name, credentials.pem))


def _load(secret: str) -> SigningKey:
    text = secret.strip().strip("\"'").replace("\\r", "").replace("\\n", "\n").strip()
    if not text:
        raise _Unusable("it is empty")
    key = _from_pem(text) if text.startswith("-----BEGIN") else _from_base64(text)
    if isinstance(key, EllipticCurvePrivateKey) and not isinstance(key.curve, SECP256R1):
        raise _Unusable(f"an EC key must be on curve P-256, this one is on {key.curve.name}")
    return key


def _from_pem(text: str) -> SigningKey:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Unusable("the PEM block is damaged, encrypted or of an unknown kind") from None
    return _signing(key)


def _from_base64(text: str) -> SigningKey:
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise _Unusable("it is neither a PEM block nor base64") from None
    if len(raw) == _SEED:
        return Ed25519PrivateKey.from_private_bytes(raw)
    if len(raw) == 2 * _SEED:
        return _from_seed_and_public(raw)
    try:
        return _signing(load_der_private_key(raw, password=None))
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _Unusable(f"its base64 holds {len(raw)} bytes; Ed25519 needs 32 or 64, or PKCS8") from None


def _from_seed_and_public(raw: bytes) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.from_private_bytes(raw[:_SEED])
    if key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw) != raw[_SEED:]:
        raise _Unusable("its public half does not belong to its private half: a damaged copy")
    return key


def _signing(key: object) -> SigningKey:
    if isinstance(key, EllipticCurvePrivateKey | Ed25519PrivateKey):
        return key
    raise _Unusable(f"it is a {type(key).__name__}; an ES256 or Ed25519 key is needed")


def _pem(key: SigningKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
