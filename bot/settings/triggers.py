"""The six triggers' parameters, with overrides per regime and per rule."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field, ValidationError, WithJsonSchema, field_validator
from pydantic_core import ErrorDetails, InitErrorDetails

from bot.domain.decision import Regime, TriggerKind
from bot.settings.types import AtLeastOne, Flag, Fraction, Negative, Positive, Section

S = TypeVar("S", bound="TriggerSection")


class TriggerSection(Section):
    """Base of one trigger's parameters. by_regime: values that replace these in one regime."""

    enabled: Flag = True
    by_regime: Mapping[Regime, Mapping[str, Any]] = Field(default={})

    @field_validator("by_regime", mode="after")
    @classmethod
    def _overrides_exist(cls, value: Mapping[Regime, Mapping[str, Any]]) -> Mapping[Regime, Mapping[str, Any]]:
        checked: dict[Regime, Mapping[str, Any]] = {}
        wrong: list[InitErrorDetails] = []
        for regime, values in value.items():
            try:
                checked[regime] = cls.checked_overrides(values)
            except ValidationError as error:
                wrong += [_under(regime.value, detail) for detail in error.errors(include_url=False)]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return checked

    @classmethod
    def checked_overrides(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """`values` as plain JSON, each in its canonical form.

        Raises: ValidationError for names or values that do not exist here, `by_regime` among them: overrides of
        overrides would have no order.
        """
        if "by_regime" in values:
            nested = InitErrorDetails(type="extra_forbidden", loc=("by_regime",), input=values["by_regime"])
            raise ValidationError.from_exception_data(cls.__name__, [nested])
        return cls.model_validate(dict(values)).model_dump(mode="json", include=set(values))

    def overridden(self: S, values: Mapping[str, Any]) -> S:
        """These parameters with some replaced. Raises ValidationError for names or values that do not exist here."""
        if not values:
            return self
        return type(self).model_validate({**self.model_dump(), **values})

    def in_regime(self: S, regime: Regime) -> S:
        """The parameters in force in `regime`."""
        return self.overridden(self.by_regime.get(regime, {}))


def _under(place: str, detail: ErrorDetails) -> InitErrorDetails:
    """The same error, one level deeper."""
    return InitErrorDetails(
        type=detail["type"], loc=(place, *detail["loc"]), input=detail["input"], ctx=detail.get("ctx", {})
    )


class PriceMove(TriggerSection):
    """|r(15m)| > pct_15m or |r(60m)| > pct_60m, in percent; either may be off. direction: only moves that way."""

    pct_15m: Positive | None = Decimal(2)
    pct_60m: Positive | None = Decimal(4)
    direction: Literal["any", "up", "down"] = "any"


class VolumeSpike(TriggerSection):
    """Volume of the last hour against the average hour of the last day."""

    ratio_1h_vs_24h: Positive = Decimal(2)


class Breakout(TriggerSection):
    """Close at or above the highest high of the lookback before this bar."""

    lookback_minutes: AtLeastOne = 1440
    breakout_full_score_pct: Positive = Decimal(2)


class Momentum(TriggerSection):
    """r(24h) in percent, share of up hours, and an upward least-squares trend through hourly closes."""

    threshold_pct: Positive = Decimal(5)
    consistency: Fraction = Decimal("0.55")
    trend_filter: Flag = True


class Reversal(TriggerSection):
    """Recovered from the lookback low, with confirmations: above VWAP, higher low, RSI crosses 50."""

    lookback_minutes: AtLeastOne = 1440
    bounce_pct: Positive = Decimal(3)
    min_confirmations: Annotated[
        AtLeastOne, Field(le=3), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 3})
    ] = 2
    min_drop_pct: Positive = Decimal(4)
    rsi_bars: AtLeastOne = 14
    rsi_step_minutes: AtLeastOne = 15


class MeanReversion(TriggerSection):
    """z-score of the close over the lookback at or below z_max; only the named tiers and regimes."""

    lookback_minutes: AtLeastOne = 1440
    z_max: Negative = Decimal("-2.5")
    tiers: tuple[AtLeastOne, ...] = (1,)
    regimes: tuple[Regime, ...] = (Regime.CHOP,)


class TriggersPolicy(Section):
    """All triggers, how they are ranked, and how many a cycle may use."""

    rank_by: Literal["score", "product"] = "score"
    max_triggers_per_cycle: AtLeastOne = 20
    price_move: PriceMove = Field(default_factory=PriceMove)
    volume_spike: VolumeSpike = Field(default_factory=VolumeSpike)
    breakout: Breakout = Field(default_factory=Breakout)
    momentum: Momentum = Field(default_factory=Momentum)
    reversal: Reversal = Field(default_factory=Reversal)
    mean_reversion: MeanReversion = Field(default_factory=MeanReversion)

    def section(self, kind: TriggerKind) -> TriggerSection:
        """The parameters of one trigger."""
        section: TriggerSection = getattr(self, kind.value)
        return section


SECTIONS: Final[Mapping[TriggerKind, type[TriggerSection]]] = {
    TriggerKind.PRICE_MOVE: PriceMove,
    TriggerKind.VOLUME_SPIKE: VolumeSpike,
    TriggerKind.BREAKOUT: Breakout,
    TriggerKind.MOMENTUM: Momentum,
    TriggerKind.REVERSAL: Reversal,
    TriggerKind.MEAN_REVERSION: MeanReversion,
}
"""Which parameters belong to which trigger."""
