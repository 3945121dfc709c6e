"""reversal: fell, turned at a low, and came back far enough, with signs that it means it."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.bars import Scale, Windows
from bot.domain.decision import Direction, Told, Trigger, TriggerKind
from bot.domain.value import Value
from bot.settings.triggers import Reversal
from bot.triggers.exact import at_least, graded, limit_text, percent_text, times


class _Facts(Value):
    """low_ago: bars since the low; confirmed_by: what confirms the turn, as `signs_of` names it."""

    start: int
    low: int
    low_ago: int | None
    close: int
    scale: Scale
    params: Reversal
    confirmed_by: tuple[str, ...]

    def told(self) -> Mapping[str, str]:
        low, start, params = self.low, self.start, self.params
        return {
            "low": f"{self.scale.price(low)}, {self.low_ago} bars ago",
            "drop": f"{percent_text(start - low, start)} (limit {limit_text(params.min_drop_pct)})",
            "bounce": f"{percent_text(self.close - low, low)} (limit {limit_text(params.bounce_pct)})",
            "confirmed_by": ", ".join(self.confirmed_by),
        }


def lookbacks(params: Reversal) -> tuple[int, ...]:
    """Minutes looked back; the RSI of one step ago is needed too."""
    return (
        params.lookback_minutes,
        60,
        120,
        params.rsi_step_minutes,
        (params.rsi_bars + 1) * params.rsi_step_minutes,
    )


def fire(windows: Windows, params: Reversal) -> Trigger | None:
    """L = lowest low of the lookback; start = close of the bar just before the lookback.

    Fires when (start - L) / start >= min_drop_pct, (c(t) - L) / L >= bounce_pct and at least min_confirmations of:
    - above VWAP: c(t) > sum(close x volume) / sum(volume) over the lookback; not met without volume;
    - higher low: the lowest low of the last 60 minutes is above that of the 60 minutes before them;
    - RSI crosses 50: RSI over rsi_bars steps of rsi_step_minutes is above 50 at t and was not one step before. With
      plain sums RSI = 100 x rises / (rises + falls) exceeds 50 exactly when the close exceeds that of rsi_bars steps
      ago. Source: J. W. Wilder, New Concepts in Technical Trading Systems (1978), unsmoothed.
    score: confirmations met / 3. confidence: bounce / (2 x bounce_pct), cut to [0, 1]. direction: up.
    """
    bars = windows.granularity.bars_in(params.lookback_minutes)
    start, close, low = windows.close(bars), windows.close(), windows.lowest(bars)
    if start is None or close is None or low is None:
        return None
    if not at_least((close - low) * 100, low, params.bounce_pct):
        return None
    if not at_least((start - low) * 100, start, params.min_drop_pct):
        return None
    signs = signs_of(windows, params, close, bars)
    met = tuple([name for name, holds in signs.items() if holds]) if signs is not None else ()
    if signs is None or len(met) < params.min_confirmations:
        return None
    return Trigger(
        windows.product,
        TriggerKind.REVERSAL,
        Direction.UP,
        graded(len(met) / len(signs)),
        graded(times((close - low) * 100, low, params.bounce_pct) / 2),
        Told(_Facts(start, low, windows.lowest_ago(bars), close, windows.scale, params, met)),
    )


def signs_of(windows: Windows, params: Reversal, close: int, bars: int) -> Mapping[str, bool] | None:
    volume, value = windows.volume_sum(bars), windows.value_sum(bars)
    hour = windows.granularity.bars_in(60)
    recent, earlier = windows.lowest(hour), windows.lowest(2 * hour)
    step = windows.granularity.bars_in(params.rsi_step_minutes)
    span = params.rsi_bars * step
    then, before, before_then = windows.close(span), windows.close(step), windows.close(step + span)
    if volume is None or value is None or recent is None or earlier is None:
        return None
    if then is None or before is None or before_then is None:
        return None
    return {
        "above VWAP": close * volume > value,
        "higher low": recent > earlier,
        "RSI crosses 50": close > then and before <= before_then,
    }
