"""Orders at rest: a touch is not a fill, a share of the volume is, and the queue is price, then time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import Percent
from bot.domain.product import TradingMode
from bot.venue.market import DepthModel, MarketSlice
from bot.venue.orders import DOWN, UP, BracketConfig, LimitGtc, LimitIoc, MarketIoc, StopLimit
from tests.venue.kit import BTC, BUY, SELL, USDC, World, bars, book, d, product, ticks


def test_a_touch_of_the_limit_is_not_a_fill() -> None:
    world = World(bars())
    world.flat("100")
    buy, sell = world.placed(BUY, LimitGtc(d("1"), d("99"), True)), world.placed(SELL, LimitGtc(d("1"), d("101"), True))
    world.bar("100", "101", "99", "100")
    assert world.traded(buy) == world.traded(sell) == []
    world.bar("100", "101.01", "98.99", "100")
    assert (world.traded(buy), world.traded(sell)) == ([("99", "1")], [("101", "1")])


def test_under_touch_the_limit_itself_fills_and_a_gap_fills_at_the_opening() -> None:
    world = World(bars(model="touch"))
    world.flat("100")
    buy, sell = world.placed(BUY, LimitGtc(d("1"), d("99"), True)), world.placed(SELL, LimitGtc(d("1"), d("101"), True))
    world.bar("100", "101", "100", "100.50")
    assert (world.traded(buy), world.traded(sell)) == ([], [("101", "1")])
    world.bar("98", "98", "98", "98")
    assert world.traded(buy) == [("98", "1")]


def test_a_gap_through_a_resting_limit_fills_at_the_limit_when_pessimistic() -> None:
    world = World(bars())
    world.flat("100")
    buy = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    world.flat("100")
    world.flat("95")
    assert world.traded(buy) == [("99", "1")]
    assert world.fills_of(buy)[0].fee == d("99") * d("0.005")


def test_resting_orders_share_a_tenth_of_the_volume_best_price_first_then_oldest() -> None:
    world = World(bars(participation_pct=Percent(d("10"))))
    world.flat("100")
    late_at_98 = world.placed(BUY, LimitGtc(d("1"), d("98"), True))
    first_at_99 = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    second_at_99 = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    world.flat("100", volume="0")
    world.bar("100", "100", "97", "97", volume="15")
    assert world.traded(first_at_99) == [("99", "1")]
    assert world.traded(second_at_99) == [("99", "0.5")]
    assert world.traded(late_at_98) == []
    assert world.status(second_at_99) == "OPEN"
    assert world.order(second_at_99).completion_percentage == d("50")


def test_a_makers_share_is_cut_to_whole_size_steps() -> None:
    world = World(bars(participation_pct=Percent(d("10"))))
    world.flat("100")
    order = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    world.bar("100", "100", "98", "98", volume="5.0095")
    assert world.traded(order) == [("99", "0.5")]


def test_under_touch_the_volume_bounds_nobody() -> None:
    world = World(bars(model="touch"))
    world.flat("100")
    order = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    world.bar("100", "100", "99", "99", volume="0")
    assert world.traded(order) == [("99", "1")]


def test_under_touch_a_tick_beyond_the_limit_fills_at_the_limit() -> None:
    world = World(ticks(model="touch"))
    world.tick("100")
    order = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    world.tick("98")
    assert world.traded(order) == [("99", "1")]


def test_two_resting_orders_do_not_both_fill_from_one_shown_level() -> None:
    world = World(ticks())
    world.tick("100", depth=book([("99", "1")], [("101", "1")]))
    buys = [world.placed(BUY, LimitGtc(d("1"), d("100"), True)) for _ in range(2)]
    world.tick("100", volume="0", depth=book([("98", "1")], [("99", "1.5")]))
    assert [world.traded(each) for each in buys] == [[("100", "1")], [("100", "0.5")]]


def test_what_goes_on_taking_does_not_rest_in_the_same_slice() -> None:
    """It found no more at the opening; a later price through its limit is no second chance in that bar."""
    world = World(bars(model="pessimistic", participation_pct=Percent(d("10")), depth=DepthModel(d("100"), levels=1)))
    world.flat("100")
    order = world.placed(BUY, LimitGtc(d("5"), d("105")))
    world.bar("100", "100", "99", "100", volume="100")
    assert world.traded(order) == [("100", "1")]


def test_the_same_slice_given_twice_brings_no_fresh_liquidity() -> None:
    """A feed that repeats its newest quote is no second trade."""
    world = World(ticks())
    world.tick("100")
    order = world.placed(BUY, LimitGtc(d("3"), d("99"), True))
    at = world.now
    for _ in range(3):
        world.slice(MarketSlice(BTC, at, at, d("98"), d("98"), d("98"), d("98"), d("1")))
    assert world.traded(order) == [("99", "1")]


def test_a_quiet_bar_fills_nobody() -> None:
    world = World(bars())
    world.flat("100")
    buy = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    taker = world.placed(BUY, LimitIoc(d("1"), d("105")))
    world.bar("100", "100", "98", "98", volume="0")
    assert world.traded(buy) == world.traded(taker) == []


@pytest.mark.parametrize("model", ["pessimistic", "touch"])
def test_a_book_standing_through_the_limit_fills_what_it_shows_even_without_a_trade(model) -> None:
    world = World(ticks(model=model))
    world.tick("100", depth=book([("99", "1")], [("101", "1")]))
    buy = world.placed(BUY, LimitGtc(d("3"), d("100"), True))
    world.tick("101", volume="0", depth=book([("98", "1")], [("99", "0.5"), ("100", "9")]))
    assert world.traded(buy) == [("100", "0.5")]


def test_an_order_does_not_profit_from_a_slice_that_began_before_it_arrived() -> None:
    world = World(ticks())
    world.tick("100")
    start = world.now
    world.venue.advance(start + timedelta(milliseconds=400), {})
    buy = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    end = start + timedelta(seconds=1)
    world.slice(MarketSlice(BTC, start, end, d("100"), d("100"), d("90"), d("100"), d("50")))
    assert world.traded(buy) == []
    world.slice(MarketSlice(BTC, end, end + timedelta(seconds=1), d("100"), d("100"), d("98.99"), d("100"), d("50")))
    assert world.traded(buy) == [("99", "1")]


def test_post_only_that_crosses_is_refused_at_create() -> None:
    world = World(ticks())
    world.tick("100")
    answer = world.refused(BUY, LimitGtc(d("1"), d("100"), True))
    assert (answer.error, answer.preview_failure_reason) == (
        "INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY",
    )  # fmt: skip
    assert world.venue.orders() == []


def test_post_only_that_loses_the_race_is_accepted_then_failed_without_a_fill() -> None:
    world = World(ticks(post_only_race=True))
    world.tick("100")
    order = world.placed(BUY, LimitGtc(d("1"), d("100"), True))
    assert (world.status(order), world.traded(order)) == ("FAILED", [])
    assert world.wallet("USD") == (d("10000"), d("0"))


def test_post_only_fails_when_the_market_came_to_it_before_it_arrived() -> None:
    world = World(bars())
    world.flat("100")
    order = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    world.flat("98")
    assert (world.status(order), world.traded(order)) == ("FAILED", [])


def test_our_orders_never_match_each_other_the_newer_goes() -> None:
    world = World(ticks())
    world.tick("100", depth=book([("99", "1")], [("105", "1")]))
    sell = world.placed(SELL, LimitGtc(d("1"), d("101")))
    buy = world.placed(BUY, LimitGtc(d("1"), d("102")))
    assert (world.status(sell), world.status(buy)) == ("OPEN", "CANCELLED")
    assert world.order(buy).cancel_message == "Self trade prevented"
    assert world.venue.fills() == []


def test_a_taker_takes_what_lies_before_our_own_order_and_stops_there() -> None:
    world = World(ticks())
    world.tick("100", depth=book([("99", "1")], [("100.5", "1"), ("101.5", "1")]))
    world.placed(SELL, LimitGtc(d("1"), d("101")))
    buy = world.placed(BUY, LimitIoc(d("2"), d("102")))
    assert (world.traded(buy), world.status(buy)) == ([("100.5", "1")], "CANCELLED")
    market = world.placed(BUY, MarketIoc(d("2")))
    assert world.traded(market) == []


def test_two_orders_that_cross_before_any_market_data_are_not_both_kept() -> None:
    world = World(ticks())
    sell, buy = world.placed(SELL, LimitGtc(d("1"), d("101"))), world.placed(BUY, LimitGtc(d("1"), d("101")))
    assert (world.status(sell), world.status(buy)) == ("OPEN", "CANCELLED")


def test_the_usdc_alias_trades_the_usd_book_and_pays_from_the_usdc_wallet() -> None:
    listed = [product(), product("BTC-USDC", alias="BTC-USD")]
    world = World(ticks(), listed, USD="0", USDC="1000", BTC="1")
    world.tick("100")
    order = world.placed(BUY, MarketIoc(d("1")), product=USDC)
    assert world.traded(order) == [("100", "1")]
    assert world.wallet("USDC") == (d("899.1"), d("0"))
    assert world.wallet("USD") == (d("0"), d("0"))
    assert world.order(order).product == USDC
    world.tick("100", depth=book([("99", "1")], [("105", "1")]))
    crossing = (
        world.placed(SELL, LimitGtc(d("1"), d("100.5"))),
        world.placed(BUY, LimitGtc(d("1"), d("100.5")), product=USDC),
    )
    assert [world.status(each) for each in crossing] == ["OPEN", "CANCELLED"]


@pytest.mark.parametrize(
    "mode", [TradingMode.AUCTION, TradingMode.POST_ONLY, TradingMode.CANCEL_ONLY, TradingMode.CLOSED]
)
def test_nothing_matches_while_the_product_does_not_trade(mode: TradingMode) -> None:
    world = World(bars())
    world.flat("100")
    resting = world.placed(BUY, LimitGtc(d("1"), d("99"), True))
    taker = world.placed(BUY, LimitIoc(d("1"), d("101")))
    world.venue.set_product(product(mode=mode))
    world.bar("100", "100", "90", "90")
    assert world.traded(resting) == world.traded(taker) == []
    assert world.status(taker) == "CANCELLED"
    world.venue.set_product(product())
    world.bar("90", "100", "90", "90")
    assert world.traded(resting) == [("99", "1")]


around = st.integers(95, 105).map(lambda price: d(f"{price}.00"))
resting = st.one_of(
    st.tuples(st.sampled_from([BUY, SELL]), st.builds(LimitGtc, st.just(d("1")), around)),
    st.tuples(
        st.sampled_from([BUY, SELL]), st.builds(StopLimit, st.just(d("1")), around, around, st.sampled_from([UP, DOWN]))
    ),
    st.tuples(st.just(SELL), st.builds(lambda a, b: BracketConfig(d("1"), max(a, b), min(a, b)), around, around)),
)


@given(
    order=resting, path=st.lists(around, min_size=3, max_size=3), shows=st.one_of(st.none(), around),
    model=st.sampled_from(["pessimistic", "touch"]), rules=st.sampled_from([bars, ticks]),
)  # fmt: skip
def test_a_slice_that_is_slept_through_would_have_done_nothing(order, path, shows, model, rules) -> None:
    world = World(rules(model=model))
    world.tick("100", volume="0")
    sent = world.send(*order)
    if not hasattr(sent, "order_id"):
        return
    world.tick("100", volume="0")
    depth = None if shows is None else book([(str(shows - 1), "1")], [(str(shows), "1")])
    at = world.now
    piece = MarketSlice(BTC, at, at, path[0], max(path), min(path), path[2], d("9"), depth=depth)
    for desk in list(world.venue._books.busy.values()):
        working = world.venue._books.working(sent.order_id)
        if working is not None and working.sleeps(piece.low, piece.high, depth):
            world.venue.drain()
            world.venue._engine.live_through(desk, piece)
            assert list(world.venue.drain()) == []
