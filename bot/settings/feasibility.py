"""Whether a legal order exists at the present equity: between the venue's minimum and the caps, per tier and regime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from bot.domain.decision import Regime
from bot.domain.money import EXACT, HUNDRED, ONE, ZERO, Money, Percent, Price, decimal_text, quantised
from bot.domain.product import Product, ProductId
from bot.domain.value import Value
from bot.settings.config import Config
from bot.settings.policy import Policy
from bot.settings.rules import Rule
from bot.settings.universe import Tier

WHOLE: Final = Percent(HUNDRED)


class _Order(Value):
    """The largest order a rule would send (without one: the tier's base size), and what it may lose until its stop."""

    most: Decimal
    stop_pct: Decimal
    why: str


def infeasible(
    config: Config,
    nlv: Money,
    products: Mapping[ProductId, Product],
    prices: Mapping[ProductId, Price] | None = None,
    scale: Percent = WHOLE,
) -> list[str]:
    """One line for each tier and regime in which no legal order exists at this equity; empty when all is well.

    A regime whose size multiplier is 0, crash among them, opens nothing by design and is left out. Money is in the
    currency of `nlv`; products quoted otherwise are left out.

    Args:
        nlv: present net liquidation value.
        products: the venue's present metadata.
        prices: where known, the minimum base size counts as well.
        scale: canary scale of the caps.
    """
    known = prices or {}
    problems = []
    for number, tier in sorted(config.universe.tiers.items()):
        members = [products[name] for name in tier.products if name in products]
        members = [product for product in members if product.quote == nlv.currency]
        if tier.products and not members:
            problems.append(f"tier {number}: the venue lists none of its products")
        for regime in _open_regimes(config.policy) if members else ():
            order = _largest_order(config.policy, number, tier, regime, nlv, scale)
            least = min(least_order(product, config.policy, order.stop_pct, known) for product in members)
            if order.most < least:
                problems.append(_said(number, regime, order, least, nlv))
    return problems


def least_order(product: Product, policy: Policy, stop_pct: Decimal, prices: Mapping[ProductId, Price]) -> Decimal:
    """Smallest notional that can be bought and, at its stop and after fees in the coin's value, still be sold.

    The venue's minimum is its least notional or, where a price is known, the least base size if that costs more. The
    exit is held to that minimum plus `risk.min_exit_margin_pct`.
    """
    price = prices.get(product.id) or prices.get(product.market)
    by_size = EXACT.multiply(product.base_min, price.value) if price is not None else ZERO
    minimum = max(product.quote_min, by_size)
    left = EXACT.multiply(ONE - _fraction(stop_pct), ONE - policy.fees.worst_taker_pct.fraction)
    if left <= 0:
        return Decimal("Infinity")
    return EXACT.divide(EXACT.multiply(minimum, ONE + policy.risk.min_exit_margin_pct.fraction), left)


def _open_regimes(policy: Policy) -> Iterator[Regime]:
    regimes = Regime if policy.regime.enabled else (Regime.CHOP,)
    yield from (name for name in regimes if name is not Regime.CRASH and policy.regime.size_multipliers.get(name, ONE))


def _largest_order(policy: Policy, number: int, tier: Tier, regime: Regime, nlv: Money, scale: Percent) -> _Order:
    """The best case over the rules for this tier and regime."""
    rules = [rule for rule in policy.rules if rule.enabled and number in (rule.tiers or [number])]
    rules = [rule for rule in rules if regime in (rule.regimes or [regime])]
    candidates: list[Rule | None] = [*rules] or [None]
    orders = [_order(policy, tier, regime, nlv, scale, rule) for rule in candidates]
    return max(orders, key=lambda order: (order.most, -order.stop_pct))


def _order(policy: Policy, tier: Tier, regime: Regime, nlv: Money, scale: Percent, rule: Rule | None) -> _Order:
    """The wanted size (base x regime multiplier, volatility at its target) under every cap, fees set aside."""
    multiplier = policy.regime.size_multipliers.get(regime, ONE)
    wanted = EXACT.multiply(_base(tier, rule, nlv), multiplier)
    caps = [policy.risk.max_per_asset_pct, policy.risk.max_per_theme_pct, policy.risk.max_total_pct]
    caps += [rule.budget_pct] if rule is not None and rule.budget_pct is not None else []
    cap = EXACT.multiply(min(item.of(nlv).amount for item in caps), scale.fraction)
    fee = ONE + policy.fees.worst_taker_pct.fraction
    stop = rule.stop_loss_pct.value if rule is not None and rule.stop_loss_pct is not None else ZERO
    why = f"wanted {_cents(wanted)}, caps {_cents(cap)}"
    return _Order(min(wanted, EXACT.divide(cap, fee)), stop, why)


def _base(tier: Tier, rule: Rule | None, nlv: Money) -> Decimal:
    if rule is not None and rule.size.usd is not None:
        return rule.size.usd
    if rule is not None and rule.size.pct_of_nlv is not None:
        return rule.size.pct_of_nlv.of(nlv).amount
    return tier.base_size_pct.of(nlv).amount


def _fraction(pct: Decimal) -> Decimal:
    return EXACT.divide(pct, HUNDRED)


def _cents(amount: Decimal) -> str:
    return decimal_text(quantised(amount, 2)) if amount.is_finite() else "any amount"


def _said(number: int, regime: Regime, order: _Order, least: Decimal, nlv: Money) -> str:
    place = f"tier {number} in a {regime.value} market: at {_cents(nlv.amount)} {nlv.currency} of equity"
    largest = f"the largest order is {_cents(order.most)} ({order.why})"
    return f"{place} {largest}, and the least that can be bought and sold again is {_cents(least)}"
