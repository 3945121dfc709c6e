"""Every request is told with its endpoint, how it ended, and how long it took: the figures behind the metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.adapters.coinbase.build import World, build_exchange
from bot.adapters.coinbase.exchange import CoinbaseExchange
from bot.app import _on_call
from bot.errors import OutcomeUnknown, Transient
from bot.ops.metrics import Metrics
from tests.adapters.coinbase import payloads
from tests.adapters.coinbase.keys import credentials
from tests.adapters.coinbase.test_place import ENTRY
from tests.adapters.coinbase.tls_server import Connection, Request, tls_server
from tests.adapters.coinbase.venue import FixedClock, LowRng, Script, Scripted, limits, venue

PAUSE_S = 0.1
PAGE = {"accounts": [payloads.wallet()], "cursor": "", "has_next": False}
Told = list[tuple[str, str, float]]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scripted]:
    script = Script()
    with tls_server(tmp_path, script) as server:
        yield Scripted(server, script)


def trader(world: Scripted, told: Told) -> CoinbaseExchange:
    def note(endpoint: str, status: str, seconds: float) -> None:
        told.append((endpoint, status, seconds))

    return build_exchange(venue(world.server), credentials(), limits(), World(FixedClock(), LowRng(), lambda: 0, note))


def late(connection: Connection, _request: Request) -> None:
    time.sleep(PAUSE_S)
    connection.json(PAGE)


def test_a_call_is_told_with_the_time_it_took(world: Scripted) -> None:
    told: Told = []
    world.on("GET /accounts", late)
    exchange = trader(world, told)
    exchange.balances()
    exchange.close()
    [(endpoint, status, seconds)] = told
    assert (endpoint, status) == ("accounts", "200")
    assert seconds >= PAUSE_S


def test_every_request_is_counted_and_timed_and_leaves_less_of_the_budget(world: Scripted) -> None:
    metrics = Metrics("c", "v")
    world.on("GET /accounts", PAGE)
    exchange = build_exchange(
        venue(world.server), credentials(), limits(), World(FixedClock(), LowRng(), on_call=_on_call(metrics))
    )
    metrics.budget_left(exchange.client.budget.left)
    value = metrics.registry.get_sample_value
    before = value("bot_rate_budget_left", {"class": "hourly"})
    exchange.balances()
    assert value("bot_api_requests_total", {"endpoint": "accounts", "status": "200"}) == 1
    assert value("bot_api_seconds_count", {"endpoint": "accounts"}) == 1
    assert before is not None
    assert value("bot_rate_budget_left", {"class": "hourly"}) == before - 1
    exchange.close()


def test_every_attempt_is_a_call_of_its_own(world: Scripted) -> None:
    told: Told = []
    world.on("GET /accounts", (503, "busy"), PAGE)
    exchange = trader(world, told)
    exchange.balances()
    exchange.close()
    assert [row[:2] for row in told] == [("accounts", "503"), ("accounts", "200")]


def test_what_never_came_back_is_told_as_torn_and_never_as_an_answer(world: Scripted) -> None:
    told: Told = []
    world.on("GET /accounts", lambda connection, _request: connection.hang())
    world.on("POST /orders", lambda connection, _request: connection.hang())
    exchange = trader(world, told)
    with pytest.raises(Transient):
        exchange.balances()
    with pytest.raises(OutcomeUnknown):
        exchange.place(ENTRY)
    exchange.close()
    assert {row[1] for row in told} == {"torn"}
    assert {row[0] for row in told} == {"accounts", "place"}
