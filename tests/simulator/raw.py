"""A plain HTTPS client that shows every byte, and a WebSocket that can be asked for its next frame."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from coinbase import jwt_generator
from websockets.asyncio.client import ClientConnection, connect

from bot.domain.value import Value
from simulator.keys import ApiKey
from simulator.server import Simulator

BROKERAGE = "/api/v3/brokerage"


class Reply(Value):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def token(sim: Simulator, method: str, path: str, key: ApiKey | None = None) -> str:
    key = key or sim.key
    return str(jwt_generator.build_rest_jwt(f"{method} {sim.host}{path}", key.name, key.secret))


def ask(
    sim: Simulator,
    method: str,
    path: str,
    params: Any = (),
    body: Any = None,
    key: ApiKey | None = None,
    timeout: float = 5.0,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """One request on a connection of its own; private paths are signed."""
    whole = path if path.startswith(("/control", "/clock", "/alerts", "/api")) or path == "/" else BROKERAGE + path
    public = not whole.startswith(BROKERAGE) or whole.startswith((f"{BROKERAGE}/market", f"{BROKERAGE}/time"))
    sent = {"content-type": "application/json", **(headers or {})}
    if not public and "authorization" not in sent:
        sent["authorization"] = f"Bearer {token(sim, method, whole, key)}"
    connection = http.client.HTTPSConnection(sim.host, timeout=timeout, context=sim.client_context())
    try:
        query = f"?{urlencode(params, doseq=True)}" if params else ""
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        connection.request(method, whole + query, content, sent)
        answer = connection.getresponse()
        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


class Feed:
    """A WebSocket client that signs its user subscription and reads frame by frame.

    It reads on an event loop of its own: one TLS connection must not be read and written by two threads at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: ClientConnection, key: ApiKey) -> None:
        self._loop = loop
        self._connection = connection
        self._key = key

    def send(self, text: str) -> None:
        self._wait(self._connection.send(text), 5.0)

    def subscribe(self, channel: str, *products: str, kind: str = "subscribe", **extra: Any) -> None:
        message: dict[str, Any] = {"type": kind, "channel": channel, "product_ids": list(products), **extra}
        if channel == "user" and "jwt" not in extra:
            message["jwt"] = jwt_generator.build_ws_jwt(self._key.name, self._key.secret)
        self.send(json.dumps(message))

    def frame(self, timeout: float = 5.0) -> dict[str, Any]:
        """The next frame. Raises TimeoutError when none comes, ConnectionClosed when none can come."""
        return dict(json.loads(self._wait(self._connection.recv(), timeout)))

    def rest(self, first: float = 5.0, patience: float = 0.3) -> list[dict[str, Any]]:
        """Every frame until a pause of `patience` seconds; the first one may take `first` seconds to come."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                found.append(self.frame(patience if found else first))
            except TimeoutError:
                return found

    def _wait(self, work: Coroutine[Any, Any, Any], timeout: float) -> Any:
        async def bounded() -> Any:
            return await asyncio.wait_for(work, timeout)

        return asyncio.run_coroutine_threadsafe(bounded(), self._loop).result(30)


@contextmanager
def feed(sim: Simulator, url: str = "") -> Iterator[Feed]:
    """Connected until the block ends. Raises what the handshake raised."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def opened() -> ClientConnection:
        return await connect(url or sim.ws_url, ssl=sim.client_context(), max_size=None, compression=None)

    try:
        connection = asyncio.run_coroutine_threadsafe(opened(), loop).result(30)
        yield Feed(loop, connection, sim.key)
        asyncio.run_coroutine_threadsafe(connection.close(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
