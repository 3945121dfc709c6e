"""From a signal to a closed position, through the real loop, with the venue's own ledger watched all the way."""

from __future__ import annotations

import itertools
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.product import Side
from bot.domain.value import replace
from bot.errors import Transient
from simulator.markets.script import BookIs
from simulator.server import START
from tests.loop.markets import RISE, calm, slide, then
from tests.loop.stage import BTC, Stage, config_of, steady, up


def bought(stage: Stage) -> Stage:
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    return stage


def offered(at_s: float, price: str, size: str) -> BookIs:
    """From then on somebody offers so much at `price`, and bids lie far below."""
    asks = [(Decimal(price), Decimal(size)), (Decimal(65600), Decimal(5))]
    return BookIs(at_s, BTC, [(Decimal(65300), Decimal(5))], asks)


def sold_by_stop(stage: Stage) -> Decimal:
    """What the resting stop would sell."""
    return sum((order.terms.base_size or Decimal(0) for order in stage.working(Side.SELL)), Decimal(0))


def exits(stage: Stage) -> list[str]:
    return [intent.why for intent in stage.state.intents.values() if intent.kind is OrderKind.EXIT]


def test_a_rise_is_bought_with_a_post_only_limit_at_the_bid():
    stage = Stage(RISE)
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    (order,) = stage.orders()
    assert (order.type, order.kind, order.state) == (OrderType.LIMIT_POST_ONLY, OrderKind.ENTRY, OrderState.OPEN)
    quote = stage.world.venue.quote(BTC)
    assert quote is not None
    assert order.limit_price == quote.bid
    assert order.end_time is not None
    assert order.end_time - order.created_at == timedelta(seconds=45 + 60)
    assert stage.last.outcome == "TRADED"
    stage.check()


def test_a_filled_entry_has_its_stop_at_the_venue_within_two_seconds():
    stage = bought(Stage(then(*calm(90, 400))))
    (position,) = stage.state.positions.values()
    assert position.size.value == stage.held("BTC")
    (stop,) = stage.working(Side.SELL)
    assert stop.terms.base_size == position.size.value
    assert stop.terms.stop_price is not None
    entry = position.entry_price
    assert entry is not None
    assert stop.terms.stop_price <= entry.value * Decimal("0.9601")
    assert stop.created_at - START <= timedelta(seconds=82)
    stage.check()


def test_the_stop_follows_a_second_fill():
    """The first print takes a part of the bid only: the stop at the venue grows with the position."""
    stage = Stage([*RISE, offered(70, "65450", "0.0012"), offered(90, "65450", "5")])
    stage.run_until(lambda: stage.held("BTC") == Decimal("0.0012"), 100)
    assert sold_by_stop(stage) == Decimal("0.0012")
    stage.run_until(lambda: stage.held("BTC") > Decimal("0.0012"), 100)
    stage.run_for(3)
    assert sold_by_stop(stage) == stage.held("BTC") == Decimal("0.00304582")
    stage.check()


def test_a_stop_that_trades_at_the_venue_closes_the_books_and_pauses_the_product():
    stage = bought(Stage(then(*calm(90, 600), *slide(600, ["62000"], 300))))
    stage.run_until(lambda: not stage.state.positions, 900)
    assert stage.held("BTC") == 0
    pause = next(item for item in stage.state.cooldowns if item.reason == "after_stop")
    assert pause.until - stage.clock.now() > timedelta(minutes=239)
    assert stage.state.realised_total < 0
    assert stage.alerts()["stop.BTC-USD"] == "WARNING"
    stage.check()


def test_a_position_held_too_long_is_sold_by_the_bot():
    stage = bought(Stage(then(*calm(90, 1500)), config_of({"max_hold_minutes": 10})))
    stage.run_until(lambda: not stage.state.positions, 1200)
    assert exits(stage) == ["max_hold"]
    assert stage.held("BTC") == 0
    held = stage.clock.now() - START
    assert timedelta(minutes=11) <= held <= timedelta(minutes=13)
    stage.check()


def test_a_trailing_stop_sells_between_two_scheduled_cycles_once_confirmed():
    """66 500 is seen, then 2.7 % less: two service cycles agree and the position is gone before the next minute."""
    config = config_of({"trailing_stop_pct": "2.5"}, exits={"resting_on_exchange": False})
    rise = [up(300, "66500"), *steady(302, 420, "66500", 5)]
    stage = bought(Stage(then(*calm(90, 290), *rise, *slide(430, ["64700"], 240)), config))
    stage.run_until(lambda: not stage.state.positions, 600)
    assert exits(stage) == ["trailing_stop"]
    assert stage.held("BTC") == 0
    assert timedelta(seconds=430) < stage.clock.now() - START < timedelta(seconds=436)
    stage.check()


@pytest.mark.parametrize(("least", "asks"), [("0.001", True), ("1", False)])
def test_a_stop_is_confirmed_by_cycles_of_its_own_unless_the_holding_is_too_small_to_be_sold(least, asks):
    config = config_of(exits={"resting_on_exchange": False, "stop_confirmations": 1000})
    stage = bought(Stage(then(*calm(90, 690), *slide(700, ["62000"], 500)), config))
    product = next(item for item in stage.world.venue.products() if item.id == BTC)
    stage.world.venue.set_product(replace(product, base_min=Decimal(least)))
    stage.run_until(lambda: stage.clock.now() - START > timedelta(seconds=760), 900)
    assert stage.held("BTC") == stage.state.positions[BTC].size.value > 0
    assert (stage.loop.next_service() is not None) is asks
    stage.check()


@pytest.mark.parametrize(("level", "price"), [({}, "62000"), ({"take_profit_pct": 3}, "68500")])
def test_a_stop_or_target_of_what_is_too_small_to_be_sold_wakes_nobody_between_two_cycles(level, price):
    config = config_of(level, exits={"resting_on_exchange": False, "stop_confirmations": 1000})
    stage = bought(Stage(then(*calm(90, 690), *calm(700, 1200, price)), config))
    product = next(item for item in stage.world.venue.products() if item.id == BTC)
    stage.world.venue.set_product(replace(product, base_min=Decimal(1)))
    stage.run_until(lambda: stage.clock.now() - START > timedelta(seconds=790), 900)
    told = len(stage.logged("cycle.completed"))
    stage.run_for(180)
    service = [row["service"] for row in stage.logged("cycle.completed")[told:]]
    assert len(service) >= 3
    assert not any(service)
    assert stage.held("BTC") == stage.state.positions[BTC].size.value > 0
    stage.check()


def test_the_stop_at_the_venue_trails_the_highest_bid():
    """Restarts and dead bots included: the resting order itself moves up, never down."""
    config = config_of({"trailing_stop_pct": "2.5"})
    rise = [up(300, "66500"), *steady(302, 420, "66500", 5)]
    stage = bought(Stage(then(*calm(90, 290), *rise, *calm(425, 900, "66000")), config))
    (before,) = stage.working(Side.SELL)
    stage.run_for(600)
    (after,) = stage.working(Side.SELL)
    assert before.terms.stop_price is not None
    assert after.terms.stop_price is not None
    assert after.terms.stop_price > before.terms.stop_price
    assert abs(after.terms.stop_price - Decimal(66500) * Decimal("0.975")) < 40
    assert after.terms.base_size == stage.held("BTC")
    stage.check()


def test_highest_bids_are_remembered_over_a_restart():
    config = config_of({"trailing_stop_pct": "2.5"})
    rise = [up(300, "66500"), *steady(302, 420, "66500", 5)]
    stage = bought(Stage(then(*calm(90, 290), *rise, *calm(425, 900, "66000")), config))
    stage.run_for(300)
    mark = stage.state.positions[BTC].high_mark
    assert mark is not None
    assert mark.value > Decimal(66400)
    stage.boot()
    assert stage.state.positions[BTC].high_mark == mark


def test_an_unfilled_entry_is_withdrawn_quoted_again_and_given_up():
    stage = Stage([*RISE, *steady(62, 600, "65500", 5), *steady(600, 900, "65500", 5)])
    stage.run_for(400)
    first = [order for order in stage.orders() if order.intent == 1]
    assert [order.attempt for order in first] == [1, 2, 3]
    assert {order.state for order in first} == {OrderState.CANCELED}
    for earlier, later in itertools.pairwise(first):
        assert later.created_at - earlier.created_at >= timedelta(seconds=45)
    assert stage.state.intents[1].closed
    assert len(stage.orders()) == 3, "the rule pauses after its entry"
    assert stage.held("BTC") == 0
    stage.check()


def test_a_rest_too_small_to_be_an_order_ends_the_entry_and_what_filled_stays_protected():
    """All but 38 cents of two hundred dollars fill: no order is that small, and the position has its stop."""
    stage = Stage([*RISE, offered(70, "65450", "0.00304"), offered(90, "65450", "0")])
    stage.run_until(lambda: stage.state.intents[1].closed, 200)
    assert [row["why"] for row in stage.events("intent.closed")] == ["0.00000582 left is less than the venue takes"]
    assert len([order for order in stage.orders() if order.side is Side.BUY]) == 1
    stage.run_for(300)
    assert stage.state.positions[BTC].size.value == stage.held("BTC") == sold_by_stop(stage) == Decimal("0.00304")
    stage.check()


@pytest.mark.parametrize(("minutes", "bought_again"), [(240, False), (1, True)])
def test_no_second_entry_within_the_cooldown_after_a_stop(minutes, bought_again):
    fall = [*calm(90, 300), *slide(300, ["62000"], 60), *calm(360, 1320, "62000")]
    again = [*fall, up(1330, "62500"), *steady(1335, 1500, "62500", 5)]
    pauses = {"cooldown_minutes": 1, "cooldown_after_stop_minutes": minutes}
    stage = bought(Stage(then(*again), config_of({"cooldown_minutes": 1}, risk=pauses)))
    stage.run_for(1400)
    verdicts = [row for made in stage.events("decision.made") for row in made["verdicts"]]
    assert ("cooldown" in {row.get("reason") for row in verdicts}) is not bought_again
    assert (len([order for order in stage.orders() if order.side is Side.BUY]) > 1) is bought_again


@pytest.mark.parametrize("service", [True, False])
def test_only_a_scheduled_cycle_enters(service):
    stage = Stage(RISE)
    stage.idle(62)
    stage.cycle(service=service)
    assert bool(stage.orders()) is not service
    stage.check()


def test_a_position_without_its_stop_at_the_venue_is_critical_after_a_minute_and_until_it_rests():
    stage = Stage(then(*calm(90, 900)))
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.wire.broken["place"] = Transient("no orders now")
    stage.run_until(lambda: stage.state.positions, 120)
    assert f"unprotected.{BTC}" not in stage.alerts()
    stage.run_for(90)
    assert stage.alerts()[f"unprotected.{BTC}"] == "CRITICAL"
    assert stage.metric("bot_unprotected_positions") == 1
    stage.wire.broken.clear()
    stage.run_until(lambda: stage.working(Side.SELL), 1200)
    stage.run_for(61)
    assert stage.metric("bot_unprotected_positions") == 0
    told = [a["state"] for a in stage.events("alert.raised") if a["fingerprint"] == f"unprotected.{BTC}"]
    assert told[-1] == "resolved"


def test_a_position_that_nobody_wants_protected_raises_nothing():
    stage = Stage(then(*calm(90, 400)), config_of(exits={"resting_on_exchange": False}))
    stage.run_for(380)
    assert stage.held("BTC") > 0
    assert stage.alerts() == {}
