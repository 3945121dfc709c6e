"""Answers that were lost, disks that are full, books that cannot be trusted, and mistakes of our own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from bot.domain.order import OrderState
from bot.domain.product import Side
from bot.errors import OutcomeUnknown, StateCorrupt, Transient
from bot.ports import KillProbe, KillState
from tests.loop.markets import BOUGHT, RISE, calm, then
from tests.loop.seams import Disk
from tests.loop.stage import BTC, Stage, config_of, steady


def quoting() -> Stage:
    """A bot with one entry at the bid, in a market that does not reach it."""
    stage = Stage([*RISE, *steady(62, 1800, "65500", 20)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    return stage


def test_a_feed_that_stays_down_is_told_once_and_its_return_too():
    stage = Stage(calm(10, 900))
    stage.complaints["user"] = "refused: authentication failure"
    stage.run_for(60)
    assert stage.alerts() == {"feed.user": "WARNING"}
    assert "authentication failure" in stage.alert_texts()
    assert stage.last.outcome == "NO_TRADE"
    stage.complaints.clear()
    stage.run_for(60)
    told = [a["state"] for a in stage.events("alert.raised") if a["fingerprint"] == "feed.user"]
    assert told == ["firing", "resolved"]


# --------------------------------------------------------------------------------------------------- lost answers


def test_an_order_whose_answer_was_lost_is_found_and_never_sent_twice():
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.idle(62)
    stage.wire.lost_answers = 1
    stage.cycle()
    assert stage.alerts()[f"unknown.{stage.orders()[0].client_order_id}"] == "CRITICAL"
    stage.run_until(lambda: stage.orders(OrderState.OPEN), 30)
    assert len(stage.working(Side.BUY)) == 1
    assert len({order.client_order_id for order in stage.wire.placed}) == len(stage.wire.placed) == 1
    stage.check()


def test_an_order_that_filled_before_its_answer_was_lost_is_booked_once():
    stage = Stage([*BOUGHT, *calm(90, 900)])
    stage.idle(62)
    stage.wire.lost_answers = 1
    stage.cycle()
    stage.wire.broken["working_orders"] = Transient("no listing now")
    stage.run_for(20)
    assert stage.held("BTC") > 0
    assert stage.orders(OrderState.UNKNOWN), "a failed listing is no evidence"
    del stage.wire.broken["working_orders"]
    stage.run_until(lambda: stage.orders(OrderState.FILLED), 120)
    assert stage.state.positions[BTC].size.value == stage.held("BTC")
    assert len([order for order in stage.wire.placed if order.side is Side.BUY]) == 1
    assert len(stage.events("fill.booked")) == 1
    stage.check()


def test_an_order_that_never_arrived_is_given_up_after_a_minute_of_complete_listings():
    stage = Stage([*RISE, *steady(62, 1800, "65500", 20)])
    stage.idle(62)
    lost: list[str] = []

    def swallow(order: object) -> None:
        del order
        if not lost:
            lost.append("one")
            stage.wire.broken["place"] = OutcomeUnknown("any", "torn before the venue saw it")
        else:
            stage.wire.broken.pop("place", None)

    stage.wire.before_place = swallow
    stage.cycle()
    stage.wire.broken.clear()
    (order,) = stage.orders()
    sent = order.created_at
    stage.run_until(lambda: stage.orders(OrderState.REJECTED), 200)
    assert stage.clock.now() - sent >= timedelta(seconds=60)
    assert stage.working() == []
    assert stage.metric("bot_unknown_orders") == 0
    stage.check()


def test_a_restart_in_the_middle_of_an_order_finds_it():
    """Killed between the request and the record of its answer."""
    stage = Stage([*RISE, *steady(62, 900, "65500", 20)])
    stage.idle(62)
    stage.disk.before_append = _die_at(b'"accepted"')
    with pytest.raises(Killed):
        stage.cycle()
    stage.disk.before_append = lambda _line: None
    assert len(stage.working(Side.BUY)) == 1
    stage.boot()
    stage.cycle()
    assert [order.state for order in stage.orders()] == [OrderState.OPEN]
    assert len(stage.wire.placed) == 1
    stage.check()


# --------------------------------------------------------------------------------------------------- storage


def test_a_signal_of_hours_ago_is_not_followed_after_a_restart():
    stage = Stage([*RISE, *steady(62, 300, "65500", 10), *calm(300, 40000, "65400")])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    before = len(stage.wire.placed)
    stage.idle(6 * 3600)
    stage.boot()
    stage.run_for(130)
    assert stage.wire.placed[before:] == []
    assert stage.state.intents[1].closed


def test_a_full_disk_stops_entries_cancels_them_and_is_told():
    stage = quoting()
    stage.disk.full = True
    assert stage.cycle().outcome == "HALTED"
    assert stage.last.reason == "storage_failed"
    assert stage.working(Side.BUY) == []
    assert [json.loads(body)["fingerprint"] for body in stage.courier.carried].count("storage.failed") == 1
    assert stage.metric("bot_halts", cause="storage") == 1
    assert stage.published[0]["halted"]
    assert stage.published[0]["halt_reason"] == "storage: the journal cannot be written"
    orders = len(stage.wire.placed)
    stage.run_for(300)
    assert len(stage.wire.placed) == orders
    stage.disk.full = False
    stage.run_for(200)
    assert stage.last.reason != "storage_failed"
    assert not stage.published[0]["halted"]
    assert stage.state.orders[stage.wire.placed[0].client_order_id].state is OrderState.CANCELED
    stage.check()


def writes_of_an_entry() -> int:
    stage = Stage([*RISE, *steady(62, 400, "65500", 20)])
    stage.cycle()
    stage.idle(62)
    before = stage.disk.writes
    stage.cycle()
    return stage.disk.writes - before


WRITES = 9
"""So often a cycle that enters writes."""


def test_a_cycle_that_enters_writes_as_often_as_these_tests_break_it():
    assert writes_of_an_entry() == WRITES


@pytest.mark.parametrize("number", range(WRITES))
def test_whichever_write_fails_no_order_is_lost_and_none_doubled(number):
    """The disk fills at the n-th write of the cycle that enters, and is freed a while later."""
    stage = Stage([*RISE, *steady(62, 1200, "65500", 20)])
    stage.cycle()
    stage.idle(62)
    stage.disk.fail_after = number
    stage.cycle()
    placed = len(stage.wire.placed)
    stage.run_for(8)
    assert len(stage.wire.placed) == placed, "nothing is sent that cannot be recorded"
    assert stage.working(Side.BUY) == [], "what was sent is taken back"
    stage.run_for(120)
    assert len(stage.wire.placed) == placed
    stage.disk.fail_after, stage.disk.full = None, False
    stage.run_for(130)
    assert not stage.loop.store.broken
    journalled = {row["client_order_id"] for row in stage.events("intent.recorded")}
    assert {order.client_order_id for order in stage.wire.placed} <= journalled
    stage.check()


def test_books_that_cannot_be_trusted_start_halted_and_change_nothing():
    stage = quoting()
    stage.disk.snapshots = [b"{}" for _ in stage.disk.snapshots]
    before = (dict(stage.disk.days), list(stage.disk.snapshots))
    stage.boot()
    stage.run_for(200)
    assert {cycle.outcome for cycle in stage.cycles[-3:]} == {"HALTED"}
    assert (dict(stage.disk.days), list(stage.disk.snapshots)) == before
    assert stage.alerts()["state.corrupt"] == "CRITICAL"
    assert len(stage.wire.placed) == 1
    assert stage.leave() == 0


def test_a_reload_while_nothing_can_be_written_is_in_force_at_once_and_recorded_when_the_disk_is_back():
    stage, tight = quoting(), config_of(risk={"max_open_positions": 1})
    stage.disk.full = True
    stage.loop.reload(lambda _running: tight)
    stage.run_for(130)
    assert (stage.last.reason, stage.last.config_hash) == ("storage_failed", tight.config_hash)
    assert stage.working(Side.BUY) == []
    stage.disk.full = False
    stage.run_for(130)
    assert [item["config_hash"] for item in stage.events("config.loaded")].count(tight.config_hash) == 1
    assert not stage.published[0]["halted"]
    stage.check()


def test_a_reload_without_trusted_books_writes_nothing_and_the_bot_stays_to_obey_the_kill_switch():
    stage, tight = quoting(), config_of(risk={"max_open_positions": 1})
    stage.disk.snapshots = [b"{}" for _ in stage.disk.snapshots]
    before = (dict(stage.disk.days), list(stage.disk.snapshots))
    stage.boot()
    stage.loop.reload(lambda _running: tight)
    stage.run_for(130)
    assert (stage.last.outcome, stage.last.config_hash) == ("HALTED", tight.config_hash)
    assert (dict(stage.disk.days), list(stage.disk.snapshots)) == before
    assert stage.leave() == 0


def test_the_kill_switch_takes_our_entries_back_even_without_books():
    stage = quoting()
    stage.disk.snapshots = [b"{}" for _ in stage.disk.snapshots]
    stage.boot()
    stage.disk.kill = KillState(KillProbe.PRESENT, "looks wrong")
    assert stage.loop.run(once=True) == 6
    assert stage.working(Side.BUY) == []
    assert stage.last.reason == "kill_switch"


def test_the_state_of_another_account_is_refused():
    stage = quoting()
    stage.boot(portfolio="somebody-else")
    assert stage.cycle().outcome == "HALTED"
    assert "another account" in stage.alert_texts()
    with pytest.raises(StateCorrupt):
        stage.loop.store.record(None)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------- our mistakes


@pytest.mark.parametrize("call", ["balances", "working_orders", "order", "fills_since", "cancel", "place"])
def test_a_mistake_of_ours_ends_the_cycle_and_not_the_bot(call):
    """ERROR, counted, told; the loop goes on, and is itself again once the mistake no longer strikes."""
    stage = quoting()
    stage.wire.broken[call] = ZeroDivisionError("a bug")
    stage.run_for(200)
    assert stage.loop.last is not None
    errors = [cycle for cycle in stage.cycles if cycle.outcome == "ERROR"]
    assert errors, stage.tail()
    assert stage.logged("cycle.failed")
    del stage.wire.broken[call]
    stage.run_for(900)
    assert stage.last.outcome in {"NO_TRADE", "TRADED"}
    assert stage.leave() == 0
    assert stage.working(Side.BUY) == []


def test_a_cycle_that_could_not_look_stands_in_the_journal_with_its_reason():
    stage = quoting()
    stage.wire.broken["balances"] = Transient("page 2 answered 500")
    stage.cycle()
    made = stage.events("decision.made")[-1]
    assert (made["outcome"], made["reason"]) == ("NO_TRADE", "data_unavailable")
    assert "page 2 answered 500" in made["detail"]


def test_a_burst_of_mistakes_opens_the_breaker():
    stage = quoting()
    stage.wire.broken["balances"] = ZeroDivisionError("a bug")
    stage.run_for(200)
    assert stage.state.breakers["exceptions"].open
    assert stage.alerts()["halt.breaker.exceptions"] in {"WARNING", "CRITICAL"}
    assert stage.working(Side.BUY) == []


def test_a_report_that_cannot_be_made_does_not_end_the_bot():
    stage = quoting()
    stage.fail_reports = True
    stage.cycle()
    assert stage.logged("cycle.not_reported")
    stage.fail_reports = False
    assert stage.leave() == 0


def test_a_shutdown_that_fails_lists_what_may_still_work():
    stage = quoting()
    stage.wire.broken |= {"cancel": ZeroDivisionError("a bug"), "working_orders": ZeroDivisionError("a bug")}
    assert stage.leave() == 7
    assert stage.events("run.stopped")[-1]["still_working"] == [stage.wire.placed[0].client_order_id]
    assert stage.alerts()["shutdown"] == "CRITICAL"


class Killed(BaseException):
    """The process is gone."""


def _die_at(sign: bytes) -> Callable[[bytes], object]:
    def die(line: bytes) -> None:
        if sign in line:
            raise Killed

    return die


def test_this_disk_fails_when_told():
    disk = Disk()
    disk.fail_after = 1
    disk.write("a", b"1")
    with pytest.raises(Exception, match="no space"):
        disk.write("b", b"2")


def test_a_stop_at_the_venue_outlives_a_full_disk():
    stage = Stage(then(*calm(90, 900)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    stage.disk.full = True
    stage.run_for(200)
    assert len(stage.working(Side.SELL)) == 1
    stage.disk.full = False
    stage.run_for(120)
    stage.check()
