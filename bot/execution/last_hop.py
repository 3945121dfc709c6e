"""The last function before the socket: asks again, by itself, what everything above should already have respected.

Kill switch, storage, halts, what is held, price collar and the governors. A governor that is breached latches: entries
stop until an operator resumes them. The one exemption is a flattening sale of no more than is held.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Reason, Reject
from bot.domain.event import LatchSet
from bot.domain.market import Quote
from bot.domain.money import BASIS_POINTS, EXACT, ZERO, Price, Size, total
from bot.domain.order import PROTECTIVE, OrderType, PlannedOrder
from bot.domain.product import BUY, SELL, ProductId
from bot.domain.state import HaltCause, Latch, Order, State
from bot.domain.value import Value
from bot.execution.controls import Controls, Permits, Recorder, Venue
from bot.execution.lifecycle import minutes, seconds
from bot.ports import KillState
from bot.settings.policy import GovernorsPolicy, Policy

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(hours=24)
_REPEATS_KEPT: Final = 2
"""Same-side orders that protective sells leave to exits: re-sizing a stop must never use up the way out."""


class Breach(Value):
    """A governor's ceiling was reached: refuse, and latch."""

    refusal: Reject


class Moment(Value):
    """Everything the check looks at, read as late as possible. quote: fresh, or None when there is none.

    counted: whether `state.sent` already holds the order that is being checked.
    """

    now: datetime
    kill: KillState
    storage_healthy: bool
    permits: Permits
    quote: Quote | None
    state: State
    market: ProductId
    counted: bool


def judge(
    order: PlannedOrder, moment: Moment, policy: Policy, *, flatten: bool = False, releasing: bool = False
) -> Reject | Breach | None:
    """None when the order may leave now.

    releasing: asked before the coins are taken back from a resting order, so what is on offer is not looked at yet.
    """
    refusal = None if releasing else _oversells(order, moment)
    if refusal is not None:
        return refusal
    if flatten and order.side is SELL and moment.permits.flatten:
        return _collar(order, moment.quote, policy)
    return (
        _governed(order, moment, policy.execution.governors)
        or _priced(order, moment, policy)
        or _stored(moment)
        or _permitted(order, moment.permits)
        or _killed(moment.kill)
    )


class LastHop:
    """Gathers the moment, judges, and latches a breach. Called again with the request ready to be sent."""

    def __init__(self, venue: Venue, controls: Controls, recorder: Recorder, policy: Callable[[], Policy]) -> None:
        self._venue = venue
        self._controls = controls
        self._recorder = recorder
        self._policy = policy

    def refusal(
        self, order: PlannedOrder, *, counted: bool, quote: Quote | None = None, flatten: bool = False,
        releasing: bool = False,
    ) -> Reject | None:  # fmt: skip
        """Why the order may not leave, or None. quote None: ask for the freshest there is.

        Raises: StorageFailed when the latch of a breach cannot be written.
        """
        moment = self._moment(order, counted, quote)
        verdict = judge(order, moment, self._policy(), flatten=flatten, releasing=releasing)
        if isinstance(verdict, Breach):
            self._latch(verdict.refusal)
            return verdict.refusal
        return verdict

    def _moment(self, order: PlannedOrder, counted: bool, quote: Quote | None) -> Moment:
        """The quote first, since asking for it takes time; the kill switch last, since it must be the newest fact."""
        market = self._controls.market_of(order.product)
        fresh = quote if quote is not None else self._venue.market.requote(market)
        healthy, permits = self._controls.storage_healthy(), self._controls.permits()
        state, now = self._recorder.state, self._venue.clock.now()
        return Moment(now, self._controls.kill(), healthy, permits, fresh, state, market, counted)

    def _latch(self, refusal: Reject) -> None:
        name = f"governor.{refusal.reason.value}"
        if name not in self._recorder.state.latches:
            now = self._venue.clock.now()
            self._recorder.record(LatchSet(Latch(name, HaltCause.GOVERNOR, refusal.detail, now)))


def _killed(kill: KillState) -> Reject | None:
    if not kill.active:
        return None
    return Reject(Reason.KILL_SWITCH, f"the kill switch is {kill.probe.value} {kill.reason}".rstrip())


def _stored(moment: Moment) -> Reject | None:
    return None if moment.storage_healthy else Reject(Reason.STORAGE_FAILED, "state cannot be written")


def _permitted(order: PlannedOrder, permits: Permits) -> Reject | None:
    allowed = permits.entries if order.side is BUY else permits.exits
    return None if allowed else Reject(Reason.HALTED, f"no {order.kind.value} orders: {permits.why or 'halted'}")


def _oversells(order: PlannedOrder, moment: Moment) -> Reject | None:
    """No sale of more than the books hold as ours and that is not already on offer, unknown orders counted as open."""
    if order.side is BUY:
        return None
    known, mine = moment.state.of_base.get(order.product.base, ()), order.client_order_id
    offered = total([on_offer(o) for o in known if o.side is SELL and o.client_order_id != mine])
    position = moment.state.positions.get(moment.market)
    held = ZERO if position is None or not position.managed else position.size.value
    free = EXACT.subtract(held, offered)
    if order.size.value <= free:
        return None
    detail = f"{order.product}: cannot sell {order.size}, {Size(max(ZERO, free))} of {Size(held)} held is free"
    return Reject(Reason.NOTHING_TO_SELL, detail)


def on_offer(order: Order) -> Decimal:
    """Base of a sell that is not the books' to sell again: what may still fill, and what filled unbooked."""
    return EXACT.add(order.remaining.value, max(ZERO, EXACT.subtract(order.filled.value, order.booked.value)))


def _priced(order: PlannedOrder, moment: Moment, policy: Policy) -> Reject | None:
    quote = moment.quote
    if quote is None:
        return Reject(Reason.QUOTE_MISSING, f"{order.product}: no quote to check the price against")
    allowed = seconds(policy.data.max_quote_staleness_seconds)
    if moment.now - quote.at > allowed:
        age = quote.age_s(moment.now)
        return Reject(
            Reason.QUOTE_STALE, f"{order.product}: quote is {age:.1f} s old, allowed {allowed.total_seconds():g}"
        )
    return _collar(order, quote, policy)


def _collar(order: PlannedOrder, quote: Quote | None, policy: Policy) -> Reject | None:
    """A limit may not lie further from the market than the collar, on either side; a stop's limit, from its stop."""
    if order.limit_price is None:
        allowed = order.type is OrderType.MARKET and policy.execution.allow_market_orders
        return None if allowed else Reject(Reason.PRICE_COLLAR, f"{order.product}: {order.type.value} without a limit")
    if order.type is OrderType.BRACKET:
        return _stop_below(order, quote)
    if order.type is OrderType.STOP_LIMIT and order.stop_price is not None:
        return _within(order, order.limit_price, order.stop_price, policy) or _stop_below(order, quote)
    return None if quote is None else _within(order, order.limit_price, quote.cross(order.side), policy)


def _within(order: PlannedOrder, price: Price, anchor: Price, policy: Policy) -> Reject | None:
    collar = policy.execution.governors.price_collar_pct
    away = anchor.distance_bps(price)
    if abs(away) <= EXACT.multiply(collar.fraction, BASIS_POINTS):
        return None
    detail = f"{order.product}: {order.side.value} limit {price} is {away:.0f} bps from {anchor}, allowed {collar}"
    return Reject(Reason.PRICE_COLLAR, detail)


def _stop_below(order: PlannedOrder, quote: Quote | None) -> Reject | None:
    if quote is None or order.stop_price is None or order.stop_price < quote.bid:
        return None
    return Reject(Reason.PRICE_COLLAR, f"{order.product}: stop {order.stop_price} is not below the bid {quote.bid}")


def _governed(order: PlannedOrder, moment: Moment, limits: GovernorsPolicy) -> Breach | Reject | None:
    """What was sent of late, this order counted in, against every ceiling."""
    now, window, side, base = moment.now, minutes(limits.same_side_window_minutes), order.side, order.product.base
    a_minute_ago, a_day_ago, since = now - _MINUTE, now - _DAY, now - window
    minute = today = same = 0 if moment.counted else 1
    value = ZERO if moment.counted else _notional(order, moment)
    for past in moment.state.sent:
        at = past.at
        if at > a_day_ago:
            today += 1
            value = EXACT.add(value, past.notional)
            if at > a_minute_ago:
                minute += 1
        if past.side is side and at > since and past.product.base == base:
            same += 1
    if minute > limits.orders_per_minute:
        return _breach(Reason.ORDERS_PER_MINUTE, f"{minute} orders in a minute, allowed {limits.orders_per_minute}")
    if today > limits.orders_per_day:
        return _breach(Reason.ORDERS_PER_DAY, f"{today} orders a day, allowed {limits.orders_per_day}")
    if value > limits.notional_per_day_usd:
        detail = f"{value:.2f} traded in 24 h, allowed {limits.notional_per_day_usd}"
        return _breach(Reason.NOTIONAL_PER_DAY, detail)
    return _repeated(order, same, window, limits.same_side_repeats)


def _repeated(order: PlannedOrder, same: int, window: timedelta, allowed: int) -> Breach | Reject | None:
    kept = _REPEATS_KEPT if order.kind is PROTECTIVE else 0
    if same <= 1 or same <= allowed - kept:
        return None
    detail = f"{same} {order.side.value} orders of {order.product} in {window}, allowed {allowed}"
    if kept:
        return Reject(Reason.SAME_SIDE_REPEATS, f"{detail}, {kept} of them kept for exits")
    return _breach(Reason.SAME_SIDE_REPEATS, detail)


def _notional(order: PlannedOrder, moment: Moment) -> Decimal:
    price = order.limit_price or (moment.quote.cross(order.side) if moment.quote is not None else None)
    return ZERO if price is None else EXACT.multiply(price.value, order.size.value)


def _breach(reason: Reason, detail: str) -> Breach:
    return Breach(Reject(reason, detail))
