"""The venue's records in the bot's own words, for every adapter that trades on a Venue in the same process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from bot.domain.money import Price, Size
from bot.domain.order import Fill, OrderReport, OrderType, PlannedOrder
from bot.domain.product import SELL
from bot.errors import UnitError
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
    StopLimit,
    VenueFill,
)


def request_for(order: PlannedOrder, owner: str = "bot") -> OrderRequest:
    """The order as the venue takes it. Raises UnitError when a price its type needs is missing."""
    return OrderRequest(order.client_order_id, order.product, order.side, _config(order), order.attached, owner)


def report_of(record: OrderRecord) -> OrderReport:
    """The order as a reader of the account sees it."""
    terms, request, average = record.terms, record.request, record.average_price
    size, limit, stop = terms.base_size, terms.limit_price, terms.stop_price
    return OrderReport(
        record.order_id, request.client_order_id, request.product, request.side,
        _TYPES[terms.key, terms.post_only], record.status,
        None if size is None else Size(size), None if limit is None else Price(limit),
        None if stop is None else Price(stop), Size(record.filled_size), record.filled_value, record.fees,
        None if average is None else Price(average), record.created_at, terms.end_time, terms.quote_size,
        record.hold, record.originating_order_id, _reject_reason(record), record.number_of_fills,
    )  # fmt: skip


def fill_of(fill: VenueFill) -> Fill:
    """The fill in base units; the time is when it was booked, which is what cursors count by."""
    return Fill(
        fill.entry_id, fill.trade_id, fill.order_id, fill.product, fill.side, Price(fill.price), Size(fill.size),
        fill.value, fill.fee, fill.booked_at, fill.liquidity, "" if fill.trade_type == "FILL" else fill.trade_type,
    )  # fmt: skip


def _config(order: PlannedOrder) -> Configuration:
    if order.type is OrderType.MARKET:
        return MarketIoc(order.size.value)
    made = _CONFIGURED.get(order.type)
    if made is None:
        raise UnitError(f"order {order.client_order_id}: type {order.type.value} cannot be placed")
    return made(order, order.size.value, _needed(order.limit_price, "limit_price", order))


def _post_only(order: PlannedOrder, size: Decimal, limit: Decimal) -> Configuration:
    return LimitGtd(size, limit, True, order.end_time) if order.end_time else LimitGtc(size, limit, True)


def _stop_limit(order: PlannedOrder, size: Decimal, limit: Decimal) -> Configuration:
    way = DOWN if order.side is SELL else UP
    return StopLimit(size, limit, _needed(order.stop_price, "stop_price", order), way, order.end_time)


def _bracket(order: PlannedOrder, size: Decimal, limit: Decimal) -> Configuration:
    return BracketConfig(size, limit, _needed(order.stop_price, "stop_price", order), order.end_time)


_CONFIGURED: Final[Mapping[OrderType, Callable[[PlannedOrder, Decimal, Decimal], Configuration]]] = {
    OrderType.LIMIT_POST_ONLY: _post_only,
    OrderType.LIMIT_GTC: lambda _, size, limit: LimitGtc(size, limit),
    OrderType.LIMIT_IOC: lambda _, size, limit: LimitIoc(size, limit),
    OrderType.LIMIT_FOK: lambda _, size, limit: LimitFok(size, limit),
    OrderType.STOP_LIMIT: _stop_limit,
    OrderType.BRACKET: _bracket,
}
"""What makes a configuration of an order with these (size, limit)."""


def _needed(price: Price | None, name: str, order: PlannedOrder) -> Decimal:
    if price is None:
        raise UnitError(f"order {order.client_order_id}: {order.type.value} needs a {name}")
    return price.value


_TYPES: Final[Mapping[tuple[str, bool], OrderType]] = {
    ("market_market_ioc", False): OrderType.MARKET,
    ("sor_limit_ioc", False): OrderType.LIMIT_IOC,
    ("limit_limit_fok", False): OrderType.LIMIT_FOK,
    ("limit_limit_gtc", False): OrderType.LIMIT_GTC,
    ("limit_limit_gtc", True): OrderType.LIMIT_POST_ONLY,
    ("limit_limit_gtd", False): OrderType.OTHER,
    ("limit_limit_gtd", True): OrderType.LIMIT_POST_ONLY,
    ("stop_limit_stop_limit_gtc", False): OrderType.STOP_LIMIT,
    ("stop_limit_stop_limit_gtd", False): OrderType.STOP_LIMIT,
    ("trigger_bracket_gtc", False): OrderType.BRACKET,
    ("trigger_bracket_gtd", False): OrderType.BRACKET,
}
"""By the key of the terms, and whether they are post-only."""


def _reject_reason(record: OrderRecord) -> str:
    if record.reject_reason != "REJECT_REASON_UNSPECIFIED":
        return record.reject_reason
    return record.reject_message
