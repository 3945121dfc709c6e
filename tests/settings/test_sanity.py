"""Keys that contradict each other are refused at start, with their numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import pytest

from bot.settings import strict_yaml
from bot.settings.config import Config
from bot.settings.load import parse_config
from bot.settings.policy import Policy
from bot.settings.sanity import CHECKS, round_trip_pct, warnings
from bot.settings.universe import Universe
from tests.settings.texts import problems, refused

RULE = "{{name: buy, when: {{all: [momentum]}}, stop_loss_pct: 5, {}}}"


def rule(extra: str) -> str:
    return f"rules: [{RULE.format(extra)}]"


TIERS = """tiers:
  1: {products: [BTC-USD, ETH-USD], base_size_pct: 2, max_spread_bps: 10}
  2: {products: [SOL-USD], base_size_pct: 1, max_spread_bps: 50}
"""

# policy, universe beside TIERS, and what is said: one row for each contradiction, at its smallest step over the limit.
CONTRADICTIONS = [
    (
        "risk: {max_per_asset_pct: 15.01}",
        "",
        "risk.max_per_asset_pct: 15.01 % is more than risk.max_per_theme_pct 15 %: a part cannot exceed its whole",
    ),
    (
        "risk: {max_per_theme_pct: 40}",
        "",
        "risk.max_per_theme_pct: 40 % is more than risk.max_total_pct 25 %: a part cannot exceed its whole",
    ),
    (
        "risk: {daily_stop_pct: 7}",
        "",
        "risk.daily_stop_pct: 7 % is more than risk.weekly_stop_pct 6 %: the longer stop would act first",
    ),
    ("risk: {weekly_stop_pct: 12.5}", "", "risk.weekly_stop_pct: 12.5 % is more than risk.max_drawdown_pct 12 %"),
    (
        "risk: {weekly_stop_pct: null, daily_stop_pct: 13}",
        "",
        "risk.daily_stop_pct: 13 % is more than risk.max_drawdown_pct 12 %",
    ),
    (
        "risk: {max_per_asset_pct: 1.99}",
        "",
        "universe.yaml:2: tiers[1].base_size_pct: 2 % is more than risk.max_per_asset_pct 1.99 %",
    ),
    (
        "risk: {max_open_positions: 26}",
        "",
        "risk.max_open_positions: 26 positions of the smallest size 1 % need 26 %, more than risk.max_total_pct 25 %",
    ),
    (
        rule("take_profit_pct: 2.3"),
        "",
        "2.3 % does not exceed a round trip of 2.3 % (worst fees and the 50 bps spread its tiers allow)",
    ),
    (
        "execution: {taker_fallback: true}\n" + rule("take_profit_pct: 2.9"),
        "",
        "rules[0].take_profit_pct: rule buy: 2.9 % does not exceed a round trip of 2.9 %",
    ),
    (
        "rules: [{name: buy, when: {all: [momentum]}, stop_loss_pct: 1.9, tiers: [1]}]",
        "",
        "rules[0].stop_loss_pct: rule buy: 1.9 % does not exceed a round trip of 1.9 %",
    ),
    (
        "execution: {post_only_ttl_seconds: 1200.5}",
        "",
        "execution.post_only_ttl_seconds: 1200.5 s x 3 quotes is 3601.5 s, more than 60 bars or cycles (3600 s)",
    ),
    (
        "loop: {interval_seconds: 5}",
        "",
        "data.max_quote_staleness_seconds: 5 s must be less than loop.interval_seconds 5: a quote may not outlive",
    ),
    (
        "transport: {read_timeout_seconds: 9.5}",
        "",
        "transport.total_deadline_seconds: 9 s is less than one timeout of 9.5 s",
    ),
    ("clock: {warn_ms: 1500}", "", "clock: warn_ms <= no_entries_ms <= refuse_ms must hold, was 1500 <= 1000 <= 2000"),
    ("sizing: {min_scale: 2}", "", "sizing.min_scale: 2 is more than max_scale 1.5"),
    (
        "rules: []",
        "themes: {dogs: [SOL-USD, DOGE-USD]}",
        "universe.yaml:4: themes.dogs: DOGE-USD stand in no tier and discovery is off",
    ),
    (
        "rules: []",
        "exclusions: {never_trade: [eth-usd]}",
        "tiers[1].products: ETH-USD stand in exclusions.never_trade as well: remove one of the two",
    ),
    (
        "rules: []",
        "  3: {products: [solusd]}",
        "universe.yaml:4: tiers[3].products: SOL-USD stand in tier 2 as well: a product has one tier",
    ),
    ("rules: []", "  3: {products: [ADA-USD, ADA/USD]}", "tiers[3].products: ADA-USD are written twice"),
    ("rules: []", "  3: {base_size_pct: 0}", "tiers[3].base_size_pct: 0 % buys nothing; remove the tier instead"),
    (
        "rules: []",
        "discovery: {enabled: true, tier: 4}",
        "discovery.tier: tier 4 does not exist: discovered products would have no limits",
    ),
    (
        f"rules: [{RULE.format('enabled: true')}, {RULE.format('enabled: true')}]",
        "",
        "rules[1].name: rule buy: an earlier rule has the same name",
    ),
    (rule("tiers: [3, 4]"), "", "rules[0].tiers: rule buy: none of tier 3, 4 is in universe.yaml (known: 1, 2)"),
    (
        "rate_limits: {private_per_second: 0.1}",
        "",
        "rate_limits.private_per_second: 6 private calls in one cycle exceed 4 within loop.cycle_budget_seconds",
    ),
    (
        "rate_limits: {public_per_second: 0.1}",
        "",
        "rate_limits.public_per_second: 3 products need 6 public calls in a cycle without the feed (book and bars)",
    ),
    (
        "rate_limits: {public_per_second: 0.5}",
        "discovery: {enabled: true, tier: 1}",
        "13 products need 26 public calls in a cycle",
    ),
    (
        "data: {warmup_minutes: 10080}",
        "",
        "data.warmup_minutes: 10080 is less than 10081, which regime.return_days needs",
    ),
    (
        "triggers: {breakout: {by_regime: {bear: {lookback_minutes: 20000}}}}",
        "",
        "data.warmup_minutes: 11520 is less than 20001, which triggers.breakout.by_regime.bear.lookback_minutes needs",
    ),
    (
        "rules: [{name: buy, stop_loss_pct: 5, when: {all: [{breakout: {lookback_minutes: 30000}}]}}]",
        "",
        "data.warmup_minutes: 11520 is less than 30001, which rules.0.when.breakout.lookback_minutes needs",
    ),
    (
        "data: {bar_granularity: FIFTEEN_MINUTE}\ntriggers: {breakout: {lookback_minutes: 100}}",
        "",
        "triggers.breakout.lookback_minutes: 100 minutes is not a whole number of FIFTEEN_MINUTE bars",
    ),
    (
        "data: {bar_granularity: TWO_HOUR}",
        "",
        "triggers.price_move: 60 minutes is not a whole number of TWO_HOUR bars",
    ),
]


@pytest.mark.parametrize(("policy", "universe", "said"), CONTRADICTIONS)
def test_a_contradiction_is_refused_with_its_numbers(policy: str, universe: str, said: str) -> None:
    found = refused(f"{policy}\n".encode(), f"{TIERS}{universe}\n".encode())
    assert any(said in line for line in found), found


# The same keys at their limit: a rule that refuses what just fits would be an outage.
FITTING = [
    ("risk: {max_per_asset_pct: 15, max_per_theme_pct: 25}", ""),
    ("risk: {daily_stop_pct: 6, max_drawdown_pct: 6}", ""),
    ("risk: {daily_stop_pct: null, weekly_stop_pct: null, max_drawdown_pct: null}", ""),
    ("risk: {max_per_asset_pct: 2}", ""),
    ("risk: {max_open_positions: 25}", ""),
    (rule("take_profit_pct: 2.31"), ""),
    (rule("take_profit_pct: 2, enabled: false"), ""),
    (rule("take_profit_pct: 2.3, tiers: [1]"), ""),
    ("execution: {taker_fallback: true}\n" + rule("take_profit_pct: 2.91"), ""),
    ("execution: {post_only_ttl_seconds: 1200}", ""),
    ("execution: {post_only_ttl_seconds: 9000, default_order_type: limit_ioc}", ""),
    ("loop: {interval_seconds: 300}\nexecution: {post_only_ttl_seconds: 6000}", ""),
    ("loop: {interval_seconds: 5.01}", ""),
    ("clock: {warn_ms: 1000}", ""),
    ("sizing: {min_scale: 1.5}", ""),
    ("rules: []", "themes: {dogs: [SOL-USD, DOGE-USD]}\ndiscovery: {enabled: true, tier: 2}"),
    (rule("tiers: [2, 3]"), ""),
    (rule("tiers: [3], enabled: false"), ""),
    ("loop: {interval_seconds: 2}\ndata: {max_quote_staleness_seconds: 1}", ""),
    ("data: {warmup_minutes: 10081}", ""),
    (
        "rules: [{name: buy, enabled: false, when: {all: [{breakout: {lookback_minutes: 30000}}]}}]",
        "",
    ),
    ("data: {warmup_minutes: 1441}\nregime: {enabled: false}", ""),
    ("triggers: {breakout: {lookback_minutes: 20000, enabled: false}}", ""),
    ("data: {bar_granularity: FIFTEEN_MINUTE}", ""),
    (
        "data: {bar_granularity: ONE_HOUR}\ntriggers: {price_move: {pct_15m: null}, reversal: {rsi_step_minutes: 60}}",
        "",
    ),
]


@pytest.mark.parametrize(("policy", "universe"), FITTING)
def test_what_just_fits_is_accepted(policy: str, universe: str) -> None:
    assert parse_config(f"{policy}\n".encode(), f"{TIERS}{universe}\n".encode()).config_hash


def unchecked(policy: str, universe: str) -> Config:
    """A configuration whose keys were never held against each other."""
    read = [strict_yaml.read("file", f"{text}\n".encode()).value for text in (policy, TIERS + universe)]
    return Config(Policy.model_validate(read[0]), Universe.model_validate(read[1]))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_no_check_is_only_ever_passed(check: Callable[[Policy, Universe], Iterable[object]]) -> None:
    contradictions = [unchecked(policy, universe) for policy, universe, _ in CONTRADICTIONS]
    fitting = [unchecked(policy, universe) for policy, universe in FITTING]
    assert any(list(check(config.policy, config.universe)) for config in contradictions)
    assert not any(list(check(config.policy, config.universe)) for config in fitting)


def test_contradictions_of_both_files_are_said_together() -> None:
    found = refused(
        b"risk: {max_per_theme_pct: 40}\n", b"exclusions: {never_trade: [BTC-USD]}\ntiers: {1: {products: [BTC-USD]}}\n"
    )
    assert [line.split(": ")[0] for line in found] == ["policy.yaml:1", "universe.yaml:2"]


@pytest.mark.parametrize(
    ("policy", "universe", "said"),
    [
        ("rules: []", "", "policy.yaml: no rule is enabled"),
        (rule("enabled: false"), "", "policy.yaml: no rule is enabled"),
        (
            "risk: {daily_stop_pct: null}",
            "",
            "policy.yaml: risk.daily_stop_pct is off: losses of that kind stop nothing",
        ),
        (
            "rules: [{name: buy, when: {all: [momentum]}}]",
            "",
            "policy.yaml: rule buy: has neither stop_loss_pct nor trailing_stop_pct: a loss has no end",
        ),
        (
            rule("size: {pct_of_nlv: 6}"),
            "",
            "policy.yaml: rule buy: asks for 6 % of NLV, more than risk.max_per_asset_pct 5 %: every order will be cut",
        ),
        (rule("tiers: [1, 3]"), "", "policy.yaml: rule buy: names tier 3, which is not in universe.yaml"),
        (
            "triggers: {momentum: {enabled: false}}\n" + rule("enabled: true"),
            "",
            "policy.yaml: rule buy: names the trigger momentum, which is disabled and so never fires",
        ),
        (
            "execution: {post_only_ttl_seconds: 200.5}",
            "",
            "policy.yaml: execution.post_only_ttl_seconds: 200.5 s x 3 quotes is 601.5 s, more than 10 bars",
        ),
        (
            "data: {bar_granularity: ONE_HOUR}",
            "",
            "policy.yaml: bars of ONE_HOUR show no move over 15 minutes: pct_15m is off everywhere",
        ),
        (
            "backtest: {latency_bars: 2}",
            "",
            "policy.yaml: backtest.latency_bars: an order takes 2 bars, 120 s, to arrive and be seen; execution.post",
        ),
        (
            "backtest: {latency_bars: 3}\nexecution: {post_only_ttl_seconds: 180}",
            "",
            "policy.yaml: backtest.latency_bars: an order takes 3 bars, 180 s, to arrive and be seen; execution.sub",
        ),
        (
            "rules: []",
            "quote_currencies: [EUR]",
            "universe.yaml: BTC-USD, ETH-USD, SOL-USD: not in quote_currencies EUR, never entered",
        ),
    ],
)
def test_what_is_allowed_but_hardly_meant_is_said(policy: str, universe: str, said: str) -> None:
    config = parse_config(f"{policy}\n".encode(), f"{TIERS}{universe}\n".encode())
    assert any(line.startswith(said) for line in warnings(config)), warnings(config)


@pytest.mark.parametrize(
    "policy",
    [
        "backtest: {latency_bars: 1}",
        "backtest: {latency_bars: 2}\nexecution: {post_only_ttl_seconds: 120, submitted_timeout_seconds: 120}",
    ],
)
def test_nothing_is_said_of_orders_that_are_waited_for_until_they_arrive(policy: str) -> None:
    config = parse_config(f"{policy}\n".encode(), TIERS.encode())
    assert not any("latency_bars" in line for line in warnings(config))


def test_an_order_that_arrives_in_the_bar_it_was_decided_on_is_refused() -> None:
    """It was run as one bar and reported as none."""
    assert any("latency_bars" in problem for problem in problems("backtest: {latency_bars: 0}"))


def test_an_empty_universe_is_said() -> None:
    config = parse_config(b"rules: []\n", b"tiers: {}\n")
    assert "universe.yaml: no product is listed and discovery is off: nothing can be entered" in warnings(config)


def test_the_round_trip_counts_the_rates_the_policy_may_pay() -> None:
    maker = parse_config(b"rules: []\n", TIERS.encode()).policy
    taker = parse_config(b"execution: {default_order_type: limit_ioc}\n", TIERS.encode()).policy
    assert round_trip_pct(maker, Decimal(30)) == Decimal("2.1")  # 0.6 in, 1.2 out, 0.3 spread
    assert round_trip_pct(taker, Decimal(30)) == Decimal("2.7")
