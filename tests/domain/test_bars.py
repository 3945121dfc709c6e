"""Bars: exact integers, a scale that is proven not to overflow, and windows that end where knowledge ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.bars import WINDOW_LIMIT, Bar, BarSeries, Granularity, Scale
from bot.domain.money import Price
from bot.domain.product import ProductId
from bot.errors import UnitError

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def series(closes: list[int]) -> BarSeries:
    array = np.array(closes, dtype=np.int64)
    quiet = np.zeros(len(closes), dtype=np.bool_)
    scale = Scale(Decimal("0.01"), Decimal("0.001"))
    return BarSeries(
        ProductId("BTC-USD"),
        Granularity.ONE_MINUTE,
        scale,
        int(T0.timestamp()),
        array,
        array,
        array,
        array,
        array,
        quiet,
    )


@given(
    st.decimals(min_value=1, max_value=10**6, places=2),
    st.decimals(min_value="0.00000001", max_value=10**12, places=8),
)
def test_the_lot_is_the_finest_that_cannot_overflow(price, volume):
    increment = Decimal("0.00000001")
    scale = Scale.proven(Decimal("0.01"), increment, price, volume)
    ticks = int(price / Decimal("0.01")) + 1
    assert ticks * (int(volume / scale.lot) + 1) < WINDOW_LIMIT
    if scale.lot > increment:
        assert ticks * (int((volume * 10 / scale.lot).to_integral_value()) + 1) >= WINDOW_LIMIT


def test_a_price_off_the_tick_is_refused_not_rounded():
    with pytest.raises(UnitError, match="not a multiple of the tick"):
        Scale(Decimal("0.01"), Decimal(1)).ticks(Decimal("1.005"))
    assert Scale(Decimal("0.01"), Decimal(1)).lots(Decimal("2.9")) == 2


@pytest.mark.parametrize(("seconds", "known"), [(0, 0), (59, 0), (60, 1), (179, 2), (10_000, 3)])
def test_only_closed_bars_are_known(seconds, known):
    assert len(series([1, 2, 3]).until(T0 + timedelta(seconds=seconds))) == known


def test_a_slice_keeps_its_place_in_time():
    cut = series([10, 20, 30]).last(2)
    assert (cut.start, cut.end_at) == (int(T0.timestamp()) + 60, T0 + timedelta(minutes=3))
    assert cut.bar(-1).close == Price(Decimal("0.30"))
    assert cut.bar(0).start == T0 + timedelta(minutes=1)


def test_windows_are_whole_numbers_of_bars():
    assert Granularity.FIVE_MINUTE.bars_in(60) == 12
    with pytest.raises(UnitError, match="whole number"):
        Granularity.FIFTEEN_MINUTE.bars_in(20)
    with pytest.raises(UnitError, match="whole number"):
        Granularity.ONE_HOUR.bars_in(15)


def test_a_bar_whose_extremes_do_not_contain_it_cannot_exist():
    def price(value: int) -> Price:
        return Price(Decimal(value))

    with pytest.raises(UnitError, match="do not contain"):
        Bar(T0, price(5), price(6), price(4), price(7), Decimal(1))
    with pytest.raises(UnitError, match="volume"):
        Bar(T0, price(5), price(6), price(4), price(5), Decimal(-1))
