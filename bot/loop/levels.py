"""Stops and targets between two cycles: which prices wake the loop, and which are crossed already."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bot.domain.fees import dust
from bot.domain.money import Price
from bot.domain.position import Position
from bot.domain.product import ProductId
from bot.domain.snapshot import Snapshot
from bot.domain.state import State
from bot.domain.value import Value


class Crossed(Value):
    """What the bids of a snapshot say of its positions.

    unconfirmed: one lies beyond a stop, and further quotes must confirm it.
    dust: those beyond whose stop or target it lies, and that are too small to be sold: nothing can come of looking.
    """

    unconfirmed: bool
    dust: Collection[Position]


def crossed(snapshot: Snapshot) -> Crossed:
    """The exit levels that the bid has reached."""
    unconfirmed, unsaleable = False, []
    for market, position in snapshot.state.positions.items():
        view, levels = snapshot.markets.get(market), position.exit_levels
        if view is None or view.quote is None:
            continue
        bid, target = view.quote.bid, levels.target
        stopped = levels.highest_stop is not None and bid <= levels.highest_stop
        if not stopped and (target is None or bid < target):
            continue
        if dust(view.product, position.size, bid):
            unsaleable.append(position)
        elif stopped and position.managed:
            unconfirmed = True
    return Crossed(unconfirmed, unsaleable)


def waking(state: State, left: Collection[Position]) -> Mapping[ProductId, tuple[Price | None, Price | None]]:
    """Stop and target of every managed position, for the bids that shall wake the loop. left: nothing wakes it for."""
    found = {}
    for market, position in state.positions.items():
        levels = position.exit_levels
        if position.managed and position not in left and (levels.highest_stop is not None or levels.target is not None):
            found[market] = (levels.highest_stop, levels.target)
    return found
