"""Limits on how much and how often, tried on the whole loop: caps, governors, streaks, weeks, approvals, trims."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bot.domain.order import OrderKind
from bot.domain.product import ProductId, Side
from bot.venue.orders import MarketIoc, OrderRequest
from simulator.markets.script import Step
from simulator.server import START
from tests.loop.markets import RISE, calm, then
from tests.loop.stage import BTC, ETH, Stage, config_of, down, steady, up
from tests.loop.test_latches import RULE, TIGHT, stopped_out

MONDAY = datetime(2026, 11, 9, tzinfo=UTC)
TWO: dict[str, Any] = {"tiers": {1: {"products": [BTC, ETH], "min_depth": 1000, "min_volume_24h": 1000}}}


def offers(product: ProductId, first_s: int, last_s: int, price: str) -> list[Step]:
    return [s for at in range(first_s, last_s, 5) for s in (down(at, price, product), up(at + 1, price, product))]


def value(stage: Stage, product: ProductId) -> Decimal:
    """What the buys of a product may still cost at their limits."""
    found = [order for order in stage.working(Side.BUY) if order.product == product]
    return sum((order.terms.base_size * order.terms.limit_price for order in found), Decimal(0))  # type: ignore[operator]


def test_two_entries_of_one_cycle_share_what_is_left_under_the_cap():
    """Two hundred dollars each under a cap of three hundred: the second gets what the first, with its fee, left."""
    risk = {"max_open_positions": 3, "max_total_pct": 3, "max_per_asset_pct": 3, "max_per_theme_pct": 3}
    config = config_of({"max_new_per_cycle": 2}, TWO, risk=risk)
    stage = Stage([*RISE, up(31, "1932", ETH), *offers(ETH, 32, 62, "1932")], config)
    stage.run_until(lambda: len(stage.working(Side.BUY)) == 2, 70)
    costs = sorted((value(stage, BTC), value(stage, ETH)))
    assert Decimal(195) < costs[1] <= Decimal(200)
    assert Decimal(90) < costs[0] < Decimal(100)
    assert stage.last.detail.count("entry BUY") == 2
    stage.check()


def test_a_governor_that_is_reached_stops_entries_until_resumed_and_sells_all_the_same():
    config = config_of({"max_hold_minutes": 5}, execution={"governors": {"orders_per_day": 2}})
    stage = Stage([*RISE, down(80, "65300"), *calm(90, 900)], config)
    stage.run_until(lambda: stage.state.latches, 600)
    assert list(stage.state.latches) == ["governor.orders_per_day"]
    assert stage.alerts()["halt.governor.orders_per_day"] == "CRITICAL"
    assert [order.kind for order in stage.orders()] == [OrderKind.ENTRY, OrderKind.PROTECTIVE]
    assert stage.working(Side.SELL), "the exit that was refused kept its stop"
    stage.boot()
    assert stage.cycle().outcome in {"EXIT_ONLY", "NO_TRADE"}
    assert list(stage.state.latches) == ["governor.orders_per_day"]
    stage.check()


def test_a_losing_streak_pauses_everything_though_coins_of_others_lie_beside():
    pauses = {"loss_streak": 1, "loss_streak_cooldown_minutes": 600}
    fall = [*calm(90, 300), down(300, "62000"), *steady(301, 420, "62000", 5), *calm(420, 900, "62000")]
    stage = Stage([*RISE, down(80, "65300"), *fall], config_of(risk=pauses))
    stage.run_until(lambda: stage.held("BTC"), 200)
    by_hand = OrderRequest("by-hand", BTC, Side.BUY, MarketIoc(Decimal("0.001")), owner="owner")
    stage.world.place(by_hand)
    stage.run_until(lambda: stage.state.realised_total < 0, 600)
    stage.run_for(60)
    assert stage.state.loss_streak == 1
    assert [(c.product, c.reason) for c in stage.state.cooldowns if c.product is None] == [(None, "loss_streak")]
    stage.check()


def test_the_weekly_stop_outlives_midnight_and_a_restart_and_ends_on_monday():
    near = int((MONDAY - START).total_seconds())
    tight = {**TIGHT, "daily_stop_pct": "0.01", "weekly_stop_pct": "0.05"}
    stage = stopped_out(config_of(RULE, risk=tight), [*calm(3600, near + 600, "62000")])
    assert set(stage.state.latches) == {"daily_stop", "weekly_stop"}
    stage.idle((MONDAY - stage.clock.now()).total_seconds() - 3600)
    stage.boot()
    stage.cycle()
    assert set(stage.state.latches) == {"weekly_stop"}
    assert stage.state.latches["weekly_stop"].ends_at == MONDAY
    assert stage.last.reason == "weekly_stop"
    stage.idle(3700)
    stage.cycle()
    assert stage.state.latches == {}
    assert stage.state.week is not None
    assert stage.state.week.id == "2026-W46"
    assert stage.state.week.realised == 0


def test_a_trade_nobody_approves_in_time_is_not_made_and_is_asked_for_again():
    config = config_of(risk={"approval_above_usd": 50, "approval_expires_minutes": 2})
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)], config)
    stage.run_until(lambda: stage.state.approvals, 120)
    (first,) = stage.state.approvals
    stage.run_until(lambda: first not in stage.state.approvals, 300)
    assert stage.wire.placed == []
    answer = stage.inbox.drop("approve", first)
    stage.run_for(90)
    assert "refused" in stage.inbox.answers[answer]
    assert stage.wire.placed == []
    (second,) = stage.state.approvals
    assert second != first
    stage.inbox.drop("approve", second)
    stage.run_until(lambda: stage.wire.placed, 90)
    stage.check()


def test_the_stop_follows_a_part_that_was_sold():
    """Equity halves by a withdrawal, a part is sold to come back under the cap, and the stop is for what is left."""
    caps = {"max_per_asset_pct": "2.1", "max_per_theme_pct": 6}
    stage = Stage(then(*calm(90, 3000)), config_of(risk=caps, exits={"trim_to_cap": True}))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    before = stage.held("BTC")
    stage.world.transfer("USD", Decimal(-5000))
    stage.run_until(lambda: stage.held("BTC") < before, 600)
    stage.run_for(10)
    (stop,) = stage.working(Side.SELL)
    assert Decimal(0) < stage.held("BTC") < before
    assert stop.terms.base_size == stage.held("BTC") == stage.state.positions[BTC].size.value
    stage.run_for(300)
    stage.check()
