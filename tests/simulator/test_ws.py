"""What a client of the feeds meets: acknowledgements, numbering, snapshots, tokens, closings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from coinbase import jwt_generator
from coinbase.websocket import WSClient
from websockets.exceptions import ConnectionClosed, InvalidStatus

from simulator.keys import Scope, make_key
from simulator.server import Simulator, SimulatorConfig
from tests.simulator.conftest import sdk
from tests.simulator.raw import ask, feed

AUTHENTICATION = {"type": "error", "message": "authentication failure"}
NOT_A_REQUEST = {"type": "error", "message": "subscribe or unsubscribe required"}


def subscriptions(frame: Mapping[str, Any]) -> Any:
    assert frame["channel"] == "subscriptions"
    return frame["events"][0]["subscriptions"]


def started(sim: Simulator, *channels: str, product: str = "BTC-USD", url: str = ""):
    """A connection with these subscriptions, its first frames read."""
    opened = feed(sim, url)
    client = opened.__enter__()
    for channel in channels:
        client.subscribe(channel, product)
        while client.frame()["channel"] != "subscriptions":
            continue
    return opened, client


def test_heartbeats_are_acknowledged_first_and_count_on_in_gos_time_format(calm: Simulator) -> None:
    with feed(calm) as client:
        client.subscribe("heartbeats")
        ack = client.frame()
        assert (ack["sequence_num"], subscriptions(ack)) == (0, {"heartbeats": ["heartbeats"]})
        calm.run_for(3)
        beats = [client.frame() for _ in range(3)]
        counters = [beat["events"][0]["heartbeat_counter"] for beat in beats]
        assert counters == list(range(counters[0], counters[0] + 3))
        assert [beat["sequence_num"] for beat in beats] == [1, 2, 3]
        assert " +0000 UTC m=+" in beats[0]["events"][0]["current_time"]


def test_snapshots_come_before_their_acknowledgement_one_a_product(calm: Simulator) -> None:
    with feed(calm) as client:
        client.subscribe("ticker", "BTC-USD", "ETH-USD")
        frames = [client.frame() for _ in range(3)]
        assert [frame["channel"] for frame in frames] == ["ticker", "ticker", "subscriptions"]
        assert [frame["events"][0]["type"] for frame in frames[:2]] == ["snapshot", "snapshot"]
        assert [frame["sequence_num"] for frame in frames] == [0, 1, 2]
        client.subscribe("ticker", "BTC-USD", kind="unsubscribe")
        assert subscriptions(client.frame()) == {"ticker": ["ETH-USD"]}
        client.subscribe("ticker", "ETH-USD", kind="unsubscribe")
        assert subscriptions(client.frame()) == {}


def test_the_status_channel_tells_and_names_the_products_asked_for(calm: Simulator) -> None:
    with feed(calm) as client:
        client.subscribe("status", "ETH-USD")
        assert [row["id"] for row in client.frame()["events"][0]["products"]] == ["ETH-USD"]
        assert subscriptions(client.frame()) == {"status": ["ETH-USD"]}
        client.subscribe("status", "ETH-USD", kind="unsubscribe")
        assert subscriptions(client.frame()) == {}
        client.subscribe("status")
        assert len(client.frame()["events"][0]["products"]) > 1


def test_an_alias_is_told_under_its_dollar_id(calm: Simulator) -> None:
    with feed(calm) as client:
        client.subscribe("market_trades", "BTC-USDC")
        assert {trade["product_id"] for trade in client.frame()["events"][0]["trades"]} == {"BTC-USD"}
        assert subscriptions(client.frame()) == {"market_trades": ["BTC-USD"]}


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("no json", NOT_A_REQUEST),
        ({"type": "hello"}, NOT_A_REQUEST),
        ({"type": "subscribe", "channel": "nonsense", "product_ids": []}, AUTHENTICATION),
        ({"type": "subscribe", "channel": "user"}, AUTHENTICATION),
        ({"type": "subscribe", "channel": "user", "jwt": "x.y.z"}, AUTHENTICATION),
        ({"type": "subscribe", "channel": "ticker", "product_ids": ["BTC-USD"], "jwt": "x.y.z"}, AUTHENTICATION),
    ],
)
def test_what_the_venue_does_not_accept_gets_an_error_frame(calm: Simulator, message: Any, error: Any) -> None:
    with feed(calm) as client:
        client.send(message if isinstance(message, str) else json.dumps(message))
        assert client.frame() == error


def test_the_user_channel_wants_a_key_of_this_account_that_may_view(calm: Simulator) -> None:
    unknown, mute = make_key(calm.holder.portfolio), calm.new_key(frozenset({Scope.TRADE}))
    other = calm.new_key(portfolio="00000000-0000-4000-8000-00000000000f")
    with feed(calm) as client:
        for key in (unknown, mute, other):
            client.subscribe("user", jwt=jwt_generator.build_ws_jwt(key.name, key.secret))
            assert client.frame() == AUTHENTICATION
        client.subscribe("user")
        assert [frame["channel"] for frame in client.rest()] == ["user", "subscriptions"]


def test_the_user_host_serves_no_market_data(calm: Simulator) -> None:
    with feed(calm, calm.ws_user_url) as client:
        client.subscribe("ticker", "BTC-USD")
        assert client.frame() == AUTHENTICATION
        client.subscribe("heartbeats")
        assert "heartbeats" in subscriptions(client.frame())


def test_orders_are_told_cumulatively_from_snapshot_to_fill_and_cancel(calm: Simulator) -> None:
    rest = sdk(calm)
    bid = Decimal(rest.get_product_book("BTC-USD", limit=1).pricebook.bids[0].price)
    resting = rest.limit_order_gtc_buy("ws-1", "BTC-USD", "0.001", str(bid - 500), post_only=True)
    order_id = resting.success_response["order_id"]
    with feed(calm, calm.ws_user_url) as client:
        client.subscribe("user")
        snapshot = client.frame()["events"][0]
        assert (snapshot["type"], order_id in {o["order_id"] for o in snapshot["orders"]}) == ("snapshot", True)
        assert subscriptions(client.frame()) == {"user": [calm.holder.user]}
        rest.cancel_orders([order_id])
        update = client.rest()[-1]["events"][0]["orders"][0]
        assert (update["order_id"], update["status"], update["leaves_quantity"]) == (order_id, "CANCELLED", "0")
        rest.market_order_buy("ws-2", "ETH-USD", quote_size="20")
        filled = client.rest()[-1]["events"][0]["orders"][0]
        assert (filled["client_order_id"], filled["status"], filled["completion_percentage"]) == (
            "ws-2",
            "FILLED",
            "100.00",
        )


def test_many_working_orders_come_in_batches_of_fifty_until_one_is_short() -> None:
    with Simulator(SimulatorConfig(products=1)) as sim:
        for number in range(100):
            body = {
                "client_order_id": f"o-{number}",
                "product_id": "BTC-USD",
                "side": "BUY",
                "order_configuration": {"limit_limit_gtc": {"base_size": "0.0001", "limit_price": "50000"}},
            }
            assert ask(sim, "POST", "/control/order", body=body).status == 200
        with feed(sim) as client:
            client.subscribe("user")
            batches = [client.frame()["events"][0] for _ in range(3)]
            assert [batch["type"] for batch in batches] == ["snapshot", "update", "update"]
            assert [len(batch["orders"]) for batch in batches] == [50, 50, 0]
            assert client.frame()["channel"] == "subscriptions"


def test_level2_updates_rebuild_the_very_book_rest_serves(calm: Simulator) -> None:
    with feed(calm) as client:
        client.subscribe("level2", "ETH-USD")
        calm.run_for(120)
        book: dict[str, dict[str, str]] = {"bid": {}, "offer": {}}
        for frame in client.rest():
            timeless = {u["event_time"] == "1970-01-01T00:00:00Z" for u in frame["events"][0].get("updates", ())}
            assert timeless <= {frame["events"][0].get("type") == "snapshot"}
            for update in frame["events"][0].get("updates", ()):
                level, quantity = update["price_level"], update["new_quantity"]
                if quantity == "0":
                    del book[update["side"]][level]
                else:
                    book[update["side"]][level] = quantity
        served = ask(calm, "GET", "/product_book", {"product_id": "ETH-USD"}).json()["pricebook"]
        assert book["bid"] == {level["price"]: level["size"] for level in served["bids"]}
        assert book["offer"] == {level["price"]: level["size"] for level in served["asks"]}


def test_live_trades_add_up_to_the_candles_rest_serves(calm: Simulator) -> None:
    start = (int(calm.now().timestamp()) // 60 + 1) * 60
    calm.run_for(start - calm.now().timestamp())
    with feed(calm) as client:
        client.subscribe("market_trades", "SOL-USD")
        while client.frame()["channel"] != "subscriptions":
            continue
        calm.run_for(61)
        trades = [t for f in client.rest() for t in reversed(f["events"][0]["trades"])]
    inside = [t for t in trades if datetime.fromisoformat(t["time"]).timestamp() < start + 60]
    (candle,) = ask(
        calm, "GET", "/products/SOL-USD/candles", {"start": start, "end": start + 60, "granularity": "ONE_MINUTE"}
    ).json()["candles"]
    prices = [Decimal(trade["price"]) for trade in inside]
    assert [prices[0], max(prices), min(prices), prices[-1]] == [
        Decimal(candle[name]) for name in ("open", "high", "low", "close")
    ]
    assert sum(Decimal(trade["size"]) for trade in inside) == Decimal(candle["volume"])
    assert [int(t["trade_id"]) for t in trades] == sorted(int(t["trade_id"]) for t in trades)


def test_five_minute_candles_follow_the_trades(calm: Simulator) -> None:
    with feed(calm) as client:
        client.subscribe("candles", "BTC-USD")
        snapshot = client.frame()["events"][0]
        assert (snapshot["type"], len(snapshot["candles"]) >= 99) == ("snapshot", True)
        client.frame()
        calm.run_for(20)
        update = client.rest()[-1]["events"][0]
        assert (update["type"], len(update["candles"])) == ("update", 1)
        assert int(update["candles"][0]["start"]) == int(calm.now().timestamp()) // 300 * 300


def test_a_client_that_says_nothing_is_thrown_out() -> None:
    with (
        Simulator(SimulatorConfig(products=1, subscribe_within_s=0.2)) as sim,
        feed(sim) as client,
        pytest.raises(ConnectionClosed, match="1008"),
    ):
        client.frame()


def test_a_quiet_channel_is_closed_after_ninety_seconds_and_heartbeats_keep_it(calm: Simulator) -> None:
    with feed(calm) as quiet, feed(calm) as alive:
        quiet.subscribe("user")
        alive.subscribe("user")
        alive.subscribe("heartbeats")
        quiet.rest()
        calm.run_for(95)
        with pytest.raises(ConnectionClosed, match="1001"):
            quiet.frame()
        assert len(alive.rest()) > 90


def test_connections_beyond_eight_a_second_are_refused() -> None:
    with Simulator(SimulatorConfig(products=1, limits=True)) as sim:
        refused = 0
        for _ in range(30):
            try:
                with feed(sim):
                    continue
            except InvalidStatus as error:
                refused += error.response.status_code == 429
        assert refused > 5


@pytest.mark.filterwarnings("ignore:ssl")  # the SDK builds its context the deprecated way
def test_the_sdks_own_stream_client_works_unmodified(calm: Simulator) -> None:
    heard: list[dict[str, Any]] = []
    client = WSClient(
        api_key=calm.key.name, api_secret=calm.key.secret, base_url=calm.ws_url,
        on_message=lambda message: heard.append(json.loads(message)), retry=False,
    )  # fmt: skip
    client.open()
    client.subscribe(["BTC-USD"], ["heartbeats", "ticker", "user"])
    calm.run_for(5)
    client.sleep_with_exception_check(0.3)
    client.close()
    assert {"heartbeats", "ticker", "user", "subscriptions"} <= {frame["channel"] for frame in heard}
    assert [frame["sequence_num"] for frame in heard] == list(range(len(heard)))


class TestFaultsOfTheFeed:
    def test_silence_leaves_the_connection_open_and_empty(self, calm: Simulator) -> None:
        opened, client = started(calm, "heartbeats", "ticker")
        calm.conditions(feed={"silent": True})
        calm.run_for(20)
        assert client.rest(first=0.5) == []
        calm.conditions(feed={"silent": False})
        calm.run_for(2)
        assert client.rest() != []
        opened.__exit__(None, None, None)

    def test_a_gap_a_repeat_and_a_swap_show_in_the_numbers(self, calm: Simulator) -> None:
        opened, client = started(calm, "heartbeats")
        calm.conditions(feed={"drop": 2, "repeat": 1})
        calm.run_for(4)
        assert [frame["sequence_num"] for frame in client.rest()] == [3, 3, 4]
        calm.conditions(feed={"swap": 1})
        calm.run_for(3)
        assert [frame["sequence_num"] for frame in client.rest()] == [6, 5, 7]
        opened.__exit__(None, None, None)

    def test_no_heartbeats_means_data_without_them(self, calm: Simulator) -> None:
        opened, client = started(calm, "heartbeats", "market_trades")
        calm.conditions(feed={"no_heartbeats": True})
        calm.run_for(60)
        assert {frame["channel"] for frame in client.rest()} == {"market_trades"}
        opened.__exit__(None, None, None)

    def test_a_silent_product_says_nothing_while_others_talk(self, calm: Simulator) -> None:
        with feed(calm) as client:
            client.subscribe("market_trades", "BTC-USD", "ETH-USD")
            client.rest()
            calm.conditions(feed={"silent_products": ["BTC-USD"]})
            calm.run_for(60)
            assert {t["product_id"] for f in client.rest() for t in f["events"][0]["trades"]} == {"ETH-USD"}

    def test_crossed_books_reach_both_wires(self, calm: Simulator) -> None:
        calm.conditions(feed={"crossed": True})
        book = ask(calm, "GET", "/product_book", {"product_id": "BTC-USD", "limit": 1}).json()["pricebook"]
        assert Decimal(book["bids"][0]["price"]) > Decimal(book["asks"][0]["price"])

    def test_books_spike_or_empty_for_everyone_while_trades_go_on(self, calm: Simulator) -> None:
        def touch() -> list[Any]:
            book = ask(calm, "GET", "/product_book", {"product_id": "ETH-USD", "limit": 1}).json()["pricebook"]
            return [book["bids"], book["asks"]]

        true = Decimal(touch()[0][0]["price"])
        calm.conditions(feed={"spikes": {"ETH-USD": 10.0}})
        assert Decimal(touch()[0][0]["price"]) == true * 10
        opened, client = started(calm, "ticker", product="ETH-USD")
        calm.run_for(60)
        ticker = client.rest()[-1]["events"][0]["tickers"][0]
        assert Decimal(ticker["best_bid"]) > 9 * Decimal(ticker["price"])
        calm.conditions(feed={"spikes": {}, "empty": ["ETH-USD"]})
        assert touch() == [[], []]
        opened.__exit__(None, None, None)

    @pytest.mark.parametrize(("order", "code"), [({"code": 1001}, "1001"), ({"abort": True}, "no close frame")])
    def test_connections_are_closed_or_torn_on_demand(self, calm: Simulator, order, code: str) -> None:
        opened, client = started(calm, "heartbeats")
        assert ask(calm, "POST", "/control/sockets", body=order).status == 200
        with pytest.raises(ConnectionClosed, match=code):
            client.frame()
        opened.__exit__(None, None, None)

    def test_envelopes_can_come_without_a_client_id(self, calm: Simulator) -> None:
        opened, client = started(calm, "heartbeats")
        calm.conditions(client_ids_in_feed=False)
        calm.run_for(1)
        assert "client_id" not in client.frame()
        opened.__exit__(None, None, None)


def test_heartbeat_times_are_trading_time(calm: Simulator) -> None:
    with feed(calm) as client:
        client.subscribe("heartbeats")
        client.frame()
        calm.run_for(1)
        stamp = client.frame()["events"][0]["current_time"].split(" +0000")[0]
    assert datetime.fromisoformat(stamp).replace(tzinfo=UTC) == calm.now().replace(microsecond=0)
