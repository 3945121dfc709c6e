"""Why a rule wanted nothing, worked out afterwards from the bars and the configuration the cycle had."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.cli.desk import Desk

SPIKE: dict[str, Any] = {"trigger": "volume_spike", "overrides": {"ratio_1h_vs_24h": "0.1"}}
HUGE: dict[str, Any] = {"trigger": "volume_spike", "overrides": {"ratio_1h_vs_24h": "99"}}
FAR: dict[str, Any] = {"trigger": "price_move", "overrides": {"pct_15m": "90", "pct_60m": None}}


def decided_by(desk: Desk, **changes: Any) -> None:
    """As if the newest cycle had been decided by this rule alone."""
    (file,) = (desk.state_dir / "configs").iterdir()
    kept = json.loads(file.read_text())
    kept["policy"]["rules"] = [kept["policy"]["rules"][0] | {"max_new_per_cycle": 2} | changes]
    file.write_text(json.dumps(kept))


def lacking(desk: Desk, *product: str) -> list[str]:
    found = desk.json("explain", "last", *product)["lacking"]
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize(
    ("when", "wanted"),
    [
        ({"all": [HUGE]}, r"lacks volume_spike: volume [\d.]+ times the day's average hour \(at least 99 asked\)"),
        ({"all": [SPIKE, FAR]}, r"BTC-USD lacks price_move: r_15m -?[\d.]+ % \(more than 90 % asked\)$"),
        ({"all": [HUGE, FAR]}, r"lacks volume_spike: .*; and price_move: "),
        ({"any": [HUGE, FAR]}, r"lacks one of volume_spike: .* or price_move: "),
        ({"all": [SPIKE], "none": [SPIKE]}, r"lacks the absence of volume_spike: volume [\d.]+ .*at least 0.1 asked"),
        ({"all": [{"all": [SPIKE, {"any": [FAR]}]}]}, r"lacks one of price_move: r_15m"),
        ({"all": [{"trigger": "momentum", "overrides": {"enabled": False}}]}, r"momentum: switched off"),
    ],
)  # fmt: skip
def test_the_condition_that_failed_is_named_with_its_number_and_its_limit(copied: Desk, when: Any, wanted: str) -> None:
    decided_by(copied, when=when)
    [line] = lacking(copied, "BTC-USD")
    assert line.startswith("any_volume: BTC-USD lacks ")
    assert re.search(wanted, line), line
    assert copied.run("explain", "last", "BTC-USD") == 0
    assert f"  {line}" in copied.out


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({"enabled": False}, "any_volume: switched off (enabled: false)"),
        ({"regimes": ["bear"]}, "any_volume: speaks only in bear, the regime is chop"),
        ({"tiers": [3]}, "any_volume: BTC-USD lacks tier 1 (one of 3 asked, rules.*.tiers)"),
        ({"when": {"all": [SPIKE]}}, "any_volume: holds wherever it was tried"),
    ],
)
def test_a_rule_that_was_not_asked_says_by_which_key(copied: Desk, change: Any, wanted: str) -> None:
    decided_by(copied, **change)
    assert lacking(copied, "BTC-USD") == [wanted]


def test_without_a_product_each_rule_shows_the_nearest_and_how_many_are_further(copied: Desk) -> None:
    decided_by(copied, when={"all": [HUGE]})
    eligible = copied.json("explain")["eligible"]
    lines = lacking(copied)
    assert len(lines) == min(len(eligible), 5)
    assert all("lacks volume_spike" in line for line in lines[:4])
    if len(eligible) > 4:
        assert f"{len(eligible) - 4} more lack as much or more" in lines[-1]


def test_bars_that_are_gone_are_said_to_be_gone(copied: Desk) -> None:
    for file in (copied.state_dir / "bars").iterdir():
        file.unlink()
    [line] = lacking(copied)
    assert line.startswith("what the cycle saw can no longer be told: the bars of ")


def test_nothing_is_said_of_rules_that_could_not_be_asked(copied: Desk) -> None:
    """A crash opens nothing, so no condition of a rule kept anything from being bought."""
    cycle = copied.json("explain")["cycle_id"]
    file = copied.state_dir / "cycles" / f"{cycle}.json"
    file.write_text(file.read_text().replace('"regime":"chop"', '"regime":"crash"'))
    assert lacking(copied) == []
