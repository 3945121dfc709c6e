"""One order book through trading time: its prints, its newest book, its forming candle, its last 24 hours."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from bot.domain.value import Value
from simulator.markets.ladder import Side
from simulator.markets.listing import Listing
from simulator.markets.market import Market
from simulator.markets.path import MINUTE_US, Trade
from simulator.markets.rows import Candle, Rows, merged, rows_of
from simulator.text import Numbers

REMEMBERED: Final = 1000
DAY_S: Final = 86_400
_WARM_MINUTES: Final = 30


class Tick(NamedTuple):
    """What happened in one span of time: the prints with their public ids, oldest first, and whether the book moved."""

    trades: Sequence[tuple[int, Trade]]
    moved: bool


class Day(Value):
    """The 24 hours up to the last whole minute; value is ticks x lots, before is the volume of the day before."""

    open: int
    high: int
    low: int
    volume: int
    value: int
    before: int


class Tape:
    """Follows one listing of a market. `advance` moves it; everything else describes it as it stands."""

    def __init__(self, market: Market, listing: Listing, first_id: int) -> None:
        self.listing = listing
        self.numbers = Numbers(listing.scale)
        self._market = market
        self._next_id = first_id
        self._changes = market.book_changes.get(listing.id, ())
        self._now_us = market.start * 1_000_000
        self.recent: deque[tuple[int, Trade]] = deque(maxlen=REMEMBERED)
        self._warm_up()
        self.last = self.recent[-1][1]
        self.bids, self.asks = market.book(listing.id, self.last, self._now_us)
        self.forming: Candle | None = None
        self._minute = -1
        self._pending: list[Trade] = []
        self._index = 0
        self._day: tuple[int, Day] | None = None

    @property
    def minute_s(self) -> int:
        return self._now_us // MINUTE_US * 60

    def advance(self, to_us: int) -> Tick:
        """Everything that prints after the present and up to `to_us`, which becomes the present."""
        changed = bisect_right(self._changes, to_us) - bisect_right(self._changes, self._now_us)
        found: list[tuple[int, Trade]] = []
        while self._now_us < to_us:
            end = min(to_us, (self._now_us // MINUTE_US + 1) * MINUTE_US)
            self._open_minute(self._now_us // MINUTE_US * 60)
            self._take(end, found)
            self._now_us = end
        if not found and not changed:
            return Tick((), False)
        before = (self.bids, self.asks)
        self.bids, self.asks = self._market.book(self.listing.id, self.last, to_us)
        return Tick(found, before != (self.bids, self.asks))

    def reread(self) -> None:
        """The market's future has changed: forget what was read ahead of it."""
        self._minute = -1

    def rows(self, first_s: int, stop_s: int) -> Rows:
        """One-minute candles with first_s <= start < stop_s as known now, the forming one included."""
        closed = self._market.history(self.listing.id, first_s, min(stop_s, self.minute_s))
        forming = self.forming
        if forming is None or forming.start != self.minute_s or not first_s <= forming.start < stop_s:
            return closed
        return closed.joined(rows_of([forming]))

    def day(self) -> Day:
        """The last 24 hours, worked out once a minute."""
        now = self.minute_s
        if self._day is None or self._day[0] != now:
            self._day = (now, self._worked_out(now))
        return self._day[1]

    def _worked_out(self, now: int) -> Day:
        rows = self._market.history(self.listing.id, now - DAY_S, now)
        earlier = self._market.history(self.listing.id, now - 2 * DAY_S, now - DAY_S)
        before = int(earlier.volume.sum())
        if len(rows) == 0:
            ticks = self.last.ticks
            return Day(ticks, ticks, ticks, 0, 0, before)
        value = sum(close * lots for close, lots in zip(rows.close.tolist(), rows.volume.tolist(), strict=True))
        return Day(int(rows.open[0]), int(rows.high.max()), int(rows.low.min()), int(rows.volume.sum()), value, before)

    def _warm_up(self) -> None:
        """The newest trades before the start, so that nobody meets an empty tape. Raises ValueError without a past."""
        found: list[Trade] = []
        minute = self._market.start - 60
        first = minute - _WARM_MINUTES * 60
        while minute > first or (not found and minute > self._market.start - DAY_S):
            found = self._market.trades(self.listing.id, minute) + found
            minute -= 60
        if not found:
            raise ValueError(f"{self.listing.id}: no trade in the 24 hours before the start")
        self.recent.extend((self._number(), trade) for trade in found)

    def _open_minute(self, minute_s: int) -> None:
        if minute_s != self._minute:
            self._minute, self._index = minute_s, 0
            self._pending = self._market.trades(self.listing.id, minute_s)

    def _take(self, end_us: int, found: list[tuple[int, Trade]]) -> None:
        """Trades up to and including `end_us`; one exactly on the minute's end belongs to the next minute."""
        pending, limit = self._pending, min(end_us, (self._minute + 60) * 1_000_000 - 1)
        while self._index < len(pending) and pending[self._index].at_us <= limit:
            trade = pending[self._index]
            self._index += 1
            if trade.at_us < self._now_us:
                continue
            self._print(trade)
            found.append(self.recent[-1])

    def _print(self, trade: Trade) -> None:
        self.last = trade
        self.recent.append((self._number(), trade))
        forming = self.forming
        if forming is None or forming.start != self._minute:
            self.forming = Candle(self._minute, trade.ticks, trade.ticks, trade.ticks, trade.ticks, trade.lots)
        else:
            self.forming = merged(forming, trade.ticks, trade.lots)

    def _number(self) -> int:
        self._next_id += 1
        return self._next_id

    def book(self) -> tuple[Side, Side]:
        return self.bids, self.asks
