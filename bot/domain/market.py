"""Quotes and order books, with the age of the evidence behind them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from bot.domain.money import BASIS_POINTS, EXACT, TWO, ZERO, Money, Price, Size
from bot.domain.product import BUY, ProductId, Side
from bot.domain.value import Value
from bot.errors import UnitError


class Quote(Value):
    """Best bid and ask of one market.

    at: the exchange's time of the last evidence that this quote holds (its own update, a heartbeat on a gapless
        connection, or the REST book's `time`); ages are counted from here.
    """

    product: ProductId
    bid: Price
    ask: Price
    bid_size: Size
    ask_size: Size
    at: datetime

    def __post_init__(self) -> None:
        if self.bid.value >= self.ask.value:
            raise UnitError(f"{self.product}: crossed quote, bid {self.bid} >= ask {self.ask}")

    @property
    def mid(self) -> Price:
        return Price(EXACT.divide(EXACT.add(self.bid.value, self.ask.value), TWO))

    @property
    def spread_bps(self) -> Decimal:
        """Ask minus bid, in basis points of the mid."""
        gap = EXACT.subtract(self.ask.value, self.bid.value)
        return EXACT.divide(EXACT.multiply(gap, BASIS_POINTS), self.mid.value)

    def age_s(self, now: datetime) -> float:
        """Seconds since the last evidence; never negative."""
        return max(0.0, (now - self.at).total_seconds())

    def touch(self, side: Side) -> Price:
        """The price a passive order of `side` would join."""
        return self.bid if side is BUY else self.ask

    def cross(self, side: Side) -> Price:
        """The price a taker of `side` meets first."""
        return self.ask if side is BUY else self.bid


class Level(Value):
    """One price level of a book."""

    price: Price
    size: Size


class Walk(Value):
    """What a taker of some size would get by walking a book.

    filled is less than asked when the book ends first; average and worst are None when nothing can be filled.
    """

    filled: Size
    average: Price | None
    worst: Price | None


class Book(Value):
    """Order book of one market near its mid: bids descending, asks ascending, both possibly cut (2 % of mid)."""

    product: ProductId
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    at: datetime

    def side(self, taker: Side) -> tuple[Level, ...]:
        """The levels a taker of this side consumes."""
        return self.asks if taker is BUY else self.bids

    def quote(self) -> Quote | None:
        """The top of the book; None when a side is empty. Raises UnitError when crossed."""
        if not self.bids or not self.asks:
            return None
        bid, ask = self.bids[0], self.asks[0]
        return Quote(self.product, bid.price, ask.price, bid.size, ask.size, self.at)

    def depth(self, taker: Side, within_bps: Decimal, currency: str) -> Money:
        """Quote value resting within `within_bps` of the mid on the side a taker would consume; zero without a mid."""
        quote = self.quote()
        if quote is None:
            return Money.zero(currency)
        limit = quote.mid.shifted(within_bps if taker is BUY else -within_bps).value
        amount = ZERO
        for level in self.side(taker):
            beyond = level.price.value > limit if taker is BUY else level.price.value < limit
            if beyond:
                break
            amount = EXACT.add(amount, EXACT.multiply(level.price.value, level.size.value))
        return Money(amount, currency)

    def walk(self, taker: Side, size: Size) -> Walk:
        """Consume levels best first until `size` is filled or the book ends."""
        return walk_levels(self.side(taker), size)


def walk_levels(levels: Sequence[Level], size: Size) -> Walk:
    """Average and worst price of taking `size` from `levels`, best first."""
    left, value, worst = size.value, ZERO, None
    for level in levels:
        if left <= 0:
            break
        take = min(left, level.size.value)
        if take <= 0:
            continue
        value = EXACT.add(value, EXACT.multiply(take, level.price.value))
        left = EXACT.subtract(left, take)
        worst = level.price
    filled = Size(EXACT.subtract(size.value, max(left, ZERO)))
    average = None if filled.is_zero else Price(EXACT.divide(value, filled.value))
    return Walk(filled, average, worst)
