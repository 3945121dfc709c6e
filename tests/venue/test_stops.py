"""Stops and brackets: what triggers them, what they then pay, and which leg wins."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.money import Percent
from bot.venue.orders import DOWN, UP, BracketConfig, LimitGtc, MarketIoc, StopLimit, TriggerStatus
from tests.venue.kit import BUY, SELL, World, bars, book, bracket, d, ticks


def test_a_stop_triggers_at_the_stop_and_sells_there_less_slippage() -> None:
    world = World(bars(slippage_bps=d("10")))
    world.flat("100")
    stop = world.placed(SELL, StopLimit(d("1"), d("94"), d("95"), DOWN))
    assert world.order(stop).trigger is TriggerStatus.PENDING
    world.bar("100", "100", "95.01", "96")
    assert world.traded(stop) == []
    world.bar("96", "97", "95", "97")
    assert world.traded(stop) == [("94.9", "1")]  # 95 x 0.999 = 94.905, down to the cent
    assert world.order(stop).trigger is TriggerStatus.TRIGGERED
    assert world.fills_of(stop)[0].liquidity.value == "TAKER"


def test_a_gap_through_the_stop_sells_at_the_opening() -> None:
    world = World(bars())
    world.flat("100")
    stop = world.placed(SELL, StopLimit(d("1"), d("90"), d("95"), DOWN))
    world.flat("100")
    world.bar("92", "94", "91", "93")
    assert world.traded(stop) == [("92", "1")]


def test_a_gap_beyond_the_limit_is_not_filled_and_rests_at_the_limit() -> None:
    world = World(bars())
    world.flat("100")
    stop = world.placed(SELL, StopLimit(d("1"), d("94"), d("95"), DOWN))
    world.flat("100")
    world.bar("90", "93", "89", "93")
    assert (world.traded(stop), world.status(stop)) == ([], "OPEN")
    world.bar("93", "94", "93", "94")
    assert world.traded(stop) == []
    world.bar("94", "94.01", "93", "94")
    assert world.traded(stop) == [("94", "1")]
    assert world.fills_of(stop)[0].liquidity.value == "MAKER"


def test_after_its_trigger_a_resting_stop_sells_in_that_bar_only_if_the_close_proves_it() -> None:
    world = World(bars())
    world.flat("100")
    stop = world.placed(SELL, StopLimit(d("1"), d("94"), d("95"), DOWN))
    world.flat("100")
    world.bar("90", "96", "89", "94.50")
    assert world.traded(stop) == [("94", "1")]


def test_a_rising_stop_buys_at_the_stop_or_at_a_higher_opening() -> None:
    world = World(bars())
    world.flat("100")
    first = world.placed(BUY, StopLimit(d("1"), d("110"), d("105"), UP))
    world.bar("100", "105", "99", "104")
    assert world.traded(first) == [("105", "1")]
    second = world.placed(BUY, StopLimit(d("1"), d("110"), d("106"), UP))
    world.bar("108", "109", "107", "108")
    assert world.traded(second) == [("108", "1")]


def test_in_a_tick_a_triggered_stop_walks_the_recorded_book_down_to_its_limit() -> None:
    world = World(ticks())
    world.tick("100")
    stop = world.placed(SELL, StopLimit(d("4"), d("94"), d("95"), DOWN))
    world.tick("95", depth=book([("94.9", "1"), ("94.5", "1"), ("93", "9")], [("96", "1")]))
    assert world.traded(stop) == [("94.9", "1"), ("94.5", "1")]
    assert world.status(stop) == "OPEN"


def test_a_stop_that_ran_out_of_volume_goes_on_selling_at_the_market() -> None:
    world = World(bars(participation_pct=Percent(d("10"))))
    world.flat("100")
    stop = world.placed(SELL, StopLimit(d("3"), d("80"), d("95"), DOWN))
    world.bar("100", "100", "94", "94", volume="10")
    world.flat("93", volume="10")
    world.flat("92", volume="10")
    assert world.traded(stop) == [("95", "1"), ("93", "1"), ("92", "1")]


def test_a_triggered_stop_is_bound_by_its_limit_not_by_price_protection() -> None:
    world = World(ticks())
    world.tick("100")
    stop = world.placed(SELL, StopLimit(d("2"), d("90"), d("95"), DOWN))
    world.tick("95", depth=book([("94.9", "1"), ("91", "1")], [("96", "1")]))
    assert world.traded(stop) == [("94.9", "1"), ("91", "1")]


def test_a_bracket_takes_its_profit_as_a_maker() -> None:
    world = World(bars())
    world.flat("100")
    order = world.placed(SELL, BracketConfig(d("1"), d("110"), d("95")))
    world.bar("100", "110", "99", "105")
    assert world.traded(order) == []
    world.bar("105", "110.01", "99", "105")
    assert world.traded(order) == [("110", "1")]
    assert world.fills_of(order)[0].liquidity.value == "MAKER"


def test_under_touch_a_bracket_takes_its_profit_at_a_better_opening() -> None:
    world = World(bars(model="touch"))
    world.flat("100")
    order = world.placed(SELL, BracketConfig(d("1"), d("110"), d("95")))
    world.flat("100")
    world.flat("112")
    assert world.traded(order) == [("112", "1")]


def test_in_a_bar_that_holds_both_the_stop_wins() -> None:
    world = World(bars(model="touch"))
    world.flat("100")
    order = world.placed(SELL, BracketConfig(d("1"), d("110"), d("95")))
    world.bar("100", "120", "95", "118")
    assert world.traded(order) == [("95", "1")]


def test_a_triggered_bracket_drops_its_profit_and_leaves_a_stop_limit_five_percent_below() -> None:
    world = World(bars())
    world.flat("100")
    order = world.placed(SELL, BracketConfig(d("1"), d("110"), d("95")))
    world.flat("100")
    world.flat("90")  # 95 x 0.95 = 90.25: a gap over 5 % is not filled
    assert world.traded(order) == []
    assert world.order(order).live_limit == d("90.25")
    world.bar("90", "90.26", "90", "90")
    assert world.traded(order) == [("90.25", "1")]


def test_a_bracket_holds_the_base_once() -> None:
    world = World(bars(), USD="10000", BTC="1")
    world.flat("100")
    world.placed(SELL, BracketConfig(d("1"), d("110"), d("95")))
    assert world.wallet("BTC") == (d("0"), d("1"))
    assert world.refused(SELL, LimitGtc(d("0.5"), d("120"))).error == "INSUFFICIENT_FUND"


def test_an_older_stop_is_not_sacrificed_to_a_newer_bid_of_ours() -> None:
    """Both cannot live: the stop is older, so our own newer bid goes and the stop sells."""
    world = World(bars())
    world.flat("100")
    stop = world.placed(SELL, StopLimit(d("1"), d("90"), d("95"), DOWN))
    bid = world.placed(BUY, LimitGtc(d("1"), d("94.50"), True))
    world.bar("100", "100", "94.70", "94.80")
    assert world.traded(stop) == [("95", "1")]
    assert world.status(bid) == "OPEN"
    second = world.placed(SELL, StopLimit(d("1"), d("80"), d("94.60"), DOWN))
    newer = world.placed(BUY, LimitGtc(d("1"), d("94.55"), True))
    world.flat("94.80")
    world.flat("94.52")
    assert world.status(newer) == "CANCELLED"
    assert world.status(bid) == "OPEN"
    assert world.traded(second) == [("94.52", "1")]


def test_an_attached_bracket_is_born_with_the_fill_and_holds_what_was_bought() -> None:
    world = World(ticks(), USD="10000")
    world.tick("100")
    entry = world.placed(BUY, MarketIoc(d("1")), attached=bracket("110", "95"))
    child = world.child_of(entry)
    assert (child.client_order_id, child.side, child.status.value) == ("", SELL, "OPEN")
    assert child.originating_order_id == entry
    assert child.terms.base_size == child.hold == d("1")
    assert world.wallet("BTC") == (d("0"), d("1"))


def test_the_child_grows_with_every_fill_of_its_parent() -> None:
    world = World(bars(participation_pct=Percent(d("10"))), USD="10000")
    world.flat("100")
    entry = world.placed(BUY, LimitGtc(d("3"), d("99"), True), attached=bracket("110", "95"))
    assert world.order(entry).attached_order_id == ""
    world.bar("100", "100", "98", "98", volume="10")
    first = world.child_of(entry)
    assert first.terms.base_size == d("1")
    world.bar("98", "98", "98", "98", volume="15")
    second = world.child_of(entry)
    assert (second.order_id, second.terms.base_size, second.hold) == (first.order_id, d("2.5"), d("2.5"))


def test_an_entry_at_the_opening_is_protected_through_the_whole_of_that_bar() -> None:
    world = World(bars(), USD="10000")
    world.flat("100")
    entry = world.placed(BUY, MarketIoc(d("1")), attached=bracket("110", "95"))
    world.bar("100", "120", "94", "118")
    assert world.traded(world.order(entry).attached_order_id) == [("95", "1")]
    again = world.placed(BUY, MarketIoc(d("1")), attached=bracket("125", "95"))
    world.bar("118", "125.01", "117", "118")
    assert world.traded(world.order(again).attached_order_id) == [("125", "1")]


def test_an_entry_inside_the_bar_assumes_the_low_came_after_and_the_high_before() -> None:
    world = World(bars(), USD="10000")
    world.flat("100")
    entry = world.placed(BUY, LimitGtc(d("1"), d("99"), True), attached=bracket("104", "95"))
    world.flat("100")
    world.bar("100", "110", "94", "103")
    assert world.traded(world.order(entry).attached_order_id) == [("95", "1")]
    spared = world.placed(BUY, LimitGtc(d("1"), d("102"), True), attached=bracket("108", "95"))
    world.flat("103")
    world.bar("103", "110", "101", "107")
    assert world.traded(world.order(spared).attached_order_id) == []
    proven = world.placed(BUY, LimitGtc(d("1"), d("106"), True), attached=bracket("107.5", "95"))
    world.flat("107")
    world.bar("107", "110", "105", "107.51")
    assert world.traded(world.order(proven).attached_order_id) == [("107.5", "1")]


def test_the_stop_of_an_entry_inside_the_bar_comes_before_a_target_that_the_close_proves() -> None:
    world = World(bars())
    world.flat("100")
    entry = world.placed(BUY, LimitGtc(d("1"), d("99"), True), attached=bracket("104", "95"))
    world.flat("100")
    world.bar("103", "110", "94", "106")
    assert world.traded(entry) == [("99", "1")]
    assert world.traded(world.order(entry).attached_order_id) == [("95", "1")]


def test_what_a_bar_adds_to_a_position_does_not_sell_at_that_bars_high() -> None:
    world = World(bars(), USD="10000")
    world.flat("100")
    entry = world.placed(BUY, LimitGtc(d("3"), d("99"), True), attached=bracket("104", "95"))
    world.bar("100", "100", "98", "100", volume="1")
    first = world.child_of(entry)
    world.bar("100", "105", "98", "100", volume="2")
    assert (world.traded(entry), world.traded(first.order_id)) == ([("99", "1"), ("99", "1")], [("104", "1")])
    second = world.child_of(entry)
    assert (second.terms.base_size, world.traded(second.order_id)) == (d("1"), [])


def test_a_stop_hit_in_the_entry_bar_never_sells_above_the_entry() -> None:
    """The bar opens below the child's stop: bought at 94 and stopped at 95 would be money from nothing."""
    world = World(bars(), USD="10000")
    world.flat("100")
    entry = world.placed(BUY, MarketIoc(d("1")), attached=bracket("110", "95"))
    world.flat("94")
    assert world.traded(entry) == [("94", "1")]
    assert world.traded(world.order(entry).attached_order_id) == [("94", "1")]


def test_a_cancelled_entry_keeps_the_protection_of_what_it_bought() -> None:
    world = World(bars(participation_pct=Percent(d("10"))), USD="10000")
    world.flat("100")
    entry = world.placed(BUY, LimitGtc(d("3"), d("99"), True), attached=bracket("110", "95"))
    world.bar("100", "100", "98", "98", volume="10")
    world.venue.cancel([entry], world.now)
    child = world.child_of(entry)
    assert (world.status(entry), child.status.value, child.hold) == ("CANCELLED", "OPEN", d("1"))


def test_a_child_that_sold_out_is_followed_by_another_and_a_cancelled_one_is_not() -> None:
    world = World(bars(participation_pct=Percent(d("10"))), USD="10000")
    world.flat("100")
    entry = world.placed(BUY, LimitGtc(d("3"), d("99"), True), attached=bracket("110", "95"))
    world.bar("100", "100", "98", "98", volume="10")
    first = world.child_of(entry)
    world.bar("99", "120", "99", "118", volume="10")
    assert world.status(first.order_id) == "FILLED"
    world.bar("118", "118", "98", "98", volume="10")
    second = world.child_of(entry)
    assert second.order_id != first.order_id
    assert second.terms.base_size == d("1")
    world.venue.cancel([second.order_id], world.now)
    world.bar("98", "98", "97", "98", volume="10")
    assert world.order(entry).filled_size == d("3")
    assert world.child_of(entry).status.value == "CANCELLED"


def test_a_bracket_with_an_end_expires_and_frees_the_base() -> None:
    world = World(bars(), USD="1", BTC="1")
    world.flat("100")
    order = world.placed(SELL, BracketConfig(d("1"), d("110"), d("95"), world.now + timedelta(minutes=1)))
    assert world.order(order).terms.key == "trigger_bracket_gtd"
    world.flat("100")
    assert (world.status(order), world.wallet("BTC")) == ("EXPIRED", (d("1"), d("0")))


def test_a_child_covers_whole_size_steps_of_a_quote_sized_entry() -> None:
    world = World(ticks(), USD="10000")
    world.tick("99.97")
    entry = world.placed(BUY, MarketIoc(quote_size=d("500")), attached=bracket("110", "95"))
    bought = world.order(entry).filled_size
    size = world.child_of(entry).terms.base_size
    assert size is not None
    assert 0 < bought - size < d("0.001")
    assert size % d("0.001") == 0
