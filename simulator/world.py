"""The world: venue, market and trading clock. Trading time moves only when `step` is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple, Protocol

from bot.domain.bars import Scale
from bot.domain.market import Book, Level
from bot.domain.money import EXACT, Size
from bot.domain.product import Product, ProductId, TradingMode
from bot.domain.value import replace
from bot.errors import NotFound
from bot.venue.market import MarketSlice
from bot.venue.orders import (
    Accepted,
    CancelResult,
    EditResult,
    OrderChanged,
    OrderRecord,
    OrderRequest,
    PreviewResult,
    Refused,
    VenueEvent,
)
from bot.venue.venue import Venue
from simulator.faults import Cancels, Conditions, Duplicates
from simulator.keys import named_uuid
from simulator.markets.ladder import Side as LadderSide
from simulator.markets.listing import Listing
from simulator.markets.market import Market
from simulator.markets.shock import ShockedMarket
from simulator.markets.tape import Tape, Tick
from simulator.record import Record
from simulator.text import at_us, moment
from simulator.view import View
from simulator.wire import DUPLICATE_MARK, Holder

_FIRST_TRADE_ID: Final = 100_000_000


class Audience(Protocol):
    """Who is told what happens, in the order it happens: the feeds."""

    def ticked(self, tape: Tape, tick: Tick, now: datetime) -> None: ...

    def happened(self, events: Sequence[VenueEvent], now: datetime) -> None: ...

    def stepped(self, now: datetime) -> None: ...


class _Span(NamedTuple):
    """What one market did while the venue was not shown it: prices in ticks, volume in lots."""

    start: datetime
    end: datetime
    open: int
    high: int
    low: int
    close: int
    lots: int


class World:
    """Everything behind the wire. Not thread-safe: the server's event loop owns it."""

    def __init__(self, venue: Venue, market: Market, conditions: Conditions, holder: Holder) -> None:
        self.venue = venue
        self.market = ShockedMarket(market)
        self.conditions = conditions
        self.holder = holder
        self.now = moment(market.start * 1_000_000)
        self.record = Record(lambda: self.now)
        self.view = View(venue, conditions, self.now)
        self.tapes = {
            listing.id: Tape(self.market, listing, _FIRST_TRADE_ID * (number + 1))
            for number, listing in enumerate(market.listings)
        }
        self._markets = {name: listing.id for listing in market.listings for name in (listing.id, *listing.aliases)}
        self._unseen: dict[ProductId, _Span] = {}
        self._audience: list[Audience] = []
        self._watchers: list[Callable[[VenueEvent], None]] = []
        self._copies = 0
        for tape in self.tapes.values():
            last = tape.last.ticks
            self._unseen[tape.listing.id] = _Span(self.now, self.now, last, last, last, last, 0)
        self._show(self.tapes)

    def attach(self, audience: Audience) -> None:
        self._audience.append(audience)

    def on_event(self, watcher: Callable[[VenueEvent], None]) -> None:
        """Call `watcher` after every venue event, on the server's own thread; it must not call back in."""
        self._watchers.append(watcher)

    def tape(self, product: str) -> Tape | None:
        """The book behind a listed product id, alias or not."""
        if product in self.conditions.unlisted:
            return None
        market = self._markets.get(ProductId(product)) if product in self._markets else None
        return None if market is None else self.tapes[market]

    def market_of(self, product: str) -> ProductId:
        """The id of the book a known product trades on."""
        return self._markets[ProductId(product)]

    def working(self) -> list[OrderRecord]:
        """Every order that is not terminal, oldest first; what nobody shows included."""
        return sorted(self.venue.working(), key=lambda order: (order.created_at, order.order_id))

    def order(self, order_id: str) -> OrderRecord | None:
        """An order as it truly stands."""
        try:
            return self.venue.order(order_id)
        except NotFound:
            return None

    def shown_book(self, tape: Tape) -> tuple[LadderSide, LadderSide]:
        """The book as everybody is shown it, faults and all; what the venue matches on is `tape.book`."""
        bids, asks = tape.book()
        feed, name = self.conditions.feed, tape.listing.id
        if name in feed.empty:
            return [], []
        if name in feed.spikes:
            bids, asks = (_multiplied(side, feed.spikes[name]) for side in (bids, asks))
        if feed.crossed and bids and asks:
            shift = asks[0][0] - bids[0][0] + 2
            bids = [(ticks + shift, lots) for ticks, lots in bids]
        return bids, asks

    def shock(self, product: ProductId, factor: Fraction) -> None:
        """From now on the product's prices are multiplied by `factor`."""
        self.market.shock(self._markets[product], at_us(self.now), factor)
        self.tapes[self._markets[product]].reread()

    def step(self, to: datetime) -> bool:
        """Move trading time to `to`. Returns whether anything happened to the account's orders."""
        start, until_us = self.now, at_us(to)
        for tape in self.tapes.values():
            tick = tape.advance(until_us)
            if tick.trades or tick.moved:
                self._merge(tape, tick, start, to)
                self._tell_tick(tape, tick, to)
        self.now = to
        working = {order.market for order in self.venue.working()}
        events = self.venue.advance(to, self._taken(working))
        self._publish(events)
        for audience in self._audience:
            audience.stepped(to)
        return any(isinstance(event, OrderChanged) for event in events)

    def place(self, request: OrderRequest) -> Accepted | Refused:
        """Place an order as the account's holder."""
        if self.venue.by_client_id(request.client_order_id) is not None:
            mode = self.conditions.duplicates
            if mode is Duplicates.REFUSED:
                return Refused("DUPLICATE_CLIENT_ORDER_ID", "", "client_order_id was already used")
            if mode is Duplicates.BOOKED:
                self._copies += 1
                request = replace(request, client_order_id=f"{request.client_order_id}{DUPLICATE_MARK}{self._copies}")
        self._show([self._markets[request.product]] if request.product in self._markets else [])
        answer = self.venue.place(request, self.now)
        if isinstance(answer, Accepted) and not answer.duplicate and self.conditions.hide_next > 0:
            self.conditions.hide_next -= 1
            self.conditions.hidden.add(answer.order_id)
        self._drain()
        return answer

    def preview(self, request: OrderRequest) -> PreviewResult:
        self._show([self._markets[request.product]] if request.product in self._markets else [])
        return replace(self.venue.preview(request, self.now), preview_id=self.venue.preview_id())

    def cancel(self, order_ids: Sequence[str]) -> list[CancelResult]:
        """Cancel as the account's holder, under the present conditions."""
        if self.conditions.cancels is Cancels.REFUSED:
            return [CancelResult(order_id, False, "COMMANDER_REJECTED_CANCEL_ORDER") for order_id in order_ids]
        if self.conditions.cancels is Cancels.LOST:
            return [CancelResult(order_id, True) for order_id in order_ids]
        results = list(self.venue.cancel(order_ids, self.now))
        self._drain()
        return results

    def edit(self, order_id: str, price: Decimal, size: Decimal) -> EditResult:
        order = self.order(order_id)
        self._show([order.market] if order is not None else [])
        result = self.venue.edit(order_id, price, size, self.now)
        self._drain()
        return result

    def cancel_by_exchange(self, order_ids: Sequence[str], message: str = "Internal error") -> None:
        """The venue takes orders off its book by itself; `message` is what they show then."""
        self.view.expel(order_ids, message)
        self.venue.cancel(order_ids, self.now)
        self._drain()

    def transfer(self, currency: str, amount: Decimal) -> None:
        """A deposit, or a withdrawal when negative. Raises UnitError when the money is not there."""
        self.venue.transfer(currency, amount, self.now)
        self._drain()

    def set_mode(self, product: ProductId, mode: TradingMode, reason: str = "") -> None:
        """Change what the venue permits for a product and its aliases."""
        for known in self.venue.products():
            if known.market == self._markets[product]:
                self.venue.set_product(replace(known, mode=mode, mode_reason=reason))
        self._drain()

    def products(self) -> Sequence[Product]:
        """What the venue lists now."""
        return [product for product in self.venue.products() if product.id not in self.conditions.unlisted]

    def product(self, name: str) -> Product | None:
        return next((product for product in self.products() if product.id == name), None)

    def listing(self, product: ProductId) -> Listing:
        return self.tapes[self._markets[product]].listing

    def _merge(self, tape: Tape, tick: Tick, start: datetime, end: datetime) -> None:
        """Add a tick to what the venue has not been shown of this market yet."""
        name = tape.listing.id
        prints = [trade.ticks for _, trade in tick.trades] or [tape.last.ticks]
        lots = sum(trade.lots for _, trade in tick.trades)
        fresh = _Span(start, end, prints[0], max(prints), min(prints), prints[-1], lots)
        known = self._unseen.get(name)
        if known is not None and tick.trades:
            fresh = fresh._replace(
                start=known.start, open=known.open, high=max(known.high, fresh.high), low=min(known.low, fresh.low),
                lots=known.lots + lots,
            )  # fmt: skip
        elif known is not None:
            fresh = known._replace(end=end)
        self._unseen[name] = fresh

    def _taken(self, markets: Iterable[ProductId]) -> Mapping[ProductId, MarketSlice]:
        """What is new on these markets, with their books; a market nobody trades is shown later, in one piece."""
        pieces = {}
        for market in markets:
            span = self._unseen.pop(market, None)
            if span is not None:
                pieces[market] = _slice_of(self.tapes[market], span, _book_of(self.tapes[market], self.now))
        return pieces

    def _show(self, markets: Iterable[ProductId]) -> None:
        pieces = self._taken(markets)
        if pieces:
            self._publish(self.venue.advance(self.now, pieces))

    def _drain(self) -> None:
        """Tell everyone what the last request did."""
        self._publish(self.venue.drain())

    def _publish(self, events: Sequence[VenueEvent]) -> None:
        if not events:
            return
        events = [self.view.shown(event) for event in events]
        self.view.learn(events)
        for audience in self._audience:
            audience.happened(events, self.now)
        for event in events:
            for watcher in self._watchers:
                watcher(event)

    def _tell_tick(self, tape: Tape, tick: Tick, now: datetime) -> None:
        for audience in self._audience:
            audience.ticked(tape, tick, now)


def holder_of(seed: int, opened_at: datetime) -> Holder:
    """The made-up user and portfolio of a seed."""
    return Holder(named_uuid(seed, "user"), named_uuid(seed, "portfolio"), opened_at)


def _slice_of(tape: Tape, span: _Span, book: Book) -> MarketSlice:
    scale = tape.listing.scale
    opened, high, low, close = (scale.price(t).value for t in (span.open, span.high, span.low, span.close))
    bid, ask = (_touch(side, scale) for side in tape.book())
    volume = EXACT.multiply(Decimal(span.lots), scale.lot)
    return MarketSlice(tape.listing.id, span.start, span.end, opened, high, low, close, volume, bid, ask, book)


def _multiplied(side: LadderSide, factor: float) -> LadderSide:
    return [(max(1, round(ticks * factor)), lots) for ticks, lots in side]


def _touch(side: LadderSide, scale: Scale) -> Decimal | None:
    return scale.price(side[0][0]).value if side else None


def _book_of(tape: Tape, at: datetime) -> Book:
    scale = tape.listing.scale
    bids, asks = (tuple(_level(level, scale) for level in side) for side in tape.book())
    return Book(tape.listing.id, bids, asks, at)


def _level(level: tuple[int, int], scale: Scale) -> Level:
    ticks, lots = level
    return Level(scale.price(ticks), Size(EXACT.multiply(Decimal(lots), scale.lot)))
