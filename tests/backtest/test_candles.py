"""What recorded candles may look like, and what is refused with file, row and reason."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
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
        (f"{START + 120},10,11,0,10,1", 4, "low must be positive, was 0"),
        (f"{START + 120},10,11,-1,10,1", 4, "low must be a plain number"),
        (f"{START + 120},10,11,9,10,-4", 4, "volume must be a plain number"),
        (f"{START + 120},10,11,9,10,+4", 4, "volume must be a plain number, was '+4'"),
        (f"{START + 120},10,11,9,10, 4", 4, "volume must be a plain number, was ' 4'"),
        (f'{START + 120},10,11,9,"10",4', 4, "close must be a plain number"),
        (f"{START + 120}.0,10,11,9,10,4", 4, "start must be a plain number"),
        (f"{START + 120},10,11,9,10,.", 4, "volume must be a plain number, was '.'"),
        (f"{START + 120},10,11,9,10,1{'0' * 17}", 4, "volume must be below 1000000000000000, was 100000000000000000"),
        (f"{START + 120},{','.join(['1' + '0' * 17] * 4)},1", 4, "open must be below 1000000000000"),
        (f"{START + 120},10,1{'0' * 400},9,10,1", 4, "high is inf"),
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


def test_a_line_is_told_as_an_editor_counts_it_though_empty_ones_are_passed_over(tmp_path):
    good = [",".join(map(str, row)) for row in GOOD]
    assert len(read(csv(tmp_path, good[0], "", good[1], "", "")).start) == 2
    with pytest.raises(CandlesCorrupt, match=r"row 5: low must be positive"):
        read(csv(tmp_path, good[0], "", good[1], f"{START + 120},10,11,0,10,1"))
    with pytest.raises(CandlesCorrupt, match=r"row 6: close must be a plain number"):
        read(csv(tmp_path, good[0], "", good[1], "", f"{START + 120},10,11,9,x,1"))


def test_a_number_may_lack_a_side_of_its_point_and_a_text_may_begin_with_a_mark(tmp_path):
    path = csv(tmp_path, f"{START},5.,5.5,.5,1,.25")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    item = read(path)
    assert (item.open[0], item.low[0], item.volume[0]) == (5.0, 0.5, 0.25)
    path.write_bytes(path.read_bytes() + f"{START + 60},1,1,1,x,1\n".encode())
    with pytest.raises(CandlesCorrupt, match=r"row 3: close"):
        read(path)


def test_an_archive_with_a_flipped_byte_anywhere_is_refused_with_its_name(tmp_path):
    path = tmp_path / "BTC-USD_1m.csv.gz"
    write_csv(tmp_path, "BTC-USD", rows(3, 400))
    whole = gzip.compress((tmp_path / "BTC-USD_1m.csv").read_bytes())
    for at in range(20, len(whole) - 8, 97):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(CandlesCorrupt, match=rf"{path}.* is no whole gzip file"):
            read(path)


@pytest.mark.parametrize("kind", [pa.decimal128(18, 2), pa.decimal128(38, 8), pa.decimal256(60, 10), pa.float32()])
def test_numbers_of_every_parquet_type_come_back_as_they_were_written(tmp_path, kind):
    """Of arrow's own conversions that of a decimal is off by a digit: 37785.52 becomes 37785.520000000004."""
    texts = ["37785.52", "37785.49", "0.01", "103785.52", "1.1", "4.35"]
    values = [Decimal(text) for text in texts] if kind != pa.float32() else np.array([float(t) for t in texts], "f4")
    column = pa.array(values, kind)
    table = {"start": [START + 60 * i for i in range(len(texts))], "volume": [0.0] * len(texts)}
    path = tmp_path / "BTC-USD.parquet"
    parquet.write_table(pa.table(table | dict.fromkeys(("open", "high", "low", "close"), column)), path)
    assert read(path).close.tolist() == [float(text) for text in texts]


def test_a_torn_archive_and_a_foreign_header_are_refused(tmp_path):
    torn = tmp_path / "BTC-USD_1m.csv.gz"
    torn.write_bytes(gzip.compress(HEADER.encode() * 99)[:-20])
    with pytest.raises(CandlesCorrupt, match=r"is no whole gzip file"):
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


def test_two_files_that_may_hold_the_same_bars_are_not_chosen_between_in_silence(tmp_path):
    bar = [(START, "1", "1", "1", "1", "1")]
    path = write_csv(tmp_path, "BTC-USD", bar)
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ConfigError, match=r"BTC-USD_1m\.csv and BTC-USD_1m\.csv\.gz are both of BTC-USD"):
        files(tmp_path, Granularity.FIVE_MINUTE)
    packed.rename(tmp_path / "BTC-USD.parquet")
    with pytest.raises(ConfigError, match=r"BTC-USD\.parquet and BTC-USD_1m\.csv are both of BTC-USD"):
        files(tmp_path, Granularity.FIVE_MINUTE)
    write_csv(tmp_path, "ETH-USD", bar)
    other = ProductId("ETH-USD")
    assert list(files(tmp_path, Granularity.FIVE_MINUTE, [other])) == [other]
    path.unlink()
    assert files(tmp_path, Granularity.FIVE_MINUTE)[ProductId("BTC-USD")].name == "BTC-USD.parquet"


def test_a_folder_without_candles_is_a_plain_refusal(tmp_path):
    with pytest.raises(
        ConfigError, match=r"files are named like BTC-USD_5m\.csv, BTC-USD_5m\.csv\.gz, the same with shorter bars,"
    ):
        files(tmp_path, Granularity.FIVE_MINUTE)
    with pytest.raises(ConfigError, match="not a folder"):
        files(tmp_path / "none", Granularity.FIVE_MINUTE)


def test_openings_are_utc():
    assert datetime.fromtimestamp(START, UTC) == datetime(2024, 1, 1, tzinfo=UTC)
