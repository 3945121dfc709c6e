"""Rules as data: conditions over triggers, sizes and exits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from bot.domain.decision import Regime, TriggerKind
from bot.settings.types import AtLeastOne, NotNegative, Pct, Positive, Section


class TriggerHolds(Section):
    """Leaf: the trigger fired, with some of its parameters replaced. direction: only when it points that way."""

    trigger: TriggerKind
    overrides: Mapping[str, Any] = Field(default={})
    direction: Literal["any", "up", "down"] = "any"


class Condition(Section):
    """`all`, `any` and `none` over triggers or nested conditions; several keys in one mapping must all hold."""

    all: tuple[Node, ...] = ()
    any: tuple[Node, ...] = ()
    none: tuple[Node, ...] = ()


def _node(value: object) -> object:
    """Accept `breakout`, `{breakout: {lookback_minutes: 60}}`, or a nested `{all: [...]}`."""
    if isinstance(value, str):
        return TriggerHolds(trigger=TriggerKind(value))
    if isinstance(value, Mapping) and len(value) == 1:
        name, overrides = next(iter(value.items()))
        if name in TriggerKind._value2member_map_:
            given = dict(overrides or {})
            direction = given.pop("direction", "any")
            return TriggerHolds(trigger=TriggerKind(name), overrides=given, direction=direction)
    return value


Node = Annotated[TriggerHolds | Condition, BeforeValidator(_node)]
Condition.model_rebuild()


class RuleSize(Section):
    """How much to buy before scaling; exactly one of the three."""

    tier_base: bool = False
    pct_of_nlv: Pct | None = None
    usd: Positive | None = None


def _size(value: object) -> object:
    return {"tier_base": True} if value in ("tier", "tier_base") else value


class Rule(Section):
    """One entry rule. tiers, regimes empty: all of them. None: that exit is off."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    enabled: bool = True
    about: str = ""
    when: Condition
    tiers: tuple[AtLeastOne, ...] = ()
    regimes: tuple[Regime, ...] = ()
    size: Annotated[RuleSize, BeforeValidator(_size)] = Field(default_factory=lambda: RuleSize(tier_base=True))
    scale_by_volatility: bool = True
    stop_loss_pct: Pct | None = None
    take_profit_pct: Pct | None = None
    trailing_stop_pct: Pct | None = None
    max_hold_minutes: AtLeastOne | None = None
    budget_pct: Pct | None = None
    max_new_per_cycle: AtLeastOne = 1
    cooldown_minutes: NotNegative | None = None
