"""Round trips: what was bought for one position until all of it was sold, with where it came from and how it went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from backtest.dataset import Dataset
from backtest.recorder import Origin, Recorder
from bot.domain.money import EXACT, HUNDRED, ONE, ZERO
from bot.domain.order import EXIT, PROTECTIVE
from bot.domain.product import BUY, SELL, ProductId
from bot.domain.value import Value, cached_property
from bot.settings.config import Config
from bot.triggers.indicators import greatest, least
from bot.venue.orders import OrderRecord, TriggerStatus, VenueFill

_ROUNDED: Final = Decimal("1.0005")
"""How far above its level a stop may lie by rounding to the tick and by fills that came after it was placed."""


class Trade(Value, dict=True):
    """One round trip; open ones have no exit. Amounts in quote currency.

    entry, exit: average fill prices without fees. cost, proceeds: with fees. pnl: proceeds less cost.
    bars: from the close of the bar in which it was opened to that in which it was closed, or the last there is.
    traded: value of its fills; fees, spread, slippage: what they cost. risk: what the stop put at risk, None without
    one. lowest, highest: extremes of the bars it lived through, the first and the last among them.
    """

    product: ProductId
    rule: str
    triggers: tuple[str, ...]
    regime: str
    tier: int | None
    themes: tuple[str, ...]
    opened_at: datetime
    closed_at: datetime | None
    bars: int
    size: Decimal
    entry: Decimal
    exit: Decimal | None
    cost: Decimal
    proceeds: Decimal
    traded: Decimal
    fees: Decimal
    spread: Decimal
    slippage: Decimal
    exit_reason: str
    risk: Decimal | None
    lowest: Decimal
    highest: Decimal

    @property
    def closed(self) -> bool:
        return self.closed_at is not None

    @cached_property
    def pnl(self) -> Decimal:
        return EXACT.subtract(self.proceeds, self.cost)

    @cached_property
    def pnl_bps(self) -> Decimal:
        """Profit in basis points of what was paid."""
        return EXACT.divide(EXACT.multiply(self.pnl, Decimal(10_000)), self.cost)

    @cached_property
    def pnl_r(self) -> Decimal | None:
        """Profit in multiples of what the stop put at risk."""
        return None if self.risk is None or self.risk <= 0 else EXACT.divide(self.pnl, self.risk)

    @cached_property
    def worst_pct(self) -> Decimal:
        """Maximum adverse excursion, percent of the entry price, 0 or negative."""
        return min(ZERO, _percent(self.lowest, self.entry))

    @cached_property
    def best_pct(self) -> Decimal:
        """Maximum favourable excursion, percent of the entry price, 0 or positive."""
        return max(ZERO, _percent(self.highest, self.entry))


@dataclass(slots=True)
class _Open:
    """A position on its way."""

    buys: list[VenueFill] = field(default_factory=list)
    sells: list[VenueFill] = field(default_factory=list)
    held: Decimal = ZERO

    def take(self, fill: VenueFill) -> None:
        if fill.side is BUY:
            self.buys.append(fill)
            self.held = EXACT.add(self.held, fill.size)
        else:
            self.sells.append(fill)
            self.held = EXACT.subtract(self.held, fill.size)


class Ledger(Value, dict=True):
    """What trades are made of. orders: by the venue's order id."""

    data: Dataset
    config: Config
    fills: Sequence[VenueFill]
    orders: Mapping[str, OrderRecord]
    recorder: Recorder

    def origin(self, fill: VenueFill) -> Origin | None:
        """Why the order of a fill was sent; an attached bracket is its parent's protective sell."""
        order = self.orders[fill.order_id]
        known = self.recorder.origins.get(order.client_order_id)
        if known is None and order.originating_order_id:
            parent = self.recorder.origins.get(self.orders[order.originating_order_id].client_order_id)
            if parent is not None:
                return Origin(PROTECTIVE, parent.rule, "protective", parent.cycle_id, parent.intent, 1)
        return known

    @cached_property
    def reasons(self) -> Mapping[str, str]:
        """Why each sale was made, by the venue's order id."""
        bought: dict[ProductId, _Open] = {}
        found: dict[str, str] = {}
        for fill in self.fills:
            trip = _with(bought, self, fill)
            if fill.side is SELL:
                found[fill.order_id] = _exit_reason(self, fill, trip)
            if trip.held <= 0:
                del bought[self.market(fill)]
        return found

    def market(self, fill: VenueFill) -> ProductId:
        """Where a fill was traded, whatever name it was traded under."""
        return self.data.listings.market(fill.product)


def trades(ledger: Ledger) -> tuple[Trade, ...]:
    """Every round trip in the order in which it ended, open ones last."""
    going: dict[ProductId, _Open] = {}
    closed = []
    for fill in ledger.fills:
        if _with(going, ledger, fill).held <= 0:
            market = ledger.market(fill)
            closed.append(_trade(ledger, market, going.pop(market)))
    still = [_trade(ledger, market, trip) for market, trip in going.items()]
    return (*closed, *still)


def _with(going: dict[ProductId, _Open], ledger: Ledger, fill: VenueFill) -> _Open:
    """The position a fill belongs to, the fill put into it."""
    trip = going.setdefault(ledger.market(fill), _Open())
    trip.take(fill)
    return trip


def _exit_reason(ledger: Ledger, sale: VenueFill, trip: _Open) -> str:
    """A protective order tells by which of its legs traded; a stop above its first place had trailed there."""
    order, origin = ledger.orders[sale.order_id], ledger.origin(sale)
    if origin is not None and origin.kind is EXIT:
        return origin.why
    if order.trigger is not TriggerStatus.TRIGGERED:
        return "take_profit"
    rule = ledger.config.policy.rule(origin.rule) if origin is not None else None
    if rule is None or rule.trailing_stop_pct is None or order.terms.stop_price is None or not trip.buys:
        return "stop_loss"
    if rule.stop_loss_pct is None:
        return "trailing_stop"
    entry = EXACT.divide(_total(trip.buys, "value"), _total(trip.buys, "size"))
    level = EXACT.multiply(entry, EXACT.subtract(ONE, rule.stop_loss_pct.fraction))
    return "trailing_stop" if order.terms.stop_price > EXACT.multiply(level, _ROUNDED) else "stop_loss"


def _trade(ledger: Ledger, market: ProductId, trip: _Open) -> Trade:
    first, last = trip.buys[0], trip.sells[-1] if trip.sells else None
    origin = ledger.origin(first)
    signal = ledger.recorder.signals.get((origin.cycle_id, first.product)) if origin is not None else None
    rule = origin.rule if origin is not None else ""
    size, value = _total(trip.buys, "size"), _total(trip.buys, "value")
    sold, closed = _total(trip.sells, "value"), trip.held <= 0
    fees, exit_fees = _total(trip.buys, "fee"), _total(trip.sells, "fee")
    begin = ledger.data.newest(first.booked_at)
    end = ledger.data.newest(last.booked_at) if closed and last is not None else ledger.data.count - 1
    lowest, highest = _extremes(ledger.data, market, begin, end)
    reason = ledger.reasons[last.order_id] if closed and last is not None else "open"
    return Trade(
        product=first.product, rule=rule, triggers=signal.triggers if signal is not None else (),
        regime=signal.regime if signal is not None else "", tier=ledger.config.universe.tier_of(first.product),
        themes=ledger.config.universe.themes_of(first.product), opened_at=first.booked_at,
        closed_at=last.booked_at if closed and last is not None else None, bars=end - begin, size=size,
        entry=EXACT.divide(value, size),
        exit=EXACT.divide(sold, _total(trip.sells, "size")) if trip.sells else None,
        cost=EXACT.add(value, fees), proceeds=EXACT.subtract(sold, exit_fees),
        traded=EXACT.add(value, sold), fees=EXACT.add(fees, exit_fees),
        spread=_total((*trip.buys, *trip.sells), "spread"), slippage=_total((*trip.buys, *trip.sells), "slippage"),
        exit_reason=reason,
        risk=_risk(ledger.config, rule, value), lowest=lowest, highest=highest,
    )  # fmt: skip


def _risk(config: Config, name: str, value: Decimal) -> Decimal | None:
    rule = config.policy.rule(name)
    if rule is None:
        return None
    stops = [stop for stop in (rule.stop_loss_pct, rule.trailing_stop_pct) if stop is not None]
    return EXACT.multiply(value, min(stop.fraction for stop in stops)) if stops else None


def _extremes(data: Dataset, market: ProductId, begin: int, end: int) -> tuple[Decimal, Decimal]:
    """Lowest low and highest high of bars begin..end."""
    track = data.tracks[market]
    lows, highs = [], []
    for segment in track.segments:
        first, stop = max(begin, segment.first) - segment.first, min(end + 1, segment.stop) - segment.first
        if first < stop:
            lows.append(least(segment.columns.series.low[first:stop]))
            highs.append(greatest(segment.columns.series.high[first:stop]))
    return track.scale.value(min(lows)), track.scale.value(max(highs))


def _total(fills: Sequence[VenueFill], name: str) -> Decimal:
    result = ZERO
    for fill in fills:
        result = EXACT.add(result, getattr(fill, name))
    return result


def _percent(price: Decimal, start: Decimal) -> Decimal:
    return EXACT.divide(EXACT.multiply(EXACT.subtract(price, start), HUNDRED), start)


def closed_only(items: Sequence[Trade]) -> Iterator[Trade]:
    return (trade for trade in items if trade.closed)
