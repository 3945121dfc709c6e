"""Payloads in the venue's shapes, with values of our own; each function gives a fresh one to bend."""

from __future__ import annotations

from typing import Any

ORDER_ID = "0a1b2c3d-0000-4000-8000-00000000000a"
CLIENT_ID = "5e6f7a8b-0000-4000-8000-00000000000b"
PORTFOLIO = "9c8d7e6f-0000-4000-8000-00000000000c"


def order(**changes: Any) -> dict[str, Any]:
    """A resting post-only buy, with the oddities recorded orders have."""
    return {
        "order_id": ORDER_ID,
        "product_id": "BTC-USD",
        "user_id": "u",
        "order_configuration": {
            "limit_limit_gtd": {
                "base_size": "0.002",
                "limit_price": "60000.5",
                "end_time": "2026-11-21T08:30:00Z",
                "post_only": True,
                "rfq_disabled": False,
            }
        },
        "side": "BUY",
        "client_order_id": CLIENT_ID,
        "status": "OPEN",
        "time_in_force": "GOOD_UNTIL_DATE_TIME",
        "created_time": "2026-11-21T08:12:17.123456789Z",
        "completion_percentage": "0",
        "filled_size": "0",
        "average_filled_price": "0",
        "fee": "",
        "number_of_fills": "0",
        "filled_value": "0",
        "pending_cancel": False,
        "size_in_quote": False,
        "total_fees": "0",
        "size_inclusive_of_fees": False,
        "total_value_after_fees": "0",
        "trigger_status": "INVALID_ORDER_TYPE",
        "order_type": "LIMIT",
        "reject_reason": "REJECT_REASON_UNSPECIFIED",
        "settled": False,
        "product_type": "SPOT",
        "reject_message": "",
        "cancel_message": "",
        "order_placement_source": "RETAIL_ADVANCED",
        "outstanding_hold_amount": "120.9010075",
        "is_liquidation": False,
        "last_fill_time": None,
        "edit_history": None,
        "leverage": "",
        "margin_type": "UNKNOWN_MARGIN_TYPE",
        "originating_order_id": "",
        "a_field_of_next_year": {"x": 1},
        **changes,
    }


def filled(**changes: Any) -> dict[str, Any]:
    return order(
        status="FILLED",
        filled_size="0.002",
        filled_value="120.001",
        average_filled_price="60000.4999999999998",
        total_fees="0.600005",
        number_of_fills="2",
        outstanding_hold_amount="0",
        cancel_message="Internal error",
        **changes,
    )


def fill(**changes: Any) -> dict[str, Any]:
    return {
        "entry_id": "f" * 64,
        "trade_id": "7d1c0000-0000-4000-8000-00000000000d",
        "order_id": ORDER_ID,
        "trade_time": "2026-11-21T08:13:00.5Z",
        "trade_type": "FILL",
        "price": "60000.5",
        "size": "0.001",
        "commission": "0.3000025",
        "product_id": "BTC-USD",
        "sequence_timestamp": "2026-11-21T08:13:00.502Z",
        "liquidity_indicator": "MAKER",
        "size_in_quote": False,
        "user_id": "u",
        "side": "BUY",
        "retail_portfolio_id": PORTFOLIO,
        "fillSource": "FILL_SOURCE_CLOB",
        **changes,
    }


def product(**changes: Any) -> dict[str, Any]:
    return {
        "product_id": "BTC-USD",
        "price": "68923.67",
        "volume_24h": "11005.02587005",
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "quote_min_size": "1",
        "quote_max_size": "150000000",
        "base_min_size": "0.00000001",
        "base_max_size": "3400",
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "view_only": False,
        "product_type": "SPOT",
        "quote_currency_id": "USD",
        "base_currency_id": "BTC",
        "mid_market_price": "",
        "alias": "",
        "alias_to": ["BTC-USDC"],
        "price_increment": "0.01",
        "approximate_quote_24h_volume": "758506771.41",
        "new_at": "2023-01-01T00:00:00Z",
        **changes,
    }


def wallet(currency: str = "BTC", available: str = "1.5", hold: str = "0.25", **changes: Any) -> dict[str, Any]:
    return {
        "uuid": f"00000000-0000-4000-8000-{currency.lower():0>12}",
        "name": f"{currency} Wallet",
        "currency": currency,
        "available_balance": {"value": available, "currency": currency},
        "hold": {"value": hold, "currency": currency},
        "default": True,
        "active": True,
        "ready": True,
        "type": "ACCOUNT_TYPE_CRYPTO",
        "deleted_at": None,
        "platform": "ACCOUNT_PLATFORM_CONSUMER",
        **changes,
    }


def accepted(**changes: Any) -> dict[str, Any]:
    return {
        "success": True,
        "success_response": {
            "order_id": ORDER_ID,
            "product_id": "BTC-USD",
            "side": "BUY",
            "client_order_id": CLIENT_ID,
            "attached_order_id": "",
        },
        "order_configuration": None,
        **changes,
    }


def refused(error: str, preview: str = "", new: str = "", **changes: Any) -> dict[str, Any]:
    response = {"error": error, "message": "", "error_details": "", "preview_failure_reason": preview}
    return {
        "success": False,
        "error_response": response | ({"new_order_failure_reason": new} if new else {}),
        **changes,
    }


def book(**changes: Any) -> dict[str, Any]:
    part = {
        "product_id": "BTC-USD",
        "bids": [{"price": "68923.66", "size": "0.17"}, {"price": "68923.65", "size": "2"}],
        "asks": [{"price": "68923.67", "size": "0.16"}, {"price": "68923.7", "size": "3"}],
        "time": "2026-11-21T08:28:59.662782Z",
        **changes,
    }
    return {"pricebook": part, "last": "68923.665", "mid_market": "68923.665"}


def candle(start: int, close: str = "10", **changes: Any) -> dict[str, Any]:
    return {"start": str(start), "low": "9", "high": "11", "open": "10", "close": close, "volume": "3.5", **changes}
