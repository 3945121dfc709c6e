"""Venue: one exchange account with its markets. No clock, no I/O, no chance: every call says what time it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Self

from bot.domain.market import Book, Level, Quote
from bot.domain.money import ZERO, Price, Size
from bot.domain.order import VenueStatus
from bot.domain.product import BUY, SELL, Product, ProductId, Side, TradingMode
from bot.domain.snapshot import Balance
from bot.domain.state import FeeTier
from bot.domain.value import replace
from bot.errors import NotFound, UnitError
from bot.venue import edits
from bot.venue.account import Account
from bot.venue.agenda import Agenda, Due, Duty
from bot.venue.books import Books
from bot.venue.checks import DUPLICATE, NO_CLIENT_ID, UNKNOWN_PRODUCT, Situation, refusals
from bot.venue.desk import Desk, Working
from bot.venue.engine import Engine
from bot.venue.exact import add
from bot.venue.holds import Rates, limit_hold
from bot.venue.ids import Ids
from bot.venue.kept import VERSION, Kept
from bot.venue.market import MarketSlice, Offer, Touch, as_levels, levels, touch_at_end
from bot.venue.matching import share_of, single_offer
from bot.venue.orders import (
    Accepted,
    CancelResult,
    EditResult,
    OrderRecord,
    OrderRequest,
    PreviewResult,
    Refused,
    VenueEvent,
    VenueFill,
)
from bot.venue.preview import estimate
from bot.venue.rules import FillRules

USER_CANCEL = "User requested cancel"


class Venue:
    """The exchange core behind paper, backtest, simulator and fault runs.

    Time moves forward only, in `advance`; `place`, `cancel` and `edit` happen at the `now` they are given. Events of
    all calls are handed out by the next `advance`, or at once by `drain`. The fill rules stand in matching.py.
    """

    def __init__(
        self,
        products: Sequence[Product],
        opening: Mapping[str, Decimal],
        rules: FillRules,
        now: datetime,
        seed: int = 0,
        newest: Callable[[ProductId], MarketSlice | None] | None = None,
    ) -> None:
        """opening: available amount per currency. seed: order, entry and trade ids are a function of it.
        newest: the newest slice of a market, where `advance` is not given those that reach no order; None: it is given
        all of them.

        Raises UnitError for a negative opening balance or a naive `now`.
        """
        if now.tzinfo is None:
            raise UnitError(f"venue time must be aware UTC, was {now!r}")
        self.rules = rules
        self._products = {product.id: product for product in products}
        self._pieces: dict[ProductId, MarketSlice] = {}
        self._newest = newest if newest is not None else self._pieces.get
        self._account = Account(opening)
        self._books = Books(self._products, self._newest, self._account, rules, Ids(seed), now)
        self._engine = Engine(self._books)
        self._ends = Agenda()
        self._arrivals = Agenda()
        self._working: tuple[OrderRecord, ...] = ()
        self._looked = -1
        self._judged: tuple[tuple[object, ...], Situation] | None = None

    @classmethod
    def resume(cls, kept: Kept, rules: FillRules) -> Self:
        """A venue that goes on where `keep` stopped another; orders placed under other rules keep their terms."""
        venue = cls(kept.products, {}, rules, kept.now, kept.seed)
        venue._books.load(kept)
        venue._ends.load(kept.ends)
        venue._arrivals.load(kept.arrivals)
        return venue

    def keep(self) -> Kept:
        """Everything to remember over a restart; equal values as long as no event happens."""
        books = self._books
        return Kept(
            VERSION, books.ids.seed, books.tape.at, books.ids.orders, books.ids.fills, books.ranks,
            books.tape.length, tuple(self._products.values()), self._account.keep(), books.keep_orders(),
            tuple(books.fills), books.keep_volume(), books.keep_releases(),
            self._due(self._ends), self._due(self._arrivals),
        )  # fmt: skip

    @property
    def now(self) -> datetime:
        return self._books.now

    @property
    def revision(self) -> int:
        """How many events there have been; unchanged means that no order, fill or transfer changed."""
        return self._books.tape.length

    # ---------------------------------------------------------------------------------------------------------- time

    def advance(self, now: datetime, market: Mapping[ProductId, MarketSlice]) -> Sequence[VenueEvent]:
        """Let time pass to `now` and every market in `market` live through its slice; markets without one stand still.

        market: keyed by market id (BTC-USD also for orders on BTC-USDC); each slice ends at or before `now`.
        Cancels and expiries due before `now` come first, then the slices, then what is due at `now`, then arrivals.
        Returns the events since the last call. Raises UnitError when `now` steps back.
        """
        self._move_to(now)
        books, ends, arrivals = self._books, self._ends, self._arrivals
        while ends.soonest < now:
            self._perform(ends.take())
        if market:
            self._pieces.update(market)
            for desk in tuple(books.busy.values()):
                piece = market.get(desk.market)
                if piece is not None and desk.awake(piece.low, piece.high, piece.depth) is not None:
                    self._engine.live_through(desk, piece)
        while ends.soonest <= now:
            self._perform(ends.take())
        while arrivals.soonest <= now:
            self._perform(arrivals.take())
        return books.tape.drain()

    def drain(self) -> Sequence[VenueEvent]:
        """The events since the last `drain` or `advance`."""
        return self._books.tape.drain()

    # -------------------------------------------------------------------------------------------------------- orders

    def place(self, request: OrderRequest, now: datetime) -> Accepted | Refused:
        """Check and accept an order. A client id is unique for ever and looked at before anything else."""
        self._move_to(now)
        known = self._books.clients.get(request.client_order_id)
        if known is not None:
            return DUPLICATE if self.rules.refuse_duplicates else Accepted(known, duplicate=True)
        if not request.client_order_id:
            return NO_CLIENT_ID
        product = self._products.get(request.product)
        if product is None:
            return UNKNOWN_PRODUCT
        situation = self._situation(request, product)
        if situation.refused:
            return situation.refused[0]
        terms = situation.terms
        order = self._books.open(request, terms, min(situation.need.wanted, situation.available))
        if terms.end_time is not None:
            self._ends.add(terms.end_time, Duty.EXPIRE, order.record.order_id)
        self._set_out(order)
        return Accepted(order.record.order_id)

    def preview(self, request: OrderRequest, now: datetime) -> PreviewResult:
        """What would happen to the order now; it reserves nothing and the client id is not looked at."""
        self._move_to(now)
        product = self._products.get(request.product)
        if product is None:
            return PreviewResult((UNKNOWN_PRODUCT.preview_failure_reason,))
        situation = self._situation(request, product)
        offers = self._offers(product, request.side, situation.touch, situation.terms.limit_price)
        return estimate(situation, offers)

    def preview_id(self) -> str:
        """A name for the next preview, where previews are shown with one."""
        return self._books.ids.preview()

    def cancel(self, order_ids: Sequence[str], now: datetime) -> Sequence[CancelResult]:
        """Ask for cancels, one answer an id. With a `cancel_delay` the orders can still fill until it is over."""
        self._move_to(now)
        return [self._cancel(order_id) for order_id in order_ids]

    def edit(self, order_id: str, price: Decimal, size: Decimal, now: datetime) -> EditResult:
        """Ask for another price and total size of a resting GTC limit order. With an `edit_delay` it is queued."""
        self._move_to(now)
        order = self._books.orders.get(order_id)
        if order is None:
            return EditResult(False, "ORDER_NOT_FOUND")
        refused = edits.refusal(order.record, price, size) or self._edit_refused(order.record, price, size)
        if refused is not None:
            return refused
        if self.rules.edit_delay:
            self._books.put(order, replace(order.record, status=VenueStatus.EDIT_QUEUED, updated_at=now))
            self._ends.add(now + self.rules.edit_delay, Duty.EDIT, order_id, price, size)
        else:
            self._edit_now(order, price, size)
        return EditResult(True)

    # ----------------------------------------------------------------------------------------------------- the world

    def transfer(self, currency: str, amount: Decimal, now: datetime) -> None:
        """Deposit, or withdraw a negative amount. Raises UnitError when more is withdrawn than is available."""
        self._move_to(now)
        self._account.transfer(currency, amount)
        self._books.tape.transfer(now, currency, amount)

    def set_product(self, product: Product) -> None:
        """A product's mode, increments or bounds changed, or it is new; working orders keep the price they have."""
        self._products[product.id] = product

    # ------------------------------------------------------------------------------------------------------- reading

    def products(self) -> Sequence[Product]:
        return list(self._products.values())

    def orders(self) -> Sequence[OrderRecord]:
        """Every order ever accepted, attached children included, oldest first."""
        return [order.record for order in self._books.orders.values()]

    def working(self) -> Sequence[OrderRecord]:
        """Every order that is not terminal, oldest first within its market; the same object until one has changed."""
        books = self._books
        if self._looked != books.tape.length:
            self._looked = books.tape.length
            self._working = tuple([order.record for desk in books.busy.values() for order in desk.orders.values()])
        return self._working

    def busy(self) -> Collection[Desk]:
        """The markets in which an order works, to be looked at only."""
        return self._books.busy.values()

    def order(self, order_id: str) -> OrderRecord:
        """One order. Raises NotFound."""
        found = self._books.orders.get(order_id)
        if found is None:
            raise NotFound(f"no order {order_id}")
        return found.record

    def by_client_id(self, client_order_id: str) -> OrderRecord | None:
        """The order bound to a client id."""
        order_id = self._books.clients.get(client_order_id)
        return None if order_id is None else self.order(order_id)

    def fills(self, since_seq: int = 0) -> Sequence[VenueFill]:
        """Fills with a seq above `since_seq`, oldest first."""
        return self._books.fills[since_seq:]

    def balances(self) -> Sequence[Balance]:
        """Every wallet ever touched, by currency."""
        return self._account.balances()

    def residuals(self) -> Mapping[str, Decimal]:
        """Opening + fills - fees + transfers - (available + hold), per currency: always zero."""
        return self._account.residuals()

    def pending_releases(self, currency: str) -> Decimal:
        """Money of cancelled orders that is still on hold for a `hold_release_delay`."""
        return self._books.pending_releases(currency)

    def fee_tier(self) -> FeeTier:
        return self._books.fee_tier()

    def last_slice(self, product: ProductId) -> MarketSlice | None:
        """The newest slice of the product's market."""
        found = self._products.get(product)
        return self._newest(found.market if found is not None else product)

    def quote(self, product: ProductId) -> Quote | None:
        """Best bid and ask under the id asked for; None before the first slice. Sizes are those of the first level."""
        found, piece = self._products.get(product), self.last_slice(product)
        if found is None or piece is None:
            return None
        touch = self._touch(found, piece)
        ask = touch.ask if touch.ask > touch.bid else add(touch.bid, found.price_step)
        sizes = [next(iter(self._levels(found, side, touch, 1)), None) for side in (SELL, BUY)]
        bid_size, ask_size = (level.size if level is not None else Size.zero() for level in sizes)
        return Quote(product, Price(touch.bid), Price(ask), bid_size, ask_size, piece.end)

    def book(self, product: ProductId, depth: int = 50) -> Book | None:
        """The market's book as takers would find it, `depth` levels a side; None before the first slice."""
        found, piece = self._products.get(product), self.last_slice(product)
        if found is None or piece is None:
            return None
        touch = self._touch(found, piece)
        bids, asks = (self._levels(found, taker, touch, depth) for taker in (SELL, BUY))
        return Book(product, bids, asks, piece.end)

    # ------------------------------------------------------------------------------------------------------- private

    def _move_to(self, now: datetime) -> None:
        books = self._books
        if now < books.now:
            raise UnitError(f"venue time cannot step back from {books.now.isoformat()} to {now.isoformat()}")
        books.now = now
        if books.releases:
            books.release_due()

    def _due(self, agenda: Agenda) -> tuple[Due, ...]:
        return tuple(due for due in agenda.pending() if self._books.working(due.order_id) is not None)

    def _perform(self, due: Due) -> None:
        order = self._books.working(due.order_id)
        if order is None:
            return
        if due.duty is Duty.EXPIRE:
            self._books.finish(order, VenueStatus.EXPIRED, at=due.at)
        elif due.duty is Duty.CANCEL:
            self._books.finish(order, VenueStatus.CANCELLED, at=due.at, message=USER_CANCEL)
        elif due.duty is Duty.ARRIVE:
            self._engine.arrive_at_book(order)
        elif due.price is not None and due.size is not None:
            self._edit_late(order, due.price, due.size)

    def _set_out(self, order: Working) -> None:
        """Send an order on its way to the book (R1)."""
        order.since = self._books.now
        if self.rules.by_bars:
            order.bars_left = self.rules.latency_bars
        elif self.rules.latency:
            self._arrivals.add(self.now + self.rules.latency, Duty.ARRIVE, order.record.order_id)
        else:
            self._engine.arrive_at_book(order)

    def _cancel(self, order_id: str) -> CancelResult:
        order = self._books.orders.get(order_id)
        failure = _cancel_failure(order, self._products) if order is not None else "UNKNOWN_CANCEL_ORDER"
        if failure or order is None:
            return CancelResult(order_id, False, failure)
        if self.rules.cancel_delay:
            queued = replace(order.record, status=VenueStatus.CANCEL_QUEUED, pending_cancel=True, updated_at=self.now)
            self._books.put(order, queued)
            self._ends.add(self.now + self.rules.cancel_delay, Duty.CANCEL, order_id)
        else:
            self._books.finish(order, VenueStatus.CANCELLED, message=USER_CANCEL)
        return CancelResult(order_id, True)

    def _edit_refused(self, record: OrderRecord, price: Decimal, size: Decimal) -> EditResult | None:
        """The checks of a new order on the edited one; funds count what the order already holds."""
        product = self._products[record.product]
        request = replace(record.request, config=edits.edited(record, price, size, self.now).config, attached=None)
        situation = self._situation(request, product)
        hold = limit_hold(edits.edited(record, price, size, self.now), product, self.rules) if price > 0 else ZERO
        short = hold > add(situation.available, record.hold)
        for refused in refusals(replace(situation, available=situation.need.minimum)):
            return edits.as_edit_refusal(refused)
        return edits.SHORT if short else None

    def _edit_now(self, order: Working, price: Decimal, size: Decimal) -> None:
        before, product = order.record, self._products[order.record.product]
        keeps = edits.keeps_place(before, price, size)
        after = edits.edited(before, price, size, self.now)
        hold = limit_hold(after, product, self.rules)
        self._account.release(before.hold_currency, before.hold)
        self._account.reserve(before.hold_currency, hold)
        under_way = not keeps and (self.rules.by_bars or bool(self.rules.latency))
        status = VenueStatus.PENDING if under_way else VenueStatus.OPEN
        self._books.put(order, replace(after, hold=hold, status=status))
        if not keeps:
            order.rank, order.live, order.taking = self._books.next_rank(), False, False
            self._set_out(order)

    def _edit_late(self, order: Working, price: Decimal, size: Decimal) -> None:
        """A queued edit comes due: applied, or dropped when the order or the money no longer allows it."""
        reopened = replace(order.record, status=VenueStatus.OPEN, updated_at=self.now)
        if edits.refusal(reopened, price, size) or self._edit_refused(reopened, price, size):
            self._books.put(order, reopened)
        else:
            self._edit_now(order, price, size)

    def _situation(self, request: OrderRequest, product: Product) -> Situation:
        """What the checks look at: what they found in the same situation, as when an order is sent right after its
        preview, holds."""
        books, account, rules = self._books, self._account, self.rules
        piece, tier = self._newest(product.market), books.fee_tier()
        pays = product.quote if request.side is BUY else product.base
        has_wallet, available = account.knows(pays), account.available(pays)
        bracketed = books.bracketed(pays) if rules.bracket_shortfall else ZERO
        given = (request, product, piece, tier, books.now, has_wallet, available, bracketed, rules)
        if self._judged is None or self._judged[0] != given:
            found = Situation(
                request, request.config.terms(request.side), product,
                None if piece is None else self._touch(product, piece), None if piece is None else piece.close,
                books.now, Rates(tier.maker, tier.taker), has_wallet, available, bracketed, rules,
            )  # fmt: skip
            self._judged = (given, found)
        return self._judged[1]

    def _touch(self, product: Product, piece: MarketSlice) -> Touch:
        return touch_at_end(piece, self.rules.spread, product.price_step)

    def _offers(
        self, product: Product, taker: Side, touch: Touch | None, limit: Decimal | None = None
    ) -> Iterator[Offer]:
        """What a taker would find now, whatever our own orders took of it."""
        piece = self._newest(product.market)
        if piece is None or touch is None:
            return
        depth = piece.depth or self.rules.depth
        if depth is not None:
            yield from levels(depth, taker, touch, product)
            return
        offer = single_offer(taker, limit, touch, product, self.rules, share_of(piece.volume, product, self.rules))
        if offer is not None and offer.size:
            yield offer

    def _levels(self, product: Product, taker: Side, touch: Touch, count: int) -> tuple[Level, ...]:
        return as_levels(self._offers(product, taker, touch), count)


def _cancel_failure(order: Working, products: Mapping[ProductId, Product]) -> str:
    """Why the venue would not take a cancel of this order; empty when it would."""
    record = order.record
    if record.status is VenueStatus.FILLED:
        return "ORDER_IS_FULLY_FILLED"
    if record.status.is_terminal:
        return "UNKNOWN_CANCEL_ORDER"
    if record.status is VenueStatus.CANCEL_QUEUED:
        return "DUPLICATE_CANCEL_REQUEST"
    if record.status is VenueStatus.EDIT_QUEUED:
        return "ORDER_IS_BEING_REPLACED"
    # The venue's words for post_only mode: orders can be posted, not cancelled.
    return "COMMANDER_REJECTED_CANCEL_ORDER" if products[record.product].mode is TradingMode.POST_ONLY else ""
