"""Whole backtests in this process, and their artifacts as bytes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from backtest import artifacts, engine
from backtest.drive import Drive
from backtest.report import page
from bot.domain.bars import Granularity
from bot.domain.value import Value
from bot.settings.config import Config
from bot.settings.load import parse_config
from tests.configs import SHIPPED, _replace

UNIVERSE: Mapping[str, Any] = {
    "tiers": {1: {"min_volume_24h": 0}, 2: {"min_volume_24h": 0}, 3: {"min_volume_24h": 0}},
}
LIVELY: Mapping[str, Any] = {
    "data": {"bar_granularity": "FIVE_MINUTE", "max_bar_staleness_seconds": 600},
    "regime": {"enabled": False},
    "conviction": {"min_conviction": 0.05},
    "risk": {"cooldown_minutes": 30, "cooldown_after_stop_minutes": 60},
    "triggers": {"price_move": {"pct_15m": 0.6, "pct_60m": 1.2}, "breakout": {"lookback_minutes": 240}},
    "sizing": {"target_volatility_pct": None},
    "fees": {"worst_maker_pct": 0.2, "worst_taker_pct": 0.3},
    "backtest": {"maker_pct": 0.1, "taker_pct": 0.2},
    "rules": [
        {
            "name": "fast_rise", "when": {"all": [{"price_move": {"direction": "up"}}], "none": ["mean_reversion"]},
            "size": {"pct_of_nlv": 2}, "scale_by_volatility": False, "stop_loss_pct": 2, "take_profit_pct": 3,
            "max_hold_minutes": 600, "max_new_per_cycle": 2,
        },
        {
            "name": "high", "when": {"any": ["breakout", {"price_move": {"pct_15m": 2, "direction": "up"}}]},
            "size": {"pct_of_nlv": 1.5}, "scale_by_volatility": False, "stop_loss_pct": 3, "trailing_stop_pct": 2,
            "max_hold_minutes": 900, "cooldown_minutes": 45,
        },
    ],
}  # fmt: skip
"""Rules that trade several times a day on made-up five-minute bars."""


class Outcome(Value):
    """Artifacts by name, cycles run, and what summary.json says."""

    files: Mapping[str, bytes]
    cycles: int
    figures: Mapping[str, Any]


def settings(policy: Mapping[str, Any], universe: Mapping[str, Any] | None = None) -> Config:
    """The shipped configuration made lively, some keys replaced."""
    texts = []
    for name, changes in (("policy.yaml", (LIVELY, policy)), ("universe.yaml", (UNIVERSE, universe or {}))):
        document = yaml.safe_load((SHIPPED / name).read_text())
        for change in changes:
            _replace(document, copy.deepcopy(dict(change)))
        texts.append(yaml.safe_dump(document, sort_keys=False).encode())
    return parse_config(*texts)


def backtest(
    folder: Path, config: Config, out: Path, *, every: bool, length: Granularity | None = None, **wanted: Any
) -> Outcome:
    """One run over every file of the folder. wanted: products, since and until, as a Wish takes them."""
    given, config = config, engine.adapted(config, length)
    data = engine.read(engine.wish(config, folder, **wanted))
    drive = Drive(config, data, "code", every=every)
    drive.run(lambda _: None)
    run = engine.finish(drive, given.config_hash, "code", "backtest run")
    figures = artifacts.write(run, out, {})
    page.bind(out)
    return Outcome({path.name: path.read_bytes() for path in sorted(out.iterdir())}, drive.cycles, figures)
