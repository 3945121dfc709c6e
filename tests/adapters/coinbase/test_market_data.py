"""Quotes and bars a decision may rest on: fresh and whole, or missing with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.coinbase.exchange import CoinbaseReader
from bot.adapters.coinbase.market_data import CoinbaseMarketData, Sources
from bot.adapters.coinbase.market_link import Band
from bot.adapters.coinbase.wire.frame import Trade
from bot.domain.bars import BarSeries
from bot.domain.market import Book, Level, Quote
from bot.domain.money import Price, Size
from bot.domain.product import ProductId
from bot.errors import UnitError
from bot.ports import MarketData
from bot.settings.policy import DataPolicy
from bot.triggers.indicators import LiveWindows
from tests.adapters.coinbase import payloads
from tests.adapters.coinbase.tls_server import Connection, Request, tls_server
from tests.adapters.coinbase.venue import NOW, FixedClock, Script, Scripted, reader

BTC = ProductId("BTC-USD")
CANDLES = "/market/products/BTC-USD/candles"
BOOK = "/market/product_book"
END = int(NOW.timestamp())


@dataclass
class FakeFeed:
    """A feed that knows what it is told."""

    quotes: dict[ProductId, Quote] = field(default_factory=dict)
    crossed: bool = False
    trade: Trade | None = None
    watched: tuple[ProductId, ...] = ()
    hinted: bool = False
    bands: Any = None

    def watch(self, markets: Any) -> None:
        self.watched = tuple(markets)

    def quote(self, market: ProductId) -> Quote | None:
        if self.crossed:
            raise UnitError("crossed quote")
        return self.quotes.get(market)

    def book(self, market: ProductId) -> Book | None:
        quote = self.quotes.get(market)
        return (
            Book(market, (Level(quote.bid, quote.bid_size),), (Level(quote.ask, quote.ask_size),), quote.at)
            if quote
            else None
        )

    def last_trade(self, market: ProductId) -> Trade | None:
        return self.trade

    def guard(self, bands: Any) -> None:
        self.bands = bands

    def user_hint(self) -> bool:
        hinted, self.hinted = self.hinted, False
        return hinted


class CandleServer:
    """Answers candle requests from a set of traded minutes, at most `limit` rows, newest first."""

    def __init__(self, first: int = 0, traded: set[int] | None = None) -> None:
        self.first = first
        self.silent: set[int] = set()
        self.only = traded
        self.windows: list[tuple[int, int]] = []
        self.broken: str | None = None
        self.empty_at: set[int] = set()

    def __call__(self, connection: Connection, request: Request) -> None:
        query = parse_qs(request.query)
        start, end = int(query["start"][0]), int(query["end"][0])
        self.windows.append((start, end))
        if (end - start) // 60 > 350:
            connection.answer('{"error":"INVALID_ARGUMENT","message":"number of candles"}', 400)
            return
        if self.broken is not None:
            connection.answer(self.broken)
            return
        starts = [t for t in range(start, end, 60) if t >= self.first and t not in self.silent]
        rows = [payloads.candle(t, str(10 + t // 60 % 2 * Decimal("0.5"))) for t in reversed(starts) if self._traded(t)]
        connection.json({"candles": [] if len(self.windows) - 1 in self.empty_at else rows})

    def _traded(self, start: int) -> bool:
        return self.only is None or start in self.only


def series_of(data: CoinbaseMarketData) -> BarSeries:
    tape = data._markets[BTC].tape
    assert tape is not None
    assert tape.series is not None
    return tape.series


@dataclass
class World:
    venue: Scripted
    candles: CandleServer
    account: CoinbaseReader
    feed: FakeFeed
    clock: FixedClock
    folder: Path

    def data(self, feed: bool = False, **policy: Any) -> CoinbaseMarketData:
        sources = Sources(
            self.account.client,
            self.feed if feed else None,
            BarStore(self.folder),
            self.account.known_product,
            LiveWindows,
        )
        return CoinbaseMarketData(sources, DataPolicy.model_validate(policy), self.clock)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    script = Script()
    with tls_server(tmp_path, script) as server:
        venue = Scripted(server, script)
        candles = CandleServer()
        venue.on("GET /market/products", {"products": [payloads.product()]})
        venue.on("GET " + CANDLES, candles)
        venue.on("GET " + BOOK, payloads.book(time="2026-11-21T08:29:59Z"))
        account = reader(server, with_key=False)
        account.products()
        yield World(venue, candles, account, FakeFeed(), FixedClock(), tmp_path / "bars")
        account.close()


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_it_fits_the_port(world: World) -> None:
    data: MarketData = world.data()
    assert not data.user_events()


def test_warm_up_fetches_pages_of_closed_bars_only(world: World) -> None:
    data = world.data()
    data.watch({BTC: 700})
    data.refresh(at(3))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert (windows.length, windows.end) == (700, END)
    assert all((end - start) // 60 <= 302 for start, end in world.candles.windows)
    assert len(world.candles.windows) == 3


def test_a_bar_is_not_used_before_it_has_closed_and_settled(world: World) -> None:
    data = world.data(bar_close_lag_seconds="2")
    data.watch({BTC: 10})
    for seconds, end in ((1, END - 60), (3, END), (59, END), (62.5, END + 60)):
        data.refresh(at(seconds))
        windows = data.facts(BTC).windows
        assert windows is not None
        assert windows.end == end


def test_a_quiet_minute_is_filled_and_a_late_bar_mends_it(world: World) -> None:
    data = world.data()
    data.watch({BTC: 10})
    world.candles.silent = {END - 60}
    data.refresh(at(3))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert (windows.volume_sum(1), windows.length) == (0, 10)
    world.candles.silent = set()
    data.refresh(at(63))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert windows.volume_sum(2) == 2 * windows.scale.lots(Decimal("3.5"))


def test_an_answer_that_drops_known_bars_is_not_believed(world: World) -> None:
    data = world.data()
    data.watch({BTC: 10})
    data.refresh(at(3))
    world.candles.only = set()
    data.refresh(at(63))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert windows.end == END


@pytest.mark.parametrize("broken", ["<html>", '{"candles":null}', '{"candles":[{"start":"61"}]}'])
def test_unreadable_candles_leave_no_windows_and_say_why(world: World, broken: str) -> None:
    world.candles.broken = broken
    data = world.data()
    data.watch({BTC: 10})
    data.refresh(at(3))
    facts = data.facts(BTC)
    assert facts.windows is None
    assert "candles BTC-USD" in facts.windows_error
    assert facts.quote is not None


def test_an_outage_leaves_a_gap_that_is_fetched_and_never_filled(world: World) -> None:
    data = world.data()
    data.watch({BTC: 1000})
    data.refresh(at(3))
    world.candles.windows.clear()
    data.refresh(at(3 + 400 * 60))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert (windows.length, windows.end) == (1000, END + 400 * 60)
    assert windows.volume_sum(1000) == 1000 * windows.scale.lots(Decimal("3.5"))
    assert len(world.candles.windows) == 2


def test_after_a_very_long_outage_the_tape_starts_anew(world: World) -> None:
    data = world.data()
    data.watch({BTC: 100})
    data.refresh(at(3))
    data.refresh(at(3 + 5000 * 60))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert (windows.length, windows.end) == (100, END + 5000 * 60)


def test_a_young_market_has_the_bars_it_has(world: World) -> None:
    world.candles.first = END - 50 * 60
    data = world.data()
    data.watch({BTC: 3000})
    data.refresh(at(3))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert windows.length == 50
    asked = len(world.candles.windows)
    data.refresh(at(4))
    assert len(world.candles.windows) == asked


def test_a_market_that_never_traded_has_no_windows(world: World) -> None:
    world.candles.only = set()
    data = world.data()
    data.watch({BTC: 10})
    for _ in range(2):
        data.refresh(at(3))
        assert "asked for again" in data.facts(BTC).windows_error
    data.refresh(at(3))
    assert "not traded" in data.facts(BTC).windows_error


@pytest.mark.parametrize("page", [0, 1, 2])
def test_a_page_that_comes_empty_by_mistake_is_not_taken_for_hours_of_silence(world: World, page: int) -> None:
    world.candles.empty_at = {page}
    data = world.data()
    data.watch({BTC: 700})
    for _ in range(3):
        data.refresh(at(3))
        windows = data.facts(BTC).windows
        assert windows is None or not series_of(data).quiet.any()
    assert series_of(data).quiet.sum() == 0
    assert data.facts(BTC).windows is not None
    assert len(series_of(data).close) == 700


def test_silence_that_was_believed_is_fetched_again_once_an_answer_knows_a_trade_in_it(world: World) -> None:
    """All its newest pages came empty; a minute later the overlap shows a trade where silence was believed."""
    world.candles.empty_at = {0, 1, 2}
    data = world.data()
    data.watch({BTC: 700})
    for second in (3, 4, 5):
        data.refresh(at(second))
    data.refresh(at(63))
    data.refresh(at(64))
    assert not series_of(data).quiet.any()
    assert len(series_of(data).close) >= 700


def test_an_answer_that_leaves_out_the_minute_it_must_show_is_refused(world: World) -> None:
    data = world.data()
    data.watch({BTC: 10})
    data.refresh(at(3))
    world.candles.empty_at = {len(world.candles.windows)}
    data.watch({BTC: 700})
    data.refresh(at(4))
    assert "leaves out the bar" in data._markets[BTC].windows_error
    data.refresh(at(5))
    assert len(series_of(data).close) >= 700
    assert not series_of(data).quiet.any()


def test_bars_on_disk_are_not_fetched_again(world: World) -> None:
    first = world.data()
    first.watch({BTC: 700})
    first.refresh(at(3))
    world.candles.windows.clear()
    again = world.data()
    again.watch({BTC: 700})
    again.refresh(at(123))
    windows = again.facts(BTC).windows
    assert windows is not None
    assert (windows.length, windows.end) == (700, END + 120)
    assert len(world.candles.windows) == 1
    assert again.store_error == ""


def test_bars_on_disk_from_the_future_are_dropped(world: World) -> None:
    later = world.data()
    later.watch({BTC: 10})
    later.refresh(at(100_000))
    data = world.data()
    data.watch({BTC: 10})
    data.refresh(at(3))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert windows.end == END


def test_a_disk_that_refuses_costs_the_cache_and_nothing_else(world: World) -> None:
    world.folder.write_text("a file where the folder should be")
    data = world.data()
    data.watch({BTC: 10})
    data.refresh(at(3))
    assert data.facts(BTC).windows is not None
    assert "BTC-USD" in data.store_error


def test_a_changed_tick_rebases_the_bars(world: World) -> None:
    data = world.data()
    data.watch({BTC: 10})
    data.refresh(at(3))
    world.venue.on("GET /market/products", {"products": [payloads.product(price_increment="0.001")]})
    world.account.products()
    data.refresh(at(63))
    windows = data.facts(BTC).windows
    assert windows is not None
    assert windows.scale.tick == Decimal("0.001")
    assert windows.close(5) in {10_000, 10_500}


def test_without_a_feed_the_quote_is_the_rest_books_with_its_own_time(world: World) -> None:
    data = world.data()
    data.watch({BTC: 10})
    data.refresh(at(3))
    facts = data.facts(BTC)
    assert facts.quote is not None
    assert facts.book is not None
    assert (str(facts.quote.bid), facts.quote.at) == ("68923.66", at(-1))


def quote(age_s: float, bid: str = "99") -> Quote:
    return Quote(BTC, Price(Decimal(bid)), Price(Decimal(101)), Size(Decimal(1)), Size(Decimal(1)), at(-age_s))


def test_a_fresh_feed_saves_the_rest_book(world: World) -> None:
    world.feed.quotes[BTC] = quote(1)
    world.feed.trade = Trade(BTC, Price(Decimal("100.5")), at(-2))
    data = world.data(feed=True)
    data.watch({BTC: 10})
    data.refresh(at(0))
    facts = data.facts(BTC)
    assert facts.quote == quote(1)
    assert (facts.last_trade, facts.last_trade_at) == (Price(Decimal("100.5")), at(-2))
    assert world.venue.count(BOOK) == 0
    assert world.feed.watched == (BTC,)


def test_a_stale_feed_falls_back_to_rest(world: World) -> None:
    world.feed.quotes[BTC] = quote(30)
    data = world.data(feed=True)
    data.watch({BTC: 10})
    data.refresh(at(0))
    facts = data.facts(BTC)
    assert facts.quote is not None
    assert facts.quote.at == at(-1)


def test_what_a_reload_calls_stale_is_asked_for_by_a_request(world: World) -> None:
    world.feed.quotes[BTC] = quote(2)
    data = world.data(feed=True)
    data.watch({BTC: 10})
    data.refresh(at(0))
    before = world.venue.count(BOOK)
    data.configure(DataPolicy.model_validate({"max_quote_staleness_seconds": 1}))
    data.refresh(at(0))
    assert (before, world.venue.count(BOOK)) == (0, 1)


def test_the_newer_evidence_wins_when_rest_fails(world: World) -> None:
    world.feed.quotes[BTC] = quote(30)
    world.venue.on("GET " + BOOK, (503, "go/sg/1"))
    data = world.data(feed=True)
    data.watch({BTC: 10})
    data.refresh(at(0))
    assert data.facts(BTC).quote == quote(30)


@pytest.mark.parametrize(
    "change",
    [{"bids": []}, {"bids": [{"price": "68923.67", "size": "1"}]}, {"asks": [{"price": "0", "size": "1"}]}],
    ids=["one side", "locked", "zero"],
)
def test_a_book_that_cannot_be_traded_gives_no_quote_and_the_reason(world: World, change: dict[str, Any]) -> None:
    world.venue.on("GET " + BOOK, payloads.book(**change))
    data = world.data()
    data.watch({BTC: 10})
    data.refresh(at(3))
    facts = data.facts(BTC)
    assert facts.quote is None
    assert facts.quote_error


def test_a_crossed_feed_gives_no_quote_but_rest_may(world: World) -> None:
    world.feed.crossed = True
    data = world.data(feed=True)
    data.watch({BTC: 10})
    data.refresh(at(0))
    assert data.facts(BTC).quote is not None
    world.venue.on("GET " + BOOK, (500, ""))
    fresh = world.data(feed=True)
    fresh.watch({BTC: 10})
    assert fresh.facts(BTC).quote is None
    assert "crossed" in fresh.facts(BTC).quote_error or fresh.facts(BTC).quote_error


def test_requote_asks_again_unless_the_feed_is_fresh(world: World) -> None:
    data = world.data(feed=True)
    data.watch({BTC: 10})
    found = data.requote(BTC)
    assert found is not None
    assert world.venue.count(BOOK) == 1
    world.feed.quotes[BTC] = quote(0, "98")
    assert data.requote(BTC) == quote(0, "98")
    assert world.venue.count(BOOK) == 1
    assert data.requote(ProductId("ETH-USD")) is None


def test_a_delisted_market_is_not_hammered(world: World) -> None:
    world.venue.on("GET " + CANDLES, (404, {"error": "NOT_FOUND", "message": "Product BTC-USD not supported"}))
    data = world.data()
    data.watch({BTC: 10})
    for second in range(5):
        data.refresh(at(second))
    assert world.venue.count(CANDLES) == 1
    assert "not supported" in data.facts(BTC).windows_error


def test_a_dead_venue_ends_a_refresh_soon(world: World) -> None:
    markets = [ProductId(f"C{number}-USD") for number in range(20)]
    world.venue.on("GET /market/products", {"products": [payloads.product(product_id=str(m)) for m in markets]})
    world.account.products()
    for market in markets:
        world.venue.on(f"GET /market/products/{market}/candles", (503, ""))
    data = world.data()
    data.watch(dict.fromkeys(markets, 10))
    data.refresh(at(3))
    assert sum(world.venue.count(f"/market/products/{market}/candles") for market in markets) == 6


def test_a_long_warm_up_leaves_time_for_quotes(world: World) -> None:
    sources = Sources(world.account.client, None, BarStore(world.folder), world.account.known_product, LiveWindows)
    data = CoinbaseMarketData(sources, DataPolicy(), world.clock, refresh_s=0.3)
    data.watch({BTC: 1_000_000})
    data.refresh(at(3))
    assert data.facts(BTC).quote is not None
    windows = data.facts(BTC).windows
    assert windows is not None
    assert 300 <= windows.length < 1_000_000


def test_a_stop_ends_a_refresh_at_once(world: World) -> None:
    stops = [0]

    def stopping(connection: Connection, request: Request) -> None:
        stops[0] += 1
        world.candles(connection, request)

    world.venue.on("GET " + CANDLES, stopping)
    sources = Sources(world.account.client, None, BarStore(world.folder), world.account.known_product, LiveWindows)
    data = CoinbaseMarketData(sources, DataPolicy(), world.clock, lambda: stops[0])
    data.watch({BTC: 5000})
    data.refresh(at(3))
    assert len(world.candles.windows) == 1
    assert world.venue.count(BOOK) == 0


def test_one_bad_market_does_not_take_the_others_with_it(world: World) -> None:
    other = ProductId("ETH-USD")
    world.venue.on("GET /market/products", {"products": [payloads.product(), payloads.product(product_id="ETH-USD")]})
    world.account.products()
    world.venue.on("GET /market/products/ETH-USD/candles", {"candles": [payloads.candle(END - 60, low="99")]})
    data = world.data()
    data.watch({other: 10, BTC: 10})
    data.refresh(at(3))
    assert data.facts(BTC).windows is not None
    assert data.facts(other).windows is None


def test_a_market_without_known_steps_says_so(world: World) -> None:
    data = world.data()
    data.watch({ProductId("NEW-USD"): 10})
    data.refresh(at(3))
    assert "steps" in data.facts(ProductId("NEW-USD")).windows_error
    assert data.facts(ProductId("ETH-USD")).quote_error == "not watched"


def test_order_hints_come_through_once(world: World) -> None:
    world.feed.hinted = True
    data = world.data(feed=True)
    assert data.user_events()
    assert not data.user_events()


def test_a_market_watched_for_quotes_only_asks_for_no_bars(world: World) -> None:
    data = world.data()
    data.watch({BTC: 0})
    data.refresh(at(3))
    assert data.facts(BTC).quote is not None
    assert world.venue.count(CANDLES) == 0


def test_price_levels_are_handed_to_the_feed(world: World) -> None:
    level = Price(Decimal(90))
    world.data(feed=True).guard({BTC: (level, None)})
    assert world.feed.bands == {BTC: Band(level, None)}
    world.data().guard({BTC: (level, None)})
