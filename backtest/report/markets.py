"""One chart a traded market: its price with every entry and exit, and the reason of each under the pointer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from backtest.report.artifacts import Artifacts
from backtest.report.charts import BLUE, GREEN, GREY, RED
from bot.domain.value import Value

WON, LOST = GREEN, RED


class Market(Value):
    """One market's chart. trades: how many it had."""

    product: str
    trades: int
    data: Sequence[Mapping[str, Any]]


def markets(run: Artifacts) -> list[Market]:
    """Every market that traded, the busiest first."""
    coins = run.prices["product"].map(_coin)
    traded = {trade["product"] for trade in run.trades}
    found = [_market(run, product, run.prices[coins == _coin(product)]) for product in sorted(traded)]
    return sorted(found, key=lambda market: -market.trades)


def _market(run: Artifacts, product: str, prices: pd.DataFrame) -> Market:
    mine = [trade for trade in run.trades if trade["product"] == product]
    bars = {
        "type": "candlestick", "x": prices["time"].tolist(), "name": product, "showlegend": False,
        **{name: prices[name].astype(float).tolist() for name in ("open", "high", "low", "close")},
        "increasing": _outline("#94a3b8"), "decreasing": _outline("#475569"),
    }  # fmt: skip
    closed = [trade for trade in mine if trade["closed_at"] is not None]
    return Market(product, len(mine), [bars, *_paths(closed), _entries(mine), *_exits(closed)])


def _coin(product: str) -> str:
    """A coin listed against two dollars has one market."""
    return product.partition("-")[0]


def _paths(closed: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """A thin line from each entry to its exit, as one trace."""
    x = [point for trade in closed for point in (trade["opened_at"], trade["closed_at"], None)]
    y = [point for trade in closed for point in (float(trade["entry"]), float(trade["exit"]), None)]
    yield {"type": "scatter", "mode": "lines", "x": x, "y": y, "hoverinfo": "skip", "showlegend": False,
           "line": {"color": GREY, "width": 1, "dash": "dot"}}  # fmt: skip


def _entries(mine: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    texts = [
        f"<b>bought {_short(t['size'])} at {_short(t['entry'])}</b><br>rule {t['rule']}"
        f"<br>triggers {', '.join(t['triggers'])}<br>regime {t['regime']}<br>paid {float(t['cost']):,.2f}"
        for t in mine
    ]
    return _marks(
        [t["opened_at"] for t in mine], [float(t["entry"]) for t in mine], texts, "entry", BLUE, "triangle-up"
    )


def _exits(closed: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for name, color, won in (("exit, won", WON, True), ("exit, lost", LOST, False)):
        some = [trade for trade in closed if (float(trade["pnl"]) > 0) is won]
        texts = [
            f"<b>{t['exit_reason'].replace('_', ' ')} at {_short(t['exit'])}</b><br>{float(t['pnl']):+,.2f} "
            f"({float(t['pnl_bps']):+,.0f} bps{_multiple(t)})<br>rule {t['rule']}, held {t['bars']} bars"
            f"<br>worst {float(t['adverse_excursion_pct']):.2f} %, best {float(t['favourable_excursion_pct']):.2f} %"
            for t in some
        ]
        if some:
            yield _marks([t["closed_at"] for t in some], [float(t["exit"]) for t in some], texts, name, color, "x")


def _marks(
    x: Sequence[str], y: Sequence[float], texts: Sequence[str], name: str, color: str, symbol: str
) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "x": x, "y": y, "text": texts, "name": name,
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": color, "symbol": symbol, "size": 11, "line": {"color": "white", "width": 1}},
    }  # fmt: skip


def _outline(color: str) -> dict[str, Any]:
    return {"line": {"color": color, "width": 1}}


def _multiple(trade: Mapping[str, Any]) -> str:
    return "" if trade["pnl_r"] is None else f", {float(trade['pnl_r']):+.2f} R"


def _short(number: str) -> str:
    return f"{float(number):.8g}"
