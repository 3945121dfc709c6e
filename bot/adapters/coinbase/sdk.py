"""The official SDK, cut down to what we trust: signing and raw get/post over our own session."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import Final, Protocol, cast

from bot.adapters.coinbase.auth import Credentials
from bot.adapters.coinbase.strict_json import Document
from bot.adapters.coinbase.transport import Call, Deadlines, StrictSession

PREFIX: Final = "/api/v3/brokerage"
_LOGGER: Final = "coinbase.RESTClient"


class _Sdk(Protocol):
    session: StrictSession

    def get(self, url_path: str, params: Mapping[str, object] | None = None, public: bool = False) -> Document: ...

    def post(self, url_path: str, params: object = None, data: Mapping[str, object] | None = None) -> Document: ...


class Wire:
    """One worker's SDK client. host: `host[:port]` without scheme, which the SDK puts into URL and signature.

    may_post False: its session cannot send anything but GET, whatever is asked of it. plain: without TLS, for a venue
    on this machine.

    Raises (get, post): NotSent, Torn, Unreadable, HttpRefused.
    """

    def __init__(
        self,
        host: str,
        credentials: Credentials | None,
        context: ssl.SSLContext,
        deadlines: Deadlines,
        may_post: bool,
        plain: bool = False,
    ) -> None:
        methods = frozenset({"GET", "POST"} if may_post else {"GET"})
        self._session = StrictSession(context, deadlines, methods, plain)
        self._sdk = _client(host, credentials)
        self._sdk.session = self._session

    def get(self, call: Call, path: str, params: Mapping[str, object]) -> Document:
        self._session.take(call)
        return self._sdk.get(PREFIX + path, params=dict(params), public=True)

    def post(self, call: Call, path: str, body: Mapping[str, object]) -> Document:
        self._session.take(call)
        return self._sdk.post(PREFIX + path, data=dict(body))

    def abort(self) -> None:
        self._session.abort()


def _client(host: str, credentials: Credentials | None) -> _Sdk:
    # Imported when the first call is made: the import reads the environment, adds a log handler and takes 100 ms.
    from coinbase.rest import RESTClient  # noqa: PLC0415

    _silence()
    # Both always given: the SDK's defaults are keys it found in the environment.
    name, pem = (credentials.name, credentials.pem) if credentials is not None else (None, None)
    return cast("_Sdk", RESTClient(api_key=name, api_secret=pem, base_url=host, timeout=None))


def _silence() -> None:
    """The SDK logs whole error bodies to its own handler; our session raises before it can, this makes sure."""
    logger = logging.getLogger(_LOGGER)
    for handler in tuple(logger.handlers):
        logger.removeHandler(handler)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    logger.setLevel(logging.CRITICAL)
