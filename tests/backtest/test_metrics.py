"""Figures of a curve against a second, plain computation of them; those of a whole run stand in test_figures.py."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest import metrics
from backtest.metrics import NOT_ENOUGH, Series

DAY = 86_400


def walk(seed: int, days: int, bars_a_day: int = 24, drift: float = 0.0002) -> Series:
    chance, value, values = random.Random(seed), 10_000.0, []
    for _ in range(days * bars_a_day):
        value *= 1 + chance.gauss(drift, 0.004)
        values.append(value)
    step = DAY // bars_a_day
    start = 1_704_067_200
    return Series(start + step * np.arange(1, len(values) + 1), np.array(values), 10_000.0)


def plain_daily(series: Series) -> list[float]:
    """Returns between the last values of each UTC day, with dictionaries."""
    ends: dict[int, float] = {}
    for at, value in zip(series.times.tolist(), series.equity.tolist(), strict=True):
        ends[(at - 1) // DAY] = value
    values = [series.opening, *ends.values()]
    return [after / before - 1 for before, after in itertools.pairwise(values)]


@pytest.mark.parametrize("seed", range(4))
def test_ratios_agree_with_textbook_formulas(seed):
    series = walk(seed, 90)
    found, got = plain_daily(series), metrics.ratios(series)
    mean, year = statistics.fmean(found), math.sqrt(365)
    assert got["sharpe"] == {"value": pytest.approx(mean / statistics.stdev(found) * year, abs=1e-6), "days": 90}
    below = math.sqrt(statistics.fmean(min(0.0, x) ** 2 for x in found))
    assert got["sortino"]["value"] == pytest.approx(mean / below * year, abs=1e-6)
    gains, losses = sum(x for x in found if x > 0), -sum(x for x in found if x < 0)
    assert got["omega"]["value"] == pytest.approx(gains / losses, abs=1e-6)
    peak, deepest = series.opening, 0.0
    for value in series.equity.tolist():
        peak = max(peak, value)
        deepest = max(deepest, 1 - value / peak)
    growth = (series.equity[-1] / series.opening) ** (365 / 90) - 1
    assert got["calmar"]["value"] == pytest.approx(growth / deepest, abs=1e-5)
    assert metrics.drawdowns(series)["max_pct"] == pytest.approx(-deepest * 100, abs=1e-5)
    returns = metrics.returns(series)
    assert returns["cagr_pct"] == pytest.approx(growth * 100, abs=1e-5)
    assert returns["volatility_pct"] == pytest.approx(statistics.stdev(found) * year * 100, abs=1e-5)


def test_months_multiply_to_the_total():
    series = walk(9, 100)
    total = 1.0
    for change in metrics.returns(series)["monthly_pct"].values():
        total *= 1 + change / 100
    assert list(metrics.returns(series)["monthly_pct"]) == ["2024-01", "2024-02", "2024-03", "2024-04"]
    assert (total - 1) * 100 == pytest.approx(metrics.returns(series)["total_pct"], abs=1e-4)


def test_too_few_days_make_no_ratio():
    series = walk(1, 5)
    assert metrics.ratios(series)["sharpe"] == {"value": NOT_ENOUGH, "days": 5}
    assert metrics.returns(series)["cagr_pct"] == NOT_ENOUGH


def test_a_curve_that_never_moved_has_no_ratio_and_no_drawdown():
    flat = Series(1_704_067_200 + 3600 * np.arange(1, 24 * 40 + 1), np.full(24 * 40, 10_000.0), 10_000.0)
    assert metrics.ratios(flat)["sharpe"]["value"] == NOT_ENOUGH
    assert metrics.drawdowns(flat) == {"max_pct": 0.0, "underwater_pct_of_time": 0.0, "longest_days": 0.0, "worst": []}


def test_the_worst_falls_are_told_with_peak_bottom_and_recovery():
    values = np.array([100, 110, 99, 105, 111, 90, 95], dtype=float)
    series = Series(1_704_067_200 + DAY * np.arange(1, 8), values, 100.0)
    first, second = metrics.drawdowns(series)["worst"]
    assert first["depth_pct"] == pytest.approx((90 / 111 - 1) * 100, abs=1e-6)
    assert (first["peak_at"], first["bottom_at"], first["recovered_at"]) == (
        "2024-01-06T00:00:00Z", "2024-01-07T00:00:00Z", None,
    )  # fmt: skip
    assert second["depth_pct"] == pytest.approx(-10.0, abs=1e-6)
    assert (second["recovered_at"], second["days"]) == ("2024-01-06T00:00:00Z", 3.0)


@pytest.mark.parametrize("edge", [0.001, 0.0, -0.002])
def test_alpha_and_beta_of_twice_the_market_are_the_daily_edge_and_two(edge):
    """Alpha is what a day brings beyond its share of the market, a year of it; what costs money is below nought."""
    market = walk(3, 60)
    daily = Series(market.times, market.equity, float(market.equity[0])).daily_returns
    equity = np.repeat(np.cumprod(1 + edge + 2 * daily) * 10_000, 24)
    found = metrics.beside(Series(market.times, equity, 10_000.0), {"btc": market.equity})["btc"]
    assert found["beta"] == pytest.approx(2.0, abs=1e-6)
    assert found["alpha_pct"] == pytest.approx(edge * 365 * 100, abs=1e-5)
    held = market.equity[-1] / market.equity[0]
    assert found["return_pct"] == pytest.approx((held - 1) * 100, abs=1e-6)
    assert found["excess_pct"] == pytest.approx((equity[-1] / 10_000 - held) * 100, abs=1e-5)


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_interval_of_a_share_holds_the_share_and_stays_within_bounds(hits, more):
    count = hits + more
    low, high = metrics.wilson(hits, count)
    assert -0.001 <= low <= hits / count * 100 + 0.001
    assert hits / count * 100 - 0.001 <= high <= 100.001


@given(st.lists(st.floats(0.5, 2.0), min_size=2, max_size=80))
def test_a_curve_is_under_water_exactly_where_it_lies_below_a_former_height(steps):
    values = np.cumprod(steps) * 100
    series = Series(1_704_067_200 + 3600 * np.arange(1, len(values) + 1), values, 100.0)
    under = series.underwater
    for index in range(len(values)):
        top = max(100.0, *values[: index + 1].tolist())
        assert under[index] == pytest.approx(values[index] / top - 1, abs=1e-12)
