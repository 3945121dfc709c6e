"""Positions: lots, cost, realised profit and loss; a pure fold over fills."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Final

from bot.domain.money import EXACT, ZERO, Money, Price, Size, quantised, total
from bot.domain.product import ProductId
from bot.errors import UnitError

COST_PLACES: Final = 16
"""Decimals kept when a cost is split; the remainder stays with what is still held, so nothing is lost."""


class CostMethod(Enum):
    AVERAGE = "average"
    FIFO = "fifo"


class Origin(Enum):
    """How a lot came to be held."""

    BOUGHT = "bought"  # by an order of this bot
    REBUILT = "rebuilt"  # from the venue's fills at a cold start
    ADOPTED = "adopted"  # found on the account; cost is the first mark seen
    DEPOSITED = "deposited"


@dataclass(frozen=True, slots=True)
class Lot:
    """One purchase still (partly) held. cost: quote currency paid for `size`, fees included."""

    size: Size
    cost: Decimal
    at: datetime
    origin: Origin
    order_id: str = ""


@dataclass(frozen=True, slots=True)
class Exits:
    """What the rule that opened a position asked for; None is off. Percentages are on the 0-100 scale."""

    stop_loss_pct: Decimal | None = None
    take_profit_pct: Decimal | None = None
    trailing_stop_pct: Decimal | None = None
    max_hold_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """What is held of one market's base currency.

    managed: True when the bot may sell it (it bought it, or `bot adopt` said so); unmanaged holdings only count.
    realised: quote profit of what was sold since the position opened, fees of both sides included.
    high_mark: highest mark since opening, for trailing stops.
    """

    product: ProductId
    lots: tuple[Lot, ...]
    opened_at: datetime
    realised: Decimal = ZERO
    fees: Decimal = ZERO
    managed: bool = True
    rule: str = ""
    exits: Exits = Exits()
    high_mark: Price | None = None

    @property
    def size(self) -> Size:
        return Size(total(lot.size.value for lot in self.lots))

    @property
    def cost(self) -> Decimal:
        return total(lot.cost for lot in self.lots)

    @property
    def average_price(self) -> Price | None:
        """Cost per unit, buy fees included; None when nothing is held or the cost is zero."""
        size, cost = self.size, self.cost
        return None if size.is_zero or cost <= 0 else Price(EXACT.divide(cost, size.value))

    @property
    def entry_price(self) -> Price | None:
        """Average fill price without fees: what stops and targets are measured from."""
        size, cost = self.size, EXACT.subtract(self.cost, self.fees)
        return None if size.is_zero or cost <= 0 else Price(EXACT.divide(cost, size.value))

    def unrealised(self, mark: Price) -> Money:
        """Value at `mark` less cost, in the product's quote currency."""
        value = EXACT.multiply(mark.value, self.size.value)
        return Money(EXACT.subtract(value, self.cost), self.product.quote)


def bought(position: Position, lot: Lot, fee: Decimal) -> Position:
    """The position after a purchase; `lot.cost` includes `fee`."""
    return replace(position, lots=(*position.lots, lot), fees=EXACT.add(position.fees, fee))


def sold(position: Position, size: Size, proceeds: Decimal, method: CostMethod) -> tuple[Position, Decimal]:
    """The position after selling `size` for `proceeds` (fee already taken off), and the realised profit in quote.

    Raises UnitError when more is sold than held.
    """
    held = position.size
    if size > held:
        raise UnitError(f"{position.product}: cannot book a sale of {size}, only {held} held")
    taken = _average_cost(position, size) if method is CostMethod.AVERAGE else _fifo_cost(position, size)
    lots = _shrunk(position, size) if method is CostMethod.AVERAGE else _fifo_left(position, size)
    profit = EXACT.subtract(proceeds, taken)
    left = EXACT.subtract(held.value, size.value)
    fees = ZERO if left == 0 else quantised(EXACT.divide(EXACT.multiply(position.fees, left), held.value), COST_PLACES)
    return replace(position, lots=lots, realised=EXACT.add(position.realised, profit), fees=fees), profit


def _average_cost(position: Position, size: Size) -> Decimal:
    held = position.size.value
    if size.value == held:
        return position.cost
    return quantised(EXACT.divide(EXACT.multiply(position.cost, size.value), held), COST_PLACES)


def _shrunk(position: Position, size: Size) -> tuple[Lot, ...]:
    """One lot that keeps the average cost: under the average method single purchases no longer matter."""
    left = EXACT.subtract(position.size.value, size.value)
    if left == 0:
        return ()
    cost = EXACT.subtract(position.cost, _average_cost(position, size))
    return (replace(position.lots[0], size=Size(left), cost=cost),)


def _fifo_cost(position: Position, size: Size) -> Decimal:
    left = total(lot.cost for lot in _fifo_left(position, size))
    return EXACT.subtract(position.cost, left)


def _fifo_left(position: Position, size: Size) -> tuple[Lot, ...]:
    to_take, kept = size.value, []
    for lot in position.lots:
        take = min(to_take, lot.size.value)
        to_take = EXACT.subtract(to_take, take)
        rest = EXACT.subtract(lot.size.value, take)
        if rest > 0:
            cost = quantised(EXACT.divide(EXACT.multiply(lot.cost, rest), lot.size.value), COST_PLACES)
            kept.append(replace(lot, size=Size(rest), cost=cost))
    return tuple(kept)
