"""Recorded candles come back to the digit, and broken files name their row."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from bot.domain.product import ProductId
from bot.errors import CandlesCorrupt
from simulator.markets.replay import ReplayMarket, candle_files, read_candles
from tests.simulator.markets.test_path import candle_of
from tests.simulator.recorded import beginning, candle_paths

ADA = ProductId("ADA-USD")
START = datetime(2023, 11, 25, 9, 1, tzinfo=UTC)
HEADER = "start,open,high,low,close,volume\n"
LINES = (
    "1700902800,0.3921,0.3925,0.3919,0.392,1045.5\n"
    "1700902860,0.392,0.392,0.392,0.392,12\n"
    "1700902980,0.3921,0.394,0.3921,0.3938,20345.75\n"
)


@pytest.fixture
def ada(tmp_path: Path) -> Path:
    path = tmp_path / "ADA-USD_1m.csv.gz"
    path.write_bytes(gzip.compress((HEADER + LINES).encode()))
    return path


def test_a_file_shows_its_own_increments(ada: Path) -> None:
    (listing,) = ReplayMarket({ADA: ada}, START).listings
    assert (listing.product.price_step, listing.product.size_step) == (Decimal("0.0001"), Decimal("0.01"))


def test_a_minute_without_a_trade_stays_absent(ada: Path) -> None:
    market = ReplayMarket(candle_files(ada.parent), START)
    assert market.history(ADA, 1700902800, 1700903040).start.tolist() == [1700902800, 1700902860, 1700902980]
    assert market.trades(ADA, 1700902920) == []


def test_zero_volume_rows_are_minutes_without_a_trade(tmp_path: Path) -> None:
    path = tmp_path / "ADA-USD_1m.csv"
    path.write_text(HEADER + LINES + "1700903040,0.3938,0.3938,0.3938,0.3938,0\n")
    assert len(ReplayMarket({ADA: path}, START).history(ADA, 0, 2**40)) == 3


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1700903040,0.39,0.38,0.37,0.38,5\n", "out of order"),
        ("1700903040,0.39,0.4,0.38,NaN,5\n", "close must be a plain decimal"),
        ("1700902980,0.39,0.4,0.38,0.39,5\n", "not a later whole minute"),
        ("1700903041,0.39,0.4,0.38,0.39,5\n", "not a later whole minute"),
        ("1700903040,0.39,0.4,0.38\n", "4 fields"),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "ADA-USD_1m.csv"
    path.write_text(HEADER + LINES + line)
    with pytest.raises(CandlesCorrupt, match=rf"ADA-USD_1m\.csv, row 5: .*{reason}"):
        list(read_candles(path))


def test_a_volume_too_small_for_its_prices_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ADA-USD_1m.csv"
    path.write_text(HEADER + LINES + "1700903040,0.39,0.4,0.38,0.3901,0.02\n")
    with pytest.raises(CandlesCorrupt, match=r"row 5: a volume of 0\.02 cannot have visited"):
        ReplayMarket({ADA: path}, START)


@pytest.mark.parametrize("path", candle_paths(16), ids=lambda path: path.name)
def test_recorded_minutes_are_traded_back_exactly(path: Path, tmp_path: Path) -> None:
    path = beginning(path, tmp_path, 300)
    product = ProductId(path.name.split("_")[0])
    market = ReplayMarket({product: path}, START)
    (listing,) = market.listings
    scale = listing.scale
    for row in read_candles(path):
        candle = candle_of(market.trades(product, row.start), row.start)
        assert [scale.price(ticks).value for ticks in candle[1:5]] == [row.open, row.high, row.low, row.close]
        assert candle.volume * scale.lot == row.volume
