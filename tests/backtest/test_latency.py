"""Orders that take several bars to arrive are waited for: they are late, not withdrawn."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from backtest import prepare
from backtest.cli import main
from tests.backtest import runs
from tests.backtest.markets import write_markets
from tests.configs import SHIPPED

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


@pytest.mark.parametrize(("bars", "said"), [("2", "an order takes 2 bars, 3600 s, to arrive and be seen"), ("1", "")])
def test_a_run_says_how_long_its_orders_are_waited_for_on_the_bars_it_runs_on(candles, tmp_path, bars, said):
    """Only `bot check` said it, and of the policy's own bars."""
    config = tmp_path / "config"
    shutil.copytree(SHIPPED, config)
    policy = yaml.safe_load((config / "policy.yaml").read_text())
    policy["backtest"]["latency_bars"] = int(bars)
    (config / "policy.yaml").write_text(yaml.safe_dump(policy))
    asked = ["--data", str(candles), "--config-dir", str(config), "--out", str(tmp_path / "out"), "--bar", "30m"]
    out, err = io.StringIO(), io.StringIO()
    assert main(["run", *asked, "--no-report"], out, err) == 0, err.getvalue()
    lines = [line for line in err.getvalue().splitlines() if "latency_bars" in line]
    keys = ("execution.post_only_ttl_seconds", "execution.submitted_timeout_seconds")
    assert [key for key in keys if any(said in line and key in line for line in lines)] == list(keys if said else ())
    assert len(lines) == len(keys if said else ())
