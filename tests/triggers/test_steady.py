"""Whether every bar kept near the close before it: three makers of windows, one answer."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.value import replace
from bot.triggers.columns import ColumnWindows, SeriesColumns
from bot.triggers.indicators import LiveWindows, unsteady
from tests.builders import series, windows

MOVES = st.lists(st.tuples(st.integers(800, 1200), st.integers(0, 90), st.integers(0, 90)), min_size=3, max_size=25)


@given(MOVES, st.integers(1, 24), st.sampled_from(["0.5", "7", "10", "33.3"]))
def test_live_column_and_plain_windows_agree_on_who_kept_still(moves, count, percent):
    closes = [close for close, _, _ in moves]
    highs = [close + up for close, up, _ in moves]
    lows = [close - down for close, _, down in moves]
    made = replace(series(closes), high=np.array(highs), low=np.array(lows))
    limit = Decimal(percent)
    plain = windows(closes, highs=highs, lows=lows).steady_before(count, limit)
    assert LiveWindows(made).steady_before(count, limit) == plain
    assert ColumnWindows(SeriesColumns(made), len(closes) - 1).steady_before(count, limit) == plain


def test_a_wick_of_exactly_the_limit_is_steady_and_one_tick_more_is_not():
    assert windows([1000, 1000, 1000], highs=[1000, 1100, 1000]).steady_before(1, Decimal(10)) is True
    assert windows([1000, 1000, 1000], highs=[1000, 1101, 1000]).steady_before(1, Decimal(10)) is False
    calm = replace(series([1000, 1000, 1000]), high=np.array([1000, 1101, 1000]))
    assert LiveWindows(calm).steady_before(1, Decimal(10)) is False


@given(st.sets(st.sampled_from([1, 500, 1023, 1024, 1025, 2047, 2048, 2999]), max_size=3), st.sampled_from([930, 1070]))
def test_a_move_is_found_wherever_in_a_long_series_it_is(at, moved):
    closes = np.full(3000, 1000)
    closes[list(at)] = moved
    made = series(closes.tolist())
    assert SeriesColumns(made).unsteady(Decimal("6.5")) == unsteady(made, Decimal("6.5")).tolist()
    assert bool(at) == bool(SeriesColumns(made).unsteady(Decimal("6.5")))
    assert SeriesColumns(made).unsteady(Decimal(8)) == []


def test_too_little_history_is_an_answer():
    assert LiveWindows(series([1000, 1000])).steady_before(1, Decimal(10)) is None
    assert ColumnWindows(SeriesColumns(series([1000, 1000])), 1).steady_before(1, Decimal(10)) is None


def test_prices_too_large_for_64_bits_are_compared_exactly():
    huge = 2**61
    made = series([huge, huge, huge])
    assert LiveWindows(made).steady_before(1, Decimal("0.000001")) is True
    moved = replace(made, high=np.array([huge, huge + huge // 10**7, huge]))
    assert LiveWindows(moved).steady_before(1, Decimal("0.000001")) is False
