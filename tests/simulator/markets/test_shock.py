"""A crash on demand: prices jump at a moment, and everything shown agrees on it."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from simulator.markets.generator import GeneratedMarket
from simulator.markets.listing import default_listings
from simulator.markets.shock import ShockedMarket
from tests.simulator.markets.test_path import candle_of

START = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture
def plain() -> GeneratedMarket:
    return GeneratedMarket(default_listings(2), START, 3)


def test_without_a_shock_it_is_the_market_itself(plain: GeneratedMarket) -> None:
    market = ShockedMarket(plain)
    product = market.listings[0].id
    assert market.trades(product, market.start) == plain.trades(product, plain.start)
    wanted = [column.tolist() for column in plain.history(product, 0, plain.start + 600).columns()]
    assert [column.tolist() for column in market.history(product, 0, plain.start + 600).columns()] == wanted


def test_a_crash_moves_every_later_price_and_no_earlier_one(plain: GeneratedMarket) -> None:
    market = ShockedMarket(plain)
    product, other = (listing.id for listing in market.listings)
    at_us = (market.start + 90) * 1_000_000
    market.shock(product, at_us, Fraction(7, 10))
    for minute in range(market.start, market.start + 300, 60):
        pairs = zip(plain.trades(product, minute), market.trades(product, minute), strict=True)
        for before, after in pairs:
            expected = before.ticks * 0.7 if before.at_us > at_us else before.ticks
            assert abs(after.ticks - expected) <= 0.5
            assert (after.at_us, after.lots) == (before.at_us, before.lots)
        assert market.trades(other, minute) == plain.trades(other, minute)


def test_candles_with_the_shock_in_them_are_still_their_trades(plain: GeneratedMarket) -> None:
    market = ShockedMarket(plain)
    product = market.listings[0].id
    for second, factor in ((90, Fraction(7, 10)), (200, Fraction(3, 2))):
        market.shock(product, (market.start + second) * 1_000_000, factor)
    for candle in market.history(product, market.start, market.start + 300).candles():
        assert candle_of(market.trades(product, candle.start), candle.start) == candle


def test_a_factor_that_is_not_positive_is_refused(plain: GeneratedMarket) -> None:
    with pytest.raises(ValueError, match="positive factor, was 0"):
        ShockedMarket(plain).shock(plain.listings[0].id, 0, Fraction(0))
