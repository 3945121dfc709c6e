"""Kill, halts, governors, shutdown: what stops, what stays, and what is sold when everything has to go."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from bot.domain.decision import Reason
from bot.domain.money import Price, Size
from bot.domain.order import OrderKind, OrderState, OrderType, PlannedOrder, VenueStatus
from bot.domain.position import Exits
from bot.domain.product import Side
from bot.domain.value import replace
from bot.errors import AuthRefused, CriticalDataUnavailable, StorageFailed, Transient
from bot.execution.controls import Permits
from bot.execution.engine import OURS
from bot.execution.identity import generate_client_order_id
from bot.ports import KillProbe, KillState, WakeReason
from tests.builders import NOW, d, fee_tier
from tests.execution.world import BTC, TAG, World, buy, sell

KILLED = KillState(KillProbe.PRESENT, "stop")


def killed(world: World) -> None:
    world.kill = KILLED
    world.permits = Permits(entries=False, exits=False, cancel_entries=True, why="kill switch")


def test_nothing_leaves_once_the_kill_switch_is_seen():
    world = World()
    world.kill = KILLED
    report = world.cycle(buy("1"))
    assert [item.reason for item in report.refused] == [Reason.KILL_SWITCH]
    assert world.orders == []


def test_a_kill_between_the_record_and_the_request_stops_the_request():
    """The intent is durable, the file appears, and the last look before the socket sees it."""
    world = World()
    looks = iter([KillState(KillProbe.ABSENT)])
    world.kill_at = lambda: next(looks, KILLED)
    report = world.cycle(buy("1"))
    assert [item.reason for item in report.refused] == [Reason.KILL_SWITCH]
    assert world.exchange.posts == []
    assert [(order.state, order.why[:9]) for order in world.orders] == [(OrderState.REJECTED, "not sent:")]
    assert world.state.intents[1].closed


@pytest.mark.parametrize("probe", [KillProbe.PRESENT, KillProbe.UNREADABLE])
def test_an_exit_does_not_leave_under_a_kill_either(probe):
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    before = len(world.exchange.posts)
    world.kill = KillState(probe)
    world.cycle(sell("1"))
    assert len(world.exchange.posts) == before


def test_a_kill_cancels_entries_until_two_sweeps_are_clean_and_leaves_the_stop():
    world = World()
    world.own("1", exits=Exits(stop_loss_pct=d(5)))
    world.cycle()
    world.place_second_product()
    world.exchange.faults.cancel_s = 1.5
    killed(world)
    done = world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=10), "kill")
    assert done.left == ()
    assert [record.plan.kind for record in world.exchange.working()] == [OrderKind.PROTECTIVE]


def test_an_order_of_ours_that_shows_only_after_a_clean_sweep_is_taken_back_too():
    """The journal does not know it, and the list is half a second late: one clean look is not enough."""
    world = World()
    world.cycle()
    cid = generate_client_order_id(TAG, "a lost journal", 1, 1)
    world.exchange.faults.lag_s = 0.5
    world.exchange.place(
        PlannedOrder(cid, BTC, Side.BUY, OrderKind.ENTRY, OrderType.LIMIT_GTC, Size(Decimal(1)), Price(Decimal(50)))
    )
    killed(world)
    done = world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=10), "kill")
    assert done.left == ()
    assert world.exchange.working() == []


def test_cancels_are_repeated_every_second_while_nobody_hears_them():
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.deaf = True
    killed(world)
    began = world.clock.now()
    done = world.engine.cancel_all(OURS, began + timedelta(seconds=10), "kill")
    asked = [at for at, _ in world.exchange.cancels if at >= began]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(asked)]
    assert len(asked) >= 5
    assert max(gaps) <= 2
    assert done.left == (world.last.client_order_id,)


def test_a_halt_that_is_no_kill_does_not_cancel_what_is_cancelled_and_still_listed_all_the_time():
    world = World(execution={"maker_max_reprices": 0})
    world.cycle(buy("1"))
    world.exchange.faults.ghost_s = 90
    world.permits = Permits(entries=False, exits=True, cancel_entries=True, why="daily stop")
    began = world.clock.now()
    while world.clock.now() < began + timedelta(seconds=60):
        world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=2), "halted", pressing=False)
        world.serve()
    assert world.states() == ["CANCEL_PENDING"]
    assert 2 <= len(world.exchange.cancels) <= 5, world.exchange.cancels
    killed(world)
    before = len(world.exchange.cancels)
    world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=10), "kill")
    assert len(world.exchange.cancels) - before >= 8


@pytest.mark.parametrize("reason", ["UNKNOWN_CANCEL_ORDER", "ORDER_IS_FULLY_FILLED", "COMMANDER_REJECTED_CANCEL_ORDER"])
def test_a_cancel_refused_since_nothing_is_left_waits_for_proof_and_any_other_is_tried_again_at_once(reason):
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.refusal = reason
    world.permits = Permits(entries=False, exits=True, cancel_entries=True, why="daily stop")
    for _ in range(3):
        world.serve()
    ended = reason != "COMMANDER_REJECTED_CANCEL_ORDER"
    assert len(world.exchange.cancels) == (1 if ended else 3)
    assert world.states() == ["CANCEL_PENDING" if ended else "OPEN"]


def test_an_order_of_unknown_fate_is_cancelled_when_the_exchange_first_shows_it():
    world = World()
    world.exchange.faults.lag_s = 4
    world.exchange.faults.place.append("lost")
    world.cycle(buy("1"))
    killed(world)
    done = world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=10), "kill")
    assert done.left == ()
    assert world.exchange.orders["order-1"].status is VenueStatus.CANCELLED
    shown = world.exchange.orders["order-1"].shown_from
    assert min(at for at, _ in world.exchange.cancels) - shown <= timedelta(seconds=2)


@pytest.mark.parametrize(
    "error", [Transient("no answer"), AuthRefused("401"), CriticalDataUnavailable("orders", "NaN")]
)
def test_cancels_leave_although_nothing_can_be_read(error):
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.reads = error
    done = world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=3), "kill")
    assert world.exchange.working() == []
    assert done.left != ()


def test_cancels_leave_although_nothing_can_be_written():
    world = World()
    world.cycle(buy("1"))
    world.break_storage()
    with pytest.raises(StorageFailed):
        world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=3), "storage")
    assert world.exchange.working() == []


def test_no_order_leaves_when_its_intent_cannot_be_made_durable():
    world = World()
    world.break_storage()
    with pytest.raises(StorageFailed):
        world.cycle(buy("1"))
    assert world.exchange.posts == []


def test_orders_of_other_people_are_never_cancelled():
    world = World()
    world.foreign_order()
    world.cycle(buy("1"))
    world.engine.cancel_all(set(OrderKind), world.clock.now() + timedelta(seconds=5), "kill")
    assert [record.plan.client_order_id for record in world.exchange.working()] == ["a-person"]


def test_a_loss_stop_cancels_entries_and_lets_exits_and_stops_go_on():
    world = World()
    world.cycle(buy("0.5"))
    world.permits = Permits(entries=False, cancel_entries=True, why="daily stop")
    report = world.cycle(buy("1"))
    assert world.exchange.working(Side.BUY) == []
    assert [item.reason for item in report.refused] != []
    world.check()


def test_flatten_sells_everything_under_a_kill_and_nothing_more():
    world = World()
    world.own("1", exits=Exits(stop_loss_pct=d(5)))
    world.cycle()
    killed(world)
    world.permits = Permits(entries=False, cancel_entries=True, cancel_protective=True, flatten=True, why="kill")
    world.engine.flatten({BTC: world.product}, fee_tier())
    assert world.exchange.wallets["BTC"] == 0
    world.engine.settle()
    world.engine.flatten({BTC: world.product}, fee_tier())
    assert world.held == 0
    assert world.exchange.working() == []
    world.check()


def test_flatten_goes_on_cycle_after_cycle_in_a_thin_book():
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    killed(world)
    world.permits = Permits(entries=False, flatten=True, why="kill")
    world.exchange.depth = Decimal("0.3")
    for _ in range(4):
        world.engine.flatten({BTC: world.product}, fee_tier())
        world.engine.settle()
        world.clock.pass_(2)
        world.observe()
    assert world.held == 0
    world.check()


def test_flatten_without_the_permission_is_an_ordinary_order_and_refused():
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    killed(world)
    world.engine.flatten({BTC: world.product}, fee_tier())
    assert world.exchange.wallets["BTC"] == 1


def test_too_many_orders_in_a_minute_latch():
    world = World(execution={"governors": {"orders_per_minute": 2, "same_side_repeats": 50}})
    for _ in range(2):
        world.cycle(buy("0.1"))
        world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=3), "test")
        world.clock.pass_(2)
        world.cycle()
    report = world.cycle(buy("0.1"))
    assert [item.reason for item in report.refused] == [Reason.ORDERS_PER_MINUTE]
    assert list(world.state.latches) == ["governor.orders_per_minute"]
    assert len(world.exchange.posts) == 2


def test_the_same_exit_for_ever_latches():
    world = World(
        exits={"resting_on_exchange": False},
        execution={"governors": {"same_side_repeats": 3, "same_side_window_minutes": 10}},
    )
    world.own("1")
    world.exchange.depth = Decimal("0.1")
    reasons = []
    for _ in range(5):
        reasons += [item.reason for item in world.cycle(sell("1")).refused]
        world.clock.pass_(10)
        world.cycle()
    assert Reason.SAME_SIDE_REPEATS in reasons
    assert "governor.same_side_repeats" in world.state.latches


def test_a_days_notional_has_a_ceiling():
    world = World(execution={"governors": {"notional_per_day_usd": 150}})
    world.cycle(buy("1"))
    world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=3), "test")
    world.clock.pass_(600)
    world.cycle()
    report = world.cycle(buy("1"))
    assert [item.reason for item in report.refused] == [Reason.NOTIONAL_PER_DAY]


def test_shutdown_sees_entries_gone_and_keeps_the_stop():
    world = World()
    world.own("1", exits=Exits(stop_loss_pct=d(5)))
    world.cycle()
    world.place_second_product()
    done = world.engine.shutdown(world.clock.now() + timedelta(seconds=20))
    assert done.left == ()
    assert [record.plan.kind for record in world.exchange.working()] == [OrderKind.PROTECTIVE]


@pytest.mark.parametrize("error", [Transient("no answer"), CriticalDataUnavailable("orders", "truncated")])
def test_shutdown_with_an_unreachable_exchange_lists_what_is_left(error):
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.reads = world.exchange.faults.cancels = error
    began = world.clock.now()
    done = world.engine.shutdown(began + timedelta(seconds=20))
    assert done.left == (world.last.client_order_id,)
    assert world.clock.now() - began <= timedelta(seconds=20)


def test_a_second_signal_stops_waiting_after_the_cancels_were_asked():
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.deaf = True
    began = world.clock.now()
    done = world.engine.shutdown(began + timedelta(seconds=20), hurry=lambda: True)
    assert len(world.exchange.cancels) == 1
    assert done.left
    assert world.clock.now() == began


def test_no_failing_answer_ends_a_round():
    """Exits, timers, listings and settling while every read is unreadable: all of it is in the report."""
    world = World()
    world.own("1", exits=Exits(stop_loss_pct=d(5)))
    snap = world.snapshot()
    world.exchange.faults.reads = world.exchange.faults.cancels = CriticalDataUnavailable("orders", "not JSON")
    report = world.execute(snap, sell("1"), buy("1"))
    assert any("not JSON" in error for error in report.errors)
    world.exchange.faults.place.append("dropped")
    world.execute(replace(snap, service=True))
    world.engine.resolve_unknown()
    world.engine.settle(snap)
    assert [record.plan.kind for record in world.exchange.working()] == [OrderKind.PROTECTIVE]


def test_orders_may_be_left_to_their_expiry_at_shutdown():
    world = World(execution={"on_shutdown": "leave"})
    world.cycle(buy("1"))
    done = world.engine.shutdown(world.clock.now() + timedelta(seconds=20))
    assert done.left == ()
    assert len(world.exchange.working()) == 1


def test_a_late_fill_during_shutdown_is_booked():
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.cancel_s = 1
    world.clock.after(0.5, lambda: world.exchange.fill("order-1", "0.4"))
    world.engine.shutdown(world.clock.now() + timedelta(seconds=20))
    assert world.held == Decimal("0.4")


def test_a_wake_that_cut_a_wait_short_is_not_lost():
    world = World()
    world.clock.wake(WakeReason.PRICE)
    world.cycle(buy("1"))
    assert list(world.clock.wakes) == [WakeReason.PRICE]


def test_storage_that_fails_keeps_orders_in():
    world = World()
    world.healthy = False
    report = world.cycle(buy("1"))
    assert [item.reason for item in report.refused] == [Reason.STORAGE_FAILED]


def test_a_price_that_left_the_collar_is_refused_and_not_repriced():
    world = World(exits={"resting_on_exchange": False})
    snap = world.snapshot()
    world.exchange.show("BTC-USD", "90", "90.02")
    report = world.execute(snap, buy("1"))
    assert [item.reason for item in report.refused] == [Reason.PRICE_COLLAR]
    assert world.exchange.posts == []
    assert world.state.latches == {}


def test_an_old_quote_is_refused_at_the_send():
    world = World()
    snap = world.snapshot()
    world.clock.pass_(6)
    report = world.execute(replace(snap, now=snap.now), buy("1"))
    assert [item.reason for item in report.refused] == [Reason.QUOTE_STALE]


def test_a_kill_that_appears_while_the_intent_is_being_written_still_stops_the_order():
    world = World()

    def appear(line: bytes) -> None:
        if b"intent.recorded" in line:
            world.kill = KILLED

    world.storage.on_write = appear
    world.cycle(buy("1"))
    assert len(world.orders) == 1
    assert world.exchange.posts == []


def test_a_cancelled_order_that_is_still_listed_is_not_cancelled_for_ever():
    world = World()
    world.cycle(buy("1"))
    world.engine.cancel_all(OURS, world.clock.now(), "halt")
    world.cycle()
    assert world.states() == ["CANCELED"]
    asked = len(world.exchange.cancels)
    world.exchange.orders["order-1"].status = VenueStatus.OPEN  # an old copy of the list
    done = world.engine.cancel_all(OURS, world.clock.now() + timedelta(seconds=5), "halt")
    assert done.left == ()
    assert len(world.exchange.cancels) == asked


def test_stops_that_have_to_go_are_not_placed_again():
    world = World()
    world.own("1", exits=Exits(stop_loss_pct=d(5)))
    world.permits = Permits(entries=False, cancel_protective=True, why="hold naked")
    for _ in range(3):
        world.cycle()
    assert world.exchange.working() == []
    assert [order.kind for _, order in world.exchange.posts].count(OrderKind.PROTECTIVE) == 1


def test_a_stop_is_not_taken_back_for_one_that_may_not_follow():
    """Re-sizing has used up its share of the governors: the smaller stop stays, rather than none."""
    world = World(execution={"governors": {"same_side_repeats": 3}})
    world.own("1", exits=Exits(stop_loss_pct=d(5)))
    world.own_more("0.5")
    world.clock.pass_(2)
    report = world.cycle()
    assert Reason.SAME_SIDE_REPEATS in [item.reason for item in report.refused]
    assert [str(record.plan.size) for record in world.exchange.working(Side.SELL)] == ["1"]
    assert world.state.latches == {}


def test_a_stop_without_a_position_is_lifted():
    world = World()
    world.own("1", exits=Exits(stop_loss_pct=d(5)))
    world.forget_position()
    world.cycle()
    assert world.exchange.working() == []


def test_an_outage_does_not_make_the_timers_spin():
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.reads = world.exchange.faults.cancels = world.outage()
    world.clock.pass_(45)
    assert world.engine.next_timer() == NOW + timedelta(seconds=45)
    world.engine.manage_open_orders(None)
    again = world.engine.next_timer()
    assert again is not None
    assert again - world.clock.now() >= timedelta(seconds=4)


def test_an_idle_account_has_no_timer():
    assert World().engine.next_timer() is None


def test_without_a_snapshot_orders_are_tended_and_nothing_is_sent():
    world = World()
    world.cycle(buy("1"))
    world.clock.pass_(45)
    world.engine.manage_open_orders(None)
    assert world.states() == ["CANCELED"]
    world.clock.pass_(5)
    world.engine.manage_open_orders(None)
    assert len(world.exchange.posts) == 1
