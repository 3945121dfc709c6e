"""A generated market behaves like a recorded one: fat tails, clustered moves, moving together, bursts of volume."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bot.domain.value import Value
from simulator.markets.generator import GeneratedMarket, Temper
from simulator.markets.listing import default_listings
from tests.simulator.markets.test_path import candle_of
from tests.simulator.recorded import DATA

START = datetime(2026, 9, 1, tzinfo=UTC)
MINUTES = 14 * 1440
LIQUID = ("BTC-USD", "ETH-USD", "SOL-USD", "XRP-USD", "DOGE-USD", "ADA-USD", "LINK-USD", "LTC-USD")

REFERENCE: Mapping[str, tuple[float, float]] = {
    "kurtosis": (5.0, 3000.0),
    "memory_1": (0.12, 0.45),
    "memory_60": (0.03, 0.25),
    "echo": (-0.25, 0.12),
    "together": (0.3, 0.9),
    "volume_spread": (0.85, 2.0),
    "volume_memory": (0.2, 0.75),
    "range_ratio": (1.4, 2.0),
}
"""Ranges that hold for each of the recorded products of late 2023 and that generated ones must keep."""


class Series(Value):
    minute: npt.NDArray[np.int64]
    open: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    close: npt.NDArray[np.float64]
    volume: npt.NDArray[np.float64]

    def returns(self) -> npt.NDArray[np.float64]:
        """Log returns minute by minute over the first MINUTES, a quiet minute carrying the close."""
        grid = np.full(MINUTES, np.nan)
        inside = (self.minute >= 0) & (self.minute < MINUTES)
        grid[self.minute[inside]] = self.close[inside]
        known = np.maximum.accumulate(np.where(np.isnan(grid), 0, np.arange(MINUTES)))
        carried = grid[known]
        carried[np.isnan(carried)] = self.close[0]
        return np.asarray(np.diff(np.log(carried)))


def memory(values: npt.NDArray[np.float64], lag: int) -> float:
    centred = values - values.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / centred.var())


def statistics(series: Series, leader: Series) -> dict[str, float]:
    moves = series.returns()
    sizes = np.minimum(np.abs(moves), np.quantile(np.abs(moves), 0.999))
    volume = np.log(series.volume)
    return {
        "kurtosis": float(np.mean(((moves - moves.mean()) / moves.std()) ** 4)),
        "memory_1": memory(sizes, 1),
        "memory_60": memory(sizes, 60),
        "echo": memory(moves, 1),
        "together": float(np.corrcoef(moves, leader.returns())[0, 1]),
        "volume_spread": float(volume.std()),
        "volume_memory": memory(volume, 1),
        "range_ratio": float(
            np.log(series.high / series.low).mean() / np.abs(np.log(series.close / series.open)).mean()
        ),
    }


def generated(seed: int) -> dict[str, Series]:
    listings = [listing for listing in default_listings() if listing.id in LIQUID]
    market = GeneratedMarket(listings, START, seed, Temper(history_minutes=MINUTES))
    found = {}
    for listing in listings:
        rows = market.history(listing.id, 0, market.start)
        tick, lot = np.float64(listing.product.price_step), np.float64(listing.product.size_step)
        found[str(listing.id)] = Series(
            (rows.start - market.start) // 60 + MINUTES,
            rows.open * tick, rows.high * tick, rows.low * tick, rows.close * tick, rows.volume * lot,
        )  # fmt: skip
    return found


def recorded(path: Path) -> Series:
    with gzip.open(path, "rt", newline="") as file:
        table = np.array(list(csv.reader(file))[1:], dtype=float)
    return Series((table[:, 0].astype(np.int64) - 1700902800) // 60, *table[:, 1:].T)


def outside(found: Mapping[str, float]) -> dict[str, float]:
    return {name: found[name] for name, (low, high) in REFERENCE.items() if not low <= found[name] <= high}


@pytest.mark.parametrize("seed", [1, 2])
def test_a_generated_market_keeps_the_statistics_of_a_recorded_one(seed: int) -> None:
    series = generated(seed)
    leader = series["BTC-USD"]
    judged = {name: outside(statistics(one, leader)) for name, one in series.items() if name != "BTC-USD"}
    assert judged == {name: {} for name in judged}


@pytest.mark.parametrize("path", sorted((DATA / "candles").glob("*_1m.csv.gz")), ids=lambda path: path.name)
def test_the_reference_ranges_hold_for_recorded_markets(path: Path) -> None:
    """What the generator is held to is what Coinbase's own candles show; BTC leads, so only the others are compared."""
    leader = recorded(path.parent / "BTC-USD_1m.csv.gz")
    found = outside(statistics(recorded(path), leader))
    assert set(found) <= ({"together"} if path.name.startswith("BTC") else set())


def test_a_seed_gives_the_same_market_whoever_asks_first() -> None:
    listings = default_listings(3)
    one, other = (GeneratedMarket(listings, START, 5) for _ in range(2))
    ahead = one.history(listings[2].id, one.start, one.start + 7200)
    behind = other.trades(listings[0].id, other.start + 3600)
    assert behind == one.trades(listings[0].id, one.start + 3600)
    again = other.history(listings[2].id, other.start, other.start + 7200)
    assert [column.tolist() for column in ahead.columns()] == [column.tolist() for column in again.columns()]
    assert GeneratedMarket(listings, START, 6).trades(listings[0].id, other.start + 3600) != behind


def test_generated_minutes_are_traded_back_exactly() -> None:
    listings = default_listings(4)
    market = GeneratedMarket(listings, START, 3)
    for listing in listings:
        rows = market.history(listing.id, market.start, market.start + 3600)
        assert len(rows) > 50
        for candle in rows.candles():
            assert candle_of(market.trades(listing.id, candle.start), candle.start) == candle


def test_books_stand_around_the_last_trade_with_the_best_level_first() -> None:
    listings = default_listings(6)
    market = GeneratedMarket(listings, START, 3)
    for listing in listings:
        for trade in market.trades(listing.id, market.start):
            bids, asks = market.book(listing.id, trade, trade.at_us)
            assert bids == sorted(bids, reverse=True)
            assert asks == sorted(asks)
            assert bids[0][0] < asks[0][0]
            assert trade.ticks == (asks if trade.taker_buys else bids)[0][0]
            assert all(lots > 0 for _, lots in [*bids, *asks])


@pytest.mark.parametrize("seed", [1, 7])
def test_the_past_is_as_long_as_a_warm_up_and_made_like_the_future(seed: int) -> None:
    """Windows of a week are served from the start, and nothing about trading changes the moment it begins."""
    market = GeneratedMarket(default_listings(6), START, seed)
    day = 86_400
    for listing in market.listings:
        past = market.history(listing.id, market.start - 8 * day, market.start)
        future = market.history(listing.id, market.start, market.start + 4 * day)
        assert past.start[0] < market.start - 8 * day + 600
        assert len(past) / (8 * 1440) == pytest.approx(len(future) / (4 * 1440), abs=0.02)
        typical = [np.median(rows.volume * rows.close) for rows in (past, future)]
        assert 1 / 3 < typical[1] / typical[0] < 3
        seam = abs(int(future.open[0]) - int(past.close[-1])) / int(past.close[-1])
        assert seam < 0.01
