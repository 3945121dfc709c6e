"""What a bar allows: the prices that could be seen in it, and the numbers that the bounds of parity are made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Self

from backtest.dataset import Dataset
from bot.domain.bars import Ints
from bot.domain.money import BASIS_POINTS, EXACT, ONE
from bot.domain.product import ProductId
from bot.domain.value import Value

BOOK_BPS: Final = Decimal(30)
"""How far beyond what a minute traded a book may stand or be taken: its spread, and the levels an order reaches."""
QUOTED_BPS: Final = Decimal(10)
"""How far the touch may move between a decision and the order that follows from it."""
TICKS: Final = 2
"""What rounding to the increment may make of a price, twice."""


class Band(Value):
    """Prices from low to high."""

    low: Decimal
    high: Decimal

    def widened(self, bps: Decimal) -> Self:
        return type(self)(moved(self.low, -bps), moved(self.high, bps))

    def holds(self, price: Decimal) -> bool:
        return self.low <= price <= self.high

    def __str__(self) -> str:
        return f"{self.low:f} to {self.high:f}"


class Bar(Value):
    """One recorded bar in quote currency; volume in base."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


def bar(data: Dataset, product: ProductId, k: int) -> Bar | None:
    """Bar `k` of the run's grid; None where nothing was recorded."""
    track = data.tracks.get(data.listings.market(product))
    segment = track.at(k) if track is not None else None
    if track is None or segment is None:
        return None
    series, t = segment.columns.series, k - segment.first

    def price(column: Ints) -> Decimal:
        return track.scale.price(int(column[t])).value

    volume = EXACT.multiply(track.scale.lot, Decimal(int(series.volume[t])))
    return Bar(price(series.open), price(series.high), price(series.low), price(series.close), volume)


def band(data: Dataset, product: ProductId, k: int) -> Band | None:
    """Prices that could be the last one during bar `k`: those of the bar, and the close before it."""
    before, now = bar(data, product, k - 1), bar(data, product, k)
    prices = [before.close] if before is not None else []
    prices += [now.low, now.high] if now is not None else []
    return Band(min(prices), max(prices)) if prices else None


def bps(price: Decimal, base: Decimal) -> Decimal:
    """How far `price` lies above `base`, in basis points of it."""
    return EXACT.multiply(EXACT.subtract(EXACT.divide(price, base), ONE), BASIS_POINTS)


def moved(price: Decimal, by_bps: Decimal) -> Decimal:
    return EXACT.multiply(price, EXACT.add(ONE, EXACT.divide(by_bps, BASIS_POINTS)))


def near(price: Decimal, other: Decimal, step: Decimal) -> bool:
    """Whether two prices are the same but for rounding to `step`."""
    return abs(EXACT.subtract(price, other)) <= TICKS * step
