"""summary.json: who ran what on which data, and every figure of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from backtest import account, metrics, tradestats
from backtest.candles import Floats
from backtest.curve import Curve, themes
from backtest.dataset import Dataset
from backtest.trades import Ledger, Trade
from bot.domain.codec import time_text
from bot.domain.money import decimal_text
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.venue.venue import Venue

LEADER: Final = ProductId("BTC-USD")


class Run(Value):
    """A finished run with everything the artifacts are made of. identity: hashes, command and fill model."""

    data: Dataset
    venue: Venue
    ledger: Ledger
    trades: tuple[Trade, ...]
    curve: Curve
    opening: float
    identity: Mapping[str, Any]


class Lines(Value):
    """What is drawn and counted beside equity, one value a bar.

    benchmarks: value of one unit of money, bought and held. themes: percent of equity in each.
    """

    benchmarks: Mapping[str, Floats]
    themes: Mapping[str, Floats]


def lines(run: Run) -> Lines:
    """The lines of a run."""
    held = themes(run.data, run.ledger.fills, run.ledger.config.universe, run.curve.equity)
    return Lines(benchmarks(run.data), held)


def summary(run: Run, beside: Lines, data_hashes: Mapping[str, str]) -> dict[str, Any]:
    """The figures of a run. Percentages are 0-100, amounts are in the equity currency."""
    data, config, recorder = run.data, run.ledger.config, run.ledger.recorder
    closes = data.start + data.length.value * (np.arange(data.count, dtype=np.int64) + 1)
    series = metrics.Series(closes, run.curve.equity, run.opening)
    return {
        "identity": {**run.identity, "data": dict(data_hashes)},
        "period": {
            "from": time_text(data.opened(0)),
            "to": time_text(data.closed(data.count - 1)),
            "bars": data.count,
            "bar": data.length.name,
            "products": sorted(data.tracks),
        },
        "equity": {
            "opening": metrics.rounded(run.opening),
            "final": decimal_text(run.curve.final),
            "lowest": metrics.rounded(float(np.min(run.curve.equity))),
            "highest": metrics.rounded(float(np.max(run.curve.equity))),
        },
        "returns": metrics.returns(series),
        "ratios": metrics.ratios(series),
        "drawdowns": metrics.drawdowns(series),
        "benchmark": left_out(data) | metrics.beside(series, beside.benchmarks),
        "trades": tradestats.statistics(run.trades, data.length.minutes),
        "costs": account.costs(run.ledger.fills, run.trades),
        "execution": account.execution(run.ledger),
        "exposure": account.exposure(run.curve, config, beside.themes),
        "coverage": account.coverage(recorder),
        "integrity": account.integrity(data, recorder, run.venue.residuals()),
    }


def benchmarks(data: Dataset) -> dict[str, Floats]:
    """Value of one unit of money bought into BTC, and into every product alike, at the first close."""
    found, total, line, count = dict[str, Floats](), np.zeros(data.count), np.empty(data.count), 0
    for market in data.tracks:
        if _growth(data, market, line):
            total += line
            count += 1
            if market == LEADER:
                found["btc"] = line.copy()
    if count:
        found["equal_weight"] = total / count
    return found


def left_out(data: Dataset) -> dict[str, dict[str, str]]:
    """BTC without figures, and why: those from a later bar on would be read beside a return of more time."""
    if LEADER not in data.tracks or data.tracks[LEADER].at(0) is not None:
        return {}
    first, _ = data.integrity.recorded[LEADER]
    begun = f"its recording begins {datetime.fromtimestamp(first, UTC):%Y-%m-%d %H:%M} UTC"
    why = begun if first > data.start else "it is in a gap"
    return {"btc": {"left_out": f"{LEADER} is not there at the first bar of the run: {why}"}}


def _growth(data: Dataset, market: ProductId, out: Floats) -> bool:
    """Put closes over the first close into `out`, carried through gaps; False for a market that began later."""
    track = data.tracks[market]
    if track.at(0) is None:
        return False
    begun = 0
    for segment in track.segments:
        first, stop = max(0, segment.first), min(data.count, segment.stop)
        if first < stop:
            inside = segment.columns.series.close[first - segment.first : stop - segment.first]
            begun = begun or int(inside[0])
            np.divide(inside, begun, out=out[first:stop])
            out[stop:] = out[stop - 1]
    return True
