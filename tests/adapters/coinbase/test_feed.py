"""A live feed is believed only while it is whole, and says so by the age of its evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.adapters.coinbase.feed import Feed, FeedConfig
from bot.adapters.coinbase.link import LinkTiming
from bot.adapters.coinbase.market_link import Band
from bot.adapters.coinbase.tls import trusted_context
from bot.domain.money import Price
from bot.domain.product import ProductId
from bot.ports import WakeReason
from tests.adapters.coinbase.ws_server import AT, Venue, level, text, ws_server

BTC = ProductId("BTC-USD")
ETH = ProductId("ETH-USD")
QUICK = LinkTiming(open_s=2.0, heartbeat_s=0.6, retry_min_s=0.05, retry_max_s=0.1, refused_retry_s=0.2, healthy_s=5)
BOOK = [level("bid", "99", "1"), level("bid", "98.5", "2"), level("offer", "101", "1.5"), level("offer", "102", "0")]


class Loop:
    """The part of the clock the feed uses, remembering who was woken."""

    def __init__(self) -> None:
        self.at = AT + timedelta(hours=1)
        self.woken: list[WakeReason] = []
        self.frozen: float | None = None

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.frozen if self.frozen is not None else time.monotonic()

    def stopwatch(self) -> float:
        return time.monotonic()

    def wait_until(self, when: datetime) -> WakeReason | None:
        return None

    def wake(self, reason: WakeReason) -> None:
        self.woken.append(reason)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Venue]:
    with ws_server(tmp_path) as running:
        running.books = {"BTC-USD": BOOK, "ETH-USD": BOOK}
        yield running


@pytest.fixture
def clock() -> Loop:
    return Loop()


def make(venue: Venue, clock: Loop, token: Callable[[], str] | None = None, timing: LinkTiming = QUICK) -> Feed:
    config = FeedConfig(venue.url, venue.url, trusted_context(venue.ca_file), token, timing)
    return Feed(config, clock, lambda low, _: low)


@pytest.fixture
def feed(venue: Venue, clock: Loop) -> Iterator[Feed]:
    running = make(venue, clock)
    running.watch([BTC])
    running.start()
    assert until(lambda: running.quote(BTC) is not None)
    yield running
    running.close()


def until(true: Callable[[], bool], within_s: float = 5.0) -> bool:
    limit = time.monotonic() + within_s
    while not true():
        if time.monotonic() > limit:
            return False
        time.sleep(0.01)
    return True


def bid_of(feed: Feed, market: ProductId = BTC) -> str:
    quote = feed.quote(market)
    return str(quote.bid) if quote is not None else "none"


def update(price: str, size: str = "1", side: str = "bid", product: str = "BTC-USD") -> dict[str, object]:
    return {"type": "update", "product_id": product, "updates": [level(side, price, size)]}


def test_the_touch_and_the_book_come_from_the_snapshot(feed: Feed) -> None:
    quote, book = feed.quote(BTC), feed.book(BTC)
    assert quote is not None
    assert book is not None
    assert (str(quote.bid), str(quote.ask), str(quote.ask_size)) == ("99", "101", "1.5")
    assert len(book.asks) == 1


def test_each_channel_is_asked_for_in_a_message_of_its_own(venue: Venue, feed: Feed) -> None:
    assert venue.sent("subscribe", "heartbeats") == [{"type": "subscribe", "channel": "heartbeats"}]
    for channel in ("level2", "market_trades"):
        assert venue.sent("subscribe", channel) == [
            {"type": "subscribe", "channel": channel, "product_ids": ["BTC-USD"]}
        ]


def test_an_update_moves_the_touch_and_the_evidence(venue: Venue, feed: Feed) -> None:
    venue.beating = False
    venue.push("l2_data", update("99.5"), at=AT + timedelta(seconds=7))
    assert feed.barrier()
    quote = feed.quote(BTC)
    assert quote is not None
    assert (str(quote.bid), quote.at) == ("99.5", AT + timedelta(seconds=7))


def test_a_heartbeat_on_a_whole_connection_renews_the_evidence(venue: Venue, feed: Feed) -> None:
    venue.at = AT + timedelta(seconds=30)
    assert until(lambda: (quote := feed.quote(BTC)) is not None and quote.at == AT + timedelta(seconds=30))


def test_a_time_from_the_future_is_never_evidence(venue: Venue, feed: Feed, clock: Loop) -> None:
    venue.push("l2_data", update("99.5"), at=AT + timedelta(days=1))
    assert feed.barrier()
    quote = feed.quote(BTC)
    assert quote is not None
    assert quote.at == clock.at


def test_the_barrier_waits_for_every_frame_sent_before(venue: Venue, feed: Feed) -> None:
    for step in range(300):
        venue.push("l2_data", update("99", str(step + 1)))
    assert feed.barrier()
    quote = feed.quote(BTC)
    assert quote is not None
    assert str(quote.bid_size) == "300"


def test_a_gap_voids_the_book_and_asks_for_it_again(venue: Venue, feed: Feed) -> None:
    venue.books["BTC-USD"] = [level("bid", "97", "1"), level("offer", "98", "1")]
    before = venue.connections
    limit = time.monotonic() + 20
    # Shortly after subscribing a gap replaces the connection; either way a whole new book must come.
    venue.push("l2_data", update("99.9"), skip=1)
    assert until(lambda: bid_of(feed) == "97", limit - time.monotonic())
    assert feed.states()["market"].gaps >= 1
    assert venue.connections > before or venue.sent("unsubscribe", "level2")


def test_late_and_repeated_frames_change_nothing(venue: Venue, feed: Feed) -> None:
    venue.push("l2_data", update("99", "5"))
    frame = {"channel": "l2_data", "timestamp": text(AT), "sequence_num": 1, "events": [update("99", "9")]}
    venue.push_raw(json.dumps(frame))
    venue.push("l2_data", update("98.9", "1"))
    assert feed.barrier()
    quote = feed.quote(BTC)
    assert quote is not None
    assert str(quote.bid_size) == "5"
    assert feed.states()["market"].gaps == 0


def test_a_silent_connection_is_dead_within_its_limit_and_comes_back(venue: Venue, feed: Feed) -> None:
    venue.beating = False
    began = time.monotonic()
    assert until(lambda: feed.quote(BTC) is None)
    assert time.monotonic() - began < 2
    venue.beating = True
    assert until(lambda: feed.quote(BTC) is not None)
    assert feed.states()["market"].reconnects >= 1
    assert "heartbeat" in feed.states()["market"].why_down


def test_a_venue_whose_time_stands_still_may_be_silent(venue: Venue, feed: Feed, clock: Loop) -> None:
    clock.frozen = 1.0
    venue.beating = False
    time.sleep(1.5)
    assert feed.quote(BTC) is not None
    clock.frozen = None
    assert until(lambda: feed.quote(BTC) is None)


def test_data_without_heartbeats_is_dead_too(venue: Venue, feed: Feed) -> None:
    venue.beating = False
    limit = time.monotonic() + 3
    while feed.quote(BTC) is not None and time.monotonic() < limit:
        venue.push("l2_data", update("99.1"))
        time.sleep(0.05)
    assert feed.quote(BTC) is None or venue.connections > 1


def test_after_a_silence_data_alone_does_not_bring_trust_back(venue: Venue, feed: Feed) -> None:
    """The new connection sends whole books and no heartbeat: quotes come by request until the heart is heard."""
    venue.beating = False
    assert until(lambda: feed.quote(BTC) is None)
    before = venue.connections
    believed = False
    limit = time.monotonic() + 5
    while venue.connections < before + 2 and time.monotonic() < limit:
        venue.push("l2_data", update("99.1"))
        believed = believed or feed.quote(BTC) is not None or feed.states()["market"].up
        time.sleep(0.01)
    assert (venue.connections >= before + 2, believed) == (True, False)
    venue.beating = True
    assert until(lambda: feed.quote(BTC) is not None and feed.states()["market"].up)


def test_a_feed_that_stays_down_complains_and_one_blip_does_not(venue: Venue, feed: Feed) -> None:
    venue.drop()
    assert until(lambda: venue.connections == 2 and feed.quote(BTC) is not None)
    assert feed.complaints() == {}
    venue.beating = False
    assert until(lambda: feed.complaints() == {"market": "no heartbeat for 0.6 s"}, 10)
    venue.beating = True
    assert until(lambda: feed.complaints() == {})


def test_a_connection_closed_by_the_venue_comes_back_with_all_subscriptions(venue: Venue, feed: Feed) -> None:
    venue.drop()
    assert until(lambda: venue.connections == 2 and feed.quote(BTC) is not None)
    assert len(venue.sent("subscribe", "heartbeats")) == 2
    assert len(venue.sent("subscribe", "level2")) == 2


@pytest.mark.parametrize("content", ["<html>", '{"channel":"l2_data"}', '{"channel":"l2_data","channel":"x"}'])
def test_a_frame_that_cannot_be_read_costs_the_connection_not_the_feed(venue: Venue, feed: Feed, content: str) -> None:
    venue.push_raw(content)
    assert until(lambda: venue.connections == 2 and feed.quote(BTC) is not None)


def test_watching_another_market_keeps_the_first_book(venue: Venue, feed: Feed) -> None:
    feed.watch([BTC, ETH])
    assert until(lambda: feed.quote(ETH) is not None)
    assert [m["product_ids"] for m in venue.sent("subscribe", "level2")] == [["BTC-USD"], ["ETH-USD"]]
    feed.watch([ETH])
    assert until(lambda: feed.quote(BTC) is None and len(venue.sent("unsubscribe", "level2")) == 1)
    assert venue.connections == 1


def test_a_usdc_market_is_found_under_its_usd_name(venue: Venue, clock: Loop) -> None:
    running = make(venue, clock)
    running.watch([ProductId("BTC-USDC")])
    running.start()
    assert until(lambda: running.quote(ProductId("BTC-USDC")) is not None)
    running.close()


def test_trades_give_the_newest_price(venue: Venue, feed: Feed) -> None:
    rows = [
        {
            "product_id": "BTC-USD",
            "trade_id": "2",
            "price": "100.5",
            "size": "1",
            "time": text(AT + timedelta(seconds=2)),
        },
        {"product_id": "BTC-USD", "trade_id": "1", "price": "100.1", "size": "1", "time": text(AT)},
    ]
    venue.push("market_trades", {"type": "update", "trades": rows})
    assert feed.barrier()
    trade = feed.last_trade(BTC)
    assert trade is not None
    assert (str(trade.price), trade.at) == ("100.5", AT + timedelta(seconds=2))


def test_a_price_outside_its_band_wakes_the_loop_once_each_time_it_looks(venue: Venue, feed: Feed, clock: Loop) -> None:
    band = {BTC: Band(low=Price(Decimal("98.7")), high=Price(Decimal(110)))}
    feed.guard(band)
    venue.push("l2_data", update("99.2"))
    assert feed.barrier()
    assert clock.woken == []
    fall = [level("bid", "99", "0"), level("bid", "99.2", "0")]
    venue.push("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": fall})
    venue.push("l2_data", update("98.4"))
    assert feed.barrier()
    assert clock.woken == [WakeReason.PRICE]
    feed.guard(band)
    assert clock.woken == [WakeReason.PRICE] * 2
    feed.guard({})
    venue.push("l2_data", update("98.3"))
    assert feed.barrier()
    assert len(clock.woken) == 2


def test_a_trade_outside_the_band_wakes_the_loop_too(venue: Venue, feed: Feed, clock: Loop) -> None:
    feed.guard({BTC: Band(low=None, high=Price(Decimal(105)))})
    row = {"product_id": "BTC-USD", "trade_id": "2", "price": "105", "size": "1", "time": text(AT)}
    venue.push("market_trades", {"type": "update", "trades": [row]})
    assert feed.barrier()
    assert clock.woken == [WakeReason.PRICE]


def test_order_updates_hint_and_wake_with_a_fresh_token_each_connection(venue: Venue, clock: Loop) -> None:
    tokens = iter(f"token-{number}" for number in range(9))
    running = make(venue, clock, lambda: next(tokens))
    running.start()
    assert until(running.user_hint)
    assert until(lambda: not running.user_hint(), 0.5)
    clock.woken.clear()
    venue.push("user", {"type": "update", "orders": [{"order_id": "x"}]})
    assert until(lambda: WakeReason.USER_EVENT in clock.woken)
    assert running.user_hint()
    venue.drop()
    assert until(lambda: len(venue.sent("subscribe", "user")) == 2)
    assert [m["jwt"] for m in venue.sent("subscribe", "user")] == ["token-0", "token-1"]
    running.close()


def test_a_refused_subscription_is_a_named_state_and_not_a_silent_feed(venue: Venue, clock: Loop) -> None:
    venue.refuse = "authentication failure"
    running = make(venue, clock, lambda: "bad")
    running.start()
    assert until(lambda: "authentication failure" in running.states()["user"].why_down)
    assert until(lambda: "authentication failure" in running.complaints().get("user", ""))
    venue.refuse = ""
    assert until(lambda: running.states()["user"].up and running.user_hint())
    assert until(lambda: not running.complaints())
    running.close()


def test_a_certificate_for_another_host_is_refused(tmp_path: Path, clock: Loop) -> None:
    with ws_server(tmp_path, "exchange.example") as venue:
        running = make(venue, clock)
        running.watch([BTC])
        running.start()
        assert until(lambda: "CERTIFICATE_VERIFY_FAILED" in running.states()["market"].why_down)
        assert venue.messages == []
        running.close()


def test_a_venue_on_this_machine_may_speak_without_encryption(tmp_path: Path, clock: Loop) -> None:
    with ws_server(tmp_path, secure=False) as venue:
        venue.books = {"BTC-USD": BOOK}
        running = make(venue, clock)
        running.watch([BTC])
        running.start()
        assert until(lambda: bid_of(running) == "99")
        running.close()


def test_a_feed_without_a_venue_answers_none_and_closes(clock: Loop, venue: Venue) -> None:
    config = FeedConfig("wss://127.0.0.1:1", "wss://127.0.0.1:1", trusted_context(), None, QUICK)
    running = Feed(config, clock, lambda low, _: low)
    assert not running.barrier()
    running.watch([BTC])
    running.start()
    assert until(lambda: running.states()["market"].reconnects >= 2)
    assert (running.quote(BTC), running.book(BTC), running.barrier()) == (None, None, False)
    began = time.monotonic()
    running.close()
    assert time.monotonic() - began < 2
