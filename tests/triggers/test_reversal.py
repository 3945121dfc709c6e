"""reversal: a drop, a bounce from the lowest low, and confirmations."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.bars import BarSeries
from bot.domain.decision import Direction, Trigger
from bot.settings.triggers import Reversal
from bot.triggers.indicators import LiveWindows
from bot.triggers.reversal import fire
from tests.triggers.markets import series

START, LOW = 10_000, 9_600
LOOKBACK = 240


def fallen(close: int, volumes: list[int] | int = 100, start: int = START, age: int = 100) -> BarSeries:
    """`start` before the lookback, LOW for the 121 bars from `age` + 120 to `age` bars ago, then up by a line."""
    down = [start] * (LOOKBACK - age - 120)
    up = [LOW + (close - LOW) * k // age for k in range(1, age + 1)]
    closes = [start] * 60 + down + [LOW] * 121 + up
    return series(closes[-(LOOKBACK + 61) :], volumes)


def judged(bars: BarSeries, **params: Any) -> Trigger | None:
    given = {"lookback_minutes": LOOKBACK, "min_confirmations": 1, **params}
    return fire(LiveWindows(bars), Reversal.model_validate(given))


@pytest.mark.parametrize(("close", "fires"), [(9_887, False), (9_888, True), (9_889, True)])
def test_exactly_the_bounce_is_enough(close: int, fires: bool) -> None:
    """3 % of 96.00 is 2.88."""
    assert (judged(fallen(close), bounce_pct="3") is not None) is fires


@pytest.mark.parametrize(("start", "fires"), [(9_999, False), (10_000, True), (10_001, True)])
def test_exactly_the_drop_is_enough(start: int, fires: bool) -> None:
    """96.00 is 4 % below 100.00."""
    assert (judged(fallen(9_900, start=start), min_drop_pct="4") is not None) is fires


def test_score_is_the_share_of_signs_met() -> None:
    """Steady rise for 100 minutes: over the VWAP and with a higher low; over 4 quarters its RSI crossed long ago."""
    three, two = judged(fallen(9_990)), judged(fallen(9_990), rsi_bars=4)
    assert three is not None
    assert two is not None
    assert three.features["confirmed_by"] == "above VWAP, higher low, RSI crosses 50"
    assert two.features["confirmed_by"] == "above VWAP, higher low"
    assert (three.score, two.score) == (Decimal("1.000000"), Decimal("0.666667"))
    assert three.direction is Direction.UP
    assert three.features["low"] == "96, 100 bars ago"
    assert three.features["drop"] == "4.00 % (limit 4 %)"
    assert three.features["bounce"] == "4.06 % (limit 3 %)"


def test_rsi_crosses_when_the_close_passes_that_of_a_span_ago() -> None:
    """4 steps of 15 minutes: 100.00 an hour ago. 15 minutes ago the close was below that of 75 minutes ago."""
    closes = [10_000] * 241 + [9_600] * 45 + [9_700] * 14 + [10_001]
    trigger = judged(series(closes), rsi_bars=4, min_confirmations=1)
    assert trigger is not None
    assert trigger.features["confirmed_by"] == "above VWAP, RSI crosses 50"
    level = judged(series([*closes[:-1], 10_000]), rsi_bars=4, min_confirmations=1)
    assert level is not None
    assert level.features["confirmed_by"] == "above VWAP"  # RSI of exactly 50 has not crossed


def test_rsi_of_exactly_50_a_step_ago_may_still_cross() -> None:
    """15 minutes ago the close equalled that of 75 minutes ago: 50, not above it; a tick higher it was above."""
    for then, crosses in ((9_700, True), (9_701, False)):
        closes = [10_000] * 241 + [9_600] * 60
        closes[-76], closes[-16], closes[-1] = 9_700, then, 10_001
        trigger = judged(series(closes), rsi_bars=4)
        assert trigger is not None
        assert ("RSI crosses 50" in trigger.features["confirmed_by"]) is crosses


def test_the_higher_low_compares_the_last_hour_with_the_hour_before() -> None:
    """The low of 96.00 lies exactly 60 bars back, the first bar of the hour before."""
    closes = [10_000] * 240 + [9_600] + [9_900] * 60
    trigger, inside = judged(series(closes)), judged(series(closes[:-1]))
    assert trigger is not None
    assert "higher low" in trigger.features["confirmed_by"]
    assert inside is None or "higher low" not in inside.features["confirmed_by"]


def test_confirmations_below_the_wanted_number_do_not_fire() -> None:
    assert judged(fallen(9_990), rsi_bars=4, min_confirmations=2) is not None
    assert judged(fallen(9_990), rsi_bars=4, min_confirmations=3) is None


def test_vwap_weighs_by_volume_and_needs_volume() -> None:
    """All volume traded at 100.00: a close below it is below the VWAP although it is above the mean close."""
    early = judged(fallen(9_990, volumes=[10**6] * 80 + [0] * 221), rsi_bars=4)
    none = judged(fallen(9_990, volumes=0), rsi_bars=4)
    assert early is not None
    assert none is not None
    assert early.features["confirmed_by"] == none.features["confirmed_by"] == "higher low"


def test_a_low_inside_the_last_hour_is_not_a_higher_low() -> None:
    trigger = judged(fallen(9_990, age=30), min_confirmations=1)
    assert trigger is not None
    assert "higher low" not in trigger.features["confirmed_by"]


def test_confidence_is_half_at_the_bounce_and_full_at_twice_it() -> None:
    at, full = judged(fallen(9_888)), judged(fallen(10_176))
    assert at is not None
    assert full is not None
    assert (at.confidence, full.confidence) == (Decimal("0.500000"), Decimal("1.000000"))


def test_too_little_history_does_not_fire() -> None:
    bars = fallen(9_990)
    assert judged(bars.last(LOOKBACK + 1)) is not None
    assert judged(bars.last(LOOKBACK)) is None
    assert judged(bars, rsi_bars=30) is None
