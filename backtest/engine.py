"""One backtest from data to artifacts: the loop's cycles at the close of every bar, then what is told of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from backtest import artifacts
from backtest.curve import curve
from backtest.dataset import Dataset
from backtest.drive import Drive
from backtest.listing import FILE as LISTINGS
from backtest.prepare import adapted, read, wish
from backtest.summary import Run
from backtest.trades import Ledger, trades

__all__ = ["adapted", "code_hash", "data_hashes", "finish", "read", "wish", "write"]

PACKAGES: Final = ("bot", "backtest")


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


def write(run: Run, folder: Path, out: Path, hashes: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Every artifact of a run on `folder` into `out`; answers the summary. hashes: `data_hashes`, where they are known
    already. Raises OSError."""
    return artifacts.write(run, out, hashes if hashes is not None else data_hashes(folder, run.data))


def _hash(path: Path) -> str:
    # In one piece: between two pieces this thread would wait for its turn while the bars are run.
    return hashlib.sha256(path.read_bytes()).hexdigest()
