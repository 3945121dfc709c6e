"""What a run needs before it can begin: the configuration for its bars, and the data that configuration asks for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from backtest import candles, dataset
from backtest.dataset import Dataset, Wish
from backtest.progress import Told
from bot.domain.bars import Granularity
from bot.errors import ConfigError
from bot.settings.barfit import fitted
from bot.settings.config import Config
from bot.triggers import regime
from bot.triggers.check import needed_bars, problems

DAY: Final = timedelta(days=1)


def adapted(config: Config, length: Granularity | None) -> Config:
    """The configuration for bars of this length (None: the policy's own).

    Nothing happens inside a bar that the loop could see: an order that would be looked at sooner has until the next
    close, and the venue's own expiry leaves it that long. One that is under way for several bars (`latency_bars`) is
    waited for as many: otherwise every order would be taken back before it arrived. Raises ConfigError when a window
    fits no whole bars.
    """
    bar = length or config.policy.data.bar_granularity
    policy = fitted(config.policy, bar)
    found = problems(policy, bar)
    if found:
        raise ConfigError([f"policy.yaml: {problem}" for problem in found])
    least, execution = Decimal(bar.value), policy.execution
    arriving = least * policy.backtest.latency_bars
    changes = {
        "post_only_ttl_seconds": max(execution.post_only_ttl_seconds, arriving),
        "gtd_margin_seconds": max(execution.gtd_margin_seconds, least),
    }
    if arriving > least:
        changes["submitted_timeout_seconds"] = max(execution.submitted_timeout_seconds, arriving)
    data = policy.data.model_copy(update={"bar_granularity": bar})
    update = {"data": data, "execution": execution.model_copy(update=changes)}
    return Config(policy.model_copy(update=update), config.universe)


def wish(config: Config, folder: Path, **wanted: Any) -> Wish:
    """What this configuration needs of a data folder."""
    policy, length = config.policy, config.policy.data.bar_granularity
    history = max(
        needed_bars(policy, length), regime.needed_bars(policy.regime, length),
        policy.data.warmup_minutes // length.minutes, DAY // timedelta(seconds=length.value),
    )  # fmt: skip
    return Wish(folder, length, history=history, half_spread_bps=policy.backtest.half_spread_bps, **wanted)


def read(wanted: Wish, note: Callable[[str], None] = lambda _: None) -> Dataset:
    """The data a run trades on. Raises ConfigError, CandlesCorrupt."""
    return dataset.load(wanted, note)


def counted(wanted: Wish, told: Told) -> Dataset:
    """The same. told: how many files are read, of how many."""
    count, done = len(candles.files(wanted.folder, wanted.length, wanted.products)), itertools.count(1)
    return read(wanted, lambda _: told(next(done), count))
