"""What the demo says instead of codes: reasons, triggers and numbers in plain English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Approved, Decision, ExitReason, Reason, Trigger, TriggerKind
from bot.domain.money import EXACT, ONE, decimal_text, quantised
from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.product import Side
from bot.domain.state import Order

_DIGITS: Final = 6

_REASONS: Final[Mapping[str, str]] = {
    Reason.NO_SIGNAL.value: "no trigger fired",
    Reason.NO_RULE_HOLDS.value: "triggers fired, no rule asks for them",
    Reason.BELOW_MIN_CONVICTION.value: "conviction too low",
    Reason.REGIME_CRASH.value: "the market crashes: nothing is opened",
    Reason.ALL_REJECTED.value: "risk said no to everything",
    Reason.NO_LEGAL_SIZE.value: "no legal order size",
    Reason.TOO_FEW_ELIGIBLE.value: "too few products may be traded yet",
    Reason.DATA_UNAVAILABLE.value: "data is missing",
    Reason.TRADE_PACING.value: "enough entries for this hour",
    Reason.COOLDOWN.value: "pausing after a trade",
    Reason.ALREADY_WORKING.value: "an order is working already",
    Reason.ALREADY_HELD.value: "held already",
    Reason.RULE_BUDGET.value: "its rule has used its budget up",
    Reason.POSITION_COUNT.value: "as many positions as allowed",
    Reason.PER_ASSET_CAP.value: "the cap on one coin is reached",
    Reason.THEME_CAP.value: "the cap on a theme is reached",
    Reason.TOTAL_CAP.value: "the cap on all positions is reached",
    Reason.CASH.value: "not enough cash above the reserve",
    Reason.MIN_NOTIONAL.value: "below the exchange's minimum",
    Reason.SHUTTING_DOWN.value: "the bot is stopping",
    Reason.CIRCUIT_BREAKER.value: "a circuit breaker is open",
}

_TRIGGERS: Final[Mapping[TriggerKind, str]] = {
    TriggerKind.PRICE_MOVE: "price moving",
    TriggerKind.VOLUME_SPIKE: "volume",
    TriggerKind.BREAKOUT: "new high",
    TriggerKind.MOMENTUM: "momentum",
    TriggerKind.REVERSAL: "turned up from a low",
    TriggerKind.MEAN_REVERSION: "far below its average",
}

_EXITS: Final[Mapping[ExitReason, str]] = {
    ExitReason.STOP_LOSS: "its stop was reached",
    ExitReason.TAKE_PROFIT: "its target was reached",
    ExitReason.TRAILING_STOP: "its trailing stop was reached",
    ExitReason.MAX_HOLD: "it was held as long as its rule allows",
    ExitReason.BANNED: "it was banned",
    ExitReason.DELISTING: "it is being delisted",
    ExitReason.TRIM_TO_CAP: "it grew past a cap",
    ExitReason.FLATTEN: "everything is being sold",
}


def reason_words(reason: str) -> str:
    """A reason code as a few words."""
    return _REASONS.get(reason, reason.replace("_", " ") or "no reason given")


def approved_words(decision: Decision) -> str:
    """What a cycle decided to trade, and why."""
    return "; ".join(_entry(item) if item.proposal.side is Side.BUY else _exit(item) for item in decision.approved)


def refused_words(decision: Decision) -> str:
    """What risk refused, the products of a reason together."""
    products: dict[str, list[str]] = {}
    for words, product in _refusals(decision):
        products.setdefault(words, []).append(product)
    return "; ".join(f"{', '.join(found)}: {words}" for words, found in products.items())


def refusal_reasons(decision: Decision) -> set[str]:
    """The reasons risk gave, each once."""
    return {words for words, _ in _refusals(decision)}


def _refusals(decision: Decision) -> Iterator[tuple[str, str]]:
    for item in decision.evaluated:
        if item.refusal is not None:
            yield reason_words(item.refusal.reason.value), item.proposal.product


def _entry(item: Approved) -> str:
    want = item.proposal
    fired = ", ".join(dict.fromkeys(_TRIGGERS[trigger.kind] + _strength(trigger) for trigger in want.triggers))
    return f"buy {want.product} for about {dollars(want.size_quote.amount)}: rule {want.rule} ({fired})"


def _strength(trigger: Trigger) -> str:
    ratio = trigger.features.get("ratio")
    return f" {ratio}x the day's" if ratio is not None and trigger.kind is TriggerKind.VOLUME_SPIKE else ""


def _exit(item: Approved) -> str:
    want = item.proposal
    why = _EXITS[want.exit_reason] if want.exit_reason is not None else "its rule says so"
    return f"sell {brief(item.size.value)} {want.product.base}: {why}"


def placed_words(order: Order) -> str:
    """A new order at the exchange."""
    what = f"{brief(order.size.value)} {order.product.base}"
    price = f" at {order.limit_price}" if order.limit_price is not None else ""
    if order.kind is OrderKind.PROTECTIVE:
        stop = f"stop {order.stop_price}" if order.stop_price is not None else "no stop"
        return f"protected: {stop}, target {order.limit_price} for {what} now rest at the exchange"
    if order.type is OrderType.LIMIT_POST_ONLY:
        return f"{'bid' if order.side is Side.BUY else 'offer'} for {what}{price} waits in the book"
    return f"{order.side.value.lower()} order for {what}{price} sent, to fill now or not at all"


def ended_words(order: Order) -> str | None:
    """An order that ended without filling whole; None when that is not worth a line."""
    if order.kind is OrderKind.PROTECTIVE:
        return None
    side = "bid" if order.side is Side.BUY else "offer"
    part = f"{brief(order.filled.value)} of {brief(order.size.value)}" if order.filled.value else "nothing"
    ended = "refused by the exchange" if order.state is OrderState.REJECTED else "withdrawn"
    return f"{side} for {order.product} {ended}, {part} was filled"


def brief(value: Decimal) -> str:
    """At most six digits that count, never an exponent."""
    places = max(0, _DIGITS - 1 - value.adjusted()) if value else 0
    return decimal_text(quantised(value, min(places, 8)))


def dollars(value: Decimal, *, signed: bool = False) -> str:
    """`$1,234.50`; `+$3.00` or `-$3.00` when signed."""
    amount = quantised(value, 2)
    sign = "-" if amount < 0 else "+" if signed else ""
    return f"{sign}${abs(amount):,.2f}"


def change(before: Decimal, after: Decimal) -> str:
    """How far `after` lies from `before`, in dollars and percent."""
    difference = EXACT.subtract(after, before)
    share = EXACT.divide(difference * 100, before) if before else ONE
    return f"{dollars(difference, signed=True)} ({quantised(share, 2):+} %)"


def span(length: timedelta) -> str:
    """`1 h 04 min`, `3 min 20 s` or `12 s`."""
    seconds = int(length.total_seconds())
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
    return f"{seconds // 60} min {seconds % 60:02d} s" if seconds >= 60 else f"{seconds} s"
