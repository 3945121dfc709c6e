"""A WebSocket venue on loopback: speaks the envelope, keeps the sequence, and breaks whatever a test asks it to."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

AT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def text(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def level(side: str, price: str, size: str) -> dict[str, str]:
    return {"side": side, "event_time": text(AT), "price_level": price, "new_quantity": size}


class Venue:
    """Answers subscriptions and sends what a test tells it to. beating: heartbeats go out every `beat_s`."""

    def __init__(self) -> None:
        self.port = 0
        self.secure = True
        self.ca_file = Path()
        self.messages: list[dict[str, Any]] = []
        self.connections = 0
        self.beating = True
        self.beat_s = 0.05
        self.refuse = ""
        self.at = AT
        self.books: dict[str, list[dict[str, str]]] = {}
        self._sequence: dict[ServerConnection, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://127.0.0.1:{self.port}"

    def sent(self, kind: str, channel: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if (m["type"], m["channel"]) == (kind, channel)]

    def push(self, channel: str, *events: Any, skip: int = 0, at: datetime | None = None) -> None:
        """Send one frame on every connection; `skip` sequence numbers are lost before it."""
        self._run(self._push(channel, events, skip, at or self.at))

    def push_raw(self, content: str) -> None:
        self._run(self._raw(content))

    def drop(self) -> None:
        """Close every connection with 1001, as the venue does when it restarts."""
        self._run(self._drop())

    def _run(self, work: Any) -> None:
        assert self._loop is not None
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _push(self, channel: str, events: Any, skip: int, at: datetime) -> None:
        for socket in list(self._sequence):
            self._sequence[socket] += skip
            with suppress(ConnectionClosed):  # a client that hung up hears nothing more
                await self._send(socket, channel, list(events), at)

    async def _raw(self, content: str) -> None:
        for socket in list(self._sequence):
            await socket.send(content)

    async def _drop(self) -> None:
        for socket in list(self._sequence):
            await socket.close(1001)

    async def _send(self, socket: ServerConnection, channel: str, events: list[Any], at: datetime) -> None:
        number = self._sequence[socket]
        self._sequence[socket] = number + 1
        frame = {"channel": channel, "client_id": "", "timestamp": text(at), "sequence_num": number, "events": events}
        await socket.send(json.dumps(frame))

    async def handle(self, socket: ServerConnection) -> None:
        self.connections += 1
        self._sequence[socket] = 0
        beat = asyncio.create_task(self._beat(socket))
        try:
            async for raw in socket:
                await self._message(socket, json.loads(raw))
        except ConnectionClosed:
            return
        finally:
            beat.cancel()
            del self._sequence[socket]

    async def _message(self, socket: ServerConnection, message: dict[str, Any]) -> None:
        self.messages.append(message)
        if self.refuse:
            await socket.send(json.dumps({"type": "error", "message": self.refuse}))
            return
        if message["type"] == "subscribe" and message["channel"] == "level2":
            for product in message["product_ids"]:
                shown = product.replace("-USDC", "-USD")
                event = {"type": "snapshot", "product_id": shown, "updates": self.books.get(shown, [])}
                await self._send(socket, "l2_data", [event], self.at)
        if message["type"] == "subscribe" and message["channel"] == "user":
            await self._send(socket, "user", [{"type": "snapshot", "orders": []}], self.at)
        await self._send(socket, "subscriptions", [{"subscriptions": {message["channel"]: []}}], self.at)

    async def _beat(self, socket: ServerConnection) -> None:
        count = 0
        while True:
            await asyncio.sleep(self.beat_s)
            if self.beating:
                count += 1
                event = {"current_time": "2026-11-21 08:30:00.1 +0000 UTC m=+1.5", "heartbeat_counter": count}
                try:
                    await self._send(socket, "heartbeats", [event], self.at)
                except ConnectionClosed:
                    return


@contextmanager
def ws_server(folder: Path, name: str = "127.0.0.1", secure: bool = True) -> Iterator[Venue]:
    venue = Venue()
    venue.secure = secure
    ca = trustme.CA()
    venue.ca_file = folder / "ws-ca.pem"
    ca.cert_pem.write_to_path(str(venue.ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    ready, ended = threading.Event(), asyncio.Event()

    async def main() -> None:
        venue._loop = asyncio.get_running_loop()
        async with serve(venue.handle, "127.0.0.1", 0, ssl=context if secure else None) as server:
            venue.port = next(iter(server.sockets)).getsockname()[1]
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(5)
    try:
        yield venue
    finally:
        assert venue._loop is not None
        venue._loop.call_soon_threadsafe(ended.set)
        thread.join(5)
