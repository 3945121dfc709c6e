"""The Exchange port on the embedded matching core: paper, backtest and fault runs trade here instead of at Coinbase."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.domain.money import Price, Size
from bot.domain.order import (
    Ack,
    CancelAnswer,
    Fill,
    OrderReport,
    OrderType,
    PlannedOrder,
    VenueStatus,
)
from bot.domain.product import Product, Side
from bot.domain.snapshot import Balance, ExchangeStatus, StatusLevel
from bot.domain.state import FeeTier
from bot.errors import Rejected, UnitError
from bot.ports import Clock, KeyPermissions, Preview
from bot.venue.orders import (
    DOWN,
    UP,
    BracketConfig,
    Configuration,
    LimitFok,
    LimitGtc,
    LimitGtd,
    LimitIoc,
    MarketIoc,
    OrderRecord,
    OrderRequest,
    Refused,
    StopLimit,
    VenueFill,
)
from bot.venue.venue import Venue

PORTFOLIO: Final = "00000000-0000-4000-8000-000000000000"
"""Portfolio id of the embedded account."""

_TYPES: Final[Mapping[str, OrderType]] = {
    "market_market_ioc": OrderType.MARKET,
    "sor_limit_ioc": OrderType.LIMIT_IOC,
    "limit_limit_fok": OrderType.LIMIT_FOK,
    "limit_limit_gtc": OrderType.LIMIT_GTC,
    "limit_limit_gtd": OrderType.LIMIT_POST_ONLY,
    "stop_limit_stop_limit_gtc": OrderType.STOP_LIMIT,
    "stop_limit_stop_limit_gtd": OrderType.STOP_LIMIT,
    "trigger_bracket_gtc": OrderType.BRACKET,
    "trigger_bracket_gtd": OrderType.BRACKET,
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around the embedded account.

    catch_up: brings the core's markets to now before anything is read or asked; products, status: the real venue's
    in paper, the data folder's in a backtest.
    """

    catch_up: Callable[[], None]
    products: Callable[[], Sequence[Product]]
    status: Callable[[], ExchangeStatus]


class VenueExchange:
    """Exchange on a `Venue`. Reads are complete by nature; answers that did not change are the same objects."""

    def __init__(self, venue: Venue, clock: Clock, around: Surroundings) -> None:
        self._venue = venue
        self._clock = clock
        self._around = around
        self._fills: list[Fill] = []

    def server_time(self) -> datetime:
        return self._clock.now()

    def key_permissions(self) -> KeyPermissions:
        return KeyPermissions(can_view=True, can_trade=True, can_transfer=False, portfolio_uuid=PORTFOLIO)

    def balances(self) -> Sequence[Balance]:
        self._around.catch_up()
        return self._venue.balances()

    def products(self) -> Sequence[Product]:
        found = self._around.products()
        for product in found:
            self._venue.set_product(product)
        return found

    def working_orders(self) -> Sequence[OrderReport]:
        self._around.catch_up()
        return tuple(report(record) for record in self._venue.working())

    def orders_created(self, since: datetime, until: datetime) -> Sequence[OrderReport]:
        self._around.catch_up()
        return tuple(report(record) for record in self._venue.orders() if since <= record.created_at < until)

    def order(self, order_id: str) -> OrderReport:
        self._around.catch_up()
        return report(self._venue.order(order_id))

    def fills_since(self, since: datetime) -> Sequence[Fill]:
        self._around.catch_up()
        self._fills.extend(fill(row) for row in self._venue.fills(len(self._fills)))
        first = len(self._fills)
        while first and self._venue_time(first - 1) >= since:
            first -= 1
        return tuple(self._fills[first:])

    def fee_tier(self) -> FeeTier:
        return self._venue.fee_tier()

    def status(self) -> ExchangeStatus:
        return self._around.status()

    def preview(self, order: PlannedOrder) -> Preview:
        self._around.catch_up()
        seen = self._venue.preview(request(order), self._clock.now())
        return Preview(seen.errors, seen.warnings, seen.commission_total, seen.order_total)

    def place(self, order: PlannedOrder) -> Ack:
        """Raises Rejected with the venue's name for the refusal."""
        self._around.catch_up()
        answer = self._venue.place(request(order), self._clock.now())
        if isinstance(answer, Refused):
            raise Rejected(answer.preview_failure_reason or answer.error, answer.message)
        return Ack(order.client_order_id, answer.order_id)

    def cancel(self, order_ids: Sequence[str]) -> Sequence[CancelAnswer]:
        self._around.catch_up()
        results = self._venue.cancel(order_ids, self._clock.now())
        return tuple(CancelAnswer(item.order_id, item.success, item.failure_reason) for item in results)

    def _venue_time(self, index: int) -> datetime:
        """When fill `index` was booked: fills are kept in that order."""
        return self._venue.fills(index)[0].booked_at


def operational(now: datetime) -> ExchangeStatus:
    """The status of a venue without a status page."""
    return ExchangeStatus(StatusLevel.OPERATIONAL, "embedded venue", now)


def request(order: PlannedOrder) -> OrderRequest:
    """A planned order as the core takes it."""
    return OrderRequest(order.client_order_id, order.product, order.side, _configuration(order), order.attached)


def report(record: OrderRecord) -> OrderReport:
    """The core's record as the venue would show it."""
    terms = record.terms
    sized = terms.base_size is not None
    return OrderReport(
        order_id=record.order_id,
        client_order_id=record.client_order_id,
        product=record.product,
        side=record.side,
        type=_type(record),
        status=record.status,
        size=Size(terms.base_size) if terms.base_size is not None else None,
        limit_price=_price(terms.limit_price),
        stop_price=_price(terms.stop_price),
        filled=Size(record.filled_size),
        filled_value=record.filled_value,
        fees=record.fees,
        average_price=_price(record.average_price),
        created_at=record.created_at,
        end_time=terms.end_time,
        quote_size=None if sized else terms.quote_size,
        hold=record.hold,
        parent_id=record.originating_order_id,
        reject_reason=record.reject_reason if record.status is VenueStatus.FAILED else "",
        number_of_fills=record.number_of_fills,
    )


def fill(row: VenueFill) -> Fill:
    """One of the core's fills, always in base."""
    return Fill(
        row.entry_id, row.trade_id, row.order_id, row.product, row.side, Price(row.price), Size(row.size), row.value,
        row.fee, row.trade_time, row.liquidity, "" if row.trade_type == "FILL" else row.trade_type,
    )  # fmt: skip


def _type(record: OrderRecord) -> OrderType:
    kind = _TYPES.get(record.terms.key, OrderType.OTHER)
    return OrderType.OTHER if kind is OrderType.LIMIT_POST_ONLY and not record.terms.post_only else kind


def _price(value: Decimal | None) -> Price | None:
    return Price(value) if value is not None and value > 0 else None


def _configuration(order: PlannedOrder) -> Configuration:
    size = order.size.value
    if order.type is OrderType.MARKET:
        return MarketIoc(base_size=size)
    if order.limit_price is None:
        raise UnitError(f"a {order.type.value} order needs a limit price")
    limit = order.limit_price.value
    simple: dict[OrderType, Configuration] = {
        OrderType.LIMIT_POST_ONLY: LimitGtd(size, limit, post_only=True, end_time=order.end_time),
        OrderType.LIMIT_GTC: LimitGtc(size, limit),
        OrderType.LIMIT_IOC: LimitIoc(size, limit),
        OrderType.LIMIT_FOK: LimitFok(size, limit),
    }
    if order.type in simple:
        return simple[order.type]
    return _stop_configuration(order, size, limit)


def _stop_configuration(order: PlannedOrder, size: Decimal, limit: Decimal) -> Configuration:
    if order.stop_price is None:
        raise UnitError(f"a {order.type.value} order needs a stop price")
    stop = order.stop_price.value
    if order.type is OrderType.BRACKET:
        return BracketConfig(size, limit, stop, order.end_time)
    if order.type is OrderType.STOP_LIMIT:
        return StopLimit(size, limit, stop, DOWN if order.side is Side.SELL else UP, order.end_time)
    raise UnitError(f"this bot never sends {order.type.value} orders")
