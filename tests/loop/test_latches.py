"""Loss stops hold for their period, whatever happens to the process meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from bot.domain.product import TradingMode
from bot.settings.config import Config
from simulator.markets.script import Step
from simulator.server import START
from tests.loop.markets import RISE, calm, slide
from tests.loop.stage import BTC, Stage, config_of, down, steady, up

MIDNIGHT = datetime(2026, 11, 3, tzinfo=UTC)
TIGHT = {"daily_stop_pct": "0.05", "weekly_stop_pct": 6, "cooldown_minutes": 1, "cooldown_after_stop_minutes": 1}
RULE = {"cooldown_minutes": 1}


def fallen_at_a_loss(later: Sequence[Step] = ()) -> list[Step]:
    """A market in which the bot buys, and falls through its stop."""
    fall = [*calm(90, 300), *slide(300, ["62000"], 120), *calm(420, 3600, "62000")]
    return [*RISE, down(80, "65300"), *fall, *later]


def stopped_out(config: Config, later: Sequence[Step] = ()) -> Stage:
    """Bought, stopped out at a loss of about 0.1 % of the account."""
    stage = Stage(fallen_at_a_loss(later), config)
    stage.run_until(lambda: stage.state.realised_total < 0, 600)
    stage.cycle()
    return stage


def test_the_daily_stop_latches_is_critical_and_outlives_a_restart():
    stage = stopped_out(config_of(RULE, risk=TIGHT))
    assert list(stage.state.latches) == ["daily_stop"]
    assert stage.alerts()["halt.daily_stop"] == "CRITICAL"
    assert stage.last.outcome == "EXIT_ONLY"
    assert stage.last.reason == "daily_stop"
    for _ in range(3):
        stage.boot()
        assert stage.cycle().reason == "daily_stop"
    assert stage.state.latches["daily_stop"].ends_at == MIDNIGHT


def test_the_daily_stop_ends_at_midnight_utc_and_not_before():
    near = int((MIDNIGHT - START).total_seconds())
    rise = [*calm(3600, near - 1800, "62000"), up(near - 30, "62600"), *steady(near - 25, near + 300, "62600", 5)]
    stage = stopped_out(config_of(RULE, risk=TIGHT), rise)
    orders = len(stage.orders())
    stage.idle((MIDNIGHT - stage.clock.now()).total_seconds() - 60)
    stage.run_until(lambda: len(stage.orders()) > orders, 240)
    assert stage.orders()[-1].created_at >= MIDNIGHT
    assert stage.state.latches == {}
    assert stage.state.day is not None
    assert stage.state.day.id == "2026-11-03"


def test_a_daily_stop_that_ended_while_nobody_ran_is_no_alarm_at_the_next_start():
    """It was told when it tripped; at a start after midnight nothing is restricted any more."""
    stage = stopped_out(config_of(RULE, risk=TIGHT))
    told = [alert["fingerprint"] for alert in stage.events("alert.raised")].count("halt.daily_stop")
    stage.idle((MIDNIGHT - stage.clock.now()).total_seconds() + 1)
    stage.boot()
    stage.cycle()
    assert stage.state.latches == {}
    assert [alert["fingerprint"] for alert in stage.events("alert.raised")].count("halt.daily_stop") == told == 1


def test_a_drawdown_stop_ends_only_by_an_operators_word():
    stops = {"daily_stop_pct": "0.02", "weekly_stop_pct": "0.03", "max_drawdown_pct": "0.05"}
    config = config_of(RULE, risk={**TIGHT, **stops})
    stage = stopped_out(config)
    assert "drawdown_stop" in stage.state.latches
    stage.idle(8 * 86400)
    stage.boot()
    stage.cycle()
    assert set(stage.state.latches) == {"drawdown_stop"}, "day and week are over, the drawdown is not"
    answer = stage.inbox.drop("resume-latch", "drawdown_stop")
    stage.cycle()
    assert "cleared" in stage.inbox.answers[answer]
    assert stage.events("latch.cleared")[-1]["name"] == "drawdown_stop"


def test_a_deposit_does_not_release_a_loss_stop():
    stage = stopped_out(config_of(RULE, risk=TIGHT))
    stage.world.transfer("USD", Decimal(100_000))
    stage.run_for(400)
    assert stage.last.reason == "daily_stop"


def test_a_loss_stop_still_lets_a_position_be_sold():
    """Exits go on: with the day lost, a position that is due is sold all the same."""
    config = config_of({**RULE, "max_hold_minutes": 5}, risk={**TIGHT, "daily_stop_pct": "0.005"})
    stage = Stage([*RISE, down(80, "65300"), *calm(90, 900, "65300")], config)
    stage.run_until(lambda: "daily_stop" in stage.state.latches, 200)
    assert BTC in stage.state.positions
    stage.run_until(lambda: not stage.state.positions, 500)
    assert stage.held("BTC") == 0
    stage.check()


def test_a_loss_stop_that_was_resumed_does_not_trip_again_on_the_same_loss():
    stops = {"daily_stop_pct": "0.02", "weekly_stop_pct": "0.03", "max_drawdown_pct": "0.05"}
    stage = stopped_out(config_of(RULE, risk={**TIGHT, **stops}))
    assert set(stage.state.latches) == {"daily_stop", "weekly_stop", "drawdown_stop"}
    for name in stage.state.latches:
        stage.inbox.drop("resume-latch", name)
    stage.run_for(130)
    assert stage.state.latches == {}
    assert stage.last.outcome == "NO_TRADE"


def test_a_breaker_that_latched_is_reset_by_an_operators_word():
    config = config_of(risk={"breakers": {"rejections": {"threshold": 1, "reset": "latch"}}})
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)], config)
    stage.idle(62)
    stage.wire.before_place = lambda _o: stage.world.set_mode(BTC, TradingMode.CANCEL_ONLY)
    stage.cycle()
    stage.idle(7200)
    assert stage.cycle().outcome == "EXIT_ONLY"
    assert stage.state.breakers["rejections"].open
    answer = stage.inbox.drop("resume-latch", "rejections")
    stage.cycle()
    assert "reset" in stage.inbox.answers[answer]
    assert not stage.state.breakers["rejections"].open
    assert stage.last.outcome == "NO_TRADE"
