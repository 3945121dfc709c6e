"""The page holds everything inside itself; robustness takes away exactly what worse conditions would have cost."""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest import artifacts, bootstrap
from backtest.cli import main
from backtest.report import charts
from backtest.report.artifacts import Artifacts
from backtest.report.page import page
from bot.domain.value import Value
from tests.backtest import runs
from tests.backtest.markets import write_markets
from tests.configs import SHIPPED, _replace

DAYS = 21


class Made(Value):
    """A run by the command line: its folder, its candles and its configuration."""

    out: Path
    candles: Path
    config: Path

    def copied(self, folder: Path) -> Path:
        shutil.copytree(self.out, folder)
        return folder

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.iterdir()}


def backtest(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return main([str(argument) for argument in arguments], out, err), out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    folder = tmp_path_factory.mktemp("report")
    config = folder / "config"
    config.mkdir()
    for name, changes in (("policy.yaml", runs.LIVELY), ("universe.yaml", runs.UNIVERSE)):
        document = yaml.safe_load((SHIPPED / name).read_text())
        _replace(document, json.loads(json.dumps(changes)) if name == "policy.yaml" else dict(changes))
        (config / name).write_text(yaml.safe_dump(document, sort_keys=False))
    candles = write_markets(folder / "candles", {"BTC-USD": 11}, DAYS * 1440)
    asked = ("--data", candles, "--config-dir", config, "--out", folder / "out", "--quiet")
    code, told, said = backtest("run", *asked)
    assert code == 0, said
    assert told.endswith(f"artifacts in {folder / 'out'}, look at {folder / 'out' / 'report.html'}\n")
    return Made(folder / "out", candles, config)


class Outside(HTMLParser):
    """Collects what a page would fetch, and the text of its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.fetched += [f"{tag} {name}={value}" for name, value in attrs if name in {"src", "href", "action", "data"}]
        if known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known.get("content") or ""


def test_the_page_fetches_nothing_and_names_no_host_it_could_fetch_from(made):
    text = (made.out / "report.html").read_text()
    found = Outside()
    found.feed(text)
    assert found.fetched == []
    assert found.policy.startswith("default-src 'none'")
    hosts = set(re.findall(r"[\"'`]https?://([a-zA-Z0-9.-]+)", text))
    assert hosts <= {"www.w3.org"}, "names of XML languages are no addresses; anything else is"
    assert "@import" not in text
    assert not re.search(r"url\(\s*[\"']?(https?:)?//", text)


def test_every_part_of_the_page_is_there(made):
    text = (made.out / "report.html").read_text()
    for chart in ("equity", "exposure", "months", "costs", "fan", "gates", "market"):
        assert f'id="chart-{chart}"' in text, chart
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert inside is not None
    data = json.loads(inside[1])
    marks = [trace for trace in data["markets"][0]["data"] if trace.get("mode") == "markers"]
    assert any("rule" in words for trace in marks for words in trace["text"])
    assert {"entry"} <= {trace["name"] for trace in marks}


def test_the_page_can_be_made_again_from_the_artifacts_alone(made, tmp_path):
    folder = made.copied(tmp_path / "run")
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    code, _, _ = backtest("report", folder)
    assert code == 0
    assert (folder / "report.html").read_bytes() == before
    assert (folder / "manifest.json").read_bytes() == (made.out / "manifest.json").read_bytes()


def test_a_run_without_a_report_is_the_same_run_and_can_get_its_page_later(made, tmp_path):
    folder = tmp_path / "bare"
    asked = ("--data", made.candles, "--config-dir", made.config, "--out", folder, "--quiet")
    code, said, _ = backtest("run", *asked, "--no-report")
    assert code == 0
    assert said.startswith("2024-01-01 00:00 to 2024-01-22 00:00 UTC: ")
    assert said.endswith(f"artifacts in {folder}\n")
    bare = {path.name for path in folder.iterdir()}
    assert bare == set(made.contents()) - {"report.html"}
    assert "report.html" not in json.loads((folder / "manifest.json").read_text())["artifacts"]
    assert backtest("report", folder)[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made.contents()


def test_a_page_and_a_robustness_of_an_earlier_run_do_not_stay_beside_the_figures_of_the_next(made, tmp_path):
    folder = made.copied(tmp_path / "run")
    (folder / "robustness.json").write_text("{}")
    asked = ("--data", made.candles, "--config-dir", made.config, "--out", folder, "--quiet")
    assert backtest("run", *asked, "--no-report")[0] == 0
    assert not (folder / "report.html").exists()
    assert not (folder / "robustness.json").exists()


def test_a_page_of_a_run_without_a_trade_claims_nothing(made, tmp_path):
    done = runs.backtest(made.candles, runs.settings({"rules": []}), tmp_path / "out", every=False)
    text = done.files["report.html"].decode()
    shown = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert done.figures["execution"]["orders"] == 0
    assert "Nothing was traded." in shown
    assert "nothing was traded</small>" in shown, "not a share of nothing"
    assert shown.count("no trade is closed</small>") == 2, "neither a hit rate from 0 to 100 % nor bps of no trade"
    assert "not enough data bps" not in shown
    assert charts.equity(Artifacts(done.files)).layout["yaxis2"]["range"] == [-1, 0], "falls point down"
    for empty in ("gates", "costs"):
        assert f'id="chart-{empty}"' not in text, "an axis without anything on it"
    assert "-0.00" not in text[text.index('id="data"') : text.index("</script>", text.index('id="data"'))] + shown


def test_a_trade_without_slippage_is_not_told_as_less_than_nought(made):
    contents = made.contents()
    told = json.loads(contents["summary.json"])
    told["costs"]["closed"]["slippage"] = 0.0
    text = page(contents | {"summary.json": json.dumps(told).encode()}).decode()
    assert '"0.00"' in text
    assert '"-0.00"' not in text


def test_the_head_of_the_page_tells_how_fees_were_charged_not_where_they_ended(made):
    contents = made.contents()
    told = json.loads(contents["summary.json"])
    for kind, words in (
        ("tiers", "fees by tier from 0.1 % maker and 0.2 % taker."),
        ("fixed", "fees fixed at 0.1 %"),
    ):
        told["identity"]["fill_model"]["fees"] = kind
        head = page(contents | {"summary.json": json.dumps(told).encode()}).decode().partition("<main>")[0]
        assert words in head
        assert told["identity"]["fee_tier"] not in head


def test_the_names_of_the_caps_stand_beside_the_curves_not_under_them(made):
    chart = charts.exposure(Artifacts(made.contents()))
    assert all(name["xanchor"] == "left" and name["x"] >= 1 for name in chart.layout["annotations"])
    assert chart.layout["margin"]["r"] > 100


def test_a_name_cannot_break_out_of_the_page(made):
    contents = made.contents()
    trades = json.loads(contents["trades.json"])
    trades[0]["rule"] = "</script><script>alert(1)</script>"
    text = page(contents | {"trades.json": json.dumps(trades).encode()}).decode()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.fixture(scope="module")
def worse(made, tmp_path_factory) -> tuple[Path, Mapping[str, Any]]:
    folder = made.copied(tmp_path_factory.mktemp("worse") / "run")
    code, said, wrong = backtest(
        "report", folder, "--robustness", "--data", made.candles, "--config-dir", made.config, "--json"
    )
    assert code == 0, wrong
    assert [line.split()[0] for line in wrong.splitlines()] == ["reading", "running"], "what takes long is told"
    return folder, json.loads(said)


def test_costs_as_they_were_leave_the_run_as_it_was(made, worse):
    """On the page the two stand side by side: the deepest fall is that of every bar, not of every hour."""
    told = json.loads((made.out / "summary.json").read_text())
    assert worse[1]["costs"]["fees x1, spread and slippage x1"] == {
        "return_pct": told["returns"]["total_pct"],
        "max_drawdown_pct": told["drawdowns"]["max_pct"],
        "sharpe": told["ratios"]["sharpe"]["value"],
        "net": told["trades"]["net"],
        "profit_factor": told["trades"]["profit_factor"],
        "hit_rate_pct": told["trades"]["hit_rate_pct"],
    }


def test_dearer_trading_takes_exactly_what_was_paid_once_more(made, worse):
    told = json.loads((made.out / "summary.json").read_text())
    costs, paid = worse[1]["costs"], told["costs"]
    same, closed = costs["fees x1, spread and slippage x1"], paid["closed"]
    taking, closed_taking = (part["spread"] + part["slippage"] for part in (paid, closed))
    for name, every, of_closed in (
        ("fees x2, spread and slippage x1", paid["fees"], closed["fees"]),
        ("fees x1, spread and slippage x3", 2 * taking, 2 * closed_taking),
        ("fees x3, spread and slippage x2", 2 * paid["fees"] + taking, 2 * closed["fees"] + closed_taking),
    ):  # fmt: skip
        assert every > 0
        lost = (same["return_pct"] - costs[name]["return_pct"]) / 100 * told["equity"]["opening"]
        assert lost == pytest.approx(every, abs=1e-3), name
        assert same["net"] - costs[name]["net"] == pytest.approx(of_closed, abs=1e-5), name
        assert costs[name]["max_drawdown_pct"] < same["max_drawdown_pct"], name


def test_json_prints_what_there_is_or_says_how_to_make_it(made, worse, tmp_path):
    code, said, _ = backtest("report", worse[0], "--json")
    assert (code, json.loads(said)) == (0, worse[1])
    code, said, wrong = backtest("report", made.copied(tmp_path / "run"), "--json")
    assert (code, said) == (2, "")
    assert "has none: add --robustness" in wrong


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("asked", "shown"), [((), True), (("--quiet",), False)])
def test_how_far_a_robustness_has_come_is_seen_on_a_terminal(made, tmp_path, asked, shown):
    """It stood still for as long as the run took that it repeats."""
    folder, out, err = made.copied(tmp_path / "run"), io.StringIO(), Terminal()
    words = ("report", folder, "--robustness", "--data", made.candles, "--config-dir", made.config, *asked)
    assert main([str(word) for word in words], out, err) == 0
    bars = json.loads((folder / "summary.json").read_text())["period"]["bars"]
    said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", err.getvalue())
    assert ("1/1" in said) == (f"{bars}/{bars}" in said) == shown
    assert "running it again" in said


def test_a_late_run_is_another_run_and_the_page_tells_both(made, worse):
    folder, found = worse
    told = json.loads((made.out / "summary.json").read_text())
    assert found["late"]["return_pct"]["as_run"] == told["returns"]["total_pct"]
    assert found["late"]["return_pct"]["late"] != told["returns"]["total_pct"]
    as_run, late = (found["late"]["closed_trades"][name] for name in ("as_run", "late"))
    assert late > as_run / 2, "late orders fill later, they are not withdrawn before they arrive"
    text = (folder / "report.html").read_text()
    assert "One cycle late" in text
    assert "Dearer trading" in text
    assert artifacts.ROBUSTNESS in json.loads((folder / "manifest.json").read_text())["artifacts"]


def test_robustness_refuses_other_candles_and_another_configuration(made, tmp_path):
    folder = made.copied(tmp_path / "run")
    code, _, said = backtest("report", folder, "--robustness", "--config-dir", made.config)
    assert (code, "needs --data" in said) == (2, True)
    other = write_markets(tmp_path / "candles", {"BTC-USD": 12}, DAYS * 1440)
    code, _, said = backtest("report", folder, "--robustness", "--data", other, "--config-dir", made.config)
    assert (code, "BTC-USD_1m.csv is not the file" in said) == (2, True)
    code, _, said = backtest("report", folder, "--robustness", "--data", made.candles, "--config-dir", SHIPPED)
    assert (code, "this is another" in said) == (2, True)
    assert not (folder / artifacts.ROBUSTNESS).exists()


def test_a_folder_without_a_run_is_bad_usage(tmp_path):
    code, _, said = backtest("report", tmp_path)
    assert (code, "holds no manifest.json" in said) == (2, True)


def test_too_few_days_make_no_fan():
    assert bootstrap.fan(np.full(19, 0.01), 100.0) is None
    assert bootstrap.told(None) == "not enough data"


def test_days_that_are_all_alike_leave_nothing_to_chance():
    found = bootstrap.fan(np.full(40, 0.01), 100.0)
    assert found is not None
    for level in bootstrap.LEVELS:
        assert found.lines[level][-1] == pytest.approx(100 * 1.01**40)
    assert found.drawdowns_pct == pytest.approx(0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.2, 0.2), min_size=20, max_size=60), st.integers(1, 9))
def test_every_path_is_made_of_the_days_there_were(returns, block):
    """The best and worst a path can do is every day the best or worst; levels are in order at every day."""
    days = np.array(returns)
    found = bootstrap.fan(days, 100.0, paths=200, block=block)
    assert found is not None
    low, high = 100 * (1 + days.min()) ** len(days), 100 * (1 + days.max()) ** len(days)
    lines = [found.lines[level] for level in bootstrap.LEVELS]
    assert lines[0][-1] >= low * (1 - 1e-9)
    assert lines[-1][-1] <= high * (1 + 1e-9)
    for lower, upper in itertools.pairwise(lines):
        assert np.all(lower <= upper + 1e-9)


@given(st.integers(20, 70), st.integers(1, 9))
def test_a_block_is_days_that_follow_each_other(days, block):
    """Bad days stay together as they came; the first day follows the last, and any day may begin a block."""
    paths = 400
    picked = bootstrap.drawn(days, paths, block)
    assert picked.shape == (paths, days)
    for first in range(0, days, block):
        for step in range(1, min(block, days - first)):
            assert np.array_equal(picked[:, first + step], (picked[:, first] + step) % days)
    heads = picked[:, ::block]
    assert set(np.unique(heads)) == set(range(days))
    assert np.bincount(heads.ravel(), minlength=days).max() < 3 * heads.size / days + 30


def test_the_fan_is_the_paths_of_the_days_drawn():
    days, block = np.random.default_rng(5).normal(0.001, 0.02, 31), 5
    found = bootstrap.fan(days, 100.0, paths=300, block=block)
    assert found is not None
    paths = pd.DataFrame(days[bootstrap.drawn(31, 300, block)]).add(1).cumprod(axis=1)
    assert found.returns_pct == pytest.approx((paths[30] - 1) * 100)
    falls = paths.div(paths.cummax(axis=1).clip(lower=1.0)) - 1
    assert found.drawdowns_pct == pytest.approx(falls.min(axis=1).clip(upper=0) * 100)
    for level in bootstrap.LEVELS:
        assert found.lines[level][0] == 100
        assert found.lines[level][1:] == pytest.approx(paths.quantile(level / 100) * 100)
    figures = bootstrap.told(found)
    assert isinstance(figures, dict)
    assert figures["chance_of_loss_pct"] == pytest.approx((paths[30] < 1).mean() * 100)
    assert figures["return_pct"]["p50"] == pytest.approx((paths[30].median() - 1) * 100, abs=1e-6)
    assert figures["max_drawdown_pct"]["p5"] == pytest.approx(falls.min(axis=1).quantile(0.05) * 100, abs=1e-6)


def test_blocks_keep_bad_days_together():
    """Losses that come five in a row fall deeper than the same losses dealt out one by one."""
    days = np.tile([-0.02] * 5 + [0.0205] * 5, 6)
    together, alone = bootstrap.fan(days, 100.0, block=5), bootstrap.fan(days, 100.0, block=1)
    assert together is not None
    assert alone is not None
    assert np.median(together.drawdowns_pct) < np.median(alone.drawdowns_pct)


def test_the_page_counts_days_as_the_summary_does(made):
    run = Artifacts(made.contents())
    assert len(run.daily_returns()) == run.summary["returns"]["days"] == len(run.days())
