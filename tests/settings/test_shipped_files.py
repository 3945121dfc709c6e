"""The files we ship are the models' defaults, every key is written out, and every key is explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from bot.settings import sanity, strict_yaml
from bot.settings.load import load_config
from bot.settings.policy import Policy
from bot.settings.universe import Universe

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHIPPED = load_config(CONFIG)

OURS = {"policy.yaml": {"rules"}, "universe.yaml": {"tiers", "themes", "exclusions"}}
"""What ships with content although the model's default is empty."""

FILES = [("policy.yaml", Policy), ("universe.yaml", Universe)]


def keys(model: BaseModel, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every key of a section, nested sections and lists of sections included."""
    for name in type(model).model_fields:
        yield (*path, name)
        yield from inner_keys(getattr(model, name), (*path, name))


def inner_keys(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, BaseModel) and path[-1] not in {"when", "size"}:
        yield from keys(value, path)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from inner_keys(item, (*path, name))
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from inner_keys(item, (*path, number))


def written(file: str) -> strict_yaml.Document:
    return strict_yaml.read(file, (CONFIG / file).read_bytes())


def test_the_shipped_files_have_nothing_to_warn_of() -> None:
    assert sanity.warnings(SHIPPED) == []


@pytest.mark.parametrize(("file", "model"), FILES)
def test_shipped_values_are_the_defaults(file: str, model: type[BaseModel]) -> None:
    """A default written twice would one day be two defaults."""
    default, shipped = model(), getattr(SHIPPED, model.__name__.lower())
    differing = {name for name in model.model_fields if getattr(default, name) != getattr(shipped, name)}
    assert differing == OURS[file]


def test_only_the_list_of_stable_coins_is_added_to_the_exclusions() -> None:
    shipped = SHIPPED.universe.exclusions
    assert shipped.never_trade
    assert shipped.model_copy(update={"never_trade": ()}) == Universe().exclusions


@pytest.mark.parametrize(("file", "model"), FILES)
def test_every_key_stands_in_the_file(file: str, model: type[BaseModel]) -> None:
    expected = set(keys(getattr(SHIPPED, model.__name__.lower())))
    assert len(expected) > 20
    assert expected - set(written(file).lines) == set()


@pytest.mark.parametrize(("file", "model"), FILES)
def test_sections_stand_in_the_order_of_the_model(file: str, model: type[BaseModel]) -> None:
    assert list(written(file).value) == list(model.model_fields)


REPEATED = re.compile(
    r"^ +(enabled|threshold|window_seconds|cooloff_seconds|reset|exits_allowed|cancel_entries|by_regime):"
)
PLAIN = re.compile(
    r"^ *(public_per_second|connect_timeout_seconds|read_timeout_seconds|orders_per_\w+|notional_per_day_usd"
    r"|check_seconds|breakers|worst_taker_pct|maker_pct|taker_pct|max_products|USD|USDC|bull|chop|bear|crash|quote_currency|[123]):"
)
"""Keys whose name says all, or that a comment above or beside explains as a group."""


def test_every_key_is_explained() -> None:
    """Each line that sets a key has a comment beside it, above it, or in its section's head."""
    lines = (CONFIG / "policy.yaml").read_text("utf-8").splitlines()
    rules = range(lines.index("rules:"), next(n for n, line in enumerate(lines) if line.startswith("exits:")))
    bare = [
        line
        for number, line in enumerate(lines)
        if re.match(r"^ +\w+:", line) and "#" not in line and number not in rules
        if not REPEATED.match(line) and not PLAIN.match(line)
    ]
    assert bare == []


@pytest.mark.parametrize("file", ["policy.yaml", "universe.yaml"])
def test_lines_fit_a_terminal(file: str) -> None:
    assert [line for line in (CONFIG / file).read_text("utf-8").splitlines() if len(line) > 140] == []


def test_the_recorded_products_can_all_be_traded() -> None:
    listed = {product for tier in SHIPPED.universe.tiers.values() for product in tier.products}
    recorded = "ADA ATOM AVAX BCH BTC DOGE DOT ETH FIL LINK LTC MATIC SOL VET XLM XRP"
    assert listed >= {f"{coin}-USD" for coin in recorded.split(" ")}


def test_every_listed_product_has_a_theme() -> None:
    """A coin in no theme would escape the cap on what falls together."""
    universe = SHIPPED.universe
    listed = {product for tier in universe.tiers.values() for product in tier.products}
    assert {product for product in listed if not universe.themes_of(product)} == set()
