"""Exact decimal arithmetic under short names: every sum and product of the venue goes through the EXACT context."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Final

from bot.domain.money import EXACT, ceil_to, floor_to, quantised

add: Final = EXACT.add
sub: Final = EXACT.subtract
minus: Final = EXACT.minus
mul: Final = EXACT.multiply
div: Final = EXACT.divide

SIZE_PLACES: Final = 15
"""Decimals Coinbase books for the base of a quote-sized order, as in the recorded filled size 0.000297920684505."""


def cut(size: Decimal) -> Decimal:
    """A computed base size, cut to the decimals the venue books."""
    return quantised(size, SIZE_PLACES, ROUND_DOWN)


worse_buy: Final = ceil_to
"""The price a buyer pays once it must be a whole tick: up."""


def worse_sell(price: Decimal, step: Decimal) -> Decimal:
    """The price a seller gets once `price` must be a whole tick: down, but never below one tick."""
    return max(floor_to(price, step), step)
