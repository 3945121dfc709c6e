"""The world behind the wire: matching on the tape's book, lazily shown markets, recorded candles, own processes."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.domain.order import VenueStatus
from bot.domain.product import ProductId, Side
from bot.venue.orders import Accepted, LimitGtc, LimitIoc, MarketIoc, OrderRequest
from bot.venue.venue import Venue
from simulator.__main__ import config_of
from simulator.faults import Conditions
from simulator.markets.listing import all_products, default_listings
from simulator.markets.market import Market
from simulator.markets.replay import ReplayMarket, read_candles
from simulator.markets.script import BookIs, Print, ScriptMarket
from simulator.server import START as START_OF_TRADING
from simulator.server import Simulator, SimulatorConfig, tick_rules
from simulator.world import World, holder_of
from tests.simulator.markets.test_replay import HEADER
from tests.simulator.raw import ask, feed
from tests.simulator.recorded import beginning, candle_paths

START = datetime(2026, 9, 1, tzinfo=UTC)
BTC = ProductId("BTC-USD")


def world(market: Market, **opening: str) -> World:
    money = {name: Decimal(amount) for name, amount in (opening or {"USD": "100000"}).items()}
    venue = Venue(all_products(market.listings), money, tick_rules(), START, 1)
    return World(venue, market, Conditions(), holder_of(1, START))


def scripted(*steps) -> World:
    return world(ScriptMarket(default_listings(2), START, steps), USD="100000", USDC="100000")


def limit(name: str, price: str, size: str = "0.01", product: str = "BTC-USD", side: Side = Side.BUY) -> OrderRequest:
    return OrderRequest(name, ProductId(product), side, LimitGtc(Decimal(size), Decimal(price)))


def placed(there: World, request: OrderRequest) -> str:
    answer = there.place(request)
    assert isinstance(answer, Accepted)
    return answer.order_id


def test_a_resting_order_fills_when_the_tape_trades_through_it_and_not_when_it_touches() -> None:
    there = scripted(
        Print(2, BTC, Decimal(64000), Decimal(5), Side.SELL), Print(4, BTC, Decimal(63990), Decimal(5), Side.SELL)
    )
    order_id = placed(there, limit("a", "64000"))
    for second in (1, 2, 3):
        there.step(START + timedelta(seconds=second))
        order = there.order(order_id)
        assert order is not None
        assert order.status is VenueStatus.OPEN
    assert there.step(START + timedelta(seconds=4)) is True
    order = there.order(order_id)
    assert order is not None
    assert (order.status, order.average_price) == (VenueStatus.FILLED, Decimal(64000))


def test_a_print_through_the_limit_fills_it_even_under_a_book_that_stands_still() -> None:
    book = BookIs(0, BTC, [(Decimal(63000), Decimal(1))], [(Decimal(64000), Decimal(1))])
    there = scripted(book, Print(2, BTC, Decimal(62900), Decimal(50), Side.SELL))
    there.step(START + timedelta(seconds=1))
    order_id = placed(there, limit("a", "62950"))
    there.step(START + timedelta(seconds=3))
    order = there.order(order_id)
    assert order is not None
    assert order.status is VenueStatus.FILLED


@pytest.mark.parametrize(("taker", "shown"), [(Side.BUY, "SELL"), (Side.SELL, "BUY")])
def test_the_public_tape_names_the_makers_side(taker: Side, shown: str) -> None:
    market = ScriptMarket(default_listings(1), START, [Print(1, BTC, Decimal(64000), Decimal(1), taker)])
    with Simulator(SimulatorConfig(market=market)) as sim, feed(sim) as client:
        client.subscribe("market_trades", "BTC-USD")
        client.rest()
        sim.run_for(2)
        (told,) = client.rest()[-1]["events"][0]["trades"]
        (listed,) = ask(sim, "GET", "/market/products/BTC-USD/ticker", {"limit": 1}).json()["trades"]
        assert told["side"] == listed["side"] == shown
        assert told["trade_id"] == listed["trade_id"]


def test_a_taker_walks_the_very_book_it_was_shown() -> None:
    levels = [(Decimal(64010), Decimal("0.1")), (Decimal(64020), Decimal("0.1")), (Decimal(64050), Decimal(5))]
    there = scripted(BookIs(0, BTC, [(Decimal(64000), Decimal(1))], levels))
    there.step(START + timedelta(seconds=1))
    request = OrderRequest("t", BTC, Side.BUY, LimitIoc(Decimal("0.3"), Decimal(64020)))
    order = there.order(placed(there, request))
    assert order is not None
    assert (order.status, order.filled_size) == (VenueStatus.CANCELLED, Decimal("0.2"))
    assert order.filled_value == Decimal("0.1") * 64010 + Decimal("0.1") * 64020


def test_an_alias_is_paid_from_its_own_wallet_on_the_one_book() -> None:
    there = scripted()
    there.place(OrderRequest("u", ProductId("BTC-USDC"), Side.BUY, MarketIoc(None, Decimal(100))))
    money = {balance.currency: balance.total for balance in there.venue.balances()}
    assert money["USD"] == 100000
    assert 99899 < money["USDC"] < 99901
    assert there.tape("BTC-USDC") is there.tape("BTC-USD")


def test_a_market_nobody_trades_is_shown_late_and_fills_the_same() -> None:
    """Books are only built for markets with orders; an order placed after quiet hours meets the present book."""
    prints = [Print(60 * n, BTC, Decimal(64000 + n), Decimal(1), Side.BUY) for n in range(1, 30)]
    eager, lazy = scripted(*prints), scripted(*prints)
    placed(eager, limit("far", "30000", "0.001"))
    for there in (eager, lazy):
        for minute in range(1, 30):
            there.step(START + timedelta(minutes=minute))
    fills = []
    for there in (eager, lazy):
        there.place(OrderRequest("now", BTC, Side.BUY, MarketIoc(Decimal("0.5"))))
        fills.append([(fill.price, fill.size) for fill in there.venue.fills()])
    assert fills[0] == fills[1]
    assert fills[0] != []


def test_a_shock_reaches_tape_book_candles_and_stops() -> None:
    with Simulator(SimulatorConfig(products=1)) as sim:
        before = Decimal(ask(sim, "GET", "/products/BTC-USD").json()["price"])
        reply = ask(sim, "POST", "/control/shock", body={"product_id": "BTC-USD", "factor": "0.7"})
        assert reply.status == 200
        sim.run_for(120)
        after = ask(sim, "GET", "/products/BTC-USD").json()["price"]
        assert Decimal("0.65") < Decimal(after) / before < Decimal("0.75")
        book = ask(sim, "GET", "/product_book", {"product_id": "BTC-USD", "limit": 1}).json()["pricebook"]
        assert abs(Decimal(book["bids"][0]["price"]) / Decimal(after) - 1) < Decimal("0.01")
        assert ask(sim, "POST", "/control/shock", body={"product_id": "BTC-USD", "factor": "-1"}).status == 400


def served_candles(sim: Simulator, product: str, first: int, count: int) -> list[dict[str, str]]:
    window = {"start": first, "end": first + count * 60, "granularity": "ONE_MINUTE"}
    rows = ask(sim, "GET", f"/market/products/{product}/candles", window).json()["candles"]
    return list(reversed(rows))


def replayed(path: Path, product: str, start: int) -> None:
    """Trade through five recorded minutes, then ask for them and for the past: the file's own digits come back."""
    market = ReplayMarket({ProductId(product): path}, datetime.fromtimestamp(start, UTC))
    with Simulator(SimulatorConfig(market=market)) as sim:
        sim.run_for(300)
        served = served_candles(sim, product, start - 600, 15)
    recorded = [row for row in read_candles(path) if start - 600 <= row.start < start + 300 and row.volume > 0]
    assert [int(row["start"]) for row in served] == [row.start for row in recorded]
    for row, wanted in zip(served, recorded, strict=True):
        for name in ("open", "high", "low", "close", "volume"):
            assert Decimal(row[name]) == getattr(wanted, name)


def test_replayed_candles_are_served_as_they_were_recorded(tmp_path: Path) -> None:
    lines = "".join(
        f"{1700902800 + 60 * n},0.39{n % 10},0.40{n % 7},0.38{n % 5}5,0.391,{100 + n}.25\n"
        for n in range(30)
        if n not in {7, 13}
    )
    path = tmp_path / "ADA-USD_1m.csv.gz"
    path.write_bytes(gzip.compress((HEADER + lines).encode()))
    replayed(path, "ADA-USD", 1700902800 + 600)


@pytest.mark.parametrize("path", candle_paths(3), ids=lambda path: path.name)
def test_recorded_candles_are_served_as_they_were_recorded(path: Path, tmp_path: Path) -> None:
    replayed(beginning(path, tmp_path, 2000), path.name.split("_")[0], 1701000000)


def test_it_runs_as_a_process_of_its_own_and_ends_on_a_signal(tmp_path: Path) -> None:
    env_file = tmp_path / "venue.json"
    command = [sys.executable, "-m", "simulator", "--products", "1", "--env-file", str(env_file), "--cash", "123"]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}) as process:
        try:
            deadline = datetime.now(UTC) + timedelta(seconds=20)
            while not (env_file.exists() and env_file.read_text()) and datetime.now(UTC) < deadline:
                assert process.poll() is None
                time.sleep(0.02)
            env = json.loads(env_file.read_text())
            assert env_file.stat().st_mode & 0o077 == 0
            assert Path(env["COINBASE_CA_FILE"]).exists()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert not Path(env["COINBASE_CA_FILE"]).exists()  # the CA goes with the process


def test_trading_begins_at_the_very_moment_it_is_told() -> None:
    start = datetime(2026, 11, 2, 14, 0, 17, 250_000, UTC)
    with Simulator(SimulatorConfig(products=1, start=start)) as sim:
        assert sim.now() == start
        newest = ask(sim, "GET", "/market/products/BTC-USD/ticker", {"limit": 1}).json()["trades"][0]
        assert start - timedelta(minutes=1) < datetime.fromisoformat(newest["time"]) <= start


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        ([], START_OF_TRADING),
        (["--start", "2023-12-10T01:00:00+01:00"], datetime(2023, 12, 10, tzinfo=UTC)),
        (["--free-running", "--start", "2023-12-10T00:00:00Z"], datetime(2023, 12, 10, tzinfo=UTC)),
    ],
)
def test_the_command_line_says_where_trading_begins(arguments: list[str], start: datetime) -> None:
    assert config_of(arguments).start == start


def test_a_free_running_venue_begins_now() -> None:
    """A client compares clocks: a venue that runs in real time must agree with it."""
    assert abs(config_of(["--free-running"]).start - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_command_line_can_replay_a_folder(tmp_path: Path) -> None:
    (tmp_path / "ADA-USD_1m.csv").write_text(HEADER + "1700902800,0.39,0.39,0.39,0.39,5\n")
    config = config_of(
        ["--replay", str(tmp_path), "--start", "2023-11-25T09:01:00Z", "--cash", "7.5", "--step", "0.25"]
    )
    assert config.market is not None
    assert [listing.id for listing in config.market.listings] == ["ADA-USD"]
    assert (config.opening, config.step) == ({"USD": Decimal("7.5")}, timedelta(milliseconds=250))


def test_a_stopped_venue_leaves_no_thread_and_no_certificate_behind() -> None:
    with Simulator(SimulatorConfig(products=1)) as sim:
        ca_file = Path(sim.ca_file)
        assert ca_file.exists()
    assert not ca_file.parent.exists()
    with pytest.raises(RuntimeError, match=r"not running|closed"):
        sim.now()


def test_a_venue_that_cannot_start_says_why() -> None:
    with pytest.raises(Exception, match="must be >= 0"):
        Simulator(SimulatorConfig(products=1, opening={"USD": Decimal(-1)})).start()
