"""Fills: each once, in base, whoever repeats them and however they are sized."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import total
from bot.domain.order import Fill, Liquidity, OrderState
from bot.domain.product import Side
from bot.domain.state import FillCursor
from bot.domain.value import replace
from bot.execution.booking import booking, cursor_after, sort_fills
from tests.builders import NOW, d, order, pid, position, price, report, size, state

OURS = order(state=OrderState.OPEN, order_id="o-1")


def row(number=1, amount: str | None = "0.5", at="100", order_id="o-1", trade="", side=Side.BUY, **changes):
    value = Decimal(at) * Decimal(amount or changes.pop("base", "1"))
    fields = {
        "entry_id": f"e-{number}", "trade_id": trade or f"t-{number}", "order_id": order_id, "product": pid("BTC-USD"),
        "side": side, "price": price(at), "size": None if amount is None else size(amount), "value": value,
        "fee": value * d("0.006"), "at": NOW + timedelta(seconds=number), "liquidity": Liquidity.MAKER,
    }  # fmt: skip
    return Fill(**{**fields, **changes})


def listed_alone(product):
    return product


def known(*rows):
    return state([], [OURS], fill_ids={r.entry_id: (r.order_id, r.trade_id, r.at) for r in rows})


def test_a_row_that_two_pages_repeat_is_booked_once():
    assert sort_fills(known(), [row(1), row(1)], ()).ready == (row(1),)


def test_a_trade_that_comes_under_another_entry_id_is_booked_once():
    assert sort_fills(known(), [row(1, trade="t"), row(2, trade="t")], ()).ready == (row(1, trade="t"),)
    assert sort_fills(known(row(1)), [row(2, trade="t-1")], ()).ready == ()


def test_an_adjustment_may_repeat_the_trade_it_adjusts():
    correction = row(2, trade="t-1", adjustment="CORRECTION")
    assert sort_fills(known(row(1)), [correction], ()).ready == (correction,)


def test_fills_are_booked_oldest_first_in_whatever_order_they_come():
    found = sort_fills(known(), [row(3), row(1), row(2)], ())
    assert [fill.entry_id for fill in found.ready] == ["e-1", "e-2", "e-3"]


def test_of_one_instant_what_was_bought_is_booked_before_what_was_sold():
    """Else a bracket that ends in the moment it begins earns nothing on its books, and its stop-out no pause."""
    one = [replace(fill, at=NOW) for fill in (row(1, side=Side.SELL), row(2))]
    rows = [*one, replace(row(3, side=Side.SELL), at=NOW - timedelta(seconds=1))]
    found = sort_fills(known(), rows, ())
    assert [fill.entry_id for fill in found.ready] == ["e-3", "e-2", "e-1"]


def test_a_strangers_fill_is_booked_as_foreign():
    entry = booking(known(), row(order_id="o-9"), listed_alone)
    assert (entry.foreign, entry.client_order_id) == (True, "")


def test_our_fill_carries_our_id_and_the_market_of_its_book():
    entry = booking(known(), row(product=pid("BTC-USDC")), {pid("BTC-USD"): pid("BTC-EUR")}.__getitem__)
    assert (entry.foreign, entry.client_order_id, entry.market) == (False, OURS.client_order_id, pid("BTC-EUR"))


def test_a_fill_that_may_belong_to_an_unnamed_order_of_ours_waits():
    doubtful = order(cid="cid-2", state=OrderState.UNKNOWN)
    books = state([], [doubtful])
    assert sort_fills(books, [row(order_id="o-9")], ()).deferred == (row(order_id="o-9"),)
    assert sort_fills(books, [row(order_id="o-9", side=Side.SELL)], ()).deferred == ()
    named = [report(order_id="o-9")]
    assert sort_fills(books, [row(order_id="o-9")], named).ready == (row(order_id="o-9"),)


@given(st.lists(st.decimals("0.01", "900", places=2), min_size=1, max_size=6), st.decimals("0.001", "50", places=8))
def test_fills_sized_in_quote_share_the_orders_base_exactly(values, filled):
    rows = [row(n, None, order_id="o-9", value=value) for n, value in enumerate(values)]
    shown = report(order_id="o-9", filled=size(filled), filled_value=total(values))
    found = sort_fills(known(), rows, [shown])
    assert total(fill.size.value for fill in found.ready if fill.size is not None) == filled
    assert found.deferred == ()


def test_a_fill_sized_in_quote_waits_until_all_of_its_order_is_there():
    shown = report(order_id="o-9", filled=size("2"), filled_value=d(200))
    part = row(1, None, order_id="o-9", value=d(100))
    assert sort_fills(known(), [part], [shown]).deferred == (part,)


def test_a_sale_earns_its_proceeds_less_cost_and_fees_of_both_sides():
    held = position(amount=2, at=100, fees="1.2")
    sale = row(amount="1", at="110", side=Side.SELL)
    entry = booking(state([held], []), sale, listed_alone)
    assert entry.realised == d("110") - d("0.66") - d("100.6")


def test_the_cursor_never_passes_a_fill_that_waits():
    doubtful = order(cid="cid-2", state=OrderState.UNKNOWN)
    books = state([], [doubtful], fill_cursor=FillCursor(NOW - timedelta(minutes=5)))
    found = sort_fills(books, [row(1, order_id="o-9")], ())
    moved = cursor_after(books, found, NOW + timedelta(minutes=1), timedelta(minutes=10))
    assert moved is not None
    assert moved.at == NOW + timedelta(seconds=1)


def test_a_quiet_account_moves_its_cursor_only_now_and_then():
    books = state([], [], fill_cursor=FillCursor(NOW))
    nothing = sort_fills(books, [], ())
    assert cursor_after(books, nothing, NOW + timedelta(seconds=60), timedelta(minutes=10)) is None
    assert cursor_after(books, nothing, NOW + timedelta(seconds=120), timedelta(minutes=10)) is not None
    assert cursor_after(books, nothing, NOW - timedelta(seconds=1), timedelta(minutes=10)) is None


def test_a_cursor_never_goes_back_even_for_a_new_fill():
    books = state([], [OURS], fill_cursor=FillCursor(NOW))
    found = sort_fills(books, [row(1)], ())
    assert found.ready
    assert cursor_after(books, found, NOW - timedelta(seconds=1), timedelta(minutes=10)) is None
