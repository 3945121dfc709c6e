"""How far back each part of the policy looks, in minutes, by the key that says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.domain.bars import Granularity
from bot.domain.decision import TriggerKind
from bot.settings.policy import Policy
from bot.settings.rules import Condition, TriggerHolds
from bot.settings.strict_yaml import KeyPath
from bot.settings.triggers import Breakout, MeanReversion, PriceMove, Reversal, TriggerSection

HOUR: Final = 60
DAY: Final = 24 * HOUR

Windows = Iterator[tuple[KeyPath, int]]
"""Pairs of the key that sets a window and its length in minutes."""


def leading_windows(policy: Policy) -> Windows:
    """Windows over the regime's leading product."""
    if policy.regime.enabled:
        yield ("regime", "return_days"), policy.regime.return_days * DAY


def product_windows(policy: Policy) -> Windows:
    """Windows over every product that may be traded: triggers as set, per regime and per enabled rule; volatility."""
    for kind in TriggerKind:
        base = policy.triggers.section(kind)
        if base.enabled:
            yield from section_windows(("triggers", kind.value), base)
        for regime in base.by_regime:
            if (section := base.in_regime(regime)).enabled:
                yield from section_windows(("triggers", kind.value, "by_regime", regime.value), section)
    for number, rule in enumerate(policy.rules):
        for leaf in leaves(rule.when) if rule.enabled else ():
            section = policy.triggers.section(leaf.trigger).overridden(leaf.overrides)
            if section.enabled and leaf.overrides:
                yield from section_windows(("rules", number, "when", leaf.trigger.value), section)
    if policy.sizing.target_volatility_pct is not None:
        yield ("sizing", "volatility_lookback_minutes"), policy.sizing.volatility_lookback_minutes


def longest_lookback_minutes(policy: Policy) -> int:
    """Minutes of bars that must be there before anything is decided, one bar for the first return included."""
    windows = [*leading_windows(policy), *product_windows(policy)]
    return max((minutes for _, minutes in windows), default=0) + policy.data.bar_granularity.minutes


def section_windows(path: KeyPath, section: TriggerSection) -> Windows:
    """The windows of one trigger's parameters."""
    yield path, HOUR  # every trigger weighs the volume of the last hour ...
    yield path, DAY  # ... against that of the last day
    match section:
        case PriceMove(pct_15m=short) if short is not None:
            yield (*path, "pct_15m"), 15
        case Reversal():
            yield (*path, "lookback_minutes"), section.lookback_minutes
            yield (*path, "rsi_step_minutes"), section.rsi_step_minutes
            yield (*path, "rsi_bars"), (section.rsi_bars + 1) * section.rsi_step_minutes
        case Breakout() | MeanReversion():
            yield (*path, "lookback_minutes"), section.lookback_minutes
        case _:
            pass


def leaves(condition: Condition) -> Iterator[TriggerHolds]:
    """Every trigger a condition names, nested ones included."""
    for node in (*condition.all, *condition.any, *condition.none):
        if isinstance(node, Condition):
            yield from leaves(node)
        else:
            yield node


def uneven(window_minutes: int, granularity: Granularity) -> bool:
    """Whether a window is not a whole number of bars, at least one."""
    return window_minutes * 60 % granularity.value != 0
