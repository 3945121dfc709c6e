"""The loop as a process: restarts, schedules, reloads, signals and the way out."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.adapters.clock import ManualClock
from bot.adapters.rng import SeededRng
from bot.domain.order import OrderKind, OrderState
from bot.domain.product import Side
from bot.domain.value import replace
from bot.errors import LockHeld, Transient
from bot.loop.schedule import SERVICE_GAP, Schedule, service_gap
from bot.ops.alerts import Severity
from bot.ports import WakeReason
from simulator.server import START
from tests.loop.markets import BOUGHT, RISE, calm, slide, then
from tests.loop.stage import BTC, Stage, config_of, steady, up


def decisions(stage: Stage) -> list[tuple[Any, ...]]:
    """What each cycle decided, without what names a run: ids of cycles and orders."""
    return [
        (made["outcome"], made["reason"], [{k: v for k, v in row.items() if k != "id"} for row in made["proposals"]])
        for made in stage.events("decision.made")
    ]


# ---------------------------------------------------------------------------------------------------- restarts


@pytest.mark.parametrize("cycles", range(1, 7))
def test_a_restart_at_any_cycle_decides_as_the_undisturbed_bot_would(cycles):
    """Seven scheduled cycles with and without a restart after the n-th: the same orders at the same prices."""

    def told(restart: int | None) -> list[tuple[Any, ...]]:
        stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
        for number in range(1, 8):
            stage.idle((START + timedelta(seconds=60 * number + 2) - stage.clock.now()).total_seconds())
            stage.cycle()
            if number == restart:
                stage.boot()
        orders = [(o.side, o.kind, str(o.size), str(o.limit_price), o.state, o.created_at) for o in stage.orders()]
        stage.check()
        return [*decisions(stage), *orders]

    assert told(cycles) == told(None)


def test_a_restart_forgets_no_position_no_pause_and_no_stop():
    stage = Stage(then(*calm(90, 900)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    before = stage.state
    stage.boot()
    after = stage.state
    assert after.positions == before.positions
    assert after.cooldowns == before.cooldowns
    assert after.orders == before.orders
    stage.run_for(70)
    assert len(stage.working(Side.SELL)) == 1
    assert len(stage.wire.placed) == 2
    stage.check()


def test_the_lock_that_was_taken_away_ends_the_bot_before_it_looks_at_anything():
    stage = Stage(RISE)
    stage.disk.held = False
    with pytest.raises(LockHeld):
        stage.cycle()
    assert stage.wire.placed == []


# ---------------------------------------------------------------------------------------------------- schedule


def test_scheduled_cycles_come_just_after_bars_close():
    stage = Stage([*calm(10, 600)])
    stage.run_for(300)
    starts = [cycle.started_at - START for cycle in stage.cycles[1:]]
    assert starts == [timedelta(seconds=60 * n + 2) for n in range(len(starts))]


def test_cycles_that_were_overrun_are_skipped_and_counted():
    stage = Stage([*calm(10, 900)])
    stage.run_for(61)
    stage.wire.on_call = lambda name: stage.idle(150) if name == "balances" and not stage.metric(OVERRUNS) else None
    stage.run_for(400)
    assert stage.metric(OVERRUNS) == 2
    assert stage.logged("cycle.overran")[0]["skipped"] == 2
    gaps = {b.started_at - a.started_at for a, b in zip(stage.cycles[-3:], stage.cycles[-2:], strict=False)}
    assert gaps == {timedelta(seconds=60)}, "nothing is queued"


OVERRUNS = "bot_cycle_overruns_total"


def test_jitter_never_comes_before_the_bar_has_closed():
    clock, policy = ManualClock(START), config_of(loop={"jitter_pct": 20}).policy
    schedule = Schedule(clock, SeededRng(7))
    for _ in range(200):
        due = schedule.next_cycle(policy)
        assert due.timestamp() % 60 >= 2
        clock.wait_until(due)
    assert schedule.overruns == 0


def test_service_cycles_keep_their_distance_in_a_storm_of_events():
    stage = Stage([*calm(10, 900)])
    stage.run_for(61)
    before = len(stage.cycles)
    for tenth in range(600):
        stage.at(120 + tenth / 10, lambda: stage.clock.wake(WakeReason.USER_EVENT))
    stage.run_for(180)
    starts = [cycle.started_at for cycle in stage.cycles[before:]]
    assert all(later - earlier >= SERVICE_GAP for earlier, later in itertools.pairwise(starts))


def test_a_cycle_between_two_scheduled_ones_says_what_it_sent():
    """The exit of a trailing stop, and before it the protective order that followed the fill."""
    config = config_of({"trailing_stop_pct": "2.5"}, exits={"resting_on_exchange": False})
    rise = [up(300, "66500"), *steady(302, 420, "66500", 5)]
    stage = Stage(then(*calm(90, 290), *rise, *slide(430, ["64700"], 240)), config)
    stage.run_until(lambda: stage.held("BTC"), 200)
    stage.run_until(lambda: not stage.held("BTC"), 600)
    sold = next(cycle for cycle in stage.cycles if "sent exit SELL" in cycle.detail)
    (order,) = (order for order in stage.orders() if order.kind is OrderKind.EXIT)
    assert sold.outcome == "TRADED"
    assert sold.started_at.second != 2, "no scheduled cycle"
    assert sold.detail == f"sent exit SELL {order.size} BTC-USD at {order.limit_price}"
    guarded = Stage(then(*calm(90, 290)))
    guarded.run_until(lambda: guarded.working(Side.SELL), 200)
    assert "sent protective SELL" in guarded.last.detail


def test_products_that_only_wait_after_a_start_are_no_empty_universe():
    stage = Stage(then(*calm(90, 900)), config_of(universe={"hysteresis": {"enter_after": 3, "leave_after": 3}}))
    stage.run_for(400)
    assert stage.cycles[0].reason == "too_few_eligible"
    assert stage.last.reason != "too_few_eligible"
    assert "universe.empty" not in stage.alerts()


@pytest.mark.parametrize(("fruitless", "seconds"), [(0, 1), (3, 1), (4, 2), (5, 4), (6, 8), (7, 10), (500, 10)])
def test_the_distance_grows_while_nothing_comes_of_it(fruitless, seconds):
    assert service_gap(fruitless) == timedelta(seconds=seconds)


# ---------------------------------------------------------------------------------------------------- reload


def test_a_reload_takes_effect_at_the_next_cycle_and_is_recorded():
    stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.cycle()
    tight = config_of(risk={"max_open_positions": 1, "cooldown_minutes": 1})
    stage.loop.reload(lambda _running: tight)
    stage.run_for(61)
    assert stage.last.config_hash == tight.config_hash
    assert stage.events("config.loaded")[-1]["config_hash"] == tight.config_hash
    assert stage.published[0]["config_hash"] == tight.config_hash


def test_a_reload_reaches_everything_that_judges_what_is_read():
    """A limit that was tightened and said to be in force: the observer must not go on by the one it started with."""
    stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.idle(62)
    stage.window.aged = timedelta(seconds=4)
    tight = config_of(data={"max_quote_staleness_seconds": 3}, alerts={"dedupe_seconds": 600})
    stage.loop.reload(lambda _running: tight)
    stage.run_for(1)
    assert stage.wire.placed == []
    assert stage.events("decision.made")[-1]["excluded"]["quote_stale"] == 1
    stage.window.aged = timedelta(seconds=2)
    assert stage.cycle().outcome == "TRADED"
    for _ in range(2):
        stage.loop.tell("drill", Severity.INFO, "a drill", "")
        stage.idle(500)
    assert [row["fingerprint"] for row in stage.events("alert.raised")].count("drill") == 1


def test_a_reload_is_told_to_what_lies_outside_the_loop():
    stage = Stage([*calm(10, 600)])
    heard: list[object] = []
    stage.loop._operator = replace(stage.loop._operator, configured=heard.append)
    tight = config_of(rate_limits={"hourly": 5000})
    stage.loop.reload(lambda _running: tight)
    stage.run_for(61)
    assert heard == [tight]


def test_a_reload_that_is_refused_keeps_the_running_configuration():
    stage = Stage([*calm(10, 600)])
    stage.cycle()

    def refuse(_running: object) -> None:
        stage.loop.tell("config.looser", Severity.CRITICAL, "a live reload may only tighten", "risk.max_total_pct")

    stage.loop.reload(refuse)
    stage.run_for(61)
    assert stage.last.config_hash == stage.config.config_hash
    assert stage.alerts()["config.looser"] == "CRITICAL"


# ---------------------------------------------------------------------------------------------------- the way out


def test_a_stop_cancels_entries_leaves_stops_and_answers_zero():
    stage = Stage(then(*calm(90, 900)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    assert stage.leave() == 0
    assert [order.side for order in stage.working()] == [Side.SELL]
    assert stage.events("run.stopped")[-1]["exit_code"] == 0
    assert stage.alerts()["shutdown"] == "INFO"
    state = json.loads(stage.disk.snapshots[0])
    assert state["seq"] == stage.state.seq


def test_a_stop_while_an_entry_works_sees_it_gone():
    stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    assert stage.leave() == 0
    assert stage.working() == []
    assert stage.orders()[0].state is OrderState.CANCELED
    stage.check()


def test_a_fill_that_races_the_shutdown_is_booked():
    stage = Stage([*BOUGHT, *calm(90, 600)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)

    def trade_first(name: str) -> None:
        if name == "cancel":
            stage.wire.on_call = lambda _name: None
            stage.idle(20)

    stage.wire.on_call = trade_first
    assert stage.leave() == 0
    assert stage.state.positions[BTC].size.value == stage.held("BTC") > Decimal(0)
    stage.check()


def test_a_stop_with_the_venue_away_lists_what_may_still_work_and_answers_seven():
    stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    for call in ("cancel", "working_orders", "order", "balances", "fills_since"):
        stage.wire.broken[call] = Transient("unreachable")
    asked_at = stage.clock.now()
    assert stage.leave() == 7
    assert stage.clock.now() - asked_at <= timedelta(seconds=20)
    ours = stage.wire.placed[0].client_order_id
    assert stage.events("run.stopped")[-1]["still_working"] == [ours]
    assert stage.alerts()["shutdown"] == "CRITICAL"
    assert ours in stage.alert_texts()
    stage.wire.broken.clear()
    stage.boot()
    stage.cycle()
    assert ours in stage.state.orders
    stage.run_until(lambda: stage.state.orders[ours].state is OrderState.CANCELED, 120)


def test_a_second_signal_stops_waiting_for_proof():
    stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.wire.broken["cancel"] = Transient("unreachable")
    stage.loop.stop("SIGTERM")
    asked_at = stage.clock.now()
    stage.at((asked_at - START).total_seconds() + 2, lambda: stage.loop.stop("SIGTERM"))
    assert stage.loop.run() == 7
    assert stage.clock.now() - asked_at <= timedelta(seconds=4)


def test_no_order_begins_once_a_stop_was_asked_for():
    """SIGTERM between the approval and its request: the decision stands in the journal, the order nowhere."""
    stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.idle(62)

    def stop(line: bytes) -> None:
        if b'"decision.made"' in line:
            stage.loop.stop("SIGTERM")

    stage.disk.before_append = stop
    assert stage.loop.run() == 0
    assert stage.wire.placed == []
    assert stage.events("decision.made")[-1]["outcome"] == "TRADED"
    assert stage.cycles[-1].outcome == "NO_TRADE"


def test_an_exit_that_was_lost_is_not_sent_again_during_a_shutdown():
    config = config_of({"max_hold_minutes": 5}, exits={"resting_on_exchange": False})
    stage = Stage(then(*calm(90, 900)), config)
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    sold: list[str] = []

    def swallow(order: Any) -> None:
        sold.append(order.client_order_id)
        if order.side is Side.SELL:
            stage.loop.stop("SIGTERM")
            raise stage.lost(order)

    stage.wire.before_place = swallow
    assert stage.loop.run() == 7
    assert len(sold) == 1


def test_once_leaves_its_orders_to_their_expiry():
    stage = Stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.idle(62)
    assert stage.loop.run(once=True) == 0
    assert len(stage.working(Side.BUY)) == 1
    assert stage.events("run.stopped")[-1]["exit_code"] == 0


def test_once_answers_zero_also_without_a_trade():
    stage = Stage([*calm(10, 600)])
    assert stage.loop.run(once=True) == 0
    assert stage.last.outcome == "NO_TRADE"
    assert json.loads(stage.disk.files["heartbeat.json"])["outcome"] == "NO_TRADE"


def test_a_large_trade_waits_for_a_word_and_uses_it_once():
    config = config_of(risk={"approval_above_usd": 100})
    stage = Stage([*RISE, *steady(62, 900, "65500", 20), up(700, "65500")], config)
    stage.run_until(lambda: stage.state.approvals, 200)
    assert stage.wire.placed == []
    (wanted,) = stage.state.approvals
    assert stage.alerts()[f"approval.{wanted}"] == "WARNING"
    stage.inbox.drop("approve", wanted)
    stage.run_until(lambda: stage.wire.placed, 130)
    assert len(stage.wire.placed) == 1
    stage.check()


def test_the_service_manager_hears_of_a_long_wait_three_times_as_often_as_it_asks_to():
    """A healthy bot with a slow schedule must not be killed by its watchdog while it waits."""
    heard = []
    for asks in (None, 300.0):
        stage = Stage([*calm(10, 7000)], config_of(loop={"interval_seconds": 3000}))
        stage.heart.watchdog_s = asks
        stage.run_for(6500)
        heard.append(stage.heart.heard)
        assert len(stage.cycles) < 10, "the waits are long"
    assert heard[1] - heard[0] > 40, "every 100 s in between, where a cycle does not speak itself"


def test_exposure_is_told_by_asset_and_theme_and_forgotten_when_it_is_gone():
    stage = Stage([*RISE, *BOUGHT])
    stage.run_until(lambda: stage.held("BTC"))
    stage.run_for(60)
    held = stage.metric("bot_exposure_pct", scope="asset:BTC")
    assert held > 0
    assert stage.metric("bot_exposure_pct", scope="total") == held


def test_every_stage_of_a_cycle_is_timed():
    stage = Stage([*calm(10, 900)])
    stage.cycle()
    timed = {name for name in ("commands", "observe", "decide", "act", "settle", "record")
             if stage.metric("bot_cycle_seconds_count", stage=name) == 1}  # fmt: skip
    assert timed == {"commands", "observe", "decide", "act", "settle", "record"}
    assert set(stage.logged("cycle.completed")[-1]["stage_ms"]) == timed
