"""Running sums and rolling extremes of whole series in int64, with the proofs that they are exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from bot.domain.bars import WINDOW_LIMIT, BarSeries, Ints
from bot.triggers.indicators import RETURN_UNIT

_ADDITION_ERROR: Final = 2.0**-50
"""Above the relative error of one float64 addition: a running sum of n terms is off by less than n times this."""


class Prefix:
    """Wrapped prefix sums of one quantity, and what is needed to prove that a window's sum fits.

    values: int64, shape (n + step,). peak: the largest value summed; None when single values may have wrapped.
    """

    def __init__(self, name: str, series: BarSeries, step: int) -> None:
        make = _QUANTITIES[name]
        raw = make(series, step)
        self.values = _running(raw, step).data
        self.peak = _proven_peak(name, series, raw)
        self._name = name
        self._step = step

    def fits(self, series: BarSeries, count: int) -> bool:
        """Whether every sum of `count` values, each `step` bars from the next, is proven to fit."""
        if self.peak is None:
            return False
        if self.peak * count < WINDOW_LIMIT:
            return True
        return self._step == 1 and _float_bound(_QUANTITIES[self._name](series, 1), count) < WINDOW_LIMIT


def rolled(values: Ints, count: int, extreme: np.ufunc) -> Ints:
    """Extreme of each `count` neighbours, by doubling: log2(count) passes, each as fast as memory."""
    rolled, width = values, 1
    while width * 2 <= count:
        rolled = extreme(rolled[:-width], rolled[width:])
        width *= 2
    windows = len(values) - count + 1
    result: Ints = extreme(rolled[:windows], rolled[count - width : count - width + windows])
    return result


def packed_lows(lows: Ints) -> Ints | None:
    """low x n + (n - 1 - bar): the smallest is the lowest low, and the newest of those that tie."""
    size = len(lows)
    if (int(np.maximum.reduce(lows)) + 1) * size >= WINDOW_LIMIT:
        return None
    return lows * size + np.arange(size - 1, -1, -1, dtype=np.int64)


def _moves(series: BarSeries, step: int) -> Ints:
    """Close less the close `step` bars before, 0 where there is none."""
    moves = np.zeros(len(series), np.int64)
    moves[step:] = series.close[step:] - series.close[:-step]
    return moves


def _squared_returns(series: BarSeries, step: int) -> Ints:
    before = np.ones(len(series), np.int64)
    before[step:] = series.close[:-step]
    returns = _moves(series, step) * RETURN_UNIT // before
    return returns * returns


_QUANTITIES: Final[Mapping[str, Callable[[BarSeries, int], Ints]]] = {
    "volume": lambda series, _: series.volume,
    "close": lambda series, _: series.close,
    "square": lambda series, _: series.close * series.close,
    "value": lambda series, _: series.close * series.volume,
    "ranked": lambda series, step: np.arange(len(series), dtype=np.int64) // step * series.close,
    "gains": lambda series, step: np.maximum(_moves(series, step), 0),
    "rises": lambda series, step: (_moves(series, step) > 0).astype(np.int64),
    "returns": _squared_returns,
}


def _proven_peak(name: str, series: BarSeries, raw: Ints) -> int | None:
    """The largest value of a quantity, or None when single values may already have wrapped."""
    close = int(np.maximum.reduce(series.close)) if name in {"square", "value", "returns"} else 0
    if name == "square" and close**2 >= WINDOW_LIMIT:
        return None
    if name == "value" and close * int(np.maximum.reduce(series.volume)) >= WINDOW_LIMIT:
        return None
    if name == "returns" and close * RETURN_UNIT >= WINDOW_LIMIT:
        return None
    if name == "returns" and (close * RETURN_UNIT // int(np.minimum.reduce(series.close))) ** 2 >= WINDOW_LIMIT:
        return None
    return int(np.maximum.reduce(raw))


def _float_bound(values: Ints, count: int) -> float:
    """An upper bound of the sums of `count` consecutive values, none of them negative; count <= n."""
    running = np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))
    largest = float(np.maximum.reduce(running[count:] - running[:-count]))
    return largest + len(values) * _ADDITION_ERROR * float(running[-1])


def _running(values: Ints, step: int) -> Ints:
    """Sums along every `step`-th value from the start, wrapped, preceded by `step` zeros; shape (n + step,)."""
    size = len(values)
    if step == 1:
        sums: Ints = np.empty(size + 1, np.int64)
        sums[0] = 0
        np.cumsum(values, out=sums[1:])
        return sums
    rows = np.zeros((-(-size // step) + 1, step), np.int64)
    rows.reshape(-1)[step : size + step] = values
    np.cumsum(rows, axis=0, out=rows)
    return rows.reshape(-1)[: size + step]
