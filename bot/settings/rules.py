"""Rules as data: conditions over triggers, sizes and exits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bot.domain.decision import Regime, TriggerKind
from bot.settings.triggers import SECTIONS
from bot.settings.types import AtLeastOne, Flag, NotNegative, Pct, Positive, Section

TRIGGER_TAG: Final = "(trigger)"
CONDITION_TAG: Final = "(condition)"


class TriggerHolds(Section):
    """Leaf: the trigger fired, with some of its parameters replaced. direction: only when it points that way."""

    trigger: TriggerKind
    overrides: Mapping[str, Any] = Field(default={})
    direction: Literal["any", "up", "down"] = "any"

    @field_validator("overrides", mode="after")
    @classmethod
    def _overrides_exist(cls, value: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, Any]:
        kind = info.data.get("trigger")
        return value if kind is None else SECTIONS[kind].checked_overrides(value)


class Condition(Section):
    """`all`, `any` and `none` over triggers or nested conditions; several keys in one mapping must all hold."""

    all: tuple[Node, ...] = ()
    any: tuple[Node, ...] = ()
    none: tuple[Node, ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not (self.all or self.any or self.none):
            raise ValueError("is empty: give `all`, `any` or `none` at least one trigger")
        return self

    def holds_for_nothing(self) -> bool:
        """Whether this holds although no trigger fired."""
        quiet = [self._quiet(node) for node in self.any]
        return all(map(self._quiet, self.all)) and (any(quiet) or not quiet) and not any(map(self._quiet, self.none))

    @staticmethod
    def _quiet(node: TriggerHolds | Condition) -> bool:
        return isinstance(node, Condition) and node.holds_for_nothing()


def _node(value: object) -> object:
    """Accept `breakout`, `{breakout: {lookback_minutes: 60}}`, or a nested `{all: [...]}`."""
    if isinstance(value, str):
        return {"trigger": value}
    if isinstance(value, Mapping) and len(value) == 1:
        name, overrides = next(iter(value.items()))
        if name in TriggerKind._value2member_map_:
            return _leaf(str(name), overrides)
    return value


def _leaf(name: str, overrides: object) -> object:
    if overrides is None:
        return {"trigger": name}
    if not isinstance(overrides, Mapping):
        raise ValueError(f"{name} takes a mapping of its parameters, was {overrides!r}")
    given = dict(overrides)
    direction = {"direction": given.pop("direction")} if "direction" in given else {}
    return {"trigger": name, "overrides": given, **direction}


def _tag(value: object) -> str:
    leaf = isinstance(value, TriggerHolds) or (isinstance(value, Mapping) and "trigger" in value)
    return TRIGGER_TAG if leaf else CONDITION_TAG


Node = Annotated[
    Annotated[TriggerHolds, Tag(TRIGGER_TAG)] | Annotated[Condition, Tag(CONDITION_TAG)],
    Discriminator(_tag),
    BeforeValidator(_node),
]
Condition.model_rebuild()


class RuleSize(Section):
    """How much to buy before scaling; exactly one of the three."""

    tier_base: Flag = False
    pct_of_nlv: Pct | None = None
    usd: Positive | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [self.tier_base, self.pct_of_nlv is not None, self.usd is not None]
        if sum(given) != 1:
            raise ValueError("must be `tier`, `{pct_of_nlv: 2}` or `{usd: 100}`, exactly one of them")
        return self


def _size(value: object) -> object:
    if isinstance(value, str):
        if value in {"tier", "tier_base"}:
            return {"tier_base": True}
        raise ValueError(f"must be `tier`, `{{pct_of_nlv: 2}}` or `{{usd: 100}}`, was {value!r}")
    return value


class Rule(Section):
    """One entry rule. tiers, regimes empty: all of them. None: that exit is off."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")
    enabled: Flag = True
    about: str = ""
    when: Condition
    tiers: tuple[AtLeastOne, ...] = ()
    regimes: tuple[Regime, ...] = ()
    size: Annotated[RuleSize, BeforeValidator(_size)] = Field(default_factory=lambda: RuleSize(tier_base=True))
    scale_by_volatility: Flag = True
    stop_loss_pct: Pct | None = None
    take_profit_pct: Pct | None = None
    trailing_stop_pct: Pct | None = None
    max_hold_minutes: AtLeastOne | None = None
    budget_pct: Pct | None = None
    max_new_per_cycle: AtLeastOne = 1
    cooldown_minutes: NotNegative | None = None

    @field_validator("when", mode="after")
    @classmethod
    def _needs_a_signal(cls, value: Condition) -> Condition:
        if value.holds_for_nothing():
            raise ValueError("would buy in every quiet cycle: at least one trigger under `all` or `any` must fire")
        return value
