"""Exact comparisons of bar integers with policy decimals, and the two numbers every trigger is graded by."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from bot.domain.bars import Windows
from bot.domain.money import ONE, ZERO, decimal_text, quantised

PLACES = 6
"""Decimals of scores and confidences."""


def at_least(part: int, whole: int, ratio: Decimal) -> bool:
    """part / whole >= ratio, for whole > 0, without division."""
    top, bottom = ratio.as_integer_ratio()
    return part * bottom >= top * whole


def more_than(part: int, whole: int, ratio: Decimal) -> bool:
    """part / whole > ratio, for whole > 0, without division."""
    top, bottom = ratio.as_integer_ratio()
    return part * bottom > top * whole


def times(part: int, whole: int, unit: Decimal) -> float:
    """part / whole in multiples of `unit`, rounded once, for whole > 0 and unit > 0."""
    top, bottom = unit.as_integer_ratio()
    return part * bottom / (whole * top)


_NONE, _FULL = quantised(ZERO, PLACES), quantised(ONE, PLACES)


def graded(value: float) -> Decimal:
    """A score or confidence: `value` cut to [0, 1], six decimals, half to even."""
    if value >= 1.0:
        return _FULL
    return Decimal(f"{value:.{PLACES}f}") if value > 0.0 else _NONE


def percent_text(part: int, whole: int) -> str:
    """part / whole in percent with two decimals, for people."""
    return f"{part * 100 / whole:.2f} %"


@lru_cache(maxsize=256)
def limit_text(limit: Decimal, unit: str = " %") -> str:
    """A limit of the policy, for people: the same few are told with every trigger."""
    return decimal_text(limit) + unit


@lru_cache(maxsize=1)
def volume_confirmation(windows: Windows) -> Decimal:
    """How much volume backs a move: V(60m) over the average hour of the last day, halved, cut to [0, 1].

    1 from twice the average hour on; 0 when the last day is not known or had no volume: unconfirmed.
    Several triggers ask it of the same bars, one right after the other.
    """
    bars = windows.granularity.bars_in
    hour, day = windows.volume_sum(bars(60)), windows.volume_sum(bars(1440))
    if hour is None or not day:
        return graded(0.0)
    return graded(hour * 24 / day / 2)


def one_sidedness(gains: int, losses: int) -> Decimal:
    """Net movement over all movement, in [0, 1]: 1 when every step went one way, 0 when nothing moved or it cancels.

    Source: the efficiency ratio of P. J. Kaufman, Smarter Trading (1995), taken over summed closes.
    """
    moved = gains + losses
    return graded(abs(gains - losses) / moved if moved else 0.0)
