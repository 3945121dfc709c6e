"""What the traded markets did, thinned to a page's width: first, highest, lowest and last price of each stretch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from backtest.dataset import Dataset, Segment
from bot.domain.product import ProductId

ROWS_MAX: Final = 1500
"""Most rows a market gets, whatever the length of the run."""
HEAD: Final = "time,product,open,high,low,close"


def csv(data: Dataset, markets: Iterable[ProductId]) -> bytes:
    """A row for every stretch of bars in which a market has any; time: the close of the stretch, UTC."""
    size = -(-data.count // ROWS_MAX)
    rows = [row for market in sorted(set(markets)) if market in data.tracks for row in _rows(data, market, size)]
    return "\n".join([HEAD, *rows, ""]).encode()


def _rows(data: Dataset, market: ProductId, size: int) -> Iterator[str]:
    track = data.tracks[market]
    up, down = track.scale.tick.as_integer_ratio()
    for segment in track.segments:
        first, stop = max(0, segment.first), min(data.count, segment.stop)
        if first < stop:
            ends, columns = _stretches(segment, first, stop, size)
            closes = (data.start + data.length.value * (ends + 1)).astype("datetime64[s]")
            prices = (np.round(column * float(up) / float(down), 12).tolist() for column in columns)
            row = f"%sZ,{market},%.12g,%.12g,%.12g,%.12g"
            yield from (row % values for values in zip(np.datetime_as_string(closes).tolist(), *prices, strict=True))


def _stretches(segment: Segment, first: int, stop: int, size: int) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Last bar of each stretch on the grid, and its open, high, low, close in ticks."""
    series, shift = segment.columns.series, segment.first
    heads = np.append(0, np.arange((first // size + 1) * size, stop, size) - first)
    tails = np.append(heads[1:], stop - first) - 1
    inside = slice(first - shift, stop - shift)
    columns = (
        series.open[inside][heads], np.maximum.reduceat(series.high[inside], heads),
        np.minimum.reduceat(series.low[inside], heads), series.close[inside][tails],
    )  # fmt: skip
    return first + tails, columns
