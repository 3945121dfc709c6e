"""The working orders of one market, in their queue, and what they have taken of the newest slice."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.domain.market import Book
from bot.domain.money import ZERO
from bot.domain.product import BUY, SELL, Product, ProductId, Side
from bot.venue.exact import sub
from bot.venue.market import DepthModel, MarketSlice, View
from bot.venue.matching import share_of
from bot.venue.orders import OrderRecord, TriggerStatus
from bot.venue.rules import FillRules


@dataclass(slots=True, eq=False)
class Working:
    """One order and its place in the queue.

    number: order of creation; rank: place among equals at one price, renewed by an edit.
    since: when it was placed, then when it arrived; bars_left: slices it still waits for (bar mode).
    live: it has arrived. taking: see R12 of matching.py.
    children: attached brackets born of its fills; only the last one can be working.
    """

    record: OrderRecord
    number: int
    rank: int
    since: datetime
    bars_left: int = 0
    live: bool = False
    taking: bool = False
    children: list[Working] = field(default_factory=list)

    @property
    def is_armed(self) -> bool:
        """Whether it watches a stop."""
        return self.live and self.record.trigger is TriggerStatus.PENDING

    @property
    def resting(self) -> Decimal | None:
        """The limit at which it rests on the book; None when it does not."""
        armed_stop = self.record.trigger is TriggerStatus.PENDING and not self.record.terms.is_bracket
        return None if armed_stop or not self.live else self.record.live_limit

    def sleeps(self, low: Decimal, high: Decimal, depth: Book | DepthModel | None = None) -> bool:
        """Whether a slice of this range and book certainly does nothing to this order; cheap, as most orders sleep
        through most slices."""
        if self.taking or self.bars_left > 0:
            return False
        if not self.live:
            return True
        down, up = self.record.levels
        if (down is not None and low <= down) or (up is not None and high >= up):
            return False
        return depth is None or not self._stands_through(depth)

    def _stands_through(self, depth: Book | DepthModel) -> bool:
        """Whether a recorded book offers the order better than the limit at which it rests."""
        side, limit = self.record.request.side, self.resting
        shown = depth.side(side) if isinstance(depth, Book) else ()
        if limit is None or not shown:
            return False
        return shown[0].price.value < limit if side is BUY else shown[0].price.value > limit


_SIDES: Final = (BUY, SELL)


def _nothing() -> dict[Side, Decimal]:
    """Nothing taken yet on either side."""
    return dict.fromkeys(_SIDES, ZERO)


@dataclass(slots=True, eq=False)
class Desk:
    """The working orders of one market and what they have taken of its newest slice.

    share: base that may still fill without a book, where the rules bound it. taken: base consumed of the book per
    taker side. views: what single orders saw of the slice where that is not all of it. newborn: children of this
    slice's fills, each with the price of the fill.
    """

    market: ProductId
    orders: dict[str, Working] = field(default_factory=dict)
    piece: MarketSlice | None = None
    share: Decimal = ZERO
    taken: dict[Side, Decimal] = field(default_factory=_nothing)
    views: dict[str, View] = field(default_factory=dict)
    newborn: list[tuple[Working, Decimal]] = field(default_factory=list)

    def awake(self, low: Decimal, high: Decimal, depth: Book | DepthModel | None = None) -> Working | None:
        """An order that does not certainly sleep through a slice of this range and book; None when all do."""
        for order in self.orders.values():
            if not order.sleeps(low, high, depth):
                return order
        return None

    def see(self, piece: MarketSlice, product: Product, rules: FillRules) -> None:
        """Take notice of the newest slice; its liquidity is fresh, unless the very same slice was seen before."""
        if piece is not self.piece and piece != self.piece:
            self.piece = piece
            self.share = share_of(piece.volume, product, rules) if rules.pessimistic else ZERO
            self.taken = _nothing()
            self.views.clear()

    def opposite(self, side: Side) -> Working | None:
        """Our best order resting against a taker of `side`; the older of equals."""
        best: Working | None = None
        for other in self.orders.values():
            if other.record.side is side or other.resting is None:
                continue
            if best is None or better(other) < better(best):
                best = other
        return best


def better(order: Working) -> tuple[Decimal, int]:
    """Sort key of orders resting on one side: the better price, then the older place (R5)."""
    price = order.record.live_limit or ZERO
    return (sub(ZERO, price) if order.record.side is BUY else price), order.rank
