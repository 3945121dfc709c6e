"""A data set with its future cut off or scrambled, or with less of a past; units and listings stay as they are.

Increments and lots are the venue's and the arithmetic's, not the market's: they were chosen over all bars once, so that
what differs after a slice differs because bars differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from backtest.dataset import Dataset, Segment
from bot.domain.bars import BarSeries, Ints
from bot.domain.value import replace

_NUMERATORS: Final = np.array([1, 3, 3, 2], np.int64)
_DENOMINATORS: Final = np.array([2, 4, 2, 1], np.int64)
"""A scrambled bar's prices are the half, three quarters, one and a half or the double of some other bar's."""


def cut(data: Dataset, k: int) -> Dataset:
    """Nothing after bar `k` of the grid was recorded."""
    return _remade(data, min(data.count, k + 1), lambda segment: _before(segment, k + 1))


def scrambled(data: Dataset, k: int, ahead: int) -> Dataset:
    """The `ahead` bars after bar `k` are of another market: other prices, other volumes, in another order."""
    return _remade(data, min(data.count, k + 1 + ahead), lambda segment: _scrambled(segment, k + 1, k + 1 + ahead))


def begun(data: Dataset, k: int) -> Dataset:
    """The run begins at bar `k`; what lies before it is history."""
    moved = _remade(data, data.count - k, lambda segment: [Segment.of(segment.first - k, segment.columns)])
    return replace(moved, start=data.start + k * data.length.value)


def remembering(data: Dataset, bars: int) -> Dataset:
    """Only so many bars of history before the run."""
    return _remade(data, data.count, lambda segment: _from(segment, -bars))


def _remade(data: Dataset, count: int, change: Callable[[Segment], list[Segment]]) -> Dataset:
    tracks = {}
    for market, track in data.tracks.items():
        segments = tuple(part for segment in track.segments for part in change(segment))
        tracks[market] = replace(track, segments=segments)
    return replace(data, count=count, tracks=tracks)


def _with(segment: Segment, first: int, series: BarSeries) -> list[Segment]:
    return [Segment.of(first, type(segment.columns)(series))] if len(series) else []


def _before(segment: Segment, stop: int) -> list[Segment]:
    if segment.stop <= stop:
        return [segment]
    return _with(segment, segment.first, segment.columns.series.slice(0, max(0, stop - segment.first)))


def _from(segment: Segment, first: int) -> list[Segment]:
    if segment.first >= first:
        return [segment]
    series = segment.columns.series
    return _with(segment, first, series.slice(min(first - segment.first, len(series)), len(series)))


def _scrambled(segment: Segment, first: int, stop: int) -> list[Segment]:
    if segment.stop <= first:
        return [segment]
    series = segment.columns.series.slice(0, min(segment.stop, stop) - segment.first)
    past = max(0, first - segment.first)
    count = len(series) - past
    if count <= 0:
        return _with(segment, segment.first, series)
    return _with(segment, segment.first, _otherwise(series, past, count))


def _otherwise(series: BarSeries, past: int, count: int) -> BarSeries:
    """The last `count` bars replaced by others. Low to high stays in order, and no price is zero."""
    at = np.arange(count, dtype=np.int64)
    order, factor = past + at[::-1], (at * 7 + past) // 3 % len(_NUMERATORS)
    up, down = _NUMERATORS[factor], _DENOMINATORS[factor]

    def column(values: Ints, least: int) -> Ints:
        return np.concatenate((values[:past], np.maximum(least, values[order] * up // down)))

    return replace(
        series, open=column(series.open, 1), high=column(series.high, 1), low=column(series.low, 1),
        close=column(series.close, 1), volume=column(series.volume, 0),
        quiet=np.concatenate((series.quiet[:past], np.zeros(count, np.bool_))),
    )  # fmt: skip
