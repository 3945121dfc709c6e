"""The start proves that the configured universe can be watched within the budgets."""

from __future__ import annotations

from decimal import Decimal

from bot.adapters.coinbase.planner import Load, plan, warm_up_calls
from bot.domain.bars import Granularity
from bot.domain.value import replace
from bot.settings.policy import RateLimitsPolicy

LOAD = Load(
    markets=20,
    cycle_s=Decimal(60),
    granularity=Granularity.ONE_MINUTE,
    product_s=Decimal(900),
    clock_s=Decimal(60),
    quotes_by_rest=20,
)


def test_twenty_products_a_minute_fit_the_defaults_even_without_a_feed() -> None:
    found = plan(LOAD, RateLimitsPolicy())
    assert found.fits
    assert found.public_per_minute == 41
    assert found.private_per_minute == Decimal("24.2")


def test_a_universe_that_cannot_be_watched_says_which_budget_breaks() -> None:
    found = plan(replace(LOAD, markets=150, quotes_by_rest=150), RateLimitsPolicy())
    assert not found.fits
    assert any("an hour" in problem for problem in found.problems)
    assert any("public" in problem for problem in found.problems)


def test_long_bars_are_not_fetched_every_cycle() -> None:
    hourly = replace(LOAD, granularity=Granularity.ONE_HOUR, quotes_by_rest=0)
    assert plan(hourly, RateLimitsPolicy()).public_per_minute < 2


def test_warm_up_counts_whole_pages() -> None:
    assert warm_up_calls(markets=3, bars=301) == 6
