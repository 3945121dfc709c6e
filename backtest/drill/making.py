"""Candles and listings of a made-up market: scenes laid out by hand, noise from fixed seeds, prices in whole ticks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import numpy as np

from backtest.candles import COLUMNS
from bot.domain.bars import Ints
from bot.domain.product import ProductId
from bot.domain.value import Value

PLACES: Final = 2
SIZE_PLACES: Final = 4
PARTS: Final = 1_000_000
"""Moves are told in parts of so many."""


class Scene(Value):
    """From `begin` bars after the run's first bar (negative: before it), for `bars`: the price moves by `percent` in
    all, and `volume` times the usual is traded.

    gap: percent by which every bar of it opens away from the close before. low, high: how far, in percent, its bars
    reach beyond open and close.
    """

    begin: int
    bars: int
    percent: float
    volume: int = 1
    gap: float = 0
    low: float = 0
    high: float = 0


class Script(Value):
    """What the scenes ask of every bar, in parts per million, added up where they overlap; busy: the largest multiple
    of the volume. Shape (n,) each."""

    drift: Ints
    gap: Ints
    low: Ints
    high: Ints
    busy: Ints


def script(scenes: Sequence[Scene], first: int, count: int) -> Script:
    """The scenes on `count` bars of which `first` is the run's first."""
    drift, gap, low, high = np.zeros((4, count), np.int64)
    found = Script(drift, gap, low, high, np.ones(count, np.int64))
    for scene in scenes:
        begin = first + scene.begin
        span = slice(max(0, begin), min(count, begin + scene.bars))
        found.drift[span] += _parts(scene.percent / scene.bars)
        for line, percent in ((found.gap, scene.gap), (found.low, scene.low), (found.high, scene.high)):
            line[span] += _parts(percent)
        np.maximum(found.busy[span], scene.volume, out=found.busy[span])
    return found


def _parts(percent: float) -> int:
    return round(percent / 100 * PARTS)


def walk(start: int, moves: Ints) -> Ints:
    """Prices in ticks, each the one before moved by so many parts per million, rounded half up."""
    found, price = np.empty(len(moves), np.int64), start
    for index, move in enumerate(moves.tolist()):
        price += (2 * price * move + PARTS) // (2 * PARTS)
        found[index] = price
    return found


def file(begin: datetime, step_s: int, bars: Ints, prices: Sequence[Ints], volumes: Ints) -> bytes:
    """A file of candles. bars: which of them are there; prices: open, high, low and close in ticks; volumes in lots."""
    lines = _lines(int(begin.timestamp()), step_s, bars, (*prices, volumes))
    return "\n".join([",".join(COLUMNS), *lines, ""]).encode()


def _lines(begin: int, step_s: int, bars: Ints, columns: Sequence[Ints]) -> Iterator[str]:
    rows = zip(bars.tolist(), *(column[bars].tolist() for column in columns), strict=True)
    for bar, *cents, lots in rows:
        numbers = (f"{cent // 100}.{cent % 100:02d}" for cent in cents)
        yield f"{begin + step_s * bar},{','.join(numbers)},{Decimal(lots).scaleb(-SIZE_PLACES)}"


def listed(product: ProductId, least: str = "5") -> dict[str, Any]:
    """A product as the venue lists it: open for everything, in the finest steps. least: smallest order, in quote."""
    flags = ("is_disabled", "trading_disabled", "view_only", "cancel_only", "post_only", "auction_mode", "limit_only")
    return {
        "product_id": product, "status": "online", "base_increment": "0.0001", "quote_increment": "0.01",
        "price_increment": "0.01", "base_min_size": "0.0001", "base_max_size": "1000000",
        "quote_min_size": least, "quote_max_size": "10000000", **dict.fromkeys(flags, False),
    }  # fmt: skip
