"""The doors no real venue has: foreign hands, money moved, modes, the status page, the alert receiver, the truth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.venue.orders import FillBooked, OrderChanged, VenueEvent
from simulator.server import Simulator, SimulatorConfig
from tests.simulator.raw import ask, feed


def order(name: str, config: dict[str, Any], product: str = "BTC-USD", side: str = "BUY") -> dict[str, Any]:
    return {"client_order_id": name, "product_id": product, "side": side, "order_configuration": config}


def low_limit(size: str = "0.001") -> dict[str, Any]:
    return {"limit_limit_gtc": {"base_size": size, "limit_price": "50000", "post_only": True}}


def dollars(sim: Simulator) -> Decimal:
    return Decimal(ask(sim, "GET", "/control/truth").json()["balances"]["USD"]["available"])


def test_a_persons_orders_are_on_the_same_account(calm: Simulator) -> None:
    bought = ask(calm, "POST", "/control/order", body=order("by-hand", {"market_market_ioc": {"quote_size": "25"}}))
    assert bought.json()["accepted"] is True
    listed = ask(calm, "GET", "/orders/historical/batch", {"limit": 1000}).json()["orders"]
    assert "by-hand" in {o["client_order_id"] for o in listed}
    owners = {o["client_order_id"]: o["owner"] for o in ask(calm, "GET", "/control/truth").json()["orders"]}
    assert owners["by-hand"] == "foreign"
    assert ask(calm, "POST", "/control/order", body=order("bad", {"market_market_ioc": {}})).status == 400
    poor = order("poor", {"market_market_ioc": {"quote_size": "1000000"}})
    assert ask(calm, "POST", "/control/order", body=poor).status == 409


@pytest.mark.parametrize(("by", "message"), [("exchange", "Internal error"), ("owner", "User requested cancel")])
def test_orders_are_cancelled_by_other_hands_and_say_so(calm: Simulator, by: str, message: str) -> None:
    placed = ask(calm, "POST", "/orders", body=order(f"mine-{by}", low_limit())).json()
    order_id = placed["success_response"]["order_id"]
    with feed(calm) as client:
        client.subscribe("user")
        client.rest()
        assert ask(calm, "POST", "/control/cancel", body={"order_ids": "all", "by": by}).status == 200
        told = [o for f in client.rest() for o in f["events"][0]["orders"] if o["order_id"] == order_id]
    shown = ask(calm, "GET", f"/orders/historical/{order_id}").json()["order"]
    assert (shown["status"], shown["cancel_message"]) == ("CANCELLED", message)
    assert (told[-1]["status"], told[-1]["cancel_reason"]) == ("CANCELLED", message)


def test_money_comes_and_goes_without_a_trade(calm: Simulator) -> None:
    before = dollars(calm)
    assert ask(calm, "POST", "/control/transfer", body={"currency": "USD", "amount": "500"}).status == 200
    assert dollars(calm) == before + 500
    assert ask(calm, "POST", "/control/transfer", body={"currency": "USD", "amount": "-500"}).status == 200
    reply = ask(calm, "POST", "/control/transfer", body={"currency": "USD", "amount": "-99999999"})
    assert (reply.status, "cannot withdraw" in reply.json()["error"]) == (400, True)
    assert dollars(calm) == before


@pytest.mark.parametrize(
    ("mode", "flag", "market_order"),
    [
        ("cancel_only", "cancel_only", False),
        ("limit_only", "limit_only", False),
        ("post_only", "post_only", False),
        ("auction_mode", "auction_mode", False),
        ("closed", "trading_disabled", False),
        ("normal", "", True),
    ],
)
def test_a_product_changes_its_mode_for_every_alias(calm: Simulator, mode: str, flag: str, market_order: bool) -> None:
    assert ask(calm, "POST", "/control/product", body={"product_id": "BTC-USD", "mode": mode}).status == 200
    flags = ("cancel_only", "limit_only", "post_only", "auction_mode", "trading_disabled", "is_disabled")
    for name in ("BTC-USD", "BTC-USDC"):
        product = ask(calm, "GET", f"/products/{name}").json()
        assert [f for f in flags if product[f]] == ([flag] if flag else [])
    answer = ask(calm, "POST", "/orders", body=order(f"m-{mode}", {"market_market_ioc": {"quote_size": "10"}})).json()
    assert answer["success"] is market_order


def test_a_delisted_product_says_so(calm: Simulator) -> None:
    body = {"product_id": "XRP-USD", "mode": "closed", "reason": "delisted"}
    ask(calm, "POST", "/control/product", body=body)
    product = ask(calm, "GET", "/products/XRP-USD").json()
    assert (product["status"], product["trading_disabled"]) == ("delisted", True)
    ask(calm, "POST", "/control/product", body={"product_id": "XRP-USD", "mode": "normal"})


def test_the_status_page_says_what_it_is_told(calm: Simulator) -> None:
    page = ask(calm, "GET", "/api/v2/summary.json").json()
    assert page["status"] == {"indicator": "none", "description": "All Systems Operational"}
    assert {component["status"] for component in page["components"]} == {"operational"}
    change = {"indicator": "major", "components": {"Advanced Trade API": "major_outage"}}
    ask(calm, "POST", "/control/status", body=change)
    worse = ask(calm, "GET", "/api/v2/summary.json").json()
    assert worse["status"]["indicator"] == "major"
    assert [c["name"] for c in worse["components"] if c["status"] == "major_outage"] == ["Advanced Trade API"]
    ask(calm, "POST", "/control/status", body={"broken": 500})
    assert ask(calm, "GET", "/api/v2/summary.json").status == 500
    ask(calm, "POST", "/control/status", body={"broken": 0, "html": True})
    assert b"<html>" in ask(calm, "GET", "/api/v2/summary.json").body
    ask(calm, "POST", "/control/status", body={"html": False, "indicator": "none"})


def test_alerts_are_kept_and_the_receiver_can_fail(calm: Simulator) -> None:
    assert ask(calm, "POST", "/alerts", body={"id": "a", "severity": "critical"}).status == 200
    assert ask(calm, "GET", "/control/alerts").json()[-1]["body"] == {"id": "a", "severity": "critical"}
    ask(calm, "POST", "/control/alerts", body={"status": 500})
    assert ask(calm, "POST", "/alerts", body={"id": "b"}).status == 500
    ask(calm, "POST", "/control/alerts", body={"status": 200, "size": 1000, "delay_s": 0.2})
    assert len(ask(calm, "POST", "/alerts", body={"id": "c"}).body) == 1000
    ask(calm, "POST", "/control/alerts", body={"hang": True, "delay_s": 0})
    with pytest.raises(TimeoutError):
        ask(calm, "POST", "/alerts", body={"id": "d"}, timeout=0.2)
    ask(calm, "POST", "/control/alerts", body={"hang": False, "size": 0})
    assert [entry["body"]["id"] for entry in ask(calm, "GET", "/control/alerts").json()] == ["a", "c"]


def test_faults_are_set_and_cleared_from_outside(calm: Simulator) -> None:
    rule = {"fault": {"is": "Answer", "status": 418}, "path": "/accounts", "times": None}
    assert ask(calm, "POST", "/control/faults", body=rule).status == 200
    assert ask(calm, "GET", "/accounts").status == 418
    assert len(ask(calm, "GET", "/control/state").json()["rules"]) == 1
    assert ask(calm, "DELETE", "/control/faults").status == 200
    assert ask(calm, "GET", "/accounts").status == 200
    assert ask(calm, "POST", "/control/faults", body={"fault": {"is": "Earthquake"}}).status == 400
    assert ask(calm, "POST", "/control/conditions", body={"zero_balances": True}).status == 200
    assert ask(calm, "GET", "/control/state").json()["conditions"]["zero_balances"] is True
    assert ask(calm, "POST", "/control/conditions", body={"nope": 1}).status == 400


def test_people_get_a_page_of_the_account(calm: Simulator) -> None:
    ask(calm, "POST", "/orders", body=order("<script>", low_limit()))
    page = ask(calm, "GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert b"Simulated venue" in page.body
    assert b"<td>BTC-USD</td>" in page.body


def test_an_oracle_hears_every_event_of_the_venue() -> None:
    heard: list[VenueEvent] = []
    with Simulator(SimulatorConfig(products=1)) as sim:
        sim.do(lambda c: c.world.on_event(heard.append))
        ask(sim, "POST", "/orders", body=order("o", {"market_market_ioc": {"quote_size": "10"}}))
        truth = sim.do(lambda c: (list(c.world.venue.orders()), list(c.world.venue.fills())))
    assert [event.order for event in heard if isinstance(event, OrderChanged)][-1] == truth[0][0]
    assert [event.fill for event in heard if isinstance(event, FillBooked)] == truth[1]
    assert [event.seq for event in heard] == list(range(1, len(heard) + 1))


def test_the_environment_names_every_address(sim: Simulator) -> None:
    env = sim.env()
    assert env["COINBASE_REST_URL"] == f"https://{sim.host}"
    assert env["BOT_ALLOW_TEST_VENUE"] == "1"
    assert {"COINBASE_WS_URL", "COINBASE_WS_USER_URL", "COINBASE_STATUS_URL", "COINBASE_CA_FILE", "COINBASE_API_KEY",
            "COINBASE_API_SECRET", "ALERT_WEBHOOK_URL", "BOT_TEST_CLOCK_URL"} < set(env)  # fmt: skip
