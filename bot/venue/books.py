"""The venue's own records: orders, fills, events and money, changed together so that they never disagree."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.domain.money import ZERO, floor_to
from bot.domain.order import Bracket, Liquidity, VenueStatus
from bot.domain.product import SELL, Product, ProductId
from bot.domain.state import FeeTier
from bot.domain.value import replace
from bot.venue.account import Account
from bot.venue.desk import Desk, Working
from bot.venue.exact import add, mul, sub
from bot.venue.fees import VolumeMeter
from bot.venue.holds import hold_left, is_complete
from bot.venue.ids import Ids
from bot.venue.kept import Kept, KeptOrder, KeptRelease, KeptVolume
from bot.venue.market import MarketSlice
from bot.venue.matching import Take
from bot.venue.orders import BracketConfig, OrderRecord, OrderRequest, Terms, TriggerStatus, VenueFill
from bot.venue.rules import FillRules
from bot.venue.tape import Tape

DOLLARS: Final = frozenset({"USD", "USDC"})


class Books:
    """All orders, fills and events of one venue, and the account they move.

    products: shared with the venue, which keeps it up to date. newest: the newest slice of a market.
    now: the venue's time. busy: the desks that have working orders. releases: holds of cancelled orders that a delay
    keeps, oldest first.
    """

    def __init__(
        self, products: Mapping[ProductId, Product], newest: Callable[[ProductId], MarketSlice | None],
        account: Account, rules: FillRules, ids: Ids, now: datetime,
    ) -> None:  # fmt: skip
        self.products = products
        self.account = account
        self.rules = rules
        self.now = now
        self.ids = ids
        self.tape = Tape(now)
        self.orders: dict[str, Working] = {}
        self.clients: dict[str, str] = {}
        self.desks: dict[ProductId, Desk] = {}
        self.busy: dict[ProductId, Desk] = {}
        self.fills: list[VenueFill] = []
        self.newest = newest
        self._meter = VolumeMeter()
        self._tier: FeeTier | None = None
        self.ranks = 0
        self.releases: deque[tuple[datetime, str, Decimal]] = deque()

    def working(self, order_id: str) -> Working | None:
        """The order while it is not terminal."""
        found = self.orders.get(order_id)
        return found if found is not None and found.record.is_working else None

    def fee_tier(self) -> FeeTier:
        """The tier in force now: fills of the hour that runs do not count yet, so no order of this moment moves it."""
        known = self._tier
        if known is None or known.as_of is not self.now:
            tier = self.rules.fees.tier(self._meter.total(self.now))
            known = self._tier = FeeTier(tier.maker, tier.taker, tier.name, self.now)
        return known

    def next_rank(self) -> int:
        self.ranks += 1
        return self.ranks

    def open(self, request: OrderRequest, terms: Terms, hold: Decimal, parent: str = "") -> Working:
        """Record a new order of these terms with its hold; it is PENDING until it arrives."""
        product, tier = self.products[request.product], self.fee_tier()
        record = OrderRecord(
            self.ids.order(), request, product.market, request.config, terms, terms.limit_price,
            tier.maker, tier.taker, self.now, self.now, hold=hold, originating_order_id=parent,
            trigger=TriggerStatus.PLAIN if terms.stop_price is None else TriggerStatus.PENDING,
        )  # fmt: skip
        self.account.reserve(record.hold_currency, hold)
        rank = self.next_rank()
        order = Working(record, rank, rank, self.now)
        self.orders[record.order_id] = order
        self._desk(product.market).orders[record.order_id] = order
        if request.client_order_id:
            self.clients[request.client_order_id] = record.order_id
        self.put(order, record)
        return order

    def put(self, order: Working, record: OrderRecord) -> None:
        """Replace an order's record and tell the world."""
        order.record = record
        self.tape.order(self.now, record)

    def finish(self, order: Working, status: VenueStatus, at: datetime | None = None, message: str = "") -> None:
        """End an order: it leaves the book and the rest of its hold is released, now or after the rules' delay."""
        record, at = order.record, at or self.now
        desk = self.desks[record.market]
        desk.orders.pop(record.order_id, None)
        if not desk.orders:
            self.busy.pop(record.market, None)
        order.live = order.taking = False
        if status is VenueStatus.CANCELLED and self.rules.hold_release_delay:
            self.releases.append((self.now + self.rules.hold_release_delay, record.hold_currency, record.hold))
        elif record.hold:
            self.account.release(record.hold_currency, record.hold)
        ended = replace(
            record, status=status, hold=ZERO, ended_at=at, updated_at=at, pending_cancel=False,
            cancel_message=message or record.cancel_message,
        )  # fmt: skip
        self.put(order, ended)

    def top_up(self, order: Working, wanted: Decimal) -> None:
        """Raise a market buy's hold to `wanted` as far as the wallet allows: the price moved while it was under way."""
        record = order.record
        extra = min(sub(wanted, record.hold), self.account.available(record.hold_currency))
        if extra > 0:
            self.account.reserve(record.hold_currency, extra)
            order.record = replace(record, hold=add(record.hold, extra))

    def fail(self, order: Working, reason: str, message: str) -> None:
        """The order was accepted and could not be placed after all."""
        order.record = replace(order.record, reject_reason=reason, reject_message=message)
        self.finish(order, VenueStatus.FAILED)

    def release_due(self) -> None:
        """Free the holds of cancelled orders whose delay is over."""
        while self.releases and self.releases[0][0] <= self.now:
            _, currency, amount = self.releases.popleft()
            self.account.release(currency, amount)

    def keep_orders(self) -> tuple[KeptOrder, ...]:
        """Every order with its place in the queue, oldest first."""
        return tuple(
            KeptOrder(o.record, o.number, o.rank, o.since, o.bars_left, o.live, o.taking,
                      tuple(child.record.order_id for child in o.children))
            for o in self.orders.values()
        )  # fmt: skip

    def keep_volume(self) -> tuple[KeptVolume, ...]:
        return self._meter.keep()

    def keep_releases(self) -> tuple[KeptRelease, ...]:
        return tuple(KeptRelease(*each) for each in self.releases)

    def load(self, kept: Kept) -> None:
        """Go on where another venue's books stopped."""
        self.ranks, self.ids.orders, self.ids.fills = kept.ranks, kept.order_ids, kept.fill_ids
        self.tape.resume_at(kept.events, kept.now)
        self.account.load(kept.wallets)
        self.fills.extend(kept.fills)
        self.releases.extend((each.due, each.currency, each.amount) for each in kept.releases)
        for volume in kept.volume:
            self._meter.add(volume.at, volume.dollars)
        for each in kept.orders:
            self._load_order(each)
        for each in kept.orders:
            self.orders[each.record.order_id].children.extend(self.orders[child] for child in each.children)

    def _load_order(self, kept: KeptOrder) -> None:
        record = kept.record
        order = Working(record, kept.number, kept.rank, kept.since, kept.bars_left, kept.live, kept.taking)
        self.orders[record.order_id] = order
        if record.client_order_id:
            self.clients[record.client_order_id] = record.order_id
        if record.is_working:
            self._desk(record.market).orders[record.order_id] = order

    def _desk(self, market: ProductId) -> Desk:
        """The desk of a market that is about to have an order."""
        desk = self.desks.get(market)
        if desk is None:
            desk = self.desks[market] = Desk(market)
        self.busy[market] = desk
        return desk

    def bracketed(self, currency: str) -> Decimal:
        """Base on hold by working brackets."""
        held = ZERO
        for desk in self.busy.values():
            for order in desk.orders.values():
                if order.record.terms.is_bracket and order.record.hold_currency == currency:
                    held = add(held, order.record.hold)
        return held

    def pending_releases(self, currency: str) -> Decimal:
        """What is still on hold of orders that are already cancelled."""
        amount = ZERO
        for _, name, held in self.releases:
            amount = add(amount, held) if name == currency else amount
        return amount

    def fill(self, order: Working, take: Take, liquidity: Liquidity, trade_time: datetime) -> None:
        """Book one fill: money, order, events, trailing volume; a complete order ends and holds nothing any more, an
        attached bracket follows."""
        before, product = order.record, self.products[order.record.product]
        row = self._row(before, take, liquidity, trade_time)
        after = replace(
            before, filled_size=add(before.filled_size, row.size), filled_value=add(before.filled_value, row.value),
            fees=add(before.fees, row.fee), number_of_fills=before.number_of_fills + 1,
            last_fill_at=self.now, updated_at=self.now, hold=ZERO,
        )  # fmt: skip
        complete = is_complete(after, product)
        if not complete:
            after = replace(after, hold=hold_left(before, after, add(row.value, row.fee), product, self.rules))
        self.account.settle(row, sub(before.hold, after.hold))
        self.fills.append(row)
        self._meter.add(self.now, self._in_dollars(row))
        self.tape.fill(self.now, row)
        order.record = after
        if complete:
            self.finish(order, VenueStatus.FILLED)
        else:
            self.put(order, after)
        if before.request.attached is not None:
            self._attach(order, before.request.attached, product, row)

    def _row(self, record: OrderRecord, take: Take, liquidity: Liquidity, trade_time: datetime) -> VenueFill:
        rate = record.maker_rate if liquidity is Liquidity.MAKER else record.taker_rate
        value = mul(take.price, take.size)
        entry_id, trade_id = self.ids.fill()
        return VenueFill(
            len(self.fills) + 1, entry_id, trade_id, record.order_id, record.product, record.side, take.price,
            take.size, value, mul(value, rate), liquidity, trade_time, self.now, record.size_in_quote,
            spread=take.spread, slippage=take.slippage,
        )  # fmt: skip

    def _in_dollars(self, fill: VenueFill) -> Decimal:
        """Value for the fee tier; a quote currency without a dollar market here counts nothing."""
        quote = fill.product.quote
        if quote in DOLLARS:
            return fill.value
        piece = self.newest(ProductId(f"{quote}-USD"))
        return mul(fill.value, piece.close) if piece is not None else ZERO

    def _attach(self, parent: Working, legs: Bracket, product: Product, fill: VenueFill) -> None:
        """Let the attached bracket follow its parent's fills (R10), in whole size steps.

        A child a person cancelled is not replaced; one that already sold out is followed by another.
        """
        covered = ZERO
        for child in parent.children:
            covered = add(covered, child.record.terms.base_size or ZERO)
        size = sub(floor_to(parent.record.filled_size, product.size_step), covered)
        last = parent.children[-1] if parent.children else None
        if size <= 0 or (last is not None and last.record.status is VenueStatus.CANCELLED):
            return
        if last is not None and last.record.is_working:
            self._grow(last, size)
        else:
            self._bear(parent, legs, size, fill)

    def _grow(self, child: Working, size: Decimal) -> None:
        record = child.record
        self.account.reserve(record.hold_currency, size)
        config = replace(record.config, base_size=add(record.terms.base_size or ZERO, size))
        self.put(child, replace(record.configured(config), hold=add(record.hold, size), updated_at=self.now))

    def _bear(self, parent: Working, legs: Bracket, size: Decimal, fill: VenueFill) -> None:
        record = parent.record
        config = BracketConfig(size, legs.limit_price.value, legs.stop_trigger_price.value)
        request = OrderRequest("", record.product, SELL, config, owner=record.owner)
        child = self.open(request, config.terms(request.side), size, parent=record.order_id)
        child.live, child.since = True, fill.trade_time
        parent.children.append(child)
        self.desks[record.market].newborn.append((child, fill.price))
        self.put(child, replace(child.record, status=VenueStatus.OPEN))
        self.put(parent, replace(parent.record, attached_order_id=child.record.order_id))
