"""A rule in one sentence, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bot.domain.decision import TriggerKind
from bot.domain.money import Percent, decimal_text
from bot.settings.rules import Condition, Rule, RuleSize, TriggerHolds

_WORDS: Final = {
    TriggerKind.PRICE_MOVE: "a fast price move",
    TriggerKind.VOLUME_SPIKE: "a volume spike",
    TriggerKind.BREAKOUT: "a breakout",
    TriggerKind.MOMENTUM: "momentum",
    TriggerKind.REVERSAL: "a reversal",
    TriggerKind.MEAN_REVERSION: "a price far below its mean",
}


def describe(rule: Rule) -> str:
    """What the rule buys, when, how much, and how it gets out again, in one sentence."""
    where = f"in tier {_or(map(str, rule.tiers))}" if rule.tiers else "in any tier"
    market = f"while the market is {_or(regime.value for regime in rule.regimes)}" if rule.regimes else "in any market"
    off = "" if rule.enabled else "(disabled) "
    return (
        f"{off}{rule.name}: on {_condition(rule.when)}, buys a product {where} {market} for {_size(rule.size)}"
        f"{', scaled by volatility' if rule.scale_by_volatility else ''}; {_exits(rule)}; {_limits(rule)}."
    )


def _condition(condition: Condition) -> str:
    parts = []
    if condition.all:
        parts.append(" and ".join(map(_node, condition.all)))
    if condition.any:
        parts.append(_or(map(_node, condition.any)))
    said = " and ".join(f"({part})" if len(parts) > 1 and " or " in part else part for part in parts)
    if not condition.none:
        return said
    without = _or(map(_node, condition.none))
    return f"{said} but not on {without}" if said else f"the absence of {without}"


def _node(node: TriggerHolds | Condition) -> str:
    if isinstance(node, Condition):
        return f"({_condition(node)})"
    way = "" if node.direction == "any" else f" {node.direction}"
    values = ", ".join(f"{name} {_plain(value)}" for name, value in node.overrides.items() if name != "direction")
    given = node.overrides.get("direction", "any")
    way = way or ("" if given == "any" else f" {given}")
    return f"{_WORDS[node.trigger]}{way}{f' ({values})' if values else ''}"


def _plain(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "on" if value else "off"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _size(size: RuleSize) -> str:
    if size.usd is not None:
        return f"{decimal_text(size.usd)} USD"
    return "the tier's base size" if size.pct_of_nlv is None else f"{size.pct_of_nlv} of NLV"


def _exits(rule: Rule) -> str:
    ways = [
        f"{name} {pct}"
        for name, pct in (
            ("at a loss of", rule.stop_loss_pct),
            ("at a gain of", rule.take_profit_pct),
            ("below its high by", rule.trailing_stop_pct),
        )
        if isinstance(pct, Percent)
    ]
    if rule.max_hold_minutes is not None:
        ways.append(f"after {duration(rule.max_hold_minutes)}")
    return f"sells {_or(ways)}" if ways else "has no exit of its own"


def _limits(rule: Rule) -> str:
    budget = "no budget of its own" if rule.budget_pct is None else f"at most {rule.budget_pct} of NLV at risk"
    return f"{budget} and {rule.max_new_per_cycle} new a cycle"


def duration(minutes: int) -> str:
    """`90 minutes`, `6 hours`, `2 days`: the largest unit that divides it."""
    for unit, length in (("day", 1440), ("hour", 60)):
        if minutes % length == 0:
            count = minutes // length
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{minutes} minute{'s' if minutes != 1 else ''}"


def _or(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
