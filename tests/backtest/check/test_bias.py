"""A backtest that knows its future, or remembers more than it may, is found out; an honest one is not accused."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backtest import engine
from backtest.check import slices
from backtest.check.bias import lookahead, warmup
from backtest.check.progress import Teller
from backtest.cli import main
from backtest.dataset import Dataset, Segment
from bot.domain.bars import BarSeries
from bot.domain.value import replace
from bot.errors import ConfigError
from bot.settings.config import Config
from bot.settings.load import load_config
from bot.triggers.columns import SeriesColumns
from tests.backtest import runs
from tests.backtest.markets import write_markets
from tests.configs import write_config

ROOT = Path(__file__).resolve().parents[3]
SEEDS = {"BTC-USD": 31, "SOL-USD": 12}
SHORT = {**runs.LIVELY, "data": {**runs.LIVELY["data"], "warmup_minutes": 1500}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles and a configuration that trades on them several times a day."""
    made = tmp_path_factory.mktemp("bias")
    write_markets(made / "candles", SEEDS, 4 * 1440)
    write_config(made / "config", SHORT, runs.UNIVERSE)
    return made


@pytest.fixture(scope="module")
def config(folder: Path) -> Config:
    return engine.adapted(load_config(folder / "config"), None)


@pytest.fixture(scope="module")
def data(folder: Path, config: Config) -> Dataset:
    return engine.read(engine.wish(config, folder / "candles"))


class Peeking(SeriesColumns):
    """Columns whose every close is the one of the bar after."""

    def __init__(self, series: BarSeries) -> None:
        super().__init__(series)
        self.close = np.append(series.close[1:], series.close[-1:]).data


class PeekingAtVolume(SeriesColumns):
    """Columns whose volume sums reach one bar into the future."""

    def pays(self, name: str, count: int) -> bool:
        return name == "volume" or super().pays(name, count)

    def sums(self, name: str, count: int, step: int) -> memoryview | None:
        found = super().sums(name, count, step)
        if name != "volume" or found is None:
            return found
        return np.append(np.array(found)[1:], np.array(found)[-1:]).data


def planted(data: Dataset, columns: type[SeriesColumns]) -> Dataset:
    tracks = {
        market: replace(
            track,
            segments=tuple(Segment.of(part.first, columns(part.columns.series)) for part in track.segments),
        )
        for market, track in data.tracks.items()
    }
    return replace(data, tracks=tracks)


def test_an_honest_run_knows_no_future(data, config):
    report = lookahead(data, config, every=False, cuts=2, note=Teller(None))
    assert report.findings == ()
    assert report.passed
    assert 100 < report.again < report.decisions
    assert report.runs == 4
    assert report.lines > 50, "decisions, orders and fills were compared"


@pytest.mark.parametrize("columns", [Peeking, PeekingAtVolume])
def test_a_trigger_that_reads_one_bar_ahead_is_caught(data, config, columns):
    report = lookahead(planted(data, columns), config, every=False, cuts=1, note=Teller(None))
    assert not report.passed
    ways = {finding.way for finding in report.findings}
    assert {"data cut at the decision", "another future"} <= ways
    assert all(finding.cycle for finding in report.findings if finding.way in ways and "run" not in finding.way)


def test_an_honest_run_needs_no_more_history_than_it_asks_for(data, config):
    declared = 1500 // 5
    report = warmup(data, config, declared=declared, every=False, note=Teller(None))
    assert report.findings == ()
    assert report.passed
    assert report.lines > 50
    assert report.runs == 2, "half as much again, and twice as much, which is all there is"


def test_too_little_history_to_compare_is_said_with_the_way_out(data, config):
    """Four days of five minutes, of which two years cannot be taken."""
    with pytest.raises(ConfigError) as caught:
        warmup(data, config, declared=data.count, every=False, note=Teller(None))
    have = data.count - min(part.first for track in data.tracks.values() for part in track.segments)
    lacking = 3 * data.count - have
    assert f"{have} bars are too few, {2 * data.count} of history and {data.count} to trade on are wanted" in str(
        caught.value
    )
    assert f"move --to {lacking} bars later, or give candles that begin as much earlier" in str(caught.value)
    assert "move --from by as much" in str(caught.value)


def test_too_few_bars_behind_enough_history_ask_for_another_from(data, config):
    late = slices.begun(data, data.count - 100)
    with pytest.raises(ConfigError, match="only 100 bars to trade on, 150 are wanted: move --from to 2024-01-"):
        warmup(late, config, declared=150, every=False, note=Teller(None))
    earlier = slices.begun(data, data.count - 150)
    at = f"{earlier.opened(0):%Y-%m-%dT%H:%M}"
    with pytest.raises(ConfigError, match=f"move --from to {at}, or --to later"):
        warmup(late, config, declared=150, every=False, note=Teller(None))
    assert warmup(earlier, config, declared=150, every=False, note=Teller(None)).runs, "and there it goes"


def test_a_check_that_looked_at_nothing_has_not_passed(data, config):
    report = lookahead(slices.cut(data, 3), config, every=True, cuts=1, note=Teller(None))
    assert not report.findings
    assert not report.passed
    assert any("nothing was decided" in line for line in report.text())


def test_another_future_is_another_one_and_leaves_the_past_alone(data):
    k = 200
    other = slices.scrambled(data, k, 100)
    assert other.count == k + 101
    for market, track in data.tracks.items():
        was, now = (item.tracks[market].segments[0].columns.series for item in (data, other))
        seen = k + 1 - track.segments[0].first
        for name in ("open", "high", "low", "close", "volume", "quiet"):
            assert np.array_equal(getattr(was, name)[:seen], getattr(now, name)[:seen])
        ahead = slice(seen, seen + 100)
        assert np.mean(was.close[ahead] == now.close[ahead]) < 0.1
        assert np.mean(was.volume[ahead] == now.volume[ahead]) < 0.1
        assert np.all((now.low[ahead] <= now.close[ahead]) & (now.close[ahead] <= now.high[ahead]))


EVERYTHING = """\
        known = self._columns.series.volume[: self._t + 1]
        total = int(known.sum()) * count // len(known)
"""
PLANTED = {
    "a bar fills orders with the next one": (
        "lookahead", "backtest/market.py",
        "series, t, price = segment.columns, segment.columns.series, k - segment.first,",
        "series, t, price = segment.columns, segment.columns.series, min(k + 1, segment.stop - 1) - segment.first,",
    ),
    "an average over everything there is": (
        "warmup", "bot/triggers/columns.py",
        '        total = self._sum("volume", count, 1)\n',
        EVERYTHING,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_the_verb_turns_red_in_a_tree_with_a_planted_bias(name, folder, tmp_path):
    """Exit 3 and what differs, from a copy of the sources in which one line was changed."""
    kind, path, right, wrong = PLANTED[name]
    for package in ("bot", "backtest"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    source = tmp_path / path
    assert source.read_text().count(right) == 1, "the plant no longer fits the source"
    source.write_text(source.read_text().replace(right, wrong))
    fewer = ["--cuts", "1"] if kind == "lookahead" else []
    done = subprocess.run(
        [sys.executable, "-m", "backtest", "check", kind, *fewer, "--data", str(folder / "candles"), "--config-dir",
         str(folder / "config"), "--out", str(tmp_path / "found.json")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, text=True, capture_output=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"backtest check {kind} is red" in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["passed"] is False
    assert found["findings"]


def test_the_verb_passes_with_exit_0_and_writes_what_it_looked_at(folder, tmp_path):
    out, err = io.StringIO(), io.StringIO()
    arguments = ["--data", str(folder / "candles"), "--config-dir", str(folder / "config"), "--products", "BTC-USD"]
    code = main(["check", "warmup", *arguments, "--out", str(tmp_path / "deep" / "found.json")], out, err)
    assert code == 0, out.getvalue() + err.getvalue()
    assert "backtest check warmup passed" in out.getvalue()
    found = json.loads((tmp_path / "deep" / "found.json").read_text())
    assert (found["passed"], found["findings"]) == (True, [])
    assert found["made_again"] >= 20
    assert found["runs"] >= 2


def test_a_period_too_short_is_bad_usage(folder):
    out, err = io.StringIO(), io.StringIO()
    arguments = ["--data", str(folder / "candles"), "--config-dir", str(folder / "config"), "--to", "2024-01-02"]
    assert main(["check", "warmup", *arguments], out, err) == 2
    assert "288 bars are too few, 600 of history and 300 to trade on are wanted" in err.getvalue()
