"""How a minute was traded: trades whose candle is exactly the one given, the same ones every time."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from bot.domain.bars import Ints
from simulator.markets.rows import Candle

MINUTE_US: Final = 60_000_000


class Trade(NamedTuple):
    """One print. at_us: unix microseconds; price in ticks, size in lots; taker_buys: the taker's side."""

    at_us: int
    ticks: int
    lots: int
    taker_buys: bool


def waypoints(candle: Candle) -> list[int]:
    """Prices the minute must visit, in order: open, the extremes (nearer the open first), close."""
    first, second = (candle.low, candle.high) if candle.close >= candle.open else (candle.high, candle.low)
    visits = [candle.open]
    for ticks in (first, second, candle.close):
        if ticks != visits[-1]:
            visits.append(ticks)
    return visits


def trades_of(candle: Candle, wanted: int, seed: int) -> list[Trade]:
    """About `wanted` trades of the minute; their open, high, low, close and volume are the candle's, to the lot.

    A minute needs one lot a trade, so thin ones have fewer. A candle with less volume than prices to visit
    cannot have been traded; its extremes are then visited by trades of zero lots.
    """
    visits = waypoints(candle)
    count = max(len(visits), min(wanted, candle.volume))
    rng = np.random.default_rng((seed, candle.start))
    prices = _walk(visits, count, rng)
    sizes = _split(candle.volume, count, rng)
    times = _times(count, rng) + candle.start * 1_000_000
    coins = rng.random(count) < 0.5
    rises = np.diff(prices, prepend=prices[0])
    buys = np.where(rises == 0, coins, rises > 0)
    return [Trade(*row) for row in zip(times.tolist(), prices.tolist(), sizes.tolist(), buys.tolist(), strict=True)]


def _walk(visits: list[int], count: int, rng: np.random.Generator) -> Ints:
    """A path through the way points: straight lines with a little noise that never leaves the range."""
    anchors = _anchors(len(visits), count, rng)
    path = np.interp(np.arange(count), anchors, visits)
    low, high = min(visits), max(visits)
    noisy = np.rint(path + rng.normal(0.0, 0.08 * (high - low) + 1e-9, count)).astype(np.int64).clip(low, high)
    noisy[anchors] = visits
    return noisy


def _anchors(visits: int, count: int, rng: np.random.Generator) -> Ints:
    """Which trade visits which way point: the first, the last, and the rest spread between."""
    if visits == 1:
        return np.zeros(1, dtype=np.int64)
    inner = np.sort(rng.permutation(np.arange(1, count - 1, dtype=np.int64))[: visits - 2])
    return np.concatenate((np.zeros(1, dtype=np.int64), inner, np.full(1, count - 1, dtype=np.int64)))


def _split(volume: int, count: int, rng: np.random.Generator) -> Ints:
    """`volume` lots over `count` trades, at least one each where there is enough."""
    if volume < count:
        return np.array([1] * volume + [0] * (count - volume), dtype=np.int64)
    weights = rng.exponential(1.0, count)
    shares: Ints = np.floor(weights / weights.sum() * (volume - count) * (1 - 1e-9)).astype(np.int64) + 1
    shares[-1] += volume - int(shares.sum())
    return shares


def _times(count: int, rng: np.random.Generator) -> Ints:
    """Strictly rising microseconds inside the minute."""
    drawn = np.sort(rng.integers(0, MINUTE_US - count, count))
    times: Ints = drawn + np.arange(count)
    return times
