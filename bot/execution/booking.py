"""Fills become book entries: each once, in base units, under the order and the market they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Final

from bot.domain.event import CursorMoved, FillBooked
from bot.domain.money import EXACT, ZERO, Size, quantised, total
from bot.domain.order import Fill, OrderReport
from bot.domain.position import COST_PLACES, sale
from bot.domain.product import BUY, SELL, ProductId
from bot.domain.state import State
from bot.domain.value import Value, replace
from bot.execution.unknown import blocked_bases

CURSOR_STEP: Final = timedelta(minutes=2)
"""How far the cursor falls behind before it is moved without a new fill: a quiet account writes little."""


class Sorted(Value):
    """New fills, oldest first, all with a base size; and those that cannot be told apart or sized yet.

    Of one instant purchases come first: a bracket that ends when it begins sells what was bought, at a profit or loss.
    """

    ready: tuple[Fill, ...]
    deferred: tuple[Fill, ...]


_NOTHING_NEW: Final = Sorted((), ())


def sort_fills(state: State, fills: Sequence[Fill], reports: Iterable[OrderReport]) -> Sorted:
    """Drop what is booked, size what came in quote, hold back what may belong to an order of unknown fate.

    reports: orders as the venue shows them now.
    """
    fresh = [f for f in fills if not state.has_fill(f.entry_id, f.order_id, f.trade_id, f.adjustment)]
    if not fresh:
        return _NOTHING_NEW
    shown = {report.order_id: report for report in reports}
    blocked = blocked_bases(state.orders.values())
    ready: list[Fill] = []
    deferred: list[Fill] = []
    for fill in _sized(_unique(fresh), shown):
        doubtful = (fill.product.base, fill.side) in blocked and not _is_known(fill, shown, state)
        (deferred if doubtful or fill.size is None else ready).append(fill)
    return Sorted(tuple(sorted(ready, key=lambda f: (f.at, f.side is SELL, f.entry_id))), tuple(deferred))


def booking(state: State, fill: Fill, market_of: Callable[[ProductId], ProductId]) -> FillBooked:
    """The entry for one sized fill. realised: what the sale earns against the position as it stands now.

    A sale of more than the books hold earns on what they hold; the fold keeps the rest until its purchase is booked.
    market_of: the book on which a listing trades.
    """
    owner = owner_of(state, fill.order_id)
    foreign, (cid, product) = owner is None, owner or ("", fill.product)
    size = fill.size if fill.size is not None else Size.zero()
    market = market_of(product)
    realised = _realised(state, fill, size, market, foreign=foreign)
    return FillBooked(
        fill.entry_id, fill.trade_id, fill.order_id, cid, product, fill.side, fill.price, size, fill.value, fill.fee,
        fill.at, fill.liquidity.value, foreign, realised, fill.adjustment, market,
    )  # fmt: skip


def owner_of(state: State, order_id: str) -> tuple[str, ProductId] | None:
    """Client id and product of our order with this id of the venue, though it be long over; None: not ours."""
    order = state.order_of(order_id)
    if order is not None:
        return order.client_order_id, order.product
    past = state.past_order(order_id) if order_id else None
    return None if past is None else (past[0], past[1].product)


def cursor_after(state: State, sorted_fills: Sorted, read_at: datetime, overlap: timedelta) -> CursorMoved | None:
    """Where the next read may begin: never beyond a fill that waits, nor backwards, nor for every quiet minute."""
    waiting = sorted_fills.deferred
    target = min([read_at, *(fill.at for fill in waiting)]) if waiting else read_at
    known = state.fill_cursor
    if known is not None and target <= known.at:
        return None
    due = known is None or bool(sorted_fills.ready) or target - known.at >= CURSOR_STEP
    return CursorMoved(target, overlap) if due else None


def _unique(fills: Sequence[Fill]) -> list[Fill]:
    """One row of each: pages and polls repeat rows, sometimes under another entry id."""
    if len(fills) == 1:
        return [*fills]
    seen: set[tuple[str, ...]] = set()
    kept = []
    for fill in fills:
        keys: set[tuple[str, ...]] = {("entry", fill.entry_id)}
        if fill.trade_id and not fill.adjustment:
            keys.add(("trade", fill.order_id, fill.trade_id))
        if not keys & seen:
            kept.append(fill)
        seen |= keys
    return kept


def _sized(fills: list[Fill], reports: Mapping[str, OrderReport]) -> list[Fill]:
    """Rows given in quote get their base from the order's filled size, once all its value is there to be split."""
    by_order: dict[str, list[Fill]] = {}
    for fill in fills:
        if fill.size is None:
            by_order.setdefault(fill.order_id, []).append(fill)
    if not by_order:
        return fills
    bases = {entry: base for rows in by_order.values() for entry, base in _split(rows, reports).items()}
    return [replace(fill, size=bases.get(fill.entry_id)) if fill.size is None else fill for fill in fills]


def _split(rows: Sequence[Fill], reports: Mapping[str, OrderReport]) -> dict[str, Size]:
    """Base of each row by its share of the value; the last takes the rest, so that the sum is the order's exactly."""
    report = reports.get(rows[0].order_id)
    value = total(row.value for row in rows)
    if report is None or report.filled.is_zero or abs(EXACT.subtract(value, report.filled_value)) > _unit(value):
        return {}
    bases: dict[str, Size] = {}
    left = report.filled.value
    for row in rows[:-1]:
        share = quantised(EXACT.divide(EXACT.multiply(report.filled.value, row.value), value), COST_PLACES, ROUND_DOWN)
        bases[row.entry_id] = Size(share)
        left = EXACT.subtract(left, share)
    bases[rows[-1].entry_id] = Size(max(ZERO, left))
    return bases


def _unit(value: Decimal) -> Decimal:
    """Rounding that the venue's sums may show: one millionth of the value."""
    return EXACT.divide(value, Decimal(1_000_000))


def _is_known(fill: Fill, reports: Mapping[str, OrderReport], state: State) -> bool:
    """Whether it is certain whose order it is of: ours, or somebody else's."""
    return (
        owner_of(state, fill.order_id) is not None
        or fill.order_id in state.foreign_orders
        or _is_foreign(fill, reports, state)
    )


def _is_foreign(fill: Fill, reports: Mapping[str, OrderReport], state: State) -> bool:
    """Certainly of no order of ours; a bracket's leg has an id of its own and is known by its parent alone."""
    report = reports.get(fill.order_id)
    return report is not None and report.client_order_id not in state.orders and not report.parent_id


def _realised(state: State, fill: Fill, size: Size, market: ProductId, *, foreign: bool) -> Decimal | None:
    position = state.positions.get(market)
    if fill.side is BUY or position is None or size.is_zero:
        return None
    proceeds = EXACT.subtract(fill.value, fill.fee)
    done = sale(
        position, size, proceeds, state.cost_method, foreign=foreign, unexplained=state.unexplained(market.base)
    )
    return None if done.nothing else done.profit
