"""momentum: up over a day, most of its hours up, and the trend through them rising."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.bars import Windows
from bot.domain.decision import Direction, Told, Trigger, TriggerKind
from bot.domain.value import Value
from bot.settings.triggers import Momentum
from bot.triggers.exact import at_least, graded, limit_text, one_sidedness, percent_text, times

_HOURS = 24


class _Facts(Value):
    change: int
    start: int
    limit: Decimal
    up_hours: int
    rising: bool

    def told(self) -> Mapping[str, str]:
        return {
            "r_24h": f"{percent_text(self.change, self.start)} (limit {limit_text(self.limit)})",
            "up_hours": f"{self.up_hours} of {_HOURS}",
            "trend": "rising" if self.rising else "not rising",
        }


def lookbacks(_params: Momentum) -> tuple[int, ...]:
    """Minutes looked back."""
    return (60, 1440)


def fire(windows: Windows, params: Momentum) -> Trigger | None:
    """r(24h) = c(t) / c(t - 24h) - 1 in percent; an up hour closes higher than the hour before did.

    Fires when r(24h) >= threshold_pct, up hours / 24 >= consistency and, with trend_filter, the least-squares slope
    through the 25 hourly closes from t - 24h to t is positive.
    score: share of up hours x min(1, r / (2 x threshold)). confidence: `one_sidedness` of the 24 hourly steps.
    direction: up.
    """
    hour, day = windows.granularity.bars_in(60), windows.granularity.bars_in(1440)
    start, close = windows.close(day), windows.close()
    if start is None or close is None or not at_least((close - start) * 100, start, params.threshold_pct):
        return None
    up_hours = windows.rises(_HOURS, hour)
    if up_hours is None or not at_least(up_hours, _HOURS, params.consistency):
        return None
    slope = windows.slope_sum(_HOURS + 1, hour)
    if slope is None or (params.trend_filter and slope <= 0):
        return None
    moved = windows.gains_and_losses(_HOURS, hour)
    if moved is None:
        return None
    return Trigger(
        windows.product,
        TriggerKind.MOMENTUM,
        Direction.UP,
        graded(up_hours / _HOURS * min(1.0, times((close - start) * 100, start, params.threshold_pct) / 2)),
        one_sidedness(*moved),
        Told(_Facts(close - start, start, params.threshold_pct, up_hours, slope > 0)),
    )
