"""What an observation does to an order: reports, answers, silence and timers become journal events, or a mismatch.

Every change goes through the transition table. A pair it does not hold is reported, never applied, never a crash.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from typing import Final, Self

from bot.domain.event import ExecutionMeasured, Mismatch, OrderChanged, Payload
from bot.domain.money import EXACT, ZERO, Price, Size
from bot.domain.order import RESTING, OrderEvent, OrderReport, OrderState, OrderType, VenueStatus, advance
from bot.domain.product import BUY
from bot.domain.state import Order
from bot.domain.value import Value, replace
from bot.errors import IllegalTransition
from bot.settings.policy import ExecutionPolicy

LONGEST_CANCEL_GAP: Final = timedelta(minutes=1)

UNRESOLVED: Final = frozenset({OrderState.NEW, OrderState.SUBMITTED, OrderState.UNKNOWN})
"""States of an order whose fate is unknown."""

_UNANSWERED: Final = frozenset({OrderState.NEW, OrderState.SUBMITTED})
_NOT_ACKNOWLEDGED: Final = frozenset({OrderState.SUBMITTED, OrderState.UNKNOWN})
_SETTLED: Final = frozenset({OrderState.OPEN, OrderState.PARTIAL, OrderState.CANCEL_PENDING})
_UNFILLED: Final = frozenset({OrderState.OPEN, OrderState.SUBMITTED, OrderState.UNKNOWN})
_IMMEDIATE: Final = frozenset({OrderType.LIMIT_IOC, OrderType.LIMIT_FOK, OrderType.MARKET})
_ENDS: Final = {
    VenueStatus.FILLED: OrderEvent.FILL,
    VenueStatus.CANCELLED: OrderEvent.CANCELED,
    VenueStatus.EXPIRED: OrderEvent.EXPIRED,
}


def changed(order: Order, event: OrderEvent, why: str, *, order_id: str = "", absent: int = 0) -> Payload:
    """The event for something that moved no quantity; a Mismatch when the order's state does not allow it.

    Asking for a cancel proves neither that the order exists nor that it does not: a proof of absence goes on.
    """
    payload = _step(order, event, why, _Figures.of(order), order_id or order.order_id, absent)
    if event is OrderEvent.CANCEL_ASKED and isinstance(payload, OrderChanged):
        return replace(payload, cancel_asked=True, absent_listings=order.absent_listings)
    return payload


def unresolved(order: Order) -> bool:
    """Whether an order's fate is unknown: nothing else may be sent for its intent, nor bought of its product."""
    return order.state in UNRESOLVED


def observed(order: Order, report: OrderReport) -> list[Payload]:
    """What the venue's report changes: nothing, one event, or two when it tells of a step we missed.

    Quantities only grow: a report that shows less than an earlier one is older, whatever the order it came in.
    """
    contradiction = _another_order(order, report)
    if contradiction is None and report.status is VenueStatus.FILLED:
        contradiction = _half_filled(order, report)
    if contradiction is not None:
        return [contradiction]
    figures, state = _Figures.newest(order, report), order.state
    if state.is_terminal:
        return _after_the_end(order, report, figures)
    payloads: list[Payload] = []
    if state in _NOT_ACKNOWLEDGED and report.status is VenueStatus.CANCEL_QUEUED:  # it was taken before that
        payloads.append(_step(order, OrderEvent.ACK, "found at the venue", _Figures.of(order), report.order_id, 0))
        state = OrderState.OPEN
    event = _event(order, state, report, figures)
    if payloads or _says_something(order, event, report, figures):
        payloads.append(_step(order, event, _why(report), figures, report.order_id, 0, state))
    if figures.filled.value > max(order.size.value, order.filled.value):
        payloads.append(_mismatch(order, f"size {order.size}", f"{figures.filled} filled"))
    return payloads


def measured(order: Order) -> ExecutionMeasured | None:
    """Expected against actual of an order that has ended with fills; slippage is positive when it was worse."""
    if not order.state.is_terminal or order.filled.is_zero or order.filled_value <= ZERO:
        return None
    actual = Price(EXACT.divide(order.filled_value, order.filled.value))
    expected = _expected(order)
    moved = expected.distance_bps(actual)
    return ExecutionMeasured(
        order.client_order_id, expected, actual, moved if order.side is BUY else -moved,
        EXACT.multiply(order.filled_value, order.expected_fee_rate), order.fees,
    )  # fmt: skip


def _expected(order: Order) -> Price:
    """What an order was to fill at: of a bracket, the price of the leg that traded, or their mean, each for its part.

    The venue's reports do not name the leg: what they had fetched so far tells it (`Order.at_target`).
    """
    target, stop = order.limit_price, order.stop_price
    if order.type is not OrderType.BRACKET or target is None or stop is None:
        return order.expected_price
    gained, lost = order.at_target, EXACT.subtract(order.filled.value, order.at_target.value)
    if gained.is_zero or not lost:
        return stop if gained.is_zero else target
    meant = EXACT.add(EXACT.multiply(target.value, gained.value), EXACT.multiply(stop.value, lost))
    return Price(EXACT.divide(meant, order.filled.value))


class Due(Enum):
    """What a timer that has fired asks for."""

    SILENCE = "silence"  # no answer came in time: the order's fate is unknown
    CANCEL_AGAIN = "cancel_again"
    READ = "read"  # it should have ended by now; only a read can tell


def due(order: Order) -> Due:
    """What the timer of an order asks for. An expiry that has passed is never evidence that the order is gone."""
    if order.state in _UNANSWERED:
        return Due.SILENCE
    return Due.CANCEL_AGAIN if order.state is OrderState.CANCEL_PENDING else Due.READ


def timer(order: Order, policy: ExecutionPolicy) -> datetime | None:
    """When the order's present state should have passed; None when it has no time of its own."""
    if order.state in RESTING:
        if order.end_time is not None or order.type not in _IMMEDIATE:
            return order.end_time
        return order.created_at + seconds(policy.submitted_timeout_seconds)
    if order.state in _UNANSWERED:
        return order.changed_at + seconds(policy.submitted_timeout_seconds)
    return cancel_again_at(order, policy) if order.state is OrderState.CANCEL_PENDING else None


def cancel_again_at(order: Order, policy: ExecutionPolicy) -> datetime:
    """When a cancel that has shown no effect is worth repeating: after as long again as was waited altogether.

    At least `cancel_timeout_seconds`, at most a minute: the venue may list an order for a while that it has cancelled,
    and an acknowledged cancel may also have been lost, so it is neither repeated all the time nor given up.
    """
    asked = order.cancel_asked_at or order.changed_at
    waited = asked - (order.cancel_first_asked_at or asked)
    return asked + max(seconds(policy.cancel_timeout_seconds), min(waited, LONGEST_CANCEL_GAP))


@lru_cache(maxsize=64)
def seconds(value: Decimal) -> timedelta:
    """A policy's seconds as a duration, to the microsecond."""
    return timedelta(microseconds=int(value * 1_000_000))


@lru_cache(maxsize=64)
def minutes(value: Decimal) -> timedelta:
    """A policy's minutes as a duration, to the microsecond."""
    return seconds(value * 60)


class _Figures(Value):
    """Cumulative quantities of an order: base filled, its quote value, and fees."""

    filled: Size
    value: Decimal
    fees: Decimal

    @classmethod
    def of(cls, order: Order) -> Self:
        return cls(order.filled, order.filled_value, order.fees)

    @classmethod
    def newest(cls, order: Order, report: OrderReport) -> Self:
        if report.filled.value < order.filled.value:
            return cls.of(order)
        return cls(report.filled, max(order.filled_value, report.filled_value), max(order.fees, report.fees))

    def differ(self, order: Order) -> bool:
        """Whether they are not those that the order has already."""
        return self.filled != order.filled or self.value != order.filled_value or self.fees != order.fees


def _step(
    order: Order, event: OrderEvent, why: str, figures: _Figures, order_id: str, absent: int,
    state: OrderState | None = None,
) -> Payload:  # fmt: skip
    source = order.state if state is None else state
    try:
        target = advance(source, event)
    except IllegalTransition as error:
        return _mismatch(order, source.value, f"{error} ({why})")
    return OrderChanged(
        order.client_order_id, order_id, source, target, why, figures.filled, figures.value, figures.fees, absent
    )


def _mismatch(order: Order, ours: str, theirs: str) -> Mismatch:
    return Mismatch(f"order {order.client_order_id}", ours, theirs)


def _another_order(order: Order, report: OrderReport) -> Mismatch | None:
    """An answer that names some other order is never adopted. An alias pair has one base and two quote currencies.

    Once the venue's id is known it is the identity: then a person may have edited the size, which changes no order's
    name, and the size of an attached bracket follows its parent's fills.
    """
    sized = not order.order_id and report.size is not None
    base, side = order.product.base, order.side
    if report.product.base == base and report.side is side and not (sized and report.size != order.size):
        return None
    ours, theirs = (order.size, report.size) if sized else (None, None)
    return _mismatch(order, f"{base} {side.value} {ours}", f"{report.product.base} {report.side.value} {theirs}")


def _half_filled(order: Order, report: OrderReport) -> Mismatch | None:
    """FILLED with less than all of it: one of the two is older. Believing it would free what may have traded."""
    size = report.size if report.size is not None else order.size
    if report.filled >= size:
        return None
    return _mismatch(order, f"size {size}", f"FILLED with {report.filled}")


def _event(order: Order, state: OrderState, report: OrderReport, figures: _Figures) -> OrderEvent:
    status, filled = report.status, figures.filled.value
    if status in _ENDS:
        return _ENDS[status]
    if status is VenueStatus.FAILED:
        worked = state in (OrderState.PARTIAL, OrderState.CANCEL_PENDING) or filled > ZERO
        return OrderEvent.CANCELED if worked else OrderEvent.REFUSED
    if status is VenueStatus.CANCEL_QUEUED and state in RESTING:
        return OrderEvent.CANCEL_ASKED
    more = filled > order.filled.value or (filled > ZERO and state in _UNFILLED)
    return OrderEvent.PART_FILL if more else OrderEvent.ACK


def _says_something(order: Order, event: OrderEvent, report: OrderReport, figures: _Figures) -> bool:
    """Whether the report tells more than we know: a repetition is no event."""
    if event is not OrderEvent.ACK or order.absent_listings or order.state not in _SETTLED:
        return True
    return order.order_id != report.order_id or figures.differ(order)


def _after_the_end(order: Order, report: OrderReport, figures: _Figures) -> list[Payload]:
    """Only quantities move now. An order we had given up as never placed, and that works, is news for people."""
    payloads: list[Payload] = []
    if figures.differ(order):
        payloads.append(_step(order, OrderEvent.LATE_FILL, "late fill", figures, report.order_id, 0))
    lives = not report.status.is_terminal or figures.filled > order.filled
    if order.state is OrderState.REJECTED and lives:
        payloads.append(_mismatch(order, f"REJECTED ({order.why})", f"{report.status.value} as {report.order_id}"))
    return payloads


def _why(report: OrderReport) -> str:
    text = f"venue: {report.status.value}"
    return f"{text} {report.reject_reason}" if report.reject_reason else text
