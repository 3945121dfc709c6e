"""How the venue writes numbers, times and JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from bot.domain.bars import Scale
from bot.domain.money import EXACT, decimal_text

UNSET_TIME: Final = "0001-01-01T00:00:00Z"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def dumps(data: Any) -> bytes:
    """Compact JSON. Money is text by then; a float that is no number is refused."""
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def at_us(when: datetime) -> int:
    """Unix microseconds, exactly."""
    return (when - _EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """The aware UTC time of unix microseconds."""
    return _EPOCH + us * _MICROSECOND


def rfc3339(when: datetime) -> str:
    """Microseconds and `Z`, trailing zeros cut as the venue cuts them."""
    text = when.strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def go_time(us: int, uptime_us: int) -> str:
    """Go's own time format with its monotonic reading: what a real heartbeat carries."""
    stamp = moment(us).strftime("%Y-%m-%d %H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{stamp} +0000 UTC m=+{uptime_us // 1_000_000}.{uptime_us % 1_000_000:06d}001"


def parse_rfc3339(text: str) -> datetime:
    """An RFC 3339 time with `Z` or an offset and up to nine digits of fraction. Raises ValueError."""
    whole, dot, rest = text.partition(".")
    if dot:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        zone = rest[len(digits) :]
        text = f"{whole}.{digits[:6].ljust(6, '0')}{zone}"
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError(f"time without a zone: {text}")
    return parsed.astimezone(UTC)


def number(value: Decimal) -> int | float:
    """One of the few amounts that are JSON numbers on this API."""
    return int(value) if value == value.to_integral_value() else float(value)


class Texts(dict[int, str]):
    """Texts of whole counts of one step, remembered: a level's price comes back thousands of times.

    A mapping, because looking one up is what a busy feed does most.
    """

    def __init__(self, step: Decimal, remember: int = 100_000) -> None:
        super().__init__()
        self._step = step
        self._places = _places(step)
        self._remember = remember

    def __missing__(self, count: int) -> str:
        """`count` steps as plain decimal text; `count` is not negative."""
        if len(self) >= self._remember:
            self.clear()
        text = self[count] = self._written(count)
        return text

    def _written(self, count: int) -> str:
        places = self._places
        if places is None:
            return decimal_text(EXACT.multiply(Decimal(count), self._step))
        if places == 0:
            return str(count)
        digits = str(count).rjust(places + 1, "0")
        return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


class Numbers:
    """Texts of one listing's prices, given in ticks, and sizes, given in lots."""

    def __init__(self, scale: Scale) -> None:
        self.price = Texts(scale.tick).__getitem__
        self.size = Texts(scale.lot).__getitem__


def _places(step: Decimal) -> int | None:
    """How many decimals a step of 1, 0.1, 0.01, ... has; None for any other step."""
    exponent = step.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent > 0 or step != Decimal(1).scaleb(exponent):
        return None
    return -exponent
