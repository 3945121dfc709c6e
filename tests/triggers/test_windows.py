"""Live windows, columns and the plain definition give one number for every statistic at every bar."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.domain.bars import BarSeries
from bot.triggers.columns import ColumnWindows, SeriesColumns
from bot.triggers.indicators import LiveWindows
from tests.triggers.markets import BTC, ONE_MINUTE, SCALE, START, any_series, plainly, series, walk

AGO = ("close", "high", "low")
COUNT = (
    "volume_sum",
    "highest_before",
    "lowest",
    "lowest_ago",
    "close_sum",
    "close_square_sum",
    "value_sum",
)
STEPPED = ("gains_and_losses", "rises", "slope_sum", "return_square_sum")


def readings(windows: object, count: int, step: int) -> Iterator[tuple[str, int | tuple[int, int] | None]]:
    for name in AGO:
        yield f"{name}({count - 1})", getattr(windows, name)(count - 1)
    for name in COUNT:
        yield f"{name}({count})", getattr(windows, name)(count)
    for name in STEPPED:
        yield f"{name}({count}, {step})", getattr(windows, name)(count, step)


@given(any_series(), st.integers(1, 44), st.integers(1, 7))
def test_live_columns_and_definition_agree_at_every_bar(bars: BarSeries, count: int, step: int) -> None:
    columns = SeriesColumns(bars)
    for t in range(len(bars)):
        known = bars.slice(0, t + 1)
        expected = dict(readings(plainly(known), count, step))
        assert dict(readings(LiveWindows(known), count, step)) == expected
        assert dict(readings(ColumnWindows(columns, t), count, step)) == expected


@given(any_series(min_size=3), st.integers(1, 12), st.integers(1, 4), st.integers(1, 30))
def test_a_window_never_depends_on_what_lies_around_it(bars: BarSeries, count: int, step: int, extra: int) -> None:
    needed = count * step + 1
    columns = SeriesColumns(bars)
    for t in range(needed - 1, len(bars)):
        alone = bars.slice(t + 1 - needed, t + 1)
        within = bars.slice(max(0, t + 1 - needed - extra), t + 1)
        numbers = dict(readings(LiveWindows(alone), count, step))
        assert dict(readings(LiveWindows(within), count, step)) == numbers
        assert dict(readings(ColumnWindows(columns, t), count, step)) == numbers


@given(st.integers(0, 2**62 - 1), st.integers(1, 30), st.integers(0, 29))
@example(2**62 - 1, 30, 0)
def test_one_huge_volume_among_small_ones_is_summed_exactly(volume: int, count: int, place: int) -> None:
    volumes = [7] * 30
    volumes[place] = volume
    bars = series([1] * 30, volumes)
    expected = sum(volumes[-count:])
    assert LiveWindows(bars).volume_sum(count) == expected
    assert ColumnWindows(SeriesColumns(bars), 29).volume_sum(count) == expected


def test_sums_of_a_whole_series_beyond_64_bits_do_not_disturb_a_window_that_fits() -> None:
    """A year of value sums wraps; the wrap cancels in every window that fits."""
    bars = series([2**20] * 5000, [2**32] * 5000)
    assert 5000 * 2**52 > 2**64
    windows = ColumnWindows(SeriesColumns(bars), 4999)
    assert windows.value_sum(1000) == 1000 * 2**52 == LiveWindows(bars).value_sum(1000)


def test_a_window_uses_columns_when_only_its_own_sum_fits() -> None:
    """peak x count does not fit, the sum does: the float bound must prove it, or backtests crawl."""
    bars = series([1] * 400, [2**60, *[1] * 399])
    columns = SeriesColumns(bars)
    assert columns.sums("volume", 100, 1) is not None
    assert ColumnWindows(columns, 99).volume_sum(100) == 2**60 + 99


def test_everyday_numbers_are_read_from_columns() -> None:
    """Falling back to live is right at any size of number, but a backtest would crawl."""
    columns = SeriesColumns(walk(300, seed=2))
    assert all(columns.sums(name, 60, 1) is not None for name in ("volume", "close", "square", "value"))
    assert all(columns.sums(name, 4, 15) is not None for name in ("gains", "rises", "returns"))
    assert columns.lowest(60) is not None
    assert columns.slopes(4, 15) is not None


def test_columns_refuse_a_sum_that_may_not_fit() -> None:
    columns = SeriesColumns(series([1] * 8, [2**61] * 8))
    assert columns.sums("volume", 2, 1) is None
    assert columns.sums("volume", 1, 1) is not None


@pytest.mark.parametrize("top", [2**40, 2**55, 2**61])
def test_a_slope_beyond_64_bits_is_still_exact(top: int) -> None:
    """(30 - 1) x 2^61 does not fit; the columns must know and leave it to whole numbers."""
    bars = series([1] * 29 + [top])
    columns = SeriesColumns(bars)
    assert (columns.slopes(30, 1) is not None) is (top * 900 < 2**62)
    assert ColumnWindows(columns, 29).slope_sum(30) == LiveWindows(bars).slope_sum(30) == 29 * (top - 1)


def test_sums_noted_when_columns_are_forgotten_are_those_of_the_bars() -> None:
    """The first bar is too young for any window, and of the others one sum is near the end of 64 bits."""
    bars = series([100 + t % 7 for t in range(900)], [2**60 if t == 450 else 1 + t % 5 for t in range(900)])
    columns = SeriesColumns(bars)
    assert columns.sums("volume", 60, 1) is not None
    assert columns.sums("gains", 4, 15) is not None
    columns.forget(but=np.array([3, 59, 60, 460, 899]))
    assert columns.noted["volume", 60, 1].keys() == {59, 60, 460, 899}
    assert columns.noted["gains", 4, 15].keys() == {59, 60, 460, 899}
    for t in (3, 59, 60, 460, 461, 899):
        live, column = LiveWindows(bars.slice(0, t + 1)), ColumnWindows(columns, t)
        assert column.volume_sum(60) == live.volume_sum(60)
        assert column.gains_and_losses(4, 15) == live.gains_and_losses(4, 15)


@pytest.mark.parametrize("ago", [-1, 3, 10**9])
def test_no_bar_is_read_outside_the_known_ones(ago: int) -> None:
    """A negative ago would be the future: the backtest's columns hold it, and must not give it."""
    bars = series([5, 6, 7, 8, 9])
    live, column = LiveWindows(bars.slice(0, 3)), ColumnWindows(SeriesColumns(bars), 2)
    for windows in (live, column):
        assert (windows.close(ago), windows.high(ago), windows.low(ago)) == (None, None, None)


def test_what_columns_say_at_a_bar_is_the_same_whatever_comes_after() -> None:
    past = [100, 103, 99, 101, 104, 98]
    calm, wild = series([*past, 100, 100]), series([*past, 1, 10**9], [100] * 6 + [0, 10**9])
    for t in range(6):
        at_calm = dict(readings(ColumnWindows(SeriesColumns(calm), t), 2, 2))
        assert at_calm == dict(readings(ColumnWindows(SeriesColumns(wild), t), 2, 2))


def test_identity_length_and_end_are_those_of_the_series_cut_at_t() -> None:
    bars = series([5, 6, 7, 8])
    live, column = LiveWindows(bars.slice(0, 3)), ColumnWindows(SeriesColumns(bars), 2)
    for windows in (live, column):
        assert (windows.product, windows.granularity, windows.scale) == (BTC, ONE_MINUTE, SCALE)
        assert (windows.length, windows.end) == (3, START + 180)


def test_every_reading_is_a_python_int() -> None:
    bars = series([5, 6, 4, 8, 9, 7, 3, 5])
    for windows in (LiveWindows(bars), ColumnWindows(SeriesColumns(bars), 7)):
        told = [value if isinstance(value, tuple) else (value,) for _, value in readings(windows, 3, 2)]
        assert {type(number) for numbers in told for number in numbers} == {int}


def test_hand_made_numbers() -> None:
    """Closes 5 6 4 8, volumes 1 2 3 4: sums and steps counted by hand."""
    bars = series([5, 6, 4, 8], [1, 2, 3, 4], highs=[7, 9, 6, 8], lows=[4, 3, 3, 5])
    for windows in (LiveWindows(bars), ColumnWindows(SeriesColumns(bars), 3)):
        assert windows.volume_sum(3) == 9
        assert windows.highest_before(3) == 9
        assert windows.highest_before(1) == 6
        assert (windows.lowest(4), windows.lowest_ago(4)) == (3, 1)
        assert windows.close_sum(2) == 12
        assert windows.close_square_sum(2) == 80
        assert windows.value_sum(2) == 4 * 3 + 8 * 4
        assert (windows.gains_and_losses(3), windows.rises(3)) == ((5, 2), 2)
        assert windows.slope_sum(4) == -3 * 5 - 6 + 4 + 3 * 8
        assert windows.return_square_sum(1) == (10**7) ** 2
        assert windows.return_square_sum(2) == (10**7) ** 2 + (-3333334) ** 2  # floor, not towards zero
        assert windows.volume_sum(5) is None
        assert windows.highest_before(4) is None
        assert windows.gains_and_losses(4) is None


def test_arrays_are_left_as_they_were() -> None:
    bars = series([5, 6, 4, 8, 9, 7], [1, 2, 3, 4, 5, 6])
    before = [array.copy() for array in (bars.open, bars.high, bars.low, bars.close, bars.volume)]
    columns = SeriesColumns(bars)
    for t in range(6):
        list(readings(ColumnWindows(columns, t), 2, 2))
        list(readings(LiveWindows(bars.slice(0, t + 1)), 2, 2))
    for then, now in zip(before, (bars.open, bars.high, bars.low, bars.close, bars.volume), strict=True):
        assert np.array_equal(then, now)


@pytest.mark.parametrize("jump", [3, 2**60])
def test_rises_noted_for_the_bars_that_will_be_read_are_those_of_the_bars(jump: int) -> None:
    """A jump of 2^60 may not fit four times; then nothing is noted, and each is worked out by itself."""
    bars = series([100 + t % 7 + (jump if t >= 450 else 0) for t in range(900)])
    columns = SeriesColumns(bars)
    columns.forget(but=np.array([3, 59, 60, 460, 899]))
    for t in (3, 59, 60, 459, 460, 899):
        live, column = LiveWindows(bars.slice(0, t + 1)), ColumnWindows(columns, t)
        assert column.gains_and_losses(4, 15) == live.gains_and_losses(4, 15)
        assert column.gains_and_losses(60) == live.gains_and_losses(60)
    noted = {60, 460, 899} if jump == 3 else set()
    assert columns.noted["gains", 4, 15].keys() == columns.noted["gains", 60, 1].keys() == noted


def test_rises_are_not_noted_for_bars_that_are_many() -> None:
    columns = SeriesColumns(walk(900, seed=4))
    columns.forget(but=np.arange(100, 900))
    assert ColumnWindows(columns, 500).gains_and_losses(60) == LiveWindows(
        walk(900, seed=4).slice(0, 501)
    ).gains_and_losses(60)
    assert columns.noted["gains", 60, 1] == {}
