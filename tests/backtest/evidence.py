"""A finished run worked out a second time: from orders.json, fills.json, decisions.jsonl and the candles, with pandas.

Nothing of backtest/ is used and trades.json is not asked: what it says can be compared with what stands here.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

TICK = Decimal("0.01")
NUMBERS = ("price", "size", "value", "fee", "spread", "slippage")


@dataclass
class Evidence:
    """candles: folder of one-minute files; rules: those of the policy, by name; opening: cash before the first bar."""

    files: Mapping[str, bytes]
    candles: Path
    minutes: int
    half_spread_bps: Decimal
    rules: Mapping[str, Mapping[str, Any]]
    opening: float

    @cached_property
    def orders(self) -> pd.DataFrame:
        found = pd.DataFrame(json.loads(self.files["orders.json"])).set_index("order_id", drop=False)
        for name in ("created_at", "ended_at"):
            found[name] = pd.to_datetime(found[name])
        for name in ("size", "limit_price", "stop_price", "filled_size", "average_price"):
            found[name] = found[name].astype(float)
        return found

    @cached_property
    def fills(self) -> pd.DataFrame:
        found = pd.DataFrame(json.loads(self.files["fills.json"]))
        found["exact"] = found["price"].map(Decimal)
        for name in ("trade_time", "booked_at"):
            found[name] = pd.to_datetime(found[name])
        found[list(NUMBERS)] = found[list(NUMBERS)].astype(float)
        found["signed"] = found["size"].where(found["side"] == "BUY", -found["size"])
        return found

    @cached_property
    def decisions(self) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in self.files["decisions.jsonl"].splitlines()]
        return [row for row in rows if "cycle_id" in row]

    @cached_property
    def regimes(self) -> dict[str, str]:
        return {row["cycle_id"]: row["regime"] for row in self.decisions}

    @cached_property
    def references(self) -> dict[tuple[str, str, str], float]:
        """What each approved wish reasoned from, by cycle, product and side."""
        wants = [(row["cycle_id"], want) for row in self.decisions for want in row["proposals"]]
        return {
            (cycle, want["product"], want["side"]): float(want["reference"])
            for cycle, want in wants
            if want["approved"] == "yes"
        }

    @cached_property
    def bars(self) -> dict[str, pd.DataFrame]:
        """Every bar of each market by its opening, in cents; a quiet one carries the close."""
        return {path.name.split("_")[0]: self._bars(path) for path in sorted(self.candles.glob("*.csv"))}

    def _bars(self, path: Path) -> pd.DataFrame:
        rows = pd.read_csv(path, dtype=dict.fromkeys(("open", "high", "low", "close"), str))
        at = pd.to_datetime(rows["start"], unit="s", utc=True).dt.floor(f"{self.minutes}min")
        cents = rows[["open", "high", "low", "close"]].map(lambda text: int(Decimal(text) / TICK))
        made = cents.groupby(at).agg({"open": "first", "high": "max", "low": "min", "close": "last"})
        made = made.reindex(pd.date_range(made.index[0], self.closes[-1], freq=f"{self.minutes}min", inclusive="left"))
        close = made["close"].ffill()
        return pd.DataFrame({name: made[name].fillna(close).astype("int64") for name in made.columns})

    @cached_property
    def closes(self) -> pd.DatetimeIndex:
        period = json.loads(self.files["summary.json"])["period"]
        return pd.date_range(period["from"], period["to"], freq=f"{self.minutes}min", inclusive="right")

    @cached_property
    def trips(self) -> pd.DataFrame:
        """Closed round trips in the order in which they ended, from the fills alone."""
        found = []
        for product, fills in self.fills.groupby("product", sort=False):
            flat = fills["signed"].cumsum().abs() < 1e-9
            for number, own in fills.groupby(flat.shift(fill_value=False).cumsum()):
                if abs(own["signed"].sum()) < 1e-9:
                    found.append(self._trip(str(product), own) | {"last": own.index[-1], "number": number})
        return pd.DataFrame(found).sort_values("last").reset_index(drop=True)

    def _trip(self, product: str, own: pd.DataFrame) -> dict[str, Any]:
        bought, sold = own[own["side"] == "BUY"], own[own["side"] == "SELL"]
        first, entry = self.orders.loc[own["order_id"].iloc[0]], bought["value"].sum() / bought["size"].sum()
        opened, closed = own["booked_at"].iloc[0], own["booked_at"].iloc[-1]
        lived = self.bars[product].loc[opened - pd.Timedelta(minutes=self.minutes) : closed - pd.Timedelta(seconds=1)]
        paid = bought["value"].sum() + bought["fee"].sum()
        rule = self.rules[first["rule"]]
        stops = [rule[name] for name in ("stop_loss_pct", "trailing_stop_pct") if rule.get(name) is not None]
        pnl = sold["value"].sum() - sold["fee"].sum() - paid
        return {
            "product": product, "rule": first["rule"], "cycle": first["cycle_id"], "opened": opened, "closed": closed,
            "minutes": (closed - opened).total_seconds() / 60, "pnl": pnl, "bps": pnl / paid * 10_000,
            "r": pnl / (bought["value"].sum() * min(stops) / 100), "traded": own["value"].sum(),
            "fees": own["fee"].sum(), "worst": min(0.0, (lived["low"].min() / 100 / entry - 1) * 100),
            "best": max(0.0, (lived["high"].max() / 100 / entry - 1) * 100), "regime": self.regimes[first["cycle_id"]],
            "reason": self._reason(sold.iloc[-1], rule, entry), "crossing": sum(self.crossing.loc[own.index, "cost"]),
        }  # fmt: skip

    def _reason(self, sale: pd.Series, rule: Mapping[str, Any], entry: float) -> str:
        order = self.orders.loc[sale["order_id"]]
        if order["kind"] == "exit":
            return str(order["why"])
        if sale["liquidity"] == "MAKER":
            return "take_profit"
        if rule.get("trailing_stop_pct") is None:
            return "stop_loss"
        return (
            "trailing_stop" if order["stop_price"] > entry * (1 - rule["stop_loss_pct"] / 100) * 1.0005 else "stop_loss"
        )

    @cached_property
    def crossing(self) -> pd.DataFrame:
        """What each fill paid for taking at once, and how much of it was spread: by candles, stops and ticks."""
        rows = [self._crossed(fill) for _, fill in self.fills.iterrows()]
        return pd.DataFrame(rows, index=self.fills.index, columns=["cost", "spread"])

    def _crossed(self, fill: pd.Series) -> tuple[float, float]:
        if fill["liquidity"] == "MAKER":
            return 0.0, 0.0
        way = Decimal(1) if fill["side"] == "BUY" else Decimal(-1)
        begun = fill["booked_at"] - pd.Timedelta(minutes=self.minutes)
        mid, size = int(self.bars[fill["product"]].loc[begun, "open"]) * TICK, Decimal(str(fill["size"]))
        if fill["trade_time"] > begun:  # inside the bar: a stop
            mid = touch = min(mid, Decimal(str(self.orders.loc[fill["order_id"], "stop_price"])))
        else:
            rounding = ROUND_CEILING if way > 0 else ROUND_FLOOR
            touch = (mid * (1 + way * self.half_spread_bps / 10_000) / TICK).to_integral_value(rounding) * TICK
        return float(way * (fill["exact"] - mid) * size), float(way * (touch - mid) * size)

    @cached_property
    def bids(self) -> pd.DataFrame:
        """Best bid of each market at each close."""
        keep = 10_000 - int(self.half_spread_bps)
        found = {product: bars["close"] * keep // 10_000 / 100 for product, bars in self.bars.items()}
        return pd.DataFrame({product: line.to_numpy() for product, line in found.items()}, index=self.closes)

    @cached_property
    def worth(self) -> pd.DataFrame:
        """Value of each holding at each close."""
        moves = self.fills.pivot_table(index="booked_at", columns="product", values="signed", aggfunc="sum")
        held = moves.reindex(index=self.closes, columns=self.bids.columns).fillna(0).cumsum().round(9)
        return held * self.bids

    @cached_property
    def cash(self) -> pd.Series:
        moved = (-self.fills["signed"] * self.fills["price"] - self.fills["fee"]).groupby(self.fills["booked_at"]).sum()
        return self.opening + moved.reindex(self.closes).fillna(0).cumsum()

    @cached_property
    def equity(self) -> pd.Series:
        return self.cash + self.worth.sum(axis=1)

    @cached_property
    def benchmarks(self) -> dict[str, pd.Series[float]]:
        """What one unit of money would be worth at each close, bought into BTC, or a part into every market."""
        grown = {product: bars["close"].to_numpy() / bars["close"].iloc[0] for product, bars in self.bars.items()}
        held = pd.DataFrame(grown, index=self.closes)
        return {"btc": held["BTC-USD"], "equal_weight": held.mean(axis=1)}

    def falls(self, line: pd.Series, opening: float) -> pd.Series:
        return line / line.cummax().clip(lower=opening) - 1

    def daily(self, line: pd.Series, opening: float) -> np.ndarray:
        """Returns between the ends of UTC days."""
        ends = line.groupby((self.closes - pd.Timedelta(seconds=1)).floor("D")).last()
        return (ends / ends.shift(fill_value=opening) - 1).to_numpy()

    def table(self, name: str) -> pd.DataFrame:
        return pd.read_csv(io.BytesIO(self.files[name]))
