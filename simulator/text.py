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


def price_text(scale: Scale, ticks: int) -> str:
    return decimal_text(EXACT.multiply(Decimal(ticks), scale.tick))


def size_text(scale: Scale, lots: int) -> str:
    return decimal_text(EXACT.multiply(Decimal(lots), scale.lot))
