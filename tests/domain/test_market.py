"""Quotes and books: never crossed, depth counted honestly, walks that end where the book ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.market import Book, Level, Quote
from bot.domain.money import Money, Price, Size
from bot.domain.product import ProductId, Side
from bot.errors import UnitError

T0 = datetime(2026, 1, 1, tzinfo=UTC)
BTC = ProductId("BTC-USD")


def level(price: str, size: str) -> Level:
    return Level(Price(Decimal(price)), Size(Decimal(size)))


BOOK = Book(BTC, (level("99", "1"), level("98", "2")), (level("101", "1"), level("103", "2")), T0)


@pytest.mark.parametrize("ask", ["100", "99"])
def test_a_locked_or_crossed_quote_cannot_exist(ask):
    one = Size(Decimal(1))
    with pytest.raises(UnitError, match="crossed"):
        Quote(BTC, Price(Decimal(100)), Price(Decimal(ask)), one, one, T0)


def test_spread_and_mid():
    quote = BOOK.quote()
    assert quote is not None
    assert quote.mid == Price(Decimal(100))
    assert quote.spread_bps == 200
    assert (quote.touch(Side.BUY), quote.cross(Side.BUY)) == (quote.bid, quote.ask)


def test_age_counts_from_the_evidence_and_is_never_negative():
    quote = BOOK.quote()
    assert quote is not None
    assert quote.age_s(T0 + timedelta(seconds=3)) == 3.0
    assert quote.age_s(T0 - timedelta(seconds=3)) == 0.0


def test_a_one_sided_book_has_no_quote_and_no_depth():
    half = Book(BTC, (level("99", "1"),), (), T0)
    assert half.quote() is None
    assert half.depth(Side.SELL, Decimal(20), "USD") == Money.zero("USD")


def test_depth_counts_what_a_taker_would_meet_within_the_band():
    assert BOOK.depth(Side.BUY, Decimal(100), "USD").amount == 101
    assert BOOK.depth(Side.BUY, Decimal(300), "USD").amount == 101 + 206
    assert BOOK.depth(Side.SELL, Decimal(99), "USD").amount == 0


def test_walking_past_the_end_says_how_little_was_there():
    walk = BOOK.walk(Side.BUY, Size(Decimal(10)))
    assert walk.filled == Size(Decimal(3))
    assert walk.worst == Price(Decimal(103))


@given(st.decimals(min_value="0.00000001", max_value=3, places=8))
def test_the_average_lies_between_best_and_worst(size):
    walk = BOOK.walk(Side.SELL, Size(size))
    assert walk.filled.value == size
    assert walk.average is not None
    assert walk.worst is not None
    assert walk.worst <= walk.average <= Price(Decimal(99))
