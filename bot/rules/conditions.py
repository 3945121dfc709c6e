"""Whether a rule's condition tree holds in one market, and which triggers made it hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Protocol

from bot.domain.bars import Windows
from bot.domain.decision import Regime, Trigger, TriggerKind
from bot.domain.market import Quote
from bot.domain.money import EXACT
from bot.domain.product import Product, ProductId
from bot.domain.value import Value
from bot.settings.rules import Condition, TriggerHolds
from bot.settings.triggers import PriceMove, TriggerSection, TriggersPolicy

Way = Literal["any", "up", "down"]


class InForce(Protocol):
    """A trigger's parameters: the policy's, then the regime's, then a rule's own."""

    def __call__(
        self, policy: TriggersPolicy, kind: TriggerKind, regime: Regime, overrides: Mapping[str, Any] | None = None
    ) -> TriggerSection: ...

    def __hash__(self) -> int: ...


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


class Seen(Value):
    """One market a rule may be tried on: known by its book's id, with a usable quote and bars."""

    market: ProductId
    product: Product
    quote: Quote
    windows: Windows
    tier: int | None


class Leaf(Value):
    """One trigger a tree asks for. own: with parameters or a direction of its own, so that the ranked do not tell."""

    kind: TriggerKind
    direction: Way
    own: bool
    params: TriggerSection


class Tree(Value):
    """A condition made ready for the cycles of one regime. all: the cheap ones first, which may spare the dear ones.

    needs_ranked: it can only hold in a market that a ranked trigger is about.
    """

    all: tuple[Leaf | Tree, ...]
    any: tuple[Leaf | Tree, ...]
    none: tuple[Leaf | Tree, ...]
    needs_ranked: bool


class Conditions:
    """Condition trees against the triggers of one cycle.

    ranked: the triggers the cycle may act on; one that was cut off by `max_triggers_per_cycle` makes no plain condition
    hold, but it still counts where a rule asks that it did not fire. Leaves with their own parameters or direction are
    asked directly.
    """

    def __init__(self, policy: TriggersPolicy, regime: Regime, ranked: Sequence[Trigger], fires: Fires) -> None:
        self._regime = regime
        self._fires = fires
        self._known = {(trigger.product, trigger.kind): trigger for trigger in ranked}
        self._markets = frozenset(trigger.product for trigger in ranked)
        # Nothing was cut off: then what is not ranked did not fire.
        self._complete = len(ranked) < policy.max_triggers_per_cycle

    def fired_in(self, market: ProductId) -> bool:
        """Whether any ranked trigger is about this market."""
        return market in self._markets

    def holds(self, node: Leaf | Tree, seen: Seen, acting: bool = True) -> tuple[Trigger, ...] | None:
        """The triggers that make `node` hold; None when it does not hold.

        acting: only ranked triggers count for plain leaves; False below `none`, where every trigger that fired counts.
        """
        if isinstance(node, Leaf):
            if not node.own and (acting or self._complete):
                trigger = self._known.get((seen.market, node.kind))
            else:
                trigger = self._fires(seen.windows, node.params, self._regime, seen.tier, node.direction)
            return None if trigger is None else (trigger,)
        found: list[Trigger] = []
        for child in node.all:
            below = self.holds(child, seen, acting)
            if below is None:
                return None
            found += below
        some = not node.any
        for child in node.any:
            if (below := self.holds(child, seen, acting)) is not None:
                some = True
                found += below
        if not some:
            return None
        for child in node.none:
            if self.holds(child, seen, acting=False) is not None:
                return None
        return _distinct(found)


def ready(node: Condition, policy: TriggersPolicy, regime: Regime, in_force: InForce) -> Tree:
    """The condition with every parameter set made, as good for all cycles of a regime."""

    def made(child: TriggerHolds | Condition) -> Leaf | Tree:
        if isinstance(child, Condition):
            return ready(child, policy, regime, in_force)
        params = in_force(policy, child.trigger, regime, child.overrides)
        if child.direction != "any" and isinstance(params, PriceMove) and params.direction == "any":
            # Looked for that way, whatever moved the other way: as the trigger itself would read the direction.
            params = params.model_copy(update={"direction": child.direction})
        return Leaf(child.trigger, child.direction, bool(child.overrides) or child.direction != "any", params)

    every = tuple(sorted(map(made, node.all), key=_effort))
    some, none = tuple(map(made, node.any)), tuple(map(made, node.none))
    needs = any(map(_needs_ranked, every)) or (bool(some) and all(map(_needs_ranked, some)))
    return Tree(every, some, none, needs)


def _needs_ranked(node: Leaf | Tree) -> bool:
    return node.needs_ranked if isinstance(node, Tree) else not node.own


def _effort(node: Leaf | Tree) -> int:
    return 2 if isinstance(node, Tree) else int(node.own)


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
