"""The fold's part for money: fills, positions, ledgers, transfers and the loss periods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from bot.domain.event import (
    CursorMoved,
    Envelope,
    FillBooked,
    FillsKnown,
    LedgerAnchored,
    LedgerPending,
    PeriodBegan,
    PositionAdopted,
    PositionMarked,
    TransferRecognised,
)
from bot.domain.money import EXACT, ZERO, Size, quantised
from bot.domain.position import COST_PLACES, Exits, Lot, Origin, Position, bought, sold
from bot.domain.product import ProductId, Side
from bot.domain.state import FillCursor, Ledger, Oversold, Period, State, day_id, week_id
from bot.record.fold_orders import fill_counted, pruned

V = TypeVar("V")


def fill_booked(state: State, fill: FillBooked, envelope: Envelope) -> State:
    """One fill, in whatever order fills arrive; a row that is booked already changes nothing.

    For every sequence of fills, exactly: proceeds of sales - cost of purchases
    = realised_total + proceeds still in `oversold` - cost of what is held (all with fees in).
    """
    if state.has_fill(fill.entry_id, fill.order_id, fill.trade_id, fill.adjustment):
        return state
    trade_id = "" if fill.adjustment else fill.trade_id
    state = replace(
        state,
        fill_ids={**state.fill_ids, fill.entry_id: (fill.order_id, trade_id, fill.at)},
        ledgers=_after_fill(state.ledgers, fill, envelope.ts),
        fees_total=EXACT.add(state.fees_total, fill.fee),
    )
    traded = _purchase(state, fill) if fill.side is Side.BUY else _sale(state, fill)
    return fill_counted(traded, fill)


def profit_of(state: State, fill: FillBooked) -> Decimal:
    """What booking `fill` would add to the realised profit, for the payload of the event itself."""
    if state.has_fill(fill.entry_id, fill.order_id, fill.trade_id, fill.adjustment):
        return ZERO
    after = _purchase(state, fill) if fill.side is Side.BUY else _sale(state, fill)
    return EXACT.subtract(after.realised_total, state.realised_total)


def cursor_moved(state: State, event: CursorMoved, envelope: Envelope) -> State:
    state = pruned(replace(state, fill_cursor=FillCursor(event.at, event.overlap)), envelope.ts)
    reach = event.at - event.overlap
    kept = {order.order_id for order in state.orders.values()}
    return replace(
        state, fill_ids={key: row for key, row in state.fill_ids.items() if row[2] >= reach or row[0] in kept}
    )


def fills_known(state: State, event: FillsKnown, _: Envelope) -> State:
    return replace(state, fill_ids={**state.fill_ids, **event.rows})


def ledger_anchored(state: State, event: LedgerAnchored, envelope: Envelope) -> State:
    return replace(state, ledgers={**state.ledgers, event.currency: Ledger(event.amount, envelope.ts)})


def ledger_pending(state: State, event: LedgerPending, envelope: Envelope) -> State:
    """The clock of a difference starts again whenever the difference changes."""
    ledger = state.ledgers.get(event.currency)
    if ledger is None:
        return state
    same = event.amount == ledger.pending and ledger.pending_since is not None
    since = None if event.amount == 0 else ledger.pending_since if same else envelope.ts
    changed = replace(ledger, pending=event.amount, pending_since=since, sweeps=event.sweeps)
    return replace(state, ledgers={**state.ledgers, event.currency: changed})


def transfer_recognised(state: State, event: TransferRecognised, envelope: Envelope) -> State:
    """Money that came or went moves equity and every yardstick with it, and no profit or loss."""
    return replace(
        state,
        ledgers=_moved(state.ledgers, event.currency, event.amount, envelope.ts, settled=True),
        day=_transferred(state.day, event.value),
        week=_transferred(state.week, event.value),
        peak_equity=_peak_after(state.peak_equity, event),
        transfers_total=EXACT.add(state.transfers_total, event.value),
    )


def position_adopted(state: State, event: PositionAdopted, _: Envelope) -> State:
    """The holding as it stands replaces what the books said of it."""
    market = event.position.product
    positions = {**_without(state.positions, market), market: event.position}
    kept = positions if not event.position.size.is_zero else _without(positions, market)
    return replace(state, positions=kept, oversold=_without(state.oversold, market))


def position_marked(state: State, event: PositionMarked, _: Envelope) -> State:
    position = state.positions.get(event.product)
    if position is None or (position.high_mark is not None and position.high_mark >= event.high_mark):
        return state
    return _holding(state, replace(position, high_mark=event.high_mark))


def period_began(state: State, event: PeriodBegan, _: Envelope) -> State:
    return replace(state, week=event.period) if event.kind == "week" else replace(state, day=event.period)


def _purchase(state: State, fill: FillBooked) -> State:
    market, cost = _market(fill), EXACT.add(fill.value, fill.fee)
    owed = state.oversold.get(market)
    covered = min(owed.size, fill.size) if owed is not None else Size.zero()
    cost_covered, fee_covered = _share(cost, covered, fill.size), _share(fill.fee, covered, fill.size)
    if owed is not None:
        proceeds = _share(owed.proceeds, covered, owed.size)
        left = Oversold(owed.size - covered, EXACT.subtract(owed.proceeds, proceeds))
        state = _owing(state, market, left)
        state = _realised(state, EXACT.subtract(proceeds, cost_covered), _rule(state, fill), fill.at)
    rest = fill.size - covered
    if rest.is_zero:
        return state
    origin = Origin.ADOPTED if fill.foreign else Origin.BOUGHT
    lot = Lot(rest, EXACT.subtract(cost, cost_covered), fill.at, origin, fill.order_id)
    held = state.positions.get(market) or _opened(state, fill)
    return _holding(state, bought(held, lot, EXACT.subtract(fill.fee, fee_covered)))


def _sale(state: State, fill: FillBooked) -> State:
    market, proceeds = _market(fill), EXACT.subtract(fill.value, fill.fee)
    position = state.positions.get(market)
    covered = min(position.size, fill.size) if position is not None else Size.zero()
    earned = _share(proceeds, covered, fill.size)
    if position is not None and not covered.is_zero:
        after, profit = sold(position, covered, earned, state.cost_method)
        state = _realised(state, profit, position.rule, fill.at)
        state = _closed(state, after) if after.size.is_zero else _holding(state, after)
    owed = state.oversold.get(market, Oversold(Size.zero(), ZERO))
    rest = fill.size - covered
    if rest.is_zero:
        return state
    more = Oversold(owed.size + rest, EXACT.add(owed.proceeds, EXACT.subtract(proceeds, earned)))
    return _owing(state, market, more)


def _market(fill: FillBooked) -> ProductId:
    return fill.market or fill.product


def _share(amount: Decimal, part: Size, whole: Size) -> Decimal:
    """`part / whole` of an amount; all of it, to the last digit, for the whole."""
    if part == whole:
        return amount
    return quantised(EXACT.divide(EXACT.multiply(amount, part.value), whole.value), COST_PLACES)


def _opened(state: State, fill: FillBooked) -> Position:
    """A position begun by this fill: managed unless a person opened it."""
    order = state.orders.get(fill.client_order_id)
    intent = state.intents.get(order.intent) if order is not None else None
    exits = intent.exits if intent is not None else Exits()
    return Position(
        product=_market(fill), lots=(), opened_at=fill.at, managed=not fill.foreign,
        rule=_rule(state, fill), exits=exits, high_mark=fill.price,
    )  # fmt: skip


def _rule(state: State, fill: FillBooked) -> str:
    order = state.orders.get(fill.client_order_id)
    intent = state.intents.get(order.intent) if order is not None else None
    return intent.rule if intent is not None else ""


def _closed(state: State, position: Position) -> State:
    """A position that closed at a loss lengthens the streak; one that closed at a profit ends it."""
    streak = state.loss_streak + 1 if position.realised < 0 else 0 if position.realised > 0 else state.loss_streak
    return replace(state, positions=_without(state.positions, position.product), loss_streak=streak)


def _holding(state: State, position: Position) -> State:
    return replace(state, positions={**state.positions, position.product: position})


def _owing(state: State, market: ProductId, owed: Oversold) -> State:
    others = _without(state.oversold, market)
    return replace(state, oversold=others if owed.size.is_zero else {**others, market: owed})


def _realised(state: State, profit: Decimal, rule: str, at: datetime) -> State:
    by_rule = EXACT.add(state.rule_realised.get(rule, ZERO), profit)
    return replace(
        state,
        realised_total=EXACT.add(state.realised_total, profit),
        rule_realised={**state.rule_realised, rule: by_rule},
        day=_in_period(state.day, profit, at, day_id),
        week=_in_period(state.week, profit, at, week_id),
    )


def _in_period(period: Period | None, profit: Decimal, at: datetime, id_of: Callable[[datetime], str]) -> Period | None:
    """A profit belongs to the period its fill has at the venue.

    When a fill of an earlier period is booked late, the profit was still unrealised in the period's opening figure:
    that figure moves, and the sum of realised and unrealised since the opening stays what it was.
    """
    if period is None:
        return None
    if id_of(at) < period.id:
        return replace(period, start_unrealised=EXACT.subtract(period.start_unrealised, profit))
    return replace(period, realised=EXACT.add(period.realised, profit))


def _transferred(period: Period | None, value: Decimal) -> Period | None:
    return None if period is None else replace(period, transfers=EXACT.add(period.transfers, value))


def _peak_after(peak: Decimal | None, event: TransferRecognised) -> Decimal | None:
    """The peak scaled as equity was, so that the drawdown percentage stands; shifted when equity is unknown."""
    if peak is None:
        return None
    if event.equity is None or event.equity <= 0:
        return max(ZERO, EXACT.add(peak, event.value))
    after = max(ZERO, EXACT.add(event.equity, event.value))
    return EXACT.divide(EXACT.multiply(peak, after), event.equity)


def _after_fill(ledgers: Mapping[str, Ledger], fill: FillBooked, at: datetime) -> Mapping[str, Ledger]:
    """Base and the paying wallet move; the product id says which wallet paid, USD or USDC."""
    base, value = fill.size.value, fill.value
    signs = (base, -value) if fill.side is Side.BUY else (-base, value)
    after = _moved(ledgers, fill.product.base, signs[0], at)
    return _moved(after, fill.product.quote, EXACT.subtract(signs[1], fill.fee), at)


def _moved(
    ledgers: Mapping[str, Ledger], currency: str, amount: Decimal, at: datetime, *, settled: bool = False
) -> Mapping[str, Ledger]:
    """A currency first met through a fill was not held before, so its account opens at zero; none before the first
    anchor, which will count the fill in."""
    if not ledgers:
        return ledgers
    ledger = ledgers.get(currency) or Ledger(ZERO, at)
    ledger = replace(ledger, flows=EXACT.add(ledger.flows, amount))
    if settled:
        ledger = replace(ledger, pending=ZERO, pending_since=None, sweeps=0)
    return {**ledgers, currency: ledger}


def _without(mapping: Mapping[ProductId, V], key: ProductId) -> Mapping[ProductId, V]:
    return {k: v for k, v in mapping.items() if k != key}
