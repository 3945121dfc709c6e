"""Editing a resting limit order: who may be edited, the venue's names for refusals, and the edited order."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.domain.order import VenueStatus
from bot.domain.value import replace
from bot.errors import UnitError
from bot.venue.orders import Edit, EditResult, LimitGtc, OrderRecord, Refused

KEPT: Final = 5
"""Edits the venue shows of an order."""

SHORT: Final = EditResult(False, "UNKNOWN_EDIT_ORDER_FAILURE_REASON", "PREVIEW_INSUFFICIENT_FUND")

_PRICE_NAMES: Final = frozenset(
    {"PREVIEW_INVALID_PRICE_PRECISION", "PREVIEW_INVALID_LIMIT_PRICE", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY",
     "PREVIEW_LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY", "PREVIEW_LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_SELL",
     "PREVIEW_LIMIT_PRICE_TOO_FAR_FROM_MARKET"}
)  # fmt: skip


def refusal(record: OrderRecord, price: Decimal, size: Decimal) -> EditResult | None:
    """Why an order in this state cannot take this price and size, before the checks a new order gets."""
    if record.status is VenueStatus.EDIT_QUEUED:
        return EditResult(False, "ORDER_IS_ALREADY_BEING_REPLACED")
    if record.status is VenueStatus.CANCEL_QUEUED:
        return EditResult(False, "CANNOT_EDIT_ORDER_PENDING_CANCEL")
    if record.status is not VenueStatus.OPEN:
        return EditResult(False, "ONLY_OPEN_ORDERS_CAN_BE_EDITED")
    return _unfit(record, price, size)


def _unfit(record: OrderRecord, price: Decimal, size: Decimal) -> EditResult | None:
    if not isinstance(record.config, LimitGtc):
        return EditResult(False, "ONLY_LIMIT_ORDER_EDITS_SUPPORTED")
    if record.size_in_quote:
        return EditResult(False, "SIZE_IN_QUOTE_EDITS_NOT_ALLOWED")
    if record.request.attached is not None and record.attached_order_id:
        return EditResult(False, "CANNOT_EDIT_ATTACHED_ORDER_CONFIGURATION_AFTER_CREATION")
    if (price, size) == (record.live_limit, record.terms.base_size):
        return EditResult(False, "EDIT_REQUEST_EQUAL_TO_ORIGINAL_REQUEST")
    if size.is_finite() and 0 < size <= record.filled_size:
        return EditResult(False, "CANNOT_EDIT_TO_BELOW_FILLED_SIZE")
    return None


def as_edit_refusal(refused: Refused) -> EditResult:
    """The answer when a check of a new order refuses the edited one."""
    preview = refused.preview_failure_reason
    return EditResult(False, "INVALID_EDITED_PRICE" if preview in _PRICE_NAMES else "INVALID_EDITED_SIZE", preview)


def edited(record: OrderRecord, price: Decimal, size: Decimal, now: datetime) -> OrderRecord:
    """The order with its new price and size; the hold is the caller's to move. Raises UnitError for other kinds."""
    if not isinstance(record.config, LimitGtc):
        raise UnitError(f"only GTC limit orders are edited, {record.order_id} is {record.terms.key}")
    config = replace(record.config, base_size=size, limit_price=price)
    history = (*record.edits, Edit(price, size, now))[-KEPT:]
    return replace(record.configured(config), live_limit=price, status=VenueStatus.OPEN, edits=history, updated_at=now)


def keeps_place(record: OrderRecord, price: Decimal, size: Decimal) -> bool:
    """A smaller size at the same price keeps its place in the queue."""
    return price == record.live_limit and size <= (record.terms.base_size or size)
