"""The last look before the socket: each rule refuses by itself, and only a flattening sale is exempt."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.decision import Reason, Reject
from bot.domain.order import OrderKind, OrderState, OrderType, PlannedOrder
from bot.domain.product import Side
from bot.domain.state import SentOrder
from bot.domain.value import replace
from bot.execution.controls import Permits
from bot.execution.last_hop import Breach, Moment, judge
from bot.ports import KillProbe, KillState
from tests.builders import NOW, d, order, pid, policy, position, price, quote, size, state

KILL = KillState(KillProbe.PRESENT, "stop")
BUY = PlannedOrder(
    "new", pid("BTC-USD"), Side.BUY, OrderKind.ENTRY, OrderType.LIMIT_POST_ONLY, size(1), price(100)
)  # fmt: skip
SELL = replace(BUY, side=Side.SELL, kind=OrderKind.EXIT, type=OrderType.LIMIT_IOC, limit_price=price(99))
STOP = replace(
    SELL, kind=OrderKind.PROTECTIVE, type=OrderType.STOP_LIMIT, stop_price=price(95), limit_price=price("92.15")
)
CALM = Moment(
    NOW, KillState(KillProbe.ABSENT), True, Permits(), quote(), state([position()]), pid("BTC-USD"), counted=False
)
FLAT = Permits(entries=False, exits=False, flatten=True)


def sent(*ages_s: float, side=Side.BUY, notional=100, name="BTC-USD"):
    return tuple(SentOrder(NOW - timedelta(seconds=age), pid(name), side, d(notional)) for age in ages_s)


def verdict(planned, moment=CALM, flatten=False, **governors):
    return judge(planned, moment, policy(execution={"governors": governors}), flatten=flatten)


def reason(planned, moment=CALM, flatten=False, **governors):
    found = verdict(planned, moment, flatten, **governors)
    return found.refusal.reason if isinstance(found, Breach) else found.reason if isinstance(found, Reject) else None


@pytest.mark.parametrize("planned", [BUY, SELL, STOP], ids=["entry", "exit", "stop"])
def test_a_calm_moment_lets_an_order_go(planned):
    assert verdict(planned) is None


@pytest.mark.parametrize("planned", [BUY, SELL, STOP], ids=["entry", "exit", "stop"])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kill": KILL}, Reason.KILL_SWITCH),
        ({"kill": KillState(KillProbe.UNREADABLE)}, Reason.KILL_SWITCH),
        ({"storage_healthy": False}, Reason.STORAGE_FAILED),
        ({"permits": Permits(entries=False, exits=False)}, Reason.HALTED),
        ({"quote": None}, Reason.QUOTE_MISSING),
        ({"now": NOW + timedelta(seconds=5.1)}, Reason.QUOTE_STALE),
    ],
)
def test_each_fact_refuses_by_itself(planned, change, expected):
    assert reason(planned, replace(CALM, **change)) is expected


def test_a_halt_on_entries_lets_exits_and_stops_go():
    halted = replace(CALM, permits=Permits(entries=False))
    assert reason(BUY, halted) is Reason.HALTED
    assert verdict(SELL, halted) is None
    assert verdict(STOP, halted) is None


@pytest.mark.parametrize(
    ("planned", "limit", "allowed"),
    [
        (BUY, "103.02", True), (BUY, "103.03", False), (BUY, "10", False), (BUY, "1000", False),
        (SELL, "97", True), (SELL, "96.99", False), (SELL, "1000", False),
    ],
)  # fmt: skip
def test_a_limit_may_not_lie_further_from_the_market_than_the_collar(planned, limit, allowed):
    assert (reason(replace(planned, limit_price=price(limit))) is None) is allowed


def test_a_collar_refuses_and_does_not_latch():
    assert isinstance(verdict(replace(BUY, limit_price=price(10))), Reject)


def test_a_stop_is_measured_from_its_own_trigger_which_must_lie_below_the_market():
    assert reason(replace(STOP, limit_price=price(92))) is Reason.PRICE_COLLAR
    assert reason(replace(STOP, stop_price=price(100), limit_price=price(99))) is Reason.PRICE_COLLAR


def test_an_order_without_a_limit_needs_the_policys_word():
    naked = replace(SELL, type=OrderType.MARKET, limit_price=None)
    assert reason(naked) is Reason.PRICE_COLLAR
    assert judge(naked, CALM, policy(execution={"allow_market_orders": True})) is None


def test_no_sale_exceeds_what_is_held_and_not_on_offer():
    assert reason(replace(SELL, size=size("1.00000001"))) is Reason.NOTHING_TO_SELL
    resting = order(side=Side.SELL, amount="0.4", cid="other", kind=OrderKind.PROTECTIVE)
    offered = replace(CALM, state=state([position()], [resting]))
    assert reason(SELL, offered) is Reason.NOTHING_TO_SELL
    assert verdict(replace(SELL, size=size("0.6")), offered) is None


def test_a_sale_of_unknown_fate_and_one_that_is_not_booked_yet_still_count():
    lost = order(side=Side.SELL, amount="0.4", cid="lost", state=OrderState.UNKNOWN)
    late = order(side=Side.SELL, amount="0.3", cid="late", state=OrderState.FILLED, filled=size("0.3"))
    moment = replace(CALM, state=state([position()], [lost, late]))
    assert verdict(replace(SELL, size=size("0.3")), moment) is None
    assert reason(replace(SELL, size=size("0.30000001")), moment) is Reason.NOTHING_TO_SELL


def test_only_a_flattening_sale_of_what_is_held_passes_a_kill():
    killed = replace(CALM, kill=KILL, permits=FLAT)
    assert verdict(SELL, killed, flatten=True) is None
    assert reason(SELL, killed) is Reason.HALTED
    assert reason(BUY, killed, flatten=True) is Reason.HALTED
    assert reason(replace(SELL, size=size(2)), killed, flatten=True) is Reason.NOTHING_TO_SELL
    assert reason(SELL, replace(killed, permits=Permits(exits=False)), flatten=True) is Reason.HALTED


def test_a_flattening_sale_is_not_governed_but_keeps_the_collar():
    busy = replace(CALM, kill=KILL, permits=FLAT, state=replace(CALM.state, sent=sent(1, 2, 3)))
    assert verdict(SELL, busy, flatten=True, orders_per_minute=1) is None
    assert reason(replace(SELL, limit_price=price(50)), busy, flatten=True) is Reason.PRICE_COLLAR


@pytest.mark.parametrize(
    ("history", "limits", "expected"),
    [
        (sent(1, 2), {"orders_per_minute": 2}, Reason.ORDERS_PER_MINUTE),
        (sent(1, 60), {"orders_per_minute": 2}, None),
        (sent(100, 80_000), {"orders_per_day": 2}, Reason.ORDERS_PER_DAY),
        (sent(100, 86_400), {"orders_per_day": 2}, None),
        (sent(100, notional=900), {"notional_per_day_usd": 999}, Reason.NOTIONAL_PER_DAY),
        (sent(100, notional=900), {"notional_per_day_usd": 1000}, None),
        (sent(100, 200), {"same_side_repeats": 2}, Reason.SAME_SIDE_REPEATS),
        (sent(100, 600), {"same_side_repeats": 2}, None),
        (sent(100, 200, side=Side.SELL), {"same_side_repeats": 2}, None),
        (sent(100, 200, name="ETH-USD"), {"same_side_repeats": 2}, None),
    ],
)
def test_every_governor_has_its_ceiling_and_latches(history, limits, expected):
    moment = replace(CALM, state=replace(CALM.state, sent=history))
    found = verdict(BUY, moment, **limits)
    assert (found.refusal.reason if isinstance(found, Breach) else found) is expected


def test_the_order_being_checked_counts_once():
    full = replace(CALM, state=replace(CALM.state, sent=sent(0, 1)), counted=True)
    assert verdict(BUY, full, orders_per_minute=2) is None
    assert isinstance(verdict(BUY, replace(full, counted=False), orders_per_minute=2), Breach)


def test_resizing_stops_never_uses_up_the_way_out():
    history = replace(CALM, state=replace(CALM.state, sent=sent(10, 20, 30, 40, side=Side.SELL)))
    assert isinstance(verdict(STOP, history, same_side_repeats=6), Reject)
    assert verdict(SELL, history, same_side_repeats=6) is None
