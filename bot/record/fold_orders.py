"""The fold's part for intents and orders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.event import (
    ChildAdopted,
    Envelope,
    FillBooked,
    ForeignOrderGone,
    ForeignOrderSeen,
    IntentClosed,
    IntentRecorded,
    OrderChanged,
)
from bot.domain.money import EXACT, ZERO, Size
from bot.domain.order import ENTRY, PROTECTIVE, OrderState, OrderType
from bot.domain.position import Exits
from bot.domain.product import SELL
from bot.domain.state import Intent, Order, PastOrder, SentOrder, State
from bot.domain.value import replace

KEPT: Final = timedelta(hours=24)
"""How long settled orders and the governors' memory stay in the state."""

PAST_MOST: Final = 250
"""Of no more orders that are over it stays known that they were ours."""
PAST_KEPT: Final = 200
"""Of so many it stays known when there were too many: finding the oldest takes a look at all, so many go at once."""

_ROUNDED_OFF: Final = Decimal("0.0001")
"""Share of an order's value that the venue's sums may be short of, by what it rounds."""


def intent_recorded(state: State, event: IntentRecorded, envelope: Envelope) -> State:
    """The order counts as SUBMITTED at once: its request leaves right after the fsync, so a crash assumes it did."""
    return state.changed(
        next_intent=max(state.next_intent, event.intent_id + 1),
        intents={**state.intents, event.intent_id: _intent(state, event, envelope)},
        orders={**state.orders, event.client_order_id: _submitted(event, envelope.ts)},
        sent=(*_recent(state.sent, envelope.ts), _sent(event, envelope.ts)),
        rule_last_entry=_last_entry(state, event, envelope.ts),
    )


def intent_closed(state: State, event: IntentClosed, _: Envelope) -> State:
    intent = state.intents.get(event.intent_id)
    if intent is None:
        return state
    return state.changed(intents={**state.intents, event.intent_id: replace(intent, closed=True)})


def order_changed(state: State, event: OrderChanged, envelope: Envelope) -> State:
    """Amounts never shrink: a stale answer cannot take back what was already seen filled."""
    order = state.orders.get(event.client_order_id)
    if order is None:
        return state
    filled = max(order.filled, event.filled)
    value = max(order.filled_value, event.filled_value)
    moved = event.to_state is not order.state or filled != order.filled
    absent = event.absent_listings
    asked, bracket = _cancel_asked_at(order, event, envelope.ts, moved=moved), order.type is OrderType.BRACKET
    changed = replace(
        order,
        state=event.to_state,
        order_id=event.order_id or order.order_id,
        filled=filled,
        filled_value=value,
        fees=max(order.fees, event.fees),
        changed_at=envelope.ts if moved else order.changed_at,
        cancel_asked_at=asked,
        cancel_first_asked_at=(order.cancel_first_asked_at or asked) if asked else None,
        absent_listings=absent,
        absent_since=(order.absent_since or envelope.ts) if absent else None,
        why=event.why,
        at_target=_at_target(order, filled, value) if bracket and filled.value else order.at_target,
    )
    known = _never_entered(state, order) if event.unsent else state
    return known.changed(orders={**state.orders, order.client_order_id: changed})


def child_adopted(state: State, event: ChildAdopted, envelope: Envelope) -> State:
    """What the decision assumed of the child is what its own prices say; the fee rate is that of the parent.

    Adopted once more, it has grown with its parent's fills.
    """
    if (known := state.orders.get(event.client_order_id)) is not None:
        return with_order(state, replace(known, size=max(known.size, event.size)))
    parent = state.order_of(event.parent_order_id)
    expected = event.limit_price or event.stop_price or (parent.expected_price if parent is not None else None)
    if expected is None:
        return state
    child = Order(
        client_order_id=event.client_order_id, intent=event.intent_id, attempt=0, product=event.product,
        side=SELL, kind=PROTECTIVE, type=event.type, size=event.size, limit_price=event.limit_price,
        state=OrderState.OPEN, created_at=envelope.ts, changed_at=envelope.ts, expected_price=expected,
        expected_fee_rate=parent.expected_fee_rate if parent is not None else ZERO, order_id=event.order_id,
        stop_price=event.stop_price, parent_order_id=event.parent_order_id,
    )  # fmt: skip
    return with_order(state, child)


def foreign_order_seen(state: State, event: ForeignOrderSeen, _: Envelope) -> State:
    return state.changed(foreign_orders={**state.foreign_orders, event.order_id: f"{event.product} {event.detail}"})


def foreign_order_gone(state: State, event: ForeignOrderGone, _: Envelope) -> State:
    return state.changed(foreign_orders=_without(state.foreign_orders, event.order_id))


def counted(orders: Mapping[str, Order], fill: FillBooked) -> Mapping[str, Order]:
    """The orders with the fill in its order's own count of booked base."""
    order = orders.get(fill.client_order_id)
    if order is None:
        return orders
    return {**orders, order.client_order_id: replace(order, booked=order.booked + fill.size)}


def pruned(state: State, now: datetime) -> State:
    """Without the orders that are over: terminal, every fill booked, and a day old; and without intents left alone.

    Of those the venue had accepted it stays known whose they were: a fill of one may still come.
    """
    reach = now - KEPT
    over = [order for order in state.orders.values() if order.changed_at <= reach and _is_over(order)]
    if not over:
        return state
    orders, past = dict(state.orders), dict(state.past_orders)
    for order in over:
        del orders[order.client_order_id]
        if order.order_id:
            past[order.client_order_id] = _past(order, state)
    if len(past) > PAST_MOST:  # a file of state knows no order, so the times decide
        for cid in sorted(past, key=lambda cid: (past[cid].ended_at, cid))[: len(past) - PAST_KEPT]:
            del past[cid]
    used = {order.intent for order in orders.values()}
    awaited = {
        n: intent for n, intent in state.intents.items() if n in used or not (intent.closed or intent.at <= reach)
    }
    return state.changed(orders=orders, intents=awaited, past_orders=past)


def _past(order: Order, state: State) -> PastOrder:
    intent = state.intents.get(order.intent)
    rule, exits = (intent.rule, intent.exits) if intent is not None else ("", Exits())
    return PastOrder(order.order_id, order.product, rule, exits, order.changed_at)


def with_order(state: State, order: Order) -> State:
    return state.changed(orders={**state.orders, order.client_order_id: order})


def _intent(state: State, event: IntentRecorded, envelope: Envelope) -> Intent:
    if (known := state.intents.get(event.intent_id)) is not None:
        return replace(known, attempts=known.attempts + 1)
    return Intent(
        number=event.intent_id, cycle_id=envelope.cycle_id, product=event.product, side=event.side, kind=event.kind,
        size=event.intent_size, worst_price=event.worst_price, worst_quote=event.worst_quote,
        reference=event.reference, rule=event.rule, why=event.why, at=envelope.ts, exits=event.exits, attempts=1,
        rule_entered_at=state.rule_last_entry.get(event.rule) if event.kind is ENTRY else None,
    )  # fmt: skip


def _submitted(event: IntentRecorded, at: datetime) -> Order:
    return Order(
        client_order_id=event.client_order_id, intent=event.intent_id, attempt=event.attempt, product=event.product,
        side=event.side, kind=event.kind, type=event.type, size=event.size, limit_price=event.limit_price,
        state=OrderState.SUBMITTED, created_at=at, changed_at=at, expected_price=event.reference,
        expected_fee_rate=event.expected_fee_rate, stop_price=event.stop_price, end_time=event.end_time,
        attached=event.attached, why=event.why,
    )  # fmt: skip


def _sent(event: IntentRecorded, at: datetime) -> SentOrder:
    price = event.limit_price or event.worst_price
    return SentOrder(at, event.product, event.side, EXACT.multiply(price.value, event.size.value))


def _recent(sent: tuple[SentOrder, ...], now: datetime) -> tuple[SentOrder, ...]:
    reach = now - KEPT
    return tuple([order for order in sent if order.at > reach])


def _last_entry(state: State, event: IntentRecorded, at: datetime) -> Mapping[str, datetime]:
    if event.kind is not ENTRY or event.intent_id in state.intents:
        return state.rule_last_entry
    return {**state.rule_last_entry, event.rule: at}


def _never_entered(state: State, order: Order) -> State:
    """An entry whose only request never left is none: its rule pauses no longer than without it."""
    intent = state.intents.get(order.intent)
    if intent is None or intent.kind is not ENTRY or intent.attempts > 1:
        return state
    if state.rule_last_entry.get(intent.rule) != intent.at:
        return state
    last = {rule: at for rule, at in state.rule_last_entry.items() if rule != intent.rule}
    if intent.rule_entered_at is not None:
        last[intent.rule] = intent.rule_entered_at
    return state.changed(rule_last_entry=last)


def _cancel_asked_at(order: Order, event: OrderChanged, at: datetime, *, moved: bool) -> datetime | None:
    """A change to CANCEL_PENDING that moves nothing else says that the cancel was asked again."""
    asked = order.cancel_asked_at
    if event.cancel_asked:
        return at
    if event.to_state is OrderState.CANCEL_PENDING:
        return asked if moved and asked is not None else at
    returned = asked is not None and order.state is OrderState.CANCEL_PENDING and event.to_state.is_working
    return None if returned else asked


def _at_target(order: Order, filled: Size, value: Decimal) -> Size:
    """What a bracket's target has traded: all, while the whole fetched its price.

    It rests as a limit, so nothing of it trades at worse, and it trades before the stop, which puts an end to it. Of a
    report that tells of both legs at once the new part counts as the stop's.
    """
    if order.limit_price is None:
        return order.at_target
    better = EXACT.subtract(value, EXACT.multiply(order.limit_price.value, filled.value))
    gained = better if order.side is SELL else -better
    return filled if gained >= EXACT.multiply(value, -_ROUNDED_OFF) else order.at_target


def _is_over(order: Order) -> bool:
    return order.state.is_terminal and order.booked >= order.filled


def _without(mapping: Mapping[str, str], key: str) -> Mapping[str, str]:
    return {k: v for k, v in mapping.items() if k != key}
