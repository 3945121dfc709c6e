"""At which bars of a long series a trigger may fire at all: found for all bars at once, so that the rest is skipped.

A mask never misses a bar at which the trigger fires; it may name bars at which it does not. Whether it does is decided
by the trigger itself, exactly. Comparisons run in float64 with a margin far above its error: the margin only adds bars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from bot.domain.bars import Ints
from bot.settings.triggers import (
    Breakout,
    MeanReversion,
    Momentum,
    PriceMove,
    Reversal,
    TriggerSection,
    VolumeSpike,
)
from bot.triggers.columns import BLOCK, SeriesColumns
from bot.triggers.rolling import rolled

Mask = npt.NDArray[np.bool_]

_MARGIN: Final = 1e-9
"""Relative; the comparisons below are off by less than ten roundings of 2^-53 each."""
_NEAR: Final = 8
"""The newest bars, whose high is most often the one that is not reached."""
_STRETCH: Final = 8192
"""Bars that are looked at together where whole columns would be made on the way."""
_FEW: Final = 20
"""A trigger is looked at bar by bar when at most one bar in so many is left."""
_CANCELLATION: Final = 2.0**-48
"""Bounds what n S2 - S1^2 can lose in float64, relative to n S2."""


def prospects(columns: SeriesColumns, params: TriggerSection) -> Mask:
    """Bars at which the trigger with these parameters may fire; shape (n,). params: as `engine.in_force` gives them.

    Tier and regime are not looked at. Nothing is kept that depends on the parameters.
    """
    size = len(columns.series)
    if not params.enabled or size == 0:
        return np.zeros(size, np.bool_)
    return _FINDERS[type(params)](columns, params)


def narrowed(columns: SeriesColumns, params: TriggerSection, found: Mask) -> Mask:
    """The bars of `found` at which the trigger may fire as well; shape (n,). Where they are few, no others are read."""
    finder = _AT.get(type(params)) if params.enabled else None
    bars = np.flatnonzero(found) if finder is not None else np.empty(0, np.int64)
    if finder is None or len(bars) * _FEW > len(found):
        return found & prospects(columns, params)
    left = np.zeros(len(found), np.bool_)
    left[finder(columns, params, bars)] = True
    return left


def _price_move(columns: SeriesColumns, params: PriceMove) -> Mask:
    found = np.zeros(len(columns.series), np.bool_)
    for minutes, limit in ((15, params.pct_15m), (60, params.pct_60m)):
        if limit is not None:
            found |= _moved(columns, minutes, float(limit), params.direction)
    return found


def _moved(columns: SeriesColumns, minutes: int, limit: float, direction: str) -> Mask:
    """Moves of at least `limit` percent within `minutes`, a stretch at a time: its products stay in the cache."""
    closes, back = columns.series.close, columns.series.granularity.bars_in(minutes)
    found = np.zeros(len(closes), np.bool_)
    share = limit / 100.0 * (1 - _MARGIN)
    for first in range(back, len(closes), _STRETCH):
        prices = closes[first - back : first + _STRETCH].astype(np.float64)
        now, start, moved = prices[back:], prices[:-back], found[first : first + _STRETCH]
        if direction != "down":
            moved |= now >= start * (1 + share - _MARGIN)
        if direction != "up":
            moved |= now <= start * (1 - share + _MARGIN)
    return found


def _volume_spike(columns: SeriesColumns, params: VolumeSpike) -> Mask:
    bars = columns.series.granularity.bars_in
    hour, day = _sums(columns, "volume", bars(60)), _sums(columns, "volume", bars(1440))
    if hour is None or day is None:
        return _anywhere(columns, bars(1440))
    enough = hour[-len(day) :] * 24.0 >= day * (float(params.ratio_1h_vs_24h) * (1 - _MARGIN))
    return _from_the_end(columns, enough & (day > 0))


def _spiked(columns: SeriesColumns, params: VolumeSpike, bars: Ints) -> Ints:
    """Those of `bars` with that much volume."""
    per_hour, per_day = (columns.series.granularity.bars_in(minutes) for minutes in (60, 1440))
    bars = bars[bars >= per_day - 1]
    sums = [columns.sums("volume", count, 1) for count in (per_hour, per_day)]
    if sums[0] is None or sums[1] is None:
        return bars
    running: Ints = np.asarray(sums[0])
    now = running[bars + 1]
    hour, day = now - running[bars + 1 - per_hour], now - running[bars + 1 - per_day]
    return bars[(hour * 24.0 >= day * (float(params.ratio_1h_vs_24h) * (1 - _MARGIN))) & (day > 0)]


def _broken_out(columns: SeriesColumns, params: Breakout, bars: Ints) -> Ints:
    """Those of `bars` that closed at the highest high before them.

    The newest bars before are looked at first, one by one, since most fail there; then whole blocks; then what of the
    lookback may lie behind and before those.
    """
    closes, highs = columns.series.close, columns.series.high
    back = columns.series.granularity.bars_in(params.lookback_minutes)
    blocks = max(0, (back - BLOCK + 1) // BLOCK)
    rest = back - blocks * BLOCK

    def above(bars: Ints, ago: int, count: int) -> Ints:
        """Those that closed at the highest of the `count` highs from `ago` bars before on."""
        highest: Ints = sliding_window_view(highs, count)[bars - ago].max(axis=1)
        return bars[closes[bars] >= highest]

    bars = bars[bars >= back]
    if not len(bars):
        return bars
    for ago in range(1, min(rest, _NEAR) + 1):
        bars = bars[closes[bars] >= highs[bars - ago]]
    if blocks:
        tops = rolled(columns.tops, blocks, np.maximum)
        bars = bars[closes[bars] >= tops[-(-(bars - back) // BLOCK)]]
        bars = above(bars, back, BLOCK)
    return above(bars, rest, rest)


def _breakout(columns: SeriesColumns, params: Breakout) -> Mask:
    closes, back = columns.series.close, columns.series.granularity.bars_in(params.lookback_minutes)
    found = np.zeros(len(closes), np.bool_)
    if len(closes) > back:
        found[back:] = closes[back:] >= np.asarray(columns.highest(back))[:-1]
    return found


def _momentum(columns: SeriesColumns, params: Momentum) -> Mask:
    return _moved(columns, 1440, float(params.threshold_pct), "up")


def _reversal(columns: SeriesColumns, params: Reversal) -> Mask:
    """Drop and bounce; the confirmations are left to the trigger."""
    closes, back = columns.series.close, columns.series.granularity.bars_in(params.lookback_minutes)
    packed = columns.lowest(back) if len(closes) > back else None
    if packed is None:
        return _anywhere(columns, back + 1)
    low, start, now = (np.asarray(packed) // len(closes))[1:], closes[:-back], closes[back:]
    bounced = (now - low) * 100.0 >= low * (float(params.bounce_pct) * (1 - _MARGIN))
    dropped = (start - low) * 100.0 >= start * (float(params.min_drop_pct) * (1 - _MARGIN))
    return _from_the_end(columns, bounced & dropped)


def _mean_reversion(columns: SeriesColumns, params: MeanReversion) -> Mask:
    back = columns.series.granularity.bars_in(params.lookback_minutes)
    total, squares = _sums(columns, "close", back), _sums(columns, "square", back)
    if total is None or squares is None:
        return _anywhere(columns, back)
    distance = columns.series.close[back - 1 :] * float(back) - total
    spread = squares * float(back) - total.astype(np.float64) ** 2 - squares * (back * _CANCELLATION)
    far = distance**2 * (1 + _MARGIN) >= float(params.z_max) ** 2 * (1 - _MARGIN) * spread
    return _from_the_end(columns, far & (distance < total * _MARGIN))


def _sums(columns: SeriesColumns, name: str, count: int) -> Ints | None:
    """The sums of every window of `count` bars; None when they may not fit or there is no such window."""
    prefix = columns.sums(name, count, 1) if len(columns.series) >= count else None
    if prefix is None:
        return None
    running: Ints = np.asarray(prefix)
    return running[count:] - running[:-count]


def _anywhere(columns: SeriesColumns, needed: int) -> Mask:
    """Every bar with `needed` bars known: what is said when nothing better is proven."""
    found = np.zeros(len(columns.series), np.bool_)
    found[needed - 1 :] = True
    return found


def _from_the_end(columns: SeriesColumns, last: Mask) -> Mask:
    """A mask of the newest bars, with False before them."""
    found = np.zeros(len(columns.series), np.bool_)
    found[len(found) - len(last) :] = last
    return found


_AT: Final[Mapping[type[TriggerSection], Callable[[SeriesColumns, Any, Ints], Ints]]] = {
    VolumeSpike: _spiked,
    Breakout: _broken_out,
}

_FINDERS: Final[Mapping[type[TriggerSection], Callable[[SeriesColumns, Any], Mask]]] = {
    PriceMove: _price_move,
    VolumeSpike: _volume_spike,
    Breakout: _breakout,
    Momentum: _momentum,
    Reversal: _reversal,
    MeanReversion: _mean_reversion,
}
