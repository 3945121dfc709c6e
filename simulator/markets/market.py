"""What a market gives the world: candles of the past, trades of a minute, a book after a trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from bot.domain.product import ProductId
from simulator.markets.ladder import Side
from simulator.markets.listing import Listing
from simulator.markets.path import Trade
from simulator.markets.rows import Rows


class Market(Protocol):
    """A source of market data. Equal calls give equal answers, in any order; the caller asks for the future at will.

    start: unix seconds, on a minute, at which trading time begins. end: where the data ends, None when it never does.
    """

    start: int
    end: int | None

    @property
    def listings(self) -> tuple[Listing, ...]: ...

    @property
    def book_changes(self) -> Mapping[ProductId, Sequence[int]]:
        """Unix microseconds, ascending, at which a book changes without a trade; a product may be absent."""
        ...

    def history(self, product: ProductId, first_s: int, stop_s: int) -> Rows:
        """One-minute candles with first_s <= start < stop_s, whole minutes only."""
        ...

    def trades(self, product: ProductId, minute_s: int) -> list[Trade]:
        """Every trade of one minute in time order; they make exactly that minute's candle."""
        ...

    def book(self, product: ProductId, last: Trade, at_us: int) -> tuple[Side, Side]:
        """(bids, asks), best first, at `at_us`, `last` being the newest trade; a side may be empty."""
        ...
