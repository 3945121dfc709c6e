"""Window statistics of every bar of a long series, computed once and read at any bar: what the backtest looks at.

Sums come from prefix sums that wrap modulo 2^64: the difference of two is the window's sum modulo 2^64, and so the sum
itself wherever it is proven to fit. Where it is not, a reading is computed as live does, for that bar alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

import numpy as np

from bot.domain.bars import WINDOW_LIMIT, BarSeries, Granularity, Ints, Scale
from bot.domain.product import ProductId
from bot.domain.value import cached_property
from bot.triggers.indicators import LiveWindows, gained, greatest, least, unsteady
from bot.triggers.rolling import Prefix, packed_lows, rolled

BLOCK: Final = 64
"""Bars of which the highest high and the lowest low are taken once."""
_WRAP: Final = 2**64 - 1
_HALF: Final = 2**63
_BARS_A_READ: Final = 100
STRETCH: Final = 1024
"""Bars whose range is taken at once, to find out whether one of them can have moved far."""
WARY: Final = 0.9
"""Share of a limit from which on it is: the exact comparison is made bar by bar."""


class SeriesColumns:
    """The columns of one series, each built when first asked for and then kept.

    Columns are memoryviews of int64, because reading one value of those gives a Python int at once. One that nobody has
    made is worth making for readers who read many bars: `pays` tells when.
    noted: by quantity, count and step: sums that were taken of a column before it was forgotten, by their last bar.
    """

    def __init__(self, series: BarSeries) -> None:
        self.series = series
        self.start, self.step, self.size = series.start, series.granularity.value, len(series)
        self.close = series.close.data
        self.high = series.high.data
        self.low = series.low.data
        self._prefixes: dict[tuple[str, int], Prefix] = {}
        self._windows: dict[tuple[str, int, int], memoryview | None] = {}
        self._highest: dict[int, memoryview] = {}
        self._lowest: dict[int, memoryview | None] = {}
        self._unsteady: dict[Decimal, list[int]] = {}
        self._reads: dict[tuple[str, int], int] = {}
        self.noted: dict[tuple[str, int, int], dict[int, int]] = {}
        self._asked: Ints = np.empty(0, np.int64)

    def pays(self, name: str, count: int) -> bool:
        """Whether to make the column `name` for one more reading, or to compute that from its bars: making one costs
        about as much as reading one bar in a hundred without it."""
        key = (name, count)
        reads = self._reads[key] = self._reads.get(key, 0) + 1
        return reads * _BARS_A_READ > self.size

    def sums(self, name: str, count: int, step: int) -> memoryview | None:
        """Prefix sums of the quantity `name` along every `step`-th bar; shape (n + step,), the first `step` zero.

        The sum of the `count` values that end at bar t is (p[t + step] - p[t + step - count x step]) mod 2^64.
        Returns: None when a sum of `count` values is not proven to fit.
        """
        key = (name, count, step)
        if key not in self._windows:
            prefix = self._prefix(name, step)
            self._windows[key] = prefix.values if prefix.fits(self.series, count) else None
        return self._windows[key]

    def slopes(self, count: int, step: int) -> tuple[memoryview, memoryview] | None:
        """Prefix sums of the closes and of (bar // step) x close. None when a slope sum is not proven to fit."""
        closes = self._prefix("close", step)
        if closes.peak is None or closes.peak * count * count >= WINDOW_LIMIT:
            return None
        return closes.values, self._prefix("ranked", step).values

    def highest(self, count: int) -> memoryview:
        """Entry j: the highest high of bars j..j + count - 1."""
        column = self._highest.get(count)
        if column is None:
            column = self._highest[count] = rolled(self.series.high, count, np.maximum).data
        return column

    def lowest(self, count: int) -> memoryview | None:
        """Entry j: the lowest low of bars j..j + count - 1 as low x n + (n - 1 - its newest bar), n bars in all.

        Returns: None when a packed value is not proven to fit.
        """
        if count not in self._lowest:
            packed = packed_lows(self.series.low)
            self._lowest[count] = None if packed is None else rolled(packed, count, np.minimum).data
        return self._lowest[count]

    @cached_property
    def tops(self) -> Ints:
        """The highest high of each block."""
        return np.maximum.reduceat(self.series.high, np.arange(0, self.size, BLOCK))

    @cached_property
    def bottoms(self) -> Ints:
        """The lowest low of each block."""
        return np.minimum.reduceat(self.series.low, np.arange(0, self.size, BLOCK))

    def wild(self, bars: int, limit: float) -> Iterator[tuple[int, int]]:
        """Stretches (first, stop) of `bars` bars, filled up to whole blocks, of which the range, together with the
        stretch before each, reaches this share of the lowest low."""
        blocks = -(-bars // BLOCK)
        heads, bars = np.arange(0, len(self.tops), blocks), blocks * BLOCK
        high, low = np.maximum.reduceat(self.tops, heads), np.minimum.reduceat(self.bottoms, heads)
        high[1:], low[1:] = np.maximum(high[1:], high[:-1]), np.minimum(low[1:], low[:-1])
        for first in (np.flatnonzero(high - low >= low * limit) * bars).tolist():
            yield first, min(self.size, first + bars)

    def forget(self, but: Ints) -> None:
        """Drop every column: what is still asked for is made anew, but for the sums that end at these bars, which are
        those that will be read."""
        for key, prefix in self._windows.items():
            _, count, step = key
            bars = but[but + 1 >= count * step]
            if prefix is not None and len(bars) * _BARS_A_READ <= self.size:
                running: Ints = np.asarray(prefix)
                sums = running[bars + step] - running[bars + step - count * step]
                self.noted[key] = dict(zip(bars.tolist(), sums.tolist(), strict=True))
        self._asked = but
        for made in (self._prefixes, self._windows, self._highest, self._lowest):
            made.clear()

    def gains(self, count: int, step: int, t: int) -> int:
        """Sum of the rises of the last `count` steps of `step` bars that end at bar t, without a column.

        Noted for all bars that will be read at once: one by one they cost several times as much.
        """
        key = ("gains", count, step)
        if key not in self.noted:
            self.noted[key] = self._gains_at(self._asked[self._asked >= count * step], count, step)
        known = self.noted[key].get(t)
        return gained(self.series.close[t - count * step : t + 1 : step]) if known is None else known

    def _gains_at(self, bars: Ints, count: int, step: int) -> dict[int, int]:
        """Of each of `bars`; of none where they are many or not proven to fit."""
        if not 0 < len(bars) * count <= self.size:
            return {}
        closes = self.series.close[bars[:, np.newaxis] + np.arange(-count * step, 1, step)]
        rises = np.maximum(closes[:, 1:] - closes[:, :-1], 0)
        if greatest(rises) * count >= WINDOW_LIMIT:
            return {}
        return dict(zip(bars.tolist(), np.add.reduce(rises, axis=1).tolist(), strict=True))

    def unsteady(self, percent: Decimal) -> list[int]:
        """Bars that moved more than `percent` off the close before, ascending."""
        if percent not in self._unsteady:
            moved: list[int] = []
            for first, stop in self.wild(STRETCH, float(percent) / 100 * WARY):
                known = max(0, first - 1)
                moved += (unsteady(self.series.slice(known, stop), percent) + known).tolist()
            self._unsteady[percent] = moved
        return self._unsteady[percent]

    def _prefix(self, name: str, step: int) -> Prefix:
        key = (name, step)
        if key not in self._prefixes:
            self._prefixes[key] = Prefix(name, self.series, step)
        return self._prefixes[key]


class ColumnWindows:
    """`Windows` at bar `t` of a series whose statistics stand in columns; t counts from 0."""

    __slots__ = ("_alive", "_columns", "_t")

    def __init__(self, columns: SeriesColumns, t: int) -> None:
        self._columns = columns
        self._t = t
        self._alive: LiveWindows | None = None

    @property
    def product(self) -> ProductId:
        return self._columns.series.product

    @property
    def granularity(self) -> Granularity:
        return self._columns.series.granularity

    @property
    def scale(self) -> Scale:
        return self._columns.series.scale

    @property
    def length(self) -> int:
        return self._t + 1

    @property
    def end(self) -> int:
        columns = self._columns
        return columns.start + (self._t + 1) * columns.step

    def close(self, ago: int = 0) -> int | None:
        return self._columns.close[self._t - ago] if 0 <= ago <= self._t else None

    def high(self, ago: int = 0) -> int | None:
        return self._columns.high[self._t - ago] if 0 <= ago <= self._t else None

    def low(self, ago: int = 0) -> int | None:
        return self._columns.low[self._t - ago] if 0 <= ago <= self._t else None

    def volume_sum(self, count: int) -> int | None:
        if count > self._t + 1:
            return None
        if count == 1:
            return int(self._columns.series.volume[self._t])
        total = self._sum("volume", count, 1)
        return total if total is not None else self._live().volume_sum(count)

    def highest_before(self, count: int) -> int | None:
        if count > self._t:
            return None
        if not self._columns.pays("highest", count):
            return greatest(self._columns.series.high[self._t - count : self._t])
        return int(self._columns.highest(count)[self._t - count])

    def steady_before(self, count: int, percent: Decimal) -> bool | None:
        if count + 1 > self._t:
            return None
        moved = self._columns.unsteady(percent)
        return bisect_left(moved, self._t) == bisect_left(moved, self._t - count)

    def lowest(self, count: int) -> int | None:
        if count > self._t + 1:
            return None
        if not self._columns.pays("lowest", count):
            return least(self._columns.series.low[self._t + 1 - count : self._t + 1])
        column = self._columns.lowest(count)
        if column is None:
            return self._live().lowest(count)
        return int(column[self._t + 1 - count]) // self._columns.size

    def lowest_ago(self, count: int) -> int | None:
        if count > self._t + 1:
            return None
        column = self._columns.lowest(count)
        if column is None:
            return self._live().lowest_ago(count)
        size = self._columns.size
        return self._t - (size - 1 - int(column[self._t + 1 - count]) % size)

    def close_sum(self, count: int) -> int | None:
        if count > self._t + 1:
            return None
        total = self._sum("close", count, 1)
        return total if total is not None else self._live().close_sum(count)

    def close_square_sum(self, count: int) -> int | None:
        if count > self._t + 1:
            return None
        total = self._sum("square", count, 1)
        return total if total is not None else self._live().close_square_sum(count)

    def value_sum(self, count: int) -> int | None:
        if count > self._t + 1:
            return None
        total = self._sum("value", count, 1)
        return total if total is not None else self._live().value_sum(count)

    def gains_and_losses(self, count: int, step: int = 1) -> tuple[int, int] | None:
        """Gains less losses are what the close moved in all."""
        if count * step > self._t:
            return None
        then, closes = self._t - count * step, self._columns.close
        gains = self._sum("gains", count, step)
        if gains is None:
            gains = self._columns.gains(count, step, self._t)
        return gains, gains - closes[self._t] + closes[then]

    def rises(self, count: int, step: int = 1) -> int | None:
        if count * step > self._t:
            return None
        total = self._sum("rises", count, step)
        return total if total is not None else self._live().rises(count, step)

    def return_square_sum(self, count: int, step: int = 1) -> int | None:
        if count * step > self._t:
            return None
        total = self._sum("returns", count, step)
        return total if total is not None else self._live().return_square_sum(count, step)

    def slope_sum(self, count: int, step: int = 1) -> int | None:
        """By parts: the weight 2k - count + 1 of bar i is (count - 1) - 2 (t // step) + 2 (i // step)."""
        if (count - 1) * step > self._t:
            return None
        prefixes = self._columns.slopes(count, step) if self._columns.pays("slopes", count) else None
        if prefixes is None:
            return self._live().slope_sum(count, step)
        last, first = self._t + step, self._t + step - count * step
        closes, ranked = (prefix[last] - prefix[first] for prefix in prefixes)
        slope: int = (count - 1 - 2 * (self._t // step)) * closes + 2 * ranked
        return ((slope + _HALF) & _WRAP) - _HALF

    def _sum(self, name: str, count: int, step: int) -> int | None:
        columns = self._columns
        noted = columns.noted.get((name, count, step))
        if noted is not None and (known := noted.get(self._t)) is not None:
            return known
        prefix = columns.sums(name, count, step) if columns.pays(name, count) else None
        if prefix is None:
            return None
        last = self._t + step
        difference: int = prefix[last] - prefix[last - count * step]
        return difference & _WRAP

    def _live(self) -> LiveWindows:
        """What computes a statistic from the bars, and remembers it."""
        if self._alive is None:
            self._alive = LiveWindows(self._columns.series.slice(0, self._t + 1))
        return self._alive
