"""What people write in other words loads as the same configuration; what means nothing known is refused by name."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.settings.config import Config
from bot.settings.load import load_config, parse_config
from tests.settings.texts import refused

UNIVERSE = "tiers: {1: {products: [BTC-USD]}, 2: {products: [ETH-USD]}}"


def read(policy: str = "{}", universe: str = UNIVERSE) -> Config:
    return parse_config(f"{policy}\n".encode(), f"{universe}\n".encode())


def rule(parts: str) -> str:
    """A policy of one rule, without `when` and `size` unless given."""
    when = "" if "when:" in parts else "when: {all: [breakout]}, "
    return f"rules: [{{name: buy, stop_loss_pct: 5, {when}{parts}}}]"


SAME = {
    "a trigger named by its kind": ("when: {all: [{breakout: {}}]}", "when: {all: [{kind: breakout}]}"),
    "a trigger with nothing to say": ("when: {all: [breakout]}", "when: {all: [{breakout: true}]}"),
    "parameters beside the trigger": (
        "when: {all: [{price_move: {pct_15m: 1, direction: up}}]}",
        "when: {all: [{trigger: price_move, pct_15m: 1, direction: up}]}",
    ),
    "parameters below the trigger": (
        "when: {any: [{price_move: {pct_15m: 1}}, momentum]}",
        "when: {any: [{kind: price_move, params: {pct_15m: 1}}, {trigger: momentum, overrides: {}}]}",
    ),
    "triggers as a mapping": (
        "when: {all: [{price_move: {pct_15m: 1}}, breakout]}",
        "when: {all: {price_move: {pct_15m: 1}, breakout: null}}",
    ),
    "one trigger without a list": ("when: {any: [momentum]}", "when: {any: momentum}"),
    "a list that must all hold": ("when: {all: [momentum, breakout]}", "when: [momentum, breakout]"),
    "one trigger and nothing else": ("when: {all: [momentum]}", "when: momentum"),
    "the tier's size": ("size: tier", "size: {tier: true}"),
    "the tier's size by its kind": ("size: tier", "size: {type: tier_base}"),
    "a share of NLV": ("size: {pct_of_nlv: 2}", "size: {nlv_pct: 2.0}"),
    "a share of NLV by its kind": ("size: {pct_of_nlv: 2}", "size: {kind: pct, value: 2}"),
    "dollars": ("size: {usd: 50}", "size: {kind: usd, value: '50'}"),
    "tiers and regimes without lists": ("tiers: [1], regimes: [chop]", "tiers: tier1, regimes: chop"),
    "numbers as texts": ("max_hold_minutes: 60, tiers: [1, 2]", "max_hold_minutes: 60.0, tiers: ['1', '2']"),
}


@pytest.mark.parametrize(("usual", "other"), SAME.values(), ids=SAME.keys())
def test_a_rule_in_other_words_is_the_same_rule(usual: str, other: str) -> None:
    assert read(rule(usual)).config_hash == read(rule(other)).config_hash


@pytest.mark.parametrize(
    ("usual", "other"),
    [
        ("data: {bar_granularity: ONE_MINUTE}", "data: {bar_granularity: 1m}"),
        ("data: {bar_granularity: FIVE_MINUTE}", "data: {bar_granularity: 300}"),
        ("data: {bar_granularity: ONE_HOUR}", "data: {bar_granularity: 1h}"),
        ("execution: {taker_fallback: true}", "execution: {taker_fallback: ioc}"),
        ("execution: {taker_fallback: false}", "execution: {taker_fallback: none}"),
        ("risk: {max_open_positions: 4, max_total_pct: 30}", "risk: {max_open_positions: '4', max_total_pct: '30.0'}"),
    ],
)
def test_a_policy_in_other_words_is_the_same_policy(usual: str, other: str) -> None:
    assert read(usual).config_hash == read(other).config_hash


@pytest.mark.parametrize(
    "other",
    [
        "tiers: {1: [BTC-USD], 2: [ETH-USD]}",
        "tiers: {tier1: {products: [BTC-USD]}, tier_2: {products: [ETH-USD]}}",
        "tiers: [{products: [BTC-USD]}, [ETH-USD]]",
    ],
)
def test_tiers_in_other_words_are_the_same_tiers(other: str) -> None:
    assert read(universe=other).config_hash == read().config_hash


@pytest.mark.parametrize(
    "flagged",
    [
        "[{product: SOL-USD, kind: team_rug}]",
        "[{product: SOL-USD, red_flag: team_rug}]",
        "{SOL-USD: team_rug}",
        "[SOL-USD team_rug]",
    ],
)
def test_a_flag_by_hand_bans_however_it_is_written(flagged: str) -> None:
    (flag,) = read(universe=f"{UNIVERSE}\nexclusions: {{flagged: {flagged}}}").universe.exclusions.flagged
    assert (str(flag.product), flag.kind) == ("SOL-USD", "team_rug")


def test_a_flag_that_names_no_kind_bans_all_the_same() -> None:
    exclusions = read(
        universe=f"{UNIVERSE}\nexclusions: {{flagged: [SOL-USD], red_flags: [hacked]}}"
    ).universe.exclusions
    assert exclusions.flagged[0].kind in exclusions.red_flags


def test_a_theme_may_name_its_products_one_level_deeper() -> None:
    assert read(universe=f"{UNIVERSE}\nthemes: {{majors: {{products: [BTC-USD]}}}}").universe.themes == {
        "majors": read().universe.tiers[1].products
    }


def test_discovery_may_be_a_switch() -> None:
    assert not read(universe=f"{UNIVERSE}\ndiscovery: false").universe.discovery.enabled


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ("when: {all: [{kind: price_mov}]}", "rules[0].when.all[0]: must be 'price_move'"),
        ("when: {all: [{kind: breakout, overrides: {pct: 1}}]}", "pct: is not a key of this section"),
        ("when: {all: [{trigger: breakout, lookback: 60}]}", "rules[0].when.all[0].lookback: is not a key"),
        ("when: {all: [{trigger: breakout, kind: momentum}]}", "is not a key of this section"),
        ("when: {all: {breakout: {lookback: 60}}}", "lookback: is not a key of this section"),
        ("when: 3", "rules[0].when: must be a mapping of keys"),
        ("size: 50", "rules[0].size: must be a mapping of keys, was 50"),
        ("size: {kind: coins, value: 2}", "rules[0].size.coins: is not a key"),
        ("tiers: [core]", "rules[0].tiers[0]: must be a whole number, was 'core'"),
    ],
)
def test_other_words_without_a_meaning_are_refused_where_they_stand(parts: str, said: str) -> None:
    found = refused(f"{rule(parts)}\n".encode(), f"{UNIVERSE}\n".encode())
    assert any(said in line for line in found), found


def test_bars_of_an_hour_turn_off_only_what_they_cannot_show() -> None:
    triggers = "triggers: {price_move: {by_regime: {bull: {pct_15m: 3}}}}\ndata: {bar_granularity: ONE_HOUR}\n"
    nested = "when: {any: [{price_move: {pct_15m: 0.5, pct_60m: 1}}, {all: [{reversal: {rsi_step_minutes: 90}}]}]}"
    policy = read(triggers + rule(nested)).policy
    move, reversal = policy.triggers.price_move, policy.triggers.reversal
    assert move.pct_15m is None
    assert (move.pct_60m, reversal.rsi_step_minutes) == (Decimal(4), 60)
    assert next(iter(move.by_regime.values())) == {"pct_15m": None}
    assert "'pct_15m': None" in str(policy.rules[0].when)
    assert "'rsi_step_minutes': 120" in str(policy.rules[0].when)


def test_bars_of_a_minute_turn_off_nothing() -> None:
    policy = read(rule("when: {all: [{price_move: {pct_15m: 0.5}}]}")).policy
    assert policy.triggers.price_move.pct_15m == 2
    assert policy.triggers.reversal.rsi_step_minutes == 15


def test_a_last_line_without_an_end_is_half_a_file_only_while_someone_may_be_writing(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("loop:\n  interval_seconds: 30")
    (tmp_path / "universe.yaml").write_text(UNIVERSE)
    assert load_config(tmp_path).policy.loop.interval_seconds == 30
    with pytest.raises(ConfigError, match="half written"):
        load_config(tmp_path, settled=False)
