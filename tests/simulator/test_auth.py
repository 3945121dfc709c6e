"""A token opens what it was made for, for as long as it says, and nothing else."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from coinbase import jwt_generator
from cryptography.hazmat.primitives import serialization
from rich.pretty import pretty_repr

from simulator.auth import Authenticator, Refused
from simulator.keys import Algorithm, ApiKey, make_key, named_uuid

HOST = "127.0.0.1:8443"
PATH = "/api/v3/brokerage/accounts"
ES256 = make_key("portfolio")
ED25519 = make_key("portfolio", Algorithm.ED25519)


class Wall:
    """Real time as tokens see it, held still."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def sdk_token(key: ApiKey, uri: str | None = f"GET {HOST}{PATH}") -> str:
    made = (
        jwt_generator.build_ws_jwt(key.name, key.secret)
        if uri is None
        else jwt_generator.build_rest_jwt(uri, key.name, key.secret)
    )
    return str(made)


def own_token(key: ApiKey, **changes: Any) -> str:
    now = int(time.time())
    body = {"sub": key.name, "iss": "cdp", "nbf": now, "exp": now + 120, "uri": f"GET {HOST}{PATH}", **changes}
    private = serialization.load_pem_private_key(key.secret.encode(), None)
    kept = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(kept, private, "ES256", {"kid": key.name})  # type: ignore[arg-type] # an EC key, by construction


@pytest.mark.parametrize("key", [ES256, ED25519], ids=["es256", "ed25519"])
def test_the_sdks_own_tokens_open_the_path_they_name(key: ApiKey) -> None:
    venue = Authenticator([ES256, ED25519], Wall())
    for _ in range(2):  # the second time from memory
        assert venue.rest(f"Bearer {sdk_token(key)}", "GET", HOST, PATH) is key
    assert venue.websocket(sdk_token(key, None)) is key


@pytest.mark.parametrize(
    ("method", "host", "path"),
    [("POST", HOST, PATH), ("GET", "127.0.0.1:8444", PATH), ("GET", HOST, f"{PATH}/1"), ("GET", HOST, f"{PATH}?x=1")],
)
def test_a_token_for_one_request_opens_no_other(method: str, host: str, path: str) -> None:
    venue = Authenticator([ES256], Wall())
    with pytest.raises(Refused, match="the token is for"):
        venue.rest(f"Bearer {sdk_token(ES256)}", method, host, path)


@pytest.mark.parametrize(("late_s", "opens"), [(0, True), (124, True), (126, False), (-4, True), (-6, False)])
def test_a_token_lives_two_minutes_give_or_take_five_seconds(late_s: float, opens: bool) -> None:
    wall = Wall()
    token = own_token(ES256, nbf=int(wall.now), exp=int(wall.now) + 120)
    venue = Authenticator([ES256], wall)
    wall.now = int(wall.now) + late_s
    if opens:
        assert venue.rest(f"Bearer {token}", "GET", HOST, PATH) is ES256
    else:
        with pytest.raises(Refused, match=r"expired|not valid for"):
            venue.rest(f"Bearer {token}", "GET", HOST, PATH)


def test_a_remembered_token_expires_all_the_same() -> None:
    wall = Wall()
    venue = Authenticator([ES256], wall)
    header = f"Bearer {sdk_token(ES256)}"
    venue.rest(header, "GET", HOST, PATH)
    wall.now += 130
    with pytest.raises(Refused, match="expired"):
        venue.rest(header, "GET", HOST, PATH)


@pytest.mark.parametrize(
    "token",
    [
        own_token(ES256, iss="someone"),
        own_token(ES256, sub="someone else"),
        own_token(ES256, exp=None),
        own_token(ES256)[:-4] + "AAAA",
        own_token(make_key("portfolio")),
        "not.a.token",
    ],
)
def test_forged_or_foreign_tokens_open_nothing(token: str) -> None:
    with pytest.raises(Refused):
        Authenticator([ES256], Wall()).rest(f"Bearer {token}", "GET", HOST, PATH)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz"])
def test_no_bearer_token_opens_nothing(header: str) -> None:
    with pytest.raises(Refused, match="no bearer token"):
        Authenticator([ES256], Wall()).rest(header, "GET", HOST, PATH)


def test_a_rest_token_opens_no_stream() -> None:
    with pytest.raises(Refused, match="bound to a REST path"):
        Authenticator([ES256], Wall()).websocket(sdk_token(ES256))


def test_a_revoked_key_opens_nothing_from_then_on() -> None:
    venue = Authenticator([ES256], Wall())
    header = f"Bearer {sdk_token(ES256)}"
    venue.rest(header, "GET", HOST, PATH)
    venue.revoke(ES256.name)
    with pytest.raises(Refused, match="unknown key"):
        venue.rest(header, "GET", HOST, PATH)


def test_a_key_never_shows_its_secret() -> None:
    for text in (repr(ES256), str(ES256), pretty_repr(ES256), pretty_repr({"keys": [ES256]}, max_width=40)):
        assert ES256.name in text
        assert ES256.secret.splitlines()[1] not in text.replace("\n", "")
    assert named_uuid("a", 1) == named_uuid("a", 1) != named_uuid("a", 2)
