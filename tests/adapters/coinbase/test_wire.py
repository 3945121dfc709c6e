"""Each message of the venue becomes one of our values, or is refused by name; nothing is defaulted into money."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.coinbase.strict_json import NotStrictJson, parse_document
from bot.adapters.coinbase.wire import account, order, product
from bot.adapters.coinbase.wire.read import Fields, parse_rfc3339
from bot.domain.bars import Granularity
from bot.domain.money import Price, Size
from bot.domain.order import Liquidity, OrderType, VenueStatus
from bot.domain.product import ProductId, Side, TradingMode
from bot.errors import CriticalDataUnavailable, UnitError
from tests.adapters.coinbase import payloads

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
BTC = ProductId("BTC-USD")


def read_order(**changes: Any):
    return order.order(Fields(payloads.order(**changes), "order"))


def test_a_resting_order_keeps_size_price_hold_and_expiry() -> None:
    report = read_order()
    assert (report.type, report.status, report.side) == (OrderType.LIMIT_POST_ONLY, VenueStatus.OPEN, Side.BUY)
    assert report.size == Size(Decimal("0.002"))
    assert report.limit_price == Price(Decimal("60000.5"))
    assert report.hold == Decimal("120.9010075")
    assert report.end_time == datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    assert report.created_at == datetime(2026, 11, 21, 8, 12, 17, 123456, tzinfo=UTC)
    assert report.average_price is None
    assert report.reject_reason == ""


def test_a_filled_order_keeps_exact_cumulative_amounts() -> None:
    report = order.order(Fields(payloads.filled(), "order"))
    assert report.status is VenueStatus.FILLED
    assert (report.filled, report.fees) == (Size(Decimal("0.002")), Decimal("0.600005"))
    assert report.average_price == Price(Decimal("60000.4999999999998"))
    assert report.number_of_fills == 2


@pytest.mark.parametrize("status", ["UNKNOWN_ORDER_STATUS", "RESTING_ON_MARS"])
def test_an_unknown_status_counts_as_working(status: str) -> None:
    report = read_order(status=status)
    assert report.status is VenueStatus.UNKNOWN
    assert not report.status.is_terminal


def test_a_quote_sized_order_of_a_person_has_no_base_size() -> None:
    report = read_order(order_configuration={"market_market_ioc": {"quote_size": "100", "base_size": ""}})
    assert (report.type, report.size, report.quote_size) == (OrderType.MARKET, None, Decimal(100))


def test_a_triggered_stop_is_still_a_stop() -> None:
    configuration = {
        "limit_limit_gtc": {"base_size": "1", "limit_price": "9", "post_only": False},
        "stop_limit_stop_limit_gtc": {"base_size": "1", "limit_price": "9", "stop_price": "10"},
    }
    report = read_order(side="SELL", order_configuration=configuration)
    assert report.type is OrderType.STOP_LIMIT
    assert report.stop_price == Price(Decimal(10))


def test_a_bracket_leg_names_its_parent_and_its_two_prices() -> None:
    configuration = {"trigger_bracket_gtc": {"limit_price": "70000", "stop_trigger_price": "55000"}}
    report = read_order(
        side="SELL", order_configuration=configuration, originating_order_id="p-1", outstanding_hold_amount=""
    )
    assert (report.type, report.parent_id, report.size) == (OrderType.BRACKET, "p-1", Size.zero())
    assert (report.limit_price, report.stop_price) == (Price(Decimal(70000)), Price(Decimal(55000)))


def test_an_order_kind_we_do_not_know_is_sized_by_the_venues_own_hold() -> None:
    configuration = {"scaled_limit_gtc": {"num_orders": "3", "min_price": "1", "max_price": "2"}}
    buy = read_order(order_configuration=configuration, filled_value="10", outstanding_hold_amount="90")
    assert (buy.type, buy.size, buy.quote_size) == (OrderType.OTHER, None, Decimal(100))
    sell = read_order(side="SELL", order_configuration=configuration, filled_size="1", outstanding_hold_amount="2")
    assert sell.size == Size(Decimal(3))


def test_a_working_order_of_unknown_exposure_is_refused() -> None:
    with pytest.raises(CriticalDataUnavailable, match="neither size nor hold"):
        read_order(order_configuration=None, outstanding_hold_amount="")


def test_a_finished_order_without_configuration_is_as_large_as_it_filled() -> None:
    report = order.order(Fields(payloads.filled(order_configuration=None), "order"))
    assert report.size == Size(Decimal("0.002"))


def test_a_number_written_with_an_exponent_is_that_number() -> None:
    fill = order.fill(Fields(payloads.fill(size="1E-8", commission="0E-10", price="6.89e4"), "fill"))
    assert (fill.size, fill.fee, fill.price) == (Size(Decimal("0.00000001")), Decimal(0), Price(Decimal(68900)))


BAD_NUMBERS = [
    "NaN",
    "Infinity",
    "-0.5",
    "-1e-8",
    "1E-99",
    "1E+400",
    "1e",
    "e5",
    "1_000",
    "\uff11\uff12",
    "1" * 60,
    "",
    " 1",
    "0x1",
    "1,5",
]


@pytest.mark.parametrize("text", BAD_NUMBERS)
@pytest.mark.parametrize("field", ["price", "size"])
def test_a_number_no_venue_means_is_refused(field: str, text: str) -> None:
    with pytest.raises(CriticalDataUnavailable, match=field):
        order.fill(Fields(payloads.fill(**{field: text}), "fill"))


@pytest.mark.parametrize("value", [True, None, [], {"value": "1"}, "abc"])
def test_a_number_of_the_wrong_kind_is_refused(value: object) -> None:
    with pytest.raises(CriticalDataUnavailable):
        account.balances(account.wallets(Fields({"accounts": [payloads.wallet(available=value)]}, "accounts")))  # type: ignore[arg-type]  # nonsense on purpose


REQUIRED = {
    "order": (payloads.order, order.order, ["order_id", "product_id", "side", "status", "created_time"]),
    "fill": (
        payloads.fill,
        order.fill,
        ["entry_id", "trade_id", "order_id", "product_id", "side", "price", "size", "commission", "trade_time"],
    ),
}


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, row in REQUIRED.items() for field in row[2]])
@pytest.mark.parametrize("gone", ["absent", "null", "empty"])
def test_a_missing_field_is_named(kind: str, field: str, gone: str) -> None:
    make, parse, _ = REQUIRED[kind]
    payload = make(**({} if gone == "absent" else {field: None if gone == "null" else ""}))
    if gone == "absent":
        del payload[field]
    with pytest.raises(CriticalDataUnavailable, match=field):
        parse(Fields(payload, kind))


def test_a_fill_books_base_price_and_fee() -> None:
    found = order.fill(Fields(payloads.fill(), "fill"))
    assert (found.size, found.value, found.fee) == (Size(Decimal("0.001")), Decimal("60.0005"), Decimal("0.3000025"))
    assert (found.liquidity, found.adjustment) == (Liquidity.MAKER, "")


def test_a_fill_sized_in_quote_is_never_booked_as_base() -> None:
    found = order.fill(Fields(payloads.fill(size="2.6399716828", price="2975.32", size_in_quote=True), "fill"))
    assert found.size is None
    assert found.value == Decimal("2.6399716828")


def test_an_adjustment_and_an_unknown_liquidity_keep_their_names() -> None:
    found = order.fill(Fields(payloads.fill(trade_type="CORRECTION", liquidity_indicator="NEW_KIND"), "fill"))
    assert (found.adjustment, found.liquidity) == ("CORRECTION", Liquidity.UNKNOWN)


def test_cancel_success_means_asked_whatever_reason_comes_with_it() -> None:
    rows = [
        {"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": "a" * 8},
        {"success": False, "failure_reason": "UNKNOWN_CANCEL_ORDER", "order_id": "b" * 8},
        {"success": False, "failure_reason": "DUPLICATE_CANCEL_REQUEST", "order_id": "c" * 8},
    ]
    answers = order.cancel_answers(Fields({"results": rows}, "cancel"), ["c" * 8, "a" * 8, "b" * 8, "d" * 8])
    assert [answer.asked for answer in answers] == [True, True, False, False]
    assert [answer.order_id[0] for answer in answers] == ["c", "a", "b", "d"]
    assert answers[2].reason == "UNKNOWN_CANCEL_ORDER"


def test_wallets_add_up_by_currency_and_pages_that_repeat_one_count_it_once() -> None:
    second = payloads.wallet("USD", "7", "0", uuid="other")
    pages = [
        {"accounts": [payloads.wallet("USD", "10.01", "2"), payloads.wallet("BTC")]},
        {"accounts": [payloads.wallet("BTC"), second]},
    ]
    found = account.balances([wallet for page in pages for wallet in account.wallets(Fields(page, "accounts"))])
    assert [(row.currency, row.available, row.hold) for row in found] == [
        ("BTC", Decimal("1.5"), Decimal("0.25")),
        ("USD", Decimal("17.01"), Decimal(2)),
    ]


def test_a_wallet_that_is_not_ready_is_worth_something_but_cannot_be_spent() -> None:
    page = {"accounts": [payloads.wallet("ETH", "3", "1", ready=False)]}
    (eth,) = account.balances(account.wallets(Fields(page, "accounts")))
    assert (eth.available, eth.total) == (Decimal(0), Decimal(4))


def test_vaults_futures_and_deleted_wallets_are_not_spot_money() -> None:
    rows = [
        payloads.wallet("BTC", type="ACCOUNT_TYPE_VAULT"),
        payloads.wallet("USD", platform="ACCOUNT_PLATFORM_CFM_CONSUMER"),
        payloads.wallet("ETH", deleted_at="2026-01-01T00:00:00Z"),
    ]
    assert account.wallets(Fields({"accounts": rows}, "accounts")) == []


def test_a_wallet_that_contradicts_itself_voids_the_snapshot() -> None:
    page = {"accounts": [payloads.wallet("BTC", available_balance={"value": "1", "currency": "ETH"})]}
    with pytest.raises(CriticalDataUnavailable, match="ETH inside a BTC wallet"):
        account.wallets(Fields(page, "accounts"))


def test_fee_rates_are_fractions_and_nonsense_is_refused() -> None:
    tier = {"fee_tier": {"pricing_tier": "Intro 1", "taker_fee_rate": "0.009", "maker_fee_rate": "0.005"}}
    found = account.fee_tier(Fields(tier, "fee tier"), NOW)
    assert (found.maker, found.taker, found.name) == (Decimal("0.005"), Decimal("0.009"), "Intro 1")
    for maker, taker in (("0.02", "0.01"), ("0.5", "0.9"), ("NaN", "0.1"), ("0.001", "-0.1")):
        bad = {"fee_tier": {"taker_fee_rate": taker, "maker_fee_rate": maker}}
        with pytest.raises(CriticalDataUnavailable):
            account.fee_tier(Fields(bad, "fee tier"), NOW)


def test_venue_time_is_read_to_the_millisecond() -> None:
    answer = {"iso": "2026-11-21T08:12:17Z", "epochSeconds": "1795248737", "epochMillis": "1795248737123"}
    assert account.venue_time(Fields(answer, "t")).microsecond == 123_000
    del answer["epochMillis"]
    assert account.venue_time(Fields({**answer, "iso": "2026-11-21T08:12:17.2Z"}, "t")).microsecond == 200_000


@pytest.mark.parametrize(
    "answer", [{"epochSeconds": "1795248737"}, {"epochSeconds": 1795248737}, {"iso": "2026-11-21T08:12:17Z"}]
)
def test_venue_time_told_in_whole_seconds_is_half_a_second_off_at_most(answer: dict[str, Any]) -> None:
    assert account.venue_time(Fields(answer, "t")) == datetime(2026, 11, 21, 8, 12, 17, 500_000, tzinfo=UTC)


def test_volume_told_in_coins_alone_is_valued_at_the_last_price() -> None:
    told = payloads.product(approximate_quote_24h_volume="", volume_24h="10.5", price="100")
    assert product.product(Fields(told, "product"), NOW).quote_volume_24h == Decimal(1050)
    del told["price"]
    assert product.product(Fields(told, "product"), NOW).quote_volume_24h is None


def test_permissions_must_say_all_three() -> None:
    answer = {"can_view": True, "can_trade": True, "can_transfer": False, "portfolio_uuid": payloads.PORTFOLIO}
    assert account.permissions(Fields(answer, "key")).portfolio_uuid == payloads.PORTFOLIO
    del answer["can_transfer"]
    with pytest.raises(CriticalDataUnavailable, match="can_transfer"):
        account.permissions(Fields(answer, "key"))


def mode(**changes: Any):
    return product.trading_mode(Fields(payloads.product(**changes), "product"))


MODES = {
    "is_disabled": TradingMode.CLOSED,
    "trading_disabled": TradingMode.CLOSED,
    "view_only": TradingMode.CLOSED,
    "cancel_only": TradingMode.CANCEL_ONLY,
    "post_only": TradingMode.POST_ONLY,
    "auction_mode": TradingMode.AUCTION,
    "limit_only": TradingMode.LIMIT_ONLY,
}


@pytest.mark.parametrize(("flag", "expected"), MODES.items())
def test_every_flag_limits_trading_and_a_missing_one_closes_it(flag: str, expected: TradingMode) -> None:
    assert mode() == (TradingMode.NORMAL, "")
    assert mode(**{flag: True}) == (expected, flag)
    assert mode(**{flag: None}) == (TradingMode.CLOSED, f"flag {flag} is missing")


@pytest.mark.parametrize("status", ["offline", "delisted", "", None, "brand_new_status"])
def test_any_status_but_online_closes_a_product(status: str | None) -> None:
    assert mode(status=status)[0] is TradingMode.CLOSED


def test_the_strictest_flag_wins() -> None:
    assert mode(limit_only=True, cancel_only=True)[0] is TradingMode.CANCEL_ONLY


def test_a_product_keeps_its_own_steps_bounds_and_alias() -> None:
    row = payloads.product(
        product_id="BTC-USDC", alias="BTC-USD", quote_currency_id="USDC", new_at="2026-11-01T00:00:00Z"
    )
    found = product.product(Fields(row, "product"), NOW)
    assert (found.id, found.market, found.quote) == ("BTC-USDC", "BTC-USD", "USDC")
    assert found.size_step == Decimal("0.00000001")
    assert found.listed_at == datetime(2026, 11, 1, tzinfo=UTC)


def test_the_placeholder_listing_date_is_no_age() -> None:
    assert product.product(Fields(payloads.product(), "product"), NOW).listed_at is None


def test_one_unreadable_product_does_not_take_the_others_with_it() -> None:
    rows = [
        payloads.product(),
        payloads.product(product_id="ETH-USD", price_increment=""),
        payloads.product(product_id="x y"),
    ]
    readable, unreadable = product.products(Fields({"products": rows}, "products"), NOW)
    assert [row.id for row in readable] == ["BTC-USD"]
    assert len(unreadable) == 2
    assert unreadable[0].startswith("ETH-USD: ")


def test_a_product_list_without_a_readable_row_is_refused() -> None:
    with pytest.raises(CriticalDataUnavailable):
        product.products(Fields({"products": []}, "products"), NOW)


def test_a_book_keeps_its_own_time_but_never_one_from_the_future() -> None:
    found = product.book(Fields(payloads.book(), "book"), BTC, NOW)
    assert found.at == datetime(2026, 11, 21, 8, 28, 59, 662782, tzinfo=UTC)
    assert found.bids[0].price == Price(Decimal("68923.66"))
    future = product.book(Fields(payloads.book(time="2027-01-01T00:00:00Z"), "book"), BTC, NOW)
    assert future.at == NOW


@pytest.mark.parametrize(
    "change",
    [
        {"product_id": "ETH-USD"},
        {"bids": [{"price": "1", "size": "1"}, {"price": "2", "size": "1"}]},
        {"asks": [{"price": "1", "size": "1"}, {"price": "1", "size": "1"}]},
        {"asks": [{"price": "0", "size": "1"}]},
        {"asks": None},
        {"time": ""},
    ],
)
def test_a_book_that_cannot_be_true_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CriticalDataUnavailable):
        product.book(Fields(payloads.book(**change), "book"), BTC, NOW)


def candles(*rows: dict[str, Any], start: int = 0, end: int = 600):
    return product.candles(Fields({"candles": list(rows)}, "candles"), Granularity.ONE_MINUTE, start, end)


def test_candles_come_oldest_first_within_the_asked_window() -> None:
    found = candles(payloads.candle(600), payloads.candle(120), payloads.candle(60), payloads.candle(60))
    assert [int(bar.start.timestamp()) for bar in found] == [60, 120]


@pytest.mark.parametrize(
    "row",
    [
        payloads.candle(61),
        payloads.candle(60, low="12"),
        payloads.candle(60, volume="-1"),
        payloads.candle(60, close="0"),
        payloads.candle(60, close="NaN"),
    ],
)
def test_a_candle_that_cannot_be_true_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(CriticalDataUnavailable):
        candles(row)


def test_a_candle_given_twice_with_two_values_is_refused() -> None:
    with pytest.raises(CriticalDataUnavailable, match="twice"):
        candles(payloads.candle(60), payloads.candle(60, close="9.5"))


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("2026-11-21T08:12:17Z", 0),
        ("2026-11-21T08:12:17.5+00:00", 500_000),
        ("2026-11-21T00:12:17.123456789-08:00", 123_456),
    ],
)
def test_times_of_any_precision_and_offset_become_utc(text: str, micros: int) -> None:
    found = parse_rfc3339(text)
    assert (found.hour, found.microsecond, found.tzinfo) == (8, micros, UTC)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-21", "2026-13-01T00:00:00Z", "2026-11-21T08:12:17", "9999-12-31T23:59:59-12:00"]
)
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UnitError):
        parse_rfc3339(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(payloads.order())), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
def test_no_nonsense_gets_past_the_edge_or_crashes_it(nonsense: Any) -> None:
    """Whatever the venue sends becomes a value or CriticalDataUnavailable, never another exception."""
    for parse in (order.order, order.fill, lambda row: product.book(row, BTC, NOW), account.venue_time, order.preview):
        payload = {**payloads.order(), **nonsense} if isinstance(nonsense, dict) else nonsense
        try:
            parse(Fields(payload, "nonsense"))
        except CriticalDataUnavailable:
            continue


@given(st.binary(max_size=60))
def test_no_bytes_crash_the_parser(content: bytes) -> None:
    try:
        assert isinstance(parse_document(content), dict)
    except NotStrictJson:
        return
