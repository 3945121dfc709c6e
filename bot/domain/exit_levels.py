"""Where a position's exits lie, in price: the same numbers for exits, protective orders and the status page."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from bot.domain.money import EXACT, HUNDRED, Price
from bot.domain.position import Position
from bot.domain.value import Value


class ExitLevels(Value):
    """Prices at which a long position is to be sold; not rounded to ticks. None: that exit is off.

    stop, target: measured from the average fill price; trail: from the highest mark since opening. highest_stop: the
    one of stop and trail that a falling price meets first.
    """

    stop: Price | None
    target: Price | None
    trail: Price | None
    highest_stop: Price | None


@lru_cache(maxsize=256)
def exit_levels(position: Position) -> ExitLevels:
    """The levels of one position; all None when its entry price is unknown."""
    entry, asked = position.entry_price, position.exits
    if entry is None:
        return ExitLevels(None, None, None, None)
    high = entry if position.high_mark is None else max(entry, position.high_mark)
    stop = _moved(entry, asked.stop_loss_pct, Decimal(-1))
    trail = _moved(high, asked.trailing_stop_pct, Decimal(-1))
    return ExitLevels(
        stop=stop,
        target=_moved(entry, asked.take_profit_pct, Decimal(1)),
        trail=trail,
        highest_stop=max((price for price in (stop, trail) if price is not None), default=None),
    )


def _moved(price: Price, percent: Decimal | None, sign: Decimal) -> Price | None:
    if percent is None:
        return None
    factor = EXACT.divide(EXACT.add(HUNDRED, EXACT.multiply(sign, percent)), HUNDRED)
    return Price(EXACT.multiply(price.value, factor)) if factor > 0 else None
