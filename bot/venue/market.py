"""What the market did: one slice of one market's time, a tick or a bar, with the liquidity around it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Self

from bot.domain.market import Book, Level
from bot.domain.money import BASIS_POINTS, ONE, TWO, ZERO, Price, Size, floor_to
from bot.domain.product import BUY, Product, ProductId, Side
from bot.domain.value import Value
from bot.errors import UnitError
from bot.venue.exact import add, div, mul, sub, worse_buy, worse_sell


class Touch(Value):
    """Best bid and ask at one instant; equal only where the rules set no spread."""

    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        return div(add(self.bid, self.ask), TWO)

    def cross(self, side: Side) -> Decimal:
        """The price a taker of `side` meets first."""
        return self.ask if side is BUY else self.bid


class Worse(Value):
    """Factors that make a price worse for whoever takes it: by `sell` for a seller, by `buy` for a buyer."""

    sell: Decimal
    buy: Decimal

    @classmethod
    def by(cls, bps: Decimal) -> Self:
        """Worse by so many basis points."""
        share = div(bps, BASIS_POINTS)
        return cls(sub(ONE, share), add(ONE, share))


class Offer(Value):
    """Liquidity a taker may consume at one price; size in base, None without end."""

    price: Decimal
    size: Decimal | None


class DepthModel(Value):
    """Liquidity made up where no book was recorded, the same on both sides of the touch.

    value: quote currency resting at the touch; each further level lies `step_bps` beyond the one before and holds
    `growth` times as much; `levels` of them, then nothing.
    """

    value: Decimal
    step_bps: Decimal = ONE
    growth: Decimal = ONE
    levels: int = 20

    def __post_init__(self) -> None:
        if self.value <= 0 or self.step_bps <= 0 or self.growth <= 0 or self.levels < 1:
            raise UnitError(f"a depth model needs positive value, step, growth and levels, was {self}")

    def offers(self, taker: Side, first: Decimal, product: Product) -> Iterator[Offer]:
        """Levels a taker consumes, best first: `first` is the touch, prices are ticks, sizes are size steps."""
        value, sign = self.value, Decimal(1) if taker is BUY else Decimal(-1)
        rounded = worse_buy if taker is BUY else worse_sell
        for index in range(self.levels):
            shift = div(mul(mul(self.step_bps, Decimal(index)), sign), BASIS_POINTS)
            price = first if index == 0 else rounded(mul(first, add(ONE, shift)), product.price_step)
            size = floor_to(div(value, price), product.size_step)
            if size > 0:
                yield Offer(price, size)
            value = mul(value, self.growth)


class MarketSlice(Value):
    """One market from `start` to `end`: a bar, a second, or a single tick (then start may equal end).

    product: id of the market, so `BTC-USD` also for orders on BTC-USDC. Prices quote, volume base.
    bid, ask, depth: the book at `end`; None where it was not recorded, then the fill rules make one up.
    """

    product: ProductId
    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    bid: Decimal | None = None
    ask: Decimal | None = None
    depth: Book | DepthModel | None = None


class View(Value):
    """The part of a slice that one order lived through.

    reference: price at which its part begins. low, high: extremes that may have come during its part (a stop counts
    them); sure_low, sure_high: prices that certainly traded during its part (a passive fill needs them), None when
    nothing certainly did.
    """

    reference: Decimal
    low: Decimal
    high: Decimal
    sure_low: Decimal | None
    sure_high: Decimal | None


def whole(piece: MarketSlice) -> View:
    """The view of an order that was live from the opening of the slice."""
    return View(piece.open, piece.low, piece.high, piece.low, piece.high)


def only_close(piece: MarketSlice) -> View:
    """The view of an order that arrived while the slice was under way: nothing but its end is sure to be later."""
    return View(piece.close, piece.close, piece.close, piece.close, piece.close)


def from_price(piece: MarketSlice, price: Decimal) -> View:
    """The view of an order that came to life inside the slice when `price` traded.

    Whether the extremes came before or after is unknown: stops assume after, profits count only the close.
    """
    return View(price, piece.low, piece.high, piece.close, piece.close)


def spent(piece: MarketSlice, price: Decimal) -> View:
    """The view of an order whose one trade in this slice was the one at `price` that woke it."""
    return View(price, piece.low, piece.high, None, None)


def touch_around(mid: Decimal, spread: Worse | None, step: Decimal) -> Touch:
    """Bid and ask around a trade price: mid -+ half the spread, each rounded to the tick further from the mid."""
    if spread is None:
        return Touch(mid, mid)
    return Touch(worse_sell(mul(mid, spread.sell), step), worse_buy(mul(mid, spread.buy), step))


def touch_at_end(piece: MarketSlice, spread: Worse | None, step: Decimal) -> Touch:
    """Bid and ask when the slice ended: recorded ones where given, else made up around the close."""
    if piece.bid is not None and piece.ask is not None:
        return Touch(piece.bid, piece.ask)
    if isinstance(piece.depth, Book) and piece.depth.bids and piece.depth.asks:
        return Touch(piece.depth.bids[0].price.value, piece.depth.asks[0].price.value)
    return touch_around(piece.close, spread, step)


def levels(depth: Book | DepthModel, taker: Side, touch: Touch, product: Product) -> Iterator[Offer]:
    """What a taker of `taker` may consume, best first. A recorded book is taken as it stands."""
    if isinstance(depth, DepthModel):
        yield from depth.offers(taker, touch.cross(taker), product)
        return
    for level in depth.side(taker):
        yield Offer(level.price.value, level.size.value)


def as_levels(offers: Iterator[Offer], count: int) -> tuple[Level, ...]:
    """The first `count` offers as book levels."""
    kept: list[Level] = []
    for offer in offers:
        if len(kept) == count or offer.size is None:
            break
        kept.append(Level(Price(offer.price), Size(offer.size)))
    return tuple(kept)
