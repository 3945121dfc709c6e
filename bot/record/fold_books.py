"""The fold's part for money: fills, positions, ledgers, transfers and the loss periods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from bot.domain.money import EXACT, ZERO, Price, Size
from bot.domain.position import Exits, Lot, Origin, Position, Sale, bought, given_away, left_to_others, sale, share
from bot.domain.product import BUY, ProductId
from bot.domain.state import FillCursor, Ledger, Oversold, Period, State, day_id, week_id
from bot.domain.value import replace
from bot.record.fold_orders import counted, pruned

V = TypeVar("V")


def fill_booked(state: State, fill: FillBooked, envelope: Envelope) -> State:
    """One fill, in whatever order fills arrive; a row that is booked already changes nothing.

    For every sequence of fills, exactly: proceeds of sales - cost of purchases
    = realised_total + proceeds still in `oversold` - cost of what is held (all with fees in).
    """
    if state.has_fill(fill.entry_id, fill.order_id, fill.trade_id, fill.adjustment):
        return state
    trade_id = "" if fill.adjustment else fill.trade_id
    state = state.changed(
        fill_ids={**state.fill_ids, fill.entry_id: (fill.order_id, trade_id, fill.at)},
        ledgers=_after_fill(state.ledgers, fill, envelope.ts),
        fees_total=EXACT.add(state.fees_total, fill.fee),
        orders=counted(state.orders, fill),
    )
    return _purchase(state, fill) if fill.side is BUY else _sale(state, fill)


def profit_of(state: State, fill: FillBooked) -> Decimal:
    """What booking `fill` would add to the realised profit, for the payload of the event itself."""
    if state.has_fill(fill.entry_id, fill.order_id, fill.trade_id, fill.adjustment):
        return ZERO
    after = _purchase(state, fill) if fill.side is BUY else _sale(state, fill)
    return EXACT.subtract(after.realised_total, state.realised_total)


def cursor_moved(state: State, event: CursorMoved, envelope: Envelope) -> State:
    state = pruned(state, envelope.ts)
    reach = event.at - event.overlap
    kept = {order.order_id for order in state.orders.values()}
    return state.changed(
        fill_cursor=FillCursor(event.at, event.overlap),
        fill_ids={key: row for key, row in state.fill_ids.items() if row[0] in kept or row[2] >= reach},
    )


def fills_known(state: State, event: FillsKnown, _: Envelope) -> State:
    return state.changed(fill_ids={**state.fill_ids, **event.rows})


def ledger_anchored(state: State, event: LedgerAnchored, envelope: Envelope) -> State:
    return state.changed(ledgers={**state.ledgers, event.currency: Ledger(event.amount, envelope.ts)})


def ledger_pending(state: State, event: LedgerPending, envelope: Envelope) -> State:
    """The clock of a difference starts again whenever the difference changes."""
    ledger = state.ledgers.get(event.currency)
    if ledger is None:
        return state
    same = event.amount == ledger.pending and ledger.pending_since is not None
    since = None if event.amount == 0 else ledger.pending_since if same else envelope.ts
    changed = replace(ledger, pending=event.amount, pending_since=since, sweeps=event.sweeps)
    return state.changed(ledgers={**state.ledgers, event.currency: changed})


def transfer_recognised(state: State, event: TransferRecognised, envelope: Envelope) -> State:
    """Money that came or went moves equity and every yardstick with it, and no profit or loss."""
    state = _coins_moved(state, event, envelope.ts)
    return state.changed(
        ledgers=_after_transfer(state.ledgers, event, envelope.ts),
        day=_transferred(state.day, event.value),
        week=_transferred(state.week, event.value),
        peak_equity=_peak_after(state.peak_equity, event),
        transfers_total=EXACT.add(state.transfers_total, event.value),
    )


def _coins_moved(state: State, event: TransferRecognised, at: datetime) -> State:
    """Coins that came are nobody's to trade, at the mark they came at; coins that went leave at what they had cost."""
    if event.market is None or event.amount == 0:
        return state
    if event.amount > 0:
        return _deposited(state, event.market, Size(event.amount), event.value, at)
    return _withdrawn(state, event.market, Size(-event.amount), -event.value)


def _deposited(state: State, market: ProductId, size: Size, value: Decimal, at: datetime) -> State:
    state, rest = _made_up(state, market, size, value, at, "", foreign=True)
    if rest.is_zero:
        return state
    lot = Lot(rest, share(value, rest, size), at, Origin.DEPOSITED)
    mark = Price(EXACT.divide(value, size.value))
    return _holding(state, _joined(state.positions.get(market), market, lot, ZERO, mark))


def _withdrawn(state: State, market: ProductId, size: Size, value: Decimal) -> State:
    """A profit not realised that leaves with its coins is none of this period: the opening figure moves with it."""
    held = state.positions.get(market)
    if held is None:
        return state
    gone = min(held.whole, size)
    after, cost = given_away(held, gone, state.cost_method)
    profit = EXACT.subtract(share(value, gone, size), cost)
    left, rest = (left_to_others(after) if after.size.is_zero else after), _without(state.positions, market)
    return state.changed(
        positions=rest if left is None else {**rest, market: left},
        day=_reopened(state.day, profit),
        week=_reopened(state.week, profit),
    )


def _reopened(period: Period | None, profit: Decimal) -> Period | None:
    """The period with an opening figure that has lost `profit`, so that its result stays what it was."""
    if period is None:
        return None
    return replace(period, start_unrealised=EXACT.subtract(period.start_unrealised, profit))


def position_adopted(state: State, event: PositionAdopted, _: Envelope) -> State:
    """The holding as it stands replaces what the books said of it."""
    market = event.position.product
    positions = {**_without(state.positions, market), market: event.position}
    kept = positions if not event.position.size.is_zero else _without(positions, market)
    owed, owed_by_others = _without(state.oversold, market), _without(state.oversold_by_others, market)
    return state.changed(positions=kept, oversold=owed, oversold_by_others=owed_by_others)


def position_marked(state: State, event: PositionMarked, _: Envelope) -> State:
    position = state.positions.get(event.product)
    if position is None or (position.high_mark is not None and position.high_mark >= event.high_mark):
        return state
    return _holding(state, position.changed(high_mark=event.high_mark))


def period_began(state: State, event: PeriodBegan, _: Envelope) -> State:
    return state.changed(week=event.period) if event.kind == "week" else state.changed(day=event.period)


def _purchase(state: State, fill: FillBooked) -> State:
    market, cost, rest = _market(fill), EXACT.add(fill.value, fill.fee), fill.size
    if _owed(state, market, foreign=fill.foreign) is not None:
        rule, _ = _wanted(state, fill)
        state, rest = _made_up(state, market, fill.size, cost, fill.at, rule, foreign=fill.foreign)
    if rest.is_zero:
        return state
    left, fee = share(cost, rest, fill.size), share(fill.fee, rest, fill.size)
    origin = Origin.ADOPTED if fill.foreign else Origin.BOUGHT
    lot = Lot(rest, left, fill.at, origin, fill.order_id)
    held = state.positions.get(market)
    if fill.foreign:
        return _holding(state, _joined(held, market, lot, fee, fill.price))
    if held is None or not held.managed:
        held = _opened(state, fill, () if held is None else held.lots)
    return _holding(state, bought(held, lot, fee))


def _made_up(
    state: State, market: ProductId, size: Size, cost: Decimal, at: datetime, rule: str, *, foreign: bool
) -> tuple[State, Size]:
    """What came goes first to sales that were booked before it; the state after that, and what is left of it."""
    owed = _owed(state, market, foreign=foreign)
    if owed is None or size.is_zero:
        return state, size
    covered = min(owed.size, size)
    proceeds = share(owed.proceeds, covered, owed.size)
    paid = EXACT.subtract(cost, share(cost, size - covered, size))
    left = Oversold(owed.size - covered, EXACT.subtract(owed.proceeds, proceeds))
    state = _owing(state, market, left, foreign=foreign)
    return _realised(state, EXACT.subtract(proceeds, paid), rule, at), size - covered


def _joined(held: Position | None, market: ProductId, lot: Lot, fee: Decimal, mark: Price) -> Position:
    """Coins that are not the bot's beside what is held; alone they are a holding nobody manages."""
    if held is None:
        held = Position(market, (), lot.at, managed=False, high_mark=mark)
    return held.changed(others=(*held.others, lot)) if held.managed else bought(held, lot, fee)


def _sale(state: State, fill: FillBooked) -> State:
    market, proceeds = _market(fill), EXACT.subtract(fill.value, fill.fee)
    position = state.positions.get(market)
    done = sale(
        position, fill.size, proceeds, state.cost_method,
        foreign=fill.foreign, unexplained=state.unexplained(market.base),
    )  # fmt: skip
    if position is not None and done.after is not None:
        state = _realised(state, done.profit, position.rule, fill.at)
        state = _closed(state, done.after) if done.after.size.is_zero else _holding(state, done.after)
    if not done.arrived.is_zero:
        state = _brought_in(state, market.base, done)
    if done.short.is_zero:
        return state
    owed = _owed(state, market, foreign=fill.foreign) or Oversold(Size.zero(), ZERO)
    more = Oversold(owed.size + done.short, EXACT.add(owed.proceeds, done.short_value))
    return _owing(state, market, more, foreign=fill.foreign)


def _brought_in(state: State, base: str, done: Sale) -> State:
    """Coins from outside were sold before they were classified: their worth is a transfer, not a profit."""
    peak, value, ledger = state.peak_equity, done.arrived_value, state.ledgers[base]
    explained = replace(
        ledger,
        flows=EXACT.add(ledger.flows, done.arrived.value),
        pending=EXACT.subtract(ledger.pending, done.arrived.value),
    )
    return state.changed(
        ledgers={**state.ledgers, base: explained},
        day=_transferred(state.day, value),
        week=_transferred(state.week, value),
        peak_equity=None if peak is None else EXACT.add(peak, value),
        transfers_total=EXACT.add(state.transfers_total, value),
    )


def _owed(state: State, market: ProductId, *, foreign: bool) -> Oversold | None:
    return (state.oversold_by_others if foreign else state.oversold).get(market)


def _market(fill: FillBooked) -> ProductId:
    return fill.market or fill.product


def _opened(state: State, fill: FillBooked, others: tuple[Lot, ...]) -> Position:
    """A position begun by a fill of ours, with what its intent asked for; `others` were there before."""
    rule, exits = _wanted(state, fill)
    return Position(
        product=_market(fill), lots=(), opened_at=fill.at, managed=True,
        rule=rule, exits=exits, high_mark=fill.price, others=others,
    )  # fmt: skip


def _wanted(state: State, fill: FillBooked) -> tuple[str, Exits]:
    """Rule and exits behind the order of a fill, though it be long over; none for somebody else's."""
    order = state.orders.get(fill.client_order_id)
    intent = state.intents.get(order.intent) if order is not None else None
    if intent is not None:
        return intent.rule, intent.exits
    past = state.past_orders.get(fill.client_order_id)
    return (past.rule, past.exits) if past is not None else ("", Exits())


def _closed(state: State, position: Position) -> State:
    """A position of the bot that closed at a loss lengthens the streak; one that closed at a profit ends it.

    Coins of others that lay beside it stay on the books.
    """
    streak = state.loss_streak
    if position.managed and position.realised != 0:
        streak = streak + 1 if position.realised < 0 else 0
    others, left = _without(state.positions, position.product), left_to_others(position)
    kept = others if left is None else {**others, position.product: left}
    return state.changed(positions=kept, loss_streak=streak)


def _holding(state: State, position: Position) -> State:
    return state.changed(positions={**state.positions, position.product: position})


def _owing(state: State, market: ProductId, owed: Oversold, *, foreign: bool) -> State:
    others = _without(state.oversold_by_others if foreign else state.oversold, market)
    now = others if owed.size.is_zero else {**others, market: owed}
    return state.changed(oversold_by_others=now) if foreign else state.changed(oversold=now)


def _realised(state: State, profit: Decimal, rule: str, at: datetime) -> State:
    by_rule = EXACT.add(state.rule_realised.get(rule, ZERO), profit)
    return state.changed(
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
    id_ = id_of(at)
    if id_ < period.id:
        return _reopened(period, profit)
    if id_ > period.id:
        return replace(period, later={**period.later, id_: EXACT.add(period.later.get(id_, ZERO), profit)})
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
    """Base and the paying wallet move; the product id says which wallet paid, USD or USDC. None before the first
    anchor, which will count the fill in."""
    if not ledgers:
        return ledgers
    base, quote, value = fill.product.base, fill.product.quote, fill.value
    came, paid = (fill.size.value, EXACT.minus(value)) if fill.side is BUY else (EXACT.minus(fill.size.value), value)
    moved = _ledger(ledgers, base, at).after(came)
    return {**ledgers, base: moved, quote: _ledger(ledgers, quote, at).after(EXACT.subtract(paid, fill.fee))}


def _after_transfer(ledgers: Mapping[str, Ledger], event: TransferRecognised, at: datetime) -> Mapping[str, Ledger]:
    """The difference is explained; none before the first anchor, which will count the transfer in."""
    if not ledgers:
        return ledgers
    moved = _ledger(ledgers, event.currency, at).after(event.amount)
    return {**ledgers, event.currency: replace(moved, pending=ZERO, pending_since=None, sweeps=0)}


def _ledger(ledgers: Mapping[str, Ledger], currency: str, at: datetime) -> Ledger:
    """A currency first met through a fill was not held before, so its account opens at zero."""
    return ledgers.get(currency) or Ledger(ZERO, at)


def _without(mapping: Mapping[ProductId, V], key: ProductId) -> Mapping[ProductId, V]:
    return {k: v for k, v in mapping.items() if k != key}
