"""What is held and what of it may still be sold: books, balances and open sells together, the least wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from bot.domain.fees import dust
from bot.domain.money import EXACT, ZERO, Size, total
from bot.domain.order import PROTECTIVE, OrderReport
from bot.domain.position import Position
from bot.domain.product import BUY, SELL, ProductId, Side
from bot.domain.snapshot import Balance, MarketView, Snapshot
from bot.domain.state import Order, State


def view_of(snap: Snapshot, product: ProductId) -> MarketView | None:
    """The market on which `product` trades, whether it is named by its book or by its listing."""
    found = snap.markets.get(product)
    return found if found is not None else next((v for v in snap.markets.values() if v.product.id == product), None)


def sellable(snap: Snapshot, position: Position) -> Size:
    """Base of `position` that may be sold now: held by books and by venue, and not already on offer.

    Our protective sells do not count as an offer: whoever sells releases them first. Sells in an unknown state do.
    """
    return free_to_sell(snap.state, snap.balances.get(position.product.base), snap.external_orders, position)


def free_to_sell(state: State, balance: Balance | None, external: tuple[OrderReport, ...], position: Position) -> Size:
    """What `sellable` tells, by these books, this wallet and these orders of others."""
    base = position.product.base
    protective, exits = ZERO, ZERO
    for order in state.of_base.get(base, ()):
        if order.side is SELL and order.state.is_working:
            if order.kind is PROTECTIVE:
                protective = EXACT.add(protective, order.remaining.value)
            else:
                exits = EXACT.add(exits, order.remaining.value)
    held, hold = (ZERO, ZERO) if balance is None else (balance.total, balance.hold)
    foreign = _foreign_offers(external, base, held) if external else ZERO
    locked = max(hold, EXACT.add(EXACT.add(protective, exits), foreign))
    by_venue = EXACT.add(EXACT.subtract(held, locked), protective)
    by_books = EXACT.subtract(position.size.value, exits)
    return Size(max(ZERO, min(by_venue, by_books)))


def is_dust(snap: Snapshot, position: Position) -> bool:
    """Whether what is held is too little to be sold at the present bid; unknown (no price) is not dust."""
    view = view_of(snap, position.product)
    if not position.size.value:
        return True
    if view is None or view.quote is None:
        return False
    return dust(view.product, position.size, view.quote.bid)


def unprotected(snap: Snapshot, state: State) -> Mapping[ProductId, datetime]:
    """Markets in which something with a stop is held and no sale of ours rests or is under way; each with since when.

    state: the newest, after what this snapshot led to. An order that the venue never took protected nothing.
    """
    found = {}
    for market, position in state.positions.items():
        if not position.managed or is_dust(snap, position) or position.exit_levels.highest_stop is None:
            continue
        known = state.of_base.get(position.product.base, ())
        sales = [order for order in known if order.side is SELL and order.order_id]
        if not any(order.state.is_working for order in sales):
            found[market] = max([position.opened_at, *(order.changed_at for order in sales)])
    return found


def working_entry(orders: Iterable[Order], base: str) -> Order | None:
    """An entry order of ours for this base currency that the venue may still fill, unknown ones included."""
    return next((o for o in orders if o.side is BUY and o.state.is_working and o.product.base == base), None)


def _is_sell(side: Side, product: ProductId, base: str) -> bool:
    return side is SELL and product.base == base


def _foreign_offers(orders: tuple[OrderReport, ...], base: str, held: Decimal) -> Decimal:
    """Base that other people's working sells claim; a sell of unknown size claims everything."""
    claims = [
        report for report in orders if _is_sell(report.side, report.product, base) and not report.status.is_terminal
    ]
    return total([held if (left := report.remaining) is None else left.value for report in claims])
