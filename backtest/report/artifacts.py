"""A run's artifacts as the page reads them: from the bytes on disk, so that a page can be made again at any time."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from backtest.candles import Floats

Rows = list[dict[str, Any]]


@dataclass
class Artifacts:
    """The files of one run by name."""

    contents: Mapping[str, bytes]

    @cached_property
    def summary(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.contents["summary.json"])
        return found

    @cached_property
    def robustness(self) -> Mapping[str, Any] | None:
        content = self.contents.get("robustness.json")
        return None if content is None else json.loads(content)

    @cached_property
    def trades(self) -> Rows:
        return self._rows("trades.json")

    @cached_property
    def fills(self) -> Rows:
        return self._rows("fills.json")

    @cached_property
    def equity(self) -> pd.DataFrame:
        return self._frame("equity.csv")

    @cached_property
    def exposure(self) -> pd.DataFrame:
        return self._frame("exposure.csv")

    @cached_property
    def prices(self) -> pd.DataFrame:
        return self._frame("prices.csv")

    @property
    def opening(self) -> float:
        return float(self.summary["equity"]["opening"])

    def daily_returns(self) -> Floats:
        """Returns between the last rows of each UTC day; a day begun counts."""
        closing = self._closing()
        before = closing.shift(1, fill_value=self.opening)
        found: Floats = (closing / before - 1.0).to_numpy(dtype=np.float64)
        return found

    def days(self) -> list[str]:
        """The UTC day of each daily return."""
        return [f"{day:%Y-%m-%d}" for day in self._closing().index]

    def _closing(self) -> pd.Series[float]:
        """Equity at the end of each UTC day; what is told at midnight belongs to the day before."""
        told = pd.to_datetime(self.equity["time"], utc=True) - pd.Timedelta(1, "s")
        return self.equity["equity"].astype(float).groupby(told.dt.floor("D").to_numpy()).last()

    def _rows(self, name: str) -> Rows:
        found: Rows = json.loads(self.contents[name])
        return found

    def _frame(self, name: str) -> pd.DataFrame:
        return pd.read_csv(io.BytesIO(self.contents[name]), dtype={"time": str, "product": str})
