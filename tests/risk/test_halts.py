"""The halt table: every cause has every cell, and several causes permit what the strictest does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.snapshot import Halt
from bot.domain.state import BreakerState, HaltCause, Latch
from bot.domain.value import replace
from bot.risk.halts import FREE, REASONS, TABLE, Protective, active_halts, permission, strictest
from tests.builders import NOW, policy, snapshot, state

DEFAULT = policy()
CAUSES = list(HaltCause)
EXITS_GO_ON = {
    HaltCause.DAILY_STOP, HaltCause.WEEKLY_STOP, HaltCause.DRAWDOWN_STOP, HaltCause.GOVERNOR, HaltCause.BREAKER,
    HaltCause.STALE_DATA, HaltCause.RECONCILE_PENDING, HaltCause.EXIT_ONLY, HaltCause.AUTH_DEGRADED,
    HaltCause.NLV_UNKNOWN, HaltCause.CLOCK_SKEW,
}  # fmt: skip
ENTRIES_STAY = {HaltCause.BREAKER, HaltCause.STALE_DATA, HaltCause.RECONCILE_PENDING}


def halt(cause: HaltCause, name: str = "") -> Halt:
    return Halt(cause, "because", NOW, name)


def permitted(*causes: HaltCause, rules=DEFAULT):
    return permission([halt(cause) for cause in causes], rules)


def test_every_cause_has_a_row_and_a_reason():
    assert set(TABLE) == set(HaltCause)
    assert set(REASONS) == set(HaltCause)


@pytest.mark.parametrize("cause", CAUSES)
def test_no_cell_is_empty_and_nothing_is_ever_entered(cause):
    row = permitted(cause)
    assert row.entries is False
    assert row.ends
    assert row.exits is (cause in EXITS_GO_ON)
    assert row.cancel_entries is (cause not in ENTRIES_STAY)
    assert row.protective is Protective.STAY


def test_without_a_halt_everything_may_be_done():
    assert permission([], DEFAULT) == FREE
    assert FREE.entries
    assert FREE.exits


@pytest.mark.parametrize(
    ("on_halt", "protective", "exits"),
    [
        ("hold_protected", Protective.STAY, False),
        ("hold_naked", Protective.CANCEL, False),
        ("flatten", Protective.FLATTEN, True),
    ],
)
def test_the_kill_switch_does_what_the_policy_says_with_stops_and_positions(on_halt, protective, exits):
    row = permitted(HaltCause.KILL_SWITCH, rules=policy(kill_switch={"on_halt": on_halt}))
    assert (row.protective, row.exits, row.exit_code, row.cancel_entries) == (protective, exits, 6, True)


@pytest.mark.parametrize("exits", [True, False])
@pytest.mark.parametrize("cancel", [True, False])
@pytest.mark.parametrize(
    ("breaker", "made"),
    [
        ("api_errors", halt(HaltCause.BREAKER, "api_errors")),
        ("stale_data", halt(HaltCause.STALE_DATA)),
        ("reconcile_mismatch", halt(HaltCause.RECONCILE_PENDING)),
    ],
)
def test_a_breaker_decides_about_exits_and_working_entries_itself(breaker, made, exits, cancel):
    declared = {breaker: {"exits_allowed": exits, "cancel_entries": cancel}}
    row = permission([made], policy(risk={"breakers": declared}))
    assert (row.exits, row.cancel_entries) == (exits, cancel)


def test_a_shutdown_leaves_entries_only_when_told_so():
    assert permitted(HaltCause.SHUTDOWN).cancel_entries
    assert permitted(HaltCause.SHUTDOWN).exit_code == 0
    assert not permitted(HaltCause.SHUTDOWN, rules=policy(execution={"on_shutdown": "leave"})).cancel_entries


def test_stops_are_not_taken_away_by_a_flatten_that_may_not_sell():
    flatten = policy(kill_switch={"on_halt": "flatten"})
    both = permitted(HaltCause.KILL_SWITCH, HaltCause.STORAGE, rules=flatten)
    assert both.exits is False
    assert both.protective is Protective.STAY


@given(st.lists(st.sampled_from(CAUSES)), st.sampled_from(CAUSES))
def test_a_further_halt_never_permits_more(causes, another):
    before, after = permitted(*causes), permitted(*causes, another)
    assert after.entries <= before.entries
    assert after.exits <= before.exits
    assert after.cancel_entries >= before.cancel_entries


@given(st.lists(st.sampled_from(CAUSES)), st.randoms(use_true_random=False))
def test_the_order_of_halts_does_not_matter(causes, chance):
    shuffled = causes[:]
    chance.shuffle(shuffled)
    one, other = permitted(*causes), permitted(*shuffled)
    assert replace(one, ends="") == replace(other, ends="")


def test_both_ends_are_told():
    both = strictest(permitted(HaltCause.DAILY_STOP), permitted(HaltCause.STORAGE))
    assert "UTC day" in both.ends
    assert "writes" in both.ends


def latch(ends_at) -> Latch:
    return Latch("daily_stop", HaltCause.DAILY_STOP, "-3.2 %", NOW, "2026-11-18", ends_at)


def test_a_latch_halts_until_its_period_ends():
    running = snapshot(account=state(latches={"daily_stop": latch(NOW + timedelta(seconds=1))}))
    assert [h.name for h in active_halts(running)] == ["daily_stop"]
    over = snapshot(account=state(latches={"daily_stop": latch(NOW)}))
    assert active_halts(over) == ()
    forever = snapshot(account=state(latches={"daily_stop": latch(None)}))
    assert len(active_halts(forever)) == 1


def test_an_open_breaker_of_the_account_halts_and_one_of_a_product_does_not():
    open_until = NOW + timedelta(minutes=1)
    broken = {n: BreakerState(n, True, since=NOW, until=open_until) for n in ("api_errors", "volatility:SOL-USD")}
    halts = active_halts(snapshot(account=state(breakers=broken)))
    assert [(h.cause, h.name) for h in halts] == [(HaltCause.BREAKER, "api_errors")]


def test_a_halt_seen_twice_counts_once():
    seen = snapshot(account=state(latches={"daily_stop": latch(None)}), halts=(halt(HaltCause.DAILY_STOP),))
    assert len(active_halts(seen)) == 1
    two = snapshot(halts=(halt(HaltCause.KILL_SWITCH), halt(HaltCause.SHUTDOWN)))
    assert {h.cause for h in active_halts(two)} == {HaltCause.KILL_SWITCH, HaltCause.SHUTDOWN}


def test_a_breaker_nobody_declared_is_treated_as_a_plain_one():
    row = permission([halt(HaltCause.BREAKER, "no_such_breaker")], DEFAULT)
    assert (row.entries, row.exits) == (False, True)
