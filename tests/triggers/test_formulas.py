"""Every trigger, over live bars and over columns, against its formula written plainly with fractions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.bars import BarSeries, Granularity
from bot.domain.decision import Direction, Regime, Trigger, TriggerKind
from bot.settings.triggers import TriggersPolicy
from bot.triggers.columns import ColumnWindows, SeriesColumns
from bot.triggers.engine import fires, in_force
from bot.triggers.indicators import LiveWindows
from tests.triggers.markets import series, walk

LIMITS: dict[str, dict[str, Any]] = {
    "price_move": {"pct_15m": "0.5", "pct_60m": "1"},
    "volume_spike": {"ratio_1h_vs_24h": "1.5"},
    "breakout": {"lookback_minutes": 120, "breakout_full_score_pct": "0.5"},
    "momentum": {"threshold_pct": "0.5", "consistency": "0.5"},
    "reversal": {"lookback_minutes": 240, "bounce_pct": "0.7", "min_drop_pct": "0.7", "min_confirmations": 1},
    "mean_reversion": {"lookback_minutes": 90, "z_max": "-1.3"},
}
POLICY = TriggersPolicy.model_validate(LIMITS)
Expected = tuple[bool, Fraction]


def price_move(c: list[int], **_: Any) -> Expected:
    quarter, hour = (abs(Fraction(c[-1], c[-1 - m]) - 1) * 100 for m in (15, 60))
    ratio = max(quarter / Fraction("0.5"), hour)
    return quarter > Fraction("0.5") or hour > 1, ratio / 2


def volume_spike(c: list[int], v: list[int], **_: Any) -> Expected:
    ratio = Fraction(sum(v[-60:])) / (Fraction(sum(v[-1440:])) / 24)
    return ratio >= Fraction("1.5"), ratio / 3


def breakout(c: list[int], h: list[int], **_: Any) -> Expected:
    excess = (Fraction(c[-1], max(h[-121:-1])) - 1) * 100
    return excess >= 0, excess / Fraction("0.5")


def momentum(c: list[int], **_: Any) -> Expected:
    hourly = c[-1441::60]
    r = (Fraction(hourly[-1], hourly[0]) - 1) * 100
    share = Fraction(sum(b > a for a, b in pairwise(hourly)), 24)
    middle = Fraction(sum(hourly), 25)
    trend = sum((k - 12) * (close - middle) for k, close in enumerate(hourly))
    return r >= Fraction("0.5") and share >= Fraction("0.5") and trend > 0, share * min(Fraction(1), r)


def rsi(c: list[int], end: int) -> Fraction:
    chain = [c[end - k * 15] for k in range(14, -1, -1)]
    moves = [b - a for a, b in pairwise(chain)]
    gained, lost = sum(max(0, m) for m in moves), sum(max(0, -m) for m in moves)
    return Fraction(100 * gained, gained + lost) if gained + lost else Fraction(50)


def reversal(c: list[int], low: list[int], v: list[int], **_: Any) -> Expected:
    bottom = min(low[-240:])
    bounce, drop = (Fraction(c[-1], bottom) - 1) * 100, (1 - Fraction(bottom, c[-241])) * 100
    traded = sum(v[-240:])
    vwap = Fraction(sum(a * b for a, b in zip(c[-240:], v[-240:], strict=True)), traded) if traded else None
    met = [
        vwap is not None and c[-1] > vwap,
        min(low[-60:]) > min(low[-120:-60]),
        rsi(c, -1) > 50 >= rsi(c, -16),
    ]
    return bounce >= Fraction("0.7") and drop >= Fraction("0.7") and sum(met) >= 1, Fraction(sum(met), 3)


def mean_reversion(c: list[int], **_: Any) -> Expected:
    window = c[-90:]
    mean = Fraction(sum(window), 90)
    variance = sum((close - mean) ** 2 for close in window) / 90
    below = c[-1] < mean and (c[-1] - mean) ** 2 >= Fraction("1.3") ** 2 * variance
    z = abs(float(c[-1] - mean)) / float(variance) ** 0.5 if variance else 0.0
    return below, Fraction(z) / 3


FORMULAS: Mapping[TriggerKind, Callable[..., Expected]] = {
    TriggerKind.PRICE_MOVE: price_move,
    TriggerKind.VOLUME_SPIKE: volume_spike,
    TriggerKind.BREAKOUT: breakout,
    TriggerKind.MOMENTUM: momentum,
    TriggerKind.REVERSAL: reversal,
    TriggerKind.MEAN_REVERSION: mean_reversion,
}


def compare(bars: BarSeries, columns: SeriesColumns, t: int, kind: TriggerKind) -> Trigger | None:
    known = bars.slice(0, t + 1)
    c, h, low, v = (array.tolist() for array in (known.close, known.high, known.low, known.volume))
    expected, score = FORMULAS[kind](c=c, h=h, low=low, v=v)
    params = in_force(POLICY, kind, Regime.CHOP)
    live = fires(LiveWindows(known), params, Regime.CHOP, tier=1)
    assert fires(ColumnWindows(columns, t), params, Regime.CHOP, tier=1) == live
    assert (live is not None) is expected
    if live is not None:
        assert abs(Fraction(live.score) - min(Fraction(1), score)) <= Fraction(1, 10**6)
        assert 0 <= live.confidence <= 1
        assert live.score.as_tuple().exponent == live.confidence.as_tuple().exponent == -6
    return live


@pytest.mark.parametrize("kind", TriggerKind)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), swing=st.sampled_from([5, 15, 40]))
def test_a_trigger_fires_when_its_formula_holds_and_scores_as_it_says(kind: TriggerKind, seed: int, swing: int) -> None:
    bars = walk(1500, seed, swing=swing)
    columns = SeriesColumns(bars)
    for t in range(1441, 1500, 6):
        compare(bars, columns, t, kind)


@pytest.mark.parametrize("kind", TriggerKind)
def test_the_comparison_sees_each_trigger_fire_and_stay_silent(kind: TriggerKind) -> None:
    """Otherwise the property above would prove nothing."""
    bars = walk(6000, seed=7, swing=15)
    columns = SeriesColumns(bars)
    fired = [compare(bars, columns, t, kind) is not None for t in range(1441, 6000, 23)]
    assert 3 < sum(fired) < len(fired) - 3


WORKLOAD = TriggersPolicy.model_validate(
    {
        "price_move": {"pct_15m": None, "pct_60m": "2", "direction": "up"},
        "volume_spike": {"ratio_1h_vs_24h": "1.9"},
        "breakout": {"lookback_minutes": 1440},
    }
)


def test_three_triggers_together_are_the_entry_signal_of_the_common_workload() -> None:
    """close > 1.02 x close an hour ago, mean volume of 60 >= 1.9 x mean of 1440, close >= highest of 1440 before."""
    kinds = (TriggerKind.PRICE_MOVE, TriggerKind.VOLUME_SPIKE, TriggerKind.BREAKOUT)
    sections = [in_force(WORKLOAD, kind, Regime.CHOP) for kind in kinds]
    signals = 0
    for seed in range(4):
        bars = burst(seed)
        c, h, v = bars.close.tolist(), bars.high.tolist(), bars.volume.tolist()
        columns = SeriesColumns(bars)
        for t in range(1440, len(c)):
            expected = (
                Fraction(c[t]) > Fraction(102, 100) * c[t - 60]
                and Fraction(sum(v[t - 59 : t + 1]), 60) >= Fraction(19, 10) * Fraction(sum(v[t - 1439 : t + 1]), 1440)
                and c[t] >= max(h[t - 1440 : t])
            )
            windows = ColumnWindows(columns, t)
            found = [fires(windows, section, Regime.CHOP) for section in sections]
            assert all(found) is expected
            assert all(trigger.direction is Direction.UP for trigger in found[:1] if trigger)
            signals += expected
    assert signals > 20


def burst(seed: int) -> BarSeries:
    """A calm day, then two hours of climbing on heavy volume: near, at and over all three limits."""
    calm, wild = walk(1500, seed, swing=5), walk(120, seed + 100, swing=20)
    climb = [calm.close[-1] + int(move) + 60 * k for k, move in enumerate(wild.close - wild.close[0])]
    closes = [*calm.close.tolist(), *map(int, climb)]
    volumes = [*calm.volume.tolist(), *(2 * wild.volume + 700).tolist()]
    return series(closes, volumes, granularity=Granularity.ONE_MINUTE)
