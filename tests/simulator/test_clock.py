"""Trading time moves while somebody waits for it and not otherwise, so any speed gives the same run."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bot.domain.order import Liquidity
from simulator.server import START, Simulator, SimulatorConfig
from tests.simulator.raw import ask, feed


def until(sim: Simulator, seconds: float, **more: Any) -> dict[str, Any]:
    """One wait of a client on the clock."""
    target = (sim.now() + timedelta(seconds=seconds)).isoformat()
    reply = ask(sim, "POST", "/clock", body={"until": target, **more}, timeout=60)
    assert reply.status == 200, reply.body
    return dict(reply.json())


def test_time_stands_still_until_it_is_asked_to_move(sim: Simulator) -> None:
    first = ask(sim, "GET", "/clock").json()
    time.sleep(0.05)
    ask(sim, "GET", "/accounts")
    assert ask(sim, "GET", "/clock").json() == first
    assert datetime.fromisoformat(first["now"]) == sim.now()
    moved = until(sim, 90.25)
    assert datetime.fromisoformat(moved["now"]) - datetime.fromisoformat(first["now"]) == timedelta(seconds=90.25)
    assert moved["event"] is False


def test_a_wait_in_the_past_returns_at_once(sim: Simulator) -> None:
    before = sim.now()
    assert until(sim, -60)["event"] is False
    assert sim.now() == before


def test_a_wait_can_be_cut_by_real_time(sim: Simulator) -> None:
    before = sim.now()
    answer = until(sim, 1_000_000, max_wall_ms=100)
    assert before < datetime.fromisoformat(answer["now"]) < before + timedelta(seconds=1_000_000)


def test_nonsense_is_a_400_with_the_reason(sim: Simulator) -> None:
    for body in ({}, {"until": "soon"}, {"until": "2026-11-02T14:00:00"}):
        assert ask(sim, "POST", "/clock", body=body).status == 400


def test_a_change_of_an_order_ends_the_wait_and_its_frame_is_there() -> None:
    with Simulator(SimulatorConfig(products=1)) as sim, feed(sim) as client:
        client.subscribe("user")
        client.rest()
        book = ask(sim, "GET", "/product_book", {"product_id": "BTC-USD", "limit": 1}).json()["pricebook"]
        bid = Decimal(book["bids"][0]["price"])
        end = (sim.now() + timedelta(seconds=7)).isoformat()
        config = {"base_size": "0.001", "limit_price": str(bid - 900), "end_time": end, "post_only": True}
        body = {
            "client_order_id": "gtd",
            "product_id": "BTC-USD",
            "side": "BUY",
            "order_configuration": {"limit_limit_gtd": config},
        }
        assert ask(sim, "POST", "/orders", body=body).json()["success"]
        client.rest()
        answer = until(sim, 600)
        assert answer["event"] is True
        assert sim.now() == START + timedelta(seconds=7)
        assert client.frame(1.0)["events"][0]["orders"][0]["status"] == "EXPIRED"


def test_speed_is_trading_seconds_a_real_second() -> None:
    with Simulator(SimulatorConfig(products=1, speed=100.0)) as sim:
        began = time.monotonic()
        until(sim, 40)
        assert 0.35 < time.monotonic() - began < 2.0
        assert ask(sim, "POST", "/control/speed", body={"speed": 0}).status == 200
        assert ask(sim, "GET", "/clock").json()["speed"] == 0
        assert ask(sim, "POST", "/control/speed", body={"speed": 601}).status == 400


def test_short_waits_at_a_slow_speed_return_in_time_and_add_up() -> None:
    """A client that looks for its kill switch every few milliseconds must not be held up by the venue's pace."""
    with Simulator(SimulatorConfig(products=1, speed=1.0)) as sim:
        began = time.monotonic()
        longest = 0.0
        while sim.now() < START + timedelta(seconds=2):
            asked = time.monotonic()
            until(sim, 60, max_wall_ms=20)
            longest = max(longest, time.monotonic() - asked)
        assert 0.9 < time.monotonic() - began < 6.0
        assert longest < 0.8  # a step takes a second at this speed


def test_a_free_running_venue_follows_real_time_until_the_clock_is_used() -> None:
    config = SimulatorConfig(products=1, free_running=True, step=timedelta(milliseconds=50))
    with Simulator(config) as sim:
        time.sleep(0.4)
        free = sim.now() - START
        assert timedelta(milliseconds=150) < free < timedelta(seconds=3)
        until(sim, 1)
        held = sim.now()
        time.sleep(0.2)
        assert sim.now() == held


def day(cut: float, sim: Simulator) -> None:
    """A client that trades a little and waits in pieces of `cut` seconds."""
    for number in range(6):
        book = ask(sim, "GET", "/product_book", {"product_id": "ETH-USD", "limit": 1}).json()["pricebook"]
        price = Decimal(book["bids"][0]["price"])
        body = {
            "client_order_id": f"day-{number}",
            "product_id": "ETH-USD",
            "side": "BUY",
            "order_configuration": {
                "limit_limit_gtc": {"base_size": "0.01", "limit_price": str(price), "post_only": True}
            },
        }
        ask(sim, "POST", "/orders", body=body)
        target = START + timedelta(seconds=(number + 1) * 120)
        while sim.now() < target:
            sim.do(lambda c: c.world.record.event("wait"))
            left = (target - sim.now()).total_seconds()
            until(sim, min(cut, left))
        ask(sim, "GET", "/orders/historical/batch", {"limit": 1000})


def test_two_runs_leave_the_same_record_at_any_speed() -> None:
    """The lock step: requests, answers, fills and trading times are a function of the seed and the client alone."""
    seen = []
    for speed, seed in ((0.0, 4), (600.0, 4), (0.0, 5)):
        with Simulator(SimulatorConfig(products=2, seed=seed, speed=speed)) as sim:
            day(120, sim)
            fills = sim.do(lambda c: [(f.price, f.size, f.trade_time, f.entry_id) for f in c.world.venue.fills()])
            seen.append((sim.digest(), fills))
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]
    assert len(seen[0][1]) > 0


def test_how_a_client_cuts_its_waits_does_not_change_the_market() -> None:
    """The grid of steps is the venue's own: fills come at the same prices and moments whoever looks in between."""
    fills = []
    for cut in (120.0, 7.0):
        with Simulator(SimulatorConfig(products=2, seed=4)) as sim:
            day(cut, sim)
            fills.append(
                sim.do(lambda c: [(f.price, f.size, f.trade_time, f.liquidity) for f in c.world.venue.fills()])
            )
    assert fills[0] == fills[1]
    assert {liquidity for *_, liquidity in fills[0]} == {Liquidity.MAKER}
