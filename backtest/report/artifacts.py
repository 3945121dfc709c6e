"""A run's artifacts as the page reads them: from the bytes on disk, so that a page can be made again at any time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backtest.candles import Floats

Rows = list[dict[str, Any]]
Columns = Mapping[str, list[str]]


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
    def equity(self) -> Columns:
        return self._columns("equity.csv")

    @cached_property
    def exposure(self) -> Columns:
        return self._columns("exposure.csv")

    @cached_property
    def prices(self) -> Columns:
        return self._columns("prices.csv")

    @property
    def opening(self) -> float:
        return float(self.summary["equity"]["opening"])

    def daily_returns(self) -> Floats:
        """Returns between the last rows of each UTC day; a day begun counts."""
        times = np.array([text[:-1] for text in self.equity["time"]], dtype="datetime64[s]").astype(np.int64)
        days = (times - 1) // 86_400
        ends = np.flatnonzero(np.append(days[1:] != days[:-1], True))
        values = np.concatenate(([self.opening], np.array(self.equity["equity"], dtype=np.float64)[ends]))
        found: Floats = values[1:] / values[:-1] - 1.0
        return found

    def days(self) -> list[str]:
        """The UTC day of each daily return."""
        return list(dict.fromkeys(str(np.datetime64(text[:-1], "s") - 1)[:10] for text in self.equity["time"]))

    def _rows(self, name: str) -> Rows:
        found: Rows = json.loads(self.contents[name])
        return found

    def _columns(self, name: str) -> Columns:
        head, *rows = self.contents[name].decode().splitlines()
        names = head.split(",")
        columns = zip(*(row.split(",") for row in rows), strict=True) if rows else ([] for _ in names)
        return dict(zip(names, map(list, columns), strict=True))
