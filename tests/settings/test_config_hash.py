"""The hash says whether the rules are the same, not whether the files are."""

from __future__ import annotations

import copy
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.settings.config import Config
from bot.settings.load import build, load_config, parse_config
from bot.settings.policy import Policy
from bot.settings.strict_yaml import Document
from bot.settings.universe import Universe
from tests.settings.texts import UNIVERSE

CONFIG = Path(__file__).resolve().parents[2] / "config"
SHIPPED = load_config(CONFIG)
TEXT = (CONFIG / "policy.yaml").read_text("utf-8")


def hash_of(policy: str) -> str:
    return parse_config(policy.encode(), UNIVERSE).config_hash


def written(value: Any, draw: st.DataObject) -> str:
    """A value as flow YAML, numbers with any number of zeros after them and keys in any order."""
    if isinstance(value, dict):
        keys = draw.draw(st.permutations(sorted(value, key=str)))
        return "{" + ", ".join(f"{key}: {written(value[key], draw)}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(item, draw) for item in value) + "]"
    if isinstance(value, float):
        return f"{value}{'0' * draw.draw(st.integers(0, 5))}"
    return yaml.safe_dump(value).removesuffix("...\n").strip()


PARTS: dict[str, Any] = {
    "risk": {"max_total_pct": 20.5, "daily_stop_pct": None, "max_open_positions": 4},
    "loop": {"interval_seconds": 30.25},
    "regime": {"size_multipliers": {"bull": 1.5, "chop": 1.0, "bear": 0.5, "crash": 0.0}},
    "triggers": {"breakout": {"by_regime": {"bear": {"breakout_full_score_pct": 3.5}}}},
    "rules": [
        {
            "name": "buy",
            "when": {"all": [{"volume_spike": {"ratio_1h_vs_24h": 2.5}}, "breakout"]},
            "stop_loss_pct": 6.5,
        }
    ],
}


@given(st.data())
def test_order_and_zeros_and_layout_change_nothing(data: st.DataObject) -> None:
    assert hash_of(written(PARTS, data)) == hash_of(yaml.safe_dump(PARTS))


@settings(max_examples=30)
@given(st.integers(0, 430), st.sampled_from(["# a note", "", "   "]))
def test_comments_and_blank_lines_change_nothing(at: int, line: str) -> None:
    lines = TEXT.splitlines()
    lines.insert(min(at, len(lines)), line)
    universe = (CONFIG / "universe.yaml").read_bytes()
    assert parse_config("\n".join([*lines, ""]).encode(), universe).config_hash == SHIPPED.config_hash


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("loop: {interval_seconds: 30}", "loop: {interval_seconds: 30.000}"),
        ("risk: {max_total_pct: 20}", "risk: {max_total_pct: 20.0}"),
        ("loop: {}", "rules: []"),
        ("risk: {max_total_pct: 25}", "rules: []"),
        (
            "rules: [{name: a, stop_loss_pct: 6, when: {all: [momentum]}}]",
            "rules: [{name: a, stop_loss_pct: 6, size: tier, when: {all: [{trigger: momentum}], any: []}}]",
        ),
        (
            "rules: [{name: a, stop_loss_pct: 6, when: {all: [{volume_spike: {ratio_1h_vs_24h: 3}}]}}]",
            "rules: [{name: a, stop_loss_pct: 6, when: {all: [{volume_spike: {ratio_1h_vs_24h: 3.00}}]}}]",
        ),
        (
            "triggers: {breakout: {by_regime: {bear: {breakout_full_score_pct: 3}}}}",
            "triggers: {breakout: {by_regime: {bear: {breakout_full_score_pct: 3.0}}}}",
        ),
    ],
)
def test_the_same_rules_written_differently_have_one_hash(one: str, other: str) -> None:
    assert hash_of(one) == hash_of(other)


def test_what_was_dumped_reads_back_as_the_same_configuration() -> None:
    policy, universe = SHIPPED.policy.model_dump(mode="json"), SHIPPED.universe.model_dump(mode="json")
    again = build(Document("policy.yaml", policy), Document("universe.yaml", universe))
    assert again.config_hash == SHIPPED.config_hash
    assert again == SHIPPED


DUMPED = {"policy": SHIPPED.policy.model_dump(mode="json"), "universe": SHIPPED.universe.model_dump(mode="json")}
COUPLED: dict[str, list[Any]] = {
    "size": [{"usd": "7"}, {"pct_of_nlv": "1"}],
    "when": [{"any": ["reversal"]}],
    "by_regime": [{"bear": {"enabled": False}}],
}
"""Keys whose parts only change together, and other values for them."""


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if value and not (path and path[-1] in COUPLED):
        if isinstance(value, dict):
            return [leaf for key, item in value.items() for leaf in leaves(item, (*path, key))]
        if isinstance(value, list):
            return [leaf for number, item in enumerate(value) for leaf in leaves(item, (*path, number))]
    return [path]


def test_any_single_value_is_in_the_hash() -> None:
    """Whatever a decision may depend on, a changed value is another hash."""
    paths = leaves(DUMPED)
    assert len(paths) > 300
    hashes = {path: hash_with_another(path) for path in paths}
    assert [path for path, found in hashes.items() if found in {None, SHIPPED.config_hash}] == []


def hash_with_another(path: tuple[str | int, ...]) -> str | None:
    """The hash of the shipped configuration with one value changed to the first other one that the key takes."""
    document = copy.deepcopy(DUMPED)
    *around, last = path
    place: Any = document
    for part in around:
        place = place[part]
    for candidate in COUPLED.get(str(last)) or candidates(place[last]):
        place[last] = candidate
        try:
            return Config(
                Policy.model_validate(document["policy"]), Universe.model_validate(document["universe"])
            ).config_hash
        except ValidationError:
            continue
    return None


def candidates(value: Any) -> list[Any]:
    """Other values, at least one of which the key takes."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, str) and value.replace(".", "").replace("-", "").isdigit():
        return [str(Decimal(value) + Decimal("0.5")), str(Decimal(value) - Decimal("0.5"))]
    words = ["12345678-1234-1234-1234-123456789012", "other_word", "up", "bear", "chop", "ZZZ-USD", "product", "latch"]
    words += ["limit_ioc", "leave", "flatten", "touch", "fixed", "fifo", "stop_limit", "FIVE_MINUTE", "EUR", "minor"]
    lists: list[Any] = [["ZZZ-USD"], ["other"], [3], ["chop"], [{"product": "A-USD", "kind": "x"}]]
    return [other for other in [*words, *lists, [{"path": "/x", "per_second": 1}], "7", 7] if other != value]
