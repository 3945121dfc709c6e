"""Why no rule wanted a product: which of its conditions failed, each with its number against its limit.

Worked out when somebody asks, from the bars and the configuration the cycle was decided by; nothing of it is on the
way of a decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bot.domain.decision import Decision, Regime
from bot.domain.product import ProductId
from bot.domain.snapshot import Snapshot
from bot.domain.value import Value
from bot.rules.conditions import Conditions, Leaf, Seen, Tree, ready
from bot.settings.config import Config
from bot.settings.policy import Policy
from bot.settings.rules import Rule
from bot.triggers.engine import fires, in_force
from bot.triggers.readings import readings
from bot.universe.manager import UniverseManager

NEAREST: Final = 4
"""Products shown for a rule when no product was asked for."""
OUTSIDE: Final = 99
"""A rule that leaves a product out altogether is further away than any that only misses conditions."""


def lacking(snap: Snapshot, config: Config, decision: Decision, product: ProductId | None) -> tuple[str, ...]:
    """One line for each rule and product it was tried on, the nearest to holding first; empty when none was tried.

    product: that one alone, by every rule.
    """
    if decision.regime is Regime.CRASH or not decision.eligible:
        return ()
    if snap.service or len(decision.eligible) < config.universe.min_eligible_assets:
        return ()
    return tuple(_Desk(snap, config, decision).lines(product))


class _Lack(Value):
    """One thing a rule misses in a market, with its numbers. count: how many conditions of its trigger are not met."""

    text: str
    count: int = 1


class _Desk(Value):
    """The rules of one cycle, asked again in words."""

    snap: Snapshot
    config: Config
    decision: Decision

    def lines(self, product: ProductId | None) -> Iterator[str]:
        tiers = UniverseManager().select(self.snap, self.config.universe, self.config.policy).tiers
        markets = [name for name in self.decision.eligible if product in (None, name)]
        seen = [market for name in markets if (market := self._seen(name, tiers.get(name))) is not None]
        for rule in self.config.policy.rules if seen else ():
            silent = _silent(rule, self.decision.regime)
            if silent:
                yield f"{rule.name}: {silent}"
            else:
                yield from self._of_rule(rule, seen, product is None)

    def _seen(self, name: ProductId, tier: int | None) -> Seen | None:
        view = self.snap.markets.get(name)
        if view is None or view.quote is None or view.windows is None:
            return None
        return Seen(name, view.product, view.quote, view.windows, tier)

    def _of_rule(self, rule: Rule, seen: Sequence[Seen], short: bool) -> Iterator[str]:
        policy, regime = self.config.policy, self.decision.regime
        told = _Told(policy, regime, Conditions(policy.triggers, regime, self.decision.triggers, fires))
        tree = ready(rule.when, policy.triggers, regime, in_force)
        found = [(market.market, told.lack(rule, tree, market)) for market in seen]
        lacks = sorted((row for row in found if row[1]), key=lambda row: sum(lack.count for lack in row[1]))
        if not lacks:
            yield f"{rule.name}: holds wherever it was tried"
        for market, missing in lacks[:NEAREST] if short else lacks:
            yield f"{rule.name}: {market} lacks {'; and '.join(lack.text for lack in missing)}"
        if short and (more := len(lacks) - NEAREST) > 0:
            yield f"{rule.name}: {more} more lack as much or more; `bot explain {self.decision.cycle_id} PRODUCT` tells"


class _Told(Value):
    """Condition trees in words, where they do not hold."""

    policy: Policy
    regime: Regime
    conditions: Conditions

    def lack(self, rule: Rule, tree: Tree, market: Seen) -> tuple[_Lack, ...]:
        if rule.tiers and market.tier not in rule.tiers:
            tiers = ", ".join(map(str, rule.tiers))
            return (_Lack(f"tier {market.tier or 'none'} (one of {tiers} asked, rules.*.tiers)", OUTSIDE),)
        return tuple(self._unmet(tree, market))

    def _unmet(self, node: Leaf | Tree, market: Seen, acting: bool = True) -> Iterator[_Lack]:
        if self.conditions.holds(node, market, acting) is not None:
            return
        if isinstance(node, Leaf):
            yield self._leaf(node, market)
            return
        for child in node.all:
            yield from self._unmet(child, market, acting)
        if node.any and all(self.conditions.holds(child, market, acting) is None for child in node.any):
            ways = [list(self._unmet(child, market, acting)) for child in node.any]
            told = " or ".join(" and ".join(lack.text for lack in way) for way in ways)
            yield _Lack(f"one of {told}", min(sum(lack.count for lack in way) for way in ways))
        for child in node.none:
            if self.conditions.holds(child, market, acting=False) is not None:
                yield _Lack("the absence of " + " and ".join(self._present(child, market)))

    def _leaf(self, leaf: Leaf, market: Seen) -> _Lack:
        found = readings(market.windows, leaf.params, self.regime, market.tier)
        if fires(market.windows, leaf.params, self.regime, market.tier, leaf.direction) is not None:
            most = self.policy.triggers.max_triggers_per_cycle
            return _Lack(f"{leaf.kind.value}: it fires, but not as one of the best {most} (max_triggers_per_cycle)")
        fired = fires(market.windows, leaf.params, self.regime, market.tier)
        if fired is not None:
            return _Lack(f"{leaf.kind.value} {leaf.direction}: it points {fired.direction.value}")
        unmet = [reading.text for reading in found if not reading.met]
        return _Lack(f"{leaf.kind.value}: {', '.join(unmet)}", len(unmet))

    def _present(self, node: Leaf | Tree, market: Seen) -> Iterator[str]:
        """What holds although the rule asks that it does not."""
        if isinstance(node, Tree):
            for child in (*node.all, *node.any):
                if self.conditions.holds(child, market, acting=False) is not None:
                    yield from self._present(child, market)
            return
        met = [
            reading.text for reading in readings(market.windows, node.params, self.regime, market.tier) if reading.met
        ]
        yield f"{node.kind.value}: {', '.join(met)}"


def _silent(rule: Rule, regime: Regime) -> str:
    """Why a rule was not asked at all."""
    if not rule.enabled:
        return "switched off (enabled: false)"
    if rule.regimes and regime not in rule.regimes:
        return f"speaks only in {', '.join(name.value for name in rule.regimes)}, the regime is {regime.value}"
    return ""
