"""Cycles that refuse: bad data, products that changed, and reads that fail. Nothing is sent, and the reason is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.domain.order import OrderState
from bot.domain.product import Side, TradingMode
from bot.errors import AuthRefused, CriticalDataUnavailable, RateLimited, Transient
from bot.ports import KeyPermissions
from tests.loop.markets import RISE, calm, slide, then
from tests.loop.stage import BTC, Stage, config_of, steady


def risen(**policy: Any) -> Stage:
    """A stage just before the cycle that would buy."""
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)], config_of(**policy))
    stage.idle(62)
    return stage


@pytest.mark.parametrize("call", ["balances", "working_orders"])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Transient("no complete answer"), "data_unavailable"),
        (CriticalDataUnavailable("balances", "not JSON"), "data_unavailable"),
        (RateLimited("throttled", 10), "rate_budget"),
        (AuthRefused("401"), "exit_only"),
    ],
)
def test_a_read_that_fails_ends_the_cycle_without_a_trade(call, error, reason):
    stage = risen()
    stage.wire.broken[call] = error
    last = stage.cycle()
    assert (last.outcome, last.reason) == ("NO_TRADE", reason)
    assert str(error) in last.as_json()["detail"]
    assert stage.wire.placed == []
    assert stage.metric("bot_no_trade_total", reason=reason) == 1
    assert stage.published[1] is False
    del stage.wire.broken[call]
    assert stage.cycle().outcome == "TRADED", "one failed read is forgotten once it works again"
    stage.check()


def test_a_burst_of_failed_reads_opens_the_breaker_takes_entries_back_and_tells():
    stage = Stage([*RISE, *steady(62, 1800, "65500", 20)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.wire.broken["balances"] = Transient("no complete answer")
    stage.run_for(240)
    assert "halt.breaker.api_errors" in stage.alerts()
    assert stage.working(Side.BUY) == []
    del stage.wire.broken["balances"]
    assert stage.cycle().reason == "circuit_breaker"
    stage.run_until(lambda: not any(b.open for b in stage.state.breakers.values()), 900)
    stage.check()


def test_a_refused_key_leaves_exits_only_and_is_critical():
    stage = risen()
    stage.wire.broken["balances"] = AuthRefused("HTTP 401 Unauthorized")
    stage.run_for(60)
    assert stage.alerts()["halt.auth_degraded"] == "CRITICAL"
    del stage.wire.broken["balances"]
    stage.cycle()
    assert "auth_degraded" in [row["cause"] for row in stage.events("halt.ended")]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (KeyPermissions(True, False, False, "p"), "may not trade: give it the trade permission"),
        (KeyPermissions(True, True, True, "p"), "may transfer money out: make one without"),
    ],
)
def test_a_key_that_changed_its_powers_stops_entries_within_the_hour(found, told):
    stage = Stage([*calm(10, 8000)])
    stage.wire.permissions = found
    stage.cycle()
    assert stage.last.outcome == "NO_TRADE"
    stage.run_for(3700)
    assert stage.last.outcome == "EXIT_ONLY"
    assert stage.alerts()["halt.exit_only"] == "CRITICAL"
    assert told in stage.alert_texts()
    stage.wire.permissions = None
    stage.run_for(61)
    assert stage.last.outcome == "NO_TRADE"


def test_stale_quotes_are_not_traded_on():
    stage = risen()
    stage.window.aged = timedelta(seconds=6)
    assert stage.cycle().outcome != "TRADED"
    assert stage.events("decision.made")[-1]["excluded"]["quote_stale"] == 1
    assert stage.wire.placed == []
    stage.window.aged = timedelta(seconds=4)
    assert stage.cycle().outcome == "TRADED"


def test_a_quote_that_grew_old_between_approval_and_request_refuses_the_order():
    stage = risen()
    seen: list[str] = []

    def age(line: bytes) -> None:
        if b'"intent.recorded"' in line:
            stage.window.aged = timedelta(seconds=30)
            seen.append("intent")

    stage.disk.before_append = age
    assert stage.cycle().outcome == "NO_TRADE"
    assert seen == ["intent"]
    assert stage.wire.placed == []
    (order,) = stage.orders()
    assert order.state is OrderState.REJECTED
    assert "quote_stale" in order.why


def test_without_bars_nothing_is_entered():
    stage = risen()
    stage.window.without_bars = True
    assert stage.cycle().outcome == "NO_TRADE"
    assert stage.wire.placed == []


def test_a_product_that_may_only_be_cancelled_is_not_entered():
    stage = risen()
    stage.world.set_mode(BTC, TradingMode.CANCEL_ONLY)
    assert stage.cycle().outcome == "NO_TRADE"
    assert stage.wire.placed == []
    assert "universe.empty" in stage.alerts(), "no product is left to trade, and the operator is told"


def test_a_product_that_closes_between_approval_and_request_is_a_refusal_and_no_doubt():
    stage = risen()
    stage.wire.before_place = lambda _order: stage.world.set_mode(BTC, TradingMode.CANCEL_ONLY)
    stage.cycle()
    (order,) = stage.orders()
    assert order.state is OrderState.REJECTED
    assert stage.metric("bot_rejections_total", gate="exchange_rejected") == 1
    assert stage.metric("bot_unknown_orders") == 0
    stage.run_for(120)
    assert len(stage.orders()) == 1, "what the venue closed is not tried again at once"
    stage.check()


def test_a_drifting_clock_warns_then_stops_entries():
    stage = risen()
    ahead = timedelta(milliseconds=400)
    stage.wire.venue_clock_ahead = ahead
    assert stage.cycle().outcome == "TRADED"
    assert "clock.drift" in stage.alerts()
    slow = Stage([*RISE, *steady(62, 900, "65500", 20)])
    slow.idle(62)
    slow.wire.venue_clock_ahead = timedelta(seconds=1.5)
    assert slow.cycle().reason == "clock_skew"
    assert slow.wire.placed == []
    assert slow.alerts()["halt.clock_skew"] == "CRITICAL"


def test_a_clock_that_is_far_off_sends_nothing_and_leaves_the_stop_at_the_venue():
    stage = Stage(then(*calm(90, 1500)), config_of({"max_hold_minutes": 5}))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    stage.wire.venue_clock_ahead = timedelta(seconds=2.5)
    sent = len(stage.wire.placed)
    stage.run_for(900)
    assert (stage.last.outcome, stage.last.reason) == ("HALTED", "clock_skew")
    assert stage.alerts()["halt.clock_refused"] == "CRITICAL"
    assert len(stage.wire.placed) == sent, "it was due to be sold ten minutes ago"
    assert stage.working(Side.SELL)
    stage.wire.venue_clock_ahead = timedelta(0)
    stage.run_until(lambda: not stage.held("BTC"), 900)
    stage.check()


def test_bad_ticks_are_counted():
    stage = Stage([*calm(10, 900)])
    stage.run_for(60)
    stage.world.conditions.feed.spikes["BTC-USD"] = 10.0
    stage.run_for(60)
    faults = {s.labels["reason"]: s.value for m in stage.metrics.bad_ticks.collect() for s in m.samples}
    assert sum(faults.values()) >= 1
    assert stage.held("BTC") == 0


def test_a_tenfold_print_sells_nothing_and_a_tenth_neither():
    stage = Stage(then(*calm(90, 900)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    for factor in (10.0, 0.1):
        stage.world.conditions.feed.spikes["BTC-USD"] = factor
        stage.run_for(61)
        stage.world.conditions.feed.spikes.clear()
        stage.run_for(61)
    assert stage.held("BTC") > 0
    assert len(stage.wire.placed) == 2, "the entry and its stop"
    stage.check()


def test_a_price_that_nobody_may_sell_at_does_not_use_up_the_request_budget():
    """The stop is crossed and the product is closed: the loop looks again, ever more patiently."""
    config = config_of(exits={"resting_on_exchange": False})
    stage = Stage(then(*calm(90, 300), *slide(300, ["62000"], 60), *calm(360, 1200, "62000")), config)
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    stage.world.set_mode(BTC, TradingMode.CANCEL_ONLY)
    stage.run_for(240)
    before, refused = len(stage.cycles), len(stage.events("order.changed"))
    stage.run_for(600)
    assert len(stage.cycles) - before <= 10 * 12
    assert len(stage.events("order.changed")) == refused, "what the venue has closed is not tried again and again"
    assert stage.held("BTC") > 0
    stage.world.set_mode(BTC, TradingMode.NORMAL)
    stage.run_until(lambda: stage.held("BTC") == 0, 70)
    assert stage.state.latches == {}
    stage.check()
