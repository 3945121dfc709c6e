"""Whether a rule's condition tree holds in one market, and which triggers made it hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal, Protocol

from bot.domain.bars import Windows
from bot.domain.codec import canonical
from bot.domain.decision import Regime, Trigger, TriggerKind
from bot.domain.market import Quote
from bot.domain.money import EXACT
from bot.domain.product import Product, ProductId
from bot.settings.rules import Condition, TriggerHolds
from bot.settings.triggers import TriggerSection, TriggersPolicy

Way = Literal["any", "up", "down"]


class InForce(Protocol):
    """A trigger's parameters: the policy's, then the regime's, then a rule's own."""

    def __call__(
        self, policy: TriggersPolicy, kind: TriggerKind, regime: Regime, overrides: Mapping[str, Any] | None = None
    ) -> TriggerSection: ...


class Fires(Protocol):
    """The trigger with these parameters in one market, if it fires there now."""

    def __call__(
        self,
        windows: Windows,
        params: TriggerSection,
        regime: Regime,
        tier: int | None = None,
        direction: Way = "any",
    ) -> Trigger | None: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """One market a rule may be tried on: known by its book's id, with a usable quote and bars."""

    market: ProductId
    product: Product
    quote: Quote
    windows: Windows
    tier: int | None


@dataclass(slots=True)
class Conditions:
    """Condition trees against the triggers of one cycle.

    ranked: the triggers the cycle may act on; one that was cut off by `max_triggers_per_cycle` makes no plain condition
    hold, but it still counts where a rule asks that it did not fire. Leaves with their own parameters or direction are
    asked directly, each set of parameters being made once.
    """

    policy: TriggersPolicy
    regime: Regime
    ranked: Sequence[Trigger]
    in_force: InForce
    fires: Fires
    _known: dict[tuple[ProductId, TriggerKind], Trigger] = field(init=False)
    _params: dict[tuple[TriggerKind, bytes], TriggerSection] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._known = {(trigger.product, trigger.kind): trigger for trigger in self.ranked}

    def holds(self, node: TriggerHolds | Condition, seen: Seen, acting: bool = True) -> tuple[Trigger, ...] | None:
        """The triggers that make `node` hold; None when it does not hold.

        acting: only ranked triggers count for plain leaves; False below `none`, where every trigger that fired counts.
        """
        if isinstance(node, TriggerHolds):
            trigger = self._fired(node, seen, acting)
            return None if trigger is None else (trigger,)
        found: list[Trigger] = []
        for child in sorted(node.all, key=_effort):
            below = self.holds(child, seen, acting)
            if below is None:
                return None
            found += below
        some = [below for child in node.any if (below := self.holds(child, seen, acting)) is not None]
        if node.any and not some:
            return None
        if any(self.holds(child, seen, acting=False) is not None for child in node.none):
            return None
        return _distinct((*found, *(trigger for below in some for trigger in below)))

    def _fired(self, leaf: TriggerHolds, seen: Seen, acting: bool) -> Trigger | None:
        plain = not leaf.overrides and leaf.direction == "any"
        if plain and (acting or self._complete):
            return self._known.get((seen.market, leaf.trigger))
        return self.fires(seen.windows, self._parameters(leaf), self.regime, seen.tier, leaf.direction)

    def _parameters(self, leaf: TriggerHolds) -> TriggerSection:
        key = (leaf.trigger, canonical(dict(leaf.overrides)))
        if key not in self._params:
            self._params[key] = self.in_force(self.policy, leaf.trigger, self.regime, leaf.overrides)
        return self._params[key]

    @property
    def _complete(self) -> bool:
        """Whether nothing was cut off, so that the ranked triggers are all there are."""
        return len(self.ranked) < self.policy.max_triggers_per_cycle


def _effort(node: TriggerHolds | Condition) -> int:
    """Plain leaves are looked up, others computed: the cheap ones may spare the dear ones."""
    if isinstance(node, Condition):
        return 2
    return 1 if node.overrides or node.direction != "any" else 0


def _distinct(triggers: Sequence[Trigger]) -> tuple[Trigger, ...]:
    """Each kind once, the strongest of it: the same signal found with two sets of parameters is one signal."""
    best: dict[TriggerKind, Trigger] = {}
    for trigger in triggers:
        known = best.get(trigger.kind)
        if known is None or strength(trigger) > strength(known):
            best[trigger.kind] = trigger
    return tuple(best.values())


def strength(trigger: Trigger) -> Decimal:
    """What triggers are ranked by."""
    return EXACT.multiply(trigger.score, trigger.confidence)
