"""Who is asking: the JWT rules of REST and WebSocket."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

import jwt

from bot.domain.value import Value
from simulator.keys import ApiKey

_REMEMBERED_TOKENS: Final = 4096
_REQUIRED: Final = ["exp", "nbf", "sub"]
_ISSUERS: Final = frozenset({"cdp", "coinbase-cloud"})


class Refused(Exception):
    """The token proves nothing; `why` is for the venue's own log, a client never sees it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Claims(Value):
    """What a verified token says; the window is in unix seconds."""

    key: ApiKey
    uris: frozenset[str]
    not_before: float
    expires: float


class Authenticator:
    """Verifies tokens against the known keys. A token's signature is checked once, its window and uri every time.

    wall: unix seconds of real time, the time tokens are made in; leeway_s: on both ends of the window.
    """

    def __init__(self, keys: Iterable[ApiKey], wall: Callable[[], float], leeway_s: float = 5.0) -> None:
        self._keys = {key.name: key for key in keys}
        self._wall = wall
        self._leeway_s = leeway_s
        self._verified: OrderedDict[str, Claims] = OrderedDict()

    def add(self, key: ApiKey) -> None:
        self._keys[key.name] = key

    def revoke(self, name: str) -> None:
        """Forget a key and everything it has proven."""
        self._keys.pop(name, None)
        self._verified.clear()

    def rest(self, authorization: str, method: str, host: str, path: str) -> ApiKey:
        """The key behind `Authorization: Bearer <token>`. Raises Refused."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused("no bearer token")
        claims = self._claims(token.strip())
        if f"{method} {host}{path}" not in claims.uris:
            raise Refused(f"the token is for {sorted(claims.uris)}, not {method} {host}{path}")
        return claims.key

    def websocket(self, token: str) -> ApiKey:
        """The key behind the `jwt` field of a subscribe message. Raises Refused."""
        claims = self._claims(token)
        if claims.uris:
            raise Refused("a token bound to a REST path does not open a stream")
        return claims.key

    def _claims(self, token: str) -> Claims:
        claims = self._verified.get(token)
        if claims is None:
            claims = self._verify(token)
            self._verified[token] = claims
            if len(self._verified) > _REMEMBERED_TOKENS:
                self._verified.popitem(last=False)
        now = self._wall()
        if now < claims.not_before - self._leeway_s:
            raise Refused(f"not valid for another {claims.not_before - now:.0f} s")
        if now > claims.expires + self._leeway_s:
            raise Refused(f"expired {now - claims.expires:.0f} s ago")
        return claims

    def _verify(self, token: str) -> Claims:
        try:
            header = jwt.get_unverified_header(token)
            key = self._keys.get(str(header.get("kid")))
            if key is None:
                raise Refused(f"unknown key {header.get('kid')!r}")
            body: dict[str, Any] = jwt.decode(
                token, key.public, algorithms=[key.algorithm.value],
                options={"verify_exp": False, "verify_nbf": False, "verify_aud": False, "require": _REQUIRED},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise Refused(f"{type(error).__name__}: {error}") from error
        if body.get("iss") not in _ISSUERS or body["sub"] != key.name:
            raise Refused(f"issuer {body.get('iss')!r}, subject {body['sub']!r}")
        return Claims(key, _uris(body), float(body["nbf"]), float(body["exp"]))


def _uris(body: dict[str, Any]) -> frozenset[str]:
    many = body.get("uris")
    listed = [str(uri) for uri in many] if isinstance(many, list) else []
    return frozenset([*listed, str(body["uri"])] if "uri" in body else listed)
