"""Positions: whatever the order of buys and sells, money in equals money out plus what is left."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.money import Money, Price, Size
from bot.domain.position import CostMethod, Lot, Origin, Position, bought, sold
from bot.domain.product import ProductId
from bot.errors import UnitError

T0 = datetime(2026, 1, 1, tzinfo=UTC)
BTC = ProductId("BTC-USD")
EMPTY = Position(BTC, (), T0)
sizes = st.decimals(min_value="0.00000001", max_value=100, places=8)
money = st.decimals(min_value="0.01", max_value=1_000_000, places=8)


def lot(size: str, cost: str) -> Lot:
    return Lot(Size(Decimal(size)), Decimal(cost), T0, Origin.BOUGHT)


def test_average_cost_spreads_and_fifo_takes_the_oldest():
    held = bought(bought(EMPTY, lot("1", "100"), Decimal(0)), lot("1", "200"), Decimal(0))
    average, fifo = (sold(held, Size(Decimal(1)), Decimal(180), method)[1] for method in CostMethod)
    assert (average, fifo) == (Decimal(30), Decimal(80))


def test_entry_price_leaves_the_fee_out_and_average_price_counts_it():
    held = bought(EMPTY, lot("2", "202"), Decimal(2))
    assert held.entry_price == Price(Decimal(100))
    assert held.average_price == Price(Decimal(101))


def test_selling_more_than_held_cannot_be_booked():
    with pytest.raises(UnitError, match="only 1 held"):
        sold(bought(EMPTY, lot("1", "100"), Decimal(0)), Size(Decimal("1.1")), Decimal(1), CostMethod.FIFO)


def test_unrealised_profit_is_value_less_cost():
    held = bought(EMPTY, lot("2", "200"), Decimal(0))
    assert held.unrealised(Price(Decimal(110))) == Money(Decimal(20), "USD")


@given(st.lists(st.tuples(sizes, money), min_size=1, max_size=8), st.lists(st.integers(1, 99), max_size=6),
       st.sampled_from(CostMethod), money)  # fmt: skip
def test_cost_sold_plus_cost_left_is_cost_paid(buys, parts, method, proceeds):
    held = EMPTY
    for size, cost in buys:
        held = bought(held, Lot(Size(size), cost, T0, Origin.BOUGHT), Decimal(0))
    paid, size, realised = held.cost, held.size.value, Decimal(0)
    for part in parts:
        share = Size((held.size.value * part / 100).quantize(Decimal("1e-8"), rounding="ROUND_DOWN"))
        if not share.is_zero:
            held, profit = sold(held, share, proceeds, method)
            realised += profit - proceeds
    assert paid + realised == held.cost
    held, profit = sold(held, held.size, proceeds, method)
    assert paid + realised + profit - proceeds == 0
    assert held.size.is_zero
    assert held.cost == held.fees == 0
    assert size > 0
