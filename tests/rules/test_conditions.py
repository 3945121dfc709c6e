"""A rule's condition tree: all, any and none over what fired, with parameters of its own where it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bot.domain.bars import Windows
from bot.domain.decision import Direction, Regime, Trigger, TriggerKind
from bot.rules.conditions import Conditions, Tree, Way, ready
from bot.settings.rules import Condition
from bot.settings.triggers import TriggerSection, TriggersPolicy
from bot.triggers.engine import in_force
from tests.builders import market, policy, seen, trigger

K = TriggerKind
KIND_OF = {type(policy().triggers.section(kind)): kind for kind in TriggerKind}


class Market:
    """Stands for a market in which some triggers fire when asked directly; remembers what it was asked."""

    def __init__(self, *firing: Trigger) -> None:
        self.firing = firing
        self.asked: list[tuple[TriggerKind, TriggerSection, Way]] = []

    def __call__(
        self, windows: Windows, params: TriggerSection, regime: Regime, tier: int | None = None, direction: Way = "any"
    ) -> Trigger | None:
        kind = KIND_OF[type(params)]
        self.asked.append((kind, params, direction))
        found = next((t for t in self.firing if t.kind is kind and t.product == windows.product), None)
        return found if found and direction in ("any", found.direction.value) else None


def made(when: Condition) -> Tree:
    return ready(when, policy().triggers, Regime.CHOP, in_force)


def kinds(
    when: Mapping[str, Any], ranked: Sequence[Trigger] = (), asked: Market | None = None, limit: int = 20
) -> set[TriggerKind] | None:
    """The kinds that make `when` hold; None when it does not hold."""
    rules = TriggersPolicy(max_triggers_per_cycle=limit)
    desk = Conditions(rules, Regime.CHOP, ranked, asked or Market(*ranked))
    held = desk.holds(made(Condition.model_validate(when)), seen(market()))
    return None if held is None else {item.kind for item in held}


BREAK, MOVE, SPIKE = (trigger(kind=kind) for kind in (K.BREAKOUT, K.PRICE_MOVE, K.VOLUME_SPIKE))


@pytest.mark.parametrize(
    ("when", "fired", "result"),
    [
        ({"all": ["breakout", "price_move"]}, [BREAK, MOVE], {K.BREAKOUT, K.PRICE_MOVE}),
        ({"all": ["breakout", "price_move"]}, [BREAK], None),
        ({"any": ["breakout", "price_move"]}, [MOVE], {K.PRICE_MOVE}),
        ({"any": ["breakout", "price_move"]}, [], None),
        ({"all": ["breakout"], "none": ["volume_spike"]}, [BREAK], {K.BREAKOUT}),
        ({"all": ["breakout"], "none": ["volume_spike"]}, [BREAK, SPIKE], None),
        ({"all": ["breakout"], "any": ["price_move", "volume_spike"]}, [BREAK], None),
        ({"all": ["breakout"], "any": ["price_move", "volume_spike"]}, [BREAK, SPIKE], {K.BREAKOUT, K.VOLUME_SPIKE}),
        ({"all": [{"any": ["breakout", "momentum"]}, "price_move"]}, [BREAK, MOVE], {K.BREAKOUT, K.PRICE_MOVE}),
        ({"all": ["breakout"], "none": [{"all": ["price_move", "volume_spike"]}]}, [BREAK, MOVE], {K.BREAKOUT}),
        ({"all": ["breakout"], "none": [{"all": ["price_move", "volume_spike"]}]}, [BREAK, MOVE, SPIKE], None),
    ],
)
def test_the_tree_holds_as_it_reads(when, fired, result):
    assert kinds(when, fired) == result


def test_a_trigger_of_another_coin_makes_nothing_hold():
    assert kinds({"any": ["breakout"]}, [trigger("ETH-USD")]) is None


def test_a_leaf_with_parameters_of_its_own_is_asked_with_them():
    asked = Market(BREAK)
    assert kinds({"any": [{"breakout": {"lookback_minutes": 60}}]}, (), asked) == {K.BREAKOUT}
    ((kind, params, direction),) = asked.asked
    assert (kind, direction) == (K.BREAKOUT, "any")
    assert params == policy().triggers.breakout.overridden({"lookback_minutes": 60})


def test_a_leaf_may_ask_for_one_direction_only():
    down = trigger(kind=K.PRICE_MOVE, direction=Direction.DOWN)
    assert kinds({"any": [{"price_move": {"direction": "up"}}]}, [down]) is None
    assert kinds({"any": [{"price_move": {"direction": "down"}}]}, [down]) == {K.PRICE_MOVE}


def test_a_trigger_cut_off_by_the_cycles_limit_buys_nothing():
    assert kinds({"any": ["volume_spike"]}, [BREAK], Market(BREAK, SPIKE), limit=1) is None


def test_a_trigger_cut_off_by_the_cycles_limit_still_forbids():
    when = {"all": ["breakout"], "none": ["volume_spike"]}
    assert kinds(when, [BREAK], Market(BREAK, SPIKE), limit=1) is None
    assert kinds(when, [BREAK], Market(BREAK), limit=1) == {K.BREAKOUT}


def test_plain_leaves_are_looked_up_and_spare_the_dear_ones():
    asked = Market(BREAK)
    assert kinds({"all": [{"breakout": {"lookback_minutes": 60}}, "price_move"]}, (), asked) is None
    assert asked.asked == []


def test_the_same_signal_found_twice_is_one_signal_and_the_stronger_counts():
    strong = trigger(score="0.9", confidence="0.9")
    desk = Conditions(policy().triggers, Regime.CHOP, [BREAK], Market(strong))
    twice = Condition.model_validate({"all": ["breakout", {"breakout": {"lookback_minutes": 60}}]})
    held = desk.holds(made(twice), seen(market()))
    assert held == (strong,)


@pytest.mark.parametrize(
    ("when", "needs"),
    [
        ({"all": ["breakout", {"momentum": {"threshold_pct": 1}}]}, True),
        ({"any": ["breakout", {"momentum": {"threshold_pct": 1}}]}, False),
        ({"any": ["breakout", "momentum"]}, True),
        ({"all": [{"price_move": {"direction": "up"}}], "none": ["breakout"]}, False),
        ({"all": [{"any": ["breakout"]}]}, True),
    ],
)
def test_a_market_without_triggers_is_only_spared_where_nothing_could_hold(when, needs):
    assert made(Condition.model_validate(when)).needs_ranked is needs
