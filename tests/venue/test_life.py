"""The life of an order: delays, cancels, edits, expiry, and a client id that is taken for ever."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.product import TradingMode
from bot.errors import NotFound, UnitError
from bot.venue.orders import (
    Accepted,
    LimitGtc,
    LimitGtd,
    LimitIoc,
    MarketIoc,
    OrderChanged,
    OrderRequest,
    Refused,
)
from tests.venue.kit import BTC, BUY, MINUTE, SECOND, SELL, World, bars, bracket, d, product, ticks

REST = LimitGtc(d("1"), d("99"), True)


def statuses(world: World, order_id: str) -> list[str]:
    """Every status the order was announced with, repeats folded."""
    world.events += world.venue.drain()
    seen: list[str] = []
    for event in world.events:
        if isinstance(event, OrderChanged) and event.order.order_id == order_id:
            status = event.order.status.value
            if not seen or seen[-1] != status:
                seen.append(status)
    return seen


def test_an_order_is_pending_until_its_latency_is_over_then_meets_the_book_of_that_moment() -> None:
    world = World(ticks(latency=1.5 * SECOND))
    world.tick("100")
    order = world.placed(BUY, MarketIoc(d("1")))
    world.tick("101")
    assert world.status(order) == "PENDING"
    world.tick("102")
    assert world.traded(order) == [("102", "1")]
    assert statuses(world, order) == ["PENDING", "OPEN", "FILLED"]


def test_a_pending_order_can_be_cancelled() -> None:
    world = World(bars())
    world.flat("100")
    order = world.placed(BUY, REST)
    assert world.venue.cancel([order], world.now)[0].success
    assert (world.status(order), world.wallet("USD")) == ("CANCELLED", (d("10000"), d("0")))
    assert world.order(order).cancel_message == "User requested cancel"


def test_a_queued_cancel_can_still_lose_to_a_fill() -> None:
    world = World(ticks(cancel_delay=2 * SECOND))
    world.tick("100")
    lost, won = world.placed(BUY, REST), world.placed(BUY, LimitGtc(d("1"), d("90"), True))
    assert [answer.success for answer in world.venue.cancel([lost, won], world.now)] == [True, True]
    assert world.status(lost) == "CANCEL_QUEUED"
    assert world.order(lost).pending_cancel
    world.tick("98")
    assert world.status(lost) == "FILLED"
    world.tick("98")
    assert world.status(won) == "CANCELLED"
    assert statuses(world, won) == ["PENDING", "OPEN", "CANCEL_QUEUED", "CANCELLED"]


def test_a_cancelled_orders_money_stays_on_hold_for_the_release_delay() -> None:
    world = World(ticks(hold_release_delay=2 * SECOND), USD="1", BTC="1")
    world.tick("100")
    order = world.placed(SELL, LimitGtc(d("1"), d("120")))
    world.venue.cancel([order], world.now)
    assert (world.wallet("BTC"), world.order(order).hold) == ((d("0"), d("1")), d("0"))
    assert world.refused(SELL, LimitGtc(d("1"), d("121"))).error == "INSUFFICIENT_FUND"
    world.tick("100")
    world.tick("100")
    assert world.wallet("BTC") == (d("1"), d("0"))
    world.placed(SELL, LimitGtc(d("1"), d("121")))


def test_every_cancel_has_its_answer() -> None:
    world = World(ticks(cancel_delay=SECOND, edit_delay=SECOND))
    world.tick("100")
    filled, asked, edited, gone = (world.placed(BUY, LimitGtc(d("1"), d(price))) for price in ("100", "99", "98", "97"))
    world.venue.cancel([gone], world.now)
    world.tick("100")
    world.venue.cancel([asked], world.now)
    assert world.venue.edit(edited, d("97.50"), d("1"), world.now).success
    answers = world.venue.cancel([filled, asked, edited, gone, "nobody"], world.now)
    assert [(answer.success, answer.failure_reason) for answer in answers] == [
        (False, "ORDER_IS_FULLY_FILLED"), (False, "DUPLICATE_CANCEL_REQUEST"), (False, "ORDER_IS_BEING_REPLACED"),
        (False, "UNKNOWN_CANCEL_ORDER"), (False, "UNKNOWN_CANCEL_ORDER"),
    ]  # fmt: skip


def test_post_only_mode_takes_no_cancels() -> None:
    world = World(ticks())
    world.tick("100")
    order = world.placed(BUY, REST)
    world.venue.set_product(product(mode=TradingMode.POST_ONLY))
    answer = world.venue.cancel([order], world.now)[0]
    assert (answer.success, answer.failure_reason) == (False, "COMMANDER_REJECTED_CANCEL_ORDER")
    assert world.status(order) == "OPEN"


def test_a_gtd_order_expires_exactly_at_its_end() -> None:
    world = World(bars())
    world.flat("100")
    end = world.now + MINUTE
    order = world.placed(BUY, LimitGtd(d("1"), d("99"), True, end))
    world.venue.advance(end - timedelta(microseconds=1), {})
    assert world.status(order) == "PENDING"
    world.venue.advance(end, {})
    assert (world.status(order), world.order(order).ended_at) == ("EXPIRED", end)
    assert world.wallet("USD") == (d("10000"), d("0"))


def test_the_last_slice_before_the_end_still_fills_and_one_that_outlasts_it_does_not() -> None:
    world = World(bars())
    world.flat("100")
    whole = world.placed(BUY, LimitGtd(d("1"), d("99"), True, world.now + MINUTE))
    cut = world.placed(BUY, LimitGtd(d("1"), d("99"), True, world.now + MINUTE - SECOND))
    world.bar("100", "100", "98", "98")
    assert (world.status(whole), world.status(cut)) == ("FILLED", "EXPIRED")
    assert world.order(cut).ended_at == world.now - SECOND


def test_a_client_id_is_taken_for_ever_and_looked_at_before_anything_else() -> None:
    world = World(ticks())
    world.tick("100")
    first = world.venue.place(OrderRequest("mine", BTC, BUY, REST), world.now)
    assert first == Accepted(world.venue.orders()[0].order_id)
    world.venue.cancel([first.order_id], world.now)
    nonsense = OrderRequest("mine", BTC, SELL, MarketIoc(d("-5")))
    assert world.venue.place(nonsense, world.now) == Accepted(first.order_id, duplicate=True)
    assert len(world.venue.orders()) == 1
    assert world.venue.by_client_id("mine") == world.order(first.order_id)


def test_a_duplicate_can_be_refused_by_name_and_a_refused_order_leaves_its_id_free() -> None:
    world = World(ticks(refuse_duplicates=True))
    world.tick("100")
    refused = world.venue.place(OrderRequest("mine", BTC, BUY, LimitGtc(d("1000"), d("99"))), world.now)
    assert isinstance(refused, Refused)
    assert refused.error == "INSUFFICIENT_FUND"
    assert isinstance(world.venue.place(OrderRequest("mine", BTC, BUY, REST), world.now), Accepted)
    again = world.venue.place(OrderRequest("mine", BTC, BUY, REST), world.now)
    assert isinstance(again, Refused)
    assert again.error == "DUPLICATE_CLIENT_ORDER_ID"


def test_the_501st_open_order_of_a_product_is_accepted_and_fails_later() -> None:
    world = World(ticks(open_orders_max=3, latency=SECOND))
    world.tick("100")
    orders = [world.placed(BUY, LimitGtc(d("1"), d("90"))) for _ in range(4)]
    world.tick("100")
    assert [world.status(order) for order in orders] == ["OPEN", "OPEN", "OPEN", "FAILED"]
    assert world.order(orders[3]).reject_reason == "TOO_MANY_OPEN_ORDERS"
    assert world.order(orders[3]).hold == 0


def test_an_edit_moves_price_size_and_hold_and_loses_the_place() -> None:
    world = World(ticks())
    world.tick("100")
    first, second = world.placed(BUY, REST), world.placed(BUY, REST)
    assert world.venue.edit(first, d("99"), d("2"), world.now).success
    record = world.order(first)
    assert (record.terms.base_size, record.hold, record.config.base_size) == (d("2"), d("99") * 2 * d("1.005"), d("2"))
    assert [edit.size for edit in record.edits] == [d("2")]
    world.tick("98", volume="1")
    assert (world.traded(first), world.traded(second)) == ([], [("99", "1")])


def test_a_smaller_size_keeps_its_place() -> None:
    world = World(ticks())
    world.tick("100")
    first, second = world.placed(BUY, LimitGtc(d("2"), d("99"), True)), world.placed(BUY, REST)
    world.venue.edit(first, d("99"), d("1"), world.now)
    world.tick("98", volume="1")
    assert (world.traded(first), world.traded(second)) == ([("99", "1")], [])


def test_the_last_five_edits_are_shown() -> None:
    world = World(ticks())
    world.tick("100")
    order = world.placed(BUY, REST)
    for cents in range(7):
        assert world.venue.edit(order, d("98") + d("0.01") * cents, d("1"), world.now).success
    assert [edit.price for edit in world.order(order).edits] == [d(f"98.0{cents}") for cents in range(2, 7)]


def test_an_edit_through_the_market_takes() -> None:
    world = World(ticks())
    world.tick("100")
    order = world.placed(BUY, LimitGtc(d("1"), d("99")))
    world.venue.edit(order, d("101"), d("1"), world.now)
    assert world.traded(order) == [("100", "1")]


def test_a_queued_edit_is_applied_when_due_or_dropped_when_the_money_is_gone() -> None:
    world = World(ticks(edit_delay=SECOND), USD="400")
    world.tick("100")
    order = world.placed(BUY, LimitGtc(d("1"), d("99")))
    assert world.venue.edit(order, d("98"), d("2"), world.now).success
    assert world.status(order) == "EDIT_QUEUED"
    world.tick("100")
    assert (world.status(order), world.order(order).live_limit) == ("OPEN", d("98"))
    assert world.venue.edit(order, d("98"), d("4"), world.now).success
    world.venue.transfer("USD", d("-150"), world.now)
    world.tick("100")
    assert (world.status(order), world.order(order).terms.base_size) == ("OPEN", d("2"))


@pytest.mark.parametrize(
    ("price", "size", "failure", "preview"),
    [
        ("99", "1", "EDIT_REQUEST_EQUAL_TO_ORIGINAL_REQUEST", ""),
        ("99.001", "1", "INVALID_EDITED_PRICE", "PREVIEW_INVALID_PRICE_PRECISION"),
        ("101", "1", "INVALID_EDITED_PRICE", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"),
        ("99", "0", "INVALID_EDITED_SIZE", "PREVIEW_INVALID_ORDER_CONFIG"),
        ("0", "1", "INVALID_EDITED_PRICE", "PREVIEW_INVALID_LIMIT_PRICE"),
        ("99", "0.0001", "INVALID_EDITED_SIZE", "PREVIEW_INVALID_SIZE_PRECISION"),
        ("99", "200", "UNKNOWN_EDIT_ORDER_FAILURE_REASON", "PREVIEW_INSUFFICIENT_FUND"),
    ],
)
def test_an_edit_that_cannot_be_is_refused_and_changes_nothing(price, size, failure, preview) -> None:
    world = World(ticks())
    world.tick("100")
    order = world.placed(BUY, REST)
    before = world.order(order)
    answer = world.venue.edit(order, d(price), d(size), world.now)
    assert (answer.success, answer.edit_failure_reason, answer.preview_failure_reason) == (False, failure, preview)
    assert world.order(order) == before


def test_only_open_plain_limit_orders_are_edited() -> None:
    world = World(ticks(cancel_delay=MINUTE))
    world.tick("100")

    def failure(order_id: str, size: str = "2") -> str:
        return world.venue.edit(order_id, d("98"), d(size), world.now).edit_failure_reason

    gtd = world.placed(BUY, LimitGtd(d("1"), d("99"), True, world.now + MINUTE))
    done = world.placed(BUY, MarketIoc(d("1")))
    quote = world.placed(BUY, LimitGtc(None, d("99"), quote_size=d("100")))
    leaving = world.placed(BUY, REST)
    world.venue.cancel([leaving], world.now)
    parent = world.placed(BUY, LimitGtc(d("20"), d("100.20")), attached=bracket("110", "95"))
    world.tick("100.20", volume="0")
    assert failure("nobody") == "ORDER_NOT_FOUND"
    assert failure(gtd) == "ONLY_LIMIT_ORDER_EDITS_SUPPORTED"
    assert failure(done) == "ONLY_OPEN_ORDERS_CAN_BE_EDITED"
    assert failure(quote) == "SIZE_IN_QUOTE_EDITS_NOT_ALLOWED"
    assert failure(leaving) == "CANNOT_EDIT_ORDER_PENDING_CANCEL"
    assert world.order(parent).number_of_fills > 0


def test_an_edit_below_what_has_filled_is_refused() -> None:
    world = World(ticks())
    world.tick("100")
    order = world.placed(BUY, LimitGtc(d("2"), d("99"), True))
    world.tick("98", volume="1")
    answer = world.venue.edit(order, d("99"), d("1"), world.now)
    assert answer.edit_failure_reason == "CANNOT_EDIT_TO_BELOW_FILLED_SIZE"


def test_time_never_steps_back_and_unknown_orders_are_not_found() -> None:
    world = World(ticks())
    world.tick("100")
    with pytest.raises(UnitError):
        world.venue.advance(world.now - SECOND, {})
    with pytest.raises(NotFound):
        world.venue.order("nobody")


def test_two_venues_with_one_seed_give_the_same_ids_events_and_fills() -> None:
    def run() -> World:
        world = World(ticks())
        world.tick("100")
        world.placed(BUY, MarketIoc(d("15")))
        world.placed(SELL, LimitIoc(d("3"), d("99")))
        world.tick("101")
        return world

    one, two = run(), run()
    assert one.events == two.events
    assert one.venue.fills() == two.venue.fills()
    fill = one.venue.fills()[0]
    assert len(fill.entry_id) == 64
    assert len({each.entry_id for each in one.venue.fills()}) == len(one.venue.fills()) > 1


def test_a_foreign_order_is_marked_as_such() -> None:
    world = World(ticks())
    world.tick("100")
    order = world.placed(BUY, REST, owner="foreign")
    assert world.order(order).owner == "foreign"
    assert [each.order_id for each in world.venue.working()] == [order]


def test_events_are_numbered_without_a_gap_and_handed_out_once() -> None:
    world = World(ticks())
    world.tick("100")
    world.placed(BUY, MarketIoc(d("12")))
    world.venue.transfer("USD", d("5"), world.now)
    world.tick("100")
    assert [event.seq for event in world.events] == list(range(1, len(world.events) + 1))
    assert len(world.events) > 4
    assert list(world.venue.drain()) == []
