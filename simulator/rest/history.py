"""Orders and fills of the past and present, with every filter the venue has, and the ones it ignores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from bot.domain.money import ZERO
from bot.domain.order import VenueStatus
from bot.domain.value import replace
from bot.venue.orders import OrderRecord, VenueFill
from simulator.rest.backend import Backend
from simulator.rest.call import Answer, Call, Query, ok, page, refusal, unparsable
from simulator.rest.orders import require_order_id
from simulator.wire import fill, order

ORDERS_A_PAGE: Final = 100
MOST_ORDERS_A_PAGE: Final = 1000
FILLS_A_PAGE: Final = 100
MOST_FILLS_A_PAGE: Final = 1000

STATUSES: Final = (*(s.value for s in VenueStatus if s is not VenueStatus.UNKNOWN), "UNKNOWN_ORDER_STATUS")
TYPES: Final = (
    "UNKNOWN_ORDER_TYPE", "MARKET", "LIMIT", "STOP", "STOP_LIMIT", "BRACKET", "TWAP", "ROLL_OPEN", "ROLL_CLOSE",
    "LIQUIDATION", "SCALED",
)  # fmt: skip
FORCES: Final = (
    "UNKNOWN_TIME_IN_FORCE", "GOOD_UNTIL_DATE_TIME", "GOOD_UNTIL_CANCELLED", "IMMEDIATE_OR_CANCEL", "FILL_OR_KILL",
)  # fmt: skip
_SIDES: Final = ("BUY", "SELL")
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


def one_order(backend: Backend, call: Call) -> Answer:
    order_id = call.names["order_id"]
    require_order_id(order_id)
    found = backend.world.view.order(order_id, backend.now) if backend.sees(call.key) else None
    if found is None:
        raise refusal(404, "NOT_FOUND", "order with this orderID was not found")
    return ok({"order": order(found, backend.holder)})


def orders(backend: Backend, call: Call) -> Answer:
    """Newest first unless sorted otherwise. The singular filter names are ignored, as the venue ignores them."""
    query = call.query
    statuses = query.enums("order_status", STATUSES)
    if backend.conditions.only_open_filter and "OPEN" in statuses and len(set(statuses)) > 1:
        raise unparsable("order_status OPEN may not be combined with other statuses")
    visible = reversed(backend.world.view.orders(backend.now)) if backend.sees(call.key) else iter(())
    wanted = _order_filter(query, statuses)
    found = _sorted_orders([record for record in visible if wanted(record)], query)
    limit = min(query.number("limit", ORDERS_A_PAGE) or ORDERS_A_PAGE, MOST_ORDERS_A_PAGE)
    rows, cursor = page(found, limit, query.one("cursor"))
    return ok(
        {
            "orders": [order(record, backend.holder) for record in rows],
            "sequence": "0",
            "has_next": bool(cursor),
            "cursor": cursor,
            "proof_token_required": backend.conditions.proof_token,
        }
    )


def fills(backend: Backend, call: Call) -> Answer:
    """Newest first. A full page carries a cursor even when nothing follows it; there is no `has_next`."""
    query = call.query
    visible = reversed(backend.world.view.fills(backend.now)) if backend.sees(call.key) else iter(())
    wanted = _fill_filter(backend, query)
    found = [row for row in visible if wanted(row)]
    if backend.conditions.double_fills:
        found = [row for once in found for row in (once, replace(once, entry_id=once.entry_id[::-1]))]
    if query.one("sort_by") == "PRICE":
        found.sort(key=lambda row: row.price, reverse=True)
    limit = min(query.number("limit", FILLS_A_PAGE) or FILLS_A_PAGE, MOST_FILLS_A_PAGE)
    rows, _ = page(found, limit, query.one("cursor"))
    cursor = str(int(query.one("cursor") or 0) + limit) if len(rows) == limit else ""
    body: dict[str, Any] = {"fills": [fill(row, backend.holder) for row in rows], "cursor": cursor}
    if backend.conditions.proof_token:
        body["proof_token_required"] = True
    return ok(body)


def _order_filter(query: Query, statuses: list[str]) -> Callable[[OrderRecord], bool]:
    """Dates are ignored when OPEN is asked for."""
    only_open = statuses == ["OPEN"]
    first = None if only_open else query.time("start_date")
    last = None if only_open else query.time("end_date")
    among: Mapping[str, set[str]] = {
        "id": set(query.many("order_ids")),
        "product": set(query.many("product_ids")),
        "status": set(statuses),
        "type": set(query.enums("order_types", TYPES)),
        "force": set(query.enums("time_in_forces", FORCES)),
        "side": set(query.enums("order_side", _SIDES)),
        "asset": set(query.many("asset_filters")),
    }
    sources = set(query.many("order_placement_source"))

    def wanted(record: OrderRecord) -> bool:
        if (first is not None and record.created_at < first) or (last is not None and record.created_at >= last):
            return False
        shown = {
            "id": record.order_id,
            "product": record.product,
            "status": record.status.value,
            "type": record.terms.order_type,
            "force": record.terms.time_in_force,
            "side": record.side.value,
            "asset": record.product.base,
        }
        return not (sources - {"UNKNOWN_PLACEMENT_SOURCE", "RETAIL_ADVANCED"}) and all(
            not allowed or shown[name] in allowed for name, allowed in among.items()
        )

    return wanted


def _sorted_orders(found: list[OrderRecord], query: Query) -> list[OrderRecord]:
    keys: Mapping[str, Callable[[OrderRecord], Decimal | datetime]] = {
        "LIMIT_PRICE": lambda record: record.terms.limit_price or ZERO,
        "LAST_FILL_TIME": lambda record: record.last_fill_at or _LONG_AGO,
        "LAST_UPDATE_TIME": lambda record: record.last_fill_at or record.created_at,
    }
    key: Any = keys.get(query.one("sort_by"))
    return found if key is None else sorted(found, key=key, reverse=True)


def _fill_filter(backend: Backend, query: Query) -> Callable[[VenueFill], bool]:
    after, before = query.time("start_sequence_timestamp"), query.time("end_sequence_timestamp")
    among: Mapping[str, set[str]] = {
        "order": set(query.many("order_ids")),
        "trade": set(query.many("trade_ids")),
        "product": set(query.many("product_ids")),
        "asset": set(query.many("asset_filters")),
        "side": set(query.enums("order_side", _SIDES)),
        "type": set(query.enums("order_types", TYPES)),
    }

    def wanted(row: VenueFill) -> bool:
        if (after is not None and row.booked_at <= after) or (before is not None and row.booked_at >= before):
            return False
        shown = {"order": row.order_id, "trade": row.trade_id, "product": row.product, "side": row.side.value}
        if among["type"]:
            record = backend.world.order(row.order_id)
            shown["type"] = "" if record is None else record.terms.order_type
        shown["asset"] = row.product.base
        return all(not allowed or shown[name] in allowed for name, allowed in among.items())

    return wanted
