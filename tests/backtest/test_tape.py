"""The venue is given the bars that reach an order, and trades as if it had been given every bar."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from backtest import dataset
from backtest.dataset import Dataset, Wish
from backtest.market import Bars, Listed, Tape
from bot.adapters.manual_clock import ManualClock
from bot.domain.bars import Granularity
from bot.domain.money import ceil_to, floor_to
from bot.domain.product import ProductId, Side
from bot.settings.policy import Policy
from bot.venue.market import MarketSlice
from bot.venue.orders import DOWN, BracketConfig, Configuration, LimitGtc, LimitIoc, OrderRequest, StopLimit
from bot.venue.rules import FillRules
from bot.venue.venue import Venue
from tests.backtest.markets import START, rows, write_csv

BTC, ETH = ProductId("BTC-USD"), ProductId("ETH-USD")
CASH = {"USD": Decimal(10**7), "BTC": Decimal(1000), "ETH": Decimal(1000)}


def recorded(path: Path, hole: range = range(0)) -> Dataset:
    """Two markets, ETH without the minutes of `hole`; it begins 200 minutes late and ends 200 early."""
    write_csv(path, BTC, rows(3, 1200, quiet=0))
    write_csv(path, ETH, [row for i, row in enumerate(rows(8, 1000, quiet=0)) if i >= 200 and i not in hole])
    return dataset.load(Wish(path, Granularity.ONE_MINUTE))


def at(minute: int) -> datetime:
    return datetime.fromtimestamp(START + 60 * minute, UTC)


def test_the_newest_bar_of_a_market_stands_through_gaps_and_after_its_end(tmp_path):
    bars = Bars(recorded(tmp_path, range(400, 600)))

    def newest(minute: int) -> tuple[datetime, datetime] | None:
        bars.turn(minute)
        found = bars.newest(ETH)
        return None if found is None else (found.start, found.end)

    assert newest(199) is None
    assert newest(200) == (at(200), at(201))
    assert newest(399) == newest(400) == newest(599) == (at(399), at(400))
    assert newest(600) == (at(600), at(601))
    assert newest(999) == newest(1150) == (at(999), at(1000))


def test_a_bar_reaches_from_its_low_to_its_high_and_where_there_is_none_it_reaches_nothing(tmp_path):
    bars = Bars(recorded(tmp_path, range(400, 600)))
    for k in (250, 700):
        bars.turn(k)
        piece = bars.newest(ETH)
        assert piece is not None
        assert bars.reach(ETH) == (piece.low, piece.high)
    for k in (100, 500, 1100):
        bars.turn(k)
        assert bars.reach(ETH) is None


@pytest.mark.parametrize("model", ["pessimistic", "touch"])
@pytest.mark.parametrize("latency", [1, 3])
def test_bars_that_reach_no_order_may_be_left_out_and_every_fill_stays_the_same(tmp_path, model, latency):
    data, chance = recorded(tmp_path, range(400, 600)), random.Random(latency)
    policy = Policy().backtest
    rules = FillRules(model, policy.participation_pct, policy.half_spread_bps, latency_bars=latency)
    clock, every, bars = ManualClock(at(0)), Bars(data), Bars(data)
    listed = Listed(data, ManualClock(at(300)), Policy().data).products()
    full = Venue(listed, CASH, rules, at(0))
    sparing = Venue(listed, CASH, rules, at(0), newest=bars.newest)
    tape = Tape(bars, sparing, clock)
    for k in range(data.count):
        every.turn(k)
        pieces = {market: every.newest(market) for market in (BTC, ETH) if every.reach(market) is not None}
        full.advance(data.closed(k), {market: piece for market, piece in pieces.items() if piece is not None})
        clock.wait_until(data.closed(k))
        tape.catch_up()
        if k % 7 == 0:
            last = full.last_slice(market := chance.choice((BTC, ETH)))
            request = OrderRequest(f"id-{k}", market, *wish(chance, last)) if last is not None else None
            if request is not None:
                assert sparing.preview(request, clock.now()) == full.preview(request, clock.now())
                assert sparing.place(request, clock.now()) == full.place(request, clock.now())
        assert sparing.working() == full.working()
    assert sparing.fills() == full.fills()
    assert sparing.orders() == full.orders()
    assert sparing.residuals() == full.residuals()
    assert len(full.fills()) > 40
    assert len(full.working()) > 3


def wish(chance: random.Random, last: MarketSlice) -> tuple[Side, Configuration]:
    """An order around the newest price: one that takes, rests, waits for a stop, or both."""

    def off(bps: int) -> Decimal:
        return floor_to(last.close * (1 + Decimal(bps) / 10_000), Decimal("0.01"))

    size, away = ceil_to(Decimal(chance.randint(1, 40)) / 10, Decimal("0.1")), chance.randint(1, 120)
    side = chance.choice((Side.BUY, Side.SELL))
    sign = -1 if side is Side.BUY else 1
    wishes: list[tuple[Side, Configuration]] = [
        (side, LimitIoc(size, off(-sign * 50))),
        (side, LimitGtc(size, off(sign * away))),
        (side, LimitGtc(20 * size, off(-sign * 5))),  # more than trades in a bar: it goes on taking
        (Side.SELL, StopLimit(size, off(-away - 50), off(-away), DOWN)),
        (Side.SELL, BracketConfig(size, off(away), off(-away))),
    ]
    return chance.choice(wishes)
