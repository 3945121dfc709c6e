"""Durations of the policy (Decimal) as the float seconds that sockets and locks want."""

from __future__ import annotations

from decimal import Decimal

_MICROS = 1_000_000


def seconds(value: Decimal) -> float:
    """To the microsecond."""
    return int(value * _MICROS) / _MICROS
