"""Loss stops: measured on fills and marks, deaf to transfers, tripped once, released at the end of their period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.event import LatchCleared, PeakMoved, PeriodBegan
from bot.domain.snapshot import Performance, Valuation
from bot.domain.state import HaltCause, Ledger, Period, State, day_id, week_id
from bot.domain.value import replace
from bot.risk.stops import (
    DAILY,
    DRAWDOWN,
    breaches,
    day_end,
    ended,
    peak,
    performance,
    rearmed,
    rolled,
    week_end,
)
from tests.builders import NOW, balance, d, market, policy, position, snapshot, state

RISK = policy(risk={"daily_stop_pct": 3, "weekly_stop_pct": 6, "max_drawdown_pct": 12}).risk


def period(start: int = 1000, unrealised: int = 0, realised: int = 0, of: str = "2026-11-18") -> Period:
    return Period(of, d(start), d(unrealised), d(realised))


def standing(account: State, bid: int = 100, cash: int = 900) -> Performance:
    return performance(account, snapshot([market(bid=bid)], cash=cash, account=account).valuation)


def test_a_day_is_realised_profit_plus_the_change_of_what_is_open():
    held = position(amount=1, at=100)
    account = state([held], day=period(1000, unrealised=5, realised=-20))
    assert standing(account, bid=95).daily_pnl_pct == d(-3), "-20 realised, open from +5 to -5"


def test_fees_in_the_cost_are_part_of_the_loss():
    account = state([position(amount=1, at=100, fees=1)], day=period(1000))
    assert standing(account, bid=100).daily_pnl_pct == d("-0.1")


def test_drawdown_is_measured_from_the_peak_and_is_zero_above_it():
    assert standing(state([position()], peak_equity=d(1250))).drawdown_pct == d(-20)
    assert standing(state([position()], peak_equity=d(900))).drawdown_pct == d(0)


@pytest.mark.parametrize("start", [0, -5])
def test_a_start_that_is_not_positive_gives_no_figure(start):
    figures = standing(state(day=period(start), week=period(start), peak_equity=d(start)))
    assert figures == Performance(None, None, None)


def test_an_unpriced_position_gives_no_figure():
    held = state([position()], day=period(), week=period(), peak_equity=d(1))
    unknown = performance(held, snapshot([market(bid=None)], account=held).valuation)
    assert unknown == Performance(None, None, None)


@given(st.integers(-970, 100_000))
def test_a_transfer_in_the_making_moves_no_stop(amount):
    """Before it is explained it stands in the ledger as pending, and is neither gain nor loss."""
    before = state([position()], day=period(), week=period(), peak_equity=d(1100))
    moved = replace(before, ledgers={"USD": Ledger(d(900), NOW, pending=d(amount))})
    calm = standing(before)
    assert standing(moved, cash=900 + amount) == calm


def test_pending_coins_count_at_their_mark_and_without_one_nothing_is_known():
    pending = {"BTC": Ledger(d(1), NOW, pending=d(2))}
    account = state([position()], peak_equity=d(1000), ledgers=pending)
    doubled = snapshot([market()], cash=900, account=account, balances=[balance("BTC", 3)])
    assert performance(account, doubled.valuation).drawdown_pct == d(0)
    lost = state(peak_equity=d(1000), ledgers={"XYZ": Ledger(d(1), NOW, pending=d(2))})
    assert performance(lost, snapshot(cash=900, account=lost).valuation).drawdown_pct is None


def figures(daily: str = "0", weekly: str = "0", drawdown: str = "0") -> Performance:
    return Performance(d(daily), d(weekly), d(drawdown))


@pytest.mark.parametrize(
    ("seen", "name", "cause"),
    [
        (figures(daily="-3"), "daily_stop", HaltCause.DAILY_STOP),
        (figures(weekly="-6.5"), "weekly_stop", HaltCause.WEEKLY_STOP),
        (figures(drawdown="-12"), "drawdown_stop", HaltCause.DRAWDOWN_STOP),
    ],
)
def test_each_stop_trips_at_its_limit(seen, name, cause):
    (latch,) = breaches(seen, state(), RISK, NOW)
    assert (latch.name, latch.cause) == (name, cause)


def test_below_its_limit_or_unknown_or_off_nothing_trips():
    assert breaches(figures("-2.99", "-5.99", "-11.99"), state(), RISK, NOW) == ()
    assert breaches(Performance(None, None, None), state(), RISK, NOW) == ()
    off = policy(risk={"daily_stop_pct": None, "weekly_stop_pct": None, "max_drawdown_pct": None}).risk
    assert breaches(figures("-99", "-99", "-99"), state(), off, NOW) == ()


def test_a_stop_is_latched_once_for_its_period_and_released_exactly_at_its_end():
    (latch,) = breaches(figures(daily="-4"), state(), RISK, NOW)
    assert (latch.period, latch.ends_at) == ("2026-11-18", datetime(2026, 11, 19, tzinfo=UTC))
    kept = state(latches={latch.name: latch})
    assert breaches(figures(daily="-9"), kept, RISK, NOW) == ()
    assert ended(kept, datetime(2026, 11, 18, 23, 59, 59, tzinfo=UTC)) == ()
    assert [e.name for e in ended(kept, datetime(2026, 11, 19, tzinfo=UTC))] == [DAILY]


def test_only_an_operator_ends_a_drawdown_stop():
    (latch,) = breaches(figures(drawdown="-50"), state(), RISK, NOW)
    kept = state(latches={latch.name: latch})
    assert latch.ends_at is None
    assert ended(kept, NOW + timedelta(days=4000)) == ()


@pytest.mark.parametrize(
    ("at", "week", "end"),
    [
        (datetime(2026, 11, 18, 12, tzinfo=UTC), "2026-W47", datetime(2026, 11, 23, tzinfo=UTC)),
        (datetime(2026, 11, 23, 0, 0, tzinfo=UTC), "2026-W48", datetime(2026, 11, 30, tzinfo=UTC)),
        (datetime(2027, 1, 1, 5, tzinfo=UTC), "2026-W53", datetime(2027, 1, 4, tzinfo=UTC)),
    ],
)
def test_weeks_are_iso_weeks_in_utc(at, week, end):
    assert week_id(at) == week
    assert week_end(at) == end
    assert day_end(at) == datetime(at.year, at.month, at.day, tzinfo=UTC) + timedelta(days=1)


@given(st.integers(0, 36525 * 86400), st.sampled_from([day_id, week_id]))
def test_a_loss_counts_for_its_period_until_the_first_moment_of_the_next(seconds, id_of):
    at = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    here = period(of=id_of(at))
    assert here.ends_at > at
    assert id_of(here.ends_at - timedelta(microseconds=1)) == here.id
    assert id_of(here.ends_at) > here.id


def test_a_period_begins_with_the_equity_and_open_profit_of_the_moment():
    account = state([position(amount=1, at=90)], day=period(of="2026-11-17"), week=period(of="2026-W47"))
    begun = rolled(account, snapshot([market()], cash=900, account=account).valuation, NOW)
    assert begun == (PeriodBegan("day", Period("2026-11-18", d(1000), d(10))),)


def test_both_periods_begin_at_a_first_start():
    assert [e.kind for e in rolled(State(), snapshot().valuation, NOW)] == ["day", "week"]


def test_a_clock_set_back_forgets_no_loss():
    account = state(day=period(), week=period(of="2026-W47"))
    assert rolled(account, snapshot().valuation, NOW - timedelta(days=2)) == ()


@pytest.mark.parametrize("valuation", [Valuation(None, (), "BTC: no price"), snapshot(cash=0).valuation])
def test_a_period_does_not_begin_on_unknown_or_empty_equity(valuation):
    assert rolled(State(), valuation, NOW) == ()


def test_the_peak_moves_up_only_and_never_on_an_unexplained_difference():
    thousand = snapshot(cash=1000).valuation
    assert peak(state(), thousand) == (PeakMoved(d(1000)),)
    assert peak(state(peak_equity=d(999)), thousand) == (PeakMoved(d(1000)),)
    assert peak(state(peak_equity=d(1000)), thousand) == ()
    pending = {"USD": Ledger(d(1), NOW, pending=d(5))}
    assert peak(state(peak_equity=d(1), ledgers=pending), thousand) == ()


def test_a_resumed_stop_is_measured_from_the_moment_it_was_resumed():
    """Otherwise it would trip again in the next cycle, and resuming would mean nothing."""
    (latch,) = breaches(figures(drawdown="-20"), state(), RISK, NOW)
    account = state([position()], latches={DRAWDOWN: latch}, peak_equity=d(1250))
    here = snapshot([market()], cash=900, account=account).valuation
    cleared, moved = rearmed(DRAWDOWN, account, here, "operator")
    assert cleared == LatchCleared(DRAWDOWN, "operator")
    assert moved == PeakMoved(d(1000))


def test_a_resumed_day_keeps_its_name_and_starts_from_here():
    (latch,) = breaches(figures(daily="-4"), state(), RISK, NOW)
    account = state([position()], latches={DAILY: latch}, day=period(2000, realised=-80))
    here = snapshot([market()], cash=900, account=account).valuation
    assert rearmed(DAILY, account, here, "me")[1] == PeriodBegan("day", Period(day_id(NOW), d(1000), d(0)))


def test_nothing_is_rearmed_while_equity_is_unknown_or_nothing_is_latched():
    assert rearmed(DAILY, state(), snapshot().valuation, "me") == ()
    (latch,) = breaches(figures(daily="-4"), state(), RISK, NOW)
    assert rearmed(DAILY, state(latches={DAILY: latch}), Valuation(None, ()), "me") == ()
