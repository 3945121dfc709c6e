"""Live data on the wire equals the venue's own truth at every look, or is missing; it is never quietly wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from bot.adapters.coinbase.auth import Credentials, websocket_token
from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.coinbase.feed import Feed, FeedConfig
from bot.adapters.coinbase.link import LinkTiming
from bot.adapters.coinbase.market_data import CoinbaseMarketData, Sources
from bot.adapters.coinbase.tls import trusted_context
from bot.domain.market import Quote
from bot.domain.product import ProductId
from bot.errors import UnitError
from bot.ports import WakeReason
from bot.settings.policy import DataPolicy
from bot.triggers.indicators import LiveWindows
from simulator.server import Simulator
from tests.contract.test_exchange_contract import resting
from tests.contract.worlds import MARKET, SimulatedVenue, address, connected, simulator

ETH = ProductId("ETH-USD")
QUICK = LinkTiming(retry_min_s=0.05, retry_max_s=0.2)


@dataclass
class Live:
    venue: SimulatedVenue
    feed: Feed
    data: CoinbaseMarketData

    def step(self, seconds: float) -> None:
        self.venue.run_for(seconds)
        assert self.feed.barrier()

    def truth(self, market: ProductId = MARKET) -> tuple[str, str]:
        """The touch as anyone asking over REST sees it."""
        return touch(self.venue.quote(market))


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


@pytest.fixture
def live(sim: Simulator, tmp_path: Path) -> Iterator[Live]:
    with connected(sim) as venue:
        credentials = Credentials.parse(sim.key.name, sim.key.secret)
        where = address(sim)
        config = FeedConfig(
            where.ws_url,
            where.ws_user_url,
            trusted_context(where.ca_file),
            lambda: websocket_token(credentials),
            QUICK,
        )
        feed = Feed(config, venue.clock, lambda low, _: low)
        venue.exchange.products()
        sources = Sources(venue.exchange.client, feed, BarStore(tmp_path), venue.exchange.known_product, LiveWindows)
        data = CoinbaseMarketData(sources, DataPolicy(), venue.clock)
        data.watch({MARKET: 300, ETH: 0})
        feed.start()
        assert until(lambda: feed.quote(MARKET) is not None and feed.quote(ETH) is not None)
        assert until(feed.user_hint)
        yield Live(venue, feed, data)
        feed.close()


def until(true: Callable[[], bool], within_s: float = 8.0) -> bool:
    limit = time.monotonic() + within_s
    while not true():
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


def touch(quote: Quote | None) -> tuple[str, str]:
    return ("none", "none") if quote is None else (str(quote.bid), str(quote.ask))


def test_the_feeds_touch_is_the_venues_after_every_step(live: Live) -> None:
    seen = set()
    for _ in range(60):
        live.step(7)
        for market in (MARKET, ETH):
            assert touch(live.feed.quote(market)) == live.truth(market)
        seen.add(live.truth())
    assert len(seen) > 20


def test_evidence_is_never_older_than_the_last_heartbeat(live: Live) -> None:
    for _ in range(20):
        live.step(60)
        quote = live.feed.quote(MARKET)
        assert quote is not None
        assert quote.age_s(live.venue.now()) <= 1.5


def test_the_whole_book_within_two_percent_equals_the_rest_book(live: Live) -> None:
    live.step(30)
    book = live.feed.book(MARKET)
    rest = live.venue.exchange.client
    assert book is not None
    assert rest.has_key
    live.feed.watch([])
    live.data.refresh(live.venue.now())
    over_rest = live.data.facts(MARKET).book
    assert over_rest is not None
    depth = min(len(book.bids), len(over_rest.bids), 10)
    assert depth >= 5
    assert book.bids[:depth] == over_rest.bids[:depth]
    assert book.asks[:depth] == over_rest.asks[:depth]


@pytest.mark.parametrize("fault", ["drop", "repeat", "swap"])
def test_lost_doubled_and_swapped_frames_never_leave_a_wrong_book(live: Live, fault: str) -> None:
    """A wrong quote is worse than none: whatever is shown must be the truth, and it must come back."""
    live.venue.sim.conditions(feed={fault: 3})
    for _ in range(10):
        live.venue.run_for(5)
        live.feed.barrier()
        shown = touch(live.feed.quote(MARKET))
        assert shown in {live.truth(), ("none", "none")}
    assert until(lambda: live.feed.barrier() and touch(live.feed.quote(MARKET)) == live.truth())


def test_a_crossed_book_is_never_quoted(live: Live) -> None:
    live.venue.sim.conditions(feed={"crossed": True})
    live.venue.run_for(20)
    live.feed.barrier()
    try:
        quote = live.feed.quote(MARKET)
    except UnitError:
        quote = None
    assert quote is None or quote.bid < quote.ask
    live.data.refresh(live.venue.now())
    facts = live.data.facts(MARKET)
    assert facts.quote is None or facts.quote.bid < facts.quote.ask


def test_torn_connections_come_back_with_everything(live: Live) -> None:
    live.venue.sim.do(lambda controls: controls.sockets.abort_all())
    assert until(lambda: live.feed.states()["market"].reconnects == 1 and live.feed.quote(ETH) is not None)
    assert until(lambda: live.feed.states()["user"].reconnects == 1 and live.feed.barrier())
    live.step(7)
    assert touch(live.feed.quote(MARKET)) == live.truth()


def test_our_own_orders_hint_and_wake(live: Live) -> None:
    while live.data.user_events():
        live.feed.barrier()
    live.venue.clock.woken.clear()
    live.venue.exchange.place(resting(live.venue))
    live.step(1)
    assert live.data.user_events()
    assert WakeReason.USER_EVENT in live.venue.clock.woken


def test_a_refused_user_stream_leaves_the_market_stream_alone(sim: Simulator) -> None:
    with connected(sim) as venue:
        where = address(sim)
        config = FeedConfig(
            where.ws_url, where.ws_user_url, trusted_context(where.ca_file), lambda: "no.good.token", QUICK
        )
        feed = Feed(config, venue.clock, lambda low, _: low)
        feed.watch([MARKET])
        feed.start()
        assert until(lambda: "authentication failure" in feed.states()["user"].why_down)
        assert until(lambda: feed.quote(MARKET) is not None)
        feed.close()


def test_bars_equal_the_venues_history_page_by_page(live: Live) -> None:
    live.step(200)
    now = live.venue.now()
    live.data.refresh(now)
    windows = live.data.facts(MARKET).windows
    assert windows is not None
    assert windows.length == 300
    assert now.timestamp() - windows.end < 62
    end = windows.end
    rows = live.venue.sim.do(lambda controls: controls.world.market.history(MARKET, end - 300 * 60, end))
    volumes = dict(zip((int(start) for start in rows.start), rows.volume, strict=True))
    traded = [windows.volume_sum(ago + 1) != windows.volume_sum(ago) for ago in range(1, 290)]
    assert traded == [volumes.get(end - (ago + 1) * 60, 0) != 0 for ago in range(1, 290)]
    closes = [windows.close(ago) for ago in range(300)]
    assert None not in closes
    live.step(600)
    live.data.refresh(live.venue.now())
    later = live.data.facts(MARKET).windows
    assert later is not None
    moved = (later.end - end) // 60
    assert moved in {9, 10, 11}
    assert [later.close(moved + ago) for ago in range(300 - moved)] == closes[: 300 - moved]


def test_bars_fetched_live_equal_bars_fetched_afterwards(live: Live, tmp_path: Path) -> None:
    """What was pieced together minute by minute is what one question afterwards answers."""
    for _ in range(12):
        live.step(47)
        live.data.refresh(live.venue.now())
    live.step(120)
    live.data.refresh(live.venue.now())
    pieced = live.data.facts(MARKET).windows
    sources = Sources(
        live.venue.exchange.client, None, BarStore(tmp_path / "other"), live.venue.exchange.known_product, LiveWindows
    )
    afresh = CoinbaseMarketData(sources, DataPolicy(), live.venue.clock)
    afresh.watch({MARKET: 300})
    afresh.refresh(live.venue.now())
    whole = afresh.facts(MARKET).windows
    assert pieced is not None
    assert whole is not None
    assert pieced.end == whole.end
    assert [pieced.close(ago) for ago in range(300)] == [whole.close(ago) for ago in range(300)]
    assert [pieced.high(ago) for ago in range(300)] == [whole.high(ago) for ago in range(300)]


def test_a_dead_feed_falls_back_to_rest(live: Live) -> None:
    live.feed.close()
    live.venue.run_for(30)
    live.data.refresh(live.venue.now())
    quote = live.data.facts(MARKET).quote
    assert quote is not None
    assert quote.age_s(live.venue.now()) <= 2
    assert touch(live.data.requote(MARKET)) == live.truth()


def test_evidence_stops_with_the_heartbeats(live: Live) -> None:
    live.step(5)
    live.venue.sim.conditions(feed={"silent": True})
    before = live.venue.now()
    live.venue.run_for(30)
    live.feed.barrier()
    quote = live.feed.quote(MARKET)
    assert quote is None or quote.at <= before + timedelta(seconds=1)
