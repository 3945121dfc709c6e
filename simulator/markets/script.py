"""A market that does exactly what a test says: prints and books at given seconds over a flat past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np

from bot.domain.bars import Scale
from bot.domain.money import EXACT
from bot.domain.product import ProductId, Side
from bot.domain.value import Value
from simulator.markets.ladder import USUAL_DEPTH, Depth, Ladder
from simulator.markets.ladder import Side as LadderSide
from simulator.markets.listing import Listing
from simulator.markets.path import MINUTE_US, Trade
from simulator.markets.rows import Candle, Rows, merged, rows_of

Levels = Sequence[tuple[Decimal, Decimal]]

_FLAT_MINUTES: Final = 2 * 1440


class Print(Value):
    """A trade `at_s` seconds after the start; `taker` is the side that crossed."""

    at_s: float
    product: ProductId
    price: Decimal
    size: Decimal
    taker: Side = Side.BUY


class BookIs(Value):
    """From `at_s` seconds after the start the book is this, best level first, whatever trades."""

    at_s: float
    product: ProductId
    bids: Levels
    asks: Levels


Step = Print | BookIs


class ScriptMarket:
    """Prints and books from a script. Before the start every minute traded once at the opening price."""

    end: int | None = None

    def __init__(
        self, listings: Sequence[Listing], start: datetime, steps: Sequence[Step] = (), depth: Depth = USUAL_DEPTH
    ) -> None:
        self.listings = tuple(listings)
        self.start = int(start.timestamp()) // 60 * 60
        self._scales = {listing.id: listing.scale for listing in listings}
        self._ladders = {listing.id: Ladder(listing, number, depth) for number, listing in enumerate(listings)}
        self._trades = {listing.id: self._prints(listing, steps) for listing in listings}
        self._books = {listing.id: self._book_times(listing.id, steps) for listing in listings}

    def history(self, product: ProductId, first_s: int, stop_s: int) -> Rows:
        listing = next(listing for listing in self.listings if listing.id == product)
        return self._flat(listing, first_s, stop_s).joined(self._traded(product, first_s, stop_s))

    def trades(self, product: ProductId, minute_s: int) -> list[Trade]:
        if minute_s < self.start:
            listing = next(listing for listing in self.listings if listing.id == product)
            return [_print_of(candle) for candle in self._flat(listing, minute_s, minute_s + 60).candles()]
        first, stop = minute_s * 1_000_000, (minute_s + 60) * 1_000_000
        return [trade for trade in self._trades[product] if first <= trade.at_us < stop]

    @property
    def book_changes(self) -> Mapping[ProductId, Sequence[int]]:
        return {product: [at_us for at_us, _ in books] for product, books in self._books.items() if books}

    def book(self, product: ProductId, last: Trade, at_us: int) -> tuple[LadderSide, LadderSide]:
        said = [book for since, book in self._books[product] if since <= at_us]
        return said[-1] if said else self._ladders[product].around(last.ticks, last.taker_buys, at_us // MINUTE_US)

    def _prints(self, listing: Listing, steps: Sequence[Step]) -> list[Trade]:
        scale = listing.scale
        found = [
            Trade(self._at_us(step.at_s), scale.ticks(step.price), scale.lots(step.size), step.taker is Side.BUY)
            for step in steps
            if isinstance(step, Print) and step.product == listing.id
        ]
        return sorted(found, key=lambda trade: trade.at_us)

    def _book_times(self, product: ProductId, steps: Sequence[Step]) -> list[tuple[int, tuple[LadderSide, LadderSide]]]:
        scale = self._scales[product]
        found = [
            (self._at_us(step.at_s), (_levels(step.bids, scale), _levels(step.asks, scale)))
            for step in steps
            if isinstance(step, BookIs) and step.product == product
        ]
        return sorted(found, key=lambda pair: pair[0])

    def _at_us(self, at_s: float) -> int:
        return self.start * 1_000_000 + round(at_s * 1_000_000)

    def _flat(self, listing: Listing, first_s: int, stop_s: int) -> Rows:
        first = max(first_s, self.start - _FLAT_MINUTES * 60)
        starts = np.arange(-(-first // 60) * 60, min(stop_s, self.start), 60, dtype=np.int64)
        ticks = np.full(len(starts), listing.scale.ticks(listing.opening), dtype=np.int64)
        lots = np.full(len(starts), max(1, int(EXACT.divide(Decimal(1), listing.product.size_step))), dtype=np.int64)
        return Rows(starts, ticks, ticks, ticks, ticks, lots)

    def _traded(self, product: ProductId, first_s: int, stop_s: int) -> Rows:
        candles: dict[int, Candle] = {}
        for trade in self._trades[product]:
            minute = trade.at_us // MINUTE_US * 60
            if first_s <= minute < stop_s:
                known = candles.get(minute)
                candles[minute] = (
                    merged(known, trade.ticks, trade.lots)
                    if known is not None
                    else Candle(minute, trade.ticks, trade.ticks, trade.ticks, trade.ticks, trade.lots)
                )
        return rows_of(list(candles.values()))


def _levels(levels: Levels, scale: Scale) -> LadderSide:
    return [(scale.ticks(price), scale.lots(size)) for price, size in levels]


def _print_of(candle: Candle) -> Trade:
    return Trade(candle.start * 1_000_000 + 1_000_000, candle.close, candle.volume, True)
