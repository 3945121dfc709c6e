"""Product ids have one maker; sizes and prices are legal or refused, never bumped up."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import Money, Price, Size, is_multiple
from bot.domain.product import Product, ProductId, Side, TradingMode
from bot.domain.value import replace
from bot.errors import UnitError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BTC = Product(
    id=ProductId("BTC-USD"), base="BTC", quote="USD", price_step=Decimal("0.01"), size_step=Decimal("0.00000001"),
    quote_step=Decimal("0.01"), base_min=Decimal("0.00000001"), base_max=Decimal(3400), quote_min=Decimal(1),
    quote_max=Decimal(150_000_000), mode=TradingMode.NORMAL, mode_reason="", as_of=NOW,
)  # fmt: skip
prices = st.decimals(min_value="0.01", max_value=200_000, places=4).map(Price)
budgets = st.decimals(min_value=0, max_value=1_000_000, places=2).map(lambda amount: Money(amount, "USD"))


@pytest.mark.parametrize("text", ["BTC-USD", "BTCUSD", "btc/usd", "BTC_USD", " btc usd ", "btcusd"])
def test_every_usual_spelling_is_the_same_product(text):
    assert ProductId.parse(text) == "BTC-USD"


@pytest.mark.parametrize(
    "text", ["", "BTC", "USD", "BTC-", "-USD", "BTC-USD-EUR", "B T C-USD", "BTC\u2212USD", "x" * 99]
)
def test_garbage_is_no_product(text):
    with pytest.raises(UnitError, match="product id"):
        ProductId.parse(text)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda id_: pickle.loads(pickle.dumps(id_))])
def test_a_copy_of_a_product_id_still_knows_what_is_traded_for_what(again):
    same = again(ProductId("BTC-USDC"))
    assert (same, same.base, same.quote) == ("BTC-USDC", "BTC", "USDC")


def test_usdc_is_not_read_as_usd_with_a_c():
    assert ProductId.parse("BTCUSDC") == "BTC-USDC"
    assert (ProductId("BTC-USDC").base, ProductId("BTC-USDC").quote) == ("BTC", "USDC")


def test_an_alias_trades_on_the_one_book():
    alias = replace(BTC, id=ProductId("BTC-USDC"), quote="USDC", alias=ProductId("BTC-USD"))
    assert alias.market == BTC.market == "BTC-USD"


@given(prices)
def test_passive_prices_never_cross_what_was_asked(price):
    assert BTC.passive(price, Side.BUY) <= price if price.value >= Decimal("0.01") else True
    assert BTC.passive(price, Side.SELL) >= price
    assert BTC.aggressive(price, Side.BUY) >= price
    assert is_multiple(BTC.passive(price, Side.SELL).value, BTC.price_step)


@given(budgets, prices)
def test_the_largest_size_within_a_budget_is_legal_and_affordable(budget, price):
    size = BTC.largest_within(budget, price)
    if size is not None:
        assert BTC.notional(price, size) <= budget
        assert BTC.illegal(BTC.passive(price, Side.BUY), size) is None
        one_more = Size(size.value + BTC.size_step)
        assert BTC.notional(price, one_more) > budget or one_more.value > BTC.base_max


@pytest.mark.parametrize(
    ("price", "size", "word"),
    [("1.005", "1", "price"), ("1", "0.000000001", "size"), ("1", "0", "outside"), ("1", "3401", "outside"),
     ("0.5", "1", "notional")],
)  # fmt: skip
def test_illegal_orders_say_why(price, size, word):
    assert word in (BTC.illegal(Price(Decimal(price)), Size(Decimal(size))) or "")


@given(
    st.integers(1, 40), st.integers(0, 40),
    st.tuples(st.integers(0, 30), st.integers(1, 30)), st.tuples(st.integers(0, 900), st.integers(1, 900)),
)  # fmt: skip
def test_what_fits_is_legal_and_what_does_not_is_refused_for_the_bound_it_breaks(price, size, base, quote):
    small = replace(
        BTC, price_step=Decimal(1), size_step=Decimal(1), base_min=Decimal(base[0]), base_max=Decimal(base[1]),
        quote_min=Decimal(quote[0]), quote_max=Decimal(quote[1]),
    )  # fmt: skip
    sized = size > 0 and base[0] <= size <= base[1]
    paid = quote[0] <= price * size <= quote[1]
    why = small.illegal(Price(Decimal(price)), Size(Decimal(size)))
    assert small.fits(Price(Decimal(price)), Size(Decimal(size))) == (why is None) == (sized and paid)
    assert why is None or why.split()[0] == ("notional" if sized else "size")


def test_a_budget_below_the_minimum_buys_nothing_rather_than_the_minimum():
    assert BTC.largest_within(Money(Decimal("0.99"), "USD"), Price(Decimal(50_000))) is None


def test_steps_that_are_no_power_of_ten_work():
    odd = replace(BTC, price_step=Decimal("0.25"), size_step=Decimal(5), base_max=Decimal(100))
    assert odd.passive(Price(Decimal("1.30")), Side.BUY).value == Decimal("1.25")
    assert odd.floor_size(Size(Decimal(14))).value == 10


def test_a_product_with_a_zero_step_cannot_exist():
    with pytest.raises(UnitError, match="size_step must be positive"):
        replace(BTC, size_step=Decimal(0))
