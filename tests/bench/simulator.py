"""How fast the simulated venue answers and tells, held to one core, with next to nothing on our side of the wire."""

from __future__ import annotations

import json
import os
import select
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from coinbase.jwt_generator import build_rest_jwt

from bot.domain.codec import parse_time, time_text
from tests.bench.result import Result
from tests.bench.venue import Process, listings, served

CALLED: Final = {
    "time": "/time",
    "a ticker": "/market/products/BTC-USD/ticker?limit=1",
    "wallets, signed": "/accounts",
}
CALLS: Final = 5_000
CALLS_LEAST: Final = 1_000
MESSAGES_LEAST: Final = 20_000
STEPPED_S: Final = 600
CHUNK: Final = 1 << 18


def run() -> Iterator[Result]:
    """Calls and messages a second of the server's processor time, and of wall time."""
    with served(core=0) as venue, _elsewhere(0):
        for name, path in CALLED.items():
            wall, cpu = _calls(venue, f"/api/v3/brokerage{path}")
            yield Result(f"REST calls for {name}, a second of one core", cpu, "calls", CALLS_LEAST, at_least=True)
            yield Result(f"REST calls for {name}, a second of wall time", wall, "calls")
        wall, cpu, many = _messages(venue)
        yield Result(f"feed messages ({many:,} sent), a second of one core", cpu, "messages", MESSAGES_LEAST, True)
        yield Result("feed messages, a second of wall time", wall, "messages")


@contextmanager
def _elsewhere(core: int) -> Iterator[None]:
    """Keep ourselves off the venue's core while there is another."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - {core} or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _calls(venue: Process, path: str) -> tuple[float, float]:
    """CALLS requests one after the other on one connection that stays open."""
    key, secret = venue.environ["COINBASE_API_KEY"], venue.environ["COINBASE_API_SECRET"]
    token = build_rest_jwt(f"GET {venue.host}{path.partition('?')[0]}", key, secret)
    signed = "" if "/accounts" not in path else f"Authorization: Bearer {token}\r\n"
    request = f"GET {path} HTTP/1.1\r\nHost: {venue.host}\r\n{signed}\r\n".encode()
    with _connected(venue, venue.host) as wire:
        for _ in range(200):
            _answer(wire, request)
        began, cpu = time.perf_counter(), venue.cpu_s
        for _ in range(CALLS):
            _answer(wire, request)
        return CALLS / (time.perf_counter() - began), CALLS / (venue.cpu_s - cpu)


def _answer(wire: ssl.SSLSocket, request: bytes) -> bytes:
    wire.sendall(request)
    return _whole(wire)


def _whole(wire: ssl.SSLSocket) -> bytes:
    """One answer with its body."""
    got = wire.recv(CHUNK)
    while (head := got.find(b"\r\n\r\n")) < 0:
        got += wire.recv(CHUNK)
    assert got.startswith(b"HTTP/1.1 200"), got[:200]
    size = int(got[:head].lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(got) < head + 4 + size:
        got += wire.recv(CHUNK)
    return got


def _messages(venue: Process) -> tuple[float, float, int]:
    """STEPPED_S seconds of all markets told to one follower of books, trades and tickers, as fast as they come."""
    names = [str(listing.id) for listing in listings()]
    with _connected(venue, venue.ws_url.removeprefix("wss://")) as feed, _connected(venue, venue.host) as wire:
        _upgraded(feed, venue.ws_url.removeprefix("wss://"))
        for channel in ("heartbeats", "level2", "market_trades", "ticker"):
            feed.sendall(_frame(_subscription(channel, names)))
        counter = _Counter(feed)
        counter.until_silent()
        sent, began, cpu = counter.frames, time.perf_counter(), venue.cpu_s
        _step(wire, venue.host, STEPPED_S, counter)
        counter.until_silent()
        took, spent = counter.last_at - began, venue.cpu_s - cpu
        many = counter.frames - sent
        return many / took, many / spent, many


class _Counter:
    """Counts whole frames by their headers alone."""

    def __init__(self, wire: ssl.SSLSocket) -> None:
        self._wire = wire
        self._rest = b""
        self.frames = 0
        self.last_at = time.perf_counter()

    def read(self, patience_s: float) -> bool:
        self._wire.settimeout(patience_s)
        try:
            got = self._wire.recv(CHUNK)
        except TimeoutError:
            return False
        self.last_at = time.perf_counter()
        self._rest = self._cut(self._rest + got)
        return bool(got)

    def until_silent(self) -> None:
        while self.read(0.5):
            pass

    def _cut(self, data: bytes) -> bytes:
        at = 0
        while len(data) - at >= 10:
            size, head = data[at + 1] & 127, 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if len(data) - at < head + size:
                break
            at += head + size
            self.frames += 1
        return data[at:]


def _step(wire: ssl.SSLSocket, host: str, seconds: int, counter: _Counter) -> None:
    """Move trading time on, reading what is told meanwhile."""
    until = time_text(parse_time(_now(wire, host)) + timedelta(seconds=seconds))
    moved = ""
    while moved < until:
        body = json.dumps({"until": until, "max_wall_ms": 60_000})
        wire.sendall(
            f"POST /clock HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: application/json\r\n\r\n{body}".encode()
        )
        while not select.select([wire], [], [], 0)[0]:
            counter.read(0.2)
        moved = _said(_whole(wire))


def _now(wire: ssl.SSLSocket, host: str) -> str:
    wire.sendall(f"GET /clock HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return _said(_whole(wire))


def _said(answer: bytes) -> str:
    """The venue's time in an answer of its clock."""
    document = json.loads(answer[answer.index(b"{") :])
    return time_text(datetime.fromisoformat(document["now"]))


@contextmanager
def _connected(venue: Process, host: str) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=venue.ca_file)
    name, _, port = host.rpartition(":")
    with socket.create_connection((name, int(port)), timeout=60) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname=name) as wire:
            yield wire


def _subscription(channel: str, names: Sequence[str]) -> bytes:
    return json.dumps({"type": "subscribe", "channel": channel, "product_ids": list(names)}).encode()


def _frame(payload: bytes) -> bytes:
    """A text frame as clients send them: masked, here with zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


def _upgraded(wire: ssl.SSLSocket, host: str) -> None:
    wire.sendall(
        f"GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    got = b""
    while b"\r\n\r\n" not in got:
        got += wire.recv(1)
    assert b" 101 " in got, got
