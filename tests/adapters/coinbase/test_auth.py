"""Every key form the portal issues signs; what cannot sign is refused without being shown."""

from __future__ import annotations

import base64
import subprocess
import sys

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from bot.adapters.coinbase.auth import Credentials, websocket_token
from bot.errors import GateRefused
from tests.adapters.coinbase.keys import NAME, base64_text, credentials, ed25519_parts, es256_pem


def forms() -> dict[str, tuple[str, str]]:
    seed, public, pkcs8 = ed25519_parts()
    der = base64.b64decode("".join(pkcs8.splitlines()[1:-1]))
    pem = es256_pem()
    return {
        "es256 pem": (pem, "ES256"),
        "es256 pem with escaped newlines": (pem.replace("\n", "\\n"), "ES256"),
        "es256 pem in quotes": (f'"{pem}"', "ES256"),
        "ed25519 as issued": (base64_text(seed + public), "EdDSA"),
        "ed25519 with a trailing newline": (base64_text(seed + public) + "\n", "EdDSA"),
        "ed25519 seed": (base64_text(seed), "EdDSA"),
        "ed25519 pkcs8 pem": (pkcs8, "EdDSA"),
        "ed25519 pkcs8 without armour": (base64_text(der), "EdDSA"),
    }


@pytest.mark.parametrize("form", forms())
def test_every_form_of_key_signs_a_token_the_venue_can_verify(form: str) -> None:
    secret, algorithm = forms()[form]
    parsed = Credentials.parse(NAME, secret)
    token = websocket_token(parsed)
    public = load_pem_private_key(parsed.pem.encode(), None).public_key()
    claims = jwt.decode(token, public, algorithms=[algorithm])  # type: ignore[arg-type]  # union of key kinds
    assert claims["iss"] == "cdp"
    assert claims["sub"] == NAME
    assert claims["exp"] - claims["nbf"] == 120
    assert jwt.get_unverified_header(token)["kid"] == NAME


def unusable() -> dict[str, str]:
    seed, public, _ = ed25519_parts()
    key = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")).decode()
    return {
        "empty": "   ",
        "not base64": "this-is-no-key!",
        "wrong length": base64_text(seed + public[:20]),
        "halves of two keys": base64_text(seed + ed25519_parts()[1]),
        "wrong curve": es256_pem(ec.SECP384R1()),
        "cut pem": es256_pem()[:120],
        "encrypted": locked,
    }


@pytest.mark.parametrize("form", unusable())
def test_a_key_that_cannot_sign_is_refused_without_being_shown(form: str) -> None:
    secret = unusable()[form]
    with pytest.raises(GateRefused) as refused:
        Credentials.parse(NAME, secret)
    shown = "".join(refused.value.reasons) + repr(refused.value)
    assert "COINBASE_API_SECRET" in shown
    for start in range(max(1, len(secret.strip()) - 12)):
        assert secret.strip()[start : start + 12] not in shown or not secret.strip()


def test_a_key_name_with_blanks_is_refused() -> None:
    with pytest.raises(GateRefused, match="COINBASE_API_KEY"):
        Credentials.parse("two words", es256_pem())


def test_credentials_do_not_print_themselves() -> None:
    assert repr(credentials()) == "Credentials()"


def test_the_sdk_reads_no_key_from_the_environment_and_logs_nothing() -> None:
    """In a fresh interpreter, since the SDK reads its variables when it is imported."""
    code = (
        "import logging, time\n"
        "from bot.adapters.coinbase.sdk import Wire\n"
        "from bot.adapters.coinbase.tls import trusted_context\n"
        "from bot.adapters.coinbase.transport import Call, Deadlines\n"
        "wire = Wire('127.0.0.1:1', None, trusted_context(), Deadlines(1, 1, 1, 1), True)\n"
        "print(wire._sdk.is_authenticated, wire._sdk.session is wire._session)\n"
        "logging.getLogger('coinbase.RESTClient').error('a body with a secret')\n"
    )
    environment = {"COINBASE_API_KEY": "planted", "COINBASE_API_SECRET": "planted"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == ["False", "True"]
    assert done.stderr == ""
