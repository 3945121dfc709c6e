"""The session under the SDK: verified TLS, deadlines, size caps, strict JSON; no proxy, redirect, netrc or retry."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final, NoReturn

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError as Urllib3Error

from bot.adapters.coinbase.failures import BODY_SHOWN, HttpRefused, NotSent, Torn, Unreadable
from bot.adapters.coinbase.strict_json import Document, NotStrictJson, parse_document
from bot.domain.value import Value

_CHUNK: Final = 65536
_REFUSAL_BODY_MAX: Final = 65536


class Deadlines(Value):
    """Limits of one request, in seconds and bytes. idle_s: a connection unused for longer is not used again."""

    connect_s: float
    read_s: float
    total_s: float
    max_body_bytes: int
    idle_s: float = 10.0


class Call:
    """One request in flight, shared by the thread that sends it and the one that waits for it.

    Whichever comes first wins: once given up, not a byte leaves any more; once begun, giving up cannot undo it.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._lock = threading.Lock()
        self._begun = False
        self._given_up = False

    def begin(self) -> None:
        """Called before each write to the socket. Raises NotSent when nobody waits any more."""
        with self._lock:
            if self._given_up and not self._begun:
                raise NotSent("given up before the first byte left")
            self._begun = True

    def give_up(self) -> bool:
        """Stop waiting; whether a byte has left or may leave."""
        with self._lock:
            self._given_up = True
            return self._begun

    @property
    def begun(self) -> bool:
        with self._lock:
            return self._begun

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()


class StrictResponse(requests.Response):
    """A complete answer whose body has already been proven to be one JSON object."""

    document: Document

    def json(self, **_: Any) -> Document:
        return self.document


class StrictSession(requests.Session):
    """One worker's session. Its `request` is the only method the SDK calls. methods: what may be sent at all.

    plain: the venue, on this machine, knows no TLS; the SDK writes https into every address all the same.

    Raises (request): NotSent, Torn, Unreadable, HttpRefused.
    """

    def __init__(
        self, context: ssl.SSLContext, deadlines: Deadlines, methods: frozenset[str], plain: bool = False
    ) -> None:
        super().__init__()
        self._methods = methods
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.update({"Accept-Encoding": "identity", "Cache-Control": "no-cache"})
        self.adapters.clear()
        self._link = _Link()
        self._adapter = _StrictAdapter(context, self._link, deadlines.idle_s)
        self._plain = plain
        self.mount("http://" if plain else "https://", self._adapter)
        self._deadlines = deadlines

    def take(self, call: Call) -> None:
        """The next request belongs to `call`."""
        self._link.call = call

    def abort(self) -> None:
        """Cut the connection in use, from any thread: the worker's read fails at once."""
        sock = self._link.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                # The plain shutdown: SSLSocket's own would pull the TLS state from under the reading thread.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def request(self, method: str | bytes, url: str | bytes, *_: Any, **kwargs: Any) -> requests.Response:
        # The SDK's own `timeout` is dropped: the call's deadline rules.
        call = self._link.call
        address = f"http{str(url).removeprefix('https')}" if self._plain else str(url)
        try:
            return self._exchange(str(method), address, call, kwargs)
        except (NotSent, HttpRefused):
            raise
        except (Torn, Unreadable):
            self._discard()
            raise
        except (requests.RequestException, Urllib3Error, OSError) as error:
            self._discard()
            _raise_by_progress(call, error)

    def _exchange(self, method: str, url: str, call: Call, kwargs: dict[str, Any]) -> StrictResponse:
        prepared = self.prepare_request(
            requests.Request(
                method, url, headers=kwargs.get("headers"), params=kwargs.get("params"), json=kwargs.get("json")
            )
        )
        if method not in self._methods:
            raise NotSent(f"this session sends {', '.join(sorted(self._methods))} and no {method}")
        left = call.left_s
        if left <= 0:
            raise NotSent("the deadline passed before the request was sent")
        limits = self._deadlines
        response = self.send(
            prepared,
            stream=True,
            verify=True,
            allow_redirects=False,
            proxies={},
            timeout=(min(limits.connect_s, left), min(limits.read_s, left)),
        )
        with contextlib.closing(response):
            if response.status_code != 200:
                self._refuse(response, call)
            _check_content_type(response)
            return _parsed(response, self._read(response, call, limits.max_body_bytes))

    def _refuse(self, response: requests.Response, call: Call) -> NoReturn:
        """Any status but 200: also 204 and 206, which no method we use can mean well by."""
        body = self._read(response, call, _REFUSAL_BODY_MAX, cut=True)
        self._discard()
        if 200 < response.status_code < 300:
            raise Unreadable(f"HTTP {response.status_code} where 200 was due")
        text = body[: BODY_SHOWN * 4].decode("utf-8", "replace")
        try:
            document = parse_document(body)
        except NotStrictJson:
            document = None
        raise HttpRefused(response.status_code, text, document, response.headers.get("Retry-After"))

    def _read(self, response: requests.Response, call: Call, limit: int, cut: bool = False) -> bytes:
        if response.headers.get("Content-Encoding", "identity").lower() not in {"identity", ""}:
            raise Unreadable(f"content encoding {response.headers['Content-Encoding'][:40]!r} was not asked for")
        parts: list[bytes] = []
        size = 0
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                if cut:
                    break
                raise Unreadable(f"the body is larger than {limit} bytes")
            if call.left_s <= 0:
                raise Torn("the deadline passed while the body came in")
        return b"".join(parts)[:limit]

    def _discard(self) -> None:
        """Drop every pooled connection: after an error the next request starts on a fresh one."""
        self._adapter.poolmanager.clear()


def _raise_by_progress(call: Call, error: Exception) -> NoReturn:
    why = _cause(error)
    if call.begun:
        raise Torn(why) from error
    raise NotSent(why) from error


def _cause(error: BaseException) -> str:
    """The innermost telling reason, without addresses of objects."""
    inner = error
    while (nested := _nested(inner)) is not None:
        inner = nested
    text = str(inner.args[-1]) if inner.args else ""
    return f"{type(inner).__name__}: {text}"[:BODY_SHOWN]


def _nested(error: BaseException) -> BaseException | None:
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return reason
    return next((inner for inner in reversed(error.args) if isinstance(inner, BaseException)), None)


def _check_content_type(response: requests.Response) -> None:
    kind = response.headers.get("Content-Type", "application/json")
    media, _, parameters = kind.partition(";")
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if not media.strip().lower().endswith("json") or charset not in {"", "utf-8", "utf8"}:
        raise Unreadable(f"not JSON in UTF-8 but {kind[:60]!r}")


def _parsed(response: requests.Response, body: bytes) -> StrictResponse:
    strict = StrictResponse()
    strict.status_code = response.status_code
    strict.reason = response.reason
    strict.headers = response.headers
    strict.url = response.url
    try:
        strict.document = parse_document(body)
    except NotStrictJson as error:
        raise Unreadable(f"{len(body)} bytes that are not strict JSON: {error}") from error
    return strict


class _Link:
    """What the connections of one session tell it: the call they serve and the socket they use."""

    def __init__(self) -> None:
        self.call = Call(0.0)
        self.sock: socket.socket | None = None


class _StrictAdapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext, link: _Link, idle_s: float) -> None:
        self._context = context
        self._pools = {"https": _pool_class(link, idle_s), "http": _plain_pool_class(link, idle_s)}
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools


class _Reporting(HTTPConnection):
    """A connection that tells `link` when bytes leave, and which socket is in use."""

    link: _Link
    used_at = 0.0

    def connect(self) -> None:
        if self.link.call.left_s <= 0:
            raise NotSent("the deadline passed before connecting")
        super().connect()
        self.link.sock = self.sock

    def send(self, data: Any) -> None:
        if self.sock is None:  # http.client connects inside send when nobody did before
            self.connect()
        self.link.call.begin()
        self.link.sock = self.sock
        self.used_at = time.monotonic()
        super().send(data)


def _pool_class(link: _Link, idle_s: float) -> type[HTTPSConnectionPool]:
    """A pool whose connections report to `link` and are closed rather than reused after `idle_s`."""
    reporting = link

    class Connection(_Reporting, HTTPSConnection):
        link = reporting

    class Pool(HTTPSConnectionPool):
        ConnectionCls = Connection

        def _get_conn(self, timeout: float | None = None) -> Any:
            return _closed_when_idle(super()._get_conn(timeout), idle_s)

    return Pool


def _plain_pool_class(link: _Link, idle_s: float) -> type[HTTPConnectionPool]:
    """The same without TLS."""
    reporting = link

    class Connection(_Reporting):
        link = reporting

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

        def _get_conn(self, timeout: float | None = None) -> Any:
            return _closed_when_idle(super()._get_conn(timeout), idle_s)

    return Pool


def _closed_when_idle(connection: Any, idle_s: float) -> Any:
    if isinstance(connection, _Reporting) and time.monotonic() - connection.used_at > idle_s:
        connection.close()
    return connection


Interruptions = Callable[[], int]
"""How often a stop was asked for so far; a wait that began at one count ends when the count grows."""
