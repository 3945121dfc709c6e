"""momentum: up over the day, up in most hours, trend rising. Hour bars, so that every bar is one hour."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.bars import Granularity
from bot.domain.decision import Direction, Trigger
from bot.settings.triggers import Momentum
from bot.triggers.indicators import LiveWindows
from bot.triggers.momentum import fire
from tests.triggers.markets import series


def after(steps: list[int], start: int = 10_000, **params: Any) -> Trigger | None:
    closes = [start]
    for step in steps:
        closes.append(closes[-1] + step)
    windows = LiveWindows(series(closes, granularity=Granularity.ONE_HOUR))
    return fire(windows, Momentum.model_validate(params))


@pytest.mark.parametrize(("last", "fires"), [(39, False), (40, True), (41, True)])
def test_exactly_the_threshold_is_enough(last: int, fires: bool) -> None:
    """23 hours of +20 and the last to make 5 % of 10000."""
    assert (after([20] * 23 + [last], threshold_pct="5") is not None) is fires


@pytest.mark.parametrize(("up", "fires"), [(11, False), (12, True), (13, True)])
def test_exactly_the_wanted_share_of_up_hours_is_enough(up: int, fires: bool) -> None:
    """Unchanged hours are not up hours."""
    assert (after([0] * (24 - up) + [100] * up, consistency="0.5") is not None) is fires


def test_a_day_that_rose_first_and_sagged_since_has_no_rising_trend() -> None:
    """+10 % net, 13 of 24 hours up, but the regression line falls."""
    steps = [3000, *[10] * 12, *[-192] * 11]
    assert sum(steps) >= 1000
    assert after(steps, consistency="0.5") is None
    unfiltered = after(steps, consistency="0.5", trend_filter=False)
    assert unfiltered is not None
    assert unfiltered.features["trend"] == "not rising"


def test_a_flat_trend_is_not_rising() -> None:
    """Symmetric closes: slope sum is exactly zero."""
    steps = [600, *[-50] * 22, 1100]
    flat = after(steps, threshold_pct="1", consistency="0.01")
    closes = [10_000]
    for step in steps:
        closes.append(closes[-1] + step)
    slope = sum((2 * k - 24) * close for k, close in enumerate(closes))
    assert (flat is not None) is (slope > 0)
    balanced = [100, *[0] * 22, 100]
    assert after(balanced, threshold_pct="1", consistency="0.01") is not None


def test_score_and_confidence_worked_by_hand() -> None:
    """18 up hours of +50, 6 down of -25: r = 7.5 % of 10000; score 18/24 x 7.5/10; net 750 of 1050 moved."""
    trigger = after([-25] * 6 + [50] * 18, threshold_pct="5")
    assert trigger is not None
    assert trigger.score == Decimal("0.562500")
    assert trigger.confidence == Decimal("0.714286")
    assert trigger.direction is Direction.UP
    assert trigger.features == {"r_24h": "7.50 % (limit 5 %)", "up_hours": "18 of 24", "trend": "rising"}


def test_a_score_is_at_most_the_share_of_up_hours() -> None:
    trigger = after([-10] * 6 + [500] * 18)
    assert trigger is not None
    assert trigger.score == Decimal("0.750000")


def test_too_little_history_does_not_fire() -> None:
    assert after([500] * 24) is not None
    assert after([500] * 23) is None


def test_minute_bars_are_read_hour_by_hour() -> None:
    """A saw-tooth inside each hour changes nothing: only closes on the hour count."""
    hourly = [10_000 + 50 * hour for hour in range(25)]
    closes = [hourly[0]] + [hourly[k] if m == 59 else 5_000 + m for k in range(1, 25) for m in range(60)]
    minute = fire(LiveWindows(series(closes)), Momentum())
    assert minute == after([50] * 24)
