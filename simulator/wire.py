"""Orders, fills and accounts as REST shows them: field for field what was recorded from the real venue."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from bot.domain.money import ZERO, decimal_text
from bot.domain.order import Bracket, Liquidity, VenueStatus
from bot.domain.snapshot import Balance
from bot.domain.value import Value
from bot.venue.orders import OrderRecord, Terms, VenueFill
from simulator.keys import named_uuid
from simulator.text import UNSET_TIME, rfc3339

CASH: Final = frozenset({"USD", "EUR", "GBP"})
DUPLICATE_MARK: Final = "\x00"
"""Separates a client id from the counter that lets a second order be booked under it (a fault)."""


class Holder(Value):
    """Whose account it is: the user and the portfolio every object names."""

    user: str
    portfolio: str
    opened_at: datetime


def client_id(record: OrderRecord) -> str:
    return record.client_order_id.split(DUPLICATE_MARK, 1)[0]


def configuration(terms: Terms) -> dict[str, Any]:
    """The one-key object of an order's configuration, in the venue's order of fields."""
    body: dict[str, Any] = {}
    for name, value in (
        ("quote_size", terms.quote_size), ("base_size", terms.base_size), ("limit_price", terms.limit_price),
    ):  # fmt: skip
        if value is not None:
            body[name] = decimal_text(value)
    if terms.stop_price is not None:
        body["stop_trigger_price" if terms.is_bracket else "stop_price"] = decimal_text(terms.stop_price)
    if terms.stop_direction is not None and not terms.is_bracket:
        body["stop_direction"] = terms.stop_direction
    if terms.end_time is not None:
        body["end_time"] = rfc3339(terms.end_time)
    if terms.key in {"limit_limit_gtc", "limit_limit_gtd"}:
        body["post_only"] = terms.post_only
    if not terms.is_market:
        body |= {"rfq_disabled": False, "reduce_only": False}
    return {terms.key: body}


def bracket(attached: Bracket) -> dict[str, Any]:
    return {
        "trigger_bracket_gtc": {
            "limit_price": str(attached.limit_price),
            "stop_trigger_price": str(attached.stop_trigger_price),
        }
    }


def order(record: OrderRecord, holder: Holder) -> dict[str, Any]:
    """The REST object of one order."""
    average = record.average_price
    attached = record.request.attached
    return {
        "order_id": record.order_id,
        "product_id": record.product,
        "user_id": holder.user,
        "order_configuration": configuration(record.terms),
        "side": record.side.value,
        "client_order_id": client_id(record),
        "status": record.status.value,
        "time_in_force": record.terms.time_in_force,
        "created_time": rfc3339(record.created_at),
        "completion_percentage": _percentage(record),
        "filled_size": decimal_text(record.filled_size),
        "average_filled_price": "0" if average is None else _short(average),
        "fee": "",
        "number_of_fills": str(record.number_of_fills),
        "filled_value": decimal_text(record.filled_value),
        "pending_cancel": record.pending_cancel,
        "size_in_quote": record.size_in_quote,
        "total_fees": decimal_text(record.fees),
        "size_inclusive_of_fees": record.size_inclusive_of_fees,
        "total_value_after_fees": decimal_text(record.total_value_after_fees) if record.filled_size else "0",
        "trigger_status": record.trigger.value,
        "order_type": record.terms.order_type,
        "reject_reason": record.reject_reason,
        "settled": record.settled,
        "product_type": "SPOT",
        "reject_message": record.reject_message,
        "cancel_message": record.cancel_message,
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": decimal_text(record.hold),
        "is_liquidation": False,
        "last_fill_time": None if record.last_fill_at is None else rfc3339(record.last_fill_at),
        "edit_history": [
            {"price": decimal_text(e.price), "size": decimal_text(e.size), "replace_accept_timestamp": rfc3339(e.at)}
            for e in record.edits[-5:]
        ],
        "leverage": "",
        "margin_type": "UNKNOWN_MARGIN_TYPE",
        "retail_portfolio_id": holder.portfolio,
        "originating_order_id": record.originating_order_id,
        "attached_order_id": record.attached_order_id,
        "attached_order_configuration": None if attached is None else bracket(attached),
        "current_pending_replace": None,
        "commission_detail_total": commission(record.fees),
        "workable_size": "",
        "workable_size_completion_pct": "",
        "product_details": None,
        "cost_basis_method": "COST_BASIS_METHOD_UNSPECIFIED",
        "displayed_order_config": "UNKNOWN_DISPLAYED_ORDER_CONFIG",
        "equity_trading_session": "UNKNOWN_EQUITY_TRADING_SESSION",
        "prediction_side": "PREDICTION_SIDE_UNKNOWN",
        "last_update_time": rfc3339(record.last_fill_at or record.created_at),
        "order_data_source": "ORDER_DATA_SOURCE_UNKNOWN",
        "option_legs": [],
        "total_value_after_fees_native": None,
        "outstanding_hold_amount_native": None,
        "total_fees_native": None,
    }


def commission(fees: Decimal) -> dict[str, str]:
    return {
        "total_commission": decimal_text(fees),
        "gst_commission": "",
        "withholding_commission": "",
        "client_commission": decimal_text(fees),
        "venue_commission": "",
        "regulatory_commission": "",
        "clearing_commission": "",
    }


_LIQUIDITY: Final = {
    Liquidity.MAKER: "MAKER",
    Liquidity.TAKER: "TAKER",
    Liquidity.UNKNOWN: "UNKNOWN_LIQUIDITY_INDICATOR",
}


def fill(row: VenueFill, holder: Holder) -> dict[str, Any]:
    """The REST object of one fill; `size` is quote, before the fee, when the order was sized in quote."""
    return {
        "entry_id": row.entry_id,
        "trade_id": row.trade_id,
        "order_id": row.order_id,
        "trade_time": rfc3339(row.trade_time),
        "trade_type": row.trade_type,
        "price": decimal_text(row.price),
        "size": decimal_text(row.value if row.size_in_quote else row.size),
        "commission": decimal_text(row.fee),
        "product_id": row.product,
        "sequence_timestamp": rfc3339(row.booked_at),
        "liquidity_indicator": _LIQUIDITY[row.liquidity],
        "size_in_quote": row.size_in_quote,
        "user_id": holder.user,
        "side": row.side.value,
        "retail_portfolio_id": holder.portfolio,
        "fillSource": "FILL_SOURCE_CLOB",
        "commission_detail_total": commission(row.fee),
        "order_data_source": "ORDER_DATA_SOURCE_UNKNOWN",
        "future_legs": [],
    }


def account_id(holder: Holder, currency: str) -> str:
    return named_uuid(holder.portfolio, "wallet", currency)


def account(balance: Balance, holder: Holder, updated_at: datetime) -> dict[str, Any]:
    """The REST object of one wallet."""
    cash = balance.currency in CASH
    return {
        "uuid": account_id(holder, balance.currency),
        "name": f"{balance.currency} Wallet",
        "currency": balance.currency,
        "available_balance": {"value": decimal_text(balance.available), "currency": balance.currency},
        "default": not cash,
        "active": True,
        "created_at": rfc3339(holder.opened_at),
        "updated_at": rfc3339(updated_at),
        "deleted_at": None,
        "type": "ACCOUNT_TYPE_FIAT" if cash else "ACCOUNT_TYPE_CRYPTO",
        "ready": True,
        "hold": {"value": decimal_text(balance.hold), "currency": balance.currency},
        "retail_portfolio_id": holder.portfolio,
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
    }


_TITLES: Final = {"LIMIT": "Limit", "MARKET": "Market", "STOP_LIMIT": "Stop Limit", "BRACKET": "Bracket"}


def user_order(record: OrderRecord, holder: Holder) -> dict[str, Any]:
    """The order of a user-channel event: cumulative, under the channel's own names."""
    average, terms = record.average_price, record.terms
    return {
        "avg_price": "0" if average is None else _short(average),
        "cancel_reason": record.cancel_message,
        "client_order_id": client_id(record),
        "completion_percentage": _percentage(record),
        "contract_expiry_type": "UNKNOWN_CONTRACT_EXPIRY_TYPE",
        "cumulative_quantity": decimal_text(record.filled_size),
        "filled_value": decimal_text(record.filled_value),
        "leaves_quantity": decimal_text(record.leaves),
        "limit_price": "" if terms.limit_price is None else decimal_text(terms.limit_price),
        "number_of_fills": str(record.number_of_fills),
        "order_id": record.order_id,
        "order_side": record.side.value,
        "order_type": _TITLES.get(terms.order_type, terms.order_type.title()),
        "outstanding_hold_amount": decimal_text(record.hold),
        "post_only": "true" if terms.post_only else "false",
        "product_id": record.product,
        "product_type": "SPOT",
        "reject_reason": "" if record.status is not VenueStatus.FAILED else record.reject_reason,
        "retail_portfolio_id": holder.portfolio,
        "risk_managed_by": "UNKNOWN_RISK_MANAGEMENT_TYPE",
        "status": record.status.value,
        "stop_price": "" if terms.stop_price is None else decimal_text(terms.stop_price),
        "time_in_force": terms.time_in_force,
        "total_fees": decimal_text(record.fees),
        "total_value_after_fees": decimal_text(record.total_value_after_fees) if record.filled_size else "0",
        "trigger_status": record.trigger.value,
        "creation_time": rfc3339(record.created_at),
        "end_time": UNSET_TIME if terms.end_time is None else rfc3339(terms.end_time),
        "start_time": UNSET_TIME,
    }


def _percentage(record: OrderRecord) -> str:
    """`0`, `100.00` when complete, as recorded; else two decimals."""
    value = record.completion_percentage
    return "0" if value == ZERO else f"{value:.2f}"


def _short(value: Decimal) -> str:
    """An average price with a long tail, cut to the sixteen decimals the venue shows."""
    return decimal_text(value.quantize(Decimal(1).scaleb(-16)) if -int(value.as_tuple().exponent) > 16 else value)
