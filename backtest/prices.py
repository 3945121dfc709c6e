"""What the traded markets did, thinned to a page's width: first, highest, lowest and last price of each stretch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import chain
from typing import Final

import numpy as np

from backtest.dataset import Dataset, Segment
from bot.domain.bars import Ints
from bot.domain.product import ProductId

ROWS_MAX: Final = 1500
"""Most rows a market gets, whatever the length of the run."""
HEAD: Final = "time,product,open,high,low,close"


def csv(data: Dataset, markets: Iterable[ProductId]) -> bytes:
    """A row for every stretch of bars in which a market has any; time: the close of the stretch, UTC."""
    size = -(-data.count // ROWS_MAX)

    @cache  # most markets are there from beginning to end
    def closes(first: int, stop: int) -> list[str]:
        ends = np.append(_heads(first, stop, size)[1:], stop) - 1
        times = (data.start + data.length.value * (ends + 1)).astype("datetime64[s]")
        shown: list[str] = np.datetime_as_string(times).tolist()
        return shown

    found = (_rows(data, market, size, closes) for market in sorted(set(markets)) if market in data.tracks)
    return "\n".join([HEAD, *chain.from_iterable(found), ""]).encode()


def _rows(data: Dataset, market: ProductId, size: int, closes: Callable[[int, int], list[str]]) -> Iterator[str]:
    track = data.tracks[market]
    up, down = track.scale.tick.as_integer_ratio()
    for segment in track.segments:
        first, stop = max(0, segment.first), min(data.count, segment.stop)
        if first < stop:
            columns = _stretches(segment, first, stop, _heads(first, stop, size) - first)
            prices = (np.round(column * float(up) / float(down), 12).tolist() for column in columns)
            row = f"%sZ,{market},%.12g,%.12g,%.12g,%.12g"
            yield from (row % values for values in zip(closes(first, stop), *prices, strict=True))


def _heads(first: int, stop: int, size: int) -> Ints:
    """First bar of each stretch on the grid."""
    return np.append(first, np.arange((first // size + 1) * size, stop, size))


def _stretches(segment: Segment, first: int, stop: int, heads: Ints) -> tuple[Ints, ...]:
    """Open, high, low, close of each stretch, in ticks. heads: where each begins, counted from `first`."""
    series, inside = segment.columns.series, slice(first - segment.first, stop - segment.first)
    tails = np.append(heads[1:], stop - first) - 1
    return (
        series.open[inside][heads], np.maximum.reduceat(series.high[inside], heads),
        np.minimum.reduceat(series.low[inside], heads), series.close[inside][tails],
    )  # fmt: skip
