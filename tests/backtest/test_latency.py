"""Orders that take several bars to arrive are waited for: they are late, not withdrawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backtest import prepare
from tests.backtest import runs
from tests.backtest.markets import write_markets

BAR_S = 300


@pytest.fixture(scope="module")
def candles(tmp_path_factory) -> Path:
    return write_markets(tmp_path_factory.mktemp("candles"), {"BTC-USD": 11}, 5 * 1440)


def closed(candles: Path, out: Path, bars: int, **execution: Any) -> int:
    config = runs.settings({"backtest": {"latency_bars": bars}, "execution": execution})
    found: int = runs.backtest(candles, config, out, every=False).figures["trades"]["closed"]
    return found


@pytest.mark.parametrize("kind", ["limit_post_only", "limit_ioc"])
def test_orders_that_arrive_later_still_trade(candles, tmp_path, kind):
    """A quote of one bar's patience was taken back before it reached the venue: nothing was ever bought."""
    at_once = closed(candles, tmp_path / "1", 1, default_order_type=kind)
    assert at_once >= 8
    assert closed(candles, tmp_path / "2", 2, default_order_type=kind) > at_once / 2
    assert closed(candles, tmp_path / "4", 4, default_order_type=kind) > at_once / 3


@pytest.mark.parametrize(("bars", "post_only", "immediate"), [(1, BAR_S, 10), (2, 2 * BAR_S, 2 * BAR_S), (3, 900, 900)])
def test_an_order_is_waited_for_as_long_as_it_is_under_way(bars, post_only, immediate):
    config = prepare.adapted(runs.settings({"backtest": {"latency_bars": bars}}), None)
    execution = config.policy.execution
    assert (execution.post_only_ttl_seconds, execution.submitted_timeout_seconds) == (post_only, immediate)


def test_a_policy_that_waits_longer_is_left_alone():
    patient = {"post_only_ttl_seconds": 1000, "submitted_timeout_seconds": 1100}
    config = prepare.adapted(runs.settings({"backtest": {"latency_bars": 2}, "execution": patient}), None)
    execution = config.policy.execution
    assert execution.post_only_ttl_seconds == patient["post_only_ttl_seconds"]
    assert execution.submitted_timeout_seconds == patient["submitted_timeout_seconds"]
