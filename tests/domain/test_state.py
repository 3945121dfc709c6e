"""What is worked out of the state is worked out of its newest orders and intents."""

from __future__ import annotations

import pytest

from bot.domain.order import OrderState
from bot.domain.state import State
from bot.domain.value import replace
from tests.builders import intent, order


def test_an_order_that_ended_works_no_more_though_it_was_looked_for_before():
    open_ = order(cid="a", order_id="at-the-venue")
    before = State(orders={"a": open_})
    assert before.working == before.of_base["BTC"] == (open_,)
    ended = replace(open_, state=OrderState.FILLED)
    after = before.changed(orders={"a": ended})
    assert (after.working, after.of_base["BTC"]) == ((), (ended,))
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
