"""How near a trigger is to firing: each thing it asks for with its number and its limit, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import ceil, sqrt
from typing import Any, Final

from bot.domain.bars import Windows
from bot.domain.decision import Regime
from bot.domain.money import decimal_text
from bot.domain.value import Value
from bot.settings.triggers import (
    Breakout,
    MeanReversion,
    Momentum,
    PriceMove,
    Reversal,
    TriggerSection,
    VolumeSpike,
)
from bot.triggers import mean_reversion, price_move, reversal
from bot.triggers.exact import at_least, limit_text, percent_text

_HOURS: Final = 24
_NO_HISTORY: Final = "its history is too short"


class Reading(Value):
    """One thing a trigger asks for. met: whether it is so now; text: with its number and what is asked."""

    text: str
    met: bool


def readings(windows: Windows, params: TriggerSection, regime: Regime, tier: int | None = None) -> tuple[Reading, ...]:
    """What the trigger with these parameters asks of a market, as it stands. params: as `engine.in_force` gives them.

    The trigger fires when all are met; a price move when any is.
    """
    if not params.enabled:
        return (Reading("switched off (enabled: false)", False),)
    return tuple(_READ[type(params)](windows, params, regime, tier))


def _price_move(windows: Windows, params: PriceMove, _regime: Regime, _tier: int | None) -> Iterator[Reading]:
    moves = price_move.moves_of(windows, params)
    if not moves:
        yield Reading(_NO_HISTORY, False)
    for move in moves:
        wanted = "" if params.direction == "any" else f" {params.direction}"
        asked = f"more than {limit_text(move.limit)}{wanted} asked"
        text = f"r_{move.minutes}m {percent_text(move.change, move.start)} ({asked})"
        yield Reading(text, move.beyond and params.direction in ("any", move.direction.value))


def _volume_spike(windows: Windows, params: VolumeSpike, _regime: Regime, _tier: int | None) -> Iterator[Reading]:
    bars = windows.granularity.bars_in
    hour, day = windows.volume_sum(bars(60)), windows.volume_sum(bars(1440))
    limit = limit_text(params.ratio_1h_vs_24h, "")
    if hour is None or day is None:
        yield Reading(_NO_HISTORY, False)
    elif not day:
        yield Reading(f"nothing traded for a day ({limit} times its average hour asked)", False)
    else:
        met = at_least(hour * _HOURS, day, params.ratio_1h_vs_24h)
        yield Reading(f"volume {hour * _HOURS / day:.2f} times the day's average hour (at least {limit} asked)", met)


def _breakout(windows: Windows, params: Breakout, _regime: Regime, _tier: int | None) -> Iterator[Reading]:
    ceiling, close = windows.highest_before(windows.granularity.bars_in(params.lookback_minutes)), windows.close()
    if ceiling is None or close is None:
        yield Reading(_NO_HISTORY, False)
        return
    price = windows.scale.price
    short = f", {percent_text(ceiling - close, ceiling)} short" if close < ceiling else ""
    asked = f"at least the high {price(ceiling)} of {params.lookback_minutes} minutes asked"
    yield Reading(f"close {price(close)} ({asked}{short})", close >= ceiling)


def _momentum(windows: Windows, params: Momentum, _regime: Regime, _tier: int | None) -> Iterator[Reading]:
    hour, day = windows.granularity.bars_in(60), windows.granularity.bars_in(1440)
    start, close, rises = windows.close(day), windows.close(), windows.rises(_HOURS, hour)
    slope = windows.slope_sum(_HOURS + 1, hour)
    if start is None or close is None or rises is None or slope is None:
        yield Reading(_NO_HISTORY, False)
        return
    asked = f"at least {limit_text(params.threshold_pct)} asked"
    met = at_least((close - start) * 100, start, params.threshold_pct)
    yield Reading(f"r_24h {percent_text(close - start, start)} ({asked})", met)
    least = ceil(params.consistency * _HOURS)
    yield Reading(f"{rises} of {_HOURS} hours up (at least {least} asked)", at_least(rises, _HOURS, params.consistency))
    if params.trend_filter:
        yield Reading(f"trend {'rising' if slope > 0 else 'not rising'} (a rising one asked)", slope > 0)


def _reversal(windows: Windows, params: Reversal, _regime: Regime, _tier: int | None) -> Iterator[Reading]:
    bars = windows.granularity.bars_in(params.lookback_minutes)
    start, close, low = windows.close(bars), windows.close(), windows.lowest(bars)
    signs = None if close is None else reversal.signs_of(windows, params, close, bars)
    if start is None or close is None or low is None or signs is None:
        yield Reading(_NO_HISTORY, False)
        return
    for name, part, whole, limit in (
        ("fell", start - low, start, params.min_drop_pct),
        ("came back", close - low, low, params.bounce_pct),
    ):
        asked = f"at least {limit_text(limit)} asked"
        yield Reading(f"{name} {percent_text(part, whole)} ({asked})", at_least(part * 100, whole, limit))
    found = [name for name, met in signs.items() if met]
    count = (
        f"{len(found)} of {len(signs)} signs ({', '.join(found) or 'none'}; at least {params.min_confirmations} asked)"
    )
    yield Reading(count, len(found) >= params.min_confirmations)


def _mean_reversion(windows: Windows, params: MeanReversion, regime: Regime, tier: int | None) -> Iterator[Reading]:
    tiers, regimes = ", ".join(map(str, params.tiers)), ", ".join(name.value for name in params.regimes)
    yield Reading(f"tier {tier if tier is not None else 'none'} (one of {tiers} asked)", tier in params.tiers)
    yield Reading(f"regime {regime.value} (one of {regimes} asked)", regime in params.regimes)
    bars = windows.granularity.bars_in(params.lookback_minutes)
    close, total, squares = windows.close(), windows.close_sum(bars), windows.close_square_sum(bars)
    if close is None or total is None or squares is None:
        yield Reading(_NO_HISTORY, False)
        return
    distance, spread = bars * close - total, bars * squares - total * total
    z = f"{distance / sqrt(spread):.2f}" if spread else "0"
    met = distance < 0 and mean_reversion.at_most(distance, spread, params.z_max)
    yield Reading(f"z {z} (at most {decimal_text(params.z_max)} asked)", met)


_READ: Final[Mapping[type[TriggerSection], Callable[[Windows, Any, Regime, int | None], Iterator[Reading]]]] = {
    PriceMove: _price_move,
    VolumeSpike: _volume_spike,
    Breakout: _breakout,
    Momentum: _momentum,
    Reversal: _reversal,
    MeanReversion: _mean_reversion,
}
