"""price_move: strictly beyond a threshold in 15 or 60 minutes, either way or one way."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.decision import Direction, Trigger, TriggerKind
from bot.settings.triggers import PriceMove
from bot.triggers.indicators import LiveWindows
from bot.triggers.price_move import fire
from tests.triggers.markets import BTC, series


def moved(hour: int = 0, quarter: int = 0, volumes: list[int] | int = 100, **params: Any) -> Trigger | None:
    """100.00 until 60 minutes ago, then `hour` ticks more, then `quarter` ticks more in the last 15 minutes."""
    closes = [10_000] * 1440 + [10_000 + hour] * 45 + [10_000 + hour + quarter] * 15
    return fire(LiveWindows(series(closes, volumes)), PriceMove.model_validate(params))


@pytest.mark.parametrize(("ticks", "fires"), [(200, False), (201, True), (-200, False), (-201, True)])
def test_a_move_of_exactly_the_60_minute_limit_is_not_beyond_it(ticks: int, fires: bool) -> None:
    assert (moved(hour=ticks, pct_60m="2", pct_15m=None) is not None) is fires


@pytest.mark.parametrize(("ticks", "fires"), [(100, False), (101, True), (-100, False), (-101, True)])
def test_a_move_of_exactly_the_15_minute_limit_is_not_beyond_it(ticks: int, fires: bool) -> None:
    assert (moved(quarter=ticks, pct_15m="1", pct_60m=None) is not None) is fires


def test_a_limit_that_is_off_never_fires() -> None:
    assert moved(quarter=9_000, pct_15m=None, pct_60m=None) is None
    assert moved(hour=9_000, pct_15m="1", pct_60m=None) is None


@pytest.mark.parametrize(
    ("direction", "ticks", "expected"),
    [
        ("any", 500, Direction.UP),
        ("any", -500, Direction.DOWN),
        ("up", 500, Direction.UP),
        ("up", -500, None),
        ("down", 500, None),
        ("down", -500, Direction.DOWN),
    ],
)
def test_only_moves_of_the_wanted_direction_count(direction: str, ticks: int, expected: Direction | None) -> None:
    trigger = moved(hour=ticks, direction=direction)
    assert (trigger.direction if trigger else None) is expected


def test_a_fall_of_the_last_quarter_does_not_hide_the_rise_of_the_hour() -> None:
    """+6 % over the hour, -2.9 % in its last quarter: `up` sees the rise, `any` the larger ratio to its threshold."""
    bars = [10_000] * 1440 + [10_920] * 45 + [10_600] * 15
    windows = LiveWindows(series(bars))
    up = fire(windows, PriceMove.model_validate({"pct_15m": "1", "pct_60m": "4", "direction": "up"}))
    both = fire(windows, PriceMove.model_validate({"pct_15m": "1", "pct_60m": "4"}))
    assert up is not None
    assert up.direction is Direction.UP
    assert up.score == Decimal("0.750000")
    assert both is not None
    assert both.direction is Direction.DOWN
    assert both.score == Decimal("1.000000")


def test_score_and_confidence_worked_by_hand() -> None:
    """+3 % on a limit of 2 %: 1.5 / 2. Last hour 150 a minute, the 23 before 100: 150 x 24 x 60 / 147000 / 2."""
    trigger = moved(hour=300, volumes=[100] * 1440 + [150] * 60, pct_60m="2", pct_15m="4")
    day = 100 * 1380 + 150 * 60
    confidence = Decimal(150 * 60 * 24 / day / 2).quantize(Decimal("0.000001"))
    features = {"r_15m": "0.00 % (limit 4 %)", "r_60m": "3.00 % (limit 2 %)"}
    assert trigger == Trigger(BTC, TriggerKind.PRICE_MOVE, Direction.UP, Decimal("0.750000"), confidence, features)


def test_a_score_is_never_above_one() -> None:
    trigger = moved(hour=9_000)
    assert trigger is not None
    assert trigger.score == 1


def test_a_move_without_a_day_of_volume_is_unconfirmed() -> None:
    quiet = moved(hour=500, volumes=0)
    short = fire(LiveWindows(series([10_000] * 60 + [10_500])), PriceMove())
    assert quiet is not None
    assert short is not None
    assert quiet.confidence == short.confidence == 0


def test_too_little_history_does_not_fire() -> None:
    """61 bars show the hour; with 60 even a move seen over 15 minutes waits."""
    assert fire(LiveWindows(series([10_000] * 60 + [20_000])), PriceMove()) is not None
    assert fire(LiveWindows(series([10_000] * 59 + [20_000])), PriceMove()) is None
