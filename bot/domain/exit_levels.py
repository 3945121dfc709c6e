"""Where a position's exits lie, in price: the same numbers for exits, protective orders and the status page."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from bot.domain.money import EXACT, HUNDRED, Price
from bot.domain.value import Value

if TYPE_CHECKING:
    from bot.domain.position import Exits  # a position remembers its levels


class ExitLevels(Value):
    """Prices at which a long position is to be sold; not rounded to ticks. None: that exit is off.

    stop, target: measured from the average fill price; trail: from the highest mark since opening. highest_stop: the
    one of stop and trail that a falling price meets first.
    """

    stop: Price | None
    target: Price | None
    trail: Price | None
    highest_stop: Price | None


def exit_levels(entry: Price | None, high_mark: Price | None, asked: Exits) -> ExitLevels:
    """The levels of what was bought at `entry`, fees apart; all None when that is unknown."""
    if entry is None:
        return ExitLevels(None, None, None, None)
    high = entry if high_mark is None else max(entry, high_mark)
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
