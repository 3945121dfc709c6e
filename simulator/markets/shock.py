"""Any market, bent at moments chosen while it runs: from then on its prices are multiplied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from bot.domain.bars import Ints
from bot.domain.product import ProductId
from bot.domain.value import Value
from simulator.markets.ladder import Side
from simulator.markets.listing import Listing
from simulator.markets.market import Market
from simulator.markets.path import Trade
from simulator.markets.rows import Candle, Rows, merged, rows_of


class Shock(Value):
    """From `at_us` (unix microseconds) on, prices are `factor` times what they would have been."""

    at_us: int
    factor: Fraction


class ShockedMarket:
    """A market with shocks. Without any it is the market it wraps, call for call.

    The minute a shock falls into is traded at the old prices before it and at the new ones after it, and its candle is
    made of those trades; later candles are scaled whole.
    """

    def __init__(self, inner: Market) -> None:
        self._inner = inner
        self._shocks: dict[ProductId, list[Shock]] = {}
        self.start = inner.start
        self.end = inner.end

    @property
    def listings(self) -> tuple[Listing, ...]:
        return self._inner.listings

    @property
    def book_changes(self) -> Mapping[ProductId, Sequence[int]]:
        return self._inner.book_changes

    def shock(self, product: ProductId, at_us: int, factor: Fraction) -> None:
        """Multiply the product's prices by `factor` after `at_us`. Raises ValueError unless it is positive."""
        if factor <= 0:
            raise ValueError(f"a shock multiplies prices by a positive factor, was {factor}")
        self._shocks.setdefault(product, []).append(Shock(at_us, factor))

    def history(self, product: ProductId, first_s: int, stop_s: int) -> Rows:
        rows = self._inner.history(product, first_s, stop_s)
        for shock in self._shocks.get(product, ()):
            minute = shock.at_us // 60_000_000 * 60
            before, after = rows.between(0, minute), _scaled(rows.between(minute + 60, 1 << 40), shock.factor)
            rows = before.joined(self._broken(product, minute, rows)).joined(after)
        return rows

    def trades(self, product: ProductId, minute_s: int) -> list[Trade]:
        found = self._inner.trades(product, minute_s)
        for shock in self._shocks.get(product, ()):
            found = [_moved(trade, shock.factor) if trade.at_us > shock.at_us else trade for trade in found]
        return found

    def book(self, product: ProductId, last: Trade, at_us: int) -> tuple[Side, Side]:
        """The ladder around the trade as it printed; a scripted book is scaled like the prices."""
        if product not in self._shocks or product not in self._inner.book_changes:
            return self._inner.book(product, last, at_us)
        bids, asks = self._inner.book(product, last, at_us)
        for shock in self._shocks[product]:
            if at_us > shock.at_us:
                bids, asks = ([(_times(t, shock.factor), lots) for t, lots in side] for side in (bids, asks))
        return bids, asks

    def _broken(self, product: ProductId, minute: int, rows: Rows) -> Rows:
        """The candle of a minute with a shock in it, made of its trades."""
        if rows.at(minute) is None:
            return rows_of([])
        trades = self.trades(product, minute)
        first = trades[0]
        candle = Candle(minute, first.ticks, first.ticks, first.ticks, first.ticks, first.lots)
        for trade in trades[1:]:
            candle = merged(candle, trade.ticks, trade.lots)
        return rows_of([candle])


def _moved(trade: Trade, factor: Fraction) -> Trade:
    return trade._replace(ticks=_times(trade.ticks, factor))


def _times(ticks: int, factor: Fraction) -> int:
    """Rounded to the nearest tick, never below one."""
    return max(1, (2 * ticks * factor.numerator + factor.denominator) // (2 * factor.denominator))


def _scaled(rows: Rows, factor: Fraction) -> Rows:
    def column(values: Ints) -> Ints:
        return np.array([_times(value, factor) for value in values.tolist()], dtype=np.int64)

    return Rows(rows.start, column(rows.open), column(rows.high), column(rows.low), column(rows.close), rows.volume)
