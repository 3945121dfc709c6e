"""Orders whose fate is unknown: found, still unknown, or proven never placed. A failed read proves nothing.

Only a complete listing without a status filter counts, and only several of them over a time, with balances and holds in
agreement and no fill that could be the order's, prove that an order does not exist.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.domain.event import Mismatch, Payload
from bot.domain.order import EXIT, Fill, OrderEvent, OrderReport, OrderState
from bot.domain.product import SELL, Side
from bot.domain.state import Order, State
from bot.domain.value import Value
from bot.execution.lifecycle import changed, observed, seconds
from bot.settings.policy import ExecutionPolicy

LOOK_BACK: Final = timedelta(seconds=5)
"""How long before the send a listing begins: clocks differ."""

LOOK_AHEAD: Final = timedelta(minutes=1)
"""The end of a listing lies in the future, so that an order created this moment is in it."""


EXIT_GAP: Final = timedelta(seconds=5)
"""Between two listings for a lost exit: a position waits to be closed."""

LOST: Final = "lost:"
"""How the reason begins by which an order that was acknowledged and has vanished is given up."""

RESENDS: Final = 3
"""How often a lost exit is sent again at most, each time after a complete listing without it."""


class Finding(Value):
    """What one complete listing says of one order. resend: a lost exit may be sent again with the same id and body."""

    payloads: tuple[Payload, ...]
    resend: bool = False


def weigh(
    order: Order, listing: Sequence[OrderReport], *, contradicted: bool, now: datetime, policy: ExecutionPolicy
) -> Finding:
    """What the listing changes. contradicted: balances, holds or an unexplained fill speak against its absence."""
    report = next((item for item in listing if _is(item, order)), None)
    if report is not None:
        return Finding(tuple(observed(order, report)))
    count = order.absent_listings + 1
    if _proven(order, count, now, policy) and not contradicted:
        return Finding(_gone(order, count))
    event = OrderEvent.SILENCE if order.state is OrderState.UNKNOWN else OrderEvent.ACK
    note = changed(order, event, f"absent from complete listing {count}", absent=count)
    return Finding((note,), resend=count <= RESENDS and _may_resend(order))


def next_listing(order: Order, policy: ExecutionPolicy) -> datetime:
    """When the next listing is worth its requests: at once, then evenly over the time of the proof; exits sooner."""
    if order.absent_since is None:
        return order.changed_at
    step = seconds(policy.unknown_min_seconds / max(1, policy.unknown_min_listings - 1))
    if order.kind is EXIT:
        step = min(step, EXIT_GAP)
    return order.absent_since + step * order.absent_listings


def unexplained_fills(
    state: State, order: Order, fills: Sequence[Fill], listing: Sequence[OrderReport]
) -> tuple[Fill, ...]:
    """Fills that could be this order's: same market and side, since it was sent, of an order nobody can name."""
    named = {item.order_id for item in listing} | set(state.foreign_orders)
    named |= {known.order_id for known in state.orders.values()}
    since = order.created_at - LOOK_BACK
    return tuple(
        fill
        for fill in fills
        if fill.product.base == order.product.base
        and fill.side is order.side
        and fill.at >= since
        and fill.order_id not in named
    )


def blocked_bases(orders: Collection[Order]) -> frozenset[tuple[str, Side]]:
    """Where a stranger's fill may be ours: base and side of orders without an order id, and of brackets they carry."""
    nameless = [order for order in orders if order.state.is_working and not order.order_id]
    if not nameless:
        return frozenset()
    carrying = (order for order in nameless if order.attached is not None)
    return frozenset(
        [(o.product.base, o.side) for o in nameless] + [(o.product.base, o.side.opposite) for o in carrying]
    )


def _is(report: OrderReport, order: Order) -> bool:
    if order.order_id:
        return report.order_id == order.order_id
    return report.client_order_id == order.client_order_id


def _proven(order: Order, count: int, now: datetime, policy: ExecutionPolicy) -> bool:
    long_enough = order.absent_since is not None and now - order.absent_since >= seconds(policy.unknown_min_seconds)
    return long_enough and count >= policy.unknown_min_listings


def _gone(order: Order, count: int) -> tuple[Payload, ...]:
    """An order that was never acknowledged was never placed; one that was, and has vanished, is news for people."""
    if order.state is OrderState.UNKNOWN and not order.order_id:
        return (changed(order, OrderEvent.ABSENT, f"not placed: absent from {count} complete listings"),)
    partly = order.state in (OrderState.PARTIAL, OrderState.CANCEL_PENDING) or not order.filled.is_zero
    event = OrderEvent.CANCELED if partly else OrderEvent.REFUSED
    why = f"{LOST} the venue shows it in none of {count} complete listings"
    return changed(order, event, why), Mismatch(f"order {order.client_order_id}", order.state.value, why)


def _may_resend(order: Order) -> bool:
    """A BUY is never sent again. An exit never acknowledged may be, under its own id, so that it sells once."""
    return order.state is OrderState.UNKNOWN and order.side is SELL and order.kind is EXIT
