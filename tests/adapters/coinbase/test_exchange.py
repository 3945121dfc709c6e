"""The account as the venue shows it, completely or not at all; orders at most once; every failure by its meaning."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import jwt
import pytest

from bot.adapters.coinbase.build import Venue
from bot.adapters.coinbase.exchange import WORKING_STATUSES, CoinbaseExchange, CoinbaseReader
from bot.domain.order import OrderKind, VenueStatus
from bot.domain.product import ProductId
from bot.domain.snapshot import StatusLevel
from bot.domain.value import replace
from bot.errors import (
    AuthRefused,
    ConfigError,
    CriticalDataUnavailable,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Transient,
)
from bot.ports import AccountReader, Exchange
from tests.adapters.coinbase import payloads
from tests.adapters.coinbase.payloads import CLIENT_ID, ORDER_ID
from tests.adapters.coinbase.test_place import ENTRY
from tests.adapters.coinbase.tls_server import Connection, Request, tls_server
from tests.adapters.coinbase.venue import PREFIX, Script, Scripted, exchange, reader

ORDERS = "/orders/historical/batch"
FILLS = "/orders/historical/fills"
SINCE = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
UNAUTHORIZED = (401, "Unauthorized\n")
SCOPES = (403, {"error": "PERMISSION_DENIED", "error_details": "Missing required scopes", "message": "x"})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Scripted]:
    script = Script()
    with tls_server(tmp_path, script) as server:
        yield Scripted(server, script)


@pytest.fixture
def trader(world: Scripted) -> Iterator[CoinbaseExchange]:
    adapter = exchange(world.server)
    yield adapter
    adapter.close()


def page(name: str, rows: list[Any], cursor: str = "", more: bool | None = False) -> dict[str, Any]:
    return {name: rows, "cursor": cursor} | ({} if more is None else {"has_next": more})


def test_it_fits_both_ports(trader: CoinbaseExchange) -> None:
    as_exchange: Exchange = trader
    as_reader: AccountReader = trader
    assert as_exchange is as_reader


def test_each_request_is_signed_for_its_own_method_host_and_path(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("GET /accounts", page("accounts", [payloads.wallet()]))
    trader.balances()
    token = world.server.requests[0].headers["authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["uri"] == f"GET {world.server.host}{PREFIX}/accounts"


def test_balances_walk_every_page(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on(
        "GET /accounts",
        page("accounts", [payloads.wallet("BTC")], "2", True),
        page("accounts", [payloads.wallet("USD")], "", False),
    )
    assert [row.currency for row in trader.balances()] == ["BTC", "USD"]
    assert world.asked("/accounts")[1]["cursor"] == ["2"]


@pytest.mark.parametrize(
    "second",
    [(500, "INTERNAL"), page("accounts", [], "2", True), {"accounts": []}, (200, '{"accounts":[],"has_next')],
    ids=["500", "cursor again", "no has_next", "cut"],
)
def test_a_failing_page_voids_all_balances(world: Scripted, trader: CoinbaseExchange, second: Any) -> None:
    world.on("GET /accounts", page("accounts", [payloads.wallet()], "2", True), second)
    with pytest.raises((Transient, CriticalDataUnavailable)):
        trader.balances()
    assert world.count("/accounts") <= 4


def test_endless_pages_are_refused(world: Scripted, trader: CoinbaseExchange) -> None:
    turn = iter(range(1000))

    def endless(connection: Connection, _: Request) -> None:
        connection.json(page("accounts", [], f"c{next(turn)}", True))

    world.on("GET /accounts", endless)
    with pytest.raises(CriticalDataUnavailable, match="pages"):
        trader.balances()


def by_status(orders: dict[str, list[Any]]) -> Any:
    def reply(connection: Connection, request: Request) -> None:
        status = request.query.split("order_status=")[1].split("&")[0]
        if status not in orders:
            connection.answer(
                json.dumps(
                    {"error": "unknown", "message": f'parsing list "order_status": "{status}" is not a valid value'}
                ),
                400,
            )
        else:
            connection.json(page("orders", orders[status]))

    return reply


def test_working_orders_ask_each_status_alone_and_merge_by_id(world: Scripted, trader: CoinbaseExchange) -> None:
    cancelling = payloads.order(status="CANCEL_QUEUED", order_id="other-00")
    moved = payloads.order(status="PENDING")
    world.on(
        "GET " + ORDERS, by_status({"PENDING": [moved], "OPEN": [payloads.order()], "CANCEL_QUEUED": [cancelling]})
    )
    found = {report.order_id: report.status for report in trader.working_orders()}
    assert found == {ORDER_ID: VenueStatus.OPEN, "other-00": VenueStatus.CANCEL_QUEUED}
    asked = [query["order_status"] for query in world.asked(ORDERS)]
    assert sorted(map(tuple, asked)) == [("CANCEL_QUEUED",), ("EDIT_QUEUED",), ("OPEN",), ("PENDING",), ("QUEUED",)]


@pytest.mark.parametrize("status", ["PENDING", "OPEN", "QUEUED", "CANCEL_QUEUED", "EDIT_QUEUED"])
def test_an_order_in_any_unfinished_status_is_seen(world: Scripted, trader: CoinbaseExchange, status: str) -> None:
    shown = {name: [payloads.order(status=name)] if name == status else [] for name in WORKING_STATUSES}
    world.on("GET " + ORDERS, by_status(shown))
    (report,) = trader.working_orders()
    assert report.status.value == status


def test_working_orders_are_unknown_when_open_ones_cannot_be_asked(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("GET " + ORDERS, by_status({"PENDING": [], "QUEUED": []}))
    with pytest.raises(CriticalDataUnavailable):
        trader.working_orders()


def test_an_unreadable_order_voids_the_whole_list(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("GET " + ORDERS, by_status({"OPEN": [payloads.order(), payloads.order(side="UP")]}))
    with pytest.raises(CriticalDataUnavailable, match="side"):
        trader.working_orders()


def test_orders_created_use_dates_and_no_status(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on(
        "GET " + ORDERS,
        page("orders", [payloads.filled()], "7", True),
        page("orders", [payloads.order(order_id="b" * 8)]),
    )
    found = trader.orders_created(SINCE, SINCE + timedelta(minutes=5))
    assert [report.order_id for report in found] == [ORDER_ID, "b" * 8]
    query = world.asked(ORDERS)[0]
    assert "order_status" not in query
    assert query["start_date"] == ["2026-11-21T08:00:00.000000Z"]
    assert query["end_date"] == ["2026-11-21T08:05:00.000000Z"]


def test_fills_come_oldest_first_once_each_over_all_pages(world: Scripted, trader: CoinbaseExchange) -> None:
    first = payloads.fill(entry_id="a" * 64, trade_time="2026-11-21T08:20:00Z")
    second = payloads.fill(entry_id="b" * 64, trade_time="2026-11-21T08:10:00Z")
    world.on("GET " + FILLS, page("fills", [first, second], "5", None), page("fills", [second], "5", None))
    assert [fill.entry_id[0] for fill in trader.fills_since(SINCE)] == ["b", "a"]
    assert world.asked(FILLS)[0]["start_sequence_timestamp"] == ["2026-11-21T07:59:59.000000Z"]


def test_fills_under_a_repeated_cursor_are_not_believed_complete(world: Scripted, trader: CoinbaseExchange) -> None:
    turn = iter(range(1000))

    def again(connection: Connection, _: Request) -> None:
        connection.json(page("fills", [payloads.fill(entry_id=f"{next(turn):064}")], "5", None))

    world.on("GET " + FILLS, again)
    with pytest.raises(CriticalDataUnavailable, match="cursor"):
        trader.fills_since(SINCE)


def test_one_order_is_found_or_not_and_never_more(world: Scripted, trader: CoinbaseExchange) -> None:
    path = f"/orders/historical/{ORDER_ID}"
    world.on("GET " + path, {"order": payloads.order()}, (404, {"error": "NOT_FOUND", "message": "was not found"}))
    assert trader.order(ORDER_ID).client_order_id == CLIENT_ID
    with pytest.raises(NotFound):
        trader.order(ORDER_ID)
    with pytest.raises(NotFound):
        trader.order("../accounts")
    assert world.count("/accounts") == 0


def test_products_with_a_key_ask_for_tradability(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on(
        "GET /products", {"products": [payloads.product(), payloads.product(product_id="ETH-USD", base_increment="0")]}
    )
    assert [row.id for row in trader.products()] == ["BTC-USD"]
    assert world.asked("/products")[0]["get_tradability_status"] == ["true"]
    assert trader.known_product(ProductId("BTC-USD")) is not None
    assert trader.unreadable_products[0].startswith("ETH-USD")


def test_a_reader_without_a_key_uses_public_paths_only(world: Scripted) -> None:
    adapter = reader(world.server, with_key=False)
    world.on("GET /market/products", {"products": [payloads.product()]})
    assert len(adapter.products()) == 1
    with pytest.raises(AuthRefused, match="none is configured"):
        adapter.balances()
    assert [request.headers.get("authorization") for request in world.server.requests] == [None]
    adapter.close()


def test_a_reader_has_no_way_to_trade(world: Scripted) -> None:
    adapter = reader(world.server)
    for name in ("place", "cancel", "preview"):
        assert not hasattr(adapter, name)
        assert not hasattr(CoinbaseReader, name)
    assert not hasattr(adapter.client, "post_once")
    adapter.close()


def test_time_fees_and_permissions(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("GET /time", {"iso": "2026-11-21T08:30:00Z", "epochSeconds": "1795249800", "epochMillis": "1795249800250"})
    world.on("GET /transaction_summary", {"fee_tier": {"taker_fee_rate": "0.009", "maker_fee_rate": "0.005"}})
    world.on("GET /key_permissions", {"can_view": True, "can_trade": False, "can_transfer": False})
    assert trader.server_time() == datetime(2026, 11, 21, 8, 30, 0, 250_000, tzinfo=UTC)
    sample = trader.time_sample()
    assert 0 < sample.round_trip_s < 1
    assert sample.received.tzinfo is UTC
    assert trader.fee_tier().taker == Decimal("0.009")
    assert not trader.key_permissions().can_trade


RETRIED = {
    "500": (500, "INTERNAL"),
    "502 html": (502, "<html>\n <head></head></html>"),
    "503": (503, "go/sg/ef39e44f"),
    "html": (200, "<html></html>"),
    "empty": (200, ""),
    "401": UNAUTHORIZED,
    "403": SCOPES,
    "reset": lambda connection, _: connection.reset(),
}


@pytest.mark.parametrize("failure", RETRIED.values(), ids=RETRIED.keys())
def test_a_read_survives_one_failure(world: Scripted, trader: CoinbaseExchange, failure: Any) -> None:
    world.on("GET /accounts", failure, page("accounts", [payloads.wallet()]))
    assert len(trader.balances()) == 1
    assert world.count("/accounts") == 2


PERSISTENT = {
    "500": ((500, "INTERNAL"), Transient, 3),
    "html": ((200, "<html></html>"), CriticalDataUnavailable, 3),
    "reset": (lambda connection, _: connection.reset(), Transient, 3),
    "401": (UNAUTHORIZED, AuthRefused, 2),
    "403": (SCOPES, AuthRefused, 2),
    "400": ((400, {"error": "INVALID_ARGUMENT", "message": "no"}), CriticalDataUnavailable, 1),
    "301": ((301, ""), Transient, 1),
}


@pytest.mark.parametrize(("failure", "error", "times"), PERSISTENT.values(), ids=PERSISTENT.keys())
def test_a_read_gives_up_by_its_meaning(
    world: Scripted, trader: CoinbaseExchange, failure: Any, error: type[Exception], times: int
) -> None:
    world.on("GET /accounts", failure)
    with pytest.raises(error):
        trader.balances()
    assert world.count("/accounts") == times


def test_each_attempt_carries_a_token_of_its_own(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("GET /accounts", UNAUTHORIZED)
    with pytest.raises(AuthRefused):
        trader.balances()
    assert len({request.headers["authorization"] for request in world.server.requests}) == 2


@pytest.mark.parametrize("body", ["", "<html>\n<head></head></html>", '{"errors":[{"id":"rate_limit_exceeded"}]}'])
def test_a_429_in_any_dress_silences_its_class_for_the_asked_time(
    world: Scripted, trader: CoinbaseExchange, body: str
) -> None:
    def throttled(connection: Connection, _: Request) -> None:
        connection.answer(body, 429, "text/html", Retry_After="30")

    world.on("GET /accounts", throttled)
    world.on("GET /key_permissions", {"can_view": True, "can_trade": True, "can_transfer": False})
    world.on("POST /orders/batch_cancel", {"results": [{"success": True, "failure_reason": "", "order_id": ORDER_ID}]})
    with pytest.raises(RateLimited) as limited:
        trader.balances()
    assert limited.value.retry_after_s == 30
    with pytest.raises(RateLimited):
        trader.key_permissions()
    assert world.count("/accounts") == 1
    assert world.count("/key_permissions") == 0
    assert trader.cancel([ORDER_ID])[0].asked


def test_too_many_errors_is_throttling_and_not_a_dead_key(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("GET /accounts", (403, "Too many errors"))
    with pytest.raises(RateLimited) as limited:
        trader.balances()
    assert limited.value.retry_after_s == 60
    assert world.count("/accounts") == 1


def test_a_call_and_its_retries_end_by_the_total_deadline(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("GET /accounts", lambda connection, _: connection.hang())
    began = time.monotonic()
    with pytest.raises(Transient):
        trader.balances()
    assert time.monotonic() - began < 2.6


def test_an_order_is_placed_once_and_acknowledged(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("POST /orders", payloads.accepted())
    assert trader.place(ENTRY).order_id == ORDER_ID
    assert world.bodies("/orders")[0]["client_order_id"] == CLIENT_ID


PLACE = {
    "refused": (payloads.refused("INSUFFICIENT_FUND"), Rejected),
    "400": ((400, {"error": "INVALID_ARGUMENT", "message": "account is not available"}), Rejected),
    "duplicate": (payloads.refused("DUPLICATE_CLIENT_ORDER_ID"), OutcomeUnknown),
    "401": (UNAUTHORIZED, OutcomeUnknown),
    "403": (SCOPES, OutcomeUnknown),
    "429": ((429, ""), OutcomeUnknown),
    "502": ((502, "<html></html>"), OutcomeUnknown),
    "html": ((200, "<html></html>"), OutcomeUnknown),
    "cut": ((200, '{"success":true,"success_resp'), OutcomeUnknown),
    "reset": (lambda connection, _: connection.reset(), OutcomeUnknown),
    "hang": (lambda connection, _: connection.hang(), OutcomeUnknown),
    "redirect": ((307, ""), OutcomeUnknown),
}


@pytest.mark.parametrize(("reply", "error"), PLACE.values(), ids=PLACE.keys())
def test_whatever_the_answer_an_order_is_sent_at_most_once(
    world: Scripted, trader: CoinbaseExchange, reply: Any, error: type[Exception]
) -> None:
    world.on("POST /orders", reply)
    with pytest.raises(error):
        trader.place(ENTRY)
    assert world.count("/orders") == 1


def test_an_order_that_meets_a_closed_door_was_certainly_not_sent(world: Scripted) -> None:
    adapter = exchange(dataclasses.replace(world.server, port=1))
    with pytest.raises(Transient) as transient:
        adapter.place(ENTRY)
    assert not isinstance(transient.value, OutcomeUnknown)
    adapter.close()


def test_a_stop_while_an_order_is_out_ends_the_wait_as_unknown(world: Scripted) -> None:
    stops = [0]
    adapter = exchange(world.server, lambda: stops[0], read_timeout_seconds="9", total_deadline_seconds="9")
    world.on("POST /orders", lambda connection, _: connection.hang())
    threading.Timer(0.4, lambda: stops.__setitem__(0, 1)).start()
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown, match="interrupted"):
        adapter.place(ENTRY)
    assert time.monotonic() - began < 1.5
    adapter.close()


def test_a_stop_while_a_read_is_out_ends_it_without_another_attempt(world: Scripted) -> None:
    stops = [0]
    adapter = exchange(world.server, lambda: stops[0], read_timeout_seconds="9", total_deadline_seconds="9")
    world.on("GET /accounts", lambda connection, _: connection.hang())
    threading.Timer(0.4, lambda: stops.__setitem__(0, 1)).start()
    with pytest.raises(Transient, match="interrupted"):
        adapter.balances()
    assert world.count("/accounts") == 1
    adapter.close()


def test_a_spent_budget_keeps_an_entry_from_leaving_but_not_an_exit(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("GET /accounts", (429, ""))
    with pytest.raises(RateLimited):
        trader.balances()
    world.on("POST /orders", payloads.accepted())
    with pytest.raises(RateLimited):
        trader.place(ENTRY)
    assert world.count("/orders") == 0
    assert trader.place(replace(ENTRY, kind=OrderKind.EXIT)).order_id == ORDER_ID


def test_a_preview_tells_what_would_happen(world: Scripted, trader: CoinbaseExchange) -> None:
    answer = {"errs": ["PREVIEW_INSUFFICIENT_FUND"], "warning": [], "commission_total": "0.9", "order_total": "100.9"}
    world.on("POST /orders/preview", answer)
    found = trader.preview(ENTRY)
    assert found.errors == ("PREVIEW_INSUFFICIENT_FUND",)
    assert found.commission == Decimal("0.9")
    assert "client_order_id" not in world.bodies("/orders/preview")[0]


def cancel_all(connection: Connection, request: Request) -> None:
    ids = json.loads(request.body)["order_ids"]
    connection.json({"results": [{"success": True, "failure_reason": "", "order_id": one} for one in ids]})


def test_cancels_go_out_in_batches_of_a_hundred(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("POST /orders/batch_cancel", cancel_all)
    ids = [f"order-{number:04}" for number in range(250)]
    answers = trader.cancel(ids)
    assert [len(body["order_ids"]) for body in world.bodies("/orders/batch_cancel")] == [100, 100, 50]
    assert [answer.order_id for answer in answers] == ids
    assert all(answer.asked for answer in answers)


def test_a_malformed_id_is_answered_here_and_never_spoils_a_batch(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("POST /orders/batch_cancel", cancel_all)
    answers = trader.cancel(["", ORDER_ID, "no id!", ORDER_ID])
    assert [answer.asked for answer in answers] == [False, True, False, True]
    assert world.bodies("/orders/batch_cancel") == [{"order_ids": [ORDER_ID]}]


def test_no_ids_ask_nothing(world: Scripted, trader: CoinbaseExchange) -> None:
    assert trader.cancel([]) == []
    assert world.server.requests == []


def test_a_batch_refused_as_a_whole_is_asked_one_by_one(world: Scripted, trader: CoinbaseExchange) -> None:
    def picky(connection: Connection, request: Request) -> None:
        ids = json.loads(request.body)["order_ids"]
        if "poison-0" in ids:
            connection.answer('{"error":"INVALID_ARGUMENT","message":"invalid OrderId"}', 400)
        else:
            cancel_all(connection, request)

    world.on("POST /orders/batch_cancel", picky)
    answers = trader.cancel([ORDER_ID, "poison-0", "order-0002"])
    assert [answer.asked for answer in answers] == [True, False, True]


def test_a_cancel_is_asked_again_after_a_lost_answer(world: Scripted, trader: CoinbaseExchange) -> None:
    world.on("POST /orders/batch_cancel", lambda connection, _: connection.reset(), cancel_all)
    assert trader.cancel([ORDER_ID])[0].asked
    assert world.count("/orders/batch_cancel") == 2


def test_a_cancel_that_hangs_is_soon_asked_again(world: Scripted) -> None:
    adapter = exchange(world.server, read_timeout_seconds="9", total_deadline_seconds="9")
    world.on("POST /orders/batch_cancel", lambda connection, _: connection.hang(), cancel_all)
    began = time.monotonic()
    assert adapter.cancel([ORDER_ID])[0].asked
    assert time.monotonic() - began < 3
    adapter.close()


def test_a_cancel_does_not_wait_behind_a_read(world: Scripted) -> None:
    adapter = exchange(world.server, read_timeout_seconds="9", total_deadline_seconds="9")
    world.on("GET /accounts", lambda connection, _: connection.hang())
    world.on("POST /orders/batch_cancel", cancel_all)

    def read() -> None:
        with pytest.raises(Transient):
            adapter.balances()

    hung = threading.Thread(target=read, daemon=True)
    hung.start()
    time.sleep(0.3)
    began = time.monotonic()
    assert adapter.cancel([ORDER_ID])[0].asked
    assert time.monotonic() - began < 1
    adapter.close()
    hung.join(3)
    assert not hung.is_alive()


def summary(*components: tuple[str, str]) -> dict[str, Any]:
    return {"page": {}, "components": [{"name": name, "status": status} for name, status in components]}


STATUS = {
    "fine": (summary(("Advanced Trade", "operational"), ("Capital", "major_outage")), StatusLevel.OPERATIONAL),
    "worst": (summary(("Coinbase - Trading", "partial_outage"), ("API", "degraded_performance")), StatusLevel.MAJOR),
    "critical": (summary(("advanced trade", "major_outage")), StatusLevel.CRITICAL),
    "nothing matches": (summary(("Cards", "major_outage")), StatusLevel.UNKNOWN),
    "new word": (summary(("API", "on_fire")), StatusLevel.UNKNOWN),
    "html": ((200, "<html></html>"), StatusLevel.UNKNOWN),
    "500": ((500, "{}"), StatusLevel.UNKNOWN),
    "no components": ({"page": {}}, StatusLevel.UNKNOWN),
    "reset": (lambda connection, _: connection.reset(), StatusLevel.UNKNOWN),
}


@pytest.mark.parametrize(("reply", "level"), STATUS.values(), ids=STATUS.keys())
def test_the_status_page_is_the_worst_matched_component_and_never_an_error(
    world: Scripted, trader: CoinbaseExchange, reply: Any, level: StatusLevel
) -> None:
    world.on("GET /status", reply)
    assert trader.status().level is level
    trader.status()
    assert world.count("/status") == 1


def test_an_address_that_is_no_plain_https_host_is_refused() -> None:
    for url in (
        "http://api.coinbase.com",
        "http://127.0.0.1.example.com",
        "https://127.0.0.1/prefix",
        "https://user@host",
        "127.0.0.1:8443",
    ):
        with pytest.raises(ConfigError, match="COINBASE_REST_URL"):
            assert Venue(rest_url=url).host
