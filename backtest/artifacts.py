"""Writes what a run leaves behind: JSON and CSV files, and the manifest that names them by their hashes.

Nothing in any file hangs on the machine, the time of day or the way the run was sped up: same inputs, same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from backtest import prices
from backtest.summary import Lines, Run, lines, summary
from backtest.trades import Trade
from bot.domain.bars import Ints
from bot.domain.codec import time_text
from bot.domain.money import decimal_text
from bot.domain.product import SELL
from bot.errors import ConfigError
from bot.venue.orders import OrderRecord, VenueFill

HOUR_S: Final = 3600
MANIFEST: Final = "manifest.json"
PAGE: Final = "report.html"
ROBUSTNESS: Final = "robustness.json"
LATER: Final = (PAGE, ROBUSTNESS)
"""Made from the other artifacts, when somebody asks for them."""

Hours = tuple[Ints, Ints]


def _plain(value: object) -> str:
    """The text of a product's name, which is more than a text to the bot."""
    if not isinstance(value, str):
        raise TypeError(f"a row of an artifact holds texts and whole numbers, not {value!r}")
    return str(value)


_ROW: Final = msgspec.json.Encoder(enc_hook=_plain)
"""Writes a row without spaces."""


def write(run: Run, out: Path, data_hashes: Mapping[str, str]) -> dict[str, Any]:
    """Every artifact of the run itself into `out`, which is made; answers the summary. What was made of an earlier run
    in that folder goes. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    for name in LATER:
        (out / name).unlink(missing_ok=True)
    beside, hours = lines(run), _hours(run)
    figures = summary(run, beside, data_hashes)
    contents = {
        "summary.json": _json(figures),
        "trades.json": _lines(_trade(trade) for trade in run.trades),
        "orders.json": _lines(_order(run, order) for order in run.venue.orders()),
        "fills.json": _fills(run),
        "equity.csv": _equity(run, beside, hours),
        "exposure.csv": _exposure(run, beside, hours),
        "prices.csv": prices.csv(run.data, (order.market for order in run.venue.orders())),
        "decisions.jsonl": b"".join(_ROW.encode(row) + b"\n" for row in run.ledger.recorder.rows),
    }
    manifest = {
        **run.identity,
        "data": dict(data_hashes),
        "artifacts": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    for name, content in {**contents, MANIFEST: _json(manifest)}.items():
        (out / name).write_bytes(content)
    return figures


def read(folder: Path) -> dict[str, bytes]:
    """The artifacts of a run by name. Raises ConfigError when there is no run in the folder."""
    if not (folder / MANIFEST).is_file():
        raise ConfigError([f"{folder}: holds no {MANIFEST} of a backtest"])
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def add(folder: Path, later: Mapping[str, bytes]) -> None:
    """Files made from a run's artifacts, beside them and into its manifest. Raises OSError."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["artifacts"] |= {name: hashlib.sha256(content).hexdigest() for name, content in later.items()}
    for name, content in {**later, MANIFEST: _json(manifest)}.items():
        (folder / name).write_bytes(content)


def _trade(trade: Trade) -> dict[str, Any]:
    r = trade.pnl_r
    return {
        "product": trade.product,
        "rule": trade.rule,
        "triggers": list(trade.triggers),
        "regime": trade.regime,
        "tier": trade.tier,
        "themes": list(trade.themes),
        "opened_at": time_text(trade.opened_at),
        "closed_at": time_text(trade.closed_at) if trade.closed_at is not None else None,
        "bars": trade.bars,
        "size": decimal_text(trade.size),
        "entry": _cut(trade.entry),
        "exit": _cut(trade.exit) if trade.exit is not None else None,
        "cost": _cut(trade.cost),
        "proceeds": _cut(trade.proceeds),
        "fees": _cut(trade.fees),
        "spread": _cut(trade.spread),
        "slippage": _cut(trade.slippage),
        "pnl": _cut(trade.pnl) if trade.closed else None,
        "pnl_bps": _cut(trade.pnl_bps) if trade.closed else None,
        "pnl_r": _cut(r) if trade.closed and r is not None else None,
        "adverse_excursion_pct": _cut(trade.worst_pct),
        "favourable_excursion_pct": _cut(trade.best_pct),
        "exit_reason": trade.exit_reason,
    }


def _order(run: Run, order: OrderRecord) -> dict[str, Any]:
    origin, terms, average = run.ledger.recorder.origins.get(order.client_order_id), order.terms, order.average_price
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "parent_id": order.originating_order_id,
        "product": order.product,
        "side": order.side.value,
        "kind": origin.kind.value if origin is not None else "protective",
        "rule": origin.rule if origin is not None else "",
        "why": origin.why if origin is not None else "attached",
        "cycle_id": origin.cycle_id if origin is not None else "",
        "intent": origin.intent if origin is not None else None,
        "attempt": origin.attempt if origin is not None else None,
        "type": terms.key,
        "status": order.status.value,
        "size": _number(terms.base_size),
        "limit_price": _number(terms.limit_price),
        "stop_price": _number(terms.stop_price),
        "created_at": time_text(order.created_at),
        "ended_at": time_text(order.ended_at) if order.ended_at is not None else None,
        "filled_size": decimal_text(order.filled_size),
        "average_price": _cut(average) if average is not None else None,
        "fees": _cut(order.fees),
        "message": order.reject_message or order.cancel_message,
    }


def _fills(run: Run) -> bytes:
    return _lines(_fill(run, fill) for fill in run.ledger.fills)


def _fill(run: Run, fill: VenueFill) -> dict[str, Any]:
    origin = run.ledger.origin(fill)
    sold = fill.side is SELL
    return {
        "entry_id": fill.entry_id,
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "product": fill.product,
        "side": fill.side.value,
        "kind": origin.kind.value if origin is not None else "protective",
        "reason": run.ledger.reasons[fill.order_id] if sold else (origin.rule if origin is not None else ""),
        "price": decimal_text(fill.price),
        "size": decimal_text(fill.size),
        "value": _cut(fill.value),
        "fee": _cut(fill.fee),
        "spread": _cut(fill.spread),
        "slippage": _cut(fill.slippage),
        "liquidity": fill.liquidity.value,
        "trade_time": time_text(fill.trade_time),
        "booked_at": time_text(fill.booked_at),
    }


def _equity(run: Run, beside: Lines, hours: Hours) -> bytes:
    """A row an hour, or a bar where bars are longer: equity at its end, its extremes within, the peak and the fall, and
    what the opening equity would be worth in each benchmark."""
    heads, ends = hours
    equity = run.curve.equity
    peaks = np.maximum.accumulate(np.maximum(equity, run.opening))
    falls = (equity / peaks - 1) * 100
    columns = (
        equity[ends], np.minimum.reduceat(equity, heads), np.maximum.reduceat(equity, heads), peaks[ends],
        np.minimum.reduceat(falls, heads), *(line[ends] * run.opening for line in beside.benchmarks.values()),
    )  # fmt: skip
    return _csv(("equity", "low", "high", "peak", "drawdown_pct", *beside.benchmarks), run, ends, columns)


def _exposure(run: Run, beside: Lines, hours: Hours) -> bytes:
    """A row an hour, as above: cash, invested, percent of it at the end and at most, greatest position, how many
    positions, and the most in each theme."""
    heads, ends = hours
    curve = run.curve
    columns = (
        curve.cash[ends], curve.invested[ends], curve.invested_pct[ends],
        *(np.maximum.reduceat(line, heads) for line in (curve.invested_pct, curve.largest_pct, curve.positions)),
        *(np.maximum.reduceat(line, heads) for line in beside.themes.values()),
    )  # fmt: skip
    names = ("cash", "invested", "invested_pct", "invested_pct_max", "largest_pct_max", "positions_max")
    return _csv((*names, *(f"theme_{name}_pct_max" for name in beside.themes)), run, ends, columns)


def _hours(run: Run) -> Hours:
    """First and last bar of every hour, or of every bar where bars are longer."""
    data = run.data
    closes = data.start + data.length.value * (np.arange(data.count, dtype=np.int64) + 1)
    hours = (closes - 1) // max(HOUR_S, data.length.value)
    heads = np.flatnonzero(np.append(True, hours[1:] != hours[:-1]))
    return heads, np.append(heads[1:], data.count) - 1


def _csv(names: Sequence[str], run: Run, ends: Any, columns: Sequence[Any]) -> bytes:
    closes = run.data.start + run.data.length.value * (ends + 1)
    times = np.datetime_as_string(closes.astype("datetime64[s]")).tolist()
    form = ",".join("%d" if column.dtype.kind == "i" else "%.6f" for column in columns)
    # Adding zero turns a negative zero into a plain one.
    values = zip(*((column + 0).tolist() for column in columns), strict=True)
    rows = (f"{time}Z,{form % row}" for time, row in zip(times, values, strict=True))
    return "\n".join([",".join(("time", *names)), *rows, ""]).encode()


def _number(value: Any) -> str | None:
    return None if value is None else decimal_text(value)


def _cut(value: Decimal) -> str:
    """Twelve decimals are enough for people; the books hold the exact numbers."""
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """A JSON list with one row a line."""
    body = b",\n".join(map(_ROW.encode, rows))
    return b"[\n" + body + b"\n]\n" if body else b"[]\n"


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
