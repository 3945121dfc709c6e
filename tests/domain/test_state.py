"""What is worked out of the state is worked out of its newest orders and intents."""

from __future__ import annotations

import pytest

from bot.domain.order import OrderState
from bot.domain.state import BreakerState, Ledger, State
from bot.domain.value import replace
from tests.builders import NOW, d, intent, order, size


def test_an_order_that_ended_works_no_more_though_it_was_looked_for_before():
    open_ = order(cid="a", order_id="at-the-venue")
    before = State(orders={"a": open_})
    assert (before.working, before.of_base["BTC"]) == ((open_,), [open_])
    ended = replace(open_, state=OrderState.FILLED)
    after = before.changed(orders={"a": ended})
    assert (after.working, after.of_base["BTC"]) == ((), [ended])
    assert after.order_of("at-the-venue") is ended


def test_no_order_is_found_under_an_id_that_the_venue_never_gave():
    state = State(orders={"a": order(cid="a", order_id="")})
    assert state.order_of("") is None
    assert state.order_of("at-the-venue") is None


def test_a_change_of_something_else_leaves_the_orders_as_they_were():
    before = State(orders={"a": order(cid="a")})
    assert before.changed(seq=7).working == before.working
    assert before.changed(seq=7).seq == 7


def test_a_closed_intent_gets_no_further_order_though_it_was_looked_for_before():
    old, new = intent(1), intent(2)
    before = State(intents={2: new, 1: old})
    assert before.open_intents == (old, new)
    assert before.changed(intents={2: new, 1: replace(old, closed=True)}).open_intents == (new,)


def test_a_misspelt_field_is_refused():
    with pytest.raises(TypeError, match="`State` has no field 'postions'"):
        State().changed(postions={})


def test_a_fill_that_is_not_booked_keeps_an_order_that_ended_in_question():
    unsent, over = order(cid="a", order_id=""), order(cid="b", order_id="B", state=OrderState.FILLED)
    before = State(orders={"a": unsent, "b": over, "c": order(cid="c", order_id="C")})
    assert [each.order_id for each in before.unsettled] == ["C"]
    after = before.changed(orders={**before.orders, "b": replace(over, filled=size(1))})
    assert [each.order_id for each in after.unsettled] == ["B", "C"]


def test_a_breaker_that_trips_is_open_though_it_was_looked_for_before():
    calm, tripped = BreakerState("slippage", open=False), BreakerState("rejections", open=True)
    before = State(breakers={"slippage": calm})
    assert before.open_breakers == ()
    assert before.changed(breakers={"slippage": calm, "rejections": tripped}).open_breakers == (tripped,)


def test_only_differences_that_are_open_are_pending():
    even, short = Ledger(d(1), NOW), Ledger(d(100), NOW, pending=d(-3))
    before = State(ledgers={"USD": short, "BTC": even, "ADA": replace(even, pending=d(2))})
    assert list(before.pending.items()) == [("ADA", d(2)), ("USD", d(-3))]
    assert (before.unexplained("ADA"), before.unexplained("USD")) == (size(2), size(0))
    assert before.changed(ledgers={"BTC": even}).pending == {}


def test_a_wallet_has_moved_once_something_came_or_went():
    held = Ledger(d(1), NOW)
    before = State(ledgers={"BTC": held, "ADA": Ledger(d(0), NOW), "USD": held.after(d(-1))})
    assert before.unmoved == {"BTC"}
    assert before.changed(ledgers={"BTC": held.after(d(1))}).unmoved == frozenset()
