"""What the bot relies on, whichever venue is plugged in: one account, orders with a life, fills that add up."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.money import EXACT, Price, Size
from bot.domain.order import OrderKind, OrderReport, OrderType, PlannedOrder, VenueStatus
from bot.domain.product import Side, TradingMode
from bot.domain.value import replace
from bot.errors import NotFound, OutcomeUnknown, Rejected
from tests.contract.worlds import CASH, MARKET, EmbeddedVenue, VenueWorld, simulated

SMALL = Size(Decimal("0.002"))


@pytest.fixture(params=["coinbase wire", "embedded core"])
def world(request: pytest.FixtureRequest) -> Iterator[VenueWorld]:
    if request.param == "embedded core":
        yield EmbeddedVenue()
        return
    with simulated() as venue:
        yield venue


def cents(value: Decimal) -> Price:
    return Price(value.quantize(Decimal("0.01")))


def resting(world: VenueWorld, **changes: Any) -> PlannedOrder:
    """A post-only buy one percent below the market, good for ten minutes."""
    order = PlannedOrder(
        client_order_id=str(uuid.uuid4()),
        product=MARKET,
        side=Side.BUY,
        kind=OrderKind.ENTRY,
        type=OrderType.LIMIT_POST_ONLY,
        size=SMALL,
        limit_price=cents(world.quote().bid.value * Decimal("0.99")),
        end_time=world.now() + timedelta(minutes=10),
    )
    return replace(order, **changes)


def taking(world: VenueWorld, side: Side = Side.BUY, **changes: Any) -> PlannedOrder:
    """An immediate-or-cancel order half a percent through the touch."""
    away = Decimal("1.005") if side is Side.BUY else Decimal("0.995")
    limit = cents(world.quote().cross(side).value * away)
    plain = {"type": OrderType.LIMIT_IOC, "side": side, "limit_price": limit, "end_time": None}
    return resting(world, **{**plain, **changes})


def wallet(world: VenueWorld, currency: str) -> tuple[Decimal, Decimal]:
    found = {row.currency: row for row in world.exchange.balances()}
    return (found[currency].available, found[currency].hold) if currency in found else (Decimal(0), Decimal(0))


def ours(world: VenueWorld, order: PlannedOrder) -> list[OrderReport]:
    created = world.exchange.orders_created(world.now() - timedelta(hours=1), world.now() + timedelta(seconds=1))
    return [report for report in created if report.client_order_id == order.client_order_id]


def test_the_account_opens_with_its_cash_and_a_market_to_trade(world: VenueWorld) -> None:
    assert wallet(world, "USD") == (CASH, Decimal(0))
    product = {row.id: row for row in world.exchange.products()}[MARKET]
    assert (product.mode, product.base, product.quote) == (TradingMode.NORMAL, "BTC", "USD")
    assert world.exchange.key_permissions().can_trade
    assert not world.exchange.key_permissions().can_transfer
    assert abs((world.exchange.server_time() - world.now()).total_seconds()) < 2
    tier = world.exchange.fee_tier()
    assert 0 < tier.maker <= tier.taker < Decimal("0.05")


def test_a_resting_order_shows_holds_its_cost_and_gives_it_back_when_cancelled(world: VenueWorld) -> None:
    order = resting(world)
    assert order.limit_price is not None
    ack = world.exchange.place(order)
    world.run_for(1)
    (report,) = world.exchange.working_orders()
    assert (report.order_id, report.client_order_id) == (ack.order_id, order.client_order_id)
    assert (report.status, report.side, report.type) == (VenueStatus.OPEN, Side.BUY, OrderType.LIMIT_POST_ONLY)
    assert (report.size, report.limit_price, report.filled) == (SMALL, order.limit_price, Size.zero())
    assert report.end_time == order.end_time
    cost = EXACT.multiply(order.limit_price.value, SMALL.value)
    available, hold = wallet(world, "USD")
    assert cost <= hold < cost * Decimal("1.02")
    assert available + hold == CASH
    assert world.exchange.cancel([ack.order_id])[0].asked
    world.run_for(2)
    assert world.exchange.working_orders() == ()
    assert world.exchange.order(ack.order_id).status is VenueStatus.CANCELLED
    assert wallet(world, "USD") == (CASH, Decimal(0))


def test_a_taker_is_filled_and_every_cent_is_accounted_for(world: VenueWorld) -> None:
    began = world.now()
    order = taking(world)
    assert order.limit_price is not None
    ack = world.exchange.place(order)
    world.run_for(2)
    report = world.exchange.order(ack.order_id)
    assert report.status.is_terminal
    assert report.filled == SMALL
    fills = [fill for fill in world.exchange.fills_since(began) if fill.order_id == ack.order_id]
    assert sum(fill.size.value for fill in fills if fill.size is not None) == SMALL.value
    assert all(fill.price <= order.limit_price and fill.product == MARKET for fill in fills)
    assert sum(fill.value for fill in fills) == report.filled_value
    assert sum(fill.fee for fill in fills) == report.fees > 0
    assert wallet(world, "BTC") == (SMALL.value, Decimal(0))
    assert wallet(world, "USD")[0] == CASH - report.filled_value - report.fees
    assert len({fill.entry_id for fill in fills}) == len(fills)


def test_what_was_bought_can_be_sold_again_and_no_more(world: VenueWorld) -> None:
    world.exchange.place(taking(world))
    world.run_for(2)
    with pytest.raises(Rejected):
        world.exchange.place(taking(world, Side.SELL, size=Size(SMALL.value * 2), kind=OrderKind.EXIT))
    sold = world.exchange.place(taking(world, Side.SELL, kind=OrderKind.EXIT))
    world.run_for(2)
    assert world.exchange.order(sold.order_id).filled == SMALL
    assert wallet(world, "BTC") == (Decimal(0), Decimal(0))


@pytest.mark.parametrize("style", [OrderType.BRACKET, OrderType.STOP_LIMIT])
def test_a_protective_order_rests_and_holds_the_coins(world: VenueWorld, style: OrderType) -> None:
    world.exchange.place(taking(world))
    world.run_for(2)
    bid = world.quote().bid.value
    stop = cents(bid * Decimal("0.95"))
    limit = cents(bid * Decimal("1.10")) if style is OrderType.BRACKET else cents(bid * Decimal("0.93"))
    shape = {"type": style, "side": Side.SELL, "kind": OrderKind.PROTECTIVE, "end_time": None}
    ack = world.exchange.place(resting(world, limit_price=limit, stop_price=stop, **shape))
    world.run_for(1)
    report = world.exchange.order(ack.order_id)
    assert (report.type, report.limit_price, report.stop_price) == (style, limit, stop)
    assert not report.status.is_terminal
    assert wallet(world, "BTC") == (Decimal(0), SMALL.value)
    with pytest.raises(Rejected):
        world.exchange.place(taking(world, Side.SELL, kind=OrderKind.EXIT))
    world.exchange.cancel([ack.order_id])
    world.run_for(2)
    assert wallet(world, "BTC") == (SMALL.value, Decimal(0))


def test_an_order_ends_by_itself_when_its_time_is_up(world: VenueWorld) -> None:
    ack = world.exchange.place(resting(world, end_time=world.now() + timedelta(seconds=20)))
    world.run_for(30)
    assert world.exchange.order(ack.order_id).status is VenueStatus.EXPIRED
    assert wallet(world, "USD") == (CASH, Decimal(0))


def test_a_post_only_order_never_takes(world: VenueWorld) -> None:
    crossing = resting(world, limit_price=cents(world.quote().ask.value * Decimal("1.001")))
    with pytest.raises(Rejected, match="POST_ONLY"):
        world.exchange.place(crossing)
    world.run_for(1)
    assert world.exchange.fills_since(world.now() - timedelta(hours=1)) in ((), [])


REFUSED = {
    "too expensive": ({"size": Size(Decimal(1))}, "INSUFFICIENT_FUND"),
    "off the tick": ({"limit_price": Price(Decimal("50000.001"))}, "PRICE_PRECISION"),
    "off the step": ({"size": Size(Decimal("0.002000001"))}, "SIZE_PRECISION"),
    "too small": ({"size": Size(Decimal("0.00000001"))}, "TOO_SMALL"),
}


@pytest.mark.parametrize(("change", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_breaks_the_venues_rules_is_refused_by_name_and_costs_nothing(
    world: VenueWorld, change: dict[str, Any], reason: str
) -> None:
    order = resting(world, **change)
    foreseen = world.exchange.preview(order)
    assert any(reason in error for error in foreseen.errors)
    with pytest.raises(Rejected, match=reason):
        world.exchange.place(order)
    assert ours(world, order) == []
    assert wallet(world, "USD") == (CASH, Decimal(0))


def test_a_preview_of_a_good_order_sees_no_problem_and_places_nothing(world: VenueWorld) -> None:
    order = taking(world)
    foreseen = world.exchange.preview(order)
    assert foreseen.errors == ()
    assert foreseen.commission is not None
    assert foreseen.commission > 0
    assert ours(world, order) == []


def test_orders_are_found_by_when_they_were_made_whatever_became_of_them(world: VenueWorld) -> None:
    done, open_ = taking(world), resting(world)
    world.exchange.place(done)
    world.exchange.place(open_)
    world.run_for(2)
    assert len(ours(world, done)) == len(ours(world, open_)) == 1
    later = world.exchange.orders_created(world.now() + timedelta(seconds=1), world.now() + timedelta(minutes=1))
    assert list(later) == []


def test_an_identity_never_makes_a_second_order(world: VenueWorld) -> None:
    order = resting(world)
    first = world.exchange.place(order)
    try:
        again = world.exchange.place(order)
        assert again.order_id == first.order_id
    except (OutcomeUnknown, Rejected):
        assert len(ours(world, order)) == 1
    world.run_for(1)
    assert len(world.exchange.working_orders()) == 1


def test_an_unknown_order_is_not_found_and_cannot_be_cancelled(world: VenueWorld) -> None:
    nobody = str(uuid.uuid4())
    with pytest.raises(NotFound):
        world.exchange.order(nobody)
    (answer,) = world.exchange.cancel([nobody])
    assert (answer.order_id, answer.asked) == (nobody, False)


def test_cancelling_twice_is_harmless(world: VenueWorld) -> None:
    ack = world.exchange.place(resting(world))
    for _ in range(2):
        world.exchange.cancel([ack.order_id])
        world.run_for(1)
    assert world.exchange.order(ack.order_id).status is VenueStatus.CANCELLED


def test_fills_older_than_asked_for_may_come_but_newer_ones_must(world: VenueWorld) -> None:
    world.exchange.place(taking(world))
    world.run_for(60)
    middle = world.now()
    second = world.exchange.place(taking(world))
    world.run_for(5)
    assert {fill.order_id for fill in world.exchange.fills_since(middle)} == {second.order_id}
    assert len(world.exchange.fills_since(middle - timedelta(minutes=5))) >= 2
