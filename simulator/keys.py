"""Made-up API keys: a CDP key name with a private key of either kind, and what the key may do."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from bot.domain.value import Value

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_NAMES: Final = uuid.UUID("6f1d1c6e-53c6-5d0c-9a7e-0f3f5f0c7c11")


class Algorithm(Enum):
    """How the key signs, by the name in a token's header."""

    ES256 = "ES256"
    ED25519 = "EdDSA"


class Scope(Enum):
    """What an endpoint asks of a key."""

    VIEW = "view"
    TRADE = "trade"
    TRANSFER = "transfer"


ALL_BUT_TRANSFER: Final = frozenset({Scope.VIEW, Scope.TRADE})


class ApiKey(Value):
    """One key of the venue: its name and secret as a user holds them, its public half as the venue holds it."""

    name: str
    secret: str
    algorithm: Algorithm
    public: PublicKey
    scopes: frozenset[Scope]
    portfolio: str

    def __repr__(self) -> str:
        return f"ApiKey({self.name}, {self.algorithm.value}, scopes={sorted(scope.value for scope in self.scopes)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """What rich shows of it, in tracebacks too: a struct shows every field there, whatever its repr says."""
        scopes = sorted(scope.value for scope in self.scopes)
        return [("name", self.name), ("algorithm", self.algorithm.value), ("scopes", scopes)]


def make_key(
    portfolio: str,
    algorithm: Algorithm = Algorithm.ES256,
    scopes: frozenset[Scope] = ALL_BUT_TRANSFER,
    new_id: Callable[[], uuid.UUID] = uuid.uuid4,
) -> ApiKey:
    """A new key bound to one portfolio, with a name in Coinbase's form."""
    private: PrivateKey
    if algorithm is Algorithm.ES256:
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    name = f"organizations/{new_id()}/apiKeys/{new_id()}"
    return ApiKey(name, _secret_text(private), algorithm, private.public_key(), scopes, portfolio)


def named_uuid(*parts: object) -> str:
    """The same UUID for the same parts, on every machine and in every run."""
    return str(uuid.uuid5(_NAMES, "/".join(str(part) for part in parts)))


def _secret_text(private: PrivateKey) -> str:
    """PEM for ES256; base64 of seed and public key for Ed25519, as the portal hands them out."""
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
    seed = private.private_bytes_raw()
    return base64.b64encode(seed + private.public_key().public_bytes_raw()).decode()
