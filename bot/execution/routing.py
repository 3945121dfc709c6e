"""What to do next for one intent: a function of values, so that every step can be tried without a venue.

An entry rests at the touch until its time is over, is cancelled, and is quoted again at most `maker_max_reprices`
times; then one immediate order within the slippage budget, or nothing, as the policy says. An exit crosses at once and
is closed after one order: what is left is decided anew in the next cycle. While the fate of an order is unknown nothing
else is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.domain.decision import Reason
from bot.domain.fees import smallest_legal
from bot.domain.market import Quote
from bot.domain.money import EXACT, ZERO, Price, Size, total
from bot.domain.order import ENTRY, RESTING, Bracket, OrderState, OrderType
from bot.domain.product import BUY, Product, TradingMode
from bot.domain.state import Intent, Order
from bot.domain.value import Value
from bot.execution.lifecycle import cancel_again_at, seconds
from bot.execution.protective import bracket_legs
from bot.execution.unknown import LOST
from bot.settings.policy import Policy, ProtectiveStyle

EXIT_ATTEMPTS: Final = 3
"""Orders of one exit intent, counting those refused because the hold of a cancelled order was not released yet."""


_STILL_HELD: Final = ("INSUFFICIENT", "BRACKET", "HOLD_FAILURE")


class Place(Value):
    """Send an order. price: its limit (for MARKET the worst price assumed); again: a re-quote, to be approved anew."""

    type: OrderType
    price: Price
    size: Size
    end_time: datetime | None = None
    attached: Bracket | None = None
    again: bool = False


class Cancel(Value):
    order: Order
    why: str


class Wait(Value):
    """Nothing now. until: when to ask again; None when only an observation can change the answer."""

    until: datetime | None
    why: str


class Close(Value):
    """No further order for this intent. reason: why nothing was sent at all, when nothing was."""

    why: str
    reason: Reason = Reason.NO_SIGNAL


Command = Place | Cancel | Wait | Close


class Target(Value):
    """Where an intent trades: the product as the venue describes it, and the quote to price from."""

    product: Product
    quote: Quote | None


def next_command(
    intent: Intent, orders: Sequence[Order], target: Target | None, now: datetime, policy: Policy
) -> Command:
    """The next step for `intent`, given every order ever made for it (oldest first, its side only).

    target None: without market data working orders are still tended, and nothing new is sent.
    """
    live = [order for order in orders if order.state.is_working]
    if live:
        return _tend(intent, orders, live, now, policy)
    if intent.closed:
        return Wait(None, "closed")
    left = remaining(intent, orders)
    if left.is_zero:
        return Close("filled")
    settled = _settled_at(orders, policy)
    if settled is not None and now < settled:
        return Wait(settled, "late fills may still come")
    if target is None:
        return Wait(None, "no market data")
    step = _enter if intent.kind is ENTRY else _leave
    return step(intent, orders, left, target, now, policy)


def next_time(intent: Intent, orders: Sequence[Order], policy: Policy) -> datetime | None:
    """Since when, or from when on, `next_command` has something to say without a new observation; None: not by time."""
    live = [order for order in orders if order.state.is_working]
    if not live:
        return None if intent.closed else _retry_at(orders, policy) or _settled_at(orders, policy) or intent.at
    order = live[-1]
    if any(item.state is OrderState.UNKNOWN for item in live):
        return None
    if order.state in RESTING:
        crowded = len(live) > 1 or _overcommitted(intent, orders)
        return order.changed_at if crowded else working_until(order, policy)
    waiting = _tend(intent, orders, live, order.changed_at, policy)
    return waiting.until if isinstance(waiting, Wait) else order.changed_at


def smaller_than_legal(left: Size, target: Target) -> bool:
    """Whether no order could be made of what is left, at whatever price of the present market."""
    if target.quote is None:
        return False
    least = smallest_legal(target.product, target.quote.ask)
    return least is None or left < least


def stale_at(intent: Intent, policy: Policy) -> datetime:
    """When an entry's signal is not worth another quote: all its attempts at their longest, with time to end each."""
    execution = policy.execution
    attempts = execution.maker_max_reprices + 2
    each = execution.post_only_ttl_seconds + execution.cancel_timeout_seconds + execution.submitted_timeout_seconds
    return intent.at + seconds((each + execution.post_trade_reconcile_wait_seconds) * attempts)


def awaits_coins(orders: Sequence[Order]) -> bool:
    """Whether an exit will be tried again because its coins were still held."""
    return bool(orders) and lacked_funds(orders[-1]) and len(orders) < EXIT_ATTEMPTS


def remaining(intent: Intent, orders: Sequence[Order]) -> Size:
    """What the intent still lacks, counting what is filled and what may yet fill."""
    if not orders:
        return intent.size
    return Size(max(ZERO, EXACT.subtract(intent.size.value, _taken(orders))))


def done(order: Order) -> Size:
    """Base that certainly traded: the venue's cumulative figure or our booked fills, whichever knows more."""
    return max(order.filled, order.booked)


def would_cross(order: Order) -> bool:
    """Whether a post-only order was refused because the market had moved through its price."""
    return order.state is OrderState.REJECTED and "POST_ONLY" in order.why.upper()


def lacked_funds(order: Order) -> bool:
    """Whether an order was refused because the coins were still held, by whatever name the venue calls that."""
    return order.state is OrderState.REJECTED and any(name in order.why.upper() for name in _STILL_HELD)


def _settled_at(orders: Sequence[Order], policy: Policy) -> datetime | None:
    """A cancelled order may still report a fill that won the race: a new quote waits that long before it is sized."""
    if not orders:
        return None
    wait = seconds(policy.execution.post_trade_reconcile_wait_seconds)
    return max((o.changed_at + wait for o in orders if o.state is not OrderState.REJECTED), default=None)


def _tend(intent: Intent, orders: Sequence[Order], live: Sequence[Order], now: datetime, policy: Policy) -> Command:
    """What working orders ask for."""
    if any(order.state is OrderState.UNKNOWN for order in live):
        return Wait(None, "the fate of an order is unknown")
    order = live[-1]
    if order.state in (OrderState.NEW, OrderState.SUBMITTED):
        return Wait(order.changed_at + seconds(policy.execution.submitted_timeout_seconds), "no answer yet")
    if order.state is OrderState.CANCEL_PENDING:
        again = cancel_again_at(order, policy.execution)
        return Wait(again, "cancel asked") if now < again else Cancel(order, "the cancel had no effect yet")
    if len(live) > 1 or _overcommitted(intent, orders):
        return Cancel(order, "more on offer than the intent still lacks")
    ends = working_until(order, policy)
    return Wait(ends, "resting") if now < ends else Cancel(order, "its time at the touch is over")


def working_until(order: Order, policy: Policy) -> datetime:
    """How long an order may work before the bot cancels it; an immediate order should never rest at all."""
    execution = policy.execution
    rests = order.type is OrderType.LIMIT_POST_ONLY
    return order.created_at + seconds(execution.post_only_ttl_seconds if rests else execution.submitted_timeout_seconds)


def _overcommitted(intent: Intent, orders: Sequence[Order]) -> bool:
    return _taken(orders) > intent.size.value


def _taken(orders: Sequence[Order]) -> Decimal:
    return total([EXACT.add(done(order).value, order.remaining.value) for order in orders])


def _enter(
    intent: Intent, orders: Sequence[Order], left: Size, target: Target, now: datetime, policy: Policy
) -> Command:
    if orders:
        if orders[-1].state is OrderState.REJECTED and not would_cross(orders[-1]):
            return Close(f"refused: {orders[-1].why}")
        if any(order.why.startswith(LOST) for order in orders):
            return Close("an order of it vanished at the venue: nothing is bought in its place")
    if now >= stale_at(intent, policy):
        return Close("its signal is too old to be followed any further")
    if target.product.mode is not TradingMode.NORMAL:
        return Close(f"{target.product.id} is {target.product.mode.value}: no entries", Reason.PRODUCT_STATUS)
    if target.quote is None:
        return Close("no usable quote", Reason.QUOTE_MISSING)
    if orders and smaller_than_legal(left, target):
        return Close(f"{left} left is less than the venue takes", Reason.MIN_NOTIONAL)
    makers = len([order for order in orders if order.type is OrderType.LIMIT_POST_ONLY])
    execution = policy.execution
    if execution.default_order_type == "limit_post_only" and makers <= execution.maker_max_reprices:
        return _at_touch(intent, left, target.quote, now, policy, again=bool(orders))
    crossed = [order for order in orders if order.type is OrderType.LIMIT_IOC]
    if crossed or (orders and not execution.taker_fallback):
        return Close("not filled in the time and attempts allowed")
    return _cross(intent, left, target.quote, execution.max_slippage_bps, again=bool(orders))


def _leave(
    intent: Intent, orders: Sequence[Order], left: Size, target: Target, now: datetime, policy: Policy
) -> Command:
    if orders and not awaits_coins(orders):
        return Close("one order a cycle: what is left is decided anew")
    retry = _retry_at(orders, policy)
    if retry is not None and now < retry:
        return Wait(retry, "the hold is not released yet")
    if target.quote is None:
        return Close("no usable quote", Reason.QUOTE_MISSING)
    if target.product.mode in (TradingMode.POST_ONLY, TradingMode.AUCTION):
        return _at_touch(intent, left, target.quote, now, policy, again=False)
    command = _cross(intent, left, target.quote, policy.exits.max_slippage_bps, again=False)
    market = policy.execution.allow_market_orders and target.product.mode is TradingMode.NORMAL
    if market and isinstance(command, Place):
        return Place(OrderType.MARKET, command.price, left)
    return command


def _retry_at(orders: Sequence[Order], policy: Policy) -> datetime | None:
    if not orders or not lacked_funds(orders[-1]):
        return None
    return orders[-1].changed_at + seconds(policy.execution.hold_release_seconds)


def _at_touch(intent: Intent, left: Size, quote: Quote, now: datetime, policy: Policy, *, again: bool) -> Place:
    touch = quote.touch(intent.side)
    price = min(touch, intent.worst_price) if intent.side is BUY else max(touch, intent.worst_price)
    execution = policy.execution
    end = now + seconds(execution.post_only_ttl_seconds) + seconds(execution.gtd_margin_seconds)
    attached = _attached(intent, price, policy)
    return Place(OrderType.LIMIT_POST_ONLY, price, left, end, attached, again)


def _cross(intent: Intent, left: Size, quote: Quote, slippage_bps: Decimal, *, again: bool) -> Command:
    """An immediate limit at the opposite touch plus the slippage allowed, never beyond the approved worst price."""
    opposite, worst = quote.cross(intent.side), intent.worst_price
    if intent.side is BUY:
        if opposite > worst:
            return Close(f"ask {opposite} is above the approved worst price {worst}", Reason.SLIPPAGE)
        return Place(OrderType.LIMIT_IOC, min(opposite.shifted(slippage_bps), worst), left, again=again)
    if opposite < worst:
        return Close(f"bid {opposite} is below the approved worst price {worst}", Reason.SLIPPAGE)
    return Place(OrderType.LIMIT_IOC, max(opposite.shifted(-slippage_bps), worst), left, again=again)


def _attached(intent: Intent, price: Price, policy: Policy) -> Bracket | None:
    exits = policy.exits
    wanted = exits.resting_on_exchange and exits.style is ProtectiveStyle.ATTACHED_BRACKET
    if intent.kind is not ENTRY or not wanted:
        return None
    return bracket_legs(price, intent.exits, exits)
