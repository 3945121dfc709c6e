"""One backtest from data to artifacts: the loop's cycles at the close of every bar, then what is told of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from backtest import artifacts, dataset
from backtest.curve import curve
from backtest.dataset import Dataset, Wish
from backtest.drive import Drive
from backtest.listing import FILE as LISTINGS
from backtest.summary import Run
from backtest.trades import Ledger, trades
from bot.domain.bars import Granularity
from bot.errors import ConfigError
from bot.settings.barfit import fitted
from bot.settings.config import Config
from bot.triggers import regime
from bot.triggers.check import needed_bars, problems

PACKAGES: Final = ("bot", "backtest")
DAY: Final = timedelta(days=1)


def adapted(config: Config, length: Granularity | None) -> Config:
    """The configuration for bars of this length (None: the policy's own).

    Nothing happens inside a bar that the loop could see: an order that would be looked at sooner has until the next
    close, and the venue's own expiry leaves it that long. Raises ConfigError when a window fits no whole bars.
    """
    bar = length or config.policy.data.bar_granularity
    policy = fitted(config.policy, bar)
    found = problems(policy, bar)
    if found:
        raise ConfigError([f"policy.yaml: {problem}" for problem in found])
    least, execution = Decimal(bar.value), policy.execution
    changes = {
        "post_only_ttl_seconds": max(execution.post_only_ttl_seconds, least),
        "gtd_margin_seconds": max(execution.gtd_margin_seconds, least),
    }
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


def finish(drive: Drive, config_hash: str, code: str, command: str) -> Run:
    """Everything the artifacts are made of, after `drive.run`. config_hash: of the files as they are."""
    config, data, venue = drive.config, drive.data, drive.stage.venue
    fills, opening = venue.fills(), config.policy.paper.starting_cash
    ledger = Ledger(data, config, fills, {order.order_id: order for order in venue.orders()}, drive.recorder)
    line = curve(data, fills, opening, config.policy.portfolio.quote_currency)
    identity = {
        "command": command,
        "config_hash": config_hash,
        "code_hash": code,
        "fill_model": config.policy.backtest.model_dump(mode="json"),
        "fee_tier": venue.fee_tier().name,
    }
    begun = float(opening.get(config.policy.portfolio.quote_currency, 0))
    return Run(data, venue, ledger, trades(ledger), line, begun, identity)


def code_hash(root: Path) -> str:
    """SHA-256 over every source file of the bot and the backtest, names included."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def data_hashes(folder: Path, data: Dataset) -> dict[str, str]:
    """SHA-256 of every file that was read, by name."""
    paths = [*data.paths.values(), *(path for path in (folder / LISTINGS,) if path.exists())]
    return {path.name: _hash(path) for path in sorted(paths)}


def write(run: Run, folder: Path, out: Path) -> Mapping[str, Any]:
    """Every artifact of a run on `folder` into `out`; answers the summary. Raises OSError."""
    return artifacts.write(run, out, data_hashes(folder, run.data))


def read(wanted: Wish, note: Callable[[str], None] = lambda _: None) -> Dataset:
    """The data a run trades on. Raises ConfigError, CandlesCorrupt."""
    return dataset.load(wanted, note)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
