"""The kill switch at every point of a cycle, judged by what reaches the venue and by nothing the bot says."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.domain.order import VenueStatus
from bot.domain.product import Side
from bot.ports import KillProbe, KillState
from simulator.faults import Cancels
from simulator.server import START
from tests.loop.markets import RISE, calm, then
from tests.loop.stage import BTC, Stage, config_of, steady

ON = KillState(KillProbe.PRESENT, "looks wrong")
OFF = KillState(KillProbe.ABSENT)


LOOKS = 5
"""A cycle that enters looks at the switch at least as often as this."""


def test_a_cycle_that_enters_looks_at_the_switch_before_and_after_its_approval():
    stage = Stage(RISE)
    stage.idle(62)
    before = stage.disk.looks
    stage.cycle()
    assert stage.wire.placed
    assert stage.disk.looks - before == LOOKS


@pytest.mark.parametrize("number", range(LOOKS))
def test_whenever_the_switch_goes_on_no_order_begins_after_it(number):
    """The switch goes on at the n-th look of the cycle that would enter: what was sent before it is taken back."""
    stage = Stage(RISE)
    stage.idle(62)
    stage.disk.kill_after = stage.disk.looks + number
    sent_while_on: list[str] = []
    stage.wire.before_place = lambda order: (
        sent_while_on.append(order.client_order_id) if stage.disk.kill.active else None
    )
    stage.cycle()
    on_at = stage.clock.now()
    assert sent_while_on == []
    stage.run_until(lambda: not stage.working(Side.BUY), 10)
    assert stage.clock.now() - on_at <= timedelta(seconds=10)
    stage.run_for(180)
    assert stage.working(Side.BUY) == []
    assert sent_while_on == []
    assert stage.last.outcome == "HALTED"
    assert stage.last.reason == "kill_switch"
    assert stage.alerts()["halt.kill_switch"] == "CRITICAL"
    assert stage.events("halt.began")[0]["cause"] == "kill_switch"
    stage.check()


def test_a_working_entry_is_taken_back_and_the_stop_stays():
    """hold_protected is the default: what protects a position goes on resting at the venue."""
    stage = Stage([*then(*calm(90, 3000))])
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    stage.disk.kill = ON
    stage.run_for(120)
    assert [order.side for order in stage.working()] == [Side.SELL]
    assert stage.held("BTC") > 0
    stage.check()


def test_hold_naked_takes_the_stop_away_and_sells_nothing():
    stage = Stage(then(*calm(90, 3000)), config_of(kill_switch={"on_halt": "hold_naked"}))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    held = stage.held("BTC")
    stage.disk.kill = ON
    stage.run_for(30)
    assert stage.working() == []
    assert stage.held("BTC") == held
    stage.check()


def test_flatten_sells_all_that_the_bot_manages_and_nothing_else():
    stage = Stage(then(*calm(90, 3000)), config_of(kill_switch={"on_halt": "flatten"}), {"USD": "10000", "ETH": "0.05"})
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    stage.disk.kill = ON
    stage.run_for(30)
    assert stage.held("BTC") == 0
    assert stage.held("ETH") == Decimal("0.05")
    assert stage.working() == []
    stage.run_for(120)
    assert stage.working() == []
    stage.check()


@pytest.mark.parametrize("probe", [KillProbe.PRESENT, KillProbe.UNREADABLE])
def test_anything_but_cleanly_absent_halts(probe):
    stage = Stage(RISE)
    stage.disk.kill = KillState(probe, "")
    stage.run_for(120)
    assert stage.wire.placed == []
    assert stage.last.outcome == "HALTED"


def test_trading_resumes_after_one_clean_reconcile_and_says_so():
    stage = Stage([*RISE, *steady(62, 900, "65500", 10)])
    stage.disk.kill = ON
    stage.run_for(70)
    stage.disk.kill = OFF
    assert stage.cycle().outcome == "HALTED", "this cycle is the clean reconcile"
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    assert [row["cause"] for row in stage.events("halt.ended")] == ["kill_switch"]
    assert '"fingerprint": "halt.kill_switch"' in stage.alert_texts()
    assert '"state": "resolved"' in stage.alert_texts()


def test_no_resume_while_the_books_do_not_agree():
    stage = Stage(RISE)
    stage.cycle()
    stage.disk.kill = ON
    stage.cycle()
    stage.disk.kill = OFF
    stage.wire.wallets["USD"] = Decimal("12.50")
    for _ in range(3):
        assert stage.cycle().reason == "kill_switch"
    stage.wire.wallets.clear()
    stage.cycle()
    assert stage.cycle().outcome == "NO_TRADE"


def test_a_switch_that_came_and_went_between_two_cycles_halts_all_the_same():
    stage = Stage(RISE)
    stage.idle(62)
    stage.loop.saw_kill()
    assert stage.cycle().reason == "kill_switch"
    assert stage.wire.placed == []
    assert stage.events("halt.began")[0]["cause"] == "kill_switch"
    assert stage.cycle().outcome == "TRADED"


def test_a_switch_that_goes_on_during_a_wait_is_obeyed_at_once():
    stage = Stage([*RISE, *steady(62, 300, "65500", 10)])
    stage.at(75, stage.throw_the_switch)
    stage.run_until(lambda: stage.cycles and stage.last.reason == "kill_switch", 120)
    assert stage.cycles[-1].started_at == START + timedelta(seconds=75)
    (order,) = stage.world.venue.orders()
    assert order.status is VenueStatus.CANCELLED
    assert order.ended_at is not None
    assert order.ended_at <= START + timedelta(seconds=77)
    stage.check()


def test_a_switch_during_a_long_read_stops_the_order_that_would_follow():
    """It goes on while balances are read: the approval that comes of that read is never sent."""
    stage = Stage(RISE)
    stage.idle(62)
    stage.wire.on_call = lambda name: stage.throw_the_switch() if name == "balances" else None
    assert stage.cycle().reason == "kill_switch"
    assert stage.wire.placed == []


def test_the_switch_outlives_a_restart():
    stage = Stage(RISE)
    stage.disk.kill = ON
    stage.cycle()
    stage.idle(62)
    stage.boot()
    stage.run_for(60)
    assert stage.wire.placed == []
    assert stage.last.reason == "kill_switch"


@pytest.mark.parametrize(("kill", "code"), [(ON, 6), (OFF, 0)])
def test_once_answers_six_while_the_switch_is_on(kill, code):
    stage = Stage(RISE)
    stage.disk.kill = kill
    assert stage.loop.run(once=True) == code


def test_once_answers_six_even_while_it_flattens():
    stage = Stage(then(*calm(90, 3000)), config_of(kill_switch={"on_halt": "flatten"}))
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    stage.disk.kill = ON
    assert stage.loop.run(once=True) == 6
    assert stage.held("BTC") == 0


def test_an_alert_is_logged_at_its_own_level():
    """Who filters a log by level finds what is CRITICAL, and is not woken by good news."""
    stage = Stage(RISE)
    stage.cycle()
    stage.disk.kill = ON
    stage.cycle()
    stage.loop.stop("the test is over")
    stage.loop.run()
    told = {(row["severity"], row["level"]) for row in stage.logged("alert.raised")}
    assert told >= {("CRITICAL", "critical"), ("INFO", "info")}
    assert all(severity.lower() == level for severity, level in told)


@pytest.mark.parametrize(("policy", "least_s", "most_s"), [("cancel", 0, 20), ("leave", 10, 30)])
def test_a_stop_during_the_sweep_of_the_switch_waits_for_the_end_of_our_orders_once(policy, least_s, most_s):
    """Where the way out cancels, it is what waits for proof; where it does not, the switch has its ten seconds."""
    stage = Stage(RISE, config_of(execution={"on_shutdown": policy}))
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.world.conditions.cancels = Cancels.LOST
    stage.disk.kill = ON
    asked = stage.clock.now()
    stage.wire.on_answer = lambda name: (
        stage.loop.stop("SIGTERM") if name == "cancel" and not stage.loop.stopping else 0
    )
    stage.cycle()
    swept = (stage.clock.now() - asked).total_seconds()
    assert stage.loop.stopping
    assert swept >= least_s
    code = stage.loop.run()
    assert (stage.clock.now() - asked).total_seconds() <= most_s
    assert code == (7 if policy == "cancel" else 0)
    assert stage.working(Side.BUY)
