"""Exits and protective sells: one owner of the sell side, nothing sold twice, nothing left without its stop."""

from __future__ import annotations

from decimal import Decimal

from bot.domain.decision import Reason
from bot.domain.event import PositionAdopted
from bot.domain.order import OrderKind, OrderState, OrderType, PlannedOrder, VenueStatus
from bot.domain.position import Exits
from bot.domain.product import Side, TradingMode
from bot.domain.value import replace
from bot.errors import Rejected
from bot.execution.controls import Permits
from bot.execution.protective import UNSUPPORTED_FOR
from tests.builders import d, position, price, product, size
from tests.execution.world import BTC, World, buy, sell

STOPPED = Exits(stop_loss_pct=d(5), take_profit_pct=d(10))


def protected(amount: str = "1", **sections) -> World:
    """A position with its protective order resting at the exchange."""
    world = World(**sections)
    world.own(amount, exits=STOPPED)
    world.cycle()
    assert [record.plan.kind for record in world.exchange.working()] == [OrderKind.PROTECTIVE]
    return world


def resting(world: World):
    [record] = world.exchange.working(Side.SELL)
    return record


def test_a_position_gets_one_bracket_at_its_stop_and_target():
    plan = resting(protected()).plan
    assert (plan.type, plan.stop_price, plan.limit_price) == (OrderType.BRACKET, price(95), price(110))
    assert plan.size == size(1)


def test_a_bracket_without_a_target_takes_a_far_one():
    world = World()
    world.own("1", exits=Exits(stop_loss_pct=d(5)))
    world.cycle()
    assert resting(world).plan.limit_price == price(150)


def test_a_stop_limit_lies_below_its_stop():
    world = protected(exits={"style": "stop_limit", "stop_limit_offset_pct": 2})
    plan = resting(world).plan
    assert (plan.type, plan.stop_price, plan.limit_price) == (OrderType.STOP_LIMIT, price(95), price("93.1"))


UNSUPPORTED = "UNSUPPORTED_ORDER_CONFIGURATION"


def unsupporting(refusals: int) -> World:
    """A position at a venue that refuses its first protective orders as unsupported."""
    world = World()
    world.exchange.faults.place.extend(["", *[Rejected(UNSUPPORTED, "not for this product")] * refusals])
    world.own("1", exits=STOPPED)
    return world


def protective_posts(world: World) -> list[OrderType]:
    """Kinds of the protective orders the venue accepted or refused, as the books tell them."""
    orders = world.store.state.orders.values()
    return [order.type for order in orders if order.kind is OrderKind.PROTECTIVE]


def test_where_brackets_are_not_offered_a_stop_limit_rests():
    world = unsupporting(1)
    world.cycle()
    plan = resting(world).plan
    assert (plan.type, plan.stop_price, plan.limit_price) == (OrderType.STOP_LIMIT, price(95), price("92.15"))
    world.cycle()
    assert resting(world).plan == plan
    assert protective_posts(world) == [OrderType.BRACKET, OrderType.STOP_LIMIT]


def test_where_no_stop_is_offered_the_venue_is_asked_again_much_later_only():
    world = unsupporting(2)
    for _ in range(4):
        world.cycle()
    assert world.exchange.working() == []
    assert protective_posts(world) == [OrderType.BRACKET, OrderType.STOP_LIMIT]
    world.clock.pass_(UNSUPPORTED_FOR.total_seconds())
    world.cycle()
    assert resting(world).plan.type is OrderType.BRACKET


def test_an_attached_bracket_is_adopted_and_not_doubled():
    world = World(exits={"style": "attached_bracket"})
    world.cycle(buy("1", exits=STOPPED))
    sent = world.exchange.posts[0][1]
    assert sent.attached is not None
    world.exchange.fill("order-1", "0.4")
    world.cycle()
    world.exchange.fill("order-1", "0.6")
    for _ in range(3):
        world.clock.pass_(2)
        world.cycle()
    [child] = world.exchange.working(Side.SELL)
    assert (child.parent_id, child.plan.size) == ("order-1", size(1))
    adopted = [order for order in world.orders if order.parent_order_id == "order-1"]
    assert [(order.kind, order.state) for order in adopted] == [(OrderKind.PROTECTIVE, OrderState.OPEN)]
    world.check()


def test_the_protective_order_grows_with_the_position():
    world = protected()
    world.own_more("0.5")
    world.clock.pass_(60)
    world.cycle()
    assert resting(world).plan.size == size("1.5")
    world.check()


def test_an_exit_takes_back_the_protective_order_waits_for_the_hold_and_sells():
    world = protected()
    world.exchange.faults.cancel_s = 0.3
    world.exchange.faults.hold_s = 0.8
    report = world.cycle(sell("1"))
    assert world.exchange.wallets["BTC"] == 0
    assert report.rejections == ()
    assert world.exchange.working() == []
    world.cycle()
    assert world.held == 0
    world.check()


def test_an_exit_is_tried_again_when_the_hold_is_released_too_late():
    world = protected()
    world.exchange.faults.hold_s = 3.5
    first = world.cycle(sell("1"))
    sells = [o for _, o in world.exchange.posts if o.kind is OrderKind.EXIT]
    assert sells == []
    assert [item.reason for item in first.refused] == [Reason.NOTHING_TO_SELL]
    world.clock.pass_(2)
    world.cycle(sell("1"))
    assert world.exchange.wallets["BTC"] == 0


def test_an_exit_refused_for_funds_is_sent_again_two_seconds_later_under_a_new_id():
    """Balances say the coins are free and the exchange still refuses: wait, then a new attempt of the same intent."""
    world = protected()
    world.exchange.faults.place.append(world.refusal("INSUFFICIENT_FUND"))
    report = world.cycle(sell("1"))
    assert [item.reason for item in report.rejections] == ["INSUFFICIENT_FUND"]
    world.run_timers(5)
    exits = [order for order in world.orders if order.kind is OrderKind.EXIT]
    assert [(order.attempt, order.state) for order in exits] == [(1, OrderState.REJECTED), (2, OrderState.FILLED)]
    assert len({order.intent for order in exits}) == 1
    assert world.exchange.wallets["BTC"] == 0


def test_a_stop_that_fires_while_it_is_being_cancelled_sells_the_coins_once():
    world = protected()
    world.exchange.faults.cancel_s = 0.5
    stop = resting(world).order_id
    world.clock.after(0.2, lambda: world.exchange.fill(stop, "1", "95"))
    world.cycle(sell("1"))
    assert world.exchange.wallets["BTC"] == 0
    assert [order.kind for _, order in world.exchange.posts].count(OrderKind.EXIT) == 0
    world.cycle()
    assert world.held == 0
    world.check()


def test_a_stop_that_half_fires_leaves_the_other_half_to_the_exit():
    world = protected()
    world.exchange.faults.cancel_s = 0.5
    stop = resting(world).order_id
    world.clock.after(0.2, lambda: world.exchange.fill(stop, "0.4", "95"))
    world.cycle(sell("1"))
    exits = [order for _, order in world.exchange.posts if order.kind is OrderKind.EXIT]
    assert [order.size for order in exits] == [size("0.6")]
    assert world.exchange.wallets["BTC"] == 0
    world.check()


def test_no_exit_leaves_while_the_protective_order_will_not_end():
    world = protected()
    world.exchange.faults.deaf = True
    report = world.cycle(sell("1"))
    assert [item.reason for item in report.refused] == [Reason.ORDER_UNRESOLVED]
    assert [order.kind for _, order in world.exchange.posts].count(OrderKind.EXIT) == 0


def test_an_exit_crosses_at_once_within_its_slippage():
    world = World(exits={"max_slippage_bps": 100, "resting_on_exchange": False})
    world.own("1")
    world.exchange.show("BTC-USD", "99", "99.02")
    world.cycle(sell("1"))
    sent = world.exchange.posts[-1][1]
    assert (sent.type, sent.limit_price) == (OrderType.LIMIT_IOC, price("98.01"))


def test_what_an_exit_leaves_is_decided_anew_and_protected_meanwhile():
    """Half is bid for; the rest gets its stop back, and the next cycle's exit takes that back again."""
    world = protected()
    world.exchange.depth = Decimal("0.5")
    world.cycle(sell("1"))
    world.clock.pass_(2)
    world.cycle()
    assert world.held == Decimal("0.5")
    assert resting(world).plan.size == size("0.5")
    world.exchange.depth = Decimal(10)
    world.cycle(sell("0.5"))
    world.cycle()
    assert world.held == 0
    world.check()


def test_an_exit_while_post_only_rests_at_the_ask():
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    world.product = replace(world.product, mode=TradingMode.POST_ONLY)
    world.cycle(sell("1"))
    sent = world.exchange.posts[-1][1]
    assert (sent.type, sent.limit_price) == (OrderType.LIMIT_POST_ONLY, price(100))
    assert sent.end_time is not None


def test_an_exit_while_limit_only_is_a_limit():
    world = World(execution={"allow_market_orders": True}, exits={"resting_on_exchange": False})
    world.own("1")
    world.product = replace(world.product, mode=TradingMode.LIMIT_ONLY)
    world.cycle(sell("1"))
    assert world.exchange.posts[-1][1].type is OrderType.LIMIT_IOC


def test_nothing_is_sent_to_a_market_that_only_takes_cancels():
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    before = len(world.exchange.posts)
    world.product = replace(world.product, mode=TradingMode.CANCEL_ONLY)
    report = world.cycle(sell("1"))
    assert [item.reason for item in report.refused] == [Reason.PRODUCT_STATUS]
    assert len(world.exchange.posts) == before


def test_dust_is_never_offered():
    world = World({"USD": "10000", "BTC": "0"})
    world.own("1")
    world.exchange.depth = Decimal("0.995")
    world.cycle(sell("1"))
    world.clock.pass_(2)
    world.cycle()
    posts = len(world.exchange.posts)
    assert world.held == Decimal("0.005")
    report = world.cycle(sell("0.005"))
    assert [item.reason for item in report.refused] == [Reason.MIN_NOTIONAL]
    assert len(world.exchange.posts) == posts


def test_a_stop_above_the_market_asks_for_an_exit_instead_of_an_order():
    world = protected()
    world.exchange.end(resting(world).order_id, VenueStatus.CANCELLED)
    world.exchange.show("BTC-USD", "94", "94.02")
    report = world.cycle()
    assert report.exit_now == (BTC,)
    assert world.exchange.working() == []


def test_coins_sold_by_a_person_are_not_sold_again():
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    world.exchange.wallets["BTC"] = Decimal("0.3")
    world.cycle(sell("1"))
    exits = [order for _, order in world.exchange.posts if order.kind is OrderKind.EXIT]
    assert [order.size for order in exits] == [size("0.3")]
    world.check()


def test_a_protective_order_that_the_exchange_cancels_is_placed_again_once():
    world = protected()
    world.exchange.end(resting(world).order_id, VenueStatus.CANCELLED)
    for _ in range(3):
        world.clock.pass_(60)
        world.cycle()
    sells = [order for _, order in world.exchange.posts if order.kind is OrderKind.PROTECTIVE]
    assert len(sells) == 2


def test_a_trailing_stop_follows_in_steps():
    world = World()
    world.own("1", exits=Exits(trailing_stop_pct=d(10)))
    world.cycle()
    assert resting(world).plan.stop_price == price(90)
    world.mark("101")
    world.clock.pass_(60)
    world.cycle()
    assert resting(world).plan.stop_price == price(90)
    world.mark("110")
    world.exchange.show("BTC-USD", "110", "110.02")
    world.clock.pass_(60)
    world.cycle()
    assert resting(world).plan.stop_price == price(99)
    world.check()


def test_a_position_that_is_sold_while_the_stop_of_another_is_moved_needs_none_any_more():
    world = World()
    world.own("1", exits=Exits(trailing_stop_pct=d(5)))
    world.cycle()
    other = product("ETH-USD")
    world.exchange.listed[other.id] = other
    world.exchange.show("ETH-USD", "10", "10.02")
    world.exchange.wallets["ETH"] = d(1)
    world.store.record(PositionAdopted(position("ETH-USD", 1, 10)))
    by_hand = PlannedOrder("a-person", other.id, Side.SELL, OrderKind.EXIT, OrderType.LIMIT_GTC, size(1), price(11))
    sale = world.exchange.place(by_hand).order_id
    world.exchange.show("BTC-USD", "119.98", "120")
    world.mark("120")
    world.exchange.faults.cancel_s = 0.5
    world.clock.after(0.2, lambda: world.exchange.fill(sale, "1"))
    world.cycle()
    assert list(world.state.positions) == [BTC]
    assert resting(world).plan.stop_price == price(114)
    world.check()


def test_expected_and_actual_price_and_fee_are_kept():
    world = World(execution={"default_order_type": "limit_ioc"})
    report = world.cycle(buy("1"))
    [figures] = report.measured
    assert (figures.expected_price, figures.actual_price) == (price("100.01"), price("100.02"))
    assert figures.slippage_bps.quantize(d("0.01")) == d("1.00")
    assert (figures.expected_fee, figures.actual_fee) == (d("1.20024"), d("0.60012"))
    assert sum(world.state.settle_ms.values()) == 1


def test_an_exit_that_could_not_leave_costs_the_position_nothing():
    """Halted between decision and act: the stop stays where it is."""
    world = protected()
    world.permits = Permits(entries=False, exits=False, why="shutting down")
    stop = resting(world).order_id
    report = world.cycle(sell("1"))
    assert [item.reason for item in report.refused] == [Reason.HALTED]
    assert resting(world).order_id == stop
    assert world.exchange.cancels == []


def test_a_governed_exit_keeps_its_stop_too():
    world = protected(execution={"governors": {"same_side_repeats": 1}})
    report = world.cycle(sell("1"))
    assert Reason.SAME_SIDE_REPEATS in [item.reason for item in report.refused]
    assert resting(world).plan.kind is OrderKind.PROTECTIVE
    assert world.exchange.cancels == []


def test_an_exit_ends_the_entry_that_was_still_being_quoted():
    world = World(exits={"resting_on_exchange": False})
    world.cycle(buy("1"))
    world.exchange.fill("order-1", "0.4")
    world.cycle()
    world.cycle(sell("0.4"))
    world.run_timers(120)
    assert [order.side for _, order in world.exchange.posts] == [Side.BUY, Side.SELL]
    assert world.exchange.wallets["BTC"] == 0
    assert all(intent.closed for intent in world.state.intents.values())
    world.check()


def test_a_second_exit_waits_while_the_first_waits_for_its_coins():
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    world.exchange.faults.place.append(world.refusal("INSUFFICIENT_FUND"))
    world.cycle(sell("1"))
    report = world.cycle(sell("1"))
    assert [item.reason for item in report.refused] == [Reason.ALREADY_WORKING]


def test_a_market_exit_needs_a_measured_book():
    """The policy allows market orders; the book is older than the quote, so the sale keeps a limit."""
    world = World(execution={"allow_market_orders": True}, exits={"resting_on_exchange": False})
    world.own("1")
    snap = world.snapshot()
    world.exchange.show("BTC-USD", "99", "99.02")
    world.execute(snap, sell("0.5"))
    assert world.exchange.posts[-1][1].type is OrderType.LIMIT_IOC
    world.cycle()
    world.cycle(sell("0.5"))
    kinds = [order.type for _, order in world.exchange.posts]
    assert kinds[-2:] == [OrderType.LIMIT_IOC, OrderType.MARKET]


def test_the_hold_of_our_own_bid_does_not_stop_an_exit():
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    world.cycle()
    world.cycle(buy("0.5"))
    assert len(world.exchange.working(Side.BUY)) == 1
    world.cycle(sell("1"))
    assert world.exchange.working() == []
    assert world.exchange.wallets["BTC"] == 0


def test_a_sale_is_booked_with_its_profit():
    world = World(exits={"resting_on_exchange": False})
    world.own("1")
    world.exchange.show("BTC-USD", "110", "110.02")
    report = world.cycle(sell("1"))
    [fill] = report.fills
    assert fill.realised == d("110") - d("0.66") - d("100.6")
    assert world.state.realised_total == fill.realised
