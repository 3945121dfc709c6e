"""Positions: lots, cost, realised profit and loss; a pure fold over fills."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Final

from bot.domain.evolving import Evolving
from bot.domain.exit_levels import ExitLevels, exit_levels
from bot.domain.money import EXACT, ZERO, Money, Price, Size, quantised, total
from bot.domain.product import ProductId
from bot.domain.value import Value, cached_property, replace
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


class Lot(Value):
    """One purchase still (partly) held. cost: quote currency paid for `size`, fees included."""

    size: Size
    cost: Decimal
    at: datetime
    origin: Origin
    order_id: str = ""


class Exits(Value):
    """What the rule that opened a position asked for; None is off. Percentages are on the 0-100 scale."""

    stop_loss_pct: Decimal | None = None
    take_profit_pct: Decimal | None = None
    trailing_stop_pct: Decimal | None = None
    max_hold_minutes: int | None = None


class Position(Evolving):
    """What is held of one market's base currency.

    managed: True when the bot may sell it (it bought it, or `bot adopt` said so); unmanaged holdings only count.
    realised: quote profit of what was sold since the position opened, fees of both sides included.
    high_mark: highest mark since opening, for trailing stops.
    others: coins of the same market beside the bot's own (bought by hand, deposited): they count, and are never sold.
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
    others: tuple[Lot, ...] = ()

    @cached_property
    def size(self) -> Size:
        """Base of `lots`, without the coins of others."""
        if len(self.lots) == 1:
            return self.lots[0].size
        return Size(total(lot.size.value for lot in self.lots))

    @cached_property
    def whole(self) -> Size:
        """Base of everything the account holds of this market."""
        return self.size + Size(total(lot.size.value for lot in self.others)) if self.others else self.size

    @cached_property
    def whole_cost(self) -> Decimal:
        """What `whole` has cost."""
        return EXACT.add(self.cost, total(lot.cost for lot in self.others)) if self.others else self.cost

    @cached_property
    def cost(self) -> Decimal:
        return self.lots[0].cost if len(self.lots) == 1 else total(lot.cost for lot in self.lots)

    @property
    def average_price(self) -> Price | None:
        """Cost per unit, buy fees included; None when nothing is held or the cost is zero."""
        size, cost = self.size, self.cost
        return None if size.is_zero or cost <= ZERO else Price(EXACT.divide(cost, size.value))

    @property
    def entry_price(self) -> Price | None:
        """Average fill price without fees: what stops and targets are measured from."""
        size, cost = self.size, EXACT.subtract(self.cost, self.fees)
        return None if size.is_zero or cost <= ZERO else Price(EXACT.divide(cost, size.value))

    @cached_property
    def exit_levels(self) -> ExitLevels:
        """Where it is to be sold."""
        return exit_levels(self.entry_price, self.high_mark, self.exits)

    def unrealised(self, mark: Price) -> Money:
        """Value at `mark` less cost, in the product's quote currency."""
        value = EXACT.multiply(mark.value, self.size.value)
        return Money(EXACT.subtract(value, self.cost), self.product.quote)


def bought(position: Position, lot: Lot, fee: Decimal) -> Position:
    """The position after a purchase; `lot.cost` includes `fee`."""
    return position.changed(lots=(*position.lots, lot), fees=EXACT.add(position.fees, fee))


def sold(position: Position, size: Size, proceeds: Decimal, method: CostMethod) -> tuple[Position, Decimal]:
    """The position after selling `size` for `proceeds` (fee already taken off), and the realised profit in quote.

    Raises UnitError when more is sold than held.
    """
    held = position.size
    if size.is_zero:
        return position, ZERO
    if size > held:
        raise UnitError(f"{position.product}: cannot book a sale of {size}, only {held} held")
    taken = _average_cost(position, size) if method is CostMethod.AVERAGE else _fifo_cost(position, size)
    lots = _shrunk(position, size) if method is CostMethod.AVERAGE else _fifo_left(position, size)
    profit = EXACT.subtract(proceeds, taken)
    left = EXACT.subtract(held.value, size.value)
    fees = ZERO if not left else quantised(EXACT.divide(EXACT.multiply(position.fees, left), held.value), COST_PLACES)
    return position.changed(lots=lots, realised=EXACT.add(position.realised, profit), fees=fees), profit


class Sale(Value):
    """What a sale does to a position. profit: of what the books held, in quote.

    arrived, arrived_value: base and net proceeds of coins that had come from outside and were not on the books yet.
    short, short_value: base and net proceeds of what the books do not know at all.
    """

    after: Position | None
    profit: Decimal
    arrived: Size
    arrived_value: Decimal
    short: Size
    short_value: Decimal

    @property
    def nothing(self) -> bool:
        """Whether the books held none of it."""
        return self.after is None


def sale(
    position: Position | None, size: Size, proceeds: Decimal, method: CostMethod, *, foreign: bool, unexplained: Size
) -> Sale:
    """Sell `size` for `proceeds`, fee already taken off.

    An order of ours takes our coins first. Anybody else's takes the coins of others first, then what came from outside
    and is `unexplained` yet, and ours only when nothing else is left to be sold.
    """
    ours = position.size if position is not None and position.managed else Size.zero()
    if position is not None and not foreign and not size.is_zero and size <= ours:
        return Sale(*sold(position, size, proceeds, method), Size.zero(), ZERO, Size.zero(), ZERO)
    theirs = position.whole - ours if position is not None else Size.zero()
    if foreign:
        of_theirs = min(theirs, size)
        arrived = min(unexplained, size - of_theirs)
        of_ours = min(ours, size - of_theirs - arrived)
    else:
        of_ours, arrived = min(ours, size), Size.zero()
        of_theirs = min(theirs, size - of_ours)
    held = of_ours + of_theirs
    known, value = share(proceeds, held, size), share(proceeds, held + arrived, size)
    after, profit = (None, ZERO) if position is None or held.is_zero else _taken(
        position, of_ours, of_theirs, known, method
    )  # fmt: skip
    return Sale(
        after, profit, arrived, EXACT.subtract(value, known), size - held - arrived, EXACT.subtract(proceeds, value)
    )


def _taken(
    position: Position, of_ours: Size, of_theirs: Size, proceeds: Decimal, method: CostMethod
) -> tuple[Position, Decimal]:
    """The position without both parts, and the profit of the two."""
    if not position.managed:
        return sold(position, of_theirs, proceeds, method)
    earned = share(proceeds, of_ours, of_ours + of_theirs)
    mine, profit = sold(position, of_ours, earned, method)
    others, more = sold(_of_others(position), of_theirs, EXACT.subtract(proceeds, earned), method)
    return mine.changed(others=others.lots), EXACT.add(profit, more)


def share(amount: Decimal, part: Size, whole: Size) -> Decimal:
    """`part / whole` of an amount; all of it, to the last digit, for the whole."""
    if part == whole:
        return amount
    return quantised(EXACT.divide(EXACT.multiply(amount, part.value), whole.value), COST_PLACES)


def given_away(position: Position, size: Size, method: CostMethod) -> tuple[Position, Decimal]:
    """The position after `size` (at most the whole) left without a sale, others' coins first; and what it had cost."""
    gone = sale(position, size, ZERO, method, foreign=True, unexplained=Size.zero())
    after = position if gone.after is None else gone.after.changed(realised=position.realised)
    return after, EXACT.subtract(position.whole_cost, after.whole_cost)


def left_to_others(position: Position) -> Position | None:
    """What remains of a position whose own coins are gone: a holding nobody manages, or nothing."""
    if not position.others:
        return None
    return Position(
        position.product, position.others, position.others[0].at, managed=False, high_mark=position.high_mark
    )  # fmt: skip


def _of_others(position: Position) -> Position:
    return position.changed(lots=position.others, fees=ZERO, realised=ZERO, others=())


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
