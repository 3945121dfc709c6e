"""Files that begin later or end earlier than the run: what trades, what is held, and what is said of them."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from backtest import cli, dataset
from backtest.audit import books, figures, tape
from backtest.dataset import Wish
from backtest.landmarks import landmarks
from backtest.market import OUT_OF_REACH, Listed, RecordedMarket
from backtest.notes import notes
from bot.adapters.manual_clock import ManualClock
from bot.domain.bars import Granularity
from bot.domain.product import ProductId
from bot.settings.config import Config
from tests.backtest import runs
from tests.backtest.markets import START, rows, write_csv
from tests.configs import SHIPPED

BTC, ETH = ProductId("BTC-USD"), ProductId("ETH-USD")
DAY = 1440


def folder(path: Path, **spans: tuple[int, int]) -> Path:
    """A market each, from minute to minute."""
    for seed, (coin, (first, stop)) in enumerate(spans.items()):
        write_csv(path, f"{coin}-USD", rows(40 + seed, stop, price=50, quiet=0)[first:])
    return path


def loaded(path: Path) -> dataset.Dataset:
    return dataset.load(Wish(path, Granularity.FIVE_MINUTE, history=30))


def at(minute: int) -> datetime:
    return datetime.fromtimestamp(START + minute * 60, UTC)


def test_a_market_is_listed_from_its_first_bar_on_and_takes_no_order_after_its_last(tmp_path):
    data, policy = loaded(folder(tmp_path, BTC=(0, 600), ETH=(200, 400))), runs.settings({}).policy.data

    def least(minute: int) -> dict[str, bool]:
        listed = Listed(data, ManualClock(at(minute)), policy).products()
        return {product.id: product.base_min == OUT_OF_REACH for product in listed}

    assert least(5) == least(195) == {"BTC-USD": False}
    assert least(210) == least(400) == {"BTC-USD": False, "ETH-USD": False}
    assert least(420) == least(600) == {"BTC-USD": False, "ETH-USD": True}


def test_the_cycles_that_find_a_market_listed_or_over_are_run(tmp_path):
    """The list is read once an hour, bars after a recording begins or ends; what is remembered starts there."""
    config = runs.settings({"data": {"product_max_age_minutes": 120}})
    data = loaded(folder(tmp_path, BTC=(0, 900), ETH=(200, 400)))
    found = set(landmarks(data, config).tolist())
    sizes = [len(Listed(data, ManualClock(data.closed(k)), config.policy.data).products()) for k in range(180)]
    begun = sizes.index(2)
    over = next(k for k in range(180) if least_size(data, config, k) == OUT_OF_REACH)
    assert (data.closed(begun), data.closed(over)) == (at(240), at(420))
    assert {begun, begun + 1, begun + 2, over, over + 1, over + 2} <= found


def least_size(data: dataset.Dataset, config: Config, k: int) -> Decimal:
    return max(item.base_min for item in Listed(data, ManualClock(data.closed(k)), config.policy.data).products())


def test_the_last_quote_stands_after_a_recording_and_nothing_is_known_in_a_gap(tmp_path):
    write_csv(tmp_path, BTC, [row for i, row in enumerate(rows(40, 600, quiet=0)) if not 200 <= i < 400])
    folder(tmp_path, ETH=(0, 1000))
    data, clock = loaded(tmp_path), ManualClock(at(200))
    market = RecordedMarket(data, clock)
    clock.wait_until(at(300))
    gap = market.facts(BTC)
    assert (gap.quote, gap.windows) == (None, None)
    clock.wait_until(at(600))
    last = market.facts(BTC).quote
    assert last is not None
    clock.wait_until(at(900))
    after = market.facts(BTC)
    assert after.quote is not None
    assert (after.quote.bid, after.quote.ask, after.quote.at) == (last.bid, last.ask, at(900))
    assert after.windows is None
    assert "2024-01-01 09:55" in after.windows_error


def test_a_market_whose_file_begins_after_all_others_ended_trades_as_it_does_alone(tmp_path):
    both = folder(tmp_path / "both", BTC=(0, 700), SOL=(0, 700), XRP=(0, 650), ETH=(2000, 2000 + 2 * DAY))
    alone = tmp_path / "alone"
    alone.mkdir()
    shutil.copy(both / "ETH-USD_1m.csv", alone)
    config = runs.settings({})
    done, only = (runs.backtest(path, config, tmp_path / f"of {path.name}", every=False) for path in (both, alone))
    later = [trade for trade in json.loads(done.files["trades.json"]) if trade["product"] == ETH]
    assert len(later) >= 3
    keys = ("opened_at", "closed_at", "entry", "exit", "exit_reason")
    theirs = json.loads(only.files["trades.json"])
    assert [[trade[key] for key in keys] for trade in later] == [[trade[key] for key in keys] for trade in theirs]
    assert done.figures["integrity"]["recorded"]["XRP-USD"] == {
        "first": "2024-01-01T00:00:00Z", "last": "2024-01-01T10:45:00Z",
    }  # fmt: skip
    assert done.figures["integrity"]["gaps"] == []


def test_what_is_held_when_a_recording_ends_is_kept_at_its_last_price_and_the_rest_trades_on(tmp_path):
    config = runs.settings({})
    whole = folder(tmp_path / "whole", BTC=(0, 3 * DAY), ETH=(0, 3 * DAY))
    first = json.loads(runs.backtest(whole, config, tmp_path / "first", every=False).files["trades.json"])
    held = next(trade for trade in first if trade["product"] == ETH and trade["bars"] > 20)
    ends = datetime.fromisoformat(held["opened_at"]).timestamp() + 3000
    kept = [row for row in rows(41, 3 * DAY, price=50, quiet=0) if row[0] < ends]
    write_csv(whole, ETH, kept)
    done = runs.backtest(whole, config, tmp_path / "second", every=False)
    trades = json.loads(done.files["trades.json"])
    (still,) = [trade for trade in trades if trade["product"] == ETH and trade["closed_at"] is None]
    assert still["opened_at"] == held["opened_at"]
    after = [
        trade
        for trade in trades
        if trade["product"] == BTC and datetime.fromisoformat(trade["opened_at"]).timestamp() > ends
    ]
    assert len(after) >= 3
    orders = [order for order in json.loads(done.files["orders.json"]) if order["product"] == ETH]
    assert all(datetime.fromisoformat(order["created_at"]).timestamp() <= ends for order in orders)
    assert all(order["status"] != "OPEN" for order in orders), "the stop at the venue was taken back"
    assert done.cycles < 300, "nothing of it is looked at any more"
    assert done.figures["integrity"]["failed_cycles"] == 0
    assert set(done.figures["coverage"]["cycles"]) == {"NO_TRADE", "TRADED"}, "equity was known all the time"


def test_what_is_kept_below_its_stop_after_its_recording_is_looked_at_no_more(tmp_path):
    """Its stop asked for a cycle at every bar to the end of the run, and nothing of it could be sold."""
    config = runs.settings({"exits": {"resting_on_exchange": False}})
    whole = folder(tmp_path / "whole", BTC=(0, 3 * DAY), ETH=(0, 3 * DAY))
    first = json.loads(runs.backtest(whole, config, tmp_path / "first", every=False).files["trades.json"])
    held = next(trade for trade in first if trade["product"] == ETH and trade["bars"] > 20)
    ends = datetime.fromisoformat(held["opened_at"]).timestamp() + 3000
    *kept, last = [row for row in rows(41, 3 * DAY, price=50, quiet=0) if row[0] < ends]
    fallen = f"{float(last[1]) * 0.9:.2f}"
    write_csv(whole, ETH, [*kept, (*last[:3], fallen, fallen, last[5])])
    skipping, every = (runs.backtest(whole, config, tmp_path / str(every), every=every) for every in (False, True))
    assert skipping.files == every.files
    (still,) = [trade for trade in json.loads(every.files["trades.json"]) if trade["closed_at"] is None]
    assert (still["product"], still["opened_at"]) == (ETH, held["opened_at"])
    assert skipping.cycles < 300 < every.cycles


def test_a_run_says_in_one_line_which_files_cover_a_part_of_it(tmp_path):
    data = loaded(folder(tmp_path, BTC=(300, 900), ETH=(0, 900), SOL=(0, 400), XRP=(100, 500), ADA=(3, 899)))
    line, without = notes(runs.settings({}), data)
    assert line.startswith("3 of 5 products are recorded for a part of the run only")
    assert (
        "BTC-USD from 2024-01-01 05:00, SOL-USD to 2024-01-01 06:35, XRP-USD from 2024-01-01 01:40 to 2024-01-01"
        in line
    )
    assert without == (
        "benchmark.btc has no figures: BTC-USD is not there at the first bar of the run: its recording begins "
        "2024-01-01 05:00 UTC"
    )
    assert list(notes(runs.settings({}), loaded(folder(tmp_path / "even", BTC=(0, 900), ETH=(0, 870))))) == []


def test_time_that_no_file_covers_and_files_that_are_passed_over_are_told(tmp_path):
    path = folder(tmp_path, BTC=(0, 300), ETH=(0, 300), SOL=(2000, 2900))
    write_csv(path, ETH, rows(41, 300, price=50, quiet=0)[::5], "5m")
    said = list(notes(runs.settings({}), loaded(path)))
    assert said[-2:] == [
        "nothing is recorded of any product from 2024-01-01 05:00 to 2024-01-02 09:20: it counts, without a return",
        "1 product has files of several bar lengths, the longest is read: ETH-USD_5m.csv, not ETH-USD_1m.csv",
    ]


def in_a_gap(path: Path) -> Path:
    write_csv(path, BTC, [row for i, row in enumerate(rows(40, 900, quiet=0)) if not 100 <= i < 700])
    return folder(path, ETH=(0, 900))


@pytest.mark.parametrize(
    ("market", "why"),
    [
        (lambda path: folder(path, BTC=(600, 900), ETH=(0, 900)),
         "BTC-USD is not there at the first bar of the run: its recording begins 2024-01-01 10:00 UTC"),
        (in_a_gap, "BTC-USD is not there at the first bar of the run: it is in a gap"),
    ], ids=["late", "gap"],
)  # fmt: skip
def test_a_benchmark_without_figures_says_why_in_the_summary_and_on_the_page(tmp_path, market, why):
    candles, out, config = market(tmp_path / "candles"), tmp_path / "out", runs.settings({})
    done = runs.backtest(candles, config, out, every=False, since=at(300))
    told = done.figures["benchmark"]
    assert told["btc"] == {"left_out": why}
    assert told["equal_weight"]["return_pct"] != 0
    assert f"btc: {why}." in done.files["report.html"].decode()
    assert objections(candles, config, done.files) == []
    invented = json.loads(done.files["summary.json"])
    invented["benchmark"]["btc"] = {"return_pct": 12.5}
    files = {**done.files, "summary.json": json.dumps(invented).encode()}
    assert objections(candles, config, files) == ["benchmark.btc.return_pct is 12.5, the records say None"]


def objections(candles: Path, config: Config, files: Mapping[str, bytes]) -> list[str]:
    """What the audit has against the figures of a run."""
    products = json.loads(files["summary.json"])["period"]["products"]
    markets = tape.read(candles, products, Granularity.FIVE_MINUTE, config.policy.backtest.half_spread_bps)
    account = books.Account(config.policy.paper.starting_cash[config.policy.portfolio.quote_currency], None)
    return list(figures.figures(books.read(files, markets, account), config))


def test_files_without_a_bar_of_the_period_are_told_of(tmp_path):
    path = folder(tmp_path, BTC=(0, 300), ETH=(0, 900), SOL=(0, 300))
    data = dataset.load(Wish(path, Granularity.FIVE_MINUTE, since=at(600), history=30))
    (line,) = notes(runs.settings({}), data)
    assert line == "2 files hold no bar of the period and are left out: BTC-USD, SOL-USD"


def test_a_cycle_rarer_than_bars_is_told(tmp_path):
    config = runs.settings({"loop": {"interval_seconds": 400}})
    (line,) = notes(config, loaded(folder(tmp_path, BTC=(0, 900))))
    assert line.startswith("loop.interval_seconds 400 is longer than a bar: a cycle runs at every 2. bar only")


def shipped(path: Path) -> Path:
    path.mkdir()
    for name in ("policy.yaml", "universe.yaml"):
        (path / name).write_text(yaml.safe_dump(yaml.safe_load((SHIPPED / name).read_text()), sort_keys=False))
    return path


def ran(out: Path, data: Path, config: Path) -> tuple[int, str, str]:
    said, told = io.StringIO(), io.StringIO()
    words = ["run", "--data", str(data), "--config-dir", str(config), "--out", str(out), "--no-report", "--bar", "5m"]
    return cli.main(words, said, told), said.getvalue(), told.getvalue()


def test_the_line_goes_to_stderr_and_the_spans_into_the_summary(tmp_path):
    code, _, told = ran(tmp_path / "out", folder(tmp_path / "c", BTC=(0, 900), ETH=(500, 900)), shipped(tmp_path / "s"))
    assert code == 0
    assert told.startswith("backtest: 1 of 2 products are recorded for a part of the run only")
    assert told.count("\n") == 1
    found = json.loads((tmp_path / "out" / "summary.json").read_text())["integrity"]["recorded"]
    assert found["ETH-USD"] == {"first": "2024-01-01T08:20:00Z", "last": "2024-01-01T14:55:00Z"}


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_where_the_artifacts_should_go_is_refused_before_anything_is_read(tmp_path, below):
    out = tmp_path / "out"
    out.write_text("mine")
    code, _, told = ran(out / below, tmp_path / "none", shipped(tmp_path / "s"))
    assert code == 2
    assert told == f"backtest: --out {out / below}: {out} is a file, a folder is needed\n"


def test_a_reader_that_has_gone_is_no_error_to_tell_of(tmp_path):
    data, config = folder(tmp_path / "c", BTC=(0, 300)), shipped(tmp_path / "s")
    reading, writing = os.pipe()
    os.close(reading)
    words = ["run", "--data", str(data), "--config-dir", str(config), "--out", str(tmp_path / "out"), "--no-report"]
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "backtest", *words], check=False, stdout=gone, stderr=subprocess.PIPE, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, b"")
    assert (tmp_path / "out" / "summary.json").exists()
