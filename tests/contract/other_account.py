"""The account of the other venue: wallets, orders and fills, and what a test may judge of them."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.contract.other_market import BASES, STEP, TICK, Market, Query

DONE = ("CANCELLED", "FILLED", "EXPIRED", "FAILED")


@dataclass
class Account:
    """What happened, for the test to judge."""

    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_client: dict[str, str] = field(default_factory=dict)
    fills: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    wallets: dict[str, Decimal] = field(default_factory=lambda: {"USD": Decimal(10000), "BTC": Decimal(0)})

    def working(self) -> list[dict[str, Any]]:
        with self.lock:
            return [order for order in self.orders.values() if order["status"] not in DONE]


class Desk:
    """Takes orders for one account; buys fill whole once they are old enough, sells only rest."""

    def __init__(self, market: Market) -> None:
        self.odd = market.odd
        self.account = Account()
        self.text, self.stamp, self.price = market.text, market.stamp, market.price

    def wallets(self, _: Query) -> dict[str, Any]:
        rows = []
        for currency, total in self.account.wallets.items():
            held = self.held(currency)
            row = {"uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, currency)), "currency": currency, "name": currency,
                   "available_balance": {"value": self.text(total - held), "currency": currency},
                   "hold": {"value": self.text(held), "currency": currency}, "active": True, "ready": True,
                   "type": "ACCOUNT_TYPE_CRYPTO", "deleted_at": None}  # fmt: skip
            if self.odd.spare:
                row |= {"type": "CRYPTO", "name": "", "default": None}
                del row["active"], row["ready"], row["deleted_at"]
            rows.append(row)
        return {"accounts": rows, "has_next": False} | ({} if self.odd.spare else {"cursor": "", "size": len(rows)})

    def held(self, currency: str) -> Decimal:
        total = Decimal(0)
        for order in self.account.working():
            base, quote = order["product_id"].split("-")
            if order["side"] == "BUY" and quote == currency:
                total += order["size"] * order["price"] * Decimal("1.004")
            if order["side"] == "SELL" and base == currency:
                total += order["size"]
        return total

    def fees(self, _: Query) -> dict[str, Any]:
        tier = {"maker_fee_rate": self.text(Decimal("0.004")), "taker_fee_rate": self.text(Decimal("0.006"))}
        return {"fee_tier": {**tier, "pricing_tier": ""}, "total_fees": 0}

    def permissions(self, _: Query) -> dict[str, Any]:
        may = {"can_view": True, "can_trade": True, "can_transfer": False}
        return {**may, "portfolio_uuid": self.odd.portfolio, "portfolio_type": "DEFAULT"}

    def fills(self, _: Query) -> dict[str, Any]:
        self.match()
        return {"fills": list(reversed(self.account.fills)), "cursor": None if self.odd.spare else ""}

    def order(self, order_id: str) -> tuple[int, Any]:
        found = self.account.orders.get(order_id)
        gone = {"error": "NOT_FOUND", "error_details": "order with this orderID was not found"}
        return (200, {"order": self.shown(found)}) if found else (404, gone)

    def preview(self, _: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"order_total": "0", "commission_total": "", "errs": [], "warning": None, "preview_id": "1"}

    def cancel_all(self, body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {"results": [self.cancel(order_id) for order_id in body["order_ids"]]}

    def create(self, body: dict[str, Any]) -> tuple[int, Any]:
        client, unknown = body["client_order_id"], set(body) - {
            "client_order_id", "product_id", "side", "order_configuration", "attached_order_configuration"}  # fmt: skip
        if unknown:
            self.account.problems.append(f"unknown fields {unknown}")
        [(kind, terms)] = body["order_configuration"].items()
        if client not in self.account.by_client:
            refusal = self.illegal(body, kind, terms)
            if refusal:
                self.account.problems.append(f"{refusal}: {body}")
                return 200, {"success": False, "error_response": {"error": refusal, "message": "", "error_details": ""}}
            order_id = self.odd.order_id.format(uuid.uuid4())
            self.account.by_client[client] = order_id
            self.account.orders[order_id] = {
                "order_id": order_id, "client_order_id": client, "product_id": body["product_id"],
                "side": body["side"], "kind": kind, "terms": terms, "status": "OPEN", "created": time.time(),
                "size": Decimal(terms["base_size"]), "price": Decimal(terms["limit_price"]), "filled": Decimal(0),
            }  # fmt: skip
        accepted = {"order_id": self.account.by_client[client]}
        if not self.odd.spare:
            accepted |= {"product_id": body["product_id"], "side": body["side"], "client_order_id": client}
        return 200, {"success": True, "success_response": accepted, "order_configuration": None}

    def illegal(self, body: dict[str, Any], kind: str, terms: dict[str, Any]) -> str:
        base = body["product_id"].partition("-")[0]
        size, price = Decimal(terms["base_size"]), Decimal(terms["limit_price"])
        if base not in BASES:
            return "INVALID_PRODUCT_ID"
        if kind.startswith("trigger_bracket") and not self.odd.brackets:
            return "UNSUPPORTED_ORDER_CONFIGURATION"
        if size % STEP or not all(isinstance(terms[name], str) for name in ("base_size", "limit_price")):
            return "INVALID_SIZE_PRECISION"
        if price % TICK:
            return "INVALID_PRICE_PRECISION"
        if size * price < 1:
            return "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"
        if terms.get("post_only") and body["side"] == "BUY" and price > self.price(base, time.time()):
            return "INVALID_LIMIT_PRICE_POST_ONLY"
        free = self.account.wallets["USD"] - self.held("USD")
        if body["side"] == "BUY" and size * price * Decimal("1.004") > free:
            return "INSUFFICIENT_FUND"
        if kind == "limit_limit_gtd" and datetime.fromisoformat(terms["end_time"]).timestamp() <= time.time():
            return "END_TIME_IS_IN_THE_PAST"
        coins = self.account.wallets.get(base, Decimal(0)) - self.held(base)
        return "INSUFFICIENT_FUND" if body["side"] == "SELL" and size > coins else ""

    def cancel(self, order_id: str) -> dict[str, Any]:
        order = self.account.orders.get(order_id)
        if order is None or order["status"] in DONE:
            return {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": order_id}
        order["status"] = "CANCELLED"
        row = {"success": True, "order_id": order_id}
        return row if self.odd.spare else row | {"failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON"}

    def listing(self, query: Query) -> tuple[int, Any]:
        self.match()
        wanted = query.get("order_status", [])
        if "OPEN" in wanted and len(wanted) > 1:
            return 400, {"error": "INVALID_ARGUMENT", "error_details": "OPEN with other statuses"}
        known = {"OPEN", "PENDING", "QUEUED", "CANCEL_QUEUED", "EDIT_QUEUED", *DONE}
        if set(wanted) - known:
            return 400, {"error": "INVALID_ARGUMENT", "error_details": "is not a valid value"}
        rows = [self.shown(order) for order in self.account.orders.values() if order["status"] in (wanted or known)]
        return 200, {"orders": rows[::-1], "has_next": False} | (
            {} if self.odd.spare else {"cursor": "", "sequence": "0"}
        )

    def shown(self, order: dict[str, Any]) -> dict[str, Any]:
        filled, size = order["filled"], order["size"]
        row = {name: order[name] for name in ("order_id", "client_order_id", "product_id", "side", "status")}
        row |= {"order_configuration": {order["kind"]: order["terms"]}, "created_time": self.stamp(order["created"]),
                "filled_size": self.text(filled), "completion_percentage": self.text(filled / size * 100),
                "filled_value": self.text(filled * order["price"]), "number_of_fills": 1 if filled else "0",
                "total_fees": self.text(filled * order["price"] * Decimal("0.004")),
                "average_filled_price": self.text(order["price"] if filled else Decimal(0))}  # fmt: skip
        if self.odd.spare:
            for name in ("filled_value", "average_filled_price", "number_of_fills", "total_fees", "filled_size"):
                row[name] = "" if not filled else row[name]
            return row | {"reject_reason": None, "edit_history": None, "last_fill_time": None}
        return row | {"reject_reason": "REJECT_REASON_UNSPECIFIED", "size_in_quote": False, "fee": ""}

    def match(self) -> None:
        """Every limit buy fills whole once it is old enough."""
        wait = self.odd.fills_after_s
        for order in self.account.working():
            if wait is None or order["side"] != "BUY" or time.time() - order["created"] < wait:
                continue
            base, worth = order["product_id"].partition("-")[0], order["size"] * order["price"]
            order |= {"status": "FILLED", "filled": order["size"]}
            self.account.wallets["USD"] -= worth * Decimal("1.004")
            self.account.wallets[base] = self.account.wallets.get(base, Decimal(0)) + order["size"]
            self.account.fills.append({
                "entry_id": uuid.uuid4().hex * 2, "trade_id": str(uuid.uuid4()), "order_id": order["order_id"],
                "product_id": order["product_id"], "side": "BUY", "price": str(order["price"]), "size":
                str(order["size"]), "commission": str(worth * Decimal("0.004")), "trade_time": self.stamp(time.time()),
                "sequence_timestamp": self.stamp(time.time()), "trade_type": "FILL", "liquidity_indicator": "MAKER",
            })  # fmt: skip
