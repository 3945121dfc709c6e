"""Figures of an equity curve: returns, ratios, drawdowns, and how it did beside buying and holding.

Ratios are taken over daily returns, a day ending at UTC midnight, with 365 days in a year and no risk-free rate. A
figure that rests on fewer than LEAST_DAYS returns is "not enough data": a number would only look like knowledge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import sqrt
from typing import Any, Final

import numpy as np

from backtest.candles import Floats
from bot.domain.bars import DAY_S, Ints
from bot.domain.value import Value, cached_property

LEAST_DAYS: Final = 20
DAYS_A_YEAR: Final = 365
NOT_ENOUGH: Final = "not enough data"
WORST: Final = 5
_PLACES: Final = 6


class Series(Value, dict=True):
    """Equity at the close of every bar. times: unix seconds of the closes; opening: equity before the first bar."""

    times: Ints
    equity: Floats
    opening: float

    @property
    def years(self) -> float:
        step = int(self.times[1] - self.times[0]) if len(self.times) > 1 else 60
        return float(self.times[-1] - self.times[0] + step) / (DAYS_A_YEAR * DAY_S)

    @cached_property
    def days(self) -> Ints:
        """The last bar of each UTC day; a day begun counts."""
        first, last = (int(at) - 1 for at in self.times[[0, -1]])
        midnights = np.arange(first // DAY_S + 1, last // DAY_S + 2) * DAY_S
        return np.unique(np.searchsorted(self.times, midnights, side="right") - 1)

    @cached_property
    def daily_returns(self) -> Floats:
        values = np.concatenate(([self.opening], self.equity[self.days]))
        found: Floats = values[1:] / values[:-1] - 1.0
        return found

    @cached_property
    def underwater(self) -> Floats:
        """Distance of each bar's equity from the highest before it, as a fraction, 0 or negative."""
        peaks = np.maximum.accumulate(np.maximum(self.equity, self.opening))
        return self.equity / peaks - 1.0


def rounded(value: float, places: int = _PLACES) -> float:
    """A float for a report: rounded, and never a negative zero."""
    return round(float(value), places) + 0.0


def returns(series: Series) -> dict[str, Any]:
    """Total and annual return, volatility, and the table of months; in percent."""
    end, found = float(series.equity[-1]), series.daily_returns
    total = end / series.opening - 1
    growth = (1 + total) ** (1 / series.years) - 1 if total > -1 else -1.0
    long_enough = series.years * DAYS_A_YEAR >= LEAST_DAYS
    return {
        "total_pct": rounded(total * 100),
        "cagr_pct": rounded(growth * 100) if long_enough else NOT_ENOUGH,
        "volatility_pct": _sampled(found, lambda x: float(np.std(x, ddof=1)) * sqrt(DAYS_A_YEAR) * 100),
        "days": len(found),
        "monthly_pct": _monthly(series),
    }


def ratios(series: Series) -> dict[str, Any]:
    """Sharpe, Sortino, Calmar and Omega of the daily returns, each with its sample size."""
    found = series.daily_returns
    deepest = float(np.min(series.underwater)) if len(series.equity) else 0.0
    year = sqrt(DAYS_A_YEAR)
    growth = (float(series.equity[-1]) / series.opening) ** (1 / series.years) - 1 if series.equity[-1] > 0 else -1.0
    return {
        "sharpe": _ratio(found, lambda x: (float(np.mean(x)), float(np.std(x, ddof=1))), year),
        "sortino": _ratio(found, lambda x: (float(np.mean(x)), float(np.sqrt(np.mean(np.minimum(x, 0.0) ** 2)))), year),
        "calmar": _ratio(found, lambda _: (growth, -deepest), 1.0),
        "omega": _ratio(found, lambda x: (float(np.sum(np.maximum(x, 0))), float(np.sum(np.maximum(-x, 0)))), 1.0),
        "risk_free_pct": 0,
    }


def drawdowns(series: Series) -> dict[str, Any]:
    """The deepest falls from a peak with their dates, and how much of the time was spent below one."""
    below = series.underwater
    under = below < 0
    edges = np.flatnonzero(np.diff(under, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    spans = list(zip(starts.tolist(), stops.tolist(), _days(series, starts, stops).tolist(), strict=True))
    # Up to the next start nothing is deeper: bars at a peak are 0.
    deepest_first = np.argsort(np.minimum.reduceat(below, starts), kind="stable")
    return {
        "max_pct": rounded(float(below.min()) * 100),
        "underwater_pct_of_time": rounded(float(np.mean(under)) * 100),
        "longest_days": rounded(max((days for _, _, days in spans), default=0.0), 3),
        "worst": [_drawdown(series, *spans[i]) for i in deepest_first[:WORST]],
    }


def beside(series: Series, benchmarks: Mapping[str, Floats]) -> dict[str, Any]:
    """Buy and hold of each benchmark, and the strategy's alpha (a year, percent) and beta against it.

    benchmarks: value at the close of every bar, any unit; the first one is what is bought.
    """
    return {name: _beside(series, values) for name, values in benchmarks.items()}


def _beside(series: Series, values: Floats) -> dict[str, Any]:
    held = Series(series.times, values, float(values[0]))
    own, theirs = series.daily_returns, held.daily_returns
    found: dict[str, Any] = {
        "return_pct": rounded((float(values[-1]) / float(values[0]) - 1) * 100),
        "max_drawdown_pct": rounded(float(held.underwater.min()) * 100),
        "excess_pct": rounded((float(series.equity[-1]) / series.opening - float(values[-1]) / float(values[0])) * 100),
    }
    spread = float(np.var(theirs, ddof=1)) if len(theirs) >= LEAST_DAYS else 0.0
    if spread <= 0:
        return found | {"beta": NOT_ENOUGH, "alpha_pct": NOT_ENOUGH, "days": len(theirs)}
    beta = float(np.cov(own, theirs, ddof=1)[0, 1]) / spread
    alpha = (float(np.mean(own)) - beta * float(np.mean(theirs))) * DAYS_A_YEAR * 100
    return found | {"beta": rounded(beta), "alpha_pct": rounded(alpha), "days": len(theirs)}


def _monthly(series: Series) -> dict[str, float]:
    """Return of each UTC month, in percent; the first and last may be parts."""
    names = np.asarray(series.times[series.days] - 1, dtype="datetime64[s]").astype("datetime64[M]")
    last = np.append(names[1:] != names[:-1], True)
    values = np.concatenate(([series.opening], series.equity[series.days[last]]))
    changes = (float(after) / float(before) - 1 for before, after in pairwise(values))
    return {str(name): rounded(change * 100) for name, change in zip(names[last], changes, strict=True)}


def _ratio(found: Floats, parts: Any, scale: float) -> dict[str, Any]:
    days = len(found)
    if days < LEAST_DAYS:
        return {"value": NOT_ENOUGH, "days": days}
    top, bottom = parts(found)
    return {"value": rounded(top / bottom * scale) if bottom > 0 else NOT_ENOUGH, "days": days}


def _sampled(found: Floats, figure: Any) -> float | str:
    return rounded(figure(found)) if len(found) >= LEAST_DAYS else NOT_ENOUGH


def _drawdown(series: Series, first: int, stop: int, days: float) -> dict[str, Any]:
    below = series.underwater
    bottom = first + int(np.argmin(below[first:stop]))
    recovered = stop < len(below)
    return {
        "depth_pct": rounded(float(below[bottom]) * 100),
        "peak_at": _date(int(series.times[max(0, first - 1)])),
        "bottom_at": _date(int(series.times[bottom])),
        "recovered_at": _date(int(series.times[stop])) if recovered else None,
        "days": rounded(days, 3),
    }


def _days(series: Series, starts: Ints, stops: Ints) -> Floats:
    """From the peak before each fall to its recovery, or to the last bar."""
    times = series.times
    spans: Floats = (times[np.minimum(stops, len(times) - 1)] - times[np.maximum(starts - 1, 0)]) / DAY_S
    return spans


def _date(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wilson(hits: int, count: int, z: float = 1.959964) -> Sequence[float]:
    """95 % interval of a share, in percent. Source: E. B. Wilson, Probable Inference (1927)."""
    if not count:
        return (0.0, 100.0)
    share, spread = hits / count, z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return rounded((middle - half) * 100, 3), rounded((middle + half) * 100, 3)
