"""Orders and fills as the journal tells them, one flat row each: the same for tables, JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from bot.domain.codec import time_text
from bot.domain.event import (
    ChildAdopted,
    Envelope,
    FillBooked,
    IntentRecorded,
    JournalAnchored,
    OrderChanged,
)
from bot.domain.money import decimal_text
from bot.domain.order import OrderKind, OrderState
from bot.domain.product import ProductId, Side
from bot.domain.state import Order
from bot.domain.value import Value
from bot.ops.status import order_row

Row = dict[str, Any]

ORDER_FIELDS: Final = (
    "client_order_id", "order_id", "product", "side", "kind", "type", "status", "size", "filled", "filled_value",
    "fees", "limit_price", "stop_price", "rule", "why", "created_at", "changed_at",
)  # fmt: skip
FILL_FIELDS: Final = (
    "entry_id", "at", "order_id", "client_order_id", "product", "side", "price", "size", "value", "fee", "liquidity",
    "realised", "foreign",
)  # fmt: skip
POSITION_FIELDS: Final = (
    "product", "size", "cost", "mark", "unrealised_pnl", "stop", "target", "rule", "managed", "opened_at",
)  # fmt: skip


class Wanted(Value):
    """Which rows: of one product, and not before a time. None: all."""

    product: ProductId | None = None
    since: datetime | None = None

    def takes(self, row: Mapping[str, Any], time_field: str) -> bool:
        fits = self.product is None or row["product"] == self.product
        return fits and (self.since is None or row[time_field] >= time_text(self.since))


def orders(events: Iterable[Envelope], wanted: Wanted) -> list[Row]:
    """Every order of ours that the journal knows, oldest first, as it stands now."""
    found: dict[str, Row] = {}
    for envelope in events:
        _follow(found, envelope)
    return [row for row in found.values() if wanted.takes(row, "changed_at")]


def fills(events: Iterable[Envelope], wanted: Wanted) -> Iterator[Row]:
    """Every booked fill, in the order in which they were booked."""
    for envelope in events:
        if isinstance(envelope.payload, FillBooked):
            row = fill_row(envelope.payload)
            if wanted.takes(row, "at"):
                yield row


def fill_row(fill: FillBooked) -> Row:
    return {
        "entry_id": fill.entry_id,
        "at": time_text(fill.at),
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "product": fill.product,
        "side": fill.side.value,
        "price": str(fill.price),
        "size": str(fill.size),
        "value": decimal_text(fill.value),
        "fee": decimal_text(fill.fee),
        "liquidity": fill.liquidity,
        "realised": decimal_text(fill.realised) if fill.realised is not None else None,
        "foreign": fill.foreign,
    }


def _follow(found: dict[str, Row], envelope: Envelope) -> None:
    match envelope.payload:
        case JournalAnchored(state=state):
            found |= {order.client_order_id: _kept(order) for order in state.orders.values()}
        case IntentRecorded() as intent:
            found[intent.client_order_id] = _sent(intent, envelope)
        case ChildAdopted() as child:
            found[child.client_order_id] = _child(child, envelope)
        case OrderChanged() as change if change.client_order_id in found:
            found[change.client_order_id] |= {
                "order_id": change.order_id or found[change.client_order_id]["order_id"],
                "status": change.to_state.value,
                "filled": str(change.filled),
                "filled_value": decimal_text(change.filled_value),
                "fees": decimal_text(change.fees),
                "why": change.why,
                "changed_at": time_text(envelope.ts),
            }


def _sent(intent: IntentRecorded, envelope: Envelope) -> Row:
    return {
        "client_order_id": intent.client_order_id,
        "order_id": "",
        "product": intent.product,
        "side": intent.side.value,
        "kind": intent.kind.value,
        "type": intent.type.value,
        "status": OrderState.NEW.value,
        "size": str(intent.size),
        "filled": "0",
        "filled_value": "0",
        "fees": "0",
        "limit_price": str(intent.limit_price) if intent.limit_price is not None else None,
        "stop_price": str(intent.stop_price) if intent.stop_price is not None else None,
        "rule": intent.rule,
        "why": intent.why,
        "created_at": time_text(envelope.ts),
        "changed_at": time_text(envelope.ts),
    }


def _child(child: ChildAdopted, envelope: Envelope) -> Row:
    return {
        "client_order_id": child.client_order_id,
        "order_id": child.order_id,
        "product": child.product,
        "side": Side.SELL.value,
        "kind": OrderKind.PROTECTIVE.value,
        "type": child.type.value,
        "status": OrderState.OPEN.value,
        "size": str(child.size),
        "filled": "0",
        "filled_value": "0",
        "fees": "0",
        "limit_price": str(child.limit_price) if child.limit_price is not None else None,
        "stop_price": str(child.stop_price) if child.stop_price is not None else None,
        "rule": "",
        "why": f"attached to {child.parent_order_id}",
        "created_at": time_text(envelope.ts),
        "changed_at": time_text(envelope.ts),
    }


def _kept(order: Order) -> Row:
    return {
        **order_row(order),
        "type": order.type.value,
        "filled_value": decimal_text(order.filled_value),
        "fees": decimal_text(order.fees),
        "rule": "",
        "changed_at": time_text(order.changed_at),
    }
