"""A live reload only ever tightens."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from bot.settings.config import Config
from bot.settings.load import parse_config
from bot.settings.reload import RATCHET, May, _flat, direction, loosened

CONFIG = Path(__file__).resolve().parents[2] / "config"
POLICY, UNIVERSE = ((CONFIG / name).read_text("utf-8") for name in ("policy.yaml", "universe.yaml"))
SHIPPED = parse_config(POLICY.encode(), UNIVERSE.encode())


def changed(old: str, new: str) -> Config:
    """The shipped configuration with the first occurrence of a text replaced, in whichever file holds it."""
    policy, universe = POLICY.replace(old, new, 1), UNIVERSE.replace(old, new, 1)
    assert (policy, universe) != (POLICY, UNIVERSE)
    return parse_config(policy.encode(), universe.encode())


# one text, a stricter one and a looser one
MOVES = [
    ("max_total_pct: 25", "max_total_pct: 24", "max_total_pct: 26"),
    ("max_per_asset_pct: 5 ", "max_per_asset_pct: 4 ", "max_per_asset_pct: 6 "),
    ("max_open_positions: 5", "max_open_positions: 4", "max_open_positions: 6"),
    ("daily_stop_pct: 3", "daily_stop_pct: 2", "daily_stop_pct: null"),
    ("approval_above_usd: null", "approval_above_usd: 100", ""),
    ("loss_streak: 4", "loss_streak: 3", "loss_streak: null"),
    ("cash_reserve_pct: 5", "cash_reserve_pct: 6", "cash_reserve_pct: 4"),
    ("cooldown_minutes: 30", "cooldown_minutes: 31", "cooldown_minutes: 29"),
    ("cooldown_minutes: 120", "cooldown_minutes: 121", "cooldown_minutes: null"),
    ("min_conviction: 0.3", "min_conviction: 0.4", "min_conviction: 0.2"),
    ("crash: 0", "", "crash: 0.1"),
    ("bull: 1.2", "bull: 1.1", "bull: 1.3"),
    ("enabled: true\n    about", "enabled: false\n    about", ""),
    ("enabled: false                #", "", "enabled: true                #"),
    ("stop_loss_pct: 4", "stop_loss_pct: 3.5", "stop_loss_pct: 4.5"),
    ("trailing_stop_pct: null", "trailing_stop_pct: 4", ""),
    ("trailing_stop_pct: 5", "trailing_stop_pct: 4", "trailing_stop_pct: null"),
    ("max_hold_minutes: 2880", "max_hold_minutes: 2879", "max_hold_minutes: 2881"),
    ("budget_pct: 10", "budget_pct: 9", "budget_pct: null"),
    ("tiers: [1, 2, 3]", "tiers: [1, 2]", "tiers: []"),
    ("regimes: [bull, chop]", "regimes: [bull]", "regimes: [bull, chop, bear]"),
    ("size: tier", "", "size: {usd: 5}"),
    ("- breakout\n", "", "- momentum\n"),
    ("take_profit_pct: 9", "", "take_profit_pct: 8"),
    ("threshold: 3", "threshold: 2", "threshold: 4"),
    ("cancel_entries: false", "cancel_entries: true", ""),
    ("resting_on_exchange: true", "", "resting_on_exchange: false"),
    ("taker_fallback: false", "", "taker_fallback: true"),
    ("allow_market_orders: false", "", "allow_market_orders: true"),
    ("on_halt: hold_protected", "", "on_halt: hold_naked"),
    ("worst_taker_pct: 1.2", "worst_taker_pct: 1.3", "worst_taker_pct: 1.1"),
    ("price_collar_pct: 3", "price_collar_pct: 2", "price_collar_pct: 4"),
    ("reserve_pct: 20", "reserve_pct: 30", "reserve_pct: 10"),
    ("levels: [major, critical]", "levels: [minor, major, critical]", "levels: [critical]"),
    ("allowed_hosts: []", "allowed_hosts: [hooks.example.com]", ""),
    ("portfolio_id: null", "portfolio_id: 12345678-1234-1234-1234-123456789012", ""),
    ("dedupe_seconds: 60", "dedupe_seconds: 30", ""),
    ("interval_seconds: 60", "", "interval_seconds: 61"),
    ("bar_granularity: ONE_MINUTE ", "", "bar_granularity: FIVE_MINUTE "),
    ("ratio_1h_vs_24h: 2 ", "", "ratio_1h_vs_24h: 3 "),
    ("quote_currencies: [USD]", "", "quote_currencies: [USD, USDC]"),
    ("[BTC-USD, ETH-USD]\n    base", "", "[BTC-USD, ETH-USD, ETC-USD]\n    base"),
    ("base_size_pct: 2", "base_size_pct: 1.9", "base_size_pct: 2.1"),
    ("max_spread_bps: 10", "max_spread_bps: 9", "max_spread_bps: 11"),
    ("min_depth: 10000", "min_depth: 10001", "min_depth: 9999"),
    ("majors: [BTC-USD, ETH-USD]", "majors: [BTC-USD, ETH-USD, LTC-USD]", "majors: [BTC-USD]"),
    ("  meme: [DOGE-USD]\n", "  meme: [DOGE-USD]\n  dogs: [DOGE-USD]\n", "\n"),
    ("never_trade: [USDT-USD,", "never_trade: [USDT-USD, EUR-USD,", "never_trade: ["),
    ("flagged: []", "flagged: [{product: ABC-USD, kind: team_rug}]", ""),
    ("watch_file: null", "watch_file: /var/lib/flags.json", ""),
    ("  enabled: false\n  tier: 3", "", "  enabled: true\n  tier: 3"),
    ("enter_after: 2", "enter_after: 3", "enter_after: 1"),
    ("leave_after: 3", "leave_after: 2", "leave_after: 4"),
]


@pytest.mark.parametrize(("old", "stricter", "looser"), MOVES, ids=[old.strip()[:30] for old, _, _ in MOVES])
def test_a_limit_moves_one_way_only(old: str, stricter: str, looser: str) -> None:
    assert stricter or looser
    if stricter:
        assert loosened(SHIPPED, changed(old, stricter)) == []
    if stricter and looser:
        assert loosened(changed(old, stricter), SHIPPED)
    if looser:
        assert len(loosened(SHIPPED, changed(old, looser))) >= 1


def test_nothing_changed_is_nothing_loosened() -> None:
    assert loosened(SHIPPED, SHIPPED) == []


def test_every_loosened_key_is_named_with_both_values() -> None:
    looser = parse_config(
        POLICY.replace("max_total_pct: 25", "max_total_pct: 30")
        .replace("daily_stop_pct: 3", "daily_stop_pct: null")
        .encode(),
        UNIVERSE.replace("min_depth: 2500", "min_depth: 0").encode(),
    )
    assert loosened(SHIPPED, looser) == [
        "policy.yaml: risk.daily_stop_pct: 3 -> null: may only fall",
        "policy.yaml: risk.max_total_pct: 25 -> 30: may only fall",
        "universe.yaml: tiers.3.min_depth: 2500 -> 0: may only rise",
    ]


def test_rules_neither_come_nor_go_nor_change_places() -> None:
    renamed = changed("name: momentum_trend", "name: momentum_fast")
    assert [line.split(":")[1] for line in loosened(SHIPPED, renamed)] == [" rules"]


def test_a_tier_that_is_gone_trades_nothing_and_a_new_one_would() -> None:
    start, end = UNIVERSE.index("  3:\n"), UNIVERSE.index("# What tends")
    themes = (
        UNIVERSE[end:].replace("themes:", "themes: {}\nx:").split("x:")[0] + UNIVERSE[UNIVERSE.index("exclusions:") :]
    )
    smaller = parse_config(POLICY.encode(), (UNIVERSE[:start] + themes).encode())
    refused = loosened(SHIPPED, smaller)
    assert refused
    assert all(line.startswith("universe.yaml: themes.") for line in refused)
    assert any(line.startswith("universe.yaml: tiers.3.products: (absent)") for line in loosened(smaller, SHIPPED))


def test_a_tier_may_lose_a_product() -> None:
    both, one = (
        parse_config(b"rules: []\n", f"tiers: {{1: {{products: [{names}]}}}}\n".encode())
        for names in ("BTC-USD, ETH-USD", "BTC-USD")
    )
    assert loosened(both, one) == []
    assert loosened(one, both) == [
        "universe.yaml: tiers.1.products: [BTC-USD] -> [BTC-USD, ETH-USD]: may only lose entries"
    ]


KEYS = [key for key, _ in _flat(SHIPPED)]


@pytest.mark.parametrize("pattern", RATCHET)
def test_every_row_of_the_table_names_a_key(pattern: str) -> None:
    """A misspelt row would hold nothing, or leave a limit that may never be tightened."""
    assert any(fnmatchcase(key, pattern) for key in KEYS)


def test_every_cap_and_stop_is_a_limit() -> None:
    risk = [key for key in KEYS if ": risk." in key and not key.endswith((".cost_method", ".reset", ".exits_allowed"))]
    assert len(risk) > 50
    assert [key for key in risk if direction(key) in {May.STAY, May.CHANGE}] == []


def test_no_key_stands_in_two_rows() -> None:
    assert [key for key in KEYS if sum(fnmatchcase(key, pattern) for pattern in RATCHET) > 1] == []
