"""Reading fields out of an answer, strictly: what is missing, malformed or contradictory is named, never defaulted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from bot.domain.money import Price, Size, parse_decimal
from bot.domain.product import ProductId, Side
from bot.errors import CriticalDataUnavailable, UnitError

_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SHOWN: Final = 60

_EXPONENT: Final = re.compile(r"-?[0-9]{1,24}(?:\.[0-9]{1,24})?[eE][+-]?[0-9]{1,2}", re.ASCII)
"""`1E-8` and `0E-8`: how some writers of decimals put the very same numbers."""

PLAIN_AMOUNT: Final = re.compile(r"[0-9]{1,24}(?:\.[0-9]{1,24})?", re.ASCII)
"""What every number is that is not negative and written as this wire writes it."""


class Fields:
    """One JSON object of an answer. `what` names it in errors.

    Raises (every method): CriticalDataUnavailable naming object, field and what was found.
    """

    __slots__ = ("_data", "what")

    def __init__(self, data: object, what: str) -> None:
        if not isinstance(data, dict):
            raise CriticalDataUnavailable(what, f"must be an object, was {_shown(data)}")
        self._data: Mapping[str, Any] = data
        self.what = what

    def bad(self, name: str, why: str) -> CriticalDataUnavailable:
        return CriticalDataUnavailable(self.what, f"field {name!r} {why}")

    def raw(self, name: str) -> Any:
        """The value, None when absent or null."""
        return self._data.get(name)

    def has(self, name: str) -> bool:
        """Whether the field says anything: present, not null, not the empty text."""
        return self._data.get(name) not in (None, "")

    def text(self, name: str) -> str:
        """Non-empty text."""
        found = self._data.get(name)
        if not isinstance(found, str) or not found:
            raise self.bad(name, f"must be non-empty text, was {_shown(found)}")
        return found

    def text_or(self, name: str, default: str = "") -> str:
        """Text, or `default` when unset."""
        return self.text(name) if self.has(name) else default

    def flag(self, name: str) -> bool:
        found = self._data.get(name)
        if not isinstance(found, bool):
            raise self.bad(name, f"must be true or false, was {_shown(found)}")
        return found

    def flag_or(self, name: str, default: bool = False) -> bool:
        """A flag, or `default` when absent or null."""
        return default if self._data.get(name) is None else self.flag(name)

    def integer(self, name: str) -> int:
        """A whole number, as a JSON integer or as text of digits."""
        found = self._data.get(name)
        if isinstance(found, int) and not isinstance(found, bool):
            return found
        if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= 18:
            return int(found)
        raise self.bad(name, f"must be a whole number, was {_shown(found)}")

    def decimal(self, name: str) -> Decimal:
        """A decimal number, as text or as a JSON number; an exponent is written out."""
        found = self._data.get(name)
        if isinstance(found, bool):
            raise self.bad(name, f"must be a number, was {_shown(found)}")
        if isinstance(found, int) or (isinstance(found, str) and _EXPONENT.fullmatch(found) is not None):
            found = Decimal(found)
        try:
            return parse_decimal(found, name)
        except UnitError as error:
            raise CriticalDataUnavailable(self.what, str(error)) from error

    def amount(self, name: str) -> Decimal:
        """A number that cannot be negative."""
        value = self.decimal(name)
        if value < 0:
            raise self.bad(name, f"must not be negative, was {value}")
        return value

    def amount_or_none(self, name: str) -> Decimal | None:
        return self.amount(name) if self.has(name) else None

    def amount_or_zero(self, name: str) -> Decimal:
        """Only for fields whose absence means zero by the wire's own rules."""
        return self.amount(name) if self.has(name) else Decimal(0)

    def price(self, name: str) -> Price:
        value = self.decimal(name)
        if value <= 0:
            raise self.bad(name, f"must be a positive price, was {value}")
        return Price(value)

    def price_or_none(self, name: str) -> Price | None:
        """A price; None when unset or `0`, which this wire writes for "none"."""
        value = self.amount_or_none(name)
        return Price(value) if value else None

    def size(self, name: str) -> Size:
        return Size(self.amount(name))

    def time(self, name: str) -> datetime:
        try:
            return parse_rfc3339(self.text(name))
        except UnitError as error:
            raise self.bad(name, str(error)) from error

    def time_or_none(self, name: str) -> datetime | None:
        """A time; None when unset or one of the wire's zero times."""
        if not self.has(name) or self.text(name)[:5] in {"0001-", "1970-"}:
            return None
        return self.time(name)

    def product(self, name: str = "product_id") -> ProductId:
        try:
            return ProductId(self.text(name))
        except UnitError as error:
            raise self.bad(name, str(error)) from error

    def side(self, name: str = "side") -> Side:
        found = self.text(name)
        if found not in Side.__members__:
            raise self.bad(name, f"must be BUY or SELL, was {_shown(found)}")
        return Side[found]

    def object(self, name: str) -> Fields:
        return Fields(self._data.get(name), f"{self.what}.{name}")

    def object_or_none(self, name: str) -> Fields | None:
        return None if self._data.get(name) is None else self.object(name)

    def rows(self, name: str) -> Iterator[Fields]:
        """Every object of a list that must be there."""
        for index, row in enumerate(self.listed(name)):
            yield Fields(row, f"{self.what}.{name}[{index}]")

    def listed(self, name: str) -> list[Any]:
        """A list that must be there, its items as they are."""
        found = self._data.get(name)
        if not isinstance(found, list):
            raise self.bad(name, f"must be a list, was {_shown(found)}")
        return found

    def keys(self) -> tuple[str, ...]:
        return tuple(self._data)


def parse_rfc3339(text: str) -> datetime:
    """An aware UTC time; digits beyond the microsecond are cut. Raises UnitError."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise UnitError(f"is no RFC 3339 time: {text[:_SHOWN]!r}")
    date, clock, fraction, zone = match.groups()
    micros = int((fraction or "0").ljust(6, "0")[:6])
    try:
        whole = datetime.fromisoformat(f"{date}T{clock}{'+00:00' if zone == 'Z' else zone}")
        return (whole + timedelta(microseconds=micros)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnitError(f"is no time: {text[:_SHOWN]!r}") from error


def _shown(found: object) -> str:
    return "missing" if found is None else repr(found)[:_SHOWN]
