"""The venue's records and the bot's own words say the same."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.money import Price, Size
from bot.domain.order import OrderKind, OrderType, PlannedOrder, VenueStatus
from bot.errors import UnitError
from bot.venue.orders import Accepted, LimitGtc
from bot.venue.reports import fill_of, report_of, request_for
from tests.venue.kit import BTC, BUY, SELL, START, World, d, ticks


def planned(type_: OrderType, **changes) -> PlannedOrder:
    side = SELL if type_ in {OrderType.STOP_LIMIT, OrderType.BRACKET} else BUY
    limit = {OrderType.MARKET: None, OrderType.STOP_LIMIT: Price(d("90")), OrderType.BRACKET: Price(d("110"))}
    stop = Price(d("95")) if side is SELL else None
    end = START + timedelta(hours=1) if type_ is OrderType.LIMIT_POST_ONLY else None
    fields = {
        "client_order_id": type_.value, "product": BTC, "side": side, "kind": OrderKind.ENTRY, "type": type_,
        "size": Size(d("1")), "limit_price": limit.get(type_, Price(d("99"))), "stop_price": stop, "end_time": end,
    } | changes  # fmt: skip
    return PlannedOrder(**fields)


@pytest.mark.parametrize("type_", [type_ for type_ in OrderType if type_ is not OrderType.OTHER])
def test_a_planned_order_comes_back_as_what_it_was(type_: OrderType) -> None:
    world = World(ticks())
    world.tick("100")
    order = planned(type_)
    answer = world.venue.place(request_for(order), world.now)
    assert isinstance(answer, Accepted)
    report = report_of(world.venue.order(answer.order_id))
    assert (report.type, report.side, report.size, report.limit_price, report.stop_price, report.end_time) == (
        type_, order.side, order.size, order.limit_price, order.stop_price, order.end_time,
    )  # fmt: skip


def test_a_planned_order_without_the_price_its_type_needs_is_refused() -> None:
    with pytest.raises(UnitError):
        request_for(planned(OrderType.LIMIT_IOC, limit_price=None))
    with pytest.raises(UnitError):
        request_for(planned(OrderType.BRACKET, stop_price=None))
    with pytest.raises(UnitError):
        request_for(planned(OrderType.OTHER))


def test_report_and_fill_carry_the_money() -> None:
    world = World(ticks())
    world.tick("100")
    order = world.placed(BUY, LimitGtc(d("12"), d("100.05")))
    report, fill = report_of(world.order(order)), fill_of(world.fills_of(order)[0])
    assert (report.status, report.filled, report.filled_value, report.fees) == (
        VenueStatus.OPEN, Size(d("10")), d("1000"), d("9"),
    )  # fmt: skip
    assert (fill.size, fill.value, fill.fee, fill.at, fill.cash.amount) == (
        Size(d("10")), d("1000"), d("9"), world.now, d("-1009"),
    )  # fmt: skip
    assert report.remaining == Size(d("2"))


def test_a_failed_order_says_why() -> None:
    world = World(ticks(post_only_race=True))
    world.tick("100")
    crossing = world.placed(BUY, LimitGtc(d("1"), d("100"), True))
    assert report_of(world.order(crossing)).reject_reason == "Post only order would have crossed"
