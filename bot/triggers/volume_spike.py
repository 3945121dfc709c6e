"""volume_spike: the last hour traded a multiple of the average hour of the last day."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.bars import Windows
from bot.domain.decision import Direction, Told, Trigger, TriggerKind
from bot.domain.value import Value
from bot.settings.triggers import VolumeSpike
from bot.triggers.exact import at_least, graded, limit_text, one_sidedness, times

_HOURS = 24


class _Facts(Value):
    ratio: float
    limit: Decimal

    def told(self) -> Mapping[str, str]:
        return {"ratio": f"{self.ratio:.2f}", "limit": limit_text(self.limit, "")}


def lookbacks(_params: VolumeSpike) -> tuple[int, ...]:
    """Minutes looked back."""
    return (60, 1440)


def fire(windows: Windows, params: VolumeSpike) -> Trigger | None:
    """V(m) = base volume of the last m minutes; fires when V(60m) / (V(24h) / 24) >= ratio_1h_vs_24h.

    A day without any volume has no ratio and does not fire.
    direction: down when the close is below that of 60 minutes ago, else up.
    score: min(1, ratio / (2 x threshold)). confidence: `one_sidedness` of the last hour's bars, for a burst that moved
    the price one way says more than one that churned.
    """
    bars = windows.granularity.bars_in
    day = windows.volume_sum(bars(1440))
    if not day:
        return None
    hour = windows.volume_sum(bars(60))
    if hour is None or not at_least(hour * _HOURS, day, params.ratio_1h_vs_24h):
        return None
    moved = windows.gains_and_losses(bars(60))
    if moved is None:
        return None
    gains, losses = moved
    return Trigger(
        windows.product,
        TriggerKind.VOLUME_SPIKE,
        Direction.DOWN if gains < losses else Direction.UP,
        graded(times(hour * _HOURS, day, params.ratio_1h_vs_24h) / 2),
        one_sidedness(gains, losses),
        Told(_Facts(hour * _HOURS / day, params.ratio_1h_vs_24h)),
    )
