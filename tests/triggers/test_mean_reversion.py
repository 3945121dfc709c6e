"""mean_reversion: z-scores that are whole numbers by construction, so that the limit itself can be tried."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.decision import Direction, Regime, Trigger
from bot.settings.triggers import MeanReversion
from bot.triggers.indicators import LiveWindows
from bot.triggers.mean_reversion import fire
from tests.triggers.markets import series


def dropped(
    to: int = 9_000, regime: Regime = Regime.CHOP, tier: int | None = 1, bars: int = 200, **params: Any
) -> Trigger | None:
    """n - 1 closes at 100.00 and the last at `to`: z = -sqrt(n - 1), whatever `to` is; with n = 5, z = -2."""
    windows = LiveWindows(series([10_000] * (bars - 1) + [to]))
    given = {"lookback_minutes": 5, **params}
    return fire(windows, MeanReversion.model_validate(given), regime, tier)


@pytest.mark.parametrize(("z_max", "fires"), [("-2.000001", False), ("-2", True), ("-1.999999", True)])
def test_exactly_the_limit_is_enough(z_max: str, fires: bool) -> None:
    assert (dropped(z_max=z_max) is not None) is fires


def test_a_close_above_its_mean_never_fires() -> None:
    """The mirror image has z = +2, as far from the mean on the wrong side."""
    assert dropped(to=11_000, z_max="-2") is None
    assert dropped(to=10_001, z_max="-0.000001") is None


def test_score_is_the_distance_in_threes_of_deviations() -> None:
    two, far = dropped(z_max="-1"), dropped(lookback_minutes=101, z_max="-1")
    assert two is not None
    assert far is not None
    assert (two.score, far.score) == (Decimal("0.666667"), Decimal("1.000000"))
    assert two.direction is Direction.UP
    assert two.features["z"] == "-2.000"


def test_confidence_is_the_upward_share_of_the_last_hour() -> None:
    falling = dropped(z_max="-1")
    closes = [10_000] * 195 + [10_000, 10_000, 10_000, 8_900, 9_000]
    turned = fire(
        LiveWindows(series(closes)),
        MeanReversion.model_validate({"lookback_minutes": 60, "z_max": "-1"}),
        Regime.CHOP,
        1,
    )
    assert falling is not None
    assert turned is not None
    assert falling.confidence == 0
    assert turned.confidence == Decimal("0.083333")  # 100 up of 1200 moved


@pytest.mark.parametrize("tier", [2, 3, None])
def test_only_the_named_tiers(tier: int | None) -> None:
    assert dropped(z_max="-1", tier=tier) is None
    assert dropped(z_max="-1", tier=1) is not None


@pytest.mark.parametrize("regime", [Regime.BULL, Regime.BEAR, Regime.CRASH])
def test_only_the_named_regimes(regime: Regime) -> None:
    assert dropped(z_max="-1", regime=regime) is None
    assert dropped(z_max="-1", regime=regime, regimes=["chop", regime.value]) is not None


def test_closes_that_never_moved_have_no_z() -> None:
    assert dropped(to=9_999, z_max="-0.000001") is not None
    assert dropped(to=10_000, z_max="-0.000001") is None


def test_too_little_history_does_not_fire() -> None:
    assert dropped(z_max="-1", bars=61) is not None
    assert dropped(z_max="-1", bars=60) is None  # the hour of the confidence is missing
    assert dropped(z_max="-1", lookback_minutes=100, bars=99) is None
