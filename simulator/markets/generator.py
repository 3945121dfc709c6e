"""A seeded market: regimes, clustered volatility, jumps that hit everything at once, bursts of volume.

Log prices move by r = sigma_t x (sqrt(loading) x m_t + sqrt(1 - loading) x e_t) + jumps, with Student innovations m and
e and a volatility sigma_t that is the product of a regime, two shared and one own mean-reverting factors (stochastic
volatility in the manner of S. J. Taylor, Modelling Financial Time Series, 1986). A minute's high and low are the
extremes of a Brownian bridge between its open and close. Prices are then rounded to ticks; all of it is market data,
none of it money, so floats are used until that rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from bot.domain.bars import Ints
from bot.domain.product import ProductId
from bot.domain.value import Value
from simulator.markets.ladder import USUAL_DEPTH, Depth, Ladder, Side
from simulator.markets.listing import Listing
from simulator.markets.path import MINUTE_US, Trade, trades_of
from simulator.markets.rows import Candle, Rows

Floats = npt.NDArray[np.float64]

CHUNK: Final = 1440
"""Minutes generated at a time."""

_LEAST_TICKS: Final = 20


class Regime(Value):
    """A mood of the whole market.

    volatility: a factor. drift_bp: added to every minute's return. minutes: its mean stay. weight: how often it comes.
    """

    name: str
    volatility: float
    drift_bp: float
    minutes: float
    weight: float


REGIMES: Final = (
    Regime("calm", 0.65, 0.0, 480, 0.34),
    Regime("normal", 0.95, 0.0, 360, 0.30),
    Regime("bull", 1.05, 0.35, 240, 0.14),
    Regime("bear", 1.15, -0.35, 240, 0.12),
    Regime("storm", 1.9, 0.0, 90, 0.08),
    Regime("crash", 3.2, -6.0, 18, 0.02),
)


class Temper(Value):
    """Settings of the generator beyond the listings.

    jumps_per_day: shared jumps; own_jumps_per_day: one product's; jump_bp: typical size of a shared one.
    trades: most prints a minute. history_minutes: how much exists before the start, made by the same process: enough
    for windows of a week and of the eight days a bot warms up with.
    """

    jumps_per_day: float = 5.0
    own_jumps_per_day: float = 1.5
    jump_bp: float = 30.0
    trades: int = 40
    history_minutes: int = 9 * CHUNK
    regimes: tuple[Regime, ...] = REGIMES
    depth: Depth = USUAL_DEPTH


USUAL_TEMPER: Final = Temper()


class GeneratedMarket:
    """An endless market of `listings` from a seed. Equal arguments give equal candles, trades and books."""

    end: int | None = None
    book_changes: Mapping[ProductId, Sequence[int]] = MappingProxyType({})

    def __init__(self, listings: Sequence[Listing], start: datetime, seed: int, temper: Temper = USUAL_TEMPER) -> None:
        self.listings = tuple(listings)
        self.start = int(start.timestamp()) // 60 * 60
        self._seed = seed
        self._temper = temper
        self._first = self.start - temper.history_minutes * 60
        self._index = {listing.id: number for number, listing in enumerate(self.listings)}
        self._ladders = {
            listing.id: Ladder(listing, seed * 1009 + number, temper.depth) for number, listing in enumerate(listings)
        }
        self._process = _Process(self.listings, seed, temper)
        self._rows: list[Rows] = []
        self._chunks = 0

    def history(self, product: ProductId, first_s: int, stop_s: int) -> Rows:
        self._reach(stop_s)
        return self._rows[self._index[product]].between(first_s, stop_s)

    def trades(self, product: ProductId, minute_s: int) -> list[Trade]:
        self._reach(minute_s + 60)
        number = self._index[product]
        candle = self._rows[number].at(minute_s)
        if candle is None:
            return []
        return trades_of(candle, self._prints(self.listings[number], candle), self._seed * 1009 + number)

    def book(self, product: ProductId, last: Trade, at_us: int) -> tuple[Side, Side]:
        return self._ladders[product].around(last.ticks, last.taker_buys, at_us // MINUTE_US)

    def _prints(self, listing: Listing, candle: Candle) -> int:
        steps = float(listing.product.size_step) * float(listing.product.price_step)
        return int(min(self._temper.trades, 2 + (candle.volume * steps * candle.close) ** 0.3))

    def _reach(self, stop_s: int) -> None:
        while self._first + self._chunks * CHUNK * 60 < stop_s:
            made = self._process.chunk(self._first + self._chunks * CHUNK * 60)
            self._rows = made if self._chunks == 0 else [a.joined(b) for a, b in zip(self._rows, made, strict=True)]
            self._chunks += 1


class _Process:
    """The random process behind the candles; each call continues where the last one ended."""

    def __init__(self, listings: tuple[Listing, ...], seed: int, temper: Temper) -> None:
        self._listings = listings
        self._temper = temper
        self._rng = np.random.default_rng(seed)
        count = len(listings)
        characters = [listing.character for listing in listings]
        self._sigma = np.array([c.volatility_bp for c in characters]) * 1e-4
        self._loading = np.array([c.loading for c in characters])
        self._burstiness = np.array([c.burstiness for c in characters])
        self._quiet = np.array([c.quiet for c in characters])
        self._tick = np.array([float(listing.product.price_step) for listing in listings])
        self._usual_lots = np.array(
            [c.value / float(x.opening) / float(x.product.size_step) for c, x in zip(characters, listings, strict=True)]
        )
        self._price = np.log([float(listing.opening) for listing in listings])
        self._regime, self._regime_left = 1, 0
        self._slow, self._fast = 0.0, 0.0
        self._own = np.zeros(count)
        self._busy, self._own_busy = 0.0, np.zeros(count)

    def chunk(self, first_s: int) -> list[Rows]:
        """CHUNK minutes of every listing from `first_s` on."""
        sigma, drift = self._volatility()
        returns = self._returns(sigma) + drift[:, None]
        paths = self._price + np.cumsum(returns, axis=0)
        floor = np.log(self._tick * _LEAST_TICKS)
        paths = np.maximum(paths, floor)
        before = np.vstack((self._price, paths[:-1]))
        self._price = paths[-1]
        opens = before + self._rng.normal(0.0, 0.12, paths.shape) * sigma
        highs, lows = self._extremes(opens, paths, sigma)
        volumes = self._volumes(returns, sigma)
        starts = first_s + 60 * np.arange(CHUNK, dtype=np.int64)
        return [self._row(n, starts, opens, highs, lows, paths, volumes) for n in range(len(self._listings))]

    def _volatility(self) -> tuple[Floats, Floats]:
        """(minutes, products) standard deviations and (minutes,) drifts."""
        count = len(self._listings)
        shocks, own = self._rng.normal(size=(CHUNK, 2)), self._rng.normal(size=(CHUNK, count))
        sigma, drift = np.empty((CHUNK, count)), np.empty(CHUNK)
        for minute in range(CHUNK):
            regime = self._next_regime()
            self._slow = 0.9985 * self._slow + 0.021 * shocks[minute, 0]
            self._fast = 0.93 * self._fast + 0.12 * shocks[minute, 1]
            self._own = 0.985 * self._own + 0.052 * own[minute]
            sigma[minute] = self._sigma * regime.volatility * np.exp(self._slow + self._fast + self._own - 0.3)
            drift[minute] = regime.drift_bp * 1e-4
        return sigma, drift

    def _next_regime(self) -> Regime:
        if self._regime_left <= 0:
            weights = np.array([regime.weight for regime in self._temper.regimes])
            self._regime = int(self._rng.choice(len(weights), p=weights / weights.sum()))
            self._regime_left = 1 + int(self._rng.exponential(self._temper.regimes[self._regime].minutes))
        self._regime_left -= 1
        return self._temper.regimes[self._regime]

    def _returns(self, sigma: Floats) -> Floats:
        shared = _student(self._rng, (CHUNK, 1))
        own = _student(self._rng, sigma.shape)
        moves = sigma * (np.sqrt(self._loading) * shared + np.sqrt(1.0 - self._loading) * own)
        return np.asarray(moves + self._jumps(sigma.shape))

    def _jumps(self, shape: tuple[int, ...]) -> Floats:
        """Shared jumps move every product by its own beta; own jumps are one product's news."""
        rng, temper = self._rng, self._temper
        beta = 0.6 + 0.5 * self._sigma / self._sigma.mean()
        size = temper.jump_bp * 1e-4
        shared = (rng.random((shape[0], 1)) < temper.jumps_per_day / 1440) * rng.standard_t(3, (shape[0], 1)) * size
        alone = (rng.random(shape) < temper.own_jumps_per_day / 1440) * rng.standard_t(3, shape) * size * 1.5
        spread = 1.0 + 0.25 * rng.normal(size=shape)
        return np.asarray((shared * beta * spread + alone).clip(-0.06, 0.06))

    def _extremes(self, opens: Floats, closes: Floats, sigma: Floats) -> tuple[Floats, Floats]:
        """Maximum and minimum of a Brownian bridge, drawn from their exact distributions (independently)."""
        variance = (0.72 * sigma) ** 2
        square = (closes - opens) ** 2
        reach = [np.sqrt(square - 2.0 * variance * np.log(1.0 - self._rng.random(opens.shape))) for _ in range(2)]
        middle = opens + closes
        return (middle + reach[0]) / 2.0, (middle - reach[1]) / 2.0

    def _volumes(self, returns: Floats, sigma: Floats) -> Floats:
        """Lots: lognormal around the usual, clustered, larger when the price moves; zero in quiet minutes."""
        rng, shape = self._rng, returns.shape
        shared, own = rng.normal(size=CHUNK), rng.normal(size=shape)
        level = np.empty(shape)
        for minute in range(CHUNK):
            self._busy = 0.994 * self._busy + 0.055 * shared[minute]
            self._own_busy = 0.93 * self._own_busy + 0.19 * own[minute]
            level[minute] = self._busy + self._own_busy
        surprise = np.log1p(np.abs(returns) / self._sigma) - 0.5
        noise = np.maximum(self._burstiness - 0.45, 0.35) * rng.normal(size=shape)
        lots = self._usual_lots * np.exp(level + 0.8 * surprise + 0.35 * np.log(sigma / self._sigma) + noise)
        return np.where(rng.random(shape) < self._quiet, 0.0, lots)

    def _row(
        self, number: int, starts: Ints, opens: Floats, highs: Floats, lows: Floats, closes: Floats, volumes: Floats
    ) -> Rows:
        tick = self._tick[number]
        o, h, low, c = (np.rint(np.exp(x[:, number]) / tick).astype(np.int64) for x in (opens, highs, lows, closes))
        high, low = np.maximum(np.maximum(h, o), c), np.maximum(1, np.minimum(np.minimum(low, o), c))
        volume = np.rint(np.minimum(volumes[:, number], 1e15)).astype(np.int64)
        traded = volume > 0
        volume = np.maximum(volume, 4)  # enough lots to visit open, high, low and close
        return Rows(starts[traded], o[traded], high[traded], low[traded], c[traded], volume[traded])


def _student(rng: np.random.Generator, shape: tuple[int, ...], freedom: float = 5.0) -> Floats:
    """Student's t scaled to unit variance."""
    return np.asarray(rng.standard_t(freedom, shape) * np.sqrt((freedom - 2.0) / freedom))
