"""The order table: a row for every state, nothing but the listed moves, terminal states absorb."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.order import TRANSITIONS, OrderEvent, OrderState, VenueStatus, advance
from bot.errors import IllegalTransition

S = OrderState
LISTED = {
    S.NEW: {S.SUBMITTED},
    S.SUBMITTED: {S.OPEN, S.PARTIAL, S.FILLED, S.REJECTED, S.CANCELED, S.EXPIRED, S.UNKNOWN},
    S.OPEN: {S.PARTIAL, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED, S.CANCEL_PENDING},
    S.PARTIAL: {S.FILLED, S.CANCELED, S.EXPIRED, S.CANCEL_PENDING},
    S.CANCEL_PENDING: {S.CANCELED, S.FILLED, S.EXPIRED, S.OPEN},
    S.UNKNOWN: {S.OPEN, S.PARTIAL, S.FILLED, S.CANCELED, S.EXPIRED, S.REJECTED},
    S.FILLED: set(),
    S.CANCELED: set(),
    S.EXPIRED: set(),
    S.REJECTED: set(),
}


def test_every_state_has_a_row():
    assert set(TRANSITIONS) == set(OrderState) == set(LISTED)


@pytest.mark.parametrize("state", OrderState)
def test_only_the_listed_moves_exist(state):
    assert {target for target in TRANSITIONS[state].values() if target is not state} == LISTED[state]


@pytest.mark.parametrize("state", [state for state in OrderState if state.is_terminal])
def test_a_terminal_state_is_left_by_nothing(state):
    assert set(TRANSITIONS[state]) == {OrderEvent.LATE_FILL}
    assert advance(state, OrderEvent.LATE_FILL) is state


@given(st.lists(st.sampled_from(OrderEvent), max_size=30))
def test_no_sequence_of_events_resurrects_an_order(events):
    state, ended = OrderState.NEW, False
    for event in events:
        with suppress(IllegalTransition):
            state = advance(state, event)
        assert not (ended and state.is_working)
        ended = ended or state.is_terminal


def test_silence_is_never_evidence_of_absence():
    assert advance(S.SUBMITTED, OrderEvent.SILENCE) is S.UNKNOWN
    assert S.UNKNOWN.is_working


def test_a_status_we_do_not_know_counts_as_working():
    assert not VenueStatus.UNKNOWN.is_terminal


def test_an_illegal_event_names_itself_and_the_state():
    with pytest.raises(IllegalTransition, match="FILL while CANCELED"):
        advance(S.CANCELED, OrderEvent.FILL)
