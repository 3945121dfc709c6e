"""Faults do on the wire what they are named after, and the venue's record says so."""

from __future__ import annotations

import http.client
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.product import ProductId, Side
from bot.domain.value import replace
from bot.errors import UnitError
from simulator.faults import (
    Answer,
    Conditions,
    Damage,
    Delay,
    Drop,
    Garble,
    Hang,
    Rewrite,
    Rule,
    Rules,
    When,
    rewritten,
    rule_from,
)
from simulator.markets.listing import default_listings
from simulator.markets.script import Print, ScriptMarket
from simulator.server import START, Simulator, SimulatorConfig, tick_rules
from tests.simulator.conftest import sdk
from tests.simulator.raw import BROKERAGE, ask, token

BTC = ProductId("BTC-USD")
_COUNT = iter(range(10**6))


def create(_: Simulator, price: str = "50000") -> dict[str, Any]:
    return {
        "client_order_id": f"fault-{next(_COUNT)}",
        "product_id": "BTC-USD",
        "side": "BUY",
        "order_configuration": {"limit_limit_gtc": {"base_size": "0.0001", "limit_price": price, "post_only": True}},
    }


def booked(sim: Simulator, body: dict[str, Any]) -> int:
    orders = sim.do(lambda c: [o.client_order_id.split("\x00")[0] for o in c.world.venue.orders()])
    return orders.count(body["client_order_id"])


@pytest.mark.parametrize(("when", "count"), [(When.AFTER, 1), (When.BEFORE, 0)])
@pytest.mark.parametrize("reset", [False, True])
def test_a_dropped_create_was_booked_or_not_as_told(calm: Simulator, when: When, count: int, reset: bool) -> None:
    calm.fault(Rule(Drop(when, reset), "POST", "/orders"))
    body = create(calm)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(calm, "POST", "/orders", body=body)
    assert booked(calm, body) == count
    assert ask(calm, "POST", "/orders", body=create(calm)).status == 200  # the rule is used up


@pytest.mark.parametrize(("when", "count"), [(When.AFTER, 1), (When.BEFORE, 0)])
@pytest.mark.parametrize(("status", "body"), [(502, "html"), (503, "text"), (500, "json"), (504, "empty")])
def test_a_5xx_says_nothing_about_the_order(calm: Simulator, when: When, count: int, status: int, body: str) -> None:
    calm.fault(Rule(Answer(status, body, when), "POST", "/orders"))
    order = create(calm)
    assert ask(calm, "POST", "/orders", body=order).status == status
    assert booked(calm, order) == count


@pytest.mark.parametrize("retry_after", ["", "10", "86400", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_throttling_answers_with_and_without_retry_after(calm: Simulator, retry_after: str) -> None:
    calm.fault(Rule(Answer(429, "html", retry_after=retry_after), times=2))
    reply = ask(calm, "GET", "/accounts")
    assert (reply.status, reply.headers.get("retry-after", "")) == (429, retry_after)
    assert len(reply.body) > 2000
    assert ask(calm, "GET", "/accounts").status == 429
    assert ask(calm, "GET", "/accounts").status == 200


def test_throttling_dressed_as_401_and_403(calm: Simulator) -> None:
    calm.fault(Rule(Answer(401, "Unauthorized\n"), "GET", "/accounts"))
    calm.fault(Rule(Answer(403, "text"), "GET", "/accounts"))
    assert (ask(calm, "GET", "/accounts").status, ask(calm, "GET", "/accounts").body) == (401, b"Too many errors")


def test_only_the_second_page_fails(calm: Simulator) -> None:
    calm.fault(Rule(Answer(500, "json"), "GET", "/accounts", contains="cursor=1"))
    assert ask(calm, "GET", "/accounts", {"limit": 1}).status == 200
    assert ask(calm, "GET", "/accounts", {"limit": 1, "cursor": "1"}).status == 500


def test_a_torn_answer_looks_whole_to_requests(calm: Simulator) -> None:
    """No length was announced, so half a document arrives as a good answer: only the parser can tell."""
    calm.fault(Rule(Garble(Damage.TORN), path="/orders/historical/batch"))
    path = f"{BROKERAGE}/orders/historical/batch"
    with requests.Session() as session:
        session.trust_env, session.verify = False, calm.ca_file
        answer = session.get(calm.rest_url + path, headers={"authorization": f"Bearer {token(calm, 'GET', path)}"})
    assert answer.status_code == 200
    assert answer.text.startswith('{"orders":')
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.text)


def test_a_short_answer_breaks_off_before_its_length(calm: Simulator) -> None:
    calm.fault(Rule(Garble(Damage.SHORT), path="/accounts"))
    with pytest.raises(http.client.IncompleteRead):
        ask(calm, "GET", "/accounts")


@pytest.mark.parametrize(
    ("damage", "sign"),
    [
        (Damage.HTML, b"<!DOCTYPE html>"),
        (Damage.EMPTY, b""),
        (Damage.NO_CONTENT, b""),
        (Damage.BOM, b"\xef\xbb\xbf{"),
        (Damage.LATIN, b"caf\xe9"),
    ],
)
def test_answers_that_are_no_plain_json(calm: Simulator, damage: Damage, sign: bytes) -> None:
    calm.fault(Rule(Garble(damage), path="/accounts"))
    reply = ask(calm, "GET", "/accounts")
    assert reply.status == (204 if damage is Damage.NO_CONTENT else 200)
    assert sign in reply.body
    if damage is not Damage.LATIN:
        with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
            json.loads(reply.body.decode())


def test_numbers_become_nan_and_answers_become_huge(calm: Simulator) -> None:
    calm.fault(Rule(Garble(Damage.NAN), path="/product_book"))
    calm.fault(Rule(Garble(Damage.HUGE), path="/product_book"))
    assert b":NaN" in ask(calm, "GET", "/product_book", {"product_id": "BTC-USD"}).body
    assert len(ask(calm, "GET", "/product_book", {"product_id": "BTC-USD"}).body) > 10 * 1024 * 1024


@pytest.mark.parametrize(
    ("fault", "path", "seen"),
    [
        (Rewrite("accounts.*.available_balance.value", '"1e-8"'), "/accounts", ("available_balance", "1e-8")),
        (Rewrite("accounts.*.hold", ""), "/accounts", ("hold", None)),
        (Rewrite("accounts", "[]"), "/accounts", ()),
    ],
)
def test_single_fields_are_rewritten_or_taken_away(calm: Simulator, fault: Rewrite, path: str, seen) -> None:
    calm.fault(Rule(fault, path=path))
    accounts = ask(calm, "GET", path).json()["accounts"]
    if not seen:
        assert accounts == []
        return
    name, value = seen
    shown = {a.get(name, {}).get("value") if isinstance(a.get(name), dict) else a.get(name) for a in accounts}
    assert shown == {value}


def test_late_answers_and_answers_that_never_come(calm: Simulator) -> None:
    calm.fault(Rule(Delay(0.4), path="/accounts"))
    calm.fault(Rule(Hang(), "POST", "/orders"))
    with pytest.raises(TimeoutError):
        ask(calm, "GET", "/accounts", timeout=0.2)
    body = create(calm)
    with pytest.raises(TimeoutError):
        ask(calm, "POST", "/orders", body=body, timeout=0.2)
    assert booked(calm, body) == 1


def test_an_outage_tears_every_connection_until_it_is_over(calm: Simulator) -> None:
    calm.conditions(outage=True)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        ask(calm, "GET", "/time")
    assert ask(calm, "GET", "/control/state").status == 200
    calm.conditions(outage=False)
    assert ask(calm, "GET", "/time").status == 200


@pytest.mark.parametrize(
    ("gate", "status", "body"),
    [
        ("unauthorized", 401, b"Unauthorized\n"),
        ("forbidden", 403, b"User does not have the correct permissions"),
        ("too_many_errors", 403, b"Too many errors"),
    ],
)
def test_a_shut_gate_refuses_private_paths_only(calm: Simulator, gate: str, status: int, body: bytes) -> None:
    calm.conditions(gate=gate)
    reply = ask(calm, "GET", "/accounts")
    assert reply.status == status
    assert body in reply.body
    assert ask(calm, "GET", "/time").status == 200


def test_a_revoked_key_stays_out(calm: Simulator) -> None:
    key = calm.new_key()
    assert ask(calm, "GET", "/accounts", key=key).status == 200
    assert ask(calm, "POST", "/control/keys", body={"revoke": key.name}).status == 200
    assert ask(calm, "GET", "/accounts", key=key).status == 401


def test_a_skewed_clock_shows_in_time_and_kills_tokens(calm: Simulator) -> None:
    right = int(ask(calm, "GET", "/time", headers={"cache-control": "no-cache"}).json()["epochMillis"])
    calm.conditions(skew_s=-3)
    off = int(ask(calm, "GET", "/time", headers={"cache-control": "no-cache"}).json()["epochMillis"])
    assert off - right == -3000
    assert ask(calm, "GET", "/accounts").status == 200
    calm.conditions(skew_s=140)
    assert ask(calm, "GET", "/accounts").status == 401


def test_new_orders_and_their_ends_show_late(calm: Simulator) -> None:
    calm.conditions(orders_lag_s=10.0)
    body = create(calm)
    order_id = ask(calm, "POST", "/orders", body=body).json()["success_response"]["order_id"]
    path = f"/orders/historical/{order_id}"
    assert ask(calm, "GET", path).status == 404
    calm.run_for(10)
    assert ask(calm, "GET", path).json()["order"]["status"] == "OPEN"
    ask(calm, "POST", "/orders/batch_cancel", body={"order_ids": [order_id]})
    assert ask(calm, "GET", path).json()["order"]["status"] == "OPEN"
    calm.run_for(11)
    assert ask(calm, "GET", path).json()["order"]["status"] == "CANCELLED"


def test_fills_and_balances_lag_behind_the_trade(calm: Simulator) -> None:
    calm.conditions(fills_lag_s=5.0, balances_lag_s=5.0)
    rest = sdk(calm)

    def dollars() -> Decimal:
        usd = next(a for a in rest.get_accounts().accounts if a.currency == "USD")
        return Decimal(usd.available_balance["value"])

    before, count = dollars(), len(rest.get_fills(limit=1000).fills)
    rest.market_order_buy(create(calm)["client_order_id"], "ETH-USD", quote_size="10")
    assert (dollars(), len(rest.get_fills(limit=1000).fills)) == (before, count)
    calm.run_for(6)
    assert dollars() < before
    assert len(rest.get_fills(limit=1000).fills) > count


def test_a_product_can_disappear_from_the_venue(calm: Simulator) -> None:
    calm.conditions(unlisted=["XRP-USD"])
    assert "XRP-USD" not in {p["product_id"] for p in ask(calm, "GET", "/products").json()["products"]}
    assert ask(calm, "GET", "/products/XRP-USD/ticker", {"limit": 1}).status == 400
    assert ask(calm, "GET", "/market/products/XRP-USD").status == 404


def test_a_vanished_order_works_and_shows_nowhere(calm: Simulator) -> None:
    calm.conditions(hide_next=1)
    body = create(calm)
    order_id = ask(calm, "POST", "/orders", body=body).json()["success_response"]["order_id"]
    assert ask(calm, "GET", f"/orders/historical/{order_id}").status == 404
    listed = ask(calm, "GET", "/orders/historical/batch", {"limit": 1000}).json()["orders"]
    assert order_id not in {order["order_id"] for order in listed}
    assert booked(calm, body) == 1


def test_a_fill_is_listed_twice_under_two_entry_ids(calm: Simulator) -> None:
    body = {**create(calm), "order_configuration": {"market_market_ioc": {"quote_size": "10"}}}
    order_id = ask(calm, "POST", "/orders", body=body).json()["success_response"]["order_id"]
    calm.conditions(double_fills=True)
    rows = ask(calm, "GET", "/orders/historical/fills", {"order_ids": [order_id]}).json()["fills"]
    assert len({row["entry_id"] for row in rows}) == 2 * len({row["trade_id"] for row in rows}) == len(rows)


def test_all_balances_read_zero_though_nothing_moved(calm: Simulator) -> None:
    calm.conditions(zero_balances=True)
    accounts = ask(calm, "GET", "/accounts").json()["accounts"]
    assert {account["available_balance"]["value"] for account in accounts} == {"0"}
    assert max(balance.available for balance in calm.do(lambda c: c.world.venue.balances())) > 0


@pytest.mark.parametrize(("mode", "count"), [("old_order", 1), ("refused", 1), ("booked", 2)])
def test_a_duplicate_client_id_has_three_fates(calm: Simulator, mode: str, count: int) -> None:
    calm.conditions(duplicates=mode)
    body = create(calm)
    first = ask(calm, "POST", "/orders", body=body).json()
    second = ask(calm, "POST", "/orders", body=body).json()
    assert booked(calm, body) == count
    if mode == "refused":
        assert second["error_response"]["error"] == "DUPLICATE_CLIENT_ORDER_ID"
    else:
        same = first["success_response"]["order_id"] == second["success_response"]["order_id"]
        assert same is (mode == "old_order")
    listed = ask(calm, "GET", "/orders/historical/batch", {"limit": 1000}).json()["orders"]
    assert sum(order["client_order_id"] == body["client_order_id"] for order in listed) == count


@pytest.mark.parametrize(("mode", "success", "status"), [("refused", False, "OPEN"), ("lost", True, "OPEN")])
def test_a_cancel_can_be_refused_or_lost(calm: Simulator, mode: str, success: bool, status: str) -> None:
    order_id = ask(calm, "POST", "/orders", body=create(calm)).json()["success_response"]["order_id"]
    calm.conditions(cancels=mode)
    (result,) = ask(calm, "POST", "/orders/batch_cancel", body={"order_ids": [order_id]}).json()["results"]
    assert result["success"] is success
    assert ask(calm, "GET", f"/orders/historical/{order_id}").json()["order"]["status"] == status


def test_a_cancel_takes_its_time_and_a_fill_can_win() -> None:
    """`success` says asked: the order shows CANCEL_QUEUED, and what the tape does meanwhile counts."""
    rules = replace(tick_rules(), cancel_delay=timedelta(seconds=5))
    prints = [Print(8, BTC, Decimal(63000), Decimal(50), Side.SELL)]
    market = ScriptMarket(default_listings(1), START, prints)
    with Simulator(SimulatorConfig(market=market, rules=rules)) as sim:

        def ask_cancel(at_s: float) -> tuple[str, str]:
            order_id = ask(sim, "POST", "/orders", body=create(sim, "64000")).json()["success_response"]["order_id"]
            sim.run_for((START + timedelta(seconds=at_s) - sim.now()).total_seconds())
            assert ask(sim, "POST", "/orders/batch_cancel", body={"order_ids": [order_id]}).json()["results"][0][
                "success"
            ]
            queued = ask(sim, "GET", f"/orders/historical/{order_id}").json()["order"]
            sim.run_for(6)
            return queued["status"], ask(sim, "GET", f"/orders/historical/{order_id}").json()["order"]["status"]

        assert ask_cancel(1) == ("CANCEL_QUEUED", "CANCELLED")
        assert ask_cancel(7) == ("CANCEL_QUEUED", "FILLED")


def test_every_fired_fault_is_on_record_with_its_trading_time(calm: Simulator) -> None:
    calm.fault(Rule(Answer(502, "html"), path="/accounts"))
    ask(calm, "GET", "/accounts")
    entries = ask(calm, "GET", "/control/log", {"kind": "fault"}).json()
    assert entries[-1]["path"].endswith("/accounts")
    assert "502" in entries[-1]["note"]
    assert entries[-1]["at"].startswith(calm.now().isoformat()[:16])


class TestRules:
    def test_a_rule_skips_then_strikes_as_often_as_told(self) -> None:
        rules = Rules(1)
        rules.add(Rule(Drop(), "POST", "/orders", skip=1, times=2))
        struck = [rules.strike("POST", "/orders", "") is not None for _ in range(5)]
        assert struck == [False, True, True, False, False]
        assert rules.active() == ()

    def test_wild_cards_and_contents_choose_requests(self) -> None:
        rule = Rule(Drop(), "*", "/products/*/candles", contains="granularity=ONE_DAY")
        assert rule.fits("GET", "/products/BTC-USD/candles", "granularity=ONE_DAY")
        assert not rule.fits("GET", "/products/BTC-USD/candles", "granularity=ONE_HOUR")
        assert not rule.fits("GET", "/products", "granularity=ONE_DAY")

    @given(st.integers(0, 2**31))
    def test_chance_is_a_function_of_the_seed(self, seed: int) -> None:
        def strikes() -> list[bool]:
            rules = Rules(seed)
            rules.add(Rule(Drop(), probability=0.5, times=None))
            return [rules.strike("GET", "/x", "") is not None for _ in range(40)]

        assert strikes() == strikes()

    def test_a_rule_can_be_written_as_json(self) -> None:
        written = {"fault": {"is": "Answer", "status": 503, "when": "after"}, "path": "/orders", "times": None}
        assert rule_from(written) == Rule(Answer(503, when=When.AFTER), path="/orders", times=None)
        with pytest.raises(UnitError, match="no field 'tmes'"):
            rule_from({**written, "tmes": 1})

    def test_a_path_that_leads_nowhere_changes_nothing(self) -> None:
        document = {"a": [{"b": 1}]}
        assert rewritten(document, Rewrite("a.5.b", "2")) == {"a": [{"b": 1}]}
        assert rewritten(document, Rewrite("x.y.z", "")) == {"a": [{"b": 1}]}


class TestConditions:
    def test_switches_are_set_by_name_and_keep_their_type(self) -> None:
        conditions = Conditions()
        conditions.change({"orders_lag_s": 3, "feed": {"drop": 2}, "hidden": ["a"], "duplicates": "booked"})
        assert (conditions.orders_lag_s, conditions.feed.drop, conditions.hidden) == (3.0, 2, {"a"})

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"nope": 1}, "no switch 'nope'"),
            ({"outage": 1}, "outage must be bool"),
            ({"cancels": "perhaps"}, "cancels is one of"),
            ({"feed": {"nope": True}}, "no switch 'nope'"),
            ([], "JSON object"),
        ],
    )
    def test_nonsense_is_refused_with_the_reason(self, change: Any, why: str) -> None:
        with pytest.raises(UnitError, match=why):
            Conditions().change(change)
