"""An exchange of one account that can be broken on demand, a clock with a timeline, and the market it shows."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from bot.domain.market import Quote
from bot.domain.money import ZERO, Price, Size
from bot.domain.order import (
    Ack,
    CancelAnswer,
    Fill,
    Liquidity,
    OrderReport,
    OrderType,
    PlannedOrder,
    VenueStatus,
)  # fmt: skip
from bot.domain.product import Product, ProductId, Side
from bot.domain.snapshot import Balance, ExchangeStatus, StatusLevel
from bot.domain.state import FeeTier
from bot.domain.value import replace
from bot.errors import BotError, ExchangeError, NotFound, OutcomeUnknown, Rejected
from bot.ports import KeyPermissions, MarketFacts, Preview, WakeReason
from tests.builders import NOW, fee_tier

FEE = Decimal("0.006")


class Timeline:
    """A clock that moves only while somebody waits, and on which things can be made to happen."""

    def __init__(self, start: datetime = NOW) -> None:
        self._start = self._now = start
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []
        self._count = 0
        self.wakes: deque[WakeReason] = deque()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def stopwatch(self) -> float:
        return self.monotonic()

    def wake(self, reason: WakeReason) -> None:
        self.wakes.append(reason)

    def wait_until(self, when: datetime) -> WakeReason | None:
        while True:
            if self.wakes:
                return self.wakes.popleft()
            if not self._due or self._due[0][0] > when:
                self._now = max(self._now, when)
                return None
            at, _, action = heapq.heappop(self._due)
            self._now = max(self._now, at)
            action()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Let `action` happen once that much time has passed."""
        self._count += 1
        heapq.heappush(self._due, (self._now + timedelta(seconds=seconds), self._count, action))

    def pass_(self, seconds: float) -> None:
        """Time passes for everybody."""
        end = self._now + timedelta(seconds=seconds)
        while self._now < end:
            self.wait_until(end)


@dataclass
class Record:
    """One order as the exchange really has it. shown_from: when reads begin to show it."""

    plan: PlannedOrder
    order_id: str
    status: VenueStatus
    created_at: datetime
    shown_from: datetime
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fees: Decimal = ZERO
    parent_id: str = ""
    reject_reason: str = ""
    ghost: bool = False

    @property
    def working(self) -> bool:
        return not self.status.is_terminal

    @property
    def left(self) -> Decimal:
        return self.plan.size.value - self.filled if self.working else ZERO

    def report(self) -> OrderReport:
        average = Price(self.value / self.filled) if self.filled else None
        status = VenueStatus.OPEN if self.ghost else self.status
        return OrderReport(
            order_id=self.order_id, client_order_id=self.plan.client_order_id, product=self.plan.product,
            side=self.plan.side, type=self.plan.type, status=status, size=self.plan.size,
            limit_price=self.plan.limit_price, stop_price=self.plan.stop_price, filled=Size(self.filled),
            filled_value=self.value, fees=self.fees, average_price=average, created_at=self.created_at,
            end_time=self.plan.end_time, parent_id=self.parent_id, reject_reason=self.reject_reason,
        )  # fmt: skip


@dataclass
class Faults:
    """What goes wrong. place: one entry per POST, "" is fine, "lost" books and answers nothing, "dropped" does neither,
    an error is raised instead of booking. reads: raised by every read until cleared. lag_s: new orders are shown later.
    cancel_s: a cancel takes that long; hold_s: a hold is released that long after its order ended; ghost_s: it is shown
    OPEN for that long. deaf: nobody hears a cancel; refusal: it is refused so. dedupe: a known client id is answered
    with the old order. silence_s: a read or cancel that fails does so only after that long.
    """

    place: deque[str | ExchangeError] = field(default_factory=deque)
    reads: BotError | None = None
    cancels: BotError | None = None
    lag_s: float = 0
    cancel_s: float = 0
    hold_s: float = 0
    ghost_s: float = 0
    refusal: str = ""
    deaf: bool = False
    fills_hidden: bool = False
    silence_s: float = 0


class Exchange:
    """One account. `posts` holds every order that reached it; `violations` what no bot may ever do."""

    def __init__(self, clock: Timeline, wallets: dict[str, str], products: Sequence[Product]) -> None:
        self.clock = clock
        self.wallets = {currency: Decimal(amount) for currency, amount in wallets.items()}
        self.listed = {product.id: product for product in products}
        self.quotes: dict[ProductId, Quote | None] = {}
        self.depth = Decimal(1000)
        self.orders: dict[str, Record] = {}
        self.posts: list[tuple[datetime, PlannedOrder]] = []
        self.cancels: list[tuple[datetime, tuple[str, ...]]] = []
        self.trades: list[Fill] = []
        self.faults = Faults()
        self.previews: tuple[str, ...] = ()
        self.violations: list[str] = []
        self.before_place: Callable[[PlannedOrder], None] = lambda order: None
        self.after_place: Callable[[PlannedOrder], None] = lambda order: None
        self._held_back: list[tuple[datetime, str, Decimal]] = []
        self._ids = 0

    # ------------------------------------------------------------------------------------------------- the market

    def show(self, name: str, bid: str, ask: str) -> None:
        """A new top of the book, seen now."""
        size = Size(self.depth)
        self.quotes[ProductId(name)] = Quote(
            ProductId(name), Price(Decimal(bid)), Price(Decimal(ask)), size, size, self.clock.now()
        )

    def refresh_quotes(self) -> None:
        self.quotes = {p: q and replace(q, at=self.clock.now()) for p, q in self.quotes.items()}

    def requote(self, market: ProductId) -> Quote | None:
        quote = self.quotes.get(market)
        return quote and replace(quote, at=self.clock.now())

    def watch(self, needed_bars: Mapping[ProductId, int]) -> None: ...

    def refresh(self, now: datetime) -> None: ...

    def facts(self, market: ProductId) -> MarketFacts:
        return MarketFacts(self.quotes.get(market), None, None)

    def guard(self, levels: Mapping[ProductId, tuple[Price | None, Price | None]]) -> None: ...

    def user_events(self) -> bool:
        return False

    # ---------------------------------------------------------------------------------------------------- orders

    def place(self, order: PlannedOrder) -> Ack:
        self.before_place(order)
        fault = self.faults.place.popleft() if self.faults.place else ""
        if isinstance(fault, ExchangeError):
            raise fault
        if fault == "dropped":
            raise OutcomeUnknown(order.client_order_id, "the connection was closed")
        known = next((r for r in self.orders.values() if r.plan.client_order_id == order.client_order_id), None)
        if known is not None:
            if known.plan != order:
                self.violations.append(f"{order.client_order_id} sent again with another body")
            return Ack(order.client_order_id, known.order_id)
        record = self._accept(order)
        self.after_place(order)
        if fault == "lost":
            raise OutcomeUnknown(order.client_order_id, "the answer was lost")
        return Ack(order.client_order_id, record.order_id)

    def _accept(self, order: PlannedOrder) -> Record:
        product, quote = self.listed[order.product], self.quotes[order.product]
        assert quote is not None
        if order.limit_price is not None and (why := product.illegal(order.limit_price, order.size)):
            self.violations.append(why)
        crosses = order.limit_price is not None and (
            order.limit_price >= quote.ask if order.side is Side.BUY else order.limit_price <= quote.bid
        )
        if order.type is OrderType.LIMIT_POST_ONLY and crosses:
            raise Rejected("INVALID_LIMIT_PRICE_POST_ONLY", "would cross")
        if self._need(order) > self.available(self._paid_in(order)):
            raise Rejected("INSUFFICIENT_FUND", "Insufficient balance in source account")
        if order.side is Side.SELL and order.size.value + self._offered(order.product) > self.wallets[product.base]:
            self.violations.append(f"sells {order.size} of {self.wallets[product.base]} {product.base}")
        record = self._open(order)
        self.posts.append((self.clock.now(), order))
        if order.type in (OrderType.LIMIT_IOC, OrderType.MARKET):
            if crosses or order.limit_price is None:
                self.fill(record.order_id, str(min(order.size.value, self.depth)), str(quote.cross(order.side)))
            if record.working:
                self.end(record.order_id, VenueStatus.CANCELLED)
        return record

    def _open(self, order: PlannedOrder, parent_id: str = "") -> Record:
        self._ids += 1
        now = self.clock.now()
        shown = now + timedelta(seconds=self.faults.lag_s)
        record = Record(order, f"order-{self._ids}", VenueStatus.OPEN, now, shown, parent_id=parent_id)
        self.orders[record.order_id] = record
        return record

    def cancel(self, order_ids: Sequence[str]) -> Sequence[CancelAnswer]:
        self.cancels.append((self.clock.now(), tuple(order_ids)))
        if self.faults.cancels is not None:
            self.clock.pass_(self.faults.silence_s)
            raise self.faults.cancels
        return [self._cancel(order_id) for order_id in order_ids]

    def _cancel(self, order_id: str) -> CancelAnswer:
        record = self.orders.get(order_id)
        if record is None or not record.working:
            return CancelAnswer(order_id, asked=False, reason="UNKNOWN_CANCEL_ORDER")
        if self.faults.refusal:
            return CancelAnswer(order_id, asked=False, reason=self.faults.refusal)
        if self.faults.deaf:
            return CancelAnswer(order_id, asked=True, reason="")
        if self.faults.cancel_s:
            record.status = VenueStatus.CANCEL_QUEUED
            self.clock.after(self.faults.cancel_s, lambda: self._finish_cancel(order_id))
        else:
            self.end(order_id, VenueStatus.CANCELLED)
        return CancelAnswer(order_id, asked=True, reason="")

    def _finish_cancel(self, order_id: str) -> None:
        if self.orders[order_id].working:
            self.end(order_id, VenueStatus.CANCELLED)

    # --------------------------------------------------------------------------------------------- what may happen

    def end(self, order_id: str, status: VenueStatus) -> None:
        """The order ends; its hold is released when the exchange gets to it."""
        record = self.orders[order_id]
        held = self._hold(record)
        record.status = status
        if self.faults.ghost_s:
            record.ghost = True
            self.clock.after(self.faults.ghost_s, lambda: setattr(record, "ghost", False))
        if self.faults.hold_s and held:
            until = self.clock.now() + timedelta(seconds=self.faults.hold_s)
            self._held_back.append((until, self._paid_in(record.plan), held))

    def fill(self, order_id: str, size: str, price: str | None = None) -> Fill:
        """Some of an order trades."""
        record = self.orders[order_id]
        order, amount = record.plan, Decimal(size)
        at = Decimal(price) if price is not None else (order.limit_price or order.stop_price or Price(Decimal(1))).value
        value, fee = at * amount, at * amount * FEE
        record.filled, record.value, record.fees = record.filled + amount, record.value + value, record.fees + fee
        base, quote = order.product.base, order.product.quote
        sign = 1 if order.side is Side.BUY else -1
        self.wallets[base] = self.wallets.get(base, ZERO) + sign * amount
        self.wallets[quote] = self.wallets.get(quote, ZERO) - sign * value - fee
        if record.filled >= order.size.value and record.working:
            record.status = VenueStatus.FILLED
        if self.wallets[base] < 0 or (order.limit_price and order.side is Side.BUY and at > order.limit_price.value):
            self.violations.append(f"{base} is at {self.wallets[base]} after {order.side.value} at {at}")
        row = Fill(
            f"entry-{len(self.trades)}", f"trade-{len(self.trades)}", order_id, order.product, order.side,
            Price(at), Size(amount), value, fee, self.clock.now(), Liquidity.MAKER,
        )  # fmt: skip
        self.trades.append(row)
        self._grow_child(record)
        return row

    def _grow_child(self, parent: Record) -> None:
        """An attached bracket opens with the entry's first fill and grows with the others.

        After one that sold out comes another, after one that was cancelled none.
        """
        legs = parent.plan.attached
        if legs is None:
            return
        children = [r for r in self.orders.values() if r.parent_id == parent.order_id]
        more = parent.filled - sum((child.plan.size.value for child in children), ZERO)
        if children and children[-1].working:
            last = children[-1]
            last.plan = replace(last.plan, size=Size(last.plan.size.value + more))
        elif not children or children[-1].status is VenueStatus.FILLED:
            name = f"child-of-{parent.order_id}" + (f"-{len(children)}" if children else "")
            plan = replace(
                parent.plan, client_order_id=name, side=Side.SELL, type=OrderType.BRACKET, size=Size(more),
                limit_price=legs.limit_price, stop_price=legs.stop_trigger_price, attached=None, end_time=None,
            )  # fmt: skip
            self._open(plan, parent.order_id)

    # ----------------------------------------------------------------------------------------------------- reading

    def _read(self) -> None:
        if self.faults.reads is not None:
            self.clock.pass_(self.faults.silence_s)
            raise self.faults.reads

    def _shown(self) -> list[Record]:
        return [record for record in self.orders.values() if record.shown_from <= self.clock.now()]

    def balances(self) -> Sequence[Balance]:
        self._read()
        return [Balance(c, self.available(c), self.wallets[c] - self.available(c)) for c in self.wallets]

    def working_orders(self) -> Sequence[OrderReport]:
        self._read()
        return [record.report() for record in self._shown() if record.working]

    def orders_created(self, since: datetime, until: datetime) -> Sequence[OrderReport]:
        self._read()
        return [record.report() for record in self._shown() if since <= record.created_at < until]

    def order(self, order_id: str) -> OrderReport:
        self._read()
        record = self.orders.get(order_id)
        if record is None or record.shown_from > self.clock.now():
            raise NotFound(f"no order {order_id}")
        return record.report()

    def fills_since(self, since: datetime) -> Sequence[Fill]:
        self._read()
        if self.faults.fills_hidden:
            return []
        shown = {record.order_id for record in self._shown()}
        return [row for row in self.trades if row.at >= since and row.order_id in shown]

    def preview(self, order: PlannedOrder) -> Preview:
        self._read()
        return Preview(self.previews, (), None, None)

    def fee_tier(self) -> FeeTier:
        return fee_tier()

    def products(self) -> Sequence[Product]:
        return list(self.listed.values())

    def server_time(self) -> datetime:
        return self.clock.now()

    def key_permissions(self) -> KeyPermissions:
        return KeyPermissions(True, True, False, "portfolio")

    def status(self) -> ExchangeStatus:
        return ExchangeStatus(StatusLevel.OPERATIONAL, "", self.clock.now())

    # ------------------------------------------------------------------------------------------------------- money

    def available(self, currency: str) -> Decimal:
        held = sum((self._hold(r) for r in self.orders.values() if self._paid_in(r.plan) == currency), ZERO)
        late = sum((a for until, c, a in self._held_back if c == currency and until > self.clock.now()), ZERO)
        return self.wallets.get(currency, ZERO) - held - late

    def working(self, side: Side | None = None) -> list[Record]:
        return [r for r in self.orders.values() if r.working and side in (None, r.plan.side)]

    def _hold(self, record: Record) -> Decimal:
        price = record.plan.limit_price.value if record.plan.limit_price else ZERO
        return record.left * price * (1 + FEE) if record.plan.side is Side.BUY else record.left

    def _need(self, order: PlannedOrder) -> Decimal:
        price = order.limit_price.value if order.limit_price else ZERO
        return order.size.value * price * (1 + FEE) if order.side is Side.BUY else order.size.value

    def _paid_in(self, order: PlannedOrder) -> str:
        return order.product.quote if order.side is Side.BUY else order.product.base

    def _offered(self, product: ProductId) -> Decimal:
        return sum((r.left for r in self.working(Side.SELL) if r.plan.product == product), ZERO)
