"""The shadow beside the real account: what was intended, what would have been filled, and what live really got.

Both bots decide on their own, so their trades are matched by product, side, kind and time. A trade is one intent with
all its attempts; its figures come from the journals alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from bot.domain.codec import time_text
from bot.domain.event import Envelope, FillBooked, IntentRecorded
from bot.domain.money import BASIS_POINTS, EXACT, ZERO, Price, Size, decimal_text, quantised
from bot.domain.order import OrderKind
from bot.domain.product import ProductId, Side
from bot.domain.value import Value

TOGETHER: Final = timedelta(seconds=90)
"""How far apart the same decision may be made by two bots with cycles of their own."""


@dataclass(slots=True)
class Trade:
    """One intent and what came of it. size, price: as intended; value, fee: quote currency of all its fills."""

    at: datetime
    product: ProductId
    side: Side
    kind: OrderKind
    size: Size
    price: Price
    filled: Size = field(default_factory=Size.zero)
    value: Decimal = ZERO
    fee: Decimal = ZERO
    first_fill: datetime | None = None

    def take(self, fill: FillBooked) -> None:
        self.filled = self.filled + fill.size
        self.value = EXACT.add(self.value, fill.value)
        self.fee = EXACT.add(self.fee, fill.fee)
        self.first_fill = fill.at if self.first_fill is None else min(self.first_fill, fill.at)

    @property
    def average(self) -> Decimal | None:
        """Quote currency for one unit; None while nothing has filled."""
        return None if self.filled.is_zero else EXACT.divide(self.value, self.filled.value)

    @property
    def delay_s(self) -> float | None:
        """Seconds from the first order to the first fill."""
        return None if self.first_fill is None else (self.first_fill - self.at).total_seconds()

    def outcome(self) -> dict[str, Any]:
        average = self.average
        return {
            "size": str(self.filled),
            "price": None if average is None else decimal_text(quantised(average, 8)),
            "fee": decimal_text(quantised(self.fee, 8)),
            "delay_s": self.delay_s,
        }


class Pair(Value):
    """The same trade of the shadow and of live; either may not have made it."""

    shadow: Trade | None
    live: Trade | None

    @property
    def either(self) -> Trade:
        trade = self.shadow or self.live
        if trade is None:
            raise ValueError("a pair has at least one trade")
        return trade

    @property
    def cost_bps(self) -> Decimal | None:
        """How much worse live traded than its shadow would have, in basis points of price; negative is better."""
        would = None if self.shadow is None else self.shadow.average
        really = None if self.live is None else self.live.average
        if would is None or really is None:
            return None
        worse = EXACT.subtract(really, would) if self.either.side is Side.BUY else EXACT.subtract(would, really)
        return quantised(EXACT.divide(EXACT.multiply(worse, BASIS_POINTS), would), 2)

    def as_json(self) -> dict[str, Any]:
        first, cost = self.either, self.cost_bps
        return {
            "at": time_text(first.at),
            "product": first.product,
            "side": first.side.value,
            "kind": first.kind.value,
            "intended": {"size": str(first.size), "price": str(first.price)},
            "would": None if self.shadow is None else self.shadow.outcome(),
            "actual": None if self.live is None else self.live.outcome(),
            "cost_bps": None if cost is None else decimal_text(cost),
        }


def trades(events: Iterable[Envelope]) -> list[Trade]:
    """Entries and exits of one journal, oldest first; protective orders are the venue's part of both and left out."""
    by_intent: dict[int, Trade] = {}
    by_order: dict[str, Trade] = {}
    for envelope in events:
        payload = envelope.payload
        if isinstance(payload, IntentRecorded) and payload.kind is not OrderKind.PROTECTIVE:
            trade = by_intent.setdefault(payload.intent_id, _begun(payload, envelope.ts))
            by_order[payload.client_order_id] = trade
        elif isinstance(payload, FillBooked) and (known := by_order.get(payload.client_order_id)) is not None:
            known.take(payload)
    return list(by_intent.values())


def matched(shadow: Sequence[Trade], live: Sequence[Trade]) -> list[Pair]:
    """Each trade of the shadow with the nearest like it of live, and what only live made; oldest first."""
    left = list(live)
    pairs = []
    for trade in shadow:
        like = [other for other in left if _same(trade, other)]
        found = min(like, key=lambda other: abs(other.at - trade.at), default=None)
        if found is not None:
            left.remove(found)
        pairs.append(Pair(trade, found))
    pairs += [Pair(None, trade) for trade in left]
    return sorted(pairs, key=lambda pair: pair.either.at)


def totals(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Counts, money and fees of both sides, and what live lost against its shadow on what both filled.

    shortfall: quote currency; positive when live traded worse, fees not included.
    """
    return {
        "trades": len(pairs),
        "both": sum(pair.shadow is not None and pair.live is not None for pair in pairs),
        "only_shadow": sum(pair.live is None for pair in pairs),
        "only_live": sum(pair.shadow is None for pair in pairs),
        "would_value": _money(pair.shadow.value for pair in pairs if pair.shadow is not None),
        "actual_value": _money(pair.live.value for pair in pairs if pair.live is not None),
        "would_fee": _money(pair.shadow.fee for pair in pairs if pair.shadow is not None),
        "actual_fee": _money(pair.live.fee for pair in pairs if pair.live is not None),
        "would_delay_s": _mean(pair.shadow for pair in pairs),
        "actual_delay_s": _mean(pair.live for pair in pairs),
        "shortfall": _money(_shortfall(pair) for pair in pairs),
    }


def _begun(first: IntentRecorded, at: datetime) -> Trade:
    return Trade(at, first.product, first.side, first.kind, first.intent_size, first.limit_price or first.reference)


def _same(one: Trade, other: Trade) -> bool:
    alike = (one.product, one.side, one.kind) == (other.product, other.side, other.kind)
    return alike and abs(one.at - other.at) <= TOGETHER


def _shortfall(pair: Pair) -> Decimal:
    """What live paid more, or got less, for what it filled than at the shadow's price."""
    would = None if pair.shadow is None else pair.shadow.average
    if would is None or pair.live is None:
        return ZERO
    at_would = EXACT.multiply(would, pair.live.filled.value)
    lost = EXACT.subtract(pair.live.value, at_would)
    return lost if pair.live.side is Side.BUY else EXACT.minus(lost)


def _money(amounts: Iterable[Decimal]) -> str:
    return decimal_text(quantised(sum(amounts, ZERO), 8))


def _mean(found: Iterable[Trade | None]) -> float | None:
    delays = [trade.delay_s for trade in found if trade is not None and trade.delay_s is not None]
    return round(sum(delays) / len(delays), 3) if delays else None
