"""An order goes out as exact text, and its answer is read as exists, refused or unknown: never guessed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bot.adapters.coinbase.failures import HttpRefused, NotSent, Torn, Unreadable
from bot.adapters.coinbase.strict_json import Document
from bot.adapters.coinbase.wire.place import meaning, order_body, preview_body, read_answer
from bot.domain.money import Price, Size
from bot.domain.order import Bracket, OrderKind, OrderType, PlannedOrder
from bot.domain.product import ProductId, Side
from bot.domain.value import replace
from bot.errors import OutcomeUnknown, Rejected, Transient, UnitError
from tests.adapters.coinbase.payloads import CLIENT_ID, ORDER_ID, accepted, refused

ENTRY = PlannedOrder(
    client_order_id=CLIENT_ID,
    product=ProductId("BTC-USD"),
    side=Side.BUY,
    kind=OrderKind.ENTRY,
    type=OrderType.LIMIT_POST_ONLY,
    size=Size(Decimal("1E-8")),
    limit_price=Price(Decimal("6E+4")),
    end_time=datetime(2026, 11, 21, 8, 30, 1, 500, tzinfo=UTC),
)


def configuration(**changes: Any) -> Any:
    return order_body(replace(ENTRY, **changes))["order_configuration"]


def test_a_post_only_entry_carries_its_identity_and_its_expiry_as_plain_text() -> None:
    assert order_body(ENTRY) == {
        "client_order_id": CLIENT_ID,
        "product_id": "BTC-USD",
        "side": "BUY",
        "order_configuration": {
            "limit_limit_gtd": {
                "base_size": "0.00000001",
                "limit_price": "60000",
                "post_only": True,
                "end_time": "2026-11-21T08:30:01.000500Z",
            }
        },
    }


def test_a_preview_is_the_same_order_without_identity() -> None:
    body = order_body(ENTRY)
    del body["client_order_id"]
    assert preview_body(ENTRY) == body


def test_every_kind_we_send_has_its_own_shape() -> None:
    plain = {"base_size": "0.00000001", "limit_price": "60000"}
    stop = Price(Decimal(55000))
    free = {"end_time": None}
    assert configuration(type=OrderType.LIMIT_IOC, **free) == {"sor_limit_ioc": plain}
    assert configuration(type=OrderType.LIMIT_FOK, **free) == {"limit_limit_fok": plain}
    assert configuration(type=OrderType.LIMIT_GTC, **free) == {"limit_limit_gtc": {**plain, "post_only": False}}
    assert configuration(type=OrderType.MARKET, limit_price=None, **free) == {
        "market_market_ioc": {"base_size": "0.00000001"}
    }
    assert configuration(type=OrderType.STOP_LIMIT, side=Side.SELL, stop_price=stop, **free) == {
        "stop_limit_stop_limit_gtc": {**plain, "stop_price": "55000", "stop_direction": "STOP_DIRECTION_STOP_DOWN"}
    }
    assert configuration(type=OrderType.STOP_LIMIT, side=Side.BUY, stop_price=stop, **free)[
        "stop_limit_stop_limit_gtc"
    ]["stop_direction"] == ("STOP_DIRECTION_STOP_UP")
    assert configuration(type=OrderType.BRACKET, side=Side.SELL, stop_price=stop, **free) == {
        "trigger_bracket_gtc": {**plain, "stop_trigger_price": "55000"}
    }
    assert set(configuration(type=OrderType.BRACKET, side=Side.SELL, stop_price=stop)) == {"trigger_bracket_gtd"}


def test_an_attached_bracket_has_two_legs_and_no_size() -> None:
    legs = Bracket(Price(Decimal(70000)), Price(Decimal(55000)))
    assert order_body(replace(ENTRY, attached=legs))["attached_order_configuration"] == {
        "trigger_bracket_gtc": {"limit_price": "70000", "stop_trigger_price": "55000"}
    }


@pytest.mark.parametrize(
    "change",
    [
        {"type": OrderType.OTHER},
        {"limit_price": None},
        {"end_time": None},
        {"type": OrderType.BRACKET, "stop_price": None},
        {"type": OrderType.STOP_LIMIT, "stop_price": None},
    ],
)
def test_an_order_that_lacks_something_is_our_bug_and_never_sent(change: dict[str, Any]) -> None:
    with pytest.raises(UnitError):
        order_body(replace(ENTRY, **change))


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": ORDER_ID},
        {"error_response": {"error": "UNKNOWN_FAILURE_REASON"}},
    ],
)
def test_the_order_exists_when_success_names_it(extra: dict[str, Any]) -> None:
    assert read_answer(accepted(**extra), CLIENT_ID).order_id == ORDER_ID


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refused("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"), "INSUFFICIENT_FUND"),
        (
            refused("UNKNOWN_FAILURE_REASON", "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"),
            "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE",
        ),
        (refused("UNKNOWN_FAILURE_REASON", "", "UNTRADABLE_PRODUCT"), "UNTRADABLE_PRODUCT"),
        (refused("A_REASON_OF_NEXT_YEAR"), "A_REASON_OF_NEXT_YEAR"),
    ],
)
def test_a_refusal_with_a_reason_is_definite(answer: dict[str, Any], reason: str) -> None:
    with pytest.raises(Rejected) as rejected:
        read_answer(answer, CLIENT_ID)
    assert rejected.value.reason == reason


UNCLEAR = {
    "nothing": {},
    "success without an order": {"success": True},
    "success with an empty id": accepted(success_response={"order_id": ""}),
    "success for another id": accepted(success_response={"order_id": ORDER_ID, "client_order_id": "another"}),
    "success as text": accepted(success="true"),
    "refusal without a reason": refused("UNKNOWN_FAILURE_REASON", "UNKNOWN_PREVIEW_FAILURE_REASON"),
    "refusal of nothing": {"success": False},
    "refusal that names an order": refused("INSUFFICIENT_FUND", success_response={"order_id": ORDER_ID}),
    "a duplicate id": refused("DUPLICATE_CLIENT_ORDER_ID"),
    "success as a number": accepted(success=1),
    "response of the wrong kind": accepted(success_response="yes"),
}


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_any_other_answer_leaves_the_outcome_unknown(answer: dict[str, Any]) -> None:
    with pytest.raises(OutcomeUnknown) as unknown:
        read_answer(answer, CLIENT_ID)
    assert unknown.value.client_order_id == CLIENT_ID


def http(status: int, body: dict[str, Any] | None) -> HttpRefused:
    return HttpRefused(status, "text", Document(body) if body is not None else None, None)


ENVELOPE = {"error": "INVALID_ARGUMENT", "error_details": "account is not available", "message": "same"}


def test_a_bad_request_in_the_venues_own_words_is_a_definite_refusal() -> None:
    found = meaning(http(400, ENVELOPE), CLIENT_ID)
    assert isinstance(found, Rejected)
    assert (found.reason, found.message) == ("INVALID_ARGUMENT", "account is not available")


@pytest.mark.parametrize("status", [301, 401, 403, 408, 409, 425, 429, 500, 502, 503, 504])
def test_throttling_auth_and_server_troubles_prove_nothing_about_an_order(status: int) -> None:
    assert isinstance(meaning(http(status, ENVELOPE), CLIENT_ID), OutcomeUnknown)


@pytest.mark.parametrize("body", [None, {}, {"errors": []}])
def test_a_bad_request_from_who_knows_where_proves_nothing(body: dict[str, Any] | None) -> None:
    assert isinstance(meaning(http(400, body), CLIENT_ID), OutcomeUnknown)


@pytest.mark.parametrize("failure", [Torn("reset"), Unreadable("html")])
def test_a_torn_or_unreadable_answer_leaves_the_outcome_unknown(failure: Torn | Unreadable) -> None:
    assert isinstance(meaning(failure, CLIENT_ID), OutcomeUnknown)


def test_what_never_left_is_transient_and_not_unknown() -> None:
    found = meaning(NotSent("connection refused"), CLIENT_ID)
    assert isinstance(found, Transient)
    assert not isinstance(found, OutcomeUnknown)
