"""What a dry run beside live tells: the price of reality, trade by trade and in total."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from bot.domain.order import OrderKind
from bot.domain.product import ProductId, Side
from bot.ops.shadow import Pair, Trade, matched, totals
from tests.builders import NOW, price, size

BTC, ETH = ProductId("BTC-USD"), ProductId("ETH-USD")


def trade(
    at_s: float = 0, filled: str = "1", value: str = "100", fee: str = "1", side: Side = Side.BUY,
    product: ProductId = BTC, after_s: float = 3,
) -> Trade:  # fmt: skip
    at = NOW + timedelta(seconds=at_s)
    first = None if Decimal(filled) == 0 else at + timedelta(seconds=after_s)
    return Trade(
        at, product, side, OrderKind.ENTRY, size("1"), price("100"), size(filled), Decimal(value), Decimal(fee), first
    )


def test_the_same_decision_of_both_is_one_row_with_three_columns():
    (pair,) = matched([trade(after_s=3)], [trade(20, value="101", fee="1.2", after_s=8)])
    row = pair.as_json()
    assert row["intended"] == {"size": "1", "price": "100"}
    assert row["would"] == {"size": "1", "price": "100", "fee": "1", "delay_s": 3.0}
    assert row["actual"] == {"size": "1", "price": "101", "fee": "1.2", "delay_s": 8.0}
    assert row["cost_bps"] == "100"


def test_a_sale_for_less_is_a_cost_as_a_purchase_for_more():
    sold = Pair(trade(side=Side.SELL), trade(side=Side.SELL, value="99"))
    assert sold.cost_bps == 100
    assert Pair(trade(), trade(value="99")).cost_bps == -100


def test_what_only_one_of_them_did_stands_alone():
    pairs = matched([trade(), trade(1000)], [trade(400), trade(1010, side=Side.SELL), trade(1020, product=ETH)])
    assert [(pair.shadow is not None, pair.live is not None) for pair in pairs] == [
        (True, False), (False, True), (True, False), (False, True), (False, True),
    ]  # fmt: skip
    assert (totals(pairs)["only_shadow"], totals(pairs)["only_live"]) == (2, 3)


def test_the_nearest_of_several_is_taken_and_none_twice():
    near, far = trade(30), trade(80)
    pairs = matched([trade(), trade(60)], [far, near])
    assert [pair.live for pair in pairs] == [near, far]


def test_totals_charge_what_live_filled_at_the_shadows_price():
    """Half of it filled, one dollar a unit dearer: fifty cents, and the rest was not had at all."""
    found = totals(matched([trade()], [trade(filled="0.5", value="50.5", fee="0.6")]))
    assert found["shortfall"] == "0.5"
    assert (found["would_value"], found["actual_value"]) == ("100", "50.5")
    assert (found["would_fee"], found["actual_fee"]) == ("1", "0.6")
    assert (found["both"], found["would_delay_s"], found["actual_delay_s"]) == (1, 3.0, 3.0)


def test_an_order_that_never_filled_costs_nothing_and_says_so():
    pair = Pair(trade(), trade(filled="0", value="0", fee="0"))
    assert pair.cost_bps is None
    assert pair.as_json()["actual"] == {"size": "0", "price": None, "fee": "0", "delay_s": None}
    assert totals([pair])["shortfall"] == "0"
