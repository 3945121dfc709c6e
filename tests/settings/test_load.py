"""Both files are read strictly, and everything wrong with them is said at once."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.settings.load import load_config, parse_config
from bot.settings.policy import Policy
from bot.settings.schema import schema
from bot.settings.shapes import names_a_secret
from tests.settings.texts import UNIVERSE, problems, refused


def test_a_file_that_says_nothing_but_its_rules_gets_every_default() -> None:
    config = parse_config(b"rules: []\n", UNIVERSE)
    assert config.policy == Policy()
    assert config.universe.tiers[1].products == ("BTC-USD",)


def test_numbers_keep_every_digit_of_their_text() -> None:
    """A cap of 0.1 through a float would be 0.1000000000000000055511151231257827."""
    config = parse_config(b"conviction: {min_conviction: 0.100000000000000000000001}\n", UNIVERSE)
    assert config.policy.conviction.min_conviction == Decimal("0.100000000000000000000001")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("risk: {max_total_pct: 250}", "risk.max_total_pct: must be a percentage from 0 to 100, was 250"),
        ("exits: {max_slippage_bps: 10000}", "exits.max_slippage_bps: must be less than 10000, was 10000"),
        ("exits: {stop_limit_offset_pct: 100}", "exits.stop_limit_offset_pct: must be a percentage below 100, was 100"),
        ("risk: {max_total_pct: -0.5}", "risk.max_total_pct: must be a percentage from 0 to 100, was -0.5"),
        ("risk: {max_total_pct: all}", "risk.max_total_pct: must be a plain decimal number, was 'all'"),
        ("risk: {max_total_pct: null}", "risk.max_total_pct: must be a plain number, was null"),
        ("risk: {max_total_pct: true}", "risk.max_total_pct: must be a plain number, was true"),
        ("risk: {max_total_pct: [25]}", "risk.max_total_pct: must be a plain number, was [25]"),
        ("risk: {max_open_positions: 2.5}", "risk.max_open_positions: must be a whole number, was 2.5"),
        ("risk: {max_open_positions: 0}", "risk.max_open_positions: must be greater than or equal to 1, was 0"),
        ("risk: 5", "risk: must be a mapping of keys, was 5"),
        ("risk: {max_totl_pct: 5}", "(its value was 5); did you mean `max_total_pct`?"),
        (
            "riks: {max_total_pct: 5}",
            "riks: is not a key of this section (its value was a mapping); did you mean `risk`?",
        ),
        (
            "kill_switch: {zzz: 5}",
            "kill_switch.zzz: is not a key of this section (its value was 5); known here: on_halt",
        ),
        ("kill_switch: {on_halt: flaten}", "was 'flaten'; did you mean `flatten`?"),
        ("exits: {resting_on_exchange: 1}", "exits.resting_on_exchange: must be true or false, was 1"),
        ("exits: {resting_on_exchange: 'true'}", "exits.resting_on_exchange: must be true or false, was 'true'"),
        ("data: {bar_granularity: 7m}", "data.bar_granularity: must be one of ONE_MINUTE, FIVE_MINUTE"),
        ("regime: {product: bitcoin}", "regime.product: product id must look like BTC-USD, was 'bitcoin'"),
        ("regime: {size_multipliers: {crsh: 0}}", "did you mean `crash`?"),
        ("risk: {breakers: {volatility: {treshold: 3}}}", "risk.breakers.volatility.treshold: is not a key"),
        ("rate_limits: {endpoints: [{path: /orders}]}", "rate_limits.endpoints[0].per_second: is missing"),
        ("rules: {}", "rules: must be a list, was a mapping"),
        ("- 1", "must be a mapping of keys, was a list"),
        ("\n", "policy.yaml: is empty"),
        ("# nothing but a comment\n", "policy.yaml: is empty"),
        (
            "risk: {max_total_pct: 25",
            "policy.yaml:2: is not valid YAML: while parsing a flow mapping, expected ',' or '}'",
        ),
        ("risk:\n  max_total_pct: 5\n max_open_positions: 1", "policy.yaml:3: is not valid YAML:"),
        ("risk:\n\tmax_total_pct: 5", "policy.yaml:2: is not valid YAML:"),
        ("risk: \x01", "policy.yaml: holds characters that may not stand in YAML"),
        ("a: 1\n---\nb: 2\n", "policy.yaml:2: holds a second document (---): keep one"),
    ],
)
def test_a_wrong_value_is_named_with_its_place_and_what_is_allowed(text: str, said: str) -> None:
    assert said in "\n".join(problems(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("breakot", "rules[0].when.all[0]: must be 'price_move', "),
        ("breakot", "was 'breakot'; did you mean `breakout`?"),
        ("breakout: 4", "rules[0].when.all[0]: breakout takes a mapping of its parameters, was 4"),
        (
            "breakout: {lookback: 4}",
            "rules[0].when.all[0].breakout.lookback: is not a key of this section (its value was 4)",
        ),
        ("breakout: {lookback: 4}", "; did you mean `lookback_minutes`?"),
        ("breakout: {lookback_minutes: 0}", "breakout.lookback_minutes: must be greater than or equal to 1, was 0"),
        ("breakout: {by_regime: {}}", "breakout.by_regime: is not a key of this section"),
        ("breakout: {direction: sideways}", "breakout.direction: must be 'any', 'up' or 'down', was 'sideways'"),
        ("{trigger: breakout, overrides: {lookback: 4}}", "overrides.lookback: is not a key of this section"),
        ("{trigger: breakout, overrides: {lookback: 4}}", "; did you mean `lookback_minutes`?"),
        ("{any: []}", "rules[0].when.all[0]: is empty: give `all`, `any` or `none` at least one trigger"),
        ("{breakout: {}, momentum: {}}", "rules[0].when.all[0].momentum: is not a key of this section"),
        ("{any: [{none: 3}]}", "rules[0].when.all[0].any[0].none: must be a list, was 3"),
        ("{none: [momentum]}", "rules[0].when: would buy in every quiet cycle"),
    ],
)
def test_a_rule_that_misnames_a_trigger_or_its_parameters_is_refused(text: str, said: str) -> None:
    """A misspelt threshold would be an absent threshold, and the rule would buy on the default."""
    found = problems(f"rules:\n  - name: buy\n    stop_loss_pct: 5\n    when:\n      all:\n        - {text}\n")
    assert said in "\n".join(found)
    assert all(line.startswith(("policy.yaml:4: ", "policy.yaml:6: ")) for line in found)


@pytest.mark.parametrize("size", ["{}", "{usd: 5, pct_of_nlv: 1}", "{tier_base: false}", "big", "{usd: 0}", "7"])
def test_a_rule_sizes_in_exactly_one_way(size: str) -> None:
    found = problems(f"rules:\n  - name: buy\n    stop_loss_pct: 5\n    when: {{all: [momentum]}}\n    size: {size}\n")
    assert [line.split(": ")[0] for line in found] == ["policy.yaml:5"]


def test_thresholds_per_regime_are_checked_like_the_thresholds_themselves() -> None:
    found = problems(
        """triggers:
  breakout:
    by_regime:
      bear: {lookbak_minutes: 60, breakout_full_score_pct: 0}
      bull: {by_regime: {}}
"""
    )
    place, unknown = "triggers.breakout.by_regime", "is not a key of this section"
    known = "breakout_full_score_pct, enabled, lookback_minutes"
    assert found == [
        f"policy.yaml:4: {place}.bear.breakout_full_score_pct: must be greater than 0, was 0",
        f"policy.yaml:4: {place}.bear.lookbak_minutes: {unknown} (its value was 60); did you mean `lookback_minutes`?",
        f"policy.yaml:5: {place}.bull.by_regime: {unknown} (its value was a mapping); known here: {known}",
    ]


def test_every_problem_of_both_files_is_said_at_once() -> None:
    found = refused(
        b"risk:\n  max_total_pct: 300\n  max_total_pct: 20\n  typo: 1\nloop: {interval_seconds: yes}\n",
        b"tiers:\n  one: {}\n  2: {products: [btcusd, nonsense]}\nthems: {}\n",
    )
    assert [line.split(": ")[0] for line in found] == [
        "policy.yaml:2",
        "policy.yaml:3",
        "policy.yaml:4",
        "policy.yaml:5",
        "universe.yaml:2",
        "universe.yaml:3",
        "universe.yaml:4",
    ]


def test_a_missing_folder_names_both_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "absent")
    assert [line.split(":")[0] for line in caught.value.problems] == ["policy.yaml", "universe.yaml"]
    assert "cannot be read" in caught.value.problems[0]


def test_something_that_is_not_a_file_is_refused_without_waiting_on_it(tmp_path: Path) -> None:
    """A FIFO would block the start for ever."""
    os.mkfifo(tmp_path / "policy.yaml")
    (tmp_path / "universe.yaml").mkdir()
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path)
    assert all("is not a regular file" in line for line in caught.value.problems)


def test_files_are_read_from_the_folder(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_bytes(b"risk: {max_open_positions: 3}\n")
    (tmp_path / "universe.yaml").write_bytes(UNIVERSE)
    assert load_config(tmp_path).policy.risk.max_open_positions == 3


def test_no_key_of_ours_is_taken_for_a_secret_by_its_name() -> None:
    def keys(node: object) -> set[str]:
        if isinstance(node, dict):
            own = set(node.get("properties", {}))
            return own.union(*[keys(value) for value in node.values()])
        return set().union(*[keys(item) for item in node]) if isinstance(node, list) else set()

    every = keys(schema("policy")) | keys(schema("universe"))
    assert len(every) > 150
    assert [key for key in every if names_a_secret(key)] == []
