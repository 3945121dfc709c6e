"""Every refusal at create carries the venue's own names; an order just inside the rule is accepted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.domain.money import Percent
from bot.domain.product import ProductId, TradingMode
from bot.domain.value import replace
from bot.venue.orders import (
    DOWN,
    UP,
    Accepted,
    BracketConfig,
    Configuration,
    LimitFok,
    LimitGtc,
    LimitGtd,
    LimitIoc,
    MarketIoc,
    OrderRequest,
    Refused,
    StopLimit,
)
from tests.venue.kit import BTC, BUY, MINUTE, SELL, START, World, bars, bracket, d, product, ticks

SOON, PAST, FAR = START + 5 * MINUTE, START, START + timedelta(days=400)


def world(**changes) -> World:
    made = World(ticks(**changes), USD="10000", BTC="10")
    made.tick("100")
    return made


# refused under one name, which the preview repeats behind PREVIEW_
NAMED = [
    (BUY, LimitGtc(d("1"), d("99.001")), "INVALID_PRICE_PRECISION"),
    (BUY, LimitGtc(d("1.0001"), d("99")), "INVALID_SIZE_PRECISION"),
    (BUY, LimitGtc(d("1"), d("0")), "INVALID_LIMIT_PRICE"),
    (BUY, LimitGtc(d("1"), d("Infinity")), "INVALID_LIMIT_PRICE"),
    (BUY, LimitGtc(d("102"), d("99")), "INSUFFICIENT_FUND"),
    (SELL, LimitGtc(d("10.001"), d("101")), "INSUFFICIENT_FUND"),
    (BUY, MarketIoc(d("100")), "INSUFFICIENT_FUND"),
    (BUY, MarketIoc(quote_size=d("10000.01")), "INSUFFICIENT_FUND"),
    (BUY, LimitGtc(d("1"), d("100"), True), "INVALID_LIMIT_PRICE_POST_ONLY"),
    (SELL, LimitGtc(d("1"), d("100"), True), "INVALID_LIMIT_PRICE_POST_ONLY"),
    (BUY, LimitGtd(d("1"), d("99")), "GTD_ORDERS_MUST_HAVE_END_TIME"),
    (BUY, LimitGtd(d("1"), d("99"), False, PAST), "END_TIME_IS_IN_THE_PAST"),
    (BUY, LimitGtd(d("1"), d("99"), False, FAR), "END_TIME_TOO_FAR_IN_FUTURE"),
    (SELL, StopLimit(d("1"), d("90"), d("95"), DOWN, PAST), "END_TIME_IS_IN_THE_PAST"),
    (SELL, BracketConfig(d("1"), d("94"), d("95")), "INVALID_BRACKET_PRICES"),
    (SELL, BracketConfig(d("1"), d("99"), d("95")), "INVALID_BRACKET_LIMIT_PRICE"),
    (SELL, BracketConfig(d("1"), d("110"), d("101")), "INVALID_BRACKET_STOP_TRIGGER_PRICE"),
    (BUY, BracketConfig(d("1"), d("101"), d("105")), "INVALID_BRACKET_LIMIT_PRICE"),
    (BUY, LimitIoc(d("1"), d("110.01")), "LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY"),
    (SELL, LimitFok(d("1"), d("89.99")), "LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_SELL"),
]  # fmt: skip
# named by the preview only: the create answer says UNKNOWN_FAILURE_REASON
PREVIEWED = [
    (BUY, MarketIoc(quote_size=d("10.001")), "INVALID_QUOTE_SIZE_PRECISION"),
    (SELL, StopLimit(d("1"), d("90"), d("0"), DOWN), "INVALID_STOP_PRICE"),
    (SELL, LimitGtc(d("1001"), d("101")), "INVALID_BASE_SIZE_TOO_LARGE"),
    (BUY, LimitGtc(d("0.009"), d("99")), "INVALID_QUOTE_SIZE_TOO_SMALL"),
    (SELL, MarketIoc(d("0.009")), "INVALID_QUOTE_SIZE_TOO_SMALL"),
    (BUY, MarketIoc(quote_size=d("0.99")), "INVALID_QUOTE_SIZE_TOO_SMALL"),
    (BUY, MarketIoc(quote_size=d("1000001")), "INVALID_QUOTE_SIZE_TOO_LARGE"),
    (SELL, StopLimit(d("1"), d("90"), d("95.001"), DOWN), "INVALID_STOP_PRICE_PRECISION"),
    (SELL, StopLimit(d("1"), d("90"), d("100.01"), DOWN), "STOP_PRICE_ABOVE_LAST_TRADE_PRICE"),
    (BUY, StopLimit(d("1"), d("110"), d("99.99"), UP), "STOP_PRICE_BELOW_LAST_TRADE_PRICE"),
    (SELL, StopLimit(d("1"), d("96"), d("95"), DOWN), "STOP_PRICE_BELOW_LIMIT_PRICE"),
    (BUY, StopLimit(d("1"), d("104"), d("105"), UP), "STOP_PRICE_ABOVE_LIMIT_PRICE"),
    (SELL, BracketConfig(d("1"), d("110.001"), d("95")), "INVALID_BRACKET_LIMIT_PRICE_PRECISION"),
    (SELL, BracketConfig(d("1"), d("110"), d("95.001")), "INVALID_STOP_TRIGGER_PRICE_PRECISION"),
]  # fmt: skip
# refused as UNSUPPORTED_ORDER_CONFIGURATION
UNSUPPORTED = [
    (SELL, LimitGtc(d("0.000"), d("101")), "INVALID_ORDER_CONFIG"),
    (SELL, LimitGtc(d("-1"), d("101")), "INVALID_ORDER_CONFIG"),
    (SELL, LimitGtc(d("NaN"), d("101")), "INVALID_ORDER_CONFIG"),
    (BUY, MarketIoc(), "NON_NUMERIC_ORDER_SIZE"),
    (BUY, MarketIoc(d("1"), d("100")), "INVALID_ORDER_CONFIG"),
    (SELL, MarketIoc(quote_size=d("10")), "INVALID_ORDER_CONFIG"),
]  # fmt: skip
REFUSED = [
    *[(side, config, name, name) for side, config, name in NAMED],
    *[(side, config, "UNKNOWN_FAILURE_REASON", name) for side, config, name in PREVIEWED],
    *[(side, config, "UNSUPPORTED_ORDER_CONFIGURATION", name) for side, config, name in UNSUPPORTED],
]


@pytest.mark.parametrize(("side", "config", "error", "preview"), REFUSED)
def test_a_faulty_order_is_refused_by_name_and_holds_nothing(side, config, error, preview) -> None:
    made = world()
    answer = made.refused(side, config)
    assert (answer.error, answer.preview_failure_reason) == (error, f"PREVIEW_{preview}")
    assert made.wallet("USD") == (d("10000"), d("0"))
    assert made.venue.orders() == []


@pytest.mark.parametrize(("side", "config", "error", "preview"), REFUSED)
def test_the_preview_names_the_same_reason(side, config, error, preview) -> None:
    made = world()
    assert f"PREVIEW_{preview}" in made.venue.preview(OrderRequest("", BTC, side, config), made.now).errors
    assert made.venue.orders() == []


@pytest.mark.parametrize(
    ("side", "config"),
    [
        (BUY, LimitGtc(d("0.011"), d("99.99"), True)),
        (SELL, LimitGtc(d("10"), d("100.01"), True)),
        (BUY, LimitIoc(d("1"), d("110"))),
        (BUY, LimitGtd(d("1"), d("99"), True, SOON)),
        (SELL, StopLimit(d("1"), d("95"), d("95"), DOWN, SOON)),
        (SELL, StopLimit(d("1"), d("40"), d("50"), DOWN)),
        (BUY, StopLimit(d("1"), d("105"), d("105"), UP)),
        (SELL, BracketConfig(d("1"), d("100.01"), d("99.99"))),
        (BUY, BracketConfig(d("1"), d("95"), d("105"))),
        (BUY, MarketIoc(quote_size=d("10000"))),
        (BUY, LimitGtc(None, d("99"), quote_size=d("500"))),
        (SELL, LimitGtc(None, d("101"), quote_size=d("500"))),
        (BUY, LimitGtc(d("1"), d("10"))),
    ],
)
def test_an_order_just_inside_the_rules_is_accepted(side, config) -> None:
    made = world()
    assert made.venue.preview(OrderRequest("", BTC, side, config), made.now).errors == ()
    assert isinstance(made.send(side, config), Accepted)


def test_messages_are_the_recorded_ones() -> None:
    made = world()
    said: dict[str, Configuration] = {
        "Too many decimals in order price": LimitGtc(d("1"), d("99.001")),
        "Too many decimals in order amount": LimitGtc(d("1.0001"), d("99")),
        "Insufficient balance in source account": LimitGtc(d("102"), d("99")),
        "Market orders cannot be placed with empty order sizes": MarketIoc(),
    }
    assert {made.refused(BUY, config).message for config in said.values()} == set(said)
    market_sell = made.refused(SELL, MarketIoc(quote_size=d("1")))
    assert market_sell.message.endswith("Market sells must be parameterized in base currency")


ATTACHED = [
    (BUY, StopLimit(d("1"), d("106"), d("105"), UP), bracket("120", "90"),
     "ATTACHED_ORDERS_ONLY_ALLOWED_ON_MARKET_LIMIT"),
    (SELL, LimitGtc(d("1"), d("101")), bracket("120", "90"), "INVALID_ORDER_SIDE_FOR_ATTACHED_TPSL"),
    (BUY, LimitGtc(d("1"), d("99")), bracket("120.001", "90"), "INVALID_ATTACHED_TAKE_PROFIT_PRICE_PRECISION"),
    (BUY, LimitGtc(d("1"), d("99")), bracket("120", "90.001"), "INVALID_ATTACHED_STOP_LOSS_PRICE_PRECISION"),
    (BUY, LimitGtc(d("1"), d("99")), bracket("99", "90"), "INVALID_ATTACHED_TAKE_PROFIT_PRICE"),
    (BUY, MarketIoc(d("1")), bracket("120", "100"), "INVALID_ATTACHED_STOP_LOSS_PRICE"),
]  # fmt: skip


@pytest.mark.parametrize(("side", "config", "legs", "error"), ATTACHED)
def test_a_faulty_attached_bracket_is_refused(side, config, legs, error) -> None:
    answer = world().refused(side, config, attached=legs)
    assert (answer.error, answer.preview_failure_reason) == (error, f"PREVIEW_{error}")


@pytest.mark.parametrize(
    ("mode", "reason", "config", "error"),
    [
        (TradingMode.CLOSED, "trading_disabled", LimitGtc(d("1"), d("99"), True), "TRADING_DISABLED"),
        (TradingMode.CLOSED, "is_disabled", LimitGtc(d("1"), d("99"), True), "ORDER_ENTRY_DISABLED"),
        (TradingMode.CLOSED, "status delisted", LimitGtc(d("1"), d("99"), True), "PRODUCT_TRADING_HALTED"),
        (TradingMode.CLOSED, "view_only", LimitGtc(d("1"), d("99"), True), "UNTRADABLE_PRODUCT"),
        (TradingMode.CANCEL_ONLY, "cancel_only", LimitGtc(d("1"), d("99"), True), "ORDER_ENTRY_DISABLED"),
        (TradingMode.LIMIT_ONLY, "limit_only", MarketIoc(d("1")), "ORDER_ENTRY_DISABLED"),
        (TradingMode.AUCTION, "auction_mode", MarketIoc(d("1")), "ORDER_ENTRY_DISABLED"),
        (TradingMode.POST_ONLY, "post_only", LimitGtc(d("1"), d("99")), "ORDER_ENTRY_DISABLED"),
    ],
)
def test_the_products_mode_refuses_what_it_does_not_permit(mode, reason, config, error) -> None:
    made = world()
    made.venue.set_product(replace(product(mode=mode), mode_reason=reason))
    assert made.refused(BUY, config).error == error


@pytest.mark.parametrize(
    ("mode", "config"),
    [
        (TradingMode.LIMIT_ONLY, LimitGtc(d("1"), d("99"))),
        (TradingMode.AUCTION, LimitGtc(d("1"), d("99"))),
        (TradingMode.POST_ONLY, LimitGtc(d("1"), d("99"), True)),
    ],
)
def test_the_products_mode_lets_through_what_it_permits(mode, config) -> None:
    made = world()
    made.venue.set_product(product(mode=mode))
    made.placed(BUY, config)


def test_unknown_products_empty_ids_and_wallets_never_touched_are_refused() -> None:
    made = World(ticks(), USD="100")
    made.tick("100")
    assert made.refused(BUY, MarketIoc(d("1")), product=ProductId("DOGE-USD")).error == "INVALID_PRODUCT_ID"
    assert made.venue.preview(OrderRequest("", ProductId("DOGE-USD"), BUY, MarketIoc(d("1"))), made.now).errors == (
        "PREVIEW_INVALID_PRODUCT_ID",
    )
    nameless = made.venue.place(OrderRequest("", BTC, BUY, MarketIoc(d("1"))), made.now)
    assert isinstance(nameless, Refused)
    assert nameless.error == "INVALID_REQUEST"
    assert made.refused(SELL, LimitGtc(d("1"), d("101"))).message == "account is not available"


def test_before_any_market_data_a_market_order_finds_no_liquidity_and_a_stop_no_trade() -> None:
    made = World(ticks())
    assert made.refused(BUY, MarketIoc(d("1"))).error == "INVALID_NO_LIQUIDITY"
    assert made.refused(SELL, StopLimit(d("1"), d("90"), d("95"), DOWN)).error == "MISSING_MARKET_TRADE_DATA"
    assert made.refused(SELL, BracketConfig(d("1"), d("110"), d("95"))).error == "MISSING_MARKET_TRADE_DATA"
    made.placed(BUY, LimitGtc(d("1"), d("99")))


def test_a_shortfall_can_be_blamed_on_the_bracket_that_holds_the_base() -> None:
    made = World(ticks(bracket_shortfall=True), USD="1", BTC="1")
    made.tick("100")
    made.placed(SELL, BracketConfig(d("1"), d("110"), d("95")))
    answer = made.refused(SELL, LimitGtc(d("1"), d("101")))
    assert (answer.error, answer.preview_failure_reason) == (
        "OPEN_BRACKET_ORDERS", "PREVIEW_ORDER_SIZE_EXCEEDS_BRACKETED_POSITION",
    )  # fmt: skip
    assert made.refused(SELL, LimitGtc(d("2"), d("101"))).error == "INSUFFICIENT_FUND"


def test_a_limit_far_on_its_passive_side_is_refused_only_when_the_rules_bound_it() -> None:
    made = world(far_pct=Percent(d("50")))
    assert made.refused(BUY, LimitGtc(d("1"), d("49.99"))).error == "LIMIT_PRICE_TOO_FAR_FROM_MARKET"
    assert made.refused(SELL, LimitGtc(d("1"), d("150.01"))).error == "LIMIT_PRICE_TOO_FAR_FROM_MARKET"
    made.placed(BUY, LimitGtc(d("1"), d("50")))
    made.placed(SELL, LimitGtc(d("1"), d("150")))


def test_a_preview_estimates_value_fee_and_slippage_by_walking_the_book() -> None:
    made = world()
    seen = made.venue.preview(OrderRequest("", BTC, BUY, MarketIoc(d("15"))), made.now)
    value = d("100") * 10 + d("100.10") * 5
    assert (seen.base_size, seen.quote_size, seen.commission_total) == (d("15"), value, value * d("0.009"))
    assert seen.order_total == value + seen.commission_total
    assert abs(seen.slippage - (value / 15 - 100) / 100) < Decimal("1e-20")
    resting = made.venue.preview(OrderRequest("", BTC, SELL, LimitGtc(d("2"), d("120"))), made.now)
    assert (resting.quote_size, resting.commission_total, resting.order_total) == (d("240"), d("1.2"), d("238.8"))
    assert (resting.best_bid, resting.best_ask, resting.slippage) == (d("100"), d("100"), d("0"))


def test_a_preview_of_a_quote_sized_buy_leaves_room_for_the_fee() -> None:
    made = world()
    seen = made.venue.preview(OrderRequest("", BTC, BUY, MarketIoc(quote_size=d("100.90"))), made.now)
    assert (seen.base_size, seen.quote_size, seen.commission_total) == (d("1"), d("100"), d("0.9"))
    assert seen.order_total == d("100.9")


def test_a_preview_reserves_nothing_and_does_not_use_up_the_id() -> None:
    made = World(bars())
    made.flat("100")
    request = OrderRequest("mine", BTC, BUY, LimitGtc(d("1"), d("99")))
    before = made.venue.balances()
    assert made.venue.preview(request, made.now).errors == ()
    assert made.venue.balances() == before
    assert isinstance(made.venue.place(request, made.now), Accepted)


@pytest.mark.parametrize(
    ("meanwhile", "error"),
    [
        (lambda made: made.venue.transfer("USD", d("-9950"), made.now), "INSUFFICIENT_FUND"),
        (lambda made: made.tick("80"), "LIMIT_ORDER_PRICE_EXCEEDS_PRICE_BAND_ON_BUY"),
        (lambda made: made.venue.set_product(product(mode=TradingMode.CANCEL_ONLY)), "ORDER_ENTRY_DISABLED"),
    ],
)
def test_an_order_whose_preview_was_fine_is_refused_for_what_changed_since(meanwhile, error) -> None:
    made = world()
    request = OrderRequest("mine", BTC, BUY, LimitGtc(d("1"), d("99")))
    assert made.venue.preview(request, made.now).errors == ()
    meanwhile(made)
    answer = made.venue.place(request, made.now)
    assert isinstance(answer, Refused)
    assert answer.error == error


def test_a_size_below_the_base_minimum_is_refused() -> None:
    made = world()
    made.venue.set_product(replace(product(), base_min=d("0.5")))
    answer = made.refused(BUY, LimitGtc(d("0.499"), d("99")))
    assert answer.preview_failure_reason == "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"
    made.placed(BUY, LimitGtc(d("0.5"), d("99")))
