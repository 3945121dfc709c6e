"""breakout: the price closed at or above everything seen in the lookback."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.bars import Scale, Windows
from bot.domain.decision import Direction, Told, Trigger, TriggerKind
from bot.domain.value import Value
from bot.settings.triggers import Breakout
from bot.triggers.exact import graded, percent_text, times, volume_confirmation


class _Facts(Value):
    close: int
    ceiling: int
    scale: Scale

    def told(self) -> Mapping[str, str]:
        return {
            "close": str(self.scale.price(self.close)),
            "highest_before": str(self.scale.price(self.ceiling)),
            "excess": percent_text(self.close - self.ceiling, self.ceiling),
        }


def lookbacks(params: Breakout) -> tuple[int, ...]:
    """Minutes looked back, the volume that confirms included."""
    return (params.lookback_minutes, 60, 1440)


def fire(windows: Windows, params: Breakout) -> Trigger | None:
    """Fires when c(t) >= the highest high of the lookback_minutes before bar t (bar t itself excluded).

    score: min(1, excess / breakout_full_score_pct), excess = c(t) / that high - 1 in percent: 0 at the high itself.
    confidence: `volume_confirmation`. direction: up.
    """
    ceiling = windows.highest_before(windows.granularity.bars_in(params.lookback_minutes))
    close = windows.close()
    if ceiling is None or close is None or close < ceiling:
        return None
    return Trigger(
        windows.product,
        TriggerKind.BREAKOUT,
        Direction.UP,
        graded(times((close - ceiling) * 100, ceiling, params.breakout_full_score_pct)),
        volume_confirmation(windows),
        Told(_Facts(close, ceiling, windows.scale)),
    )
