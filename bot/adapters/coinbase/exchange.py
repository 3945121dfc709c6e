"""The real venue behind the ports: `CoinbaseReader` reads one account, `CoinbaseExchange` also trades on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.adapters.coinbase.budget import Access, Priority
from bot.adapters.coinbase.client import Endpoint, Params, ReadClient, TradeClient
from bot.adapters.coinbase.failures import CallFailed
from bot.adapters.coinbase.paging import by_cursor, by_has_next
from bot.adapters.coinbase.status import StatusPage
from bot.adapters.coinbase.wire import account as wallets
from bot.adapters.coinbase.wire import order as orders
from bot.adapters.coinbase.wire import place as placing
from bot.adapters.coinbase.wire import product as listings
from bot.adapters.coinbase.wire.read import Fields
from bot.domain.codec import time_text
from bot.domain.order import Ack, CancelAnswer, Fill, OrderKind, OrderReport, PlannedOrder
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import Balance, ExchangeStatus
from bot.domain.state import FeeTier
from bot.domain.value import Value
from bot.errors import CriticalDataUnavailable, NotFound, Rejected, UnitError
from bot.ports import Clock, KeyPermissions, Preview

WORKING_STATUSES: Final = ("QUEUED", "PENDING", "EDIT_QUEUED", "OPEN", "CANCEL_QUEUED")
"""Asked in the direction orders move, so that one which moves meanwhile is seen later rather than missed."""

CANCELS_PER_CALL: Final = 100
_ORDERS_PER_PAGE: Final = 250
_WALLETS_PER_PAGE: Final = 250
_FILLS_PER_PAGE: Final = 250
_ORDER_ID: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_.:-]{0,127}", re.ASCII)
"""Coinbase's are UUIDs; what matters here is that an id is one segment of a path."""
_INVALID_ENUM: Final = ("is not a valid value", "order_status", "invalid enum")

_TIME: Final = Endpoint("/time", "time", Access.PUBLIC)
_KEY: Final = Endpoint("/key_permissions", "key_permissions", Access.PRIVATE)
_ACCOUNTS: Final = Endpoint("/accounts", "accounts", Access.PRIVATE, Priority.RECONCILE)
_PRODUCTS: Final = Endpoint("/products", "products", Access.PRIVATE)
_PUBLIC_PRODUCTS: Final = Endpoint("/market/products", "products", Access.PUBLIC)
_ORDERS: Final = Endpoint("/orders/historical/batch", "orders", Access.PRIVATE, Priority.RECONCILE)
_FILLS: Final = Endpoint("/orders/historical/fills", "fills", Access.PRIVATE, Priority.RECONCILE)
_FEES: Final = Endpoint("/transaction_summary", "transaction_summary", Access.PRIVATE)
_CANCEL: Final = Endpoint("/orders/batch_cancel", "cancel", Access.PRIVATE, Priority.URGENT, attempt_s=2.0)


class TimeSample(Value):
    """One comparison of clocks: venue time, our time when the answer came, and the round trip of that one request."""

    server: datetime
    received: datetime
    round_trip_s: float


class CoinbaseReader:
    """Port AccountReader. Has no way to change anything: its client reads and its session sends nothing but GET."""

    def __init__(self, client: ReadClient, clock: Clock, status_page: StatusPage) -> None:
        self.client = client
        self._clock = clock
        self._status_page = status_page
        self._products: dict[ProductId, Product] = {}
        self.unreadable_products: tuple[str, ...] = ()

    def server_time(self) -> datetime:
        return wallets.venue_time(self._read(_TIME, {}, "venue time"))

    def time_sample(self) -> TimeSample:
        """Venue time with the round trip of the one attempt that answered, for the skew."""
        timed = self.client.get_timed(_TIME, {}, "venue time", self._clock.now)
        server = wallets.venue_time(Fields(timed.document, "venue time"))
        return TimeSample(server, timed.received_at, timed.round_trip_s)

    def key_permissions(self) -> KeyPermissions:
        return wallets.permissions(self._read(_KEY, {}, "key permissions"))

    def balances(self) -> Sequence[Balance]:
        def ask(cursor: str) -> Fields:
            return self._read(_ACCOUNTS, _with_cursor({"limit": _WALLETS_PER_PAGE}, cursor), "accounts")

        pages = by_has_next(ask, "accounts")
        return wallets.balances([wallet for page in pages for wallet in wallets.wallets(page)])

    def products(self) -> Sequence[Product]:
        """Also kept for `known_product`; rows that could not be read are named in `unreadable_products`."""
        if self.client.has_key:
            params = {"product_type": "SPOT", "get_tradability_status": "true"}
            answer = self._read(_PRODUCTS, params, "products")
        else:
            answer = self._read(_PUBLIC_PRODUCTS, {"product_type": "SPOT"}, "products")
        found, self.unreadable_products = _split(listings.products(answer, self._clock.now()))
        self._products = {row.id: row for row in found}
        return found

    def known_product(self, market: ProductId) -> Product | None:
        """The listing of that id in the newest product list; None before the first one."""
        return self._products.get(market)

    def working_orders(self) -> Sequence[OrderReport]:
        found: dict[str, OrderReport] = {}
        for status in WORKING_STATUSES:
            found |= {report.order_id: report for report in self._orders_in(status)}
        return tuple(report for report in found.values() if not report.status.is_terminal)

    def orders_created(self, since: datetime, until: datetime) -> Sequence[OrderReport]:
        window = {"start_date": time_text(since), "end_date": time_text(until)}
        return tuple({report.order_id: report for report in self._orders(window)}.values())

    def order(self, order_id: str) -> OrderReport:
        if _ORDER_ID.fullmatch(order_id) is None:
            raise NotFound(f"{order_id[:70]!r} cannot be an order id")
        endpoint = Endpoint(f"/orders/historical/{order_id}", "order", Access.PRIVATE, Priority.RECONCILE)
        return orders.order(self._read(endpoint, {}, "order").object("order"))

    def fills_since(self, since: datetime) -> Sequence[Fill]:
        # The filter means "after" and looks at the booking time, which trails the trade by milliseconds.
        after = time_text(since - timedelta(seconds=1))

        def ask(cursor: str) -> Fields:
            params = {"start_sequence_timestamp": after, "limit": _FILLS_PER_PAGE}
            return self._read(_FILLS, _with_cursor(params, cursor), "fills")

        pages = by_cursor(ask, "fills", "entry_id", "fills")
        fills = [orders.fill(row) for page in pages for row in page.rows("fills")]
        return sorted({fill.entry_id: fill for fill in fills}.values(), key=lambda fill: (fill.at, fill.entry_id))

    def fee_tier(self) -> FeeTier:
        answer = self._read(_FEES, {"product_type": "SPOT"}, "fee tier")
        return wallets.fee_tier(answer, self._clock.now())

    def status(self) -> ExchangeStatus:
        return self._status_page.read(self._clock.now())

    def close(self) -> None:
        """End the worker threads."""
        self.client.close()

    def _orders_in(self, status: str) -> list[OrderReport]:
        """Orders of one status; a status this venue does not know holds none. OPEN must be known."""
        try:
            return self._orders({"order_status": [status]})
        except _QuestionRefused as refused:
            if status == "OPEN" or not any(sign in str(refused) for sign in _INVALID_ENUM):
                raise
            return []

    def _orders(self, filters: Params) -> list[OrderReport]:
        def ask(cursor: str) -> Fields:
            params = {"product_type": "SPOT", "limit": _ORDERS_PER_PAGE, **filters}
            return self._read(_ORDERS, _with_cursor(params, cursor), "orders")

        return [orders.order(row) for page in by_has_next(ask, "orders") for row in page.rows("orders")]

    def _read(self, endpoint: Endpoint, params: Params, what: str) -> Fields:
        try:
            return Fields(self.client.get(endpoint, params, what), what)
        except Rejected as refused:
            raise _QuestionRefused(what, f"the venue refused the question: {refused}") from refused


class CoinbaseExchange(CoinbaseReader):
    """Port Exchange."""

    def __init__(self, client: TradeClient, clock: Clock, status_page: StatusPage) -> None:
        super().__init__(client, clock, status_page)
        self._trade = client

    def preview(self, order: PlannedOrder) -> Preview:
        endpoint = Endpoint("/orders/preview", "preview", Access.PRIVATE, _priority(order))
        answer = self._trade.post_again(endpoint, placing.preview_body(order), "preview")
        return orders.preview(Fields(answer, "preview"))

    def place(self, order: PlannedOrder) -> Ack:
        """Sent at most once. An HTTP 429, 401 or 403 is OutcomeUnknown too: it may stem from a layer behind the book.

        RateLimited and Transient mean that not a byte left; a duplicate id named by the venue is OutcomeUnknown.
        """
        endpoint = Endpoint("/orders", "place", Access.PRIVATE, _priority(order))
        client_order_id = order.client_order_id
        if not client_order_id:
            raise UnitError("an order without a client order id would get a random one and could not be found again")
        try:
            answer = self._trade.post_once(endpoint, placing.order_body(order))
        except CallFailed as failed:
            raise placing.meaning(failed, client_order_id) from failed
        return placing.read_answer(answer, client_order_id)

    def cancel(self, order_ids: Sequence[str]) -> Sequence[CancelAnswer]:
        """Malformed ids are answered here and never sent: one would fail its whole batch."""
        wellformed = [order_id for order_id in dict.fromkeys(order_ids) if _ORDER_ID.fullmatch(order_id)]
        answers: dict[str, CancelAnswer] = {}
        for first in range(0, len(wellformed), CANCELS_PER_CALL):
            batch = wellformed[first : first + CANCELS_PER_CALL]
            answers |= {answer.order_id: answer for answer in self._cancel_batch(batch)}
        malformed = "not sent: this cannot be an order id"
        return [answers.get(order_id, CancelAnswer(order_id, False, malformed)) for order_id in order_ids]

    def _cancel_batch(self, order_ids: Sequence[str]) -> list[CancelAnswer]:
        """One request; when the venue refuses a batch as a whole, one request an id, so that one cannot save others."""
        try:
            answer = self._trade.post_again(_CANCEL, {"order_ids": list(order_ids)}, "cancel")
        except (Rejected, NotFound) as refused:
            if len(order_ids) == 1:
                return [CancelAnswer(order_ids[0], False, str(refused))]
            return [answer for order_id in order_ids for answer in self._cancel_batch([order_id])]
        return orders.cancel_answers(Fields(answer, "cancel"), order_ids)


class _QuestionRefused(CriticalDataUnavailable):
    """A read the venue answered with a 4xx of its own: for the caller nothing is known."""


def _priority(planned: PlannedOrder) -> Priority:
    """Whatever reduces a position may use the reserve."""
    return Priority.NORMAL if planned.kind is OrderKind.ENTRY else Priority.URGENT


def _with_cursor(params: Params, cursor: str) -> Params:
    return {**params, "cursor": cursor} if cursor else params


def _split(found: tuple[list[Product], list[str]]) -> tuple[list[Product], tuple[str, ...]]:
    return found[0], tuple(found[1])
