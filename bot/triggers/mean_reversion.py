"""mean_reversion: the close lies unusually far below its own average, in a calm market, for a first-rate product."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import sqrt

from bot.domain.bars import Windows
from bot.domain.decision import Direction, Regime, Told, Trigger, TriggerKind
from bot.domain.value import Value
from bot.settings.triggers import MeanReversion
from bot.triggers.exact import graded, limit_text


class _Facts(Value):
    z: float
    limit: Decimal
    bars: int

    def told(self) -> Mapping[str, str]:
        return {"z": f"{self.z:.3f}", "limit": limit_text(self.limit, ""), "bars": str(self.bars)}


def lookbacks(params: MeanReversion) -> tuple[int, ...]:
    """Minutes looked back."""
    return (params.lookback_minutes, 60)


def fire(windows: Windows, params: MeanReversion, regime: Regime, tier: int | None) -> Trigger | None:
    """z = (c(t) - mean) / population standard deviation of the n closes of the lookback, bar t included.

    With S1, S2 the sums of those closes and of their squares: z = (n c - S1) / sqrt(n S2 - S1^2). Fires when
    z <= z_max, the product's tier is one of `tiers` and the regime one of `regimes`. Closes that never moved have no z.
    score: min(1, |z| / 3). confidence: share of the last hour's movement that was upward, for a price that still falls
    is no reversion. direction: up, towards the mean.
    """
    if tier not in params.tiers or regime not in params.regimes:
        return None
    bars = windows.granularity.bars_in(params.lookback_minutes)
    close, total = windows.close(), windows.close_sum(bars)
    if close is None or total is None:
        return None
    distance = bars * close - total
    if distance >= 0:  # z_max is below 0, so no close at or above its mean can meet it
        return None
    squares = windows.close_square_sum(bars)
    if squares is None:
        return None
    spread = bars * squares - total * total
    if not at_most(distance, spread, params.z_max):
        return None
    return _trigger(windows, params, distance / sqrt(spread), bars)


def _trigger(windows: Windows, params: MeanReversion, z: float, bars: int) -> Trigger | None:
    moves = windows.gains_and_losses(windows.granularity.bars_in(60))
    if moves is None:
        return None
    gains, moved = moves[0], sum(moves)
    return Trigger(
        windows.product,
        TriggerKind.MEAN_REVERSION,
        Direction.UP,
        graded(abs(z) / 3),
        graded(gains / moved if moved else 0.0),
        Told(_Facts(z, params.z_max, bars)),
    )


def at_most(distance: int, spread: int, z_max: Decimal) -> bool:
    """distance / sqrt(spread) <= z_max on integers; both sides are below 0, so their squares compare the other way."""
    top, bottom = z_max.as_integer_ratio()
    return (distance * bottom) ** 2 >= top**2 * spread
