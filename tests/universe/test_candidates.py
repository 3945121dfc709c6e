"""Which listings are watched, in which order, one for each book."""

from __future__ import annotations

import random
from typing import Any

import pytest

from bot.domain.product import Product, TradingMode
from bot.settings.universe import Universe
from bot.universe.candidates import candidates, twin
from tests.builders import d, pid, product


def universe(**changes: Any) -> Universe:
    tiers = {
        2: {"products": ["SOL-USD", "ADA-USD"]},
        1: {"products": ["ETH-USD", "BTC-USD"]},
    }
    return Universe.model_validate({"tiers": tiers, **changes})


def listing(name: str, volume: int | None = 1_000_000, alias: str | None = None, **changes: Any) -> Product:
    known = None if volume is None else d(volume)
    return product(name, quote_volume_24h=known, alias=pid(alias) if alias else None, **changes)


ALL = [listing(name) for name in ("ADA-USD", "BTC-USD", "DOGE-USD", "ETH-USD", "SOL-USD")]
DISCOVER = {"enabled": True, "tier": 2, "max_products": 2, "min_volume_24h": 1000}


def names(found: tuple[Product, ...]) -> list[str]:
    return [item.id for item in found]


def test_tiers_come_in_order_and_inside_a_tier_as_the_file_lists_them() -> None:
    assert names(candidates(ALL, universe())) == ["ETH-USD", "BTC-USD", "SOL-USD", "ADA-USD"]


def test_the_order_of_the_product_list_does_not_matter() -> None:
    expected = candidates(ALL, universe(discovery=DISCOVER))
    for seed in range(10):
        mixed = random.Random(seed).sample(ALL, len(ALL))
        assert candidates(mixed, universe(discovery=DISCOVER)) == expected


def test_what_the_venue_does_not_list_is_not_watched() -> None:
    assert names(candidates([listing("BTC-USD")], universe())) == ["BTC-USD"]


def test_discovery_takes_the_most_traded_products_of_no_tier() -> None:
    more = [listing("AAA-USD", 5_000), listing("BBB-USD", 9_000), listing("CCC-USD", 7_000), listing("DDD-USD", 9_000)]
    found = names(candidates([*ALL[:4], *more], universe(discovery={**DISCOVER, "max_products": 4})))
    assert found == ["ETH-USD", "BTC-USD", "ADA-USD", "DOGE-USD", "BBB-USD", "DDD-USD", "CCC-USD"]


@pytest.mark.parametrize(
    ("other", "taken"),
    [
        (listing("AAA-USD", 1000), True),
        (listing("AAA-USD", 999), False),
        (listing("AAA-USD", None), False),
        (listing("AAA-EUR", 5000), False),
        (listing("AAA-USD", 5000, mode=TradingMode.LIMIT_ONLY), False),
        (listing("AAA-USD", 5000, mode=TradingMode.CLOSED), False),
        (listing("BAD-USD", 5000), False),
    ],
)
def test_discovery_only_takes_what_could_be_entered(other: Product, taken: bool) -> None:
    rules = universe(discovery=DISCOVER, exclusions={"never_trade": ["BAD-USDC"]})
    assert (other.id in names(candidates([*ALL[:2], other], rules))) is taken


def test_without_discovery_nothing_is_discovered() -> None:
    assert "DOGE-USD" not in names(candidates(ALL, universe()))


def test_a_discovered_theme_member_has_its_place_among_the_discovered() -> None:
    rules = universe(themes={"meme": ["DOGE-USD", "SHIB-USD"]}, discovery={**DISCOVER, "max_products": 1})
    found = candidates([*ALL, listing("SHIB-USD", 500)], rules)
    assert names(found)[4:] == ["DOGE-USD", "SHIB-USD"]


def test_held_markets_are_watched_whatever_they_have_become() -> None:
    gone = listing("OLD-USD", None, mode=TradingMode.CLOSED)
    assert names(candidates([gone, *ALL], universe(), held=[pid("OLD-USD")]))[-1] == "OLD-USD"
    assert "OLD-USD" not in names(candidates([gone, *ALL], universe()))


USD, USDC = listing("BTC-USD"), listing("BTC-USDC", alias="BTC-USD")


@pytest.mark.parametrize("order", [[USD, USDC], [USDC, USD]])
@pytest.mark.parametrize(
    ("currencies", "taken"), [(["USD"], "BTC-USD"), (["USDC"], "BTC-USDC"), (["USDC", "USD"], "BTC-USDC")]
)
def test_of_two_listings_of_one_book_the_wanted_currency_is_taken(
    order: list[Product], currencies: list[str], taken: str
) -> None:
    for listed in (["BTC-USD"], ["BTC-USDC"], ["BTC-USD", "BTC-USDC"]):
        rules = Universe.model_validate({"quote_currencies": currencies, "tiers": {1: {"products": listed}}})
        assert names(candidates(order, rules)) == [taken]


def test_a_book_held_through_its_alias_is_watched_once() -> None:
    rules = Universe.model_validate({"tiers": {1: {"products": ["ETH-USD"]}}})
    for held in ("BTC-USD", "BTC-USDC"):
        assert names(candidates([USD, USDC], rules, held=[pid(held)])) == ["BTC-USD"]


def test_a_product_in_two_tiers_has_the_better_one() -> None:
    rules = Universe.model_validate({"tiers": {2: {"products": ["A-USD"]}, 1: {"products": ["B-USD", "A-USD"]}}})
    assert names(candidates([listing("A-USD"), listing("B-USD")], rules)) == ["B-USD", "A-USD"]


def test_a_book_listed_in_two_tiers_under_its_two_names_has_the_better_one() -> None:
    tiers = {1: {"products": ["ETH-USD", "BTC-USDC"]}, 2: {"products": ["BTC-USD", "SOL-USD"]}}
    rules = Universe.model_validate({"tiers": tiers})
    assert names(candidates([USD, USDC, *ALL[3:]], rules)) == ["ETH-USD", "BTC-USD", "SOL-USD"]


@pytest.mark.parametrize(("name", "other"), [("BTC-USD", "BTC-USDC"), ("BTC-USDC", "BTC-USD"), ("BTC-EUR", None)])
def test_usd_and_usdc_are_two_names_of_one_book(name: str, other: str | None) -> None:
    assert twin(pid(name)) == other
