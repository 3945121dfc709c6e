"""Equity and exposure of every bar of a run, from what the venue booked and the recorded prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import numpy as np

from backtest.candles import Floats
from backtest.dataset import Dataset, Track
from bot.domain.bars import Ints
from bot.domain.money import EXACT, ZERO
from bot.domain.product import BUY, ProductId
from bot.domain.value import Value, cached_property
from bot.settings.universe import Universe
from bot.venue.orders import VenueFill


class Curve(Value, dict=True):
    """One value a bar, at its close; shape (n,). All in the equity currency but for percentages, which are of equity.

    equity: cash + positions at the best bid; largest: the greatest single position; positions: how many are held.
    final: the last equity, exact.
    """

    equity: Floats
    cash: Floats
    largest: Floats
    positions: Ints
    final: Decimal

    @cached_property
    def invested(self) -> Floats:
        return self.equity - self.cash

    @cached_property
    def invested_pct(self) -> Floats:
        return self.invested / self.equity * 100

    @cached_property
    def largest_pct(self) -> Floats:
        return self.largest / self.equity * 100


class Stretch(Value):
    """Bars first..stop-1 during which `size` of a market is held."""

    market: ProductId
    size: Decimal
    first: int
    stop: int


def curve(data: Dataset, fills: Sequence[VenueFill], opening: Mapping[str, Decimal], currency: str) -> Curve:
    """The curve of a run. opening: the account's cash before the first bar. A bar's own fills are in its value."""
    cash, last_cash = _cash(data, fills, opening.get(currency, ZERO), currency)
    equity, largest = cash.copy(), np.zeros(data.count)
    positions = np.zeros(data.count, np.int64)
    final, marks = last_cash, Marks(data)
    for piece in stretches(data, fills):
        span = slice(piece.first, piece.stop)
        worth = marks.bids(piece.market, piece.first, piece.stop)
        worth *= float(piece.size)
        equity[span] += worth
        np.maximum(largest[span], worth, out=largest[span])
        positions[span] += 1
        if piece.stop == data.count:
            final = EXACT.add(final, EXACT.multiply(marks.last(piece.market), piece.size))
    return Curve(equity, cash, largest, positions, final)


def themes(data: Dataset, fills: Sequence[VenueFill], universe: Universe, equity: Floats) -> dict[str, Floats]:
    """Percent of equity in each theme at every bar's close; a coin stands in each of its themes, whatever its quote."""
    if not universe.themes:
        return {}
    bases = {name: {member.base for member in members} for name, members in universe.themes.items()}
    found = {name: np.zeros(data.count) for name in bases}
    marks = Marks(data)
    for piece in stretches(data, fills):
        worth = None
        for name, members in bases.items():
            if piece.market.base in members:
                worth = marks.bids(piece.market, piece.first, piece.stop) if worth is None else worth
                found[name][piece.first : piece.stop] += worth * float(piece.size)
    return {name: line / equity * 100 for name, line in found.items()}


def stretches(data: Dataset, fills: Sequence[VenueFill]) -> Iterator[Stretch]:
    """What was held when, market by market in the order of first fills; USD and USDC listings are one market."""
    held: dict[ProductId, tuple[Decimal, int]] = {}
    for fill in fills:
        market, k = data.listings.market(fill.product), data.newest(fill.booked_at)
        size, since = held.get(market, (ZERO, k))
        if size > 0 and k > since:
            yield Stretch(market, size, since, k)
        size = EXACT.add(size, fill.size) if fill.side is BUY else EXACT.subtract(size, fill.size)
        held[market] = (size, k)
    for market, (size, since) in held.items():
        if size > 0:
            yield Stretch(market, size, since, data.count)


class Marks:
    """Best bids of every bar; in a gap the last one before it, as a holding is valued."""

    def __init__(self, data: Dataset) -> None:
        self._data = data

    def bids(self, market: ProductId, first: int, stop: int) -> Floats:
        """Of bars first..stop-1, in quote currency. Bars before the first recorded one are worth nothing."""
        track = self._data.tracks[market]
        up, down = track.scale.tick.as_integer_ratio()
        bids: Floats = np.multiply(self._ticks(track, first, stop), float(up), dtype=np.float64)
        bids /= float(down)
        return bids

    def last(self, market: ProductId) -> Decimal:
        """The newest bid of the run, exact."""
        track, count = self._data.tracks[market], self._data.count
        return track.scale.price(int(self._ticks(track, count - 1, count)[0])).value

    def _ticks(self, track: Track, first: int, stop: int) -> Ints:
        whole = next((s for s in track.segments if s.first <= first and stop <= s.stop), None)
        if whole is not None:
            return track.quoting.bids(whole.columns.series.close[first - whole.first : stop - whole.first])
        found = np.zeros(stop - first, np.int64)
        for segment in track.segments:
            begin, end = max(first, segment.first), min(stop, segment.stop)
            if segment.first < stop and len(segment.columns.series):
                inside = segment.columns.series.close[max(0, begin - segment.first) : max(0, end - segment.first)]
                if begin < end:
                    found[begin - first : end - first] = track.quoting.bids(inside)
                carried = track.quoting.bid(segment.columns.close[-1])
                found[max(0, max(begin, end) - first) :] = carried
        return found


def _cash(data: Dataset, fills: Sequence[VenueFill], opening: Decimal, currency: str) -> tuple[Floats, Decimal]:
    """Cash after each bar, and the last one exact."""
    cash = np.empty(data.count)
    held, since = opening, 0
    for fill in fills:
        if fill.product.quote != currency:
            continue
        k = data.newest(fill.booked_at)
        cash[since:k] = float(held)
        since = k
        change = EXACT.add(fill.value, fill.fee) if fill.side is BUY else EXACT.subtract(fill.fee, fill.value)
        held = EXACT.subtract(held, change)
    cash[since:] = float(held)
    return cash, held
