"""Observations of an order: applied through the table, repeated ones ignored, impossible ones reported."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.event import Mismatch, OrderChanged
from bot.domain.order import TRANSITIONS, OrderEvent, OrderState, OrderType, VenueStatus
from bot.domain.product import Side
from bot.domain.state import Order
from bot.domain.value import replace
from bot.execution.lifecycle import Due, cancel_again_at, changed, due, measured, observed, timer
from bot.record.fold import apply
from bot.settings.policy import ExecutionPolicy
from tests.builders import NOW, d, order, price, report, size, state
from tests.record.world import enveloped

S, V = OrderState, VenueStatus
POLICY = ExecutionPolicy()


def seen(state=S.OPEN, status=V.OPEN, filled="0", known="0", **changes):
    ours = order(state=state, order_id="" if state in (S.SUBMITTED, S.UNKNOWN) else "ext-1", filled=size(known))
    theirs = report(status=status, filled=size(filled), filled_value=d(filled) * 100, **changes)
    return observed(ours, theirs)


def steps(payloads):
    return [(p.from_state, p.to_state) for p in payloads if isinstance(p, OrderChanged)]


@pytest.mark.parametrize(
    ("state", "status", "filled", "expected"),
    [
        (S.SUBMITTED, V.OPEN, "0", [(S.SUBMITTED, S.OPEN)]),
        (S.SUBMITTED, V.PENDING, "0", [(S.SUBMITTED, S.OPEN)]),
        (S.SUBMITTED, V.OPEN, "0.4", [(S.SUBMITTED, S.PARTIAL)]),
        (S.SUBMITTED, V.FILLED, "1", [(S.SUBMITTED, S.FILLED)]),
        (S.SUBMITTED, V.FAILED, "0", [(S.SUBMITTED, S.REJECTED)]),
        (S.SUBMITTED, V.CANCEL_QUEUED, "0", [(S.SUBMITTED, S.OPEN), (S.OPEN, S.CANCEL_PENDING)]),
        (S.UNKNOWN, V.CANCELLED, "0.2", [(S.UNKNOWN, S.CANCELED)]),
        (S.UNKNOWN, V.EXPIRED, "0", [(S.UNKNOWN, S.EXPIRED)]),
        (S.UNKNOWN, V.QUEUED, "0", [(S.UNKNOWN, S.OPEN)]),
        (S.UNKNOWN, V.UNKNOWN, "0", [(S.UNKNOWN, S.OPEN)]),
        (S.OPEN, V.OPEN, "0.4", [(S.OPEN, S.PARTIAL)]),
        (S.OPEN, V.FAILED, "0", [(S.OPEN, S.REJECTED)]),
        (S.OPEN, V.CANCEL_QUEUED, "0", [(S.OPEN, S.CANCEL_PENDING)]),
        (S.PARTIAL, V.FAILED, "0.4", [(S.PARTIAL, S.CANCELED)]),
        (S.CANCEL_PENDING, V.OPEN, "0.4", [(S.CANCEL_PENDING, S.CANCEL_PENDING)]),
        (S.CANCEL_PENDING, V.FAILED, "0", [(S.CANCEL_PENDING, S.CANCELED)]),
        (S.CANCEL_PENDING, V.FILLED, "1", [(S.CANCEL_PENDING, S.FILLED)]),
        (S.CANCEL_PENDING, V.OPEN, "0", []),
        (S.OPEN, V.OPEN, "0", []),
    ],
)
def test_what_a_report_does(state, status, filled, expected):
    assert steps(seen(state, status, filled)) == expected


@pytest.mark.parametrize("state", [S.CANCELED, S.EXPIRED, S.FILLED, S.REJECTED])
def test_a_fill_after_the_end_moves_the_quantity_and_never_the_state(state):
    [payload, *_] = seen(state, V.CANCELLED, "0.5", known="0.4")
    assert isinstance(payload, OrderChanged)
    assert (payload.from_state, payload.to_state, payload.filled) == (state, state, size("0.5"))


def test_a_cancelled_order_that_an_old_list_still_shows_open_changes_nothing():
    assert seen(S.CANCELED, V.OPEN) == []


def test_an_order_given_up_as_never_placed_that_works_is_a_mismatch():
    assert [type(p) for p in seen(S.REJECTED, V.OPEN)] == [Mismatch]


def test_an_older_report_takes_nothing_back():
    [payload] = seen(S.PARTIAL, V.CANCELLED, "0.3", known="0.4")
    assert isinstance(payload, OrderChanged)
    assert payload.filled == size("0.4")


def test_filled_with_less_than_all_of_it_is_not_believed():
    assert [type(p) for p in seen(S.OPEN, V.FILLED, "0.6")] == [Mismatch]


@pytest.mark.parametrize(
    "changes", [{"side": Side.SELL}, {"amount": 2}, {"name": "ETH-USD"}], ids=["side", "size", "product"]
)
def test_an_answer_that_names_another_order_is_never_adopted(changes):
    assert [type(p) for p in seen(S.UNKNOWN, V.OPEN, **changes)] == [Mismatch]


def test_an_order_that_a_person_made_smaller_is_still_the_same_order():
    assert steps(seen(S.OPEN, V.FILLED, "0.5", amount="0.5")) == [(S.OPEN, S.FILLED)]


def test_the_same_order_under_the_id_of_its_alias_is_the_same():
    assert steps(seen(S.UNKNOWN, V.OPEN, name="BTC-USDC")) == [(S.UNKNOWN, S.OPEN)]


def test_more_filled_than_asked_is_applied_and_reported():
    payloads = seen(S.OPEN, V.FILLED, "1.5")
    assert [type(p) for p in payloads] == [OrderChanged, Mismatch]


@given(st.sampled_from(list(S)), st.sampled_from(list(OrderEvent)))
def test_an_illegal_pair_is_reported_and_never_applied(state, event):
    payload = changed(order(state=state), event, "test")
    if event in TRANSITIONS[state]:
        assert isinstance(payload, OrderChanged)
        assert payload.to_state is TRANSITIONS[state][event]
    else:
        assert isinstance(payload, Mismatch)


@given(
    st.sampled_from(list(S)), st.sampled_from(list(V)),
    st.decimals("0", "1", places=2), st.decimals("0", "1", places=2),
)  # fmt: skip
def test_no_report_can_do_what_the_table_forbids_or_shrink_an_amount(state, status, known, filled):
    ours = order(state=state, order_id="ext-1", filled=size(known))
    for payload in observed(ours, report(status=status, filled=size(filled))):
        if isinstance(payload, OrderChanged):
            assert payload.to_state in TRANSITIONS[payload.from_state].values()
            assert payload.filled.value >= known
            assert not (state.is_terminal and payload.to_state is not state)


def test_a_cancel_that_leaves_is_marked_so():
    asked = changed(order(state=S.UNKNOWN), OrderEvent.CANCEL_ASKED, "halt")
    assert isinstance(asked, OrderChanged)
    assert asked.cancel_asked
    assert asked.to_state is S.UNKNOWN
    again = changed(order(state=S.CANCEL_PENDING, absent_listings=2), OrderEvent.CANCEL_ASKED, "again")
    assert isinstance(again, OrderChanged)
    assert again.absent_listings == 2, "a repeated cancel does not begin the proof of absence anew"


@pytest.mark.parametrize(
    ("ours", "after_s", "expected"),
    [
        (order(state=S.SUBMITTED), 10, Due.SILENCE),
        (order(state=S.SUBMITTED), 9, None),
        (order(state=S.CANCEL_PENDING, cancel_asked_at=NOW), 10, Due.CANCEL_AGAIN),
        (order(end_time=NOW + timedelta(seconds=105)), 105, Due.READ),
        (order(end_time=NOW + timedelta(seconds=105)), 104, None),
        (order(type=OrderType.LIMIT_IOC), 10, Due.READ),
        (order(type=OrderType.BRACKET), 100_000, None),
        (order(state=S.UNKNOWN), 100_000, None),
        (order(state=S.FILLED), 100_000, None),
    ],
)
def test_every_state_that_should_pass_has_its_timer(ours, after_s, expected):
    at = timer(ours, POLICY)
    fired = at is not None and at <= NOW + timedelta(seconds=after_s)
    assert (due(ours) if fired else None) is expected


def test_a_cancel_without_effect_is_repeated_after_as_long_as_was_waited_for_it_up_to_a_minute():
    asked, first = [0], order(state=S.CANCEL_PENDING, cancel_asked_at=NOW, cancel_first_asked_at=NOW)
    for _ in range(7):
        pending = replace(first, cancel_asked_at=NOW + timedelta(seconds=asked[-1]))
        asked.append(round((cancel_again_at(pending, POLICY) - NOW).total_seconds()))
    assert asked == [0, 10, 20, 40, 80, 140, 200, 260]
    back_in_time = replace(first, cancel_asked_at=NOW - timedelta(hours=1))
    assert cancel_again_at(back_in_time, POLICY) == NOW - timedelta(hours=1) + timedelta(seconds=10)


def test_a_resting_stop_has_no_timer():
    assert timer(order(type=OrderType.STOP_LIMIT), POLICY) is None


def test_slippage_is_positive_when_it_was_worse_on_either_side():
    done: dict[str, Any] = {
        "state": S.FILLED,
        "filled": size(2),
        "filled_value": d(202),
        "fees": d(1),
        "expected_price": price(100),
    }
    bought = measured(order(side=Side.BUY, amount=2, **done))
    sold = measured(order(side=Side.SELL, amount=2, **done))
    assert bought is not None
    assert sold is not None
    assert (bought.slippage_bps, sold.slippage_bps) == (d(100), d(-100))
    assert (bought.expected_fee, bought.actual_fee) == (d("1.212"), d(1))


@pytest.mark.parametrize("assumed", [90, 110], ids=["placed by us", "adopted"])
@pytest.mark.parametrize(
    ("side", "got", "leg", "worse_bps"),
    [
        (Side.SELL, 110, 110, 0),
        (Side.SELL, "110.11", 110, -10),
        (Side.SELL, "109.9999", 110, "0.0091"),
        (Side.SELL, 100, 90, "-1111.1111"),
        (Side.SELL, "89.91", 90, 10),
        (Side.SELL, 90, 90, 0),
        (Side.SELL, "85.5", 90, 500),
        (Side.BUY, 90, 90, 0),
        (Side.BUY, "110.11", 110, 10),
    ],
)
def test_a_bracket_is_measured_against_the_leg_that_traded(assumed, side, got, leg, worse_bps):
    """A target that fills is no windfall against the stop, and a stop that fills in time no loss against the target."""
    sold = measured(traded(bracket(side, expected_price=price(assumed)), (2, 2 * d(got))))
    assert sold is not None
    assert (sold.expected_price, sold.actual_price) == (price(leg), price(got))
    assert round(sold.slippage_bps, 4) == d(worse_bps)


@pytest.mark.parametrize(
    ("side", "parts", "expected", "actual", "worse_bps"),
    [
        (Side.SELL, [(1, 110), (2, "199.9")], 100, "99.95", 5),
        (Side.SELL, [(1, 110), ("1.5", 165), (2, "207.75")], 105, "103.875", "107.1429"),
        (Side.SELL, [("1.5", 165), (2, 210)], 105, 105, 0),
        (Side.SELL, [("0.5", 45), (2, 180)], 90, 90, 0),
        (Side.SELL, [(1, 110), (2, "219.99")], 110, "109.995", "0.4545"),
        (Side.SELL, [(1, 0), (2, 220)], 110, 110, 0),
        (Side.SELL, [(2, "199.9")], 90, "99.95", "-1105.5556"),
        (Side.BUY, [(1, 90), (2, "201.1")], 100, "100.55", 55),
    ],
    ids=[
        "half and half", "three parts", "stop without slippage", "stop in two parts", "rounded by the venue",
        "its value shown late", "both legs in one report", "bought back",
    ],
)  # fmt: skip
def test_a_bracket_that_both_legs_sold_is_measured_against_each_for_its_part(side, parts, expected, actual, worse_bps):
    """Half taken at the target made a windfall of a stop that slipped, and hid it from the breaker."""
    sold = measured(traded(bracket(side), *parts))
    assert sold is not None
    assert (sold.expected_price, sold.actual_price) == (price(expected), price(actual))
    assert round(sold.slippage_bps, 4) == d(worse_bps)


def bracket(side: Side, **changes: Any) -> Order:
    """Two coins between 90 and 110."""
    stop, target = (90, 110) if side is Side.SELL else (110, 90)
    return order(side=side, amount=2, limit=target, stop_price=price(stop), type=OrderType.BRACKET, **changes)


def traded(ours: Order, *parts: tuple[Any, Any]) -> Order:
    """The order as the state knows it after reports of so much filled, for so much, in all."""
    now = state(orders=[ours])
    for filled, value in parts:
        status = V.FILLED if size(filled) == ours.size else V.OPEN
        theirs = report(status=status, side=ours.side, amount=2, filled=size(filled), filled_value=d(value))
        for step in observed(now.orders[ours.client_order_id], theirs):
            now = apply(now, enveloped(step, now, NOW))
    return now.orders[ours.client_order_id]


def test_a_stop_limit_and_an_exit_are_measured_against_what_was_decided_on():
    done: dict[str, Any] = {"state": S.FILLED, "filled": size(2), "filled_value": d(190), "fees": d(1)}
    for kind, stop in ((OrderType.STOP_LIMIT, price(100)), (OrderType.LIMIT_IOC, None)):
        sold = measured(
            order(side=Side.SELL, amount=2, limit=95, type=kind, stop_price=stop, expected_price=price(100), **done)
        )
        assert sold is not None
        assert (sold.expected_price, sold.slippage_bps) == (price(100), d(500))


def test_an_order_without_fills_measures_nothing():
    assert measured(order(state=S.CANCELED)) is None
