"""What one side of parity did, in the numbers it can be held to: orders with their fills, entries, exits."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.money import EXACT, total
from bot.domain.order import Liquidity
from bot.domain.product import Product, ProductId
from bot.domain.value import Value

LEVELS: Final = frozenset({"stop_loss", "trailing_stop", "take_profit"})
"""Exits at a price, which follows the price that was paid."""


class Told(Value):
    """One difference, with the numbers it comes from. explained: whether those account for it."""

    text: str
    explained: bool = True


class Part(Value):
    """One fill. traded: when it matched; booked: when the venue booked it. fee in quote currency."""

    price: Decimal
    size: Decimal
    fee: Decimal
    liquidity: Liquidity
    traded: datetime
    booked: datetime

    @property
    def value(self) -> Decimal:
        return EXACT.multiply(self.price, self.size)


class Sent(Value):
    """One order as the venue kept it. limit: at which it worked; stop: by which it triggered, None when it did not.

    rests: what did not match at once stayed on the book. ended: None while it works. volume: what the account had
    traded, in quote currency, in the 30 days before the full hour in which the order was made.
    """

    at: datetime
    ended: datetime | None
    size: Decimal
    limit: Decimal | None
    stop: Decimal | None
    rests: bool
    volume: Decimal
    parts: tuple[Part, ...]

    @property
    def filled(self) -> Decimal:
        return total(part.size for part in self.parts)


class Filled(Value):
    """How something traded. orders: all that were sent for it, oldest first; of an exit those that sold.

    since: from when its delay counts; None where an order only waited for its price.
    """

    asked: Decimal
    orders: tuple[Sent, ...]
    since: datetime | None

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(part for order in self.orders for part in order.parts)

    @property
    def size(self) -> Decimal:
        return total(part.size for part in self.parts)

    @property
    def fee(self) -> Decimal:
        return total(part.fee for part in self.parts)

    @property
    def price(self) -> Decimal | None:
        """Average without fees; None when nothing filled."""
        return EXACT.divide(self._value, self.size) if self.parts else None

    @property
    def rate(self) -> Decimal | None:
        """Fee over value."""
        return EXACT.divide(self.fee, self._value) if self.parts else None

    @property
    def liquidity(self) -> str:
        """As the venue says, "MAKER, TAKER" when both."""
        return ", ".join(sorted({part.liquidity.value for part in self.parts})) or Liquidity.UNKNOWN.value

    @property
    def wait(self) -> timedelta | None:
        """To the first fill."""
        if self.since is None or not self.parts:
            return None
        return min(part.booked for part in self.parts) - self.since

    @property
    def whole(self) -> bool:
        return self.size >= self.asked

    @property
    def _value(self) -> Decimal:
        return total(part.value for part in self.parts)


class Basis(Value):
    """What an approved entry was sized from. equity: as the bot knew it, None when unknown. limit: the worst price
    allowed, at which it was sized; bid, ask: the quote that comes from. product: with its increments.

    clamped: the limits that made it smaller. ahead: most that entries approved before it in its cycle may cost.
    depth: base on offer within the limit.
    """

    at: datetime
    equity: Decimal | None
    limit: Decimal
    bid: Decimal
    ask: Decimal
    product: Product
    clamped: tuple[str, ...]
    ahead: Decimal
    depth: Decimal


class Entry(Value):
    """One intent to buy. bar: index of the bar whose close it was decided at. attempts: quotes sent for it.

    basis: None when no cycle is known to have approved it.
    """

    bar: int
    product: ProductId
    rule: str
    attempts: int
    filled: Filled
    basis: Basis | None


class Exit(Value):
    """The end of a round trip. opened: bar of its first purchase; entry: average price paid.

    begun, ended: between these its sales traded: in a backtest the opening and the close of the bars they fell into.
    """

    opened: int
    begun: datetime
    ended: datetime
    product: ProductId
    rule: str
    reason: str
    entry: Decimal
    filled: Filled
