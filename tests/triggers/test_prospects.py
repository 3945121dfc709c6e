"""Skipping is safe: a bar that no mask names is a bar at which the trigger does not fire."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.bars import BarSeries, Granularity
from bot.domain.decision import Regime, TriggerKind
from bot.settings.triggers import Breakout, MeanReversion, PriceMove, TriggersPolicy, VolumeSpike
from bot.triggers.columns import ColumnWindows, SeriesColumns
from bot.triggers.engine import fires, in_force
from bot.triggers.prospects import narrowed, prospects
from tests.triggers.markets import series, walk

HOUR = Granularity.ONE_HOUR
POLICY = TriggersPolicy.model_validate(
    {
        "price_move": {"pct_15m": None, "pct_60m": "0.4321098"},
        "volume_spike": {"ratio_1h_vs_24h": "1.5"},
        "breakout": {"lookback_minutes": 720},
        "momentum": {"threshold_pct": "1", "consistency": "0.4"},
        "reversal": {
            "lookback_minutes": 720, "bounce_pct": "1", "min_drop_pct": "1", "min_confirmations": 1,
            "rsi_step_minutes": 60, "rsi_bars": 4,
        },
        "mean_reversion": {"lookback_minutes": 720, "z_max": "-1"},
    }
)  # fmt: skip


def fired(bars: BarSeries, kind: TriggerKind, **overrides: Any) -> tuple[list[bool], list[bool]]:
    """At which bars the trigger fires, and which its mask names."""
    columns = SeriesColumns(bars)
    params = in_force(POLICY, kind, Regime.CHOP, overrides)
    seen = [fires(ColumnWindows(columns, t), params, Regime.CHOP, tier=1) is not None for t in range(len(bars))]
    return seen, prospects(columns, params).tolist()


@pytest.mark.parametrize("kind", TriggerKind)
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), size=st.integers(0, 90), swing=st.sampled_from([3, 60, 400]))
def test_a_mask_names_every_bar_at_which_the_trigger_fires(kind: TriggerKind, seed: int, size: int, swing: int) -> None:
    seen, named = fired(walk(size, seed, swing=swing, granularity=HOUR), kind)
    assert len(named) == size
    assert all(mask or not hit for hit, mask in zip(seen, named, strict=True))


@pytest.mark.parametrize("kind", TriggerKind)
def test_a_mask_leaves_most_bars_out(kind: TriggerKind) -> None:
    """A mask of all bars would be right and useless. Those that look at everything name exactly what fires."""
    seen, named = fired(walk(4000, seed=3, swing=60, granularity=HOUR), kind)
    assert 10 < sum(seen) <= sum(named) < len(named) * 0.6
    if kind in {TriggerKind.PRICE_MOVE, TriggerKind.VOLUME_SPIKE, TriggerKind.BREAKOUT}:
        assert seen == named


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_direction_narrows_the_mask(direction: str) -> None:
    seen, named = fired(
        walk(600, seed=5, swing=150, granularity=HOUR), TriggerKind.PRICE_MOVE, direction=direction, pct_60m="1"
    )
    assert seen == named
    assert any(seen)


def test_a_move_is_named_wherever_in_a_long_series_it_is() -> None:
    seen, named = fired(walk(17_000, seed=8, swing=25), TriggerKind.PRICE_MOVE, pct_60m="1")
    assert seen == named
    assert all(any(seen[first : first + 4000]) for first in range(0, 17_000, 4000))


def test_a_trigger_exactly_at_its_limit_is_named() -> None:
    """The margin must stand on the safe side of the limit."""
    at_volume = series([100] * 24, [11] * 23 + [23], granularity=HOUR)
    at_mean = series([10_000] * 60 + [10_000] * 4 + [9_000])
    ratio = VolumeSpike.model_validate({"ratio_1h_vs_24h": "2"})
    z = MeanReversion.model_validate({"lookback_minutes": 5, "z_max": "-2"})
    for bars, params in ((at_volume, ratio), (at_mean, z)):
        columns = SeriesColumns(bars)
        assert fires(ColumnWindows(columns, len(bars) - 1), params, Regime.CHOP, tier=1) is not None
        assert prospects(columns, params)[-1]


@pytest.mark.parametrize("kind", TriggerKind)
def test_numbers_too_large_to_prove_name_every_bar_with_enough_history(kind: TriggerKind) -> None:
    bars = walk(60, seed=11, start=2**54, swing=300, granularity=HOUR)
    huge = series(bars.close.tolist(), [2**58 + k for k in range(60)], granularity=HOUR)
    seen, named = fired(huge, kind)
    assert all(mask or not hit for hit, mask in zip(seen, named, strict=True))
    assert any(named)


def test_a_disabled_trigger_has_no_prospects() -> None:
    columns = SeriesColumns(walk(200, seed=1, swing=300))
    assert not prospects(columns, Breakout(enabled=False, lookback_minutes=15)).any()
    assert prospects(columns, Breakout(lookback_minutes=15)).any()


def test_all_of_three_conditions_is_the_meeting_of_their_masks() -> None:
    bars = walk(5000, seed=9, swing=25)
    columns = SeriesColumns(bars)
    sections = [
        PriceMove.model_validate({"pct_15m": None, "pct_60m": "0.5", "direction": "up"}),
        VolumeSpike.model_validate({"ratio_1h_vs_24h": "1.1"}),
        Breakout(lookback_minutes=240),
    ]
    both = np.logical_and.reduce([prospects(columns, section) for section in sections])
    signals = [
        t
        for t in range(len(bars))
        if all(fires(ColumnWindows(columns, t), section, Regime.CHOP) for section in sections)
    ]
    assert both.nonzero()[0].tolist() == signals
    assert len(signals) > 5


@pytest.mark.parametrize("lookback", [15, 63, 64, 127, 128, 200, 240])
def test_one_high_anywhere_in_the_lookback_is_enough_to_keep_a_close_from_breaking_out(lookback: int) -> None:
    at = np.arange(900) == 700
    for ago in (*range(lookback + 2), 500):
        highs = [100] * 900
        highs[700 - ago] = 101
        found = narrowed(SeriesColumns(series([100] * 900, highs=highs)), Breakout(lookback_minutes=lookback), at)
        assert found[700] == (not 1 <= ago <= lookback)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32), size=st.integers(1, 900), swing=st.sampled_from([3, 25, 60]),
    lookback=st.sampled_from([15, 60, 63, 64, 127, 128, 200, 240]), share=st.integers(1, 200),
)  # fmt: skip
def test_narrowing_a_few_bars_keeps_those_that_the_whole_mask_names(
    seed: int, size: int, swing: int, lookback: int, share: int
) -> None:
    columns = SeriesColumns(walk(size, seed, swing=swing))
    few = np.arange(size) * 2_654_435_761 % share == 0
    for section in (
        Breakout(lookback_minutes=lookback),
        VolumeSpike.model_validate({"ratio_1h_vs_24h": "1.05"}),
        PriceMove.model_validate({"pct_15m": None, "pct_60m": "0.1"}),
        Breakout(enabled=False, lookback_minutes=lookback),
    ):
        assert narrowed(columns, section, few).tolist() == (few & prospects(columns, section)).tolist()
