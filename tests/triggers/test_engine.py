"""The triggers stage: overrides in order, ranking, ties, the cut, and conditions of rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.bars import BarSeries, Granularity
from bot.domain.decision import Direction, Regime, TriggerKind
from bot.domain.product import ProductId
from bot.domain.snapshot import MarketView
from bot.settings.config import Config
from bot.settings.policy import Policy
from bot.settings.triggers import PriceMove, TriggersPolicy
from bot.settings.universe import Universe
from bot.triggers.engine import TriggerEngine, fires, in_force
from bot.triggers.indicators import LiveWindows
from tests.builders import market, pid
from tests.triggers.markets import series

OFF = {kind.value: {"enabled": False} for kind in TriggerKind}


def only(**changes: Any) -> TriggersPolicy:
    """All triggers off but those named."""
    return TriggersPolicy.model_validate({**OFF, **changes})


def engine(triggers: TriggersPolicy) -> TriggerEngine:
    return TriggerEngine(Config(Policy(triggers=triggers), Universe()))


def moved(name: str, bps: int, heavy: bool = True) -> BarSeries:
    """Up by `bps` in the last hour, on twice the usual volume or on a third of it."""
    closes = [10_000] * 1440 + [10_000 + bps] * 60
    return series(closes, [22] * 1440 + [46 if heavy else 7] * 60, product=ProductId(name))


def markets(*bars: BarSeries) -> dict[ProductId, MarketView]:
    return {item.product: market(item.product, windows=LiveWindows(item)) for item in bars}


def scanned(policy: TriggersPolicy, *bars: BarSeries, order: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    views = markets(*bars)
    eligible = tuple(map(pid, order)) or tuple(views)
    found = engine(policy).scan(eligible, views, Regime.CHOP, dict.fromkeys(eligible, 1))
    return [(trigger.product, trigger.kind.value) for trigger in found]


MOVES = {"price_move": {"pct_60m": "2", "pct_15m": None}}


def test_best_score_times_confidence_comes_first() -> None:
    """C moved less than A but on volume: 0.75 x 0.99 beats 1 x 0.17."""
    policy = only(**MOVES)
    found = scanned(policy, moved("A-USD", 500, heavy=False), moved("B-USD", 400), moved("C-USD", 300))
    assert found == [("B-USD", "price_move"), ("C-USD", "price_move"), ("A-USD", "price_move")]


def test_ties_are_broken_by_product_id_then_kind() -> None:
    """Four triggers that all score 1 with confidence 1."""
    policy = only(**MOVES, volume_spike={"ratio_1h_vs_24h": "0.9"})
    found = scanned(policy, moved("B-USD", 400), moved("A-USD", 400))
    assert found == [(name, kind) for name in ("A-USD", "B-USD") for kind in ("price_move", "volume_spike")]


def test_product_order_is_the_order_of_the_universe() -> None:
    policy = only(**MOVES, rank_by="product")
    bars = (moved("A-USD", 300), moved("B-USD", 900), moved("C-USD", 500))
    found = scanned(policy, *bars, order=("C-USD", "A-USD", "B-USD"))
    assert [product for product, _ in found] == ["C-USD", "A-USD", "B-USD"]


@pytest.mark.parametrize(("limit", "kept"), [(1, ["B-USD"]), (2, ["B-USD", "C-USD"]), (3, ["B-USD", "C-USD", "A-USD"])])
def test_only_the_best_so_many_are_kept(limit: int, kept: list[str]) -> None:
    policy = only(**MOVES, max_triggers_per_cycle=limit)
    found = scanned(policy, moved("A-USD", 300), moved("B-USD", 390), moved("C-USD", 350))
    assert [product for product, _ in found] == kept


def test_a_market_that_is_not_eligible_or_has_no_bars_is_not_scanned() -> None:
    views = {**markets(moved("A-USD", 400), moved("B-USD", 400)), pid("C-USD"): market("C-USD")}
    eligible = (pid("A-USD"), pid("C-USD"))
    found = engine(only(**MOVES)).scan(eligible, views, Regime.CHOP, {})
    assert [trigger.product for trigger in found] == ["A-USD"]


def test_a_disabled_trigger_is_silent() -> None:
    assert scanned(only(price_move={"enabled": False}), moved("A-USD", 900)) == []
    assert fires(LiveWindows(moved("A-USD", 900)), PriceMove(enabled=False), Regime.CHOP) is None


def test_a_regime_has_its_own_thresholds() -> None:
    policy = only(price_move={"pct_15m": None, "pct_60m": "2", "by_regime": {"bear": {"pct_60m": "5"}}})
    views = markets(moved("A-USD", 400))
    eligible = (pid("A-USD"),)
    for regime, expected in ((Regime.CHOP, 1), (Regime.BULL, 1), (Regime.BEAR, 0)):
        assert len(engine(policy).scan(eligible, views, regime, {})) == expected


def test_a_rules_own_value_stands_over_that_of_the_regime() -> None:
    policy = only(price_move={"by_regime": {"bear": {"pct_60m": "5", "pct_15m": "7"}}})
    section = in_force(policy, TriggerKind.PRICE_MOVE, Regime.BEAR, {"pct_60m": "3"})
    assert isinstance(section, PriceMove)
    assert (section.pct_60m, section.pct_15m) == (Decimal(3), Decimal(7))


@pytest.mark.parametrize(("direction", "expected"), [("any", Direction.UP), ("up", Direction.UP), ("down", None)])
def test_a_condition_may_ask_for_one_direction(direction: Any, expected: Direction | None) -> None:
    found = fires(LiveWindows(moved("A-USD", 500)), PriceMove(), Regime.CHOP, direction=direction)
    assert (found.direction if found else None) is expected


def test_a_condition_for_a_rise_is_met_although_the_fall_is_larger() -> None:
    """+6 % in the hour, of which -2.9 % in the last quarter: the rule wants up."""
    windows = LiveWindows(series([10_000] * 1440 + [10_920] * 45 + [10_600] * 15))
    params = PriceMove.model_validate({"pct_15m": "1", "pct_60m": "4"})
    up, plain = fires(windows, params, Regime.CHOP, direction="up"), fires(windows, params, Regime.CHOP)
    assert up is not None
    assert plain is not None
    assert (up.direction, plain.direction) == (Direction.UP, Direction.DOWN)


def test_a_section_bound_to_falls_meets_no_condition_for_a_rise() -> None:
    windows = LiveWindows(moved("A-USD", 500))
    assert fires(windows, PriceMove(direction="down"), Regime.CHOP, direction="up") is None


def test_tiers_reach_the_trigger_that_asks_for_them() -> None:
    policy = only(mean_reversion={"lookback_minutes": 60, "z_max": "-1"})
    bars = series([10_000] * 100 + [9_000])
    views = markets(bars)
    for tier, expected in ((1, 1), (2, 0)):
        found = engine(policy).scan((bars.product,), views, Regime.CHOP, {bars.product: tier})
        assert len(found) == expected


def test_the_same_market_gives_the_same_triggers_whatever_the_bar_length_says() -> None:
    """Hour bars of the same closes: volume, breakout and momentum see the same hours."""
    hours = series([10_000 + 40 * k for k in range(26)], [10] * 25 + [100], granularity=Granularity.ONE_HOUR)
    given = only(breakout={}, momentum={}, volume_spike={})
    found = engine(given).scan((hours.product,), markets(hours), Regime.CHOP, {})
    assert {trigger.kind for trigger in found} == {
        TriggerKind.BREAKOUT, TriggerKind.MOMENTUM, TriggerKind.VOLUME_SPIKE
    }  # fmt: skip
