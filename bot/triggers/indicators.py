"""Live window statistics: the newest bars of one market as exact Python ints."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from operator import mul
from typing import Final

import numpy as np

from bot.domain.bars import WINDOW_LIMIT, BarSeries, Granularity, Ints, Scale
from bot.domain.product import ProductId

RETURN_UNIT: Final = 10**7
"""A return of 1 (100 %) in the integers of `return_square_sum`."""

_LOW_BITS: Final = 31
_LOW_MASK: Final = (1 << _LOW_BITS) - 1


class LiveWindows:
    """`Windows` over a BarSeries, t being its last bar: each statistic is computed when first asked, then kept.

    Sums run in int64 only where extremes prove that nothing overflows, else in Python ints. The extreme of a window
    serves the shorter ones too; where it does not prove them, their own does.
    """

    __slots__ = ("_memo", "_n", "_peaks", "_series")

    def __init__(self, series: BarSeries) -> None:
        self._series = series
        self._n = len(series.close)
        self._memo: dict[tuple[str, int, int], int] = {}
        self._peaks: dict[str, tuple[int, int]] = {}

    @property
    def product(self) -> ProductId:
        return self._series.product

    @property
    def granularity(self) -> Granularity:
        return self._series.granularity

    @property
    def scale(self) -> Scale:
        return self._series.scale

    @property
    def length(self) -> int:
        return self._n

    @property
    def end(self) -> int:
        return self._series.end

    def close(self, ago: int = 0) -> int | None:
        return self._at(self._series.close, ago)

    def high(self, ago: int = 0) -> int | None:
        return self._at(self._series.high, ago)

    def low(self, ago: int = 0) -> int | None:
        return self._at(self._series.low, ago)

    def volume_sum(self, count: int) -> int | None:
        return self._window("volume", count, 1, count, self._volume_sum)

    def highest_before(self, count: int) -> int | None:
        return self._window("highest", count, 1, count + 1, self._highest_before)

    def steady_before(self, count: int, percent: Decimal) -> bool | None:
        if count + 1 > self._n - 1:
            return None
        return not len(unsteady(self._series.slice(self._n - count - 2, self._n - 1), percent))

    def lowest(self, count: int) -> int | None:
        return self._window("lowest", count, 1, count, self._lowest)

    def lowest_ago(self, count: int) -> int | None:
        return self._window("lowest_ago", count, 1, count, self._lowest_ago)

    def close_sum(self, count: int) -> int | None:
        return self._window("close", count, 1, count, self._close_sum)

    def close_square_sum(self, count: int) -> int | None:
        return self._window("square", count, 1, count, self._close_square_sum)

    def value_sum(self, count: int) -> int | None:
        return self._window("value", count, 1, count, self._value_sum)

    def gains_and_losses(self, count: int, step: int = 1) -> tuple[int, int] | None:
        """Gains less losses are what the close moved in all."""
        gains = self._window("gains", count, step, count * step + 1, self._gains)
        if gains is None:
            return None
        closes, last = self._series.close, self._n - 1
        return gains, gains - closes.item(last) + closes.item(last - count * step)

    def rises(self, count: int, step: int = 1) -> int | None:
        return self._window("rises", count, step, count * step + 1, self._rises)

    def slope_sum(self, count: int, step: int = 1) -> int | None:
        return self._window("slope", count, step, (count - 1) * step + 1, self._slope_sum)

    def return_square_sum(self, count: int, step: int = 1) -> int | None:
        return self._window("returns", count, step, count * step + 1, self._return_square_sum)

    def _at(self, values: Ints, ago: int) -> int | None:
        return values.item(self._n - 1 - ago) if 0 <= ago < self._n else None

    def _window(self, name: str, count: int, step: int, needed: int, compute: Callable[[int, int], int]) -> int | None:
        if needed > self._n:
            return None
        key = (name, count, step)
        known = self._memo.get(key)
        if known is None:
            known = self._memo[key] = compute(count, step)
        return known

    def _largest(self, name: str, values: Ints, count: int) -> int:
        """At least the largest of the newest `count` values: what a longer window holds serves a shorter one."""
        known = self._peaks.get(name)
        if known is None or known[0] < count:
            known = self._peaks[name] = (count, greatest(values[self._n - count :]))
        return known[1]

    def _volume_sum(self, count: int, _step: int) -> int:
        volumes = self._series.volume
        if self._largest("volume", volumes, count) * count < WINDOW_LIMIT:
            return int(np.add.reduce(volumes[self._n - count :]))
        return exact_sum(volumes[self._n - count :])

    def _highest_before(self, count: int, _step: int) -> int:
        return greatest(self._series.high[self._n - 1 - count : self._n - 1])

    def _lowest(self, count: int, _step: int) -> int:
        return least(self._series.low[self._n - count :])

    def _lowest_ago(self, count: int, _step: int) -> int:
        return int(self._series.low[self._n - count :][::-1].argmin())

    def _close_sum(self, count: int, _step: int) -> int:
        closes = self._series.close
        if self._largest("close", closes, count) * count < WINDOW_LIMIT:
            return int(np.add.reduce(closes[self._n - count :]))
        return exact_sum(closes[self._n - count :])

    def _close_square_sum(self, count: int, _step: int) -> int:
        closes = self._series.close
        if self._largest("close", closes, count) ** 2 * count < WINDOW_LIMIT:
            window = closes[self._n - count :]
            return int(np.dot(window, window))
        return _square_sum(closes[self._n - count :])

    def _value_sum(self, count: int, _step: int) -> int:
        closes, volumes = self._series.close[self._n - count :], self._series.volume[self._n - count :]
        traded = self.volume_sum(count) or 0
        if greatest(closes) * traded < WINDOW_LIMIT:  # the bound Scale.proven keeps
            return int(np.dot(closes, volumes))
        return sum(map(mul, closes.tolist(), volumes.tolist()))

    def _gains(self, count: int, step: int) -> int:
        return gained(self._closes(count, step))

    def _rises(self, count: int, step: int) -> int:
        closes = self._closes(count, step)
        return int(np.count_nonzero(closes[1:] > closes[:-1]))

    def _slope_sum(self, count: int, step: int) -> int:
        closes, weights = self._closes(count - 1, step), _slope_weights(count)
        if greatest(closes) * count * count < WINDOW_LIMIT:
            return int(np.dot(weights, closes))
        return sum(map(mul, weights.tolist(), closes.tolist()))

    def _return_square_sum(self, count: int, step: int) -> int:
        closes = self._closes(count, step)
        before, moves = closes[:-1], closes[1:] - closes[:-1]
        if _peak(moves) * RETURN_UNIT < WINDOW_LIMIT:
            return _square_sum(moves * RETURN_UNIT // before)
        returns = (move * RETURN_UNIT // base for move, base in zip(moves.tolist(), before.tolist(), strict=True))
        return sum(value * value for value in returns)

    def _closes(self, steps: int, step: int) -> Ints:
        """The `steps` + 1 closes, `step` bars apart, that end at t."""
        return self._series.close[self._n - 1 - steps * step :: step]


def unsteady(series: BarSeries, percent: Decimal) -> Ints:
    """Indices of the bars whose high or low lies more than `percent` percent off the close before it, ascending."""
    up, down = percent.as_integer_ratio()
    whole, high, low, before = 100 * down, series.high[1:], series.low[1:], series.close[:-1]
    if int(np.maximum.reduce(series.high, initial=1)) * (whole + up) >= WINDOW_LIMIT:
        high, low, before = (column.astype(object) for column in (high, low, before))
    far = (high * whole > before * (whole + up)) | (low * whole < before * (whole - up))
    return np.flatnonzero(far) + 1


@lru_cache(maxsize=64)
def _slope_weights(count: int) -> Ints:
    """2k - count + 1 for k = 0..count-1; shared, therefore read-only."""
    weights = np.arange(1 - count, count, 2, dtype=np.int64)
    weights.flags.writeable = False
    return weights


def gained(closes: Ints) -> int:
    """Sum of the rises from each close to the next."""
    return exact_sum(np.maximum(closes[1:] - closes[:-1], 0))


def greatest(values: Ints) -> int:
    """The largest value. Looking for its place is three times as fast as the reduction, for windows of a day."""
    return values.item(values.argmax())


def least(values: Ints) -> int:
    return values.item(values.argmin())


def _peak(values: Ints) -> int:
    return max(greatest(values), -least(values))


def exact_sum(values: Ints) -> int:
    """Exact sum of non-negative values; halves are added apart when the whole might not fit."""
    if greatest(values) * len(values) < WINDOW_LIMIT:
        return int(np.add.reduce(values))
    high, low = np.add.reduce(values >> _LOW_BITS), np.add.reduce(values & _LOW_MASK)
    return (int(high) << _LOW_BITS) + int(low)


def _square_sum(values: Ints) -> int:
    if _peak(values) ** 2 * len(values) < WINDOW_LIMIT:
        return int(np.dot(values, values))
    return sum(value * value for value in values.tolist())
