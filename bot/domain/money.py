"""Money, Price, Size and Percent: decimals that know their unit and cannot hold nonsense."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import (
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)
from typing import Final, Self

from bot.domain.value import Value, cached_property
from bot.errors import UnitError

EXACT: Final = Context(prec=64, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""Arithmetic wide enough that products of prices, sizes and fee rates are exact; immutable by convention."""

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
TWO: Final = Decimal(2)
HUNDRED: Final = Decimal(100)
BASIS_POINTS: Final = Decimal(10_000)

_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]{1,24}(?:\.[0-9]{1,24})?", re.ASCII)


def parse_decimal(text: object, what: str) -> Decimal:
    """The one way a number enters from outside: plain fixed-point ASCII text, at most 24 digits on either side.

    Refuses what `Decimal()` takes and a venue never means: NaN, Infinity, exponents, underscores, full-width digits.

    Raises: UnitError naming `what` and the value found.
    """
    if isinstance(text, Decimal):
        text = decimal_text(text) if text.is_finite() else str(text)
    if not isinstance(text, str) or _PLAIN_NUMBER.fullmatch(text) is None:
        raise UnitError(f"{what} must be a plain decimal number, was {str(text)[:40]!r}")
    return Decimal(text)


def decimal_text(value: Decimal) -> str:
    """Fixed-point text without exponent and without trailing zeros: what goes on the wire and into files."""
    if not value.is_finite():
        raise UnitError(f"only finite numbers can be written, was {value!r}")
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Largest multiple of `step` that is <= value; `step` may be any positive decimal, such as 0.25 or 5."""
    whole = EXACT.multiply(EXACT.divide_int(value, step), step)  # towards zero
    return whole if whole <= value else EXACT.subtract(whole, step)


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Smallest multiple of `step` that is >= value."""
    whole = EXACT.multiply(EXACT.divide_int(value, step), step)
    return whole if whole >= value else EXACT.add(whole, step)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Whether `value` is a whole number of `step`s."""
    return not EXACT.remainder(value, step)


_UNITS: Final = tuple(Decimal(1).scaleb(-places) for places in range(32))
"""10^-n, for rounding to n decimals."""


def quantised(value: Decimal, places: int, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """`value` rounded to `places` decimals."""
    return value.quantize(_UNITS[places], rounding, EXACT)


def total(values: Iterable[Decimal]) -> Decimal:
    """Exact sum of decimals."""
    result, add = ZERO, EXACT.add
    for value in values:
        result = add(result, value)
    return result


class Price(Value, order=True):
    """Quote currency for one unit of base; positive and finite. Comparing it with another unit is a TypeError."""

    value: Decimal

    def __post_init__(self) -> None:
        value = self.value
        if not (value.__class__ is Decimal and value.is_finite() and value > ZERO):
            raise UnitError(f"price must be a positive Decimal, was {self.value!r}")

    def __str__(self) -> str:
        return decimal_text(self.value)

    def shifted(self, bps: Decimal) -> Price:
        """This price moved by `bps` basis points (negative moves down); not rounded to a tick."""
        return Price(EXACT.multiply(self.value, EXACT.add(ONE, EXACT.divide(bps, BASIS_POINTS))))

    def distance_bps(self, other: Price) -> Decimal:
        """How far `other` lies from this price, in basis points of this price; negative when below."""
        return EXACT.divide(EXACT.multiply(EXACT.subtract(other.value, self.value), BASIS_POINTS), self.value)


class Size(Value, order=True):
    """An amount of base currency; finite and never negative. Comparing it with another unit is a TypeError."""

    value: Decimal

    def __post_init__(self) -> None:
        value = self.value
        if not (value.__class__ is Decimal and value.is_finite() and value >= ZERO):
            raise UnitError(f"size must be a Decimal >= 0, was {self.value!r}")

    def __str__(self) -> str:
        return decimal_text(self.value)

    def __add__(self, other: Size) -> Size:
        return Size(EXACT.add(self.value, other.value))

    def __sub__(self, other: Size) -> Size:
        return Size(EXACT.subtract(self.value, other.value))

    @property
    def is_zero(self) -> bool:
        return not self.value

    @staticmethod
    def zero() -> Size:
        return _NOTHING


_NOTHING: Final = Size(ZERO)


class Money(Value):
    """An amount of one currency; USD and USDC are two. May be negative (a loss, a debt)."""

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        if not (self.amount.__class__ is Decimal and self.amount.is_finite()):
            raise UnitError(f"money must be a finite Decimal, was {self.amount!r}")

    def __str__(self) -> str:
        return f"{decimal_text(self.amount)} {self.currency}"

    def __add__(self, other: Money) -> Money:
        return Money(EXACT.add(self.amount, self._same(other)), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(EXACT.subtract(self.amount, self._same(other)), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.amount, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other)

    def times(self, factor: Decimal) -> Money:
        """This money scaled by a pure number."""
        return Money(EXACT.multiply(self.amount, factor), self.currency)

    def over(self, other: Money) -> Decimal:
        """Ratio of two amounts of one currency. Raises UnitError when `other` is zero."""
        if self._same(other) == 0:
            raise UnitError(f"cannot divide {self} by zero {other.currency}")
        return EXACT.divide(self.amount, other.amount)

    def rounded_down(self, places: int = 2) -> Money:
        """Towards zero to `places` decimals; a budget rounded down never buys more than was allowed."""
        return Money(quantised(self.amount, places, ROUND_DOWN), self.currency)

    @property
    def is_positive(self) -> bool:
        return self.amount > ZERO

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(ZERO, currency)

    def _same(self, other: Money) -> Decimal:
        if other.currency != self.currency:
            raise UnitError(f"cannot mix {self.currency} with {other.currency}")
        return other.amount


class Percent(Value, order=True, dict=True):
    """A percentage on the 0-100 scale of the policy files; `of` is the way to use one."""

    value: Decimal

    def __post_init__(self) -> None:
        if not (isinstance(self.value, Decimal) and self.value.is_finite()):
            raise UnitError(f"percent must be a finite Decimal, was {self.value!r}")

    def __str__(self) -> str:
        return f"{decimal_text(self.value)} %"

    @cached_property
    def fraction(self) -> Decimal:
        return EXACT.divide(self.value, HUNDRED)

    def of(self, money: Money) -> Money:
        """This share of `money`."""
        return money.times(self.fraction)

    @classmethod
    def ratio(cls, part: Money, whole: Money) -> Self:
        """`part` as a percentage of `whole`. Raises UnitError when `whole` is zero."""
        return cls(EXACT.multiply(part.over(whole), HUNDRED))
