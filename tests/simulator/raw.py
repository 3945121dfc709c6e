"""A plain HTTPS client that shows every byte, and a WebSocket that can be asked for its next frame."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from coinbase import jwt_generator
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from simulator.keys import ApiKey
from simulator.server import Simulator

BROKERAGE = "/api/v3/brokerage"


@dataclass(frozen=True)
class Reply:
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
    """A WebSocket client that signs its user subscription and reads frame by frame."""

    def __init__(self, socket: Connection, key: ApiKey) -> None:
        self.socket = socket
        self._key = key

    def subscribe(self, channel: str, *products: str, kind: str = "subscribe", **extra: Any) -> None:
        message: dict[str, Any] = {"type": kind, "channel": channel, "product_ids": list(products), **extra}
        if channel == "user" and "jwt" not in extra:
            message["jwt"] = jwt_generator.build_ws_jwt(self._key.name, self._key.secret)
        self.socket.send(json.dumps(message))

    def frame(self, timeout: float = 5.0) -> dict[str, Any]:
        return dict(json.loads(self.socket.recv(timeout=timeout)))

    def rest(self, patience: float = 0.2) -> list[dict[str, Any]]:
        """Every frame that comes without a pause of `patience` seconds."""
        found = []
        while True:
            try:
                found.append(self.frame(patience))
            except TimeoutError:
                return found


@contextmanager
def feed(sim: Simulator, url: str = "") -> Iterator[Feed]:
    with connect(url or sim.ws_url, ssl=sim.client_context(), max_size=None) as socket:
        yield Feed(socket, sim.key)
