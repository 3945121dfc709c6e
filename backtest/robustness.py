"""`backtest report --robustness`: how much of a result is left when luck, costs or speed had been worse.

- bootstrap: equity and drawdown of daily returns drawn anew in blocks (bootstrap.py).
- costs: the same orders and fills, fees taken one to three times, and so what each fill paid of spread and slippage.
  What the bot would have decided with other fees is not asked: it would assume them, size by them, and trade less.
- late: the whole run again, with every order one bar later at the venue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from backtest import artifacts, bootstrap, engine, metrics, prepare
from backtest.candles import Floats
from backtest.curve import curve
from backtest.dataset import Dataset
from backtest.drive import Drive
from backtest.metrics import NOT_ENOUGH, Series, rounded
from backtest.progress import Told
from backtest.report.artifacts import Artifacts
from bot.domain.bars import LENGTHS
from bot.domain.codec import parse_time
from bot.domain.order import Liquidity
from bot.domain.product import ProductId, Side
from bot.domain.value import Value
from bot.errors import ConfigError
from bot.settings.config import Config
from bot.venue.orders import VenueFill

FACTORS: Final = (1, 2, 3)


class Ground(Value, dict=True):
    """What a run stood on, read again: its artifacts, its configuration for its bars, its candles and their hashes."""

    run: Artifacts
    config: Config
    data: Dataset
    hashes: Mapping[str, str]

    @cached_property
    def series(self) -> Series:
        """Equity at the close of every bar, from the fills: the artifacts tell that of every hour."""
        policy, data = self.config.policy, self.data
        fills = [_fill(row) for row in self.run.fills]
        line = curve(data, fills, policy.paper.starting_cash, policy.portfolio.quote_currency)
        closes = data.start + data.length.value * (np.arange(data.count, dtype=np.int64) + 1)
        return Series(closes, line.equity, self.run.opening)


def ground(run: Artifacts, given: Config, folder: Path, told: Told) -> Ground:
    """told: how many files are read, of how many. Raises ConfigError when configuration or data are not those of the
    run, or its bars cannot be told; CandlesCorrupt."""
    identity, period = run.summary["identity"], run.summary["period"]
    if given.config_hash != identity["config_hash"]:
        raise ConfigError([f"the run was made with configuration {identity['config_hash']}, this is another"])
    length = next((length for length in LENGTHS.values() if length.name == period["bar"]), None)
    config = prepare.adapted(given, length)
    data = prepare.counted(prepare.wish(config, folder, **_span(period)), told)
    known, before = engine.data_hashes(folder, data), identity["data"]
    changed = sorted(name for name in {*known, *before} if known.get(name) != before.get(name))
    if changed:
        raise ConfigError([f"--data {folder}: {name} is not the file of that name the run read" for name in changed])
    return Ground(run, config, data, known)


def run_late(stood: Ground, folder: Path, code: str, told: Told) -> Mapping[str, Any]:
    """The summary of the same run with every order one bar later at the venue. told: how many bars are behind, of how
    many."""
    drive = Drive(_slower(stood.config), stood.data, code)
    drive.run(lambda k: told(k + 1, stood.data.count))
    with TemporaryDirectory(prefix="late-") as out:
        config_hash = stood.run.summary["identity"]["config_hash"]
        return engine.write(engine.finish(drive, config_hash, code, "late"), folder, Path(out), stood.hashes)


def robustness(stood: Ground, late: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the page shows of it. late: the summary of the run that was one cycle late."""
    run = stood.run
    drawn = bootstrap.fan(run.daily_returns(), run.opening)
    costs = {_name(fees, taking): _dearer(stood, fees, taking) for fees in FACTORS for taking in FACTORS}
    return {"bootstrap": bootstrap.told(drawn), "costs": costs, "late": _beside(run.summary, late)}


def write(folder: Path, found: Mapping[str, Any]) -> None:
    """robustness.json beside the artifacts of the run it was made from. Raises OSError."""
    content = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    artifacts.add(folder, {artifacts.ROBUSTNESS: content.encode()})


def _span(period: Mapping[str, Any]) -> dict[str, Any]:
    """What to ask of the data folder for the very bars of a run."""
    return {
        "since": datetime.fromisoformat(period["from"]),
        "until": datetime.fromisoformat(period["to"]),
        "products": tuple(ProductId(product) for product in period["products"]),
    }


def _slower(config: Config) -> Config:
    """Orders arrive one bar later, and are waited for that much longer before they are withdrawn."""
    policy = config.policy
    rules = policy.backtest.model_copy(update={"latency_bars": policy.backtest.latency_bars + 1})
    patience = ("post_only_ttl_seconds", "submitted_timeout_seconds")
    longer = {name: getattr(policy.execution, name) + policy.data.bar_granularity.value for name in patience}
    execution = policy.execution.model_copy(update=longer)
    return Config(policy.model_copy(update={"backtest": rules, "execution": execution}), config.universe)


def _name(fees: int, taking: int) -> str:
    return f"fees x{fees}, spread and slippage x{taking}"


def _dearer(stood: Ground, fees: int, taking: int) -> dict[str, Any]:
    """Figures of the curve, bar by bar, less what fills would have cost more; and of the closed trades."""
    series = _less(stood, fees - 1, taking - 1)
    left = [_profit(trade, fees - 1, taking - 1) for trade in _closed(stood)]
    won, lost = sum(p for p in left if p > 0), -sum(p for p in left if p <= 0)
    return {
        "return_pct": metrics.returns(series)["total_pct"],
        "max_drawdown_pct": metrics.drawdowns(series)["max_pct"],
        "sharpe": metrics.ratios(series)["sharpe"]["value"],
        "net": rounded(won - lost),
        "profit_factor": rounded(won / lost) if lost > 0 else NOT_ENOUGH,
        "hit_rate_pct": rounded(sum(p > 0 for p in left) / len(left) * 100) if left else NOT_ENOUGH,
    }


def _less(stood: Ground, fees: int, taking: int) -> Series:
    """The curve of the run less fees, spread and slippage of every fill, so many times more than they were paid."""
    series, more = stood.series, np.zeros(stood.data.count)
    for row in stood.run.fills:
        more[stood.data.newest(parse_time(row["booked_at"]))] += _extra(row, "fee", fees, taking)
    equity: Floats = series.equity - np.cumsum(more)
    return Series(series.times, equity, series.opening)


def _profit(trade: Mapping[str, Any], fees: int, taking: int) -> float:
    return float(trade["pnl"]) - _extra(trade, "fees", fees, taking)


def _extra(paid: Mapping[str, Any], fee: str, fees: int, taking: int) -> float:
    return fees * float(paid[fee]) + taking * (float(paid["spread"]) + float(paid["slippage"]))


def _closed(stood: Ground) -> list[dict[str, Any]]:
    return [trade for trade in stood.run.trades if trade["closed_at"] is not None]


def _fill(row: Mapping[str, Any]) -> VenueFill:
    """A row of fills.json as the venue booked it, but for what nobody asks of it here."""
    price, size, value, fee = (Decimal(row[name]) for name in ("price", "size", "value", "fee"))
    return VenueFill(
        0, row["entry_id"], row["trade_id"], row["order_id"], ProductId(row["product"]), Side(row["side"]), price, size,
        value, fee, Liquidity(row["liquidity"]), parse_time(row["trade_time"]), parse_time(row["booked_at"]),
    )  # fmt: skip


def _beside(before: Mapping[str, Any], late: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    def figures(told: Mapping[str, Any]) -> dict[str, Any]:
        trades = told["trades"]
        return {
            "return_pct": told["returns"]["total_pct"],
            "max_drawdown_pct": told["drawdowns"]["max_pct"],
            "sharpe": told["ratios"]["sharpe"]["value"],
            "closed_trades": trades["closed"],
            "hit_rate_pct": trades.get("hit_rate_pct", NOT_ENOUGH),
            "profit_factor": trades.get("profit_factor", NOT_ENOUGH),
            "net": trades.get("net", NOT_ENOUGH),
            "costs": told["costs"]["total"],
        }

    first, second = figures(before), figures(late)
    return {name: {"as_run": first[name], "late": second[name]} for name in first}
