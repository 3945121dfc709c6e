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
from bot.settings import spellings
from bot.settings.triggers import SECTIONS
from bot.settings.types import AtLeastOne, Flag, NotNegative, Pct, Positive, Section, TierNumber

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

    all: Nodes = ()
    any: Nodes = ()
    none: Nodes = ()

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


def _tag(value: object) -> str:
    leaf = isinstance(value, TriggerHolds) or (isinstance(value, Mapping) and "trigger" in value)
    return TRIGGER_TAG if leaf else CONDITION_TAG


Node = Annotated[
    Annotated[TriggerHolds, Tag(TRIGGER_TAG)] | Annotated[Condition, Tag(CONDITION_TAG)],
    Discriminator(_tag),
    BeforeValidator(spellings.node),
]
Nodes = Annotated[tuple[Node, ...], BeforeValidator(spellings.nodes)]
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


class Rule(Section):
    """One entry rule. tiers, regimes empty: all of them. None: that exit is off."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_ .-]{0,59}$")
    enabled: Flag = True
    about: str = ""
    when: Annotated[Condition, BeforeValidator(spellings.condition)]
    tiers: Annotated[tuple[TierNumber, ...], BeforeValidator(spellings.listed)] = ()
    regimes: Annotated[tuple[Regime, ...], BeforeValidator(spellings.listed)] = ()
    size: Annotated[RuleSize, BeforeValidator(spellings.size)] = Field(default_factory=lambda: RuleSize(tier_base=True))
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
