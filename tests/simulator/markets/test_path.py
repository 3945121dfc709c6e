"""A minute's trades are that minute's candle, to the tick and the lot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from simulator.markets.path import Trade, trades_of, waypoints
from simulator.markets.rows import Candle, merged


@st.composite
def candles(draw: st.DrawFn) -> Candle:
    low = draw(st.integers(1, 10**7))
    high = low + draw(st.integers(0, 5000))
    prices = [draw(st.integers(low, high)) for _ in range(2)]
    return Candle(60 * draw(st.integers(0, 10**6)), prices[0], high, low, prices[1], draw(st.integers(4, 10**15)))


def candle_of(trades: list[Trade], start: int) -> Candle:
    first = trades[0]
    candle = Candle(start, first.ticks, first.ticks, first.ticks, first.ticks, first.lots)
    for trade in trades[1:]:
        candle = merged(candle, trade.ticks, trade.lots)
    return candle


@given(candles(), st.integers(1, 60), st.integers(0, 2**31))
def test_trades_of_a_minute_add_up_to_its_candle(candle: Candle, wanted: int, seed: int) -> None:
    assert candle_of(trades_of(candle, wanted, seed), candle.start) == candle


@given(candles(), st.integers(1, 60), st.integers(0, 2**31))
def test_trades_come_in_order_inside_their_minute_and_every_one_has_a_size(candle, wanted, seed) -> None:
    trades = trades_of(candle, wanted, seed)
    times = [trade.at_us for trade in trades]
    assert times == sorted(set(times))
    assert candle.start * 10**6 <= times[0]
    assert times[-1] < (candle.start + 60) * 10**6
    assert all(trade.lots > 0 for trade in trades)


def test_the_same_minute_trades_the_same_way_twice_and_another_seed_differs() -> None:
    candle = Candle(60, 100, 120, 90, 110, 10_000)
    assert trades_of(candle, 20, 7) == trades_of(candle, 20, 7) != trades_of(candle, 20, 8)


def test_a_rising_minute_visits_its_low_first() -> None:
    assert waypoints(Candle(0, 100, 120, 90, 110, 9)) == [100, 90, 120, 110]
    assert waypoints(Candle(0, 110, 120, 90, 100, 9)) == [110, 120, 90, 100]
    assert waypoints(Candle(0, 100, 100, 100, 100, 9)) == [100]
