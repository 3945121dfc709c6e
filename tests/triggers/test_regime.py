"""Regime: which of four markets this is, or why nobody knows. Hour bars, two days of return unless said otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.bars import Granularity
from bot.domain.decision import Reason, Regime
from bot.settings.policy import RegimePolicy
from bot.triggers.columns import ColumnWindows, SeriesColumns
from bot.triggers.indicators import LiveWindows
from bot.triggers.regime import RegimeReading, check, needed_bars, read
from tests.triggers.markets import series

HOUR = Granularity.ONE_HOUR


def policy(**changes: Any) -> RegimePolicy:
    return RegimePolicy.model_validate({"return_days": 2, **changes})


def judged(closes: list[int], highs: list[int] | None = None, **changes: Any) -> RegimeReading:
    return read(LiveWindows(series(closes, highs=highs, granularity=HOUR)), policy(**changes))


def drifted(to: int, hours: int = 48) -> list[int]:
    """From 100 000 to `to` in equal steps, so that no hour is violent."""
    return [100_000 + (to - 100_000) * k // hours for k in range(hours + 1)]


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (105_000, Regime.BULL),
        (104_999, Regime.CHOP),
        (100_000, Regime.CHOP),
        (95_001, Regime.CHOP),
        (95_000, Regime.BEAR),
        (85_001, Regime.BEAR),
        (85_000, Regime.CRASH),
    ],
)
def test_the_return_names_the_regime_and_each_limit_belongs_to_its_outer_side(to: int, expected: Regime) -> None:
    assert judged(drifted(to)).regime is expected


@pytest.mark.parametrize(("close", "expected"), [(94_001, Regime.BEAR), (94_000, Regime.CRASH), (93_999, Regime.CRASH)])
def test_six_percent_below_the_peak_of_the_last_hour_is_a_crash(close: int, expected: Regime) -> None:
    """Peak 100 000 in the bar before this one; the drop of exactly the limit counts."""
    assert judged([100_000] * 48 + [close], crash_volatility_pct="1000").regime is expected


def test_the_fast_rule_counts_from_the_high_not_from_the_close() -> None:
    closes = [100_000] * 48 + [95_000]
    highs = [100_000] * 47 + [102_000, 100_000]
    assert judged(closes).regime is Regime.BEAR
    assert judged(closes, highs).regime is Regime.CRASH


def test_the_fast_rule_needs_two_hourly_bars_only() -> None:
    assert judged([100_000, 90_000]).regime is Regime.CRASH


def test_wild_swings_without_a_net_move_are_a_crash() -> None:
    """Hourly moves of about 2 %: 0.02 x sqrt(8760) = 187 % a year."""
    swings = [100_000, 98_000] * 24 + [100_000]
    assert judged(swings, crash_volatility_pct="180").regime is Regime.CRASH
    assert judged(swings, crash_volatility_pct="200").regime is Regime.CHOP


@pytest.mark.parametrize(("limit", "expected"), [("73", Regime.CRASH), ("73.000001", Regime.BULL)])
def test_volatility_of_exactly_the_limit_is_a_crash(limit: str, expected: Regime) -> None:
    """+8 % and +3 % in 120 hours: squares add to 73 / 10^4, and 8760 / 120 = 73, so exactly 73 % a year."""
    closes = [100_000] * 119 + [108_000, 111_240]
    assert judged(closes, return_days=5, crash_volatility_pct=limit).regime is expected


def test_missing_history_is_unknown_and_says_which() -> None:
    reading = judged(drifted(100_000)[-24:])
    assert reading.regime is None
    assert reading.problem is not None
    assert reading.problem.reason is Reason.DATA_UNAVAILABLE
    assert reading.problem.detail == (
        "regime unknown: BTC-USD has 24 bars, 25 are needed for the least history of 24 hours"
    )


def test_a_young_market_is_read_over_the_hours_it_has() -> None:
    reading = judged(drifted(100_000)[-25:])
    assert reading.regime is not None
    assert reading.features["return"].endswith("in 24 h")


def test_no_bars_at_all_is_unknown() -> None:
    reading = read(None, policy())
    assert reading.regime is None
    assert reading.problem is not None
    assert reading.problem.reason is Reason.BARS_MISSING


def test_switched_off_it_is_always_chop() -> None:
    assert read(None, policy(enabled=False)) == RegimeReading(Regime.CHOP)
    assert judged(drifted(50_000), enabled=False).regime is Regime.CHOP


def test_the_reading_shows_its_numbers() -> None:
    assert judged(drifted(105_000)).features == {"return": "5.00 % in 48 h", "volatility": "9.5 % a year"}


@given(st.lists(st.integers(80_000, 120_000), min_size=1, max_size=60))
def test_columns_and_live_bars_read_the_same_regime(closes: list[int]) -> None:
    bars = series(closes, granularity=HOUR)
    columns = SeriesColumns(bars)
    for t in range(len(bars)):
        assert read(ColumnWindows(columns, t), policy()) == read(LiveWindows(bars.slice(0, t + 1)), policy())


def test_needed_bars_cover_the_return() -> None:
    assert needed_bars(policy(), HOUR) == 49
    assert needed_bars(policy(return_days=7), Granularity.ONE_MINUTE) == 10_081
    assert needed_bars(policy(enabled=False), HOUR) == 1


def test_bars_too_long_for_the_hour_are_a_problem_in_plain_words() -> None:
    (problem,) = check(policy(), Granularity.TWO_HOUR)
    assert problem.startswith("regime: its 60-minute drop is no whole number of TWO_HOUR bars")
    assert not list(check(policy(), HOUR))
    assert not list(check(policy(enabled=False), Granularity.TWO_HOUR))


def test_a_bear_limit_equal_to_the_crash_limit_is_allowed() -> None:
    assert not list(check(policy(bear_return_pct="15"), HOUR))


def test_a_crash_by_the_fast_rule_shows_its_drop() -> None:
    assert judged([100_000, 90_000]).features == {"drop_60m": "10.00 % (limit 6 %)"}


def test_a_bear_limit_beyond_the_crash_limit_is_a_problem() -> None:
    (problem,) = check(policy(bear_return_pct="16"), HOUR)
    assert "bear_return_pct 16 must not exceed crash_return_pct 15" in problem
