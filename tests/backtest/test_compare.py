"""What differs between two runs is told, and nothing else."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from backtest.cli import main
from backtest.compare import differences

FIRST = {
    "equity": {"opening": 10000.0, "final": "10100.50"},
    "trades": {"closed": 4, "by": {"rule": {"dip": {"net": -2.0}}}, "hit": [1.0, 2.0]},
    "drawdowns": {"worst": [{"depth_pct": -1.0}, {"depth_pct": -0.5}]},
    "ratios": {"sharpe": {"value": "not enough data"}},
}
SECOND = {
    "equity": {"opening": 10000.0, "final": "10201.00"},
    "trades": {"closed": 4, "by": {"rule": {"dip": {"net": -3.0}, "rise": {"net": 1.0}}}, "hit": [1.0, 2.0]},
    "drawdowns": {"worst": [{"depth_pct": -1.25}]},
    "ratios": {"sharpe": {"value": 1.5}},
}


def run(folder: Path, figures: Any) -> Path:
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(figures))
    return folder


def test_only_figures_that_differ_are_told_with_their_change():
    rows = {(row.section, row.name): row for row in differences(FIRST, SECOND)}
    assert set(rows) == {
        ("equity", "final"), ("trades", "by.rule.dip.net"), ("trades", "by.rule.rise.net"),
        ("drawdowns", "worst.1.depth_pct"), ("drawdowns", "worst.2.depth_pct"), ("ratios", "sharpe.value"),
    }  # fmt: skip
    final = rows["equity", "final"]
    assert (final.change, round(final.change_pct or 0, 6)) == (100.5, round(100.5 / 10100.5 * 100, 6))
    assert rows["trades", "by.rule.dip.net"].change_pct == -50.0
    assert rows["trades", "by.rule.rise.net"].a is None
    assert rows["drawdowns", "worst.2.depth_pct"].b is None
    assert rows["ratios", "sharpe.value"].change is None


def test_the_table_names_both_runs_and_every_difference(tmp_path):
    out = io.StringIO()
    first, second = run(tmp_path / "a", FIRST), run(tmp_path / "b", SECOND)
    assert main(["compare", str(first), str(second)], out, io.StringIO()) == 0
    text = out.getvalue()
    for words in ("final", "10100.5", "10201", "+100.5", "+1", "sharpe.value", "not enough data"):
        assert words in text
    assert "opening" not in text
    assert main(["compare", str(first), str(second), "--all"], out, io.StringIO()) == 0
    assert "opening" in out.getvalue()


def test_equal_runs_do_not_differ_and_json_is_for_scripts(tmp_path):
    out = io.StringIO()
    first = run(tmp_path / "a", FIRST)
    assert main(["compare", str(first), str(first)], out, io.StringIO()) == 0
    assert "do not differ" in out.getvalue()
    told = io.StringIO()
    assert main(["compare", str(first), str(run(tmp_path / "b", SECOND)), "--json"], told, io.StringIO()) == 0
    assert {row["name"] for row in json.loads(told.getvalue())} >= {"final", "sharpe.value"}


def test_a_folder_without_a_summary_is_bad_usage(tmp_path):
    err = io.StringIO()
    assert main(["compare", str(tmp_path), str(tmp_path)], io.StringIO(), err) == 2
    assert "summary.json" in err.getvalue()


def test_a_share_is_told_only_of_what_kept_its_sign():
    """A gain that became a loss had changed by minus a thousand percent."""
    pairs = (
        (1.0, 3.0, 200.0),
        (-2.0, -1.0, 50.0),
        (2.0, 0.0, -100.0),
        (0.6, -5.4, None),
        (-1.0, 1.0, None),
        (0.0, 1.0, None),
    )
    for before, after, share in pairs:
        (row,) = differences({"returns": {"total_pct": before}}, {"returns": {"total_pct": after}})
        assert (row.change, row.change_pct) == (after - before, share)


def test_hashes_are_told_by_their_beginning_and_whole_to_scripts(tmp_path):
    one, other = "a" * 60 + "0123", "b" * 60 + "0123"
    folders = [run(tmp_path / name, {"identity": {"code_hash": hash_}}) for name, hash_ in (("a", one), ("b", other))]
    out, scripts = io.StringIO(), io.StringIO()
    assert main(["compare", *map(str, folders)], out, io.StringIO()) == 0
    assert "aaaaaaaaaaaa..." in out.getvalue()
    assert "0123" not in out.getvalue()
    assert main(["compare", "--json", *map(str, folders)], scripts, io.StringIO()) == 0
    assert (json.loads(scripts.getvalue())[0]["a"], json.loads(scripts.getvalue())[0]["b"]) == (one, other)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file or directory; the --out of a run is meant"),
        ("[1]", "holds no figures of a run"),
        ("{", "holds no figures of a run"),
    ],
)
def test_a_folder_without_a_run_is_told_in_one_plain_line(tmp_path, content, told):
    good, bad, err = run(tmp_path / "good", FIRST), tmp_path / "bad", io.StringIO()
    bad.mkdir()
    if content is not None:
        (bad / "summary.json").write_text(content)
    assert main(["compare", str(good), str(bad)], io.StringIO(), err) == 2
    assert err.getvalue() == f"backtest: {bad / 'summary.json'}: {told}\n"
