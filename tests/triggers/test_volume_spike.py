"""volume_spike: the last hour against the average hour of the last day."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.domain.bars import BarSeries
from bot.domain.decision import Direction, Trigger
from bot.settings.triggers import VolumeSpike
from bot.triggers.indicators import LiveWindows
from bot.triggers.volume_spike import fire
from tests.triggers.markets import series

TWICE = VolumeSpike.model_validate({"ratio_1h_vs_24h": "2"})


def day(rest: int, hour: int, last: int = 0) -> BarSeries:
    """A day of `rest` a minute, its last hour `hour` a minute and `last` more in the last; closes rise by a tick."""
    return series([10_000 + i for i in range(1440)], [rest] * 1380 + [hour] * 59 + [hour + last])


def spiked(bars: BarSeries) -> Trigger | None:
    return fire(LiveWindows(bars), TWICE)


@pytest.mark.parametrize(("last", "fires"), [(-1, False), (0, True), (1, True)])
def test_exactly_the_ratio_is_enough_and_one_lot_less_is_not(last: int, fires: bool) -> None:
    """V60 = 60 h, V24 = 1380 r + 60 h: twice the average hour when 22 x 60 h = 2 x 1380 r, so h / r = 23 / 11."""
    assert (spiked(day(11, 23, last)) is not None) is fires


def test_score_is_half_at_the_threshold_and_one_at_twice_it() -> None:
    at, far = spiked(day(11, 23)), spiked(day(1, 10))
    assert at is not None
    assert far is not None
    assert (at.score, far.score) == (Decimal("0.500000"), Decimal("1.000000"))


def test_a_day_without_volume_has_no_spike() -> None:
    assert spiked(day(0, 0)) is None


def test_too_little_history_does_not_fire() -> None:
    assert spiked(day(1, 10).last(1440)) is not None
    assert spiked(day(1, 10).last(1439)) is None


def test_direction_is_that_of_the_hour_and_confidence_its_one_sidedness() -> None:
    """60 steps of one tick each: all up is certain; 45 down and 15 up leave 30 of 60."""
    up = spiked(day(1, 10))
    steps = [-1] * 45 + [1] * 15
    falling = [20_000] * 1380 + [20_000 + sum(steps[: i + 1]) for i in range(60)]
    down = spiked(series(falling, [1] * 1380 + [10] * 60))
    flat = spiked(series([20_000] * 1440, [1] * 1380 + [10] * 60))
    assert up is not None
    assert down is not None
    assert flat is not None
    assert (up.direction, up.confidence) == (Direction.UP, Decimal("1.000000"))
    assert (down.direction, down.confidence) == (Direction.DOWN, Decimal("0.500000"))
    assert (flat.direction, flat.confidence) == (Direction.UP, Decimal("0.000000"))


def test_only_the_last_hour_tells_the_direction() -> None:
    """The step into the hour does not belong to it: 60 steps end at t, and the fall before them is older."""
    closes = [50_000] * 1379 + [20_000 + k for k in range(61)]
    trigger = spiked(series(closes, [1] * 1380 + [10] * 60))
    assert trigger is not None
    assert (trigger.direction, trigger.confidence) == (Direction.UP, Decimal("1.000000"))
    assert trigger.features == {"ratio": "7.27", "limit": "2"}
