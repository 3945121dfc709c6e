"""The REST rules that bite: refusals, windows, filters, pages, caches, limits."""

from __future__ import annotations

import base64
import re
from decimal import Decimal

import pytest

from simulator.keys import Scope
from simulator.server import Simulator, SimulatorConfig
from tests.simulator.raw import ask

CREATE = {
    "client_order_id": "c",
    "product_id": "BTC-USD",
    "side": "BUY",
    "order_configuration": {"limit_limit_gtc": {"base_size": "0.001", "limit_price": "60000", "post_only": True}},
}


def details(reply) -> str:
    body = reply.json()
    assert body["error_details"] == body["message"]
    return str(body["error_details"])


@pytest.mark.parametrize("header", ["", "Bearer x.y.z", "Basic dXNlcg=="])
def test_without_a_good_token_private_paths_say_unauthorized(sim: Simulator, header: str) -> None:
    reply = ask(sim, "GET", "/accounts", headers={"authorization": header})
    assert (reply.status, reply.body) == (401, b"Unauthorized\n")
    assert reply.headers["content-type"].startswith("text/plain")


def test_a_key_without_the_scope_is_told_so(sim: Simulator) -> None:
    viewer, mute = sim.new_key(frozenset({Scope.VIEW})), sim.new_key(frozenset())
    assert ask(sim, "GET", "/accounts", key=viewer).status == 200
    for key, method, path in ((viewer, "POST", "/orders"), (mute, "GET", "/accounts")):
        reply = ask(sim, method, path, body=CREATE if method == "POST" else None, key=key)
        assert reply.status == 403
        assert b'"error_details":"Missing required scopes"' in reply.body  # the SDK looks for these very bytes


def test_a_key_of_another_portfolio_has_no_wallets_and_no_orders(sim: Simulator) -> None:
    other = sim.new_key(portfolio="00000000-0000-4000-8000-00000000000f")
    assert ask(sim, "GET", "/accounts", key=other).json()["accounts"] == []
    assert ask(sim, "GET", "/orders/historical/batch", key=other).json()["orders"] == []
    reply = ask(sim, "POST", "/orders", body=CREATE, key=other)
    assert (reply.status, details(reply)) == (400, "account is not available")


def test_a_currency_never_touched_has_no_account_to_pay_from(sim: Simulator) -> None:
    reply = ask(sim, "POST", "/orders", body={**CREATE, "product_id": "BTC-USDC"})
    assert (reply.status, details(reply)) == (400, "account is not available")


def test_unknown_products_are_refused_in_two_ways(sim: Simulator) -> None:
    private, public = ask(sim, "GET", "/products/NOPE-USD"), ask(sim, "GET", "/market/products/NOPE-USD")
    assert (private.status, details(private)) == (400, "ProductID is invalid")
    assert (public.status, public.json()) == (404, {"error": "NOT_FOUND", "message": "Product NOPE-USD not supported"})


@pytest.mark.parametrize("order_id", ["None", "", "not-an-id"])
def test_malformed_order_ids_are_a_400(sim: Simulator, order_id: str) -> None:
    reply = ask(sim, "POST", "/orders/batch_cancel", body={"order_ids": [order_id]})
    assert (reply.status, details(reply)) == (400, f"invalid OrderId {order_id or 'None'} passed to endpoint")


def test_unknown_order_ids_are_a_404(sim: Simulator) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    reply = ask(sim, "GET", f"/orders/historical/{unknown}")
    assert (reply.status, details(reply)) == (404, "order with this orderID was not found")
    (result,) = ask(sim, "POST", "/orders/batch_cancel", body={"order_ids": [unknown]}).json()["results"]
    assert result == {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": unknown}


def test_a_batch_cancel_takes_a_hundred_ids_at_most(sim: Simulator) -> None:
    many = [f"00000000-0000-4000-8000-{number:012d}" for number in range(101)]
    reply = ask(sim, "POST", "/orders/batch_cancel", body={"order_ids": many})
    assert (reply.status, details(reply)) == (400, "Too many orderIDs entered, limit is 100")
    assert len(ask(sim, "POST", "/orders/batch_cancel", body={"order_ids": many[1:]}).json()["results"]) == 100


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"max_floor": "1"}, 'unknown field "max_floor"'),
        ({"product_id": 5}, "invalid value for string type: 5"),
        ({"side": "BOTH"}, 'invalid value for enum type: "BOTH"'),
        ({"order_configuration": {"limit_limit_gtc": {"base_size": 0.001}}}, "invalid value for string type: 0.001"),
        ({"order_configuration": {"limit_limit_gtc": {"post_only": "true"}}}, 'invalid value for bool type: "true"'),
        ({"self_trade_prevention_id": "x"}, 'unknown field "self_trade_prevention_id"'),
    ],
)
def test_a_body_the_venue_cannot_read_is_a_400_that_says_where(sim: Simulator, change, told: str) -> None:
    reply = ask(sim, "POST", "/orders", body={**CREATE, **change})
    assert reply.status == 400
    assert told in details(reply)
    assert details(reply).startswith("proto: (line 1:")


def test_a_body_that_is_no_json_is_a_400(sim: Simulator) -> None:
    assert details(ask(sim, "POST", "/orders", body=b"{not json")).startswith("proto: syntax error")


def test_candles_leave_one_end_out_and_are_counted(sim: Simulator) -> None:
    end = int(sim.now().timestamp()) // 3600 * 3600
    path = "/products/BTC-USD/candles"

    def rows(minutes: int, granularity: str = "ONE_MINUTE"):
        return ask(sim, "GET", path, {"start": end - minutes * 60, "end": end, "granularity": granularity})

    whole = rows(350).json()["candles"]
    assert [int(row["start"]) for row in whole] == list(range(end - 60, end - 351 * 60, -60))
    assert details(rows(351)).endswith("number of candles requested should be less than 350")
    assert details(rows(10, "ONE_WEEK")) == "granularity argument is invalid"
    past = {"start": end - 7200, "end": end - 7080, "granularity": "ONE_MINUTE"}
    starts = [int(row["start"]) for row in ask(sim, "GET", path, past).json()["candles"]]
    assert starts == [end - 7140, end - 7200]
    hour = rows(60, "ONE_HOUR").json()["candles"][0]
    minutes = rows(60).json()["candles"]
    assert Decimal(hour["high"]) == max(Decimal(row["high"]) for row in minutes)
    assert (hour["open"], hour["close"]) == (minutes[-1]["open"], minutes[0]["close"])
    assert Decimal(hour["volume"]) == sum(Decimal(row["volume"]) for row in minutes)


def test_the_minute_in_progress_is_served_and_grows() -> None:
    with Simulator(SimulatorConfig(products=1)) as sim:
        start = int(sim.now().timestamp())
        window = {"start": start, "end": start + 60, "granularity": "ONE_MINUTE"}

        def forming():
            return ask(sim, "GET", "/products/BTC-USD/candles", window).json()["candles"]

        assert forming() == []
        sim.run_for(30)
        (half,) = forming()
        sim.run_for(30)
        (whole,) = forming()
        assert (half["open"], half["start"]) == (whole["open"], whole["start"])
        assert Decimal(half["volume"]) < Decimal(whole["volume"])


def test_trades_beyond_a_hundred_are_cut_and_beyond_a_thousand_break(sim: Simulator) -> None:
    path = "/products/BTC-USD/ticker"
    assert len(ask(sim, "GET", path, {"limit": 500}).json()["trades"]) == 100
    assert ask(sim, "GET", path, {"limit": 1001}).status == 500
    newest = ask(sim, "GET", path, {"limit": 100}).json()["trades"]
    numbers = [int(trade["trade_id"]) for trade in newest]
    assert numbers == list(range(numbers[0], numbers[0] - 100, -1))


def test_open_may_not_be_asked_for_with_other_statuses(calm: Simulator) -> None:
    mixed = {"order_status": ["OPEN", "PENDING"]}
    assert ask(calm, "GET", "/orders/historical/batch", mixed).status == 400
    assert ask(calm, "GET", "/orders/historical/batch", {"order_status": ["OPEN", "OPEN"]}).status == 200
    calm.conditions(only_open_filter=False)
    assert ask(calm, "GET", "/orders/historical/batch", mixed).status == 200


@pytest.mark.parametrize("name", ["order_status", "order_types", "time_in_forces", "order_side"])
def test_a_bad_enum_in_a_filter_is_a_400(sim: Simulator, name: str) -> None:
    reply = ask(sim, "GET", "/orders/historical/batch", {name: "NOPE"})
    assert (reply.status, details(reply)) == (400, f'parsing list "{name}": "NOPE" is not a valid value')


def test_filters_of_orders_and_fills_keep_what_they_name(sim: Simulator) -> None:
    start = sim.now().isoformat().replace("+00:00", "Z")
    for number in range(2):
        body = {
            **CREATE,
            "client_order_id": f"f-{number}",
            "order_configuration": {"market_market_ioc": {"quote_size": "10"}},
        }
        assert ask(sim, "POST", "/orders", body=body).json()["success"]
    sim.run_for(5)
    batch, fills = "/orders/historical/batch", "/orders/historical/fills"

    def count(path: str, params) -> int:
        return len(ask(sim, "GET", path, params).json()["orders" if path == batch else "fills"])

    everything = count(batch, {"limit": 1000})
    assert count(batch, {"start_date": start, "order_types": ["MARKET"]}) >= 2
    assert count(batch, {"end_date": start}) == everything - count(batch, {"start_date": start})
    assert count(batch, {"order_side": "SELL"}) < everything
    assert count(batch, {"asset_filters": ["NONE"]}) == 0
    assert count(batch, {"order_placement_source": "RETAIL_SIMPLE"}) == 0
    later = sim.now().isoformat().replace("+00:00", "Z")
    assert count(fills, {"start_sequence_timestamp": later}) == 0
    assert count(fills, {"end_sequence_timestamp": later, "product_ids": ["BTC-USD"]}) >= 2
    newest = ask(sim, "GET", fills, {"limit": 1}).json()["fills"][0]
    assert count(fills, {"trade_ids": [newest["trade_id"]]}) == 1
    assert count(fills, {"order_ids": ["00000000-0000-4000-8000-000000000000"]}) == 0


def test_a_full_last_page_of_fills_still_carries_a_cursor(sim: Simulator) -> None:
    """There is no has_next: a client stops on an empty page, an empty cursor, or one it has seen."""
    path = "/orders/historical/fills"
    body = {**CREATE, "client_order_id": "page", "order_configuration": {"market_market_ioc": {"quote_size": "10"}}}
    assert ask(sim, "POST", "/orders", body=body).json()["success"]
    count = len(ask(sim, "GET", path).json()["fills"])
    assert count > 0
    page = ask(sim, "GET", path, {"limit": count}).json()
    after = ask(sim, "GET", path, {"limit": count, "cursor": page["cursor"]}).json()
    assert (page["cursor"], after) == (str(count), {"fills": [], "cursor": ""})


def test_products_page_by_a_cursor_that_names_the_last_one(sim: Simulator) -> None:
    whole = [p["product_id"] for p in ask(sim, "GET", "/products").json()["products"]]
    first = ask(sim, "GET", "/products", {"limit": 4}).json()
    assert base64.b64decode(first["pagination"]["next_cursor"]).decode() == whole[3]
    rest = ask(sim, "GET", "/products", {"limit": 4, "cursor": first["pagination"]["next_cursor"]}).json()
    assert [p["product_id"] for p in first["products"] + rest["products"]] == whole
    assert (first["pagination"]["has_next"], rest["pagination"]["has_next"]) == (True, False)


def test_public_data_may_be_a_second_old_and_no_cache_asks_anew() -> None:
    with Simulator(SimulatorConfig(products=1)) as sim:
        path = "/market/products/BTC-USD/ticker"

        def newest(**headers: str) -> str:
            return str(ask(sim, "GET", path, {"limit": 1}, headers=headers).json()["trades"][0]["trade_id"])

        before = newest()
        sim.do(lambda c: c.world.step(c.world.now.replace(microsecond=999_000)))
        fresh = newest(**{"cache-control": "no-cache"})
        assert newest() == before
        sim.run_for(10)
        assert int(newest()) > int(fresh) >= int(before)


def test_too_many_requests_get_the_three_recorded_bodies_in_turn() -> None:
    with Simulator(SimulatorConfig(products=1, limits=True)) as sim:
        public = [ask(sim, "GET", "/time") for _ in range(24)]
        turned_away = [reply for reply in public if reply.status == 429]
        assert public[0].status == 200
        assert len(turned_away) >= 4
        assert {reply.headers["content-type"].split(";")[0] for reply in turned_away} == {
            "text/plain",
            "text/html",
            "application/json",
        }
        assert {b"", b'{"errors":[{"id":"rate_limit_exceeded","message":"Too many requests"}]}'} < {
            reply.body for reply in turned_away
        }
        private = ask(sim, "GET", "/accounts")
        assert private.status == 200
        assert {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"} <= set(private.headers)
        assert not {name for name in public[0].headers if name.startswith("x-ratelimit")}


def test_a_book_is_summed_up_by_price_away_from_its_middle(sim: Simulator) -> None:
    query = {"product_id": "BTC-USD", "aggregation_price_increment": "100"}
    fine = ask(sim, "GET", "/product_book", {"product_id": "BTC-USD"}).json()["pricebook"]
    coarse = ask(sim, "GET", "/product_book", query).json()["pricebook"]
    for side, away in (("bids", -1), ("asks", 1)):
        prices = [Decimal(level["price"]) for level in coarse[side]]
        assert all(price % 100 == 0 for price in prices)
        assert (prices[0] - Decimal(fine[side][0]["price"])) * away >= 0
        assert sum(Decimal(x["size"]) for x in coarse[side]) == sum(Decimal(x["size"]) for x in fine[side])
    assert ask(sim, "GET", "/product_book", {**query, "aggregation_price_increment": "x"}).status == 400


def test_unknown_paths_are_a_404(sim: Simulator) -> None:
    assert ask(sim, "GET", "/nothing/here").status == 404


def test_money_is_text_without_exponents(sim: Simulator) -> None:
    body = ask(sim, "GET", "/products").body
    assert b'"base_increment":"0.00000001"' in body
    assert re.findall(rb'"[0-9.]+[eE][0-9+-]+"', body) == []


def test_fund_moves_need_the_transfer_scope(sim: Simulator) -> None:
    body = {"funds": {"value": "1", "currency": "USD"}, "source_portfolio_uuid": sim.holder.portfolio,
            "target_portfolio_uuid": "x"}  # fmt: skip
    assert ask(sim, "POST", "/portfolios/move_funds", body=body).status == 403
    mover = sim.new_key(frozenset(Scope))
    assert (
        details(ask(sim, "POST", "/portfolios/move_funds", body=body, key=mover)) == "portfolio x cannot receive funds"
    )
