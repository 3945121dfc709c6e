"""Bars at which a rule may hold in a market: found for all bars at once, missing none; the rules decide exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from backtest.dataset import Dataset, Segment, Track
from bot.domain.bars import Ints
from bot.domain.decision import Regime
from bot.domain.product import ProductId
from bot.settings.config import Config
from bot.settings.rules import Condition, Rule, TriggerHolds
from bot.settings.triggers import PriceMove, TriggerSection
from bot.triggers.columns import SeriesColumns
from bot.triggers.engine import in_force
from bot.triggers.prospects import prospects

Mask = npt.NDArray[np.bool_]


def signals(data: Dataset, config: Config) -> Mapping[ProductId, Ints]:
    """Indices on the run's grid at which some rule may hold, ascending, by market.

    Whatever regime or tier a market might be in counts, and what a rule asks not to have fired is not looked at: both
    can only add bars.
    """
    return {market: _of_market(data, config, market, track) for market, track in data.tracks.items()}


def _of_market(data: Dataset, config: Config, market: ProductId, track: Track) -> Ints:
    rules = [rule for rule in config.policy.rules if rule.enabled and _may_enter(rule, market, data, config)]
    if not rules:
        return np.empty(0, np.int64)
    found = [_in_run(segment, data.count, _mask(segment.columns, config, rules)) for segment in track.segments]
    return np.concatenate([*found, np.empty(0, np.int64)])


def _in_run(segment: Segment, count: int, mask: Mask) -> Ints:
    bars = np.flatnonzero(mask) + segment.first
    return bars[(bars >= 0) & (bars < count)]


def _may_enter(rule: Rule, market: ProductId, data: Dataset, config: Config) -> bool:
    """Whether the market, under any of its listings, is in a tier of the rule."""
    if config.universe.discovery.enabled or not rule.tiers:
        return True
    names = {p.id for listed in data.listings.products for p in listed.values() if p.market == market} | {market}
    tiers = {config.universe.tier_of(name) for name in names}
    return bool(tiers & set(rule.tiers)) or None in tiers


def _mask(columns: SeriesColumns, config: Config, rules: Iterable[Rule]) -> Mask:
    masks = _Masks(columns, config)
    found = np.zeros(len(columns.series), np.bool_)
    for rule in rules:
        for regime in _regimes(rule, config):
            found |= masks.of(rule.when, regime)
    return found


def _regimes(rule: Rule, config: Config) -> Iterator[Regime]:
    possible = tuple(Regime) if config.policy.regime.enabled else (Regime.CHOP,)
    return (regime for regime in possible if not rule.regimes or regime in rule.regimes)


@dataclass(slots=True)
class _Masks:
    """The masks of one market, each set of trigger parameters looked at once."""

    columns: SeriesColumns
    config: Config
    known: dict[tuple[type[TriggerSection], str], Mask] = field(default_factory=dict)

    def of(self, node: Condition | TriggerHolds, regime: Regime) -> Mask:
        if isinstance(node, TriggerHolds):
            return self._leaf(node, regime)
        found = np.ones(len(self.columns.series), np.bool_)
        for child in node.all:
            found &= self.of(child, regime)
        if node.any:
            some = np.zeros(len(found), np.bool_)
            for child in node.any:
                some |= self.of(child, regime)
            found &= some
        return found

    def _leaf(self, leaf: TriggerHolds, regime: Regime) -> Mask:
        params = in_force(self.config.policy.triggers, leaf.trigger, regime, leaf.overrides)
        if leaf.direction != "any" and isinstance(params, PriceMove) and params.direction == "any":
            params = params.model_copy(update={"direction": leaf.direction})
        key = (type(params), _spelled(params))
        if key not in self.known:
            self.known[key] = prospects(self.columns, params)
        return self.known[key]


def _spelled(params: TriggerSection) -> str:
    plain: dict[str, Any] = params.model_dump(mode="json", exclude={"by_regime"})
    return repr(sorted(plain.items()))
