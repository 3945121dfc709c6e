"""What a run refuses, and in which order it says so: the settings before the files, each in a plain line."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from backtest.cli import main
from tests.backtest.markets import HEADER, rows, write_csv
from tests.configs import SHIPPED

SEEDS = {"BTC-USD": 3, "ETH-USD": 4, "SOL-USD": 5}


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Three Parquet files and a text."""
    folder = tmp_path / "candles"
    write_csv(folder, "XRP-USD", rows(6, 300))
    for product, seed in SEEDS.items():
        columns = zip(HEADER.split(","), zip(*rows(seed, 300), strict=True), strict=True)
        table = pa.table({name: [float(v) if name != "start" else v for v in values] for name, values in columns})
        parquet.write_table(table, folder / f"{product}.parquet")
    return folder


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def refused(folder: Path, config: Path, out: Path) -> Sequence[str]:
    """What a run says that ends with exit code 2."""
    err = io.StringIO()
    words = ["run", "--data", str(folder), "--config-dir", str(config), "--out", str(out), "--no-report"]
    assert main(words, io.StringIO(), err) == 2
    return err.getvalue().splitlines()


def test_a_run_names_the_torn_file_in_one_line(recorded, tmp_path):
    tear(recorded / "ETH-USD.parquet")
    (line,) = refused(recorded, SHIPPED, tmp_path / "out")
    assert str(recorded / "ETH-USD.parquet") in line
    assert "cannot be read" in line


def test_a_bad_policy_is_told_before_a_torn_file_and_a_missing_folder(recorded, tmp_path):
    tear(recorded / "BTC-USD.parquet")
    config = tmp_path / "config"
    shutil.copytree(SHIPPED, config)
    (config / "policy.yaml").write_text("risk: {max_total_pct: 101}\n")
    for folder in (recorded, tmp_path / "nowhere"):
        said = refused(folder, config, tmp_path / "out")
        assert said == [line for line in said if "policy.yaml" in line] != []


def test_a_missing_folder_is_told_by_its_name(tmp_path):
    (line,) = refused(tmp_path / "nowhere", SHIPPED, tmp_path / "out")
    assert "nowhere" in line
    assert "is not a folder" in line
