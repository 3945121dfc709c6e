"""The REST edge: token, scope, rate limit, fault, endpoint, record - in that order, over Starlette."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from bot.domain.value import replace
from simulator.auth import Authenticator, Refused
from simulator.damage import damaged, error_body
from simulator.faults import Answer as StatusFault
from simulator.faults import Damage, Delay, Drop, Garble, Gate, Hang, RequestFault, Rewrite, Rules, When
from simulator.keys import ApiKey
from simulator.limits import Grant, Limits
from simulator.rest.backend import Backend
from simulator.rest.call import TEXT, Answer, Call, Query, Refusal
from simulator.rest.proto import read_body
from simulator.rest.table import ENDPOINTS, PREFIX, Endpoint
from simulator.text import dumps

UNAUTHORIZED: Final = Answer(401, b"Unauthorized\n", TEXT)
_NO_SCOPE: Final = {
    "error": "PERMISSION_DENIED",
    "error_details": "Missing required scopes",
    "message": "Missing required scopes",
}
_NO_SUCH_PATH: Final = Answer(404, b"404 page not found\n", TEXT)
PUBLIC_CACHE: Final = {"cache-control": "public, max-age=14400"}
CACHE_S: Final = 1.0
_METHODS: Final = ["GET", "POST", "PUT", "DELETE", "PATCH"]


@dataclass(slots=True)
class Cached:
    """A public answer and the trading time (unix seconds) it was made at."""

    at: float
    answer: Answer


class RestEdge:
    """Everything between a socket and an endpoint. `routes` are its Starlette routes.

    cache: whether public data is served up to CACHE_S old, as the real edge serves it.
    """

    def __init__(self, backend: Backend, auth: Authenticator, limits: Limits, rules: Rules, cache: bool = True) -> None:
        self._backend = backend
        self._auth = auth
        self._limits = limits
        self._rules = rules
        self._cache: dict[str, Cached] | None = {} if cache else None
        self._throttled = 0

    def routes(self) -> list[BaseRoute]:
        known = [
            Route(PREFIX + endpoint.path, self._served(endpoint), methods=[endpoint.method]) for endpoint in ENDPOINTS
        ]
        return [*known, Route(f"{PREFIX}/{{rest:path}}", self._unknown, methods=_METHODS)]

    def _served(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        async def serve(request: Request) -> Response:
            try:
                raw = await request.body()
            except ClientDisconnect:
                return Severed()
            return await self._serve(endpoint, request, raw)

        return serve

    async def _unknown(self, request: Request) -> Response:
        self._backend.world.record.request(request.method, request.url.path, 404)
        return _response(_NO_SUCH_PATH)

    async def _serve(self, endpoint: Endpoint, request: Request, raw: bytes) -> Response:
        path = request.url.path
        text = f"{request.url.query}\n{raw.decode('utf-8', 'replace')}"
        if self._backend.conditions.outage:
            self._log(request, 0, raw, "outage")
            return Severed(reset=True)
        fault = self._rules.strike(request.method, path.removeprefix(PREFIX), text)
        if fault is not None:
            self._backend.world.record.fault(request.method, path, repr(fault))
        early = await _before(fault)
        if early is not None:
            self._log(request, early.status_code, raw, repr(fault))
            return early
        answer = self._answer(endpoint, request, raw)
        self._log(request, answer.status, raw, "" if fault is None else repr(fault))
        return await _after(fault, answer)

    def _answer(self, endpoint: Endpoint, request: Request, raw: bytes) -> Answer:
        try:
            key = None if endpoint.public else self._permitted(endpoint, request)
            grant = self._limited(endpoint, request, key)
            answer = self._handled(endpoint, request, raw, key)
        except Refusal as refused:
            return refused.answer
        return replace(answer, headers=_rate_headers(grant)) if key is not None else answer

    def _handled(self, endpoint: Endpoint, request: Request, raw: bytes, key: ApiKey | None) -> Answer:
        if not endpoint.public or self._cache is None or "no-cache" in request.headers.get("cache-control", ""):
            return self._called(endpoint, request, raw, key)
        where, now = f"{request.url.path}?{request.url.query}", self._backend.now.timestamp()
        known = self._cache.get(where)
        if known is None or now - known.at >= CACHE_S:
            if len(self._cache) > 1000:
                self._cache.clear()
            known = self._cache[where] = Cached(now, self._called(endpoint, request, raw, key))
        return replace(known.answer, headers=PUBLIC_CACHE)

    def _called(self, endpoint: Endpoint, request: Request, raw: bytes, key: ApiKey | None) -> Answer:
        body: Mapping[str, Any] = {} if endpoint.body is None else read_body(raw, endpoint.body)
        names = {name: str(value) for name, value in request.path_params.items()}
        call = Call(request.method, request.url.path, Query(request.url.query), body, names, key)
        answer = endpoint.handler(self._backend, call)
        self._backend.flush()
        return answer

    def _permitted(self, endpoint: Endpoint, request: Request) -> ApiKey:
        """The key of the request. Raises Refusal: 401 without a good token, 403 without the scope."""
        gate = self._backend.conditions.gate
        if gate is not Gate.OPEN:
            raise Refusal(_GATES[gate])
        try:
            key = self._auth.rest(
                request.headers.get("authorization", ""),
                request.method,
                request.headers.get("host", ""),
                request.url.path,
            )
        except Refused as refused:
            self._backend.world.record.event(f"token refused: {type(refused).__name__}")
            raise Refusal(UNAUTHORIZED) from refused
        if endpoint.scope not in key.scopes:
            raise Refusal(Answer(403, dumps(_NO_SCOPE)))
        return key

    def _limited(self, endpoint: Endpoint, request: Request, key: ApiKey | None) -> Grant:
        """Raises Refusal: 429 with one of the three recorded bodies in turn."""
        client = request.client.host if request.client is not None else ""
        grant = self._limits.take(endpoint.public, client if key is None else key.portfolio)
        if not grant.allowed:
            self._throttled += 1
            body = ("empty", "html", "json")[self._throttled % 3]
            content, content_type = error_body(429, body)
            raise Refusal(Answer(429, content, content_type, {} if key is None else _rate_headers(grant)))
        return grant

    def _log(self, request: Request, status: int, raw: bytes, note: str) -> None:
        query = request.url.query
        path = f"{request.url.path}?{query}" if query else request.url.path
        body = raw.decode("utf-8", "replace") if request.method != "GET" else ""
        self._backend.world.record.request(request.method, path, status, body, note)


class Severed(Response):
    """No answer: the connection is closed, or reset, or left hanging until the client goes away."""

    def __init__(self, raw: bytes = b"", reset: bool = False, hang: bool = False) -> None:
        super().__init__()
        self.status_code = 0
        self._raw = raw
        self._reset = reset
        self._hang = hang

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        transport: asyncio.Transport = scope["state"]["transport"]
        if self._raw:
            transport.write(self._raw)
        if self._reset:
            _reset(transport)
        elif not self._hang:
            transport.close()
        while (await receive())["type"] != "http.disconnect":
            continue


def _reset(transport: asyncio.Transport) -> None:
    """RST instead of FIN: the socket is told not to linger."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


_GATES: Final = {
    Gate.UNAUTHORIZED: UNAUTHORIZED,
    Gate.FORBIDDEN: Answer(403, dumps({**_NO_SCOPE, "error_details": "User does not have the correct permissions"})),
    Gate.TOO_MANY_ERRORS: Answer(403, b"Too many errors", TEXT),
}


async def _before(fault: RequestFault | None) -> Response | None:
    """What a fault answers instead of letting the request through; None when it takes effect."""
    match fault:
        case Drop(When.BEFORE, reset):
            return Severed(reset=reset)
        case Hang(When.BEFORE):
            return Severed(hang=True)
        case StatusFault(_, _, When.BEFORE, _):
            return _response(_status_answer(fault))
        case Delay(seconds, When.BEFORE):
            await asyncio.sleep(seconds)
    return None


async def _after(fault: RequestFault | None, answer: Answer) -> Response:
    """The answer as the fault leaves it; the request has taken effect."""
    match fault:
        case Drop(When.AFTER, reset):
            return Severed(reset=reset)
        case Hang(When.AFTER):
            return Severed(hang=True)
        case StatusFault(_, _, When.AFTER, _):
            return _response(_status_answer(fault))
        case Delay(seconds, When.AFTER):
            await asyncio.sleep(seconds)
        case Garble(Damage.TORN):
            return Severed(_raw_head("connection: close") + _half(answer.body))
        case Garble(Damage.SHORT):
            return Severed(_raw_head(f"content-length: {len(answer.body)}") + _half(answer.body))
        case Garble() | Rewrite():
            return _response(damaged(answer, fault))
    return _response(answer)


def _half(body: bytes) -> bytes:
    """The first half, at least one byte."""
    return body[: max(1, len(body) // 2)]


def _raw_head(header: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{header}\r\n\r\n".encode()


def _status_answer(fault: StatusFault) -> Answer:
    content, content_type = error_body(fault.status, fault.body)
    headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
    return Answer(fault.status, content, content_type, headers)


def _rate_headers(grant: Grant) -> dict[str, str]:
    return {
        "x-ratelimit-limit": str(grant.limit),
        "x-ratelimit-remaining": str(grant.remaining),
        "x-ratelimit-reset": str(grant.reset_s),
    }


def _response(answer: Answer) -> Response:
    headers = {**answer.headers, "content-type": answer.content_type}
    return Response(answer.body, answer.status, headers)
