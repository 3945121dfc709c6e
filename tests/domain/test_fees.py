"""Fee-aware sizing is exact: what one function plans, its inverse pays for, to one increment."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot.domain.fees import (
    assumed_rate,
    cost_with_fee,
    estimate_fee,
    get_min_gross_size,
    largest_buy,
    largest_sale,
    net_of,
    size_after_fees,
    size_to_achieve_net,
    smallest_legal,
)
from bot.domain.money import Percent, Price
from bot.domain.product import Product, Side
from bot.errors import UnitError
from tests.builders import d, fee_tier, price, product, size, usd

RATES = st.decimals(min_value="0", max_value="0.05", places=4)
MONEY = st.decimals(min_value="0.01", max_value="500000", places=2)


@st.composite
def products(draw: st.DrawFn) -> Product:
    """Steps that are not all powers of ten: venues list sizes in 0.25 or in fives too."""
    step = draw(st.sampled_from(["0.00000001", "0.0001", "0.25", "1", "5", "10"]))
    tick = draw(st.sampled_from(["0.00001", "0.01", "0.05", "1"]))
    minimum = draw(st.sampled_from(["0.01", "1", "10"]))
    huge = d(10) ** 12
    return product(
        size_step=d(step), price_step=d(tick), base_min=d(step), quote_min=d(minimum), base_max=huge, quote_max=huge
    )


@st.composite
def priced(draw: st.DrawFn) -> tuple[Product, Price]:
    listing = draw(products())
    ticks = draw(st.integers(min_value=1, max_value=10_000_000))
    return listing, Price(listing.price_step * ticks)


@given(priced(), RATES, MONEY)
def test_a_budget_is_never_overspent_and_one_more_increment_would_overspend_it(pair, rate, amount):
    listing, at = pair
    bought = size_after_fees(listing, at, rate, usd(amount))
    assert cost_with_fee(listing, at, bought, rate) <= usd(amount)
    assert cost_with_fee(listing, at, bought + size(listing.size_step), rate) > usd(amount)


@given(priced(), RATES, st.integers(min_value=1, max_value=10**9))
def test_what_a_size_costs_buys_that_size_again(pair, rate, steps):
    listing, at = pair
    wanted = size(listing.size_step * steps)
    gross = size_to_achieve_net(listing, at, rate, wanted)
    extra = size_after_fees(listing, at, rate, gross) - wanted
    quote_step_buys = listing.quote_step / (at.value * (1 + rate))
    assert extra.value <= quote_step_buys
    assert gross.amount % listing.quote_step == 0


@given(priced(), RATES, MONEY)
def test_planning_back_from_a_budget_costs_no_more_than_the_budget(pair, rate, amount):
    listing, at = pair
    bought = size_after_fees(listing, at, rate, usd(amount))
    assume(not bought.is_zero)
    assert size_to_achieve_net(listing, at, rate, bought) <= usd(amount)


@given(priced(), RATES)
def test_the_least_gross_buys_a_legal_order_and_a_cent_less_does_not(pair, rate):
    listing, at = pair
    least = get_min_gross_size(listing, at, rate)
    assert least is not None
    assert listing.illegal(at, size_after_fees(listing, at, rate, least)) is None
    cent_less = least - usd("0.01")
    assert listing.illegal(at, size_after_fees(listing, at, rate, cent_less)) is not None


@given(priced(), RATES, MONEY)
def test_net_and_fee_together_fit_the_gross(pair, rate, amount):
    listing, _ = pair
    net = net_of(listing, usd(amount), rate)
    assert net.times(1 + rate) <= usd(amount)
    assert (net + usd(listing.quote_step)).times(1 + rate) > usd(amount)


@given(priced(), MONEY)
def test_the_largest_buy_is_legal_at_its_dearest_and_its_cheapest(pair, amount):
    listing, at = pair
    touch = listing.passive(Price(at.value * d("0.99") + listing.price_step), Side.BUY)
    assume(touch <= at)
    bought = largest_buy(listing, usd(amount), at, touch)
    if bought is not None:
        assert listing.notional(at, bought) <= usd(amount)
        assert listing.illegal(at, bought) is None
        assert listing.illegal(touch, bought) is None


def test_a_budget_equal_to_the_cost_buys_all_of_it():
    """29 hundredths are 29 steps, not 28: the trap of floats."""
    listing = product(size_step=d("0.01"), base_min=d("0.01"))
    assert size_after_fees(listing, price(1), d(0), usd("0.29")) == size("0.29")


def test_a_buy_that_only_reaches_the_minimum_at_its_worst_price_is_no_legal_buy():
    listing = product(quote_min=d(10), size_step=d("0.01"), base_min=d("0.01"))
    assert largest_buy(listing, usd(10), price(100), price(100)) == size("0.10")
    assert largest_buy(listing, usd(10), price(100), price("99.5")) is None


def test_a_sale_is_cut_to_whole_steps_and_dust_is_none():
    listing = product(size_step=d("0.01"), base_min=d("0.01"), quote_min=d(1))
    assert largest_sale(listing, size("1.239"), price(100)) == size("1.23")
    assert largest_sale(listing, size("0.009"), price(100)) is None
    assert largest_sale(listing, size("0.01"), price(99)) is None


def test_a_sale_above_the_venue_maximum_is_cut_to_it():
    assert largest_sale(product(base_max=d(5)), size(7), price(100)) == size(5)


def test_bounds_that_exclude_each_other_leave_no_size():
    impossible = product(base_max=d("0.001"), quote_min=d(10))
    assert smallest_legal(impossible, price(100)) is None
    assert get_min_gross_size(impossible, price(100), d("0.01")) is None
    assert largest_buy(impossible, usd(1000), price(100), price(100)) is None


def test_the_worst_of_known_and_feared_rates_is_assumed():
    assert assumed_rate(fee_tier("0.02", "0.001"), Percent(d("0.6")), Percent(d("1.2"))) == d("0.02")
    assert assumed_rate(fee_tier("0.001", "0.002"), Percent(d("0.6")), Percent(d("1.2"))) == d("0.012")


def test_the_fee_is_notional_times_rate():
    assert estimate_fee(product(), price(200), size("0.5"), d("0.012")) == usd("1.2")


@pytest.mark.parametrize("rate", ["-0.001", "NaN", "Infinity"])
def test_an_impossible_rate_is_refused(rate):
    with pytest.raises(UnitError, match="fee rate"):
        estimate_fee(product(), price(100), size(1), Decimal(rate))


def test_a_budget_in_the_wrong_currency_is_refused():
    with pytest.raises(UnitError, match="paid in USDC"):
        size_after_fees(product("BTC-USDC"), price(100), d(0), usd(100))


@pytest.mark.parametrize("amount", ["0", "-5"])
def test_no_budget_buys_nothing(amount):
    assert size_after_fees(product(), price(100), d(0), usd(amount)).is_zero
    assert net_of(product(), usd(amount), d(0)) == usd(0)
    assert largest_buy(product(), usd(amount), price(100), price(100)) is None
