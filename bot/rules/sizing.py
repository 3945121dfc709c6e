"""How much a rule would buy before risk looks at it: base x regime multiplier x volatility scaling.

base: the tier's or the rule's percentage of net liquidation value, or a fixed amount of the equity currency. Scaling:
target / realised volatility, clamped. Every factor is a Decimal quantised to 1e-6, the amount is rounded down to the
product's quote increment. While equity is unknown nothing is sized.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Final

from bot.domain.bars import Windows
from bot.domain.decision import Reason, Regime, Reject
from bot.domain.money import EXACT, HUNDRED, ONE, ZERO, Money, Percent, floor_to, quantised
from bot.domain.snapshot import Snapshot
from bot.domain.value import Value, cached_property
from bot.rules.conditions import Seen
from bot.settings.config import Config
from bot.settings.policy import SizingPolicy
from bot.settings.rules import Rule

PLACES: Final = 6
_RETURN_UNIT: Final = Decimal(10) ** 7
_MINUTES_A_YEAR: Final = Decimal(365 * 24 * 60)


class Sizing(Value, dict=True):
    """Sizes entries of one cycle. regime: in force now."""

    config: Config
    snap: Snapshot
    regime: Regime

    def wanted(self, rule: Rule, seen: Seen) -> Money | Reject:
        """Notional a rule would buy in the product's quote currency, fees not included; or why nothing is sized."""
        nlv = self.snap.valuation.nlv
        if nlv is None or not nlv.is_positive:
            known = self.snap.valuation.problem or f"it is {nlv}"
            return Reject(Reason.NLV_UNKNOWN, f"equity is not known ({known}): nothing is sized")
        multiplier = self.multiplier
        if multiplier <= ZERO:
            return Reject(Reason.REGIME_CRASH, f"regime {self.regime.value} opens nothing (multiplier {multiplier})")
        product = seen.product
        base, value = self._base(rule, seen.tier, nlv), self.snap.valuation.marks.get(product.quote)
        if base is None or value is None:
            what = f"tier {seen.tier} has no size" if base is None else f"no value of {product.quote} is known"
            return Reject(Reason.NO_LEGAL_SIZE, f"rule {rule.name} cannot size {product.id}: {what}")
        factor = EXACT.multiply(multiplier, self._scale(rule, seen.windows))
        amount = EXACT.divide(EXACT.multiply(base.amount, factor), value)
        return Money(floor_to(amount, product.quote_step), product.quote)

    @cached_property
    def multiplier(self) -> Decimal:
        """The regime's factor; zero in a crash whatever the policy says, and for a regime it does not name."""
        given = self.config.policy.regime.size_multipliers.get(self.regime, ZERO)
        return ZERO if self.regime is Regime.CRASH else quantised(given, PLACES)

    def _base(self, rule: Rule, tier: int | None, nlv: Money) -> Money | None:
        if rule.size.usd is not None:
            return Money(rule.size.usd, nlv.currency)
        percent = rule.size.pct_of_nlv or self._tier_size(tier)
        return None if percent is None else percent.of(nlv)

    def _tier_size(self, tier: int | None) -> Percent | None:
        found = self.config.universe.tiers.get(tier) if tier is not None else None
        return None if found is None else found.base_size_pct

    def _scale(self, rule: Rule, windows: Windows) -> Decimal:
        sizing = self.config.policy.sizing
        if not rule.scale_by_volatility or sizing.target_volatility_pct is None:
            return ONE
        return volatility_scale(windows, sizing, sizing.target_volatility_pct)


def volatility_scale(windows: Windows, policy: SizingPolicy, target_pct: Decimal) -> Decimal:
    """target / realised, within [min_scale, max_scale]; the least while the realised volatility is unknown or zero.

    A market that did not move at all says nothing about its risk.
    """
    realised = realised_volatility_pct(windows, policy.volatility_lookback_minutes)
    if realised is None or realised <= ZERO:
        return quantised(policy.min_scale, PLACES)
    wanted = EXACT.divide(target_pct, realised)
    return quantised(max(policy.min_scale, min(policy.max_scale, wanted)), PLACES, ROUND_DOWN)


def realised_volatility_pct(windows: Windows, lookback_minutes: int) -> Decimal | None:
    """Annualised volatility of bar returns over the lookback, in percent; None when the history is too short.

    100 x sqrt(sum of squared returns x bars in 365 days / bars), the mean return taken as zero.
    """
    count = max(1, lookback_minutes // windows.granularity.minutes)
    squares = windows.return_square_sum(count)
    if squares is None:
        return None
    bars_a_year = EXACT.divide(_MINUTES_A_YEAR, Decimal(windows.granularity.minutes))
    variance = EXACT.divide(EXACT.multiply(Decimal(squares), bars_a_year), Decimal(count))
    return quantised(EXACT.divide(EXACT.multiply(EXACT.sqrt(variance), HUNDRED), _RETURN_UNIT), PLACES)
