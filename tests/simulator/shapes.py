"""Compares documents by names and JSON types, and enum values by the venue's own lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

ENUMS: Mapping[str, Sequence[str]] = {
    "status": (
        "PENDING", "OPEN", "QUEUED", "CANCEL_QUEUED", "EDIT_QUEUED", "FILLED", "CANCELLED", "EXPIRED", "FAILED",
        "online", "offline", "internal", "delisted",
    ),
    "order_type": ("MARKET", "LIMIT", "STOP_LIMIT", "BRACKET", "Limit", "Market", "Stop Limit", "Bracket"),
    "time_in_force": ("GOOD_UNTIL_DATE_TIME", "GOOD_UNTIL_CANCELLED", "IMMEDIATE_OR_CANCEL", "FILL_OR_KILL"),
    "trigger_status": ("INVALID_ORDER_TYPE", "STOP_PENDING", "STOP_TRIGGERED"),
    "reject_reason": (
        "", "REJECT_REASON_UNSPECIFIED", "HOLD_FAILURE", "TOO_MANY_OPEN_ORDERS", "REJECT_REASON_INSUFFICIENT_FUNDS",
        "RATE_LIMIT_EXCEEDED",
    ),
    "order_placement_source": ("RETAIL_SIMPLE", "RETAIL_ADVANCED", "RETAIL_ADMIN", "RETAIL_RAISE"),
    "liquidity_indicator": ("MAKER", "TAKER", "UNKNOWN_LIQUIDITY_INDICATOR"),
    "trade_type": ("FILL", "REVERSAL", "CORRECTION", "SYNTHETIC"),
    "fillSource": ("FILL_SOURCE_CLOB", "FILL_SOURCE_RFQ", "FILL_SOURCE_UNKNOWN"),
    "side": ("BUY", "SELL", "bid", "offer"),
    "product_type": ("SPOT",),
    "product_venue": ("CBE",),
    "portfolio_type": ("DEFAULT",),
}  # fmt: skip


def kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float | Decimal):
        return "number"
    names: Mapping[type, str] = {dict: "object", list: "array", str: "string"}
    return names.get(type(value), "null")


def differences(expected: Any, served: Any, at: str = "") -> list[str]:
    """What `served` lacks of `expected`, or has in another type; null on either side stands for any type.

    Of a list the first elements are compared; an empty one stands for any.
    """
    if expected is None or served is None:
        return []
    if kind(expected) != kind(served):
        return [f"{at}: expected {kind(expected)}, served {kind(served)}"]
    if isinstance(expected, list):
        return differences(expected[0], served[0], f"{at}[0]") if expected and served else []
    if isinstance(expected, dict):
        missing = [f"{at}.{name}: missing" for name in expected if name not in served]
        inner = [differences(value, served.get(name), f"{at}.{name}") for name, value in expected.items()]
        return missing + [line for lines in inner for line in lines]
    return []


def unknown_values(served: Any, at: str = "") -> list[str]:
    """Enum fields that hold something the venue never says."""
    if isinstance(served, list):
        return [line for item in served for line in unknown_values(item, f"{at}[]")]
    if not isinstance(served, dict):
        return []
    found = [
        f"{at}.{name}: {served[name]!r}"
        for name, allowed in ENUMS.items()
        if isinstance(served.get(name), str) and served[name] not in allowed
    ]
    return found + [line for name, value in served.items() for line in unknown_values(value, f"{at}.{name}")]
