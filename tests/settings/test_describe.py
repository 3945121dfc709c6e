"""A rule in one sentence says when it buys, how much, and how it gets out."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings.describe import describe, duration
from bot.settings.load import load_config
from bot.settings.rules import Rule

SHIPPED = load_config(Path(__file__).resolve().parents[2] / "config").policy.rules


def test_a_whole_rule() -> None:
    assert describe(SHIPPED[0]) == (
        "breakout_with_volume: on a breakout and a volume spike and a fast price move up (pct_15m 0.8, pct_60m 1.5), "
        "buys a product in tier 1, 2 or 3 while the market is bull or chop for the tier's base size, "
        "scaled by volatility; sells at a loss of 4 %, at a gain of 9 %, below its high by 5 % or after 2 days; "
        "at most 10 % of NLV at risk and 1 new a cycle."
    )


def test_the_barest_rule() -> None:
    rule = Rule.model_validate({"name": "bare", "when": {"any": ["momentum"]}, "scale_by_volatility": False})
    assert describe(rule) == (
        "bare: on momentum, buys a product in any tier in any market for the tier's base size; has no exit of its own; "
        "no budget of its own and 1 new a cycle."
    )


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ({"any": ["momentum", "reversal", "breakout"]}, "on momentum, a reversal or a breakout, buys"),
        ({"all": ["momentum"], "any": ["reversal", "breakout"]}, "on momentum and (a reversal or a breakout), buys"),
        ({"all": ["momentum"], "none": ["reversal"]}, "on momentum but not on a reversal, buys"),
        ({"all": ["momentum", {"none": ["reversal"]}]}, "on momentum and (the absence of a reversal), buys"),
        ({"all": [{"any": ["momentum", "reversal"]}]}, "on (momentum or a reversal), buys"),
        (
            {"all": [{"price_move": {"pct_15m": None, "direction": "down"}}]},
            "a fast price move down (pct_15m off), buys",
        ),
        ({"all": [{"mean_reversion": {"tiers": [1, 2]}}]}, "a price far below its mean (tiers 1, 2), buys"),
    ],
)
def test_conditions_read_as_they_are_joined(when: dict[str, object], said: str) -> None:
    assert said in describe(Rule.model_validate({"name": "a", "when": when}))


@pytest.mark.parametrize(
    ("size", "said"),
    [("tier", "for the tier's base size"), ({"usd": "50.50"}, "for 50.5 USD"), ({"pct_of_nlv": "2"}, "for 2 % of NLV")],
)
def test_the_size_is_said(size: object, said: str) -> None:
    assert said in describe(Rule.model_validate({"name": "a", "when": {"all": ["momentum"]}, "size": size}))


def test_a_disabled_rule_says_so_first() -> None:
    assert [describe(rule).startswith("(disabled) ") for rule in SHIPPED] == [False, True, True, True]


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(1, "1 minute"), (90, "90 minutes"), (60, "1 hour"), (360, "6 hours"), (1440, "1 day"), (2880, "2 days")],
)
def test_durations_use_the_largest_unit_that_divides_them(minutes: int, said: str) -> None:
    assert duration(minutes) == said
