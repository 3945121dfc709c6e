"""The recorded markets behind the ports: quotes, bars and listings as they were known, and slices for the venue."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import numpy as np

from backtest.dataset import Dataset, Segment, Track
from bot.domain.bars import DAY_S, Windows
from bot.domain.market import Book, Level, Quote
from bot.domain.money import EXACT, ZERO, Price, Size
from bot.domain.order import VenueStatus
from bot.domain.product import Product, ProductId
from bot.domain.value import replace
from bot.observe.observer import metadata_slot
from bot.ports import Clock, MarketFacts
from bot.settings.policy import DataPolicy
from bot.triggers.columns import ColumnWindows
from bot.venue.market import MarketSlice
from bot.venue.venue import Venue

BOTTOMLESS: Final = Size(Decimal(10) ** 12)
"""Size of the one level a side of the made book. Candles record no depth, so no depth limit can bind in a backtest:
what an order may take is bounded by the fill rules, as a share of each bar's volume."""

OUT_OF_REACH: Final = Decimal(10) ** 12
"""Least size of an order in a market whose recording ended: nobody is known who would take the other side."""
_NOT_RECORDED: Final = "nothing was recorded of this time"
_UNKNOWN: Final = MarketFacts(None, None, None, quote_error=_NOT_RECORDED, windows_error=_NOT_RECORDED)


class RecordedMarket:
    """MarketData: the newest closed bar of each market, and a quote made from its close.

    Once a recording has ended the last quote stands: a holding goes on to be valued at it, and without bars nothing is
    entered. In a gap, which ends, nothing is known.
    """

    def __init__(self, data: Dataset, clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self._facts: dict[ProductId, MarketFacts] = {}
        self._newest = -1
        self._closed_at = self._looked = data.opened(0)

    def watch(self, needed_bars: Mapping[ProductId, int]) -> None:
        """Everything recorded is there already."""

    def refresh(self, now: datetime) -> None:
        """Nothing has to be fetched."""

    def facts(self, market: ProductId) -> MarketFacts:
        now = self._clock.now()
        if now is not self._looked:
            self._look(now)
        known = self._facts.get(market)
        if known is None:
            known = self._facts[market] = self._made(market)
        return known

    def _look(self, now: datetime) -> None:
        """Turn to the newest bar; what was made of an older one is forgotten."""
        newest, self._looked = self._data.newest(now), now
        if newest != self._newest:
            self._facts.clear()
            self._newest, self._closed_at = newest, self._data.closed(newest)

    def requote(self, market: ProductId) -> Quote | None:
        return self.facts(market).quote

    def guard(self, levels: Mapping[ProductId, tuple[Price | None, Price | None]]) -> None:
        """Nothing happens between two bars that could wake anybody."""

    def user_events(self) -> bool:
        return False

    def _made(self, market: ProductId) -> MarketFacts:
        track, newest, at = self._data.tracks.get(market), self._newest, self._closed_at
        segment = track.at(newest) if track is not None else None
        if track is None:
            return _UNKNOWN
        if segment is None:
            return _last_known(track, at) if self._data.over(track, newest) else _UNKNOWN
        t = newest - segment.first
        close = segment.columns.close[t]
        quote = quote_around(track, close, at)
        windows: Windows = ColumnWindows(segment.columns, t)
        book = Book(market, (Level(quote.bid, BOTTOMLESS),), (Level(quote.ask, BOTTOMLESS),), at)
        return MarketFacts(quote, book, windows, track.scale.price(close), at)


def _last_known(track: Track, at: datetime) -> MarketFacts:
    """What stands of a market whose recording ended before `at`."""
    ended = datetime.fromtimestamp(track.last, UTC)
    quote = quote_around(track, track.segments[-1].columns.close[-1], at)
    return MarketFacts(quote, None, None, windows_error=f"its last recorded bar is that of {ended:%Y-%m-%d %H:%M} UTC")


def quote_around(track: Track, close: int, at: datetime) -> Quote:
    """The quote made from a close in ticks."""
    price, (bid, ask) = track.scale.price, track.quoting.touch(close)
    return Quote(track.market, price(bid), price(ask), BOTTOMLESS, BOTTOMLESS, at)


class Bars:
    """The recorded bars as slices for the venue, each made when somebody asks for it, and only then.

    lived: the newest bar that is behind; -1 before the first.
    """

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.lived = -1
        self._made: dict[ProductId, MarketSlice | None] = {}

    def turn(self, k: int) -> None:
        """Bar `k` is behind, and every bar before it."""
        self.lived = k
        self._made.clear()

    def reach(self, market: ProductId) -> tuple[Decimal, Decimal] | None:
        """Lowest and highest price of the newest bar; None when the market has none there."""
        track = self.data.tracks[market]
        segment = track.at(self.lived)
        if segment is None:
            return None
        columns, t, price = segment.columns, self.lived - segment.first, track.scale.value
        return price(columns.low[t]), price(columns.high[t])

    def newest(self, market: ProductId) -> MarketSlice | None:
        """The newest bar that a market has, however long ago it was; None before its first of the run."""
        if market not in self._made:
            self._made[market] = self._newest(market)
        return self._made[market]

    def _newest(self, market: ProductId) -> MarketSlice | None:
        track = self.data.tracks.get(market)
        if track is None:
            return None
        for segment in reversed(track.segments):
            k = min(self.lived, segment.stop - 1)
            if k >= max(0, segment.first):
                return self._slice(track, segment, k)
        return None

    def _slice(self, track: Track, segment: Segment, k: int) -> MarketSlice:
        columns, series, t, price = segment.columns, segment.columns.series, k - segment.first, track.scale.value
        return MarketSlice(
            track.market, self.data.opened(k), self.data.closed(k), price(series.open.item(t)), price(columns.high[t]),
            price(columns.low[t]), price(columns.close[t]), EXACT.multiply(series.volume.item(t), track.scale.lot),
        )  # fmt: skip


class Tape:
    """Lets the venue live through the bars, one after the other, as time passes.

    It is given those that reach an order: any other bar changes nothing at the venue.
    """

    def __init__(self, bars: Bars, venue: Venue, clock: Clock) -> None:
        self._bars = bars
        self._data = bars.data
        self._venue = venue
        self._clock = clock
        self._caught_up: datetime | None = None

    def catch_up(self) -> None:
        """Bring the venue to now: every bar that has closed and that it has not lived through yet."""
        now = self._clock.now()
        if now is self._caught_up:
            return
        newest = min(self._data.newest(now), self._data.count - 1)
        while self._bars.lived < newest:
            self._live_through(self._bars.lived + 1)
        if now > self._venue.now:
            self._venue.advance(now, {})
        self._caught_up = now

    def leap(self, k: int) -> None:
        """Pass over the bars before `k`, of which it is known that they reach no order, but for those on their way."""
        while self._bars.lived < k - 1:
            waiting = {order.market for order in self._venue.working() if order.status is VenueStatus.PENDING}
            if not waiting:
                self._bars.turn(k - 1)
                return
            self._live_through(self._bars.lived + 1, waiting)

    def _live_through(self, k: int, only: Collection[ProductId] | None = None) -> None:
        """Bar `k` of these markets, or of all: of those in which it reaches an order."""
        bars, reached = self._bars, {}
        bars.turn(k)
        for desk in self._venue.busy():
            span = bars.reach(desk.market) if only is None or desk.market in only else None
            if span is None or desk.awake(*span) is None:
                continue
            piece = bars.newest(desk.market)
            if piece is not None:
                reached[desk.market] = piece
        self._venue.advance(self._data.closed(k), reached)


class Listed:
    """The venue's product list as it was, with the volume of the day before counted from the candles.

    A market is listed from its first recorded bar on. After its last one it stays, for what is held of it, but takes no
    order of a size that could be sent. All of this moves once in a slot of the policy's metadata age: what is answered
    hangs on the slot alone, whenever in it somebody asks.
    """

    def __init__(self, data: Dataset, clock: Clock, policy: DataPolicy) -> None:
        self._data = data
        self._clock = clock
        self._slot_s = metadata_slot(policy).total_seconds()
        self._volumes: dict[ProductId, Decimal] = {}
        self._over: frozenset[ProductId] = frozenset()
        self._counted: datetime | None = None

    def products(self) -> Sequence[Product]:
        """Every product of which there are candles by now, read now."""
        now = self._clock.now()
        begun = datetime.fromtimestamp(now.timestamp() // self._slot_s * self._slot_s, UTC)
        if begun != self._counted:
            self._count(begun)
            self._counted = begun
        listed = self._data.listings.at(now).values()
        return [self._told(product, now) for product in listed if product.market in self._volumes]

    def _told(self, product: Product, now: datetime) -> Product:
        told = replace(product, as_of=now, quote_volume_24h=self._volumes[product.market])
        return replace(told, base_min=OUT_OF_REACH) if product.market in self._over else told

    def _count(self, at: datetime) -> None:
        """The volumes of the markets that have begun, and which of them are over. A run begins with what it has."""
        data, newest = self._data, self._data.newest(at)
        opening = data.start + max(0, newest) * data.length
        begun = {market: track for market, track in data.tracks.items() if track.since <= opening}
        self._volumes = {market: self._day(track, newest) for market, track in begun.items()}
        self._over = frozenset([market for market, track in begun.items() if track.last < opening])

    def _day(self, track: Track, newest: int) -> Decimal:
        """Quote volume of the day that ends with bar `newest`; zero where nothing was recorded."""
        segment = track.at(newest)
        if segment is None:
            return ZERO
        series, stop = segment.columns.series, newest - segment.first + 1
        first = max(0, stop - DAY_S // series.granularity.value)
        value = int(np.dot(series.close[first:stop], series.volume[first:stop]))
        return EXACT.multiply(Decimal(value), EXACT.multiply(track.scale.tick, track.scale.lot))
