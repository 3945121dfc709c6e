"""Takers: what they pay, how far they go, and what becomes of the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.money import Percent
from bot.domain.product import ProductId
from bot.venue.market import DepthModel, MarketSlice
from bot.venue.orders import DOWN, LimitFok, LimitGtc, LimitIoc, MarketIoc, StopLimit
from tests.venue.kit import BTC, BUY, SECOND, SELL, World, bars, book, d, product, ticks

BOOK = book([("99.00", "1"), ("98.00", "2")], [("101.00", "1"), ("102.00", "2"), ("103.00", "5")])


def test_a_market_buy_in_a_bar_pays_the_next_opening_never_the_bar_it_was_decided_on() -> None:
    world = World(bars())
    world.bar("100", "110", "90", "105")
    order = world.placed(BUY, MarketIoc(d("1")))
    assert world.status(order) == "PENDING"
    world.bar("106", "120", "80", "90")
    assert world.traded(order) == [("106", "1")]
    assert world.status(order) == "FILLED"


def test_two_bars_of_latency_skip_one_opening() -> None:
    world = World(bars(latency_bars=2))
    world.flat("100")
    order = world.placed(BUY, MarketIoc(d("1")))
    world.flat("101")
    assert world.traded(order) == []
    world.flat("102")
    assert world.traded(order) == [("102", "1")]


def test_an_order_sent_while_a_bar_runs_waits_for_the_next_whole_bar() -> None:
    world = World(bars())
    world.flat("100")
    start = world.now
    world.venue.advance(start + 10 * SECOND, {})
    order = world.placed(BUY, MarketIoc(d("1")))
    late = MarketSlice(
        world.order(order).market, start, start + timedelta(minutes=1), d("101"), d("101"), d("101"), d("101"), d("9")
    )
    world.slice(late)
    assert world.traded(order) == []
    world.flat("103")
    assert world.traded(order) == [("103", "1")]


def test_spread_then_slippage_then_the_tick_all_count_against_the_taker() -> None:
    world = World(bars(half_spread_bps=d("10"), slippage_bps=d("20")))
    world.flat("100")
    buy, sell = world.placed(BUY, MarketIoc(d("1"))), world.placed(SELL, MarketIoc(d("1")))
    world.flat("100")
    assert world.traded(buy) == [("100.31", "1")]  # 100.10 x 1.002 = 100.3002, up to the cent
    assert world.traded(sell) == [("99.7", "1")]  # 99.90 x 0.998 = 99.7002, down to the cent


def paid(world: World, order: str) -> list[tuple[str, str]]:
    """(spread, slippage) of each fill as plain text."""
    return [(f"{fill.spread.normalize():f}", f"{fill.slippage.normalize():f}") for fill in world.fills_of(order)]


def test_every_fill_of_a_taker_tells_what_crossing_cost_it_and_a_maker_paid_nothing() -> None:
    """From the opening to the touch, and from the touch to its price, whole ticks in both."""
    world = World(bars(half_spread_bps=d("10"), slippage_bps=d("20")))
    world.flat("100.033")
    buy, sell = world.placed(BUY, MarketIoc(d("2"))), world.placed(SELL, MarketIoc(d("2")))
    rests, bound = world.placed(BUY, LimitGtc(d("1"), d("99"), True)), world.placed(BUY, LimitIoc(d("1"), d("100.14")))
    world.bar("100.033", "100.033", "98", "98")
    assert world.traded(buy) == [("100.35", "2")]  # touch 100.14, then 100.34028
    assert paid(world, buy) == [("0.214", "0.42")]
    assert world.traded(sell) == [("99.73", "2")]  # touch 99.93, then 99.73014
    assert paid(world, sell) == [("0.206", "0.4")]
    assert paid(world, bound) == [("0.107", "0")], "its limit kept the slippage away"
    assert paid(world, rests) == [("0", "0")]


def test_a_stop_crosses_no_spread_and_a_gap_is_the_market_not_a_cost() -> None:
    world = World(bars(half_spread_bps=d("10"), slippage_bps=d("20")))
    world.flat("100")
    at_its_stop = world.placed(SELL, StopLimit(d("1"), d("80"), d("95"), DOWN))
    world.bar("100", "100", "94", "96")
    in_a_gap = world.placed(SELL, StopLimit(d("1"), d("80"), d("95"), DOWN))
    world.bar("90", "91", "89", "90")
    assert (world.traded(at_its_stop), paid(world, at_its_stop)) == ([("94.81", "1")], [("0", "0.19")])
    assert (world.traded(in_a_gap), paid(world, in_a_gap)) == ([("89.82", "1")], [("0", "0.18")])


def test_walking_a_recorded_book_pays_half_its_spread_and_then_every_level() -> None:
    world = World(ticks())
    world.tick("100", depth=BOOK)
    order = world.placed(BUY, MarketIoc(d("2")))
    assert world.traded(order) == [("101", "1"), ("102", "1")]
    assert paid(world, order) == [("1", "0"), ("1", "1")]


def test_slippage_never_carries_a_taker_past_its_limit() -> None:
    world = World(bars(slippage_bps=d("50")))
    world.flat("100")
    order = world.placed(BUY, LimitIoc(d("1"), d("100.10")))
    world.flat("100")
    assert world.traded(order) == [("100.1", "1")]


def test_an_ioc_below_the_market_is_cancelled_without_a_fill() -> None:
    world = World(bars())
    world.flat("100")
    order = world.placed(BUY, LimitIoc(d("1"), d("99")))
    world.bar("100", "100", "90", "95")
    assert (world.status(order), world.traded(order)) == ("CANCELLED", [])
    assert world.wallet("USD") == (d("10000"), d("0"))


def test_takers_share_a_tenth_of_the_bar_and_the_rest_of_an_ioc_is_cancelled() -> None:
    world = World(bars(participation_pct=Percent(d("10"))))
    world.flat("100")
    first, second = world.placed(BUY, LimitIoc(d("3"), d("105"))), world.placed(BUY, LimitIoc(d("3"), d("105")))
    world.flat("100", volume="40.0059")
    assert world.traded(first) == [("100", "3")]
    assert world.traded(second) == [("100", "1")]  # a tenth of 40.0059 in whole thousandths is 4.000
    assert world.status(second) == "CANCELLED"


def test_under_touch_a_taker_is_not_bound_by_the_volume() -> None:
    world = World(bars(model="touch", participation_pct=Percent(d("10"))))
    world.flat("100")
    order = world.placed(BUY, MarketIoc(d("3")))
    world.flat("100", volume="1")
    assert world.traded(order) == [("100", "3")]


def test_a_taker_walks_the_recorded_book_level_by_level() -> None:
    world = World(ticks(protect=False))
    world.tick("100", depth=BOOK)
    order = world.placed(BUY, MarketIoc(d("4")))
    assert world.traded(order) == [("101", "1"), ("102", "2"), ("103", "1")]
    assert world.order(order).average_price == d("102")


def test_what_one_order_took_of_the_book_the_next_cannot_take() -> None:
    world = World(ticks(protect=False))
    world.tick("100", depth=BOOK)
    world.placed(BUY, MarketIoc(d("2")))
    second = world.placed(BUY, MarketIoc(d("2")))
    assert world.traded(second) == [("102", "1"), ("103", "1")]
    world.tick("100", depth=book([("99", "1")], [("101", "1")]))
    third = world.placed(BUY, MarketIoc(d("1")))
    assert world.traded(third) == [("101", "1")]


def test_a_depth_model_is_laid_around_the_touch() -> None:
    world = World(ticks(protect=False))
    world.tick("100")
    order = world.placed(BUY, MarketIoc(d("25")))
    assert world.traded(order) == [("100", "10"), ("100.1", "9.99"), ("100.2", "5.01")]


def test_a_limit_that_crosses_takes_what_it_may_and_rests_with_the_remainder() -> None:
    world = World(ticks())
    world.tick("100", depth=BOOK)
    order = world.placed(BUY, LimitGtc(d("5"), d("102.00")))
    assert world.traded(order) == [("101", "1"), ("102", "2")]
    assert world.status(order) == "OPEN"
    world.tick("101.99", volume="5")
    assert world.traded(order)[2:] == [("102", "2")]
    assert [fill.liquidity.value for fill in world.fills_of(order)] == ["TAKER", "TAKER", "MAKER"]


def test_a_limit_that_ran_out_of_liquidity_goes_on_taking_at_the_market_not_at_its_limit() -> None:
    """Its limit of 105 is an upper bound, not a wish: the second bar sells it at 101."""
    world = World(bars(participation_pct=Percent(d("10"))))
    world.flat("100")
    order = world.placed(BUY, LimitGtc(d("3"), d("105")))
    world.flat("100", volume="10")
    world.flat("101", volume="10")
    world.bar("106", "106", "104.99", "106", volume="0")
    assert world.traded(order) == [("100", "1"), ("101", "1")]
    world.bar("106", "106", "104", "106", volume="1000")
    assert world.traded(order)[2:] == [("105", "1")]


def test_fill_or_kill_fills_whole_or_not_at_all() -> None:
    world = World(ticks(protect=False))
    world.tick("100", depth=BOOK)
    too_much = world.placed(BUY, LimitFok(d("4"), d("102")))
    assert (world.status(too_much), world.traded(too_much)) == ("CANCELLED", [])
    whole = world.placed(BUY, LimitFok(d("3"), d("102")))
    assert world.status(whole) == "FILLED"


@pytest.mark.parametrize(("base", "stops_at"), [("BTC", "102"), ("SOL", "103")])
def test_a_market_order_stops_at_the_protection_distance_and_the_rest_is_cancelled(base: str, stops_at: str) -> None:
    market = ProductId(f"{base}-USD")
    world = World(ticks(), [product(market)], USD="10000")
    depth = book([("99.99", "1")], [("100.01", "1"), ("101.99", "1"), ("102.99", "1"), ("104", "1")])
    world.tick("100", depth=depth, market=market)
    order = world.placed(BUY, MarketIoc(d("4")), product=market)
    assert world.status(order) == "CANCELLED"
    assert all(fill.price < d(stops_at) for fill in world.fills_of(order))
    assert len(world.fills_of(order)) == (2 if base == "BTC" else 3)
    assert world.order(order).cancel_message == "Price protection reached"


def test_an_aggressive_limit_is_protected_too_and_does_not_rest_with_the_remainder() -> None:
    world = World(ticks())
    world.tick("100", depth=book([("99.99", "1")], [("100.01", "1"), ("103", "1")]))
    order = world.placed(BUY, LimitGtc(d("2"), d("104")))
    assert (world.status(order), world.traded(order)) == ("CANCELLED", [("100.01", "1")])


def test_a_quote_sized_buy_spends_its_amount_fee_included_and_never_more() -> None:
    world = World(ticks(protect=False))
    world.tick("100", depth=book([("99", "1")], [("3", "1"), ("7.13", "10")]))
    order = world.placed(BUY, MarketIoc(quote_size=d("10.09")))
    record = world.order(order)
    assert record.status.value == "FILLED"
    spent = d("10000") - world.wallet("USD")[0]
    assert d("10.0899999999999") < spent <= d("10.09")
    assert record.filled_value + record.fees == spent
    assert record.size_inclusive_of_fees


def test_a_quote_sized_order_with_less_than_a_cent_left_is_filled() -> None:
    world = World(ticks(protect=False))
    world.tick("100", depth=book([("99", "1")], [("9.995", "1")]))
    order = world.placed(BUY, LimitIoc(None, d("10"), quote_size=d("10")))
    assert world.traded(order) == [("9.995", "1")]
    assert world.status(order) == "FILLED"


def test_a_recorded_level_is_taken_in_whole_size_steps() -> None:
    world = World(ticks(protect=False))
    world.tick("100", depth=book([("99", "1")], [("100", "0.50049"), ("101", "5")]))
    order = world.placed(BUY, MarketIoc(d("1")))
    assert world.traded(order) == [("100", "0.5"), ("101", "0.5")]


def test_depth_grows_level_by_level_where_the_model_says_so() -> None:
    world = World(ticks(protect=False, depth=DepthModel(d("100"), d("100"), d("2"), 3)))
    world.tick("100")
    order = world.placed(SELL, MarketIoc(d("10")))
    assert world.traded(order) == [("100", "1"), ("99", "2.02"), ("98", "4.081")]
    assert world.status(order) == "CANCELLED"


def test_a_seller_is_not_carried_past_its_limit_by_slippage_either() -> None:
    world = World(bars(slippage_bps=d("50")))
    world.flat("100")
    order = world.placed(SELL, LimitIoc(d("1"), d("99.90")))
    world.flat("100")
    assert world.traded(order) == [("99.9", "1")]


def test_the_made_up_spread_is_rounded_to_the_tick_away_from_the_mid() -> None:
    world = World(bars(half_spread_bps=d("1")))
    world.flat("33.33")
    quote = world.venue.quote(BTC)
    assert quote is not None
    assert (quote.bid.value, quote.ask.value) == (d("33.32"), d("33.34"))


def test_a_triggered_stop_goes_on_selling_beyond_the_protection_distance() -> None:
    world = World(ticks())
    world.tick("100")
    stop = world.placed(SELL, StopLimit(d("2"), d("80"), d("95"), DOWN))
    world.tick("95", depth=book([("95", "0.5")], [("96", "1")]))
    world.tick("94", depth=book([("94", "0.5"), ("88", "1")], [("100", "1")]))
    assert world.traded(stop) == [("95", "0.5"), ("94", "0.5"), ("88", "1")]


def test_a_market_buy_sized_in_base_cannot_spend_what_is_not_there() -> None:
    world = World(bars(), USD="101")
    world.flat("100")
    order = world.placed(BUY, MarketIoc(d("1")))
    assert world.wallet("USD") == (d("0"), d("101"))
    world.flat("110")
    assert world.traded(order) == [("110", "0.909")]  # 0.909 x 110 x 1.009 = 100.89 of the 101
    assert (world.status(order), world.order(order).cancel_message) == ("CANCELLED", "Insufficient funds")
    assert world.wallet("USD")[0] >= 0
    assert world.venue.residuals() == {"BTC": 0, "USD": 0}
