"""Downloaded candles are the venue's, whole and in order, and an interrupted download goes on where it stopped."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from bot.cli.candle_file import COLUMNS, CandleFile
from bot.domain.bars import Bar
from bot.domain.money import Price
from bot.domain.product import ProductId
from bot.errors import CandlesCorrupt
from simulator.faults import Answer, Rule, When
from tests.cli.desk import desk_at

SPAN = ("--from", "2026-11-02T02:00", "--to", "2026-11-02T13:00")
BTC = ProductId("BTC-USD")


@pytest.fixture
def desk(tmp_path, sim):
    return desk_at(tmp_path, sim, mode="paper")


def rows(path):
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert lines[0] == COLUMNS
    return [line.split(",") for line in lines[1:]]


def test_every_minute_of_the_span_is_there_once_oldest_first(desk, tmp_path):
    out = tmp_path / "candles"
    assert desk.run("fetch-candles", "BTC-USD", "eth/usd", *SPAN, "--out", str(out)) == 0, desk.err
    assert sorted(path.name for path in out.iterdir()) == ["BTC-USD_1m.csv.gz", "ETH-USD_1m.csv.gz"]
    found = rows(out / "BTC-USD_1m.csv.gz")
    opened = [int(row[0]) for row in found]
    assert opened[0] == int(datetime(2026, 11, 2, 2, tzinfo=UTC).timestamp())
    assert opened[-1] == int(datetime(2026, 11, 2, 12, 59, tzinfo=UTC).timestamp())
    assert all(after - before == 60 for before, after in pairwise(opened))
    for _, first, high, low, last, volume in found:
        assert Decimal(low) <= min(Decimal(first), Decimal(last)) <= max(Decimal(first), Decimal(last)) <= Decimal(high)
        assert Decimal(volume) >= 0


def test_a_download_that_broke_off_goes_on_and_ends_the_same(desk, tmp_path, sim):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert desk.run("fetch-candles", "BTC-USD", *SPAN, "--out", str(whole)) == 0
    sim.fault(Rule(Answer(503, when=When.BEFORE), path="*/candles", skip=1, times=None))
    assert desk.run("fetch-candles", "BTC-USD", *SPAN, "--out", str(parts)) == 1
    assert "the same command goes on from there" in desk.err
    (part,) = parts.iterdir()
    assert part.name == "BTC-USD_1m.csv.part"
    kept = len(part.read_text().splitlines())
    assert kept == 301
    with part.open("a") as file:
        file.write("17620")  # a line torn by a power cut
    sim.do(lambda controls: controls.rules.clear())
    asked = _requests(sim)
    assert desk.run("fetch-candles", "BTC-USD", *SPAN, "--out", str(parts)) == 0
    assert _requests(sim) - asked == 2, "660 minutes are three pages, one of which was kept"
    assert (parts / "BTC-USD_1m.csv.gz").read_bytes() == (whole / "BTC-USD_1m.csv.gz").read_bytes()


def test_a_finished_file_is_extended_and_not_fetched_again(desk, tmp_path, sim):
    out = ["--out", str(tmp_path / "out")]
    assert desk.run("fetch-candles", "BTC-USD", "--from", "2026-11-02T02:00", "--to", "2026-11-02T06:00", *out) == 0
    asked = _requests(sim)
    assert desk.run("fetch-candles", "BTC-USD", *SPAN, *out) == 0
    assert len(rows(tmp_path / "out" / "BTC-USD_1m.csv.gz")) == 660
    assert _requests(sim) - asked == 2
    assert desk.run("fetch-candles", "BTC-USD", *SPAN, *out) == 0
    assert _requests(sim) - asked == 2, "nothing is missing, nothing is asked"


def test_longer_candles_have_their_own_file(desk, tmp_path):
    code = desk.run("fetch-candles", "BTC-USD", *SPAN, "--granularity", "1h", "--out", str(tmp_path))
    assert code == 0
    assert len(rows(tmp_path / "BTC-USD_1h.csv.gz")) == 11


def test_an_unknown_product_does_not_stop_the_others(desk, tmp_path):
    assert desk.run("fetch-candles", "NOPE-USD", "BTC-USD", *SPAN, "--out", str(tmp_path / "o")) == 1
    assert "bot: NOPE-USD:" in desk.err
    assert (tmp_path / "o" / "BTC-USD_1m.csv.gz").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["BTC-USD", "--from", "tomorrow"], "'tomorrow' is no time: write 2026-11-21 or 2026-11-21T14:00"),
        (["nonsense!", "--from", "2026-11-02"], "product id must look like BTC-USD"),
        (["BTC-USD", "--from", "2026-11-02", "--to", "2026-11-01"], "--from 2026-11-02 00:00 must be before"),
        (["BTC-USD"], "--from"),
    ],
)
def test_a_span_that_makes_no_sense_is_a_usage_error(desk, tmp_path, arguments, words):
    assert desk.run("fetch-candles", *arguments, "--out", str(tmp_path)) == 2
    assert words in desk.err


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("time,open\n", 1),
        (f"{COLUMNS}\n60,1,1,1,1,1\n60,1,1,1,1,1\n", 3),
        (f"{COLUMNS}\n60,1,1,1\n", 2),
        (f"{COLUMNS}\n60,1,1,1,1,1\nabc,1,1,1,1,1\n", 3),
    ],
)
def test_a_file_that_is_not_ours_is_never_added_to(tmp_path, content, row):
    file = CandleFile(tmp_path, BTC, "1m")
    (tmp_path / "BTC-USD_1m.csv.gz").write_bytes(gzip.compress(content.encode()))
    with pytest.raises(CandlesCorrupt, match=f"row {row}"):
        file.open(0, 60)


def test_candles_that_end_before_the_span_begins_are_not_joined_over_the_gap(tmp_path):
    file = CandleFile(tmp_path, BTC, "1m")
    file.open(60, 60)
    one = Price(Decimal(1))
    file.add([Bar(datetime.fromtimestamp(60, UTC), one, one, one, one, Decimal(1))])
    assert file.finish() == 1
    assert CandleFile(tmp_path, BTC, "1m").open(60, 60) == 120
    assert CandleFile(tmp_path, BTC, "1m").open(600, 60) == 600


def _requests(sim) -> int:
    """Candle pages the venue was asked for."""
    return len(sim.do(lambda controls: controls.world.record.requests(path="/candles")))
