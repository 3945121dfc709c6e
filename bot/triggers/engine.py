"""Which triggers fire: all of them over every eligible market, ranked, or one of them for a rule's condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from bot.domain.bars import Windows
from bot.domain.decision import Direction, Regime, Trigger, TriggerKind
from bot.domain.money import EXACT
from bot.domain.product import ProductId
from bot.domain.snapshot import MarketView
from bot.settings.config import Config
from bot.settings.triggers import (
    Breakout,
    MeanReversion,
    Momentum,
    PriceMove,
    Reversal,
    TriggerSection,
    TriggersPolicy,
    VolumeSpike,
)
from bot.triggers import breakout, mean_reversion, momentum, price_move, reversal, volume_spike

Way = Literal["any", "up", "down"]

_FIRE: Final[Mapping[type[TriggerSection], Callable[[Windows, Any], Trigger | None]]] = {
    PriceMove: price_move.fire,
    VolumeSpike: volume_spike.fire,
    Breakout: breakout.fire,
    Momentum: momentum.fire,
    Reversal: reversal.fire,
}
"""The triggers that the bars alone tell; a mean reversion asks for regime and tier as well."""

_POINTING: Final[Mapping[Way, Direction]] = {"up": Direction.UP, "down": Direction.DOWN}


def in_force(
    policy: TriggersPolicy, kind: TriggerKind, regime: Regime, overrides: Mapping[str, Any] | None = None
) -> TriggerSection:
    """A trigger's parameters: the policy's, then those of the regime, then a rule's own, each over the ones before.

    Raises: pydantic.ValidationError for names or values the trigger does not have; `check.problems` lists those.
    """
    return policy.section(kind).in_regime(regime).overridden(overrides or {})


def fires(
    windows: Windows, params: TriggerSection, regime: Regime, tier: int | None = None, direction: Way = "any"
) -> Trigger | None:
    """The trigger whose parameters these are, if it fires in this market now. params: as `in_force` gives them.

    direction: only a trigger that points that way. A price move is looked for that way, whatever moved the other way.
    A trigger that is not enabled never fires.
    """
    if not params.enabled:
        return None
    if direction != "any" and isinstance(params, PriceMove) and params.direction == "any":
        params = params.model_copy(update={"direction": direction})
    if isinstance(params, MeanReversion):
        trigger = mean_reversion.fire(windows, params, regime, tier)
    else:
        trigger = _FIRE[type(params)](windows, params)
    if trigger is None or direction == "any":
        return trigger
    return trigger if trigger.direction is _POINTING[direction] else None


class TriggerEngine:
    """The triggers stage of a decision."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def scan(
        self,
        eligible: Sequence[ProductId],
        markets: Mapping[ProductId, MarketView],
        regime: Regime,
        tiers: Mapping[ProductId, int],
    ) -> tuple[Trigger, ...]:
        """Every trigger that fires in an eligible market, best first, at most max_triggers_per_cycle.

        rank_by score: by score x confidence, ties by product id, then kind. rank_by product: in the order of
        `eligible`, then kind. A market without bars has no triggers.
        """
        policy, sections = self._config.policy.triggers, _switched_on(self._config, regime)
        if not sections:
            return ()
        found = [
            trigger
            for product in eligible
            if (windows := markets[product].windows) is not None
            for section in sections
            if (trigger := fires(windows, section, regime, tiers.get(product))) is not None
        ]
        ranked = sorted(found, key=_by_score if policy.rank_by == "score" else _by_product(eligible))
        return tuple(ranked[: policy.max_triggers_per_cycle])


@lru_cache(maxsize=16)
def _switched_on(config: Config, regime: Regime) -> tuple[TriggerSection, ...]:
    """The parameters of every trigger that a regime has enabled, in the order of the kinds: the same in every cycle."""
    given = (in_force(config.policy.triggers, kind, regime) for kind in TriggerKind)
    return tuple(section for section in given if section.enabled)


def _by_score(trigger: Trigger) -> tuple[Any, ...]:
    return (-EXACT.multiply(trigger.score, trigger.confidence), trigger.product, trigger.kind.value)


def _by_product(eligible: Sequence[ProductId]) -> Callable[[Trigger], tuple[Any, ...]]:
    place = {product: index for index, product in enumerate(eligible)}
    return lambda trigger: (place[trigger.product], trigger.kind.value)
