"""breakout: a close at or above the highest high before it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.domain.decision import Direction, Trigger
from bot.settings.triggers import Breakout
from bot.triggers.breakout import fire
from bot.triggers.indicators import LiveWindows
from tests.triggers.markets import series

HOUR = Breakout.model_validate({"lookback_minutes": 60, "breakout_full_score_pct": "2"})


def closed(at: int, high_of_bar: int | None = None, old_high: int = 10_000) -> Trigger | None:
    """An hour with one high of 100.00, `old_high` just before that hour, then a close."""
    highs = [old_high] + [9_900] * 29 + [10_000] + [9_900] * 30 + [max(at, high_of_bar or 0)]
    closes = [9_900] * 61 + [at]
    return fire(LiveWindows(series(closes, highs=highs, lows=[min(9_000, at)] * 62)), HOUR)


@pytest.mark.parametrize(("close", "fires"), [(9_999, False), (10_000, True), (10_001, True)])
def test_a_close_at_the_old_high_is_a_breakout(close: int, fires: bool) -> None:
    assert (closed(close) is not None) is fires


def test_the_high_of_the_bar_itself_does_not_count() -> None:
    """Wick to 103, close at 101: judged against the 100 seen before."""
    assert closed(10_100, high_of_bar=10_300) is not None


def test_a_high_older_than_the_lookback_does_not_count() -> None:
    assert closed(10_000, old_high=20_000) is not None


@pytest.mark.parametrize(("close", "score"), [(10_000, "0"), (10_050, "0.25"), (10_200, "1"), (12_000, "1")])
def test_score_grows_from_the_high_to_the_full_score_distance(close: int, score: str) -> None:
    trigger = closed(close)
    assert trigger is not None
    assert trigger.score == Decimal(score)
    assert trigger.direction is Direction.UP
    assert trigger.features["excess"] == f"{(close - 10_000) / 100:.2f} %"


def test_too_little_history_does_not_fire() -> None:
    assert fire(LiveWindows(series([1] * 60 + [9])), HOUR) is not None
    assert fire(LiveWindows(series([1] * 59 + [9])), HOUR) is None


def test_twice_the_usual_volume_confirms_fully() -> None:
    """V60 = 60 x 46, V24h = 1380 x 22 + 60 x 46 = 24 x 60 x 23: exactly twice the average hour."""
    bars = series([100] * 1439 + [101], [22] * 1380 + [46] * 60)
    trigger = fire(LiveWindows(bars), Breakout())
    assert trigger is None  # 1440 bars cannot show the 1440 before the last
    longer = series([100] * 1440 + [101], [22] * 1381 + [46] * 60)
    trigger = fire(LiveWindows(longer), Breakout())
    assert trigger is not None
    assert trigger.confidence == Decimal("1.000000")
