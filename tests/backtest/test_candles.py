"""What recorded candles may look like, and what is refused with file, row and reason."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from backtest.candles import files, read
from bot.domain.bars import Granularity
from bot.domain.product import ProductId
from bot.errors import CandlesCorrupt, ConfigError
from tests.backtest.markets import HEADER, START, rows, write_csv

GOOD = [(START, "10.5", "11", "10", "10.75", "3.5"), (START + 60, "10.75", "10.75", "10.5", "10.5", "0")]


def csv(folder: Path, *lines: str) -> Path:
    path = folder / "BTC-USD_1m.csv"
    path.write_text("\n".join([HEADER, *lines, ""]))
    return path


def test_the_same_candles_are_read_from_text_packed_text_and_parquet(tmp_path):
    candles = rows(3, 500)
    plain = read(write_csv(tmp_path, "BTC-USD", candles))
    packed = tmp_path / "ETH-USD_1m.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "BTC-USD_1m.csv").read_bytes()))
    columns = list(zip(*candles, strict=True))
    names = HEADER.split(",")
    table = pa.table(
        {names[0]: columns[0]} | {n: [float(v) for v in c] for n, c in zip(names[1:], columns[1:], strict=True)}
    )
    parquet.write_table(table, tmp_path / "SOL-USD.parquet")
    stamps = pa.array([t * 1000 for t in columns[0]], pa.int64()).cast(pa.timestamp("ms", tz="UTC"))
    parquet.write_table(table.drop(["start"]).append_column("ts", stamps), tmp_path / "XRP-USD.parquet")
    for name in ("ETH-USD_1m.csv.gz", "SOL-USD.parquet", "XRP-USD.parquet"):
        other = read(tmp_path / name)
        assert other.length is Granularity.ONE_MINUTE
        for column in names:
            assert np.array_equal(getattr(other, column), getattr(plain, column)), (name, column)


@pytest.mark.parametrize(
    ("line", "row", "reason"),
    [
        (f"{START + 120},10,11,9,abc,1", 4, "close must be a plain number"),
        (f"{START + 120},10,11,9,nan,1", 4, "close must be a plain number"),
        (f"{START + 120},10,1e3,9,10,1", 4, "high must be a plain number"),
        (f"{START + 120},10,11,9,,1", 4, "close must be a plain number"),
        (f"{START + 120},10,11,9,10", 4, "has 5 fields"),
        (f"{START + 120},10,11,9,10,1,7", 4, "has 7 fields"),
        (f"{START + 120},10,9,8,10,1", 4, "do not contain"),
        (f"{START + 120},10,11,0,10,1", 4, "low must be positive"),
        (f"{START + 120},10,11,-1,10,1", 4, "low must be"),
        (f"{START + 120},10,11,9,10,-4", 4, "volume must be"),
        (f"{START + 60},10,11,9,10,1", 4, "does not follow"),
        (f"{START + 121},10,11,9,10,1", 4, "not on the ONE_MINUTE grid"),
        (f"{(START + 120) * 1000},10,11,9,10,1", 4, "unix seconds"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_what_is_wrong(tmp_path, line, row, reason):
    path = csv(tmp_path, *(",".join(map(str, good)) for good in GOOD), line)
    with pytest.raises(CandlesCorrupt) as caught:
        read(path)
    assert caught.value.row == row
    assert reason in caught.value.reason
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("at", [2**16 - 1, 2**16, 2**16 + 1, 3 * 2**16])
@pytest.mark.parametrize(("change", "reason"), [(-60, "does not follow"), (1, "is not on the ONE_MINUTE grid")])
def test_a_long_recording_is_refused_for_the_very_row_that_goes_back_or_off_the_grid(tmp_path, at, change, reason):
    openings = [START + 60 * row for row in range(3 * 2**16 + 2)]
    openings[at] += change
    with pytest.raises(CandlesCorrupt, match=rf"\D{at + 2}\D.*{reason}"):
        read(csv(tmp_path, *(f"{opening},10,11,9,10,1" for opening in openings)))


def test_a_torn_archive_and_a_foreign_header_are_refused(tmp_path):
    torn = tmp_path / "BTC-USD_1m.csv.gz"
    torn.write_bytes(gzip.compress(HEADER.encode() * 99)[:-20])
    with pytest.raises(CandlesCorrupt, match="cannot be read"):
        read(torn)
    other = tmp_path / "ETH-USD_1m.csv"
    other.write_text("time,o,h,l,c,v\n1,1,1,1,1,1\n")
    with pytest.raises(CandlesCorrupt, match=r"row 1.*header"):
        read(other)


def test_a_bad_row_of_a_parquet_file_is_named(tmp_path):
    path = tmp_path / "BTC-USD.parquet"
    table = {"start": [START, START + 60, START + 120], "open": [1.0, 1.0, 1.0], "high": [1.0, float("nan"), 1.0]}
    parquet.write_table(pa.table(table | {"low": [1.0] * 3, "close": [1.0] * 3, "volume": [0.0] * 3}), path)
    with pytest.raises(CandlesCorrupt) as caught:
        read(path)
    assert (caught.value.row, caught.value.reason) == (2, "high is nan")


def test_the_file_of_the_wished_length_is_taken_else_the_longest_part_of_it(tmp_path):
    for length in ("1m", "15m", "1h"):
        write_csv(tmp_path, "BTC-USD", [(START, "1", "1", "1", "1", "1")], length)
    write_csv(tmp_path, "ETH-USD", [(START, "1", "1", "1", "1", "1")], "1m")
    wanted = files(tmp_path, Granularity.THIRTY_MINUTE)
    assert {product: path.name for product, path in wanted.items()} == {
        "BTC-USD": "BTC-USD_15m.csv",
        "ETH-USD": "ETH-USD_1m.csv",
    }
    assert files(tmp_path, Granularity.ONE_HOUR)[ProductId("BTC-USD")].name == "BTC-USD_1h.csv"


def test_a_folder_without_candles_is_a_plain_refusal(tmp_path):
    with pytest.raises(ConfigError, match=r"no PRODUCT_5m\.csv"):
        files(tmp_path, Granularity.FIVE_MINUTE)
    with pytest.raises(ConfigError, match="not a folder"):
        files(tmp_path / "none", Granularity.FIVE_MINUTE)


def test_openings_are_utc():
    assert datetime.fromtimestamp(START, UTC) == datetime(2024, 1, 1, tzinfo=UTC)
