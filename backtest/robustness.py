"""`backtest report --robustness`: how much of a result is left when luck, costs or speed had been worse.

- bootstrap: equity and drawdown of daily returns drawn anew in blocks (bootstrap.py).
- costs: the same orders and fills, each fee and each taker's slippage taken two and three times. What the bot would
  have decided with other fees is not asked: it would assume them, size by them, and trade less.
- late: the whole run again, with every order one bar later at the venue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from backtest import artifacts, bootstrap, engine, metrics, prepare
from backtest.candles import Floats
from backtest.drive import Drive
from backtest.metrics import NOT_ENOUGH, Series, rounded
from backtest.report.artifacts import Artifacts
from bot.domain.bars import LENGTHS
from bot.domain.product import ProductId
from bot.errors import ConfigError
from bot.settings.config import Config

FACTORS: Final = (1, 2, 3)
BPS: Final = 10_000


def robustness(run: Artifacts, late: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the page shows of it. late: the summary of the run that was one cycle late."""
    drawn = bootstrap.fan(run.daily_returns(), run.opening)
    costs = {_name(fees, slips): _dearer(run, fees, slips) for fees in FACTORS for slips in FACTORS}
    return {"bootstrap": bootstrap.told(drawn), "costs": costs, "late": _beside(run.summary, late)}


def run_late(run: Artifacts, given: Config, folder: Path, code: str) -> Mapping[str, Any]:
    """The summary of the same run with every order one bar later at the venue.

    Raises: ConfigError when configuration or data are not those of the run, or its bars cannot be told.
    """
    told = run.summary
    if given.config_hash != told["identity"]["config_hash"]:
        raise ConfigError([f"the run was made with configuration {told['identity']['config_hash']}, this is another"])
    length = next((length for length in LENGTHS.values() if length.name == told["period"]["bar"]), None)
    config = _slower(prepare.adapted(given, length))
    data = prepare.read(prepare.wish(config, folder, **_span(told["period"])))
    known, before = engine.data_hashes(folder, data), told["identity"]["data"]
    changed = sorted(name for name in {*known, *before} if known.get(name) != before.get(name))
    if changed:
        raise ConfigError([f"--data {folder}: {name} is not the file of that name the run read" for name in changed])
    drive = Drive(config, data, code)
    drive.run(lambda _: None)
    with TemporaryDirectory(prefix="late-") as out:
        return engine.write(engine.finish(drive, given.config_hash, code, "late"), folder, Path(out), known)


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
    rules = policy.backtest.model_copy(update={"latency_bars": max(1, policy.backtest.latency_bars) + 1})
    patience = ("post_only_ttl_seconds", "submitted_timeout_seconds")
    longer = {name: getattr(policy.execution, name) + policy.data.bar_granularity.value for name in patience}
    execution = policy.execution.model_copy(update=longer)
    return Config(policy.model_copy(update={"backtest": rules, "execution": execution}), config.universe)


def _name(fees: int, slips: int) -> str:
    return f"fees x{fees}, slippage x{slips}"


def _dearer(run: Artifacts, fees: int, slips: int) -> dict[str, Any]:
    """Figures of the curve, by its hourly rows, less what fills would have cost more; and of the closed trades."""
    rate = float(run.summary["identity"]["fill_model"]["slippage_bps"]) / BPS
    extra = {fill["entry_id"]: _extra(fill, fees - 1, (slips - 1) * rate) for fill in run.fills}
    times = np.array([text[:-1] for text in run.equity["time"]], dtype="datetime64[s]").astype(np.int64)
    paid = np.zeros(len(times))
    for fill in run.fills:
        at = int(np.datetime64(fill["booked_at"][:19], "s").astype(np.int64))
        paid[np.searchsorted(times, at) :] += extra[fill["entry_id"]]
    equity: Floats = np.array(run.equity["equity"], dtype=np.float64) - paid
    series = Series(times, equity, run.opening)
    profits = _profits(run, extra)
    won, lost = sum(p for p in profits if p > 0), -sum(p for p in profits if p <= 0)
    return {
        "return_pct": metrics.returns(series)["total_pct"],
        "max_drawdown_pct": metrics.drawdowns(series)["max_pct"],
        "sharpe": metrics.ratios(series)["sharpe"]["value"],
        "net": rounded(won - lost),
        "profit_factor": rounded(won / lost) if lost > 0 else NOT_ENOUGH,
        "hit_rate_pct": rounded(sum(p > 0 for p in profits) / len(profits) * 100) if profits else NOT_ENOUGH,
    }


def _extra(fill: Mapping[str, Any], fees: int, slippage: float) -> float:
    taken = slippage * float(fill["value"]) if fill["liquidity"] == "TAKER" else 0.0
    return fees * float(fill["fee"]) + taken


def _profits(run: Artifacts, extra: Mapping[str, float]) -> list[float]:
    """Profit of each closed trade: a trade has the fills of its product between its opening and its close."""
    left = []
    for trade in run.trades:
        if trade["closed_at"] is not None:
            own = (f for f in run.fills if f["product"] == trade["product"]
                   and trade["opened_at"] <= f["booked_at"] <= trade["closed_at"])  # fmt: skip
            left.append(float(trade["pnl"]) - sum(extra[fill["entry_id"]] for fill in own))
    return left


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
