"""How numbers are written into artifacts."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest.artifacts import _cut
from bot.domain.money import decimal_text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=16))
def test_an_amount_is_written_to_twelve_decimals_and_none_that_are_zero(amount):
    assert _cut(amount) == decimal_text(amount.quantize(Decimal("1E-12"), ROUND_HALF_EVEN))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"), ("-0.0000000000001", "0"), ("1E+3", "1000"), ("100.50", "100.5"), ("1E-12", "0.000000000001"),
        ("0.0000000000005", "0"), ("0.0000000000015", "0.000000000002"), ("-7.25", "-7.25"),
    ],
)  # fmt: skip
def test_amounts_are_plain_numbers_without_exponent_or_negative_zero(amount, text):
    assert _cut(Decimal(amount)) == text
