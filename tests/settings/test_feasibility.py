"""With little money no order may be legal; that is said at start, not discovered by refusals."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import Money, Percent, Price
from bot.domain.product import Product, ProductId, TradingMode
from bot.settings.config import Config
from bot.settings.feasibility import infeasible, least_order
from bot.settings.load import parse_config

BTC, ETH = ProductId("BTC-USD"), ProductId("ETH-USD")
UNIVERSE = b"tiers: {1: {products: [BTC-USD, ETH-USD], base_size_pct: 2}}\n"


def product(name: ProductId, *, quote_min: str = "1", base_min: str = "0.00000001") -> Product:
    one = Decimal(1)
    return Product(
        id=name,
        base=name.base,
        quote=name.quote,
        price_step=Decimal("0.01"),
        size_step=Decimal("0.00000001"),
        quote_step=Decimal("0.01"),
        base_min=Decimal(base_min),
        base_max=one * 1000,
        quote_min=Decimal(quote_min),
        quote_max=one * 10**9,
        mode=TradingMode.NORMAL,
        mode_reason="",
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
    )


PRODUCTS = {BTC: product(BTC), ETH: product(ETH)}


def config(policy: str = "rules: []", universe: bytes = UNIVERSE) -> Config:
    return parse_config(f"{policy}\n".encode(), universe)


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def test_a_normal_account_can_trade_in_every_regime() -> None:
    assert infeasible(config(), usd("10000"), PRODUCTS) == []


def test_a_small_account_is_told_where_it_cannot_trade_and_why() -> None:
    """2 % of 80 is 1.60; in a bear market 0.6 of that is below the 1.21 that can be bought and sold again."""
    (problem,) = infeasible(config(), usd("80"), PRODUCTS)
    assert problem == (
        "tier 1 in a bear market: at 80 USD of equity the largest order is 0.96 (wanted 0.96, caps 4), "
        "and the least that can be bought and sold again is 1.21"
    )
    assert len(infeasible(config(), usd("50"), PRODUCTS)) == 3


def test_a_regime_that_opens_nothing_is_not_complained_about() -> None:
    quiet = config("regime: {size_multipliers: {bull: 1.2, chop: 1, bear: 0, crash: 0}}")
    assert infeasible(quiet, usd("80"), PRODUCTS) == []
    assert infeasible(config("regime: {enabled: false}"), usd("80"), PRODUCTS) == []
    timid = config("regime: {size_multipliers: {bull: 1, chop: 1, bear: 1, crash: 0.01}}")
    assert infeasible(timid, usd("80"), PRODUCTS) == []


def test_one_product_that_can_be_traded_is_enough_for_its_tier() -> None:
    dear = {BTC: product(BTC, quote_min="500"), ETH: product(ETH)}
    assert infeasible(config(), usd("10000"), dear) == []
    assert len(infeasible(config(), usd("10000"), {BTC: dear[BTC]})) == 3


def test_the_least_base_size_counts_where_its_price_is_known() -> None:
    coarse = {BTC: product(BTC, base_min="0.01")}
    assert infeasible(config(), usd("10000"), coarse) == []
    found = infeasible(config(), usd("10000"), coarse, {BTC: Price(Decimal(60000))})
    assert "the least that can be bought and sold again is 728.74" in found[0]


def test_the_caps_of_the_first_live_hours_count() -> None:
    canary = infeasible(config(), usd("2000"), PRODUCTS, scale=Percent(Decimal("0.5")))
    assert "the largest order is 0.49 (wanted 48, caps 0.5)" in canary[0]


def test_a_products_list_without_ours_is_a_problem() -> None:
    assert infeasible(config(), usd("10000"), {}) == ["tier 1: the venue lists none of its products"]


@pytest.mark.parametrize(
    ("size", "problems"), [("{usd: 1}", 3), ("{usd: 5}", 0), ("{pct_of_nlv: 0.01}", 3), ("tier", 0)]
)
def test_the_size_of_the_rules_counts(size: str, problems: int) -> None:
    """With a stop of 10 % the position must still be sellable after the fall: 1.35 rather than 1.21."""
    policy = f"rules: [{{name: buy, when: {{all: [momentum]}}, stop_loss_pct: 10, size: {size}}}]"
    assert len(infeasible(config(policy), usd("10000"), PRODUCTS)) == problems


def test_the_budget_of_a_rule_is_a_cap() -> None:
    policy = "rules: [{name: buy, when: {all: [momentum]}, stop_loss_pct: 10, budget_pct: 0.01}]"
    assert "caps 1)" in infeasible(config(policy), usd("10000"), PRODUCTS)[0]


def test_what_is_bought_can_be_sold_at_its_stop() -> None:
    policy = config().policy
    least = least_order(PRODUCTS[BTC], policy, Decimal(10), {})
    after_fall_and_fee = least * Decimal("0.9") * Decimal("0.988")
    assert after_fall_and_fee == pytest.approx(Decimal("1.2"))
    assert least_order(PRODUCTS[BTC], policy, Decimal(100), {}) == Decimal("Infinity")


@given(st.decimals(1, 100000, places=2), st.decimals(1, 100000, places=2))
def test_more_money_never_makes_less_possible(one: Decimal, other: Decimal) -> None:
    poor, rich = sorted([one, other])
    places = [
        {line.split(":")[0] for line in infeasible(config(), Money(amount, "USD"), PRODUCTS)} for amount in (poor, rich)
    ]
    assert places[1] <= places[0]
