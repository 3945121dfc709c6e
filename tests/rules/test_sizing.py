"""Sizes: base x regime x volatility, in exact decimals; unknown equity sizes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.decision import Reason, Regime, Reject
from bot.domain.snapshot import Valuation
from bot.rules.sizing import Sizing, realised_volatility_pct, volatility_scale
from bot.settings.rules import Rule
from tests.builders import balance, config, d, market, policy, rule, seen, snapshot, usd, windows

STILL: Any = {"sizing": {"target_volatility_pct": None}}


def wanted(
    in_regime: Regime = Regime.CHOP, size: Any = "tier", tier: int | None = 1, snap: Any = None, rules: Any = None
) -> Any:
    cycle = snap or snapshot([market()])
    (view,) = cycle.markets.values()
    sizing = Sizing(rules or config(**STILL), cycle, in_regime)
    return sizing.wanted(Rule.model_validate(rule(size=size)), seen(view, tier))


@pytest.mark.parametrize(
    ("size", "amount"), [("tier", 200), ({"pct_of_nlv": 3}, 300), ({"usd": 55}, 55)], ids=["tier", "percent", "dollars"]
)
def test_the_base_is_the_tiers_the_rules_share_or_dollars(size, amount):
    assert wanted(size=size) == usd(amount)


@pytest.mark.parametrize(("regime", "amount"), [(Regime.BULL, 240), (Regime.CHOP, 200), (Regime.BEAR, 120)])
def test_the_regime_scales_the_base(regime, amount):
    assert wanted(regime) == usd(amount)


def refusal(result: object) -> Reason:
    assert isinstance(result, Reject)
    return result.reason


def test_a_crash_opens_nothing_whatever_the_policy_says():
    generous = config(**STILL, regime={"size_multipliers": {"crash": 2, "chop": 1}})
    assert refusal(wanted(Regime.CRASH, rules=generous)) is Reason.REGIME_CRASH
    assert refusal(wanted(Regime.BEAR, rules=generous)) is Reason.REGIME_CRASH, "a regime without a multiplier likewise"


@pytest.mark.parametrize("size", ["tier", {"usd": 55}])
def test_unknown_or_empty_equity_sizes_nothing(size):
    unknown = snapshot([market()], valuation=Valuation(None, (), "ETH: no price"))
    assert refusal(wanted(size=size, snap=unknown)) is Reason.NLV_UNKNOWN
    assert refusal(wanted(size=size, snap=snapshot([market()], cash=0))) is Reason.NLV_UNKNOWN


def test_a_market_of_no_tier_has_no_tier_size():
    assert refusal(wanted(tier=None)) is Reason.NO_LEGAL_SIZE
    assert refusal(wanted(tier=7)) is Reason.NO_LEGAL_SIZE


def test_a_usdc_listing_is_sized_in_usdc():
    alias = market("BTC-USD", listing="BTC-USDC")
    result = wanted(snap=snapshot([alias], balances=[balance("USDC", 1000)]))
    assert (result.amount, result.currency) == (d(220), "USDC")
    assert refusal(wanted(snap=snapshot([alias]))) is Reason.NO_LEGAL_SIZE, "its value is not known"


def test_sizes_are_whole_quote_increments_rounded_down():
    assert wanted(size={"pct_of_nlv": "0.33335"}, snap=snapshot([market()], cash=100)) == usd("0.33")


SIZING = policy(
    sizing={"target_volatility_pct": 80, "volatility_lookback_minutes": 4, "min_scale": "0.5", "max_scale": "1.5"}
).sizing


def test_volatility_is_the_annualised_root_mean_square_of_bar_returns():
    """Four returns of +-1 %: the square root of 525,600 minutes times one percent is 725 %."""
    bars = windows([10000, 10100, 9999, 10100, 10000])
    exact = realised_volatility_pct(bars, 4)
    assert exact is not None
    assert abs(exact - d(727)) < 3


def test_a_wild_market_is_bought_smaller_and_a_calm_one_larger_within_limits():
    wild, calm = windows([10000, 11000, 10000, 11000, 10000]), windows([100000, 100001, 100000, 100001, 100000])
    assert volatility_scale(wild, SIZING, d(80)) == d("0.5")
    assert volatility_scale(calm, SIZING, d(80)) == d("1.5")


def test_within_the_limits_the_scale_is_target_over_realised():
    bars = windows([100000, 100100, 100000, 100100, 100000])
    realised = realised_volatility_pct(bars, 4)
    assert realised is not None
    assert volatility_scale(bars, SIZING, realised) == d(1)
    assert volatility_scale(bars, SIZING, realised * d("1.25")) == d("1.25")


@pytest.mark.parametrize("closes", [[100, 100], [100, 100, 100, 100, 100]], ids=["too short", "never moved"])
def test_what_volatility_does_not_know_is_sized_at_the_least(closes):
    assert volatility_scale(windows(closes), SIZING, d(80)) == d("0.5")


@given(st.lists(st.integers(1, 10**9), min_size=5, max_size=9), st.decimals("1", "500", places=2))
def test_every_scale_lies_within_the_limits_and_has_six_places(closes, target):
    scale = volatility_scale(windows(closes), SIZING, target)
    assert d("0.5") <= scale <= d("1.5")
    exponent = scale.as_tuple().exponent
    assert isinstance(exponent, int)
    assert exponent >= -6
    assert isinstance(scale, Decimal)


def test_a_rule_may_ask_not_to_be_scaled():
    view = market(windows=windows([100] * 3))
    sizing = Sizing(config(sizing={"target_volatility_pct": 80}), snapshot([view]), Regime.CHOP)
    assert sizing.wanted(Rule.model_validate(rule(scale_by_volatility=False)), seen(view)) == usd(200)
    assert sizing.wanted(Rule.model_validate(rule()), seen(view)) == usd(100)
