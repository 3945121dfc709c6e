"""The adapter, plugged into a scripted TLS server: `Script` answers by path, in turn."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from bot.adapters.coinbase.build import Limits, Venue, World, build_exchange, build_reader
from bot.adapters.coinbase.exchange import CoinbaseExchange, CoinbaseReader
from bot.ports import WakeReason
from bot.settings.policy import ExchangeStatusPolicy, RateLimitsPolicy, TransportPolicy
from tests.adapters.coinbase.keys import credentials
from tests.adapters.coinbase.tls_server import Connection, Reply, Request, Server

PREFIX = "/api/v3/brokerage"
NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


class FixedClock:
    """Trading time that stands still unless a test moves it."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def stopwatch(self) -> float:
        return time.monotonic()

    def wait_until(self, when: datetime) -> WakeReason | None:
        self.at = max(self.at, when)
        return None

    def wake(self, reason: WakeReason) -> None:
        """Nobody waits."""


class LowRng:
    """Jitter that never waits."""

    def uniform(self, low: float, high: float) -> float:
        return low


@dataclass
class Script:
    """Replies by `METHOD /path`; the last one repeats. A reply is a document, a (status, text) or a function."""

    replies: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    def on(self, what: str, *replies: Any) -> None:
        self.replies[what] = list(replies)

    def __call__(self, connection: Connection, request: Request) -> None:
        waiting = self.replies.get(f"{request.method} {request.path.removeprefix(PREFIX)}")
        if not waiting:
            connection.answer('{"error":"unscripted"}', 418)
            return
        reply = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if callable(reply):
            reply(connection, request)
        elif isinstance(reply, tuple):
            status, text = reply
            connection.answer(text if isinstance(text, str) else json.dumps(text), status, "application/json")
        else:
            connection.json(reply)


@dataclass
class Scripted:
    """A running server, its script, and what was asked of it."""

    server: Server
    script: Script

    def on(self, what: str, *replies: Any) -> None:
        self.script.on(what, *replies)

    def asked(self, path: str) -> list[dict[str, list[str]]]:
        """The queries sent to a path, oldest first."""
        return [parse_qs(r.query) for r in self.server.requests if r.path == PREFIX + path]

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(r.body) for r in self.server.requests if r.path == PREFIX + path]

    def count(self, path: str) -> int:
        return len(self.asked(path))


def limits(**transport: Any) -> Limits:
    policy = {"connect_timeout_seconds": "1", "read_timeout_seconds": "0.5", "total_deadline_seconds": "2", **transport}
    return Limits(
        TransportPolicy.model_validate(policy),
        RateLimitsPolicy.model_validate(
            {"private_per_second": "200", "public_per_second": "200", "max_wait_seconds": "1"}
        ),
        ExchangeStatusPolicy(),
    )


def venue(server: Server) -> Venue:
    return Venue(
        rest_url=f"https://{server.host}",
        status_url=f"https://{server.host}{PREFIX}/status",
        ca_file=server.ca_file,
    )


def exchange(server: Server, stops: Callable[[], int] = lambda: 0, **transport: Any) -> CoinbaseExchange:
    world = World(FixedClock(), LowRng(), stops)
    return build_exchange(venue(server), credentials(), limits(**transport), world)


def reader(server: Server, with_key: bool = True) -> CoinbaseReader:
    key = credentials() if with_key else None
    return build_reader(venue(server), key, limits(), World(FixedClock(), LowRng()))


def slow(reply: Reply) -> Reply:
    """Hang after `reply` has had its effect: the answer never comes."""

    def hung(connection: Connection, request: Request) -> None:
        reply(connection, request)
        connection.hang()

    return hung
