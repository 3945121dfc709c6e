"""What is asked of the bars is known before the first cycle."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.bars import Granularity
from bot.domain.decision import Regime
from bot.settings.config import Config
from bot.settings.policy import Policy
from bot.settings.universe import Universe
from bot.triggers import check
from bot.triggers.engine import TriggerEngine
from bot.triggers.indicators import LiveWindows
from tests.builders import market, policy
from tests.triggers.markets import walk

MINUTE, HOUR, FOUR_HOUR = Granularity.ONE_MINUTE, Granularity.ONE_HOUR, Granularity.FOUR_HOUR
HOURLY: dict[str, Any] = {"price_move": {"pct_15m": None}, "reversal": {"rsi_step_minutes": 60}}


def rule(when: Any, **changes: Any) -> dict[str, Any]:
    return {"name": "dip", "when": when, "stop_loss_pct": 5, **changes}


def test_the_defaults_need_a_day_and_one_bar() -> None:
    assert check.needed_bars(policy(), MINUTE) == 1441
    assert check.needed_bars(policy(), HOUR) == 25
    assert check.problems(policy(), MINUTE) == ()


@pytest.mark.parametrize(
    ("sections", "bars"),
    [
        ({"triggers": {"breakout": {"lookback_minutes": 2880}}}, 2881),
        ({"triggers": {"reversal": {"rsi_bars": 200}}}, 201 * 15 + 1),
        ({"triggers": {"momentum": {"by_regime": {"bull": {"threshold_pct": 2}}}}}, 1441),
        ({"triggers": {"breakout": {"by_regime": {"bull": {"lookback_minutes": 4000}}}}}, 4001),
        ({"triggers": {"breakout": {"enabled": False, "lookback_minutes": 9000}}}, 1441),
        ({"sizing": {"volatility_lookback_minutes": 3000}}, 3001),
        ({"sizing": {"volatility_lookback_minutes": 3000, "target_volatility_pct": None}}, 1441),
        ({"rules": [rule({"all": [{"breakout": {"lookback_minutes": 5000}}]})]}, 5001),
        ({"rules": [rule({"all": ["momentum"], "none": [{"any": [{"breakout": {"lookback_minutes": 5000}}]}]})]}, 5001),
        ({"rules": [rule({"all": [{"breakout": {"lookback_minutes": 5000}}]}, enabled=False)]}, 1441),
    ],
)
def test_the_longest_window_in_use_decides(sections: dict[str, Any], bars: int) -> None:
    assert check.needed_bars(policy(**sections), MINUTE) == bars


def test_windows_that_are_no_whole_number_of_bars_are_named() -> None:
    lines = check.problems(policy(), HOUR)
    assert [line.partition(" minutes is")[0] for line in lines] == [
        "triggers.price_move: its window of 15",
        "triggers.reversal: its window of 15",
        "triggers.reversal: its window of 225",
    ]
    assert check.problems(policy(triggers=HOURLY), HOUR) == ()


def test_windows_no_key_sets_are_named_too() -> None:
    """A day is six 4-hour bars, but the hour of volume_spike is none."""
    lines = check.problems(policy(triggers=HOURLY), FOUR_HOUR)
    assert any(line.startswith("triggers.volume_spike: its window of 60 minutes") for line in lines)
    assert any(line.startswith("regime: its 60-minute drop") for line in lines)


def test_a_rules_override_is_named_by_its_rule() -> None:
    given = policy(rules=[rule({"all": [{"breakout": {"lookback_minutes": 90}}]})], triggers=HOURLY)
    assert [line.split(":")[0] for line in check.problems(given, HOUR)] == ["rules.dip.breakout"]


def test_a_price_move_with_both_limits_off_can_never_fire() -> None:
    (line,) = check.problems(policy(triggers={"price_move": {"pct_15m": None, "pct_60m": None}}), MINUTE)
    assert "both off" in line


@pytest.mark.parametrize("granularity", [MINUTE, Granularity.FIVE_MINUTE, Granularity.FIFTEEN_MINUTE, HOUR])
def test_without_problems_a_scan_has_all_its_history_in_the_needed_bars(granularity: Granularity) -> None:
    """With exactly the needed bars every statistic is there: one more bar changes nothing that is asked."""
    given: Policy = policy(triggers=HOURLY)
    assert check.problems(given, granularity) == ()
    needed = check.needed_bars(given, granularity)
    engine = TriggerEngine(Config(given, Universe()))
    for seed in range(5):
        bars = walk(needed + 40, seed, swing=90, granularity=granularity)
        seen = []
        for series in (bars, bars.last(needed)):
            views = {bars.product: market(windows=LiveWindows(series))}
            tiers = {bars.product: 1}
            seen.append(engine.scan((bars.product,), views, Regime.CHOP, tiers))
        assert seen[0] == seen[1]
