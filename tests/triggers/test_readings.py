"""What an operator is told of a trigger that did not fire is what kept it from firing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.decision import Regime, TriggerKind
from bot.settings.triggers import PriceMove, TriggersPolicy
from bot.triggers.engine import fires, in_force
from bot.triggers.indicators import LiveWindows
from bot.triggers.readings import readings
from tests.triggers.markets import series, walk

EAGER: dict[TriggerKind, dict[str, Any]] = {
    TriggerKind.PRICE_MOVE: {"pct_15m": "0.3", "pct_60m": "0.8"},
    TriggerKind.VOLUME_SPIKE: {"ratio_1h_vs_24h": "0.9"},
    TriggerKind.BREAKOUT: {"lookback_minutes": 20},
    TriggerKind.MOMENTUM: {"threshold_pct": "0.2", "consistency": "0.5"},
    TriggerKind.REVERSAL: {"lookback_minutes": 240, "bounce_pct": "0.5", "min_drop_pct": "0.5", "min_confirmations": 1},
    TriggerKind.MEAN_REVERSION: {"lookback_minutes": 240, "z_max": "-0.5"},
}


@pytest.mark.parametrize("kind", list(TriggerKind))
@given(
    seed=st.integers(0, 10_000), size=st.integers(1, 1800), tier=st.sampled_from([1, 2, None]),
    regime=st.sampled_from(list(Regime)),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_a_trigger_fires_exactly_when_what_it_asks_is_met(
    kind: TriggerKind, seed: int, size: int, tier: int | None, regime: Regime
) -> None:
    params = in_force(TriggersPolicy(), kind, regime, EAGER[kind])
    windows = LiveWindows(walk(size, seed))
    found = readings(windows, params, regime, tier)
    met = [reading.met for reading in found]
    assert found
    fired = fires(windows, params, regime, tier) is not None
    assert fired is (any(met) if kind is TriggerKind.PRICE_MOVE else all(met))


@pytest.mark.parametrize("kind", list(TriggerKind))
def test_both_answers_are_seen(kind: TriggerKind) -> None:
    """Else the test above would compare nothing with nothing."""
    params = in_force(TriggersPolicy(), kind, Regime.CHOP, EAGER[kind])
    answers = {fires(LiveWindows(walk(1800, seed)), params, Regime.CHOP, 1) is not None for seed in range(60)}
    assert answers == {True, False}


def test_the_number_and_what_is_asked_stand_side_by_side() -> None:
    closes = [10_000] * 1440 + [10_031] * 15
    windows = LiveWindows(series(closes))
    (move,) = readings(windows, PriceMove(pct_15m=Decimal(2), pct_60m=None), Regime.CHOP)
    assert (move.text, move.met) == ("r_15m 0.31 % (more than 2 % asked)", False)
    breakout = in_force(TriggersPolicy(), TriggerKind.BREAKOUT, Regime.CHOP, {"lookback_minutes": 60})
    highs = [*closes[:-30], *[10_100] * 30]
    (high,) = readings(LiveWindows(series(closes, highs=highs)), breakout, Regime.CHOP)
    assert high.text == "close 100.31 (at least the high 101 of 60 minutes asked, 0.68 % short)"


def test_a_trigger_that_is_off_or_has_no_history_says_so() -> None:
    windows = LiveWindows(series([10_000] * 5))
    off = in_force(TriggersPolicy(), TriggerKind.MOMENTUM, Regime.CHOP, {"enabled": False})
    assert readings(windows, off, Regime.CHOP)[0].text == "switched off (enabled: false)"
    on = in_force(TriggersPolicy(), TriggerKind.MOMENTUM, Regime.CHOP)
    assert readings(windows, on, Regime.CHOP)[0].text == "its history is too short"
