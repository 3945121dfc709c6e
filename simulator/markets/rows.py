"""One-minute candles as integer arrays: ticks and lots, oldest first, minutes without a trade left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bot.domain.bars import Ints
from bot.domain.value import Value


class Candle(NamedTuple):
    """One candle: start in unix seconds, prices in ticks, volume in lots."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: int


class Rows(Value):
    """Candles of one market, shape (n,) each, int64, ascending and unique in `start`; read-only by convention."""

    start: Ints
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints

    def __len__(self) -> int:
        return len(self.start)

    def between(self, first_s: int, stop_s: int) -> Rows:
        """The candles with first_s <= start < stop_s."""
        return self.cut(*np.searchsorted(self.start, (first_s, stop_s)).tolist())

    def cut(self, first: int, stop: int) -> Rows:
        part = slice(first, stop)
        return Rows(
            self.start[part], self.open[part], self.high[part], self.low[part], self.close[part], self.volume[part]
        )

    def at(self, start_s: int) -> Candle | None:
        """The candle that opened at `start_s`, or None when nothing traded in it."""
        index = int(np.searchsorted(self.start, start_s))
        return self.candle(index) if index < len(self) and self.start[index] == start_s else None

    def candle(self, index: int) -> Candle:
        return Candle(
            int(self.start[index]), int(self.open[index]), int(self.high[index]),
            int(self.low[index]), int(self.close[index]), int(self.volume[index]),
        )  # fmt: skip

    def candles(self) -> list[Candle]:
        columns = (self.start, self.open, self.high, self.low, self.close, self.volume)
        return [Candle(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    def grouped(self, seconds: int) -> Rows:
        """Candles of `seconds` made of these; buckets without any are left out."""
        if len(self) == 0:
            return self
        bucket = self.start // seconds
        first = np.flatnonzero(np.concatenate(([True], bucket[1:] != bucket[:-1])))
        last = np.concatenate((first[1:], [len(bucket)])) - 1
        return Rows(
            bucket[first] * seconds, self.open[first], np.maximum.reduceat(self.high, first),
            np.minimum.reduceat(self.low, first), self.close[last], np.add.reduceat(self.volume, first),
        )  # fmt: skip

    def joined(self, later: Rows) -> Rows:
        """These candles followed by `later` ones."""
        pairs = zip(self.columns(), later.columns(), strict=True)
        return Rows(*(np.concatenate(pair) for pair in pairs))

    def columns(self) -> tuple[Ints, ...]:
        return self.start, self.open, self.high, self.low, self.close, self.volume


def rows_of(candles: Sequence[Candle]) -> Rows:
    """Rows from candles in ascending order."""
    table = np.array(candles, dtype=np.int64).reshape(len(candles), 6)
    return Rows(*(np.ascontiguousarray(table[:, column]) for column in range(6)))


def merged(candle: Candle, ticks: int, lots: int) -> Candle:
    """The candle after one more trade."""
    return Candle(
        candle.start, candle.open, max(candle.high, ticks), min(candle.low, ticks), ticks, candle.volume + lots
    )
