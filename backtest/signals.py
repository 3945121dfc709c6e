"""Bars at which a rule may hold in a market: found for all bars at once, missing none; the rules decide exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from backtest.dataset import Dataset, Segment, Track
from bot.domain.bars import Ints
from bot.domain.decision import Regime
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.settings.config import Config
from bot.settings.rules import Condition, Rule, TriggerHolds
from bot.settings.triggers import PriceMove, TriggerSection
from bot.triggers.columns import SeriesColumns
from bot.triggers.engine import in_force
from bot.triggers.prospects import narrowed

Mask = npt.NDArray[np.bool_]


def signals(data: Dataset, config: Config) -> Mapping[ProductId, Ints]:
    """Indices on the run's grid at which some rule may hold, ascending, by market.

    Whatever regime or tier a market might be in counts, and what a rule asks not to have fired is not looked at: both
    can only add bars.
    """
    asked = [(rule, tuple(_of_rule(rule, config))) for rule in config.policy.rules if rule.enabled]

    def of_market(market: ProductId) -> Ints:
        nodes = [node for rule, found in asked if _may_enter(rule, market, data, config) for node in found]
        return _bars(data.tracks[market], data.count, nodes)

    return {market: of_market(market) for market in data.tracks}


def _bars(track: Track, count: int, nodes: Sequence[_Node]) -> Ints:
    """Bars of the run at which one of these may hold."""
    found = [_in_run(segment, count, _mask(segment.columns, nodes)) for segment in track.segments if nodes]
    return np.concatenate([*found, np.empty(0, np.int64)])


def _in_run(segment: Segment, count: int, mask: Mask) -> Ints:
    bars = np.flatnonzero(mask) + segment.first
    return bars[(bars >= 0) & (bars < count)]


def _may_enter(rule: Rule, market: ProductId, data: Dataset, config: Config) -> bool:
    """Whether the market, under any of its listings, is in a tier of the rule."""
    if config.universe.discovery.enabled or not rule.tiers:
        return True
    tiers = {config.universe.tier_of(name) for name in data.listings.names(market)}
    return bool(tiers & set(rule.tiers)) or None in tiers


def _mask(columns: SeriesColumns, nodes: Iterable[_Node]) -> Mask:
    found, everywhere = np.zeros(len(columns.series), np.bool_), np.ones(len(columns.series), np.bool_)
    for node in nodes:
        found |= node.of(columns, everywhere)
    columns.forget(but=np.flatnonzero(found))
    return found


def _of_rule(rule: Rule, config: Config) -> Iterable[_Node]:
    """What a rule asks in one regime or another. Most ask the same in all: that is looked at once."""
    asked = (_asked(rule.when, config, regime) for regime in _regimes(rule, config))
    return {repr(node): node for node in asked}.values()


def _regimes(rule: Rule, config: Config) -> Iterator[Regime]:
    possible = tuple(Regime) if config.policy.regime.enabled else (Regime.CHOP,)
    return (regime for regime in possible if not rule.regimes or regime in rule.regimes)


class _Leaf(Value):
    """One trigger with its parameters of one regime."""

    params: TriggerSection

    def of(self, columns: SeriesColumns, found: Mask) -> Mask:
        """The bars of `found` at which it may fire."""
        return narrowed(columns, self.params, found)


class _Node(Value):
    """Conditions of which all, and where there are any of those one, must hold."""

    every: tuple[_Leaf | _Node, ...]
    some: tuple[_Leaf | _Node, ...]

    def of(self, columns: SeriesColumns, found: Mask) -> Mask:
        """The bars of `found` at which they may hold."""
        for child in self.every:
            found = child.of(columns, found)
        if not self.some:
            return found
        either = np.zeros(len(found), np.bool_)
        for child in self.some:
            either |= child.of(columns, found)
        return either


def _asked(node: Condition, config: Config, regime: Regime) -> _Node:
    def made(child: Condition | TriggerHolds) -> _Leaf | _Node:
        return _asked(child, config, regime) if isinstance(child, Condition) else _leaf(child, config, regime)

    return _Node(tuple(map(made, node.all)), tuple(map(made, node.any)))


def _leaf(node: TriggerHolds, config: Config, regime: Regime) -> _Leaf:
    params = in_force(config.policy.triggers, node.trigger, regime, node.overrides)
    if node.direction != "any" and isinstance(params, PriceMove) and params.direction == "any":
        params = params.model_copy(update={"direction": node.direction})
    return _Leaf(params.model_copy(update={"by_regime": {}}))
