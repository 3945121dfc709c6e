"""One book through time: nothing is printed twice or lost, whatever the steps."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.product import ProductId, Side
from simulator.markets.generator import GeneratedMarket
from simulator.markets.listing import default_listings
from simulator.markets.path import Trade
from simulator.markets.rows import rows_of
from simulator.markets.script import BookIs, Print, ScriptMarket
from simulator.markets.tape import Tape

START = datetime(2026, 9, 1, tzinfo=UTC)
BTC = ProductId("BTC-USD")
MARKET = GeneratedMarket(default_listings(1), START, 11)


def tape(market=MARKET) -> Tape:
    return Tape(market, market.listings[0], 1000)


@given(st.lists(st.integers(1, 200_000_000), min_size=1, max_size=12))
def test_every_trade_prints_once_in_order_however_time_is_cut(pieces: list[int]) -> None:
    walked, now = tape(), MARKET.start * 1_000_000
    printed: list[tuple[int, Trade]] = []
    for piece in pieces:
        now += piece
        printed += walked.advance(now).trades
    minutes = range(MARKET.start, now // 1_000_000 + 1, 60)
    wanted = [t for minute in minutes for t in MARKET.trades(BTC, minute) if t.at_us <= now]
    assert [trade for _, trade in printed] == wanted
    numbers = [number for number, _ in printed]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True


def test_the_forming_candle_becomes_the_closed_one_to_the_lot() -> None:
    walked = tape()
    for second in range(1, 601):
        walked.advance((MARKET.start + second) * 1_000_000)
        closed = walked.rows(MARKET.start, walked.minute_s)
        assert [c.tolist() for c in closed.columns()] == [
            c.tolist() for c in MARKET.history(BTC, MARKET.start, walked.minute_s).columns()
        ]
        forming = walked.rows(walked.minute_s, walked.minute_s + 60)
        assert sum(forming.volume.tolist()) == sum(
            t.lots for t in MARKET.trades(BTC, walked.minute_s) if t.at_us <= (MARKET.start + second) * 1_000_000
        )


def test_rereading_a_minute_repeats_nothing() -> None:
    walked, once = tape(), tape()
    half, whole = (MARKET.start + 30) * 1_000_000, (MARKET.start + 60) * 1_000_000
    printed = list(walked.advance(half).trades)
    walked.reread()
    printed += walked.advance(whole).trades
    assert printed == list(once.advance(whole).trades)


def test_the_last_day_is_the_last_1440_minutes() -> None:
    rows = MARKET.history(BTC, MARKET.start - 86_400, MARKET.start)
    day = tape().day()
    assert (day.open, day.high, day.low) == (int(rows.open[0]), int(rows.high.max()), int(rows.low.min()))
    assert day.volume == int(rows.volume.sum())
    assert day.value == sum(c.close * c.volume for c in rows.candles())


def test_a_script_prints_and_changes_books_at_its_seconds() -> None:
    listing = default_listings(1)[0]
    book = BookIs(5, BTC, [(Decimal(60000), Decimal(1))], [(Decimal(60010), Decimal(2))])
    print_ = Print(10, BTC, Decimal("60010"), Decimal("0.5"), Side.BUY)
    market = ScriptMarket([listing], START, [book, print_])
    walked = tape(market)
    start = market.start
    assert not walked.advance((start + 4) * 1_000_000).moved
    changed = walked.advance((start + 5) * 1_000_000)
    assert (changed.moved, list(changed.trades)) == (True, [])
    assert walked.book() == ([(6_000_000, 10**8)], [(6_001_000, 2 * 10**8)])
    (printed,) = walked.advance((start + 60) * 1_000_000).trades
    assert printed[1] == Trade((start + 10) * 1_000_000, 6_001_000, 50_000_000, True)
    assert market.history(BTC, start, start + 60).candles() == [(start, *[6_001_000] * 4, 50_000_000)]
    assert len(market.history(BTC, start - 86_400, start)) == 1440


def test_a_market_without_a_past_is_refused() -> None:
    class Silent(ScriptMarket):
        def trades(self, product: ProductId, minute_s: int) -> list[Trade]:
            return []

    with pytest.raises(ValueError, match="no trade in the 24 hours before the start"):
        tape(Silent(default_listings(1), START))


def test_candles_are_grouped_into_longer_ones() -> None:
    rows = rows_of([(0, 5, 9, 4, 6, 10), (60, 6, 8, 2, 3, 20), (600, 3, 3, 3, 3, 1)])  # type: ignore[list-item]
    assert rows.grouped(300).candles() == [(0, 5, 9, 2, 3, 30), (600, 3, 3, 3, 3, 1)]
