"""Numbers enter in one form, units never mix, and rounding never favours us."""

from __future__ import annotations

import itertools
import operator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import (
    EXACT,
    Money,
    Percent,
    Price,
    Size,
    ceil_to,
    decimal_text,
    floor_to,
    is_multiple,
    parse_decimal,
)
from bot.errors import UnitError

steps = st.sampled_from([Decimal(s) for s in ("0.00000001", "0.01", "0.25", "0.1", "1", "5", "0.0005")])
amounts = st.decimals(min_value=0, max_value=10**9, places=10, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    "text",
    ["NaN", "Infinity", "-Infinity", "1e-8", "1E+400", "1_000", "\uff11\uff12", " 1", "1 ", "", ".5", "5.", "+1",
     "0x10",
     "1" * 60, "0." + "1" * 60, "--1", "1,5"],
)  # fmt: skip
def test_what_a_venue_never_means_is_refused(text):
    with pytest.raises(UnitError, match="price must be a plain decimal"):
        parse_decimal(text, "price")


@pytest.mark.parametrize("value", [1.5, 1, None, True, b"1", ["1"], Decimal("NaN")])
def test_only_text_becomes_a_number(value):
    with pytest.raises(UnitError):
        parse_decimal(value, "size")


def test_plain_text_keeps_every_digit():
    assert parse_decimal("21220.6399999973697697", "price") == Decimal("21220.6399999973697697")
    assert parse_decimal("-0.5", "change") == Decimal("-0.5")


@pytest.mark.parametrize(
    ("value", "text"), [("1E-8", "0.00000001"), ("1E+3", "1000"), ("1.500", "1.5"), ("0.00", "0"), ("-0.0", "0")]
)
def test_numbers_are_written_in_fixed_point(value, text):
    assert decimal_text(Decimal(value)) == text


@given(amounts)
def test_writing_and_reading_a_number_changes_nothing(value):
    assert parse_decimal(decimal_text(value), "x") == value


@given(amounts, steps)
def test_rounding_stays_within_one_step_on_the_right_side(value, step):
    low, high = floor_to(value, step), ceil_to(value, step)
    assert low <= value <= high
    assert value - low < step
    assert high - value < step
    assert is_multiple(low, step)
    assert is_multiple(high, step)


def test_the_float_trap_of_029_over_001_does_not_exist():
    assert floor_to(Decimal("0.29"), Decimal("0.01")) == Decimal("0.29")


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_a_price_is_positive_and_finite(value):
    with pytest.raises(UnitError, match="price must be a positive"):
        Price(Decimal(value))


def test_a_size_may_be_zero_but_never_negative():
    assert Size.zero().is_zero
    with pytest.raises(UnitError, match="size must be"):
        Size(Decimal(1)) - Size(Decimal(2))


def test_dollars_and_usdc_are_two_currencies():
    usd, usdc = Money(Decimal(1), "USD"), Money(Decimal(1), "USDC")
    for mix in (lambda: usd + usdc, lambda: usd - usdc, lambda: usd < usdc, lambda: usd.over(usdc)):
        with pytest.raises(UnitError, match="cannot mix USD with USDC"):
            mix()


@given(amounts, amounts)
def test_money_adds_without_losing_a_digit(a, b):
    assert (Money(a, "USD") + Money(b, "USD") - Money(b, "USD")).amount == a


def test_a_budget_rounds_towards_zero():
    assert Money(Decimal("1.239"), "USD").rounded_down().amount == Decimal("1.23")
    assert Money(Decimal("-1.239"), "USD").rounded_down().amount == Decimal("-1.23")


def test_percent_is_on_the_0_to_100_scale():
    assert Percent(Decimal(3)).of(Money(Decimal(200), "USD")) == Money(Decimal(6), "USD")
    assert Percent.ratio(Money(Decimal(6), "USD"), Money(Decimal(200), "USD")).value == 3
    with pytest.raises(UnitError, match="divide"):
        Percent.ratio(Money(Decimal(1), "USD"), Money.zero("USD"))


@given(st.decimals(min_value="0.00000001", max_value=10**7, places=8), st.integers(-5000, 5000))
def test_shifting_a_price_and_measuring_the_shift_agree(value, bps):
    price = Price(value)
    assert price.distance_bps(price.shifted(Decimal(bps))) == pytest.approx(Decimal(bps), abs=Decimal("1e-20"))


def test_products_of_long_numbers_are_exact():
    assert EXACT.multiply(Decimal("0.0046830664333996"), Decimal("0.006")) == Decimal("0.0000280983986003976")


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
def test_a_price_is_neither_more_nor_less_than_a_size_or_a_percentage(compare):
    one = Decimal(1)
    for left, right in itertools.permutations((Price(one), Size(one), Percent(one)), 2):
        with pytest.raises(TypeError, match="not supported"):
            compare(left, right)


@given(amounts, amounts)
def test_percentages_are_ordered_as_their_numbers_are(a, b):
    one, other = Percent(a), Percent(b)
    assert (one < other, one <= other, one > other, one >= other) == (a < b, a <= b, a > b, a >= b)
