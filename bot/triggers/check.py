"""What the triggers ask of the bars: how many, and that every window is a whole number of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from bot.domain.bars import Granularity
from bot.domain.decision import TriggerKind
from bot.errors import UnitError
from bot.settings.policy import Policy
from bot.settings.triggers import PriceMove, TriggerSection
from bot.settings.windows import leaves
from bot.triggers import breakout, mean_reversion, momentum, price_move, regime, reversal, volume_spike

_LOOKBACKS: Final[Mapping[TriggerKind, Callable[[Any], tuple[int, ...]]]] = {
    TriggerKind.PRICE_MOVE: price_move.lookbacks,
    TriggerKind.VOLUME_SPIKE: volume_spike.lookbacks,
    TriggerKind.BREAKOUT: breakout.lookbacks,
    TriggerKind.MOMENTUM: momentum.lookbacks,
    TriggerKind.REVERSAL: reversal.lookbacks,
    TriggerKind.MEAN_REVERSION: mean_reversion.lookbacks,
}


def needed_bars(policy: Policy, granularity: Granularity) -> int:
    """Closed bars every market needs before all triggers, rules and volatility scaling have their full history.

    A window that is no whole number of bars counts as one bar more. The regime's product needs `regime.needed_bars`.
    """
    minutes = [granularity.minutes]
    for _, kind, section in _in_use(policy):
        minutes += _LOOKBACKS[kind](section)
    if policy.sizing.target_volatility_pct is not None:
        minutes.append(policy.sizing.volatility_lookback_minutes)
    return -(-max(minutes) // granularity.minutes) + 1


def problems(policy: Policy, granularity: Granularity) -> tuple[str, ...]:
    """Everything about triggers and regime that cannot work with bars of this length, one plain line each.

    Looks at every window a formula uses, those no key sets (the hour of volume_spike) included: what is listed here
    would raise UnitError at the first cycle.
    """
    found = list(regime.check(policy.regime, granularity))
    for where, kind, section in _in_use(policy):
        found += _section_problems(where, _LOOKBACKS[kind](section), section, granularity)
    return tuple(dict.fromkeys(found))


def _section_problems(
    where: str, windows: tuple[int, ...], section: TriggerSection, granularity: Granularity
) -> Iterator[str]:
    for minutes in sorted(set(windows)):
        try:
            granularity.bars_in(minutes)
        except UnitError:
            yield (
                f"{where}: its window of {minutes} minutes is no whole number of {granularity.name} bars; "
                "choose shorter bars, another window, or switch it off"
            )
    if isinstance(section, PriceMove) and section.pct_15m is None and section.pct_60m is None:
        yield f"{where}: pct_15m and pct_60m are both off, so it can never fire; set one, or enabled: false"


def _in_use(policy: Policy) -> Iterator[tuple[str, TriggerKind, TriggerSection]]:
    """Every set of enabled parameters that can be in force: the policy's, each regime's, each enabled rule's."""
    wanted = [(f"triggers.{kind.value}", kind, dict[str, Any]()) for kind in TriggerKind]
    for rule in policy.rules:
        named = leaves(rule.when) if rule.enabled else ()
        wanted += [(f"rules.{rule.name}.{leaf.trigger.value}", leaf.trigger, dict(leaf.overrides)) for leaf in named]
    for where, kind, overrides in wanted:
        base = policy.triggers.section(kind)
        sections = {where: base} | {f"{where} in {name.value}": base.in_regime(name) for name in base.by_regime}
        for spot, section in sections.items():
            if (resolved := section.overridden(overrides)).enabled:
                yield spot, kind, resolved
