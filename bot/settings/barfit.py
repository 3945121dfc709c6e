"""Windows that bars of the configured length cannot measure: switched off or rounded up, never silently wrong.

With bars longer than 15 minutes a move over 15 minutes cannot be seen, so that half of `price_move` is off; the steps
of the reversal's RSI become whole bars. Windows without a harmless substitute stay as they are, and are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bot.domain.bars import Granularity
from bot.domain.decision import TriggerKind
from bot.settings.policy import Policy
from bot.settings.rules import Condition, Rule, TriggerHolds
from bot.settings.triggers import PriceMove, Reversal, TriggerSection
from bot.settings.windows import uneven

_SHORT_MOVE: Final = 15


def fitted(policy: Policy, bar: Granularity) -> Policy:
    """The policy as bars of this length can carry it out; the same policy when all of it can."""
    if not _misfits(policy, bar):
        return policy
    sections = {
        name: _section(policy.triggers.section(kind), bar)
        for kind, name in ((TriggerKind.PRICE_MOVE, "price_move"), (TriggerKind.REVERSAL, "reversal"))
    }
    triggers = policy.triggers.model_copy(update=sections)
    rules = tuple(_rule(rule, bar) for rule in policy.rules)
    return policy.model_copy(update={"triggers": triggers, "rules": rules})


def unseen(policy: Policy) -> Iterator[str]:
    """What the length of the bars leaves out; one line each."""
    if uneven(_SHORT_MOVE, policy.data.bar_granularity):
        yield f"bars of {policy.data.bar_granularity.name} show no move over 15 minutes: pct_15m is off everywhere"


def _misfits(policy: Policy, bar: Granularity) -> bool:
    return uneven(_SHORT_MOVE, bar) or uneven(policy.triggers.reversal.rsi_step_minutes, bar)


def _section(section: TriggerSection, bar: Granularity) -> TriggerSection:
    values = {name: getattr(section, name) for name in type(section).model_fields}
    by_regime = {regime: _values(type(section), found, bar) for regime, found in section.by_regime.items()}
    return section.model_copy(update={**_values(type(section), values, bar), "by_regime": by_regime})


def _values(kind: type[TriggerSection], values: Mapping[str, Any], bar: Granularity) -> dict[str, Any]:
    fit = dict(values)
    if kind is PriceMove and "pct_15m" in fit and uneven(_SHORT_MOVE, bar):
        fit["pct_15m"] = None
    if kind is Reversal and "rsi_step_minutes" in fit:
        fit["rsi_step_minutes"] = -(-int(fit["rsi_step_minutes"]) // bar.minutes) * bar.minutes
    return fit


def _rule(rule: Rule, bar: Granularity) -> Rule:
    return rule.model_copy(update={"when": _condition(rule.when, bar)})


def _condition(condition: Condition, bar: Granularity) -> Condition:
    parts = {
        name: tuple(_node(node, bar) for node in nodes)
        for name, nodes in (("all", condition.all), ("any", condition.any), ("none", condition.none))
    }
    return condition.model_copy(update=parts)


def _node(node: TriggerHolds | Condition, bar: Granularity) -> TriggerHolds | Condition:
    if isinstance(node, Condition):
        return _condition(node, bar)
    kinds: Mapping[TriggerKind, type[TriggerSection]] = {
        TriggerKind.PRICE_MOVE: PriceMove,
        TriggerKind.REVERSAL: Reversal,
    }
    kind = kinds.get(node.trigger)
    return node if kind is None else node.model_copy(update={"overrides": _values(kind, node.overrides, bar)})
