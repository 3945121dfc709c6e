"""Made markets: series from plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from hypothesis import strategies as st

from bot.domain.bars import BarSeries, Granularity, Scale
from bot.domain.product import ProductId
from tests.builders import ListWindows

BTC = ProductId("BTC-USD")
SCALE = Scale(Decimal("0.01"), Decimal("0.00000001"))
START = 1_700_000_000 // 86400 * 86400
ONE_MINUTE = Granularity.ONE_MINUTE


def series(
    closes: Sequence[int],
    volumes: Sequence[int] | int = 100,
    highs: Sequence[int] | None = None,
    lows: Sequence[int] | None = None,
    product: ProductId = BTC,
    granularity: Granularity = ONE_MINUTE,
) -> BarSeries:
    """Bars with these closes (ticks); high and low equal the close unless given, open is the close before."""
    count = len(closes)
    opens = [closes[0], *closes[:-1]] if count else []
    traded = [volumes] * count if isinstance(volumes, int) else list(volumes)
    array = {
        name: np.array(values, dtype=np.int64)
        for name, values in {
            "open": opens,
            "high": highs if highs is not None else closes,
            "low": lows if lows is not None else closes,
            "close": closes,
            "volume": traded,
        }.items()
    }
    return BarSeries(product, granularity, SCALE, START, **array, quiet=array["volume"] == 0)


def walk(
    size: int, seed: int, start: int = 100_000, swing: int = 30, granularity: Granularity = ONE_MINUTE
) -> BarSeries:
    """A seeded random walk with bursts of volume; swing: largest move of one bar, in basis points."""
    rng = np.random.default_rng(seed)
    moves = rng.integers(-swing, swing + 1, size) / 10_000
    closes = np.maximum(1, (start * np.cumprod(1 + moves)).astype(np.int64))
    wicks = rng.integers(0, 1 + start // 1000, (2, size))
    volumes = rng.integers(0, 1000, size) * np.where(rng.random(size) < 0.03, 40, 1)
    highs, lows = closes + wicks[0], np.maximum(1, closes - wicks[1])
    return series(closes.tolist(), volumes.tolist(), highs=highs.tolist(), lows=lows.tolist(), granularity=granularity)


@st.composite
def any_series(draw: st.DrawFn, min_size: int = 1, max_size: int = 40) -> BarSeries:
    """Short series whose numbers reach from everyday to far beyond what 64-bit sums of products can hold."""
    size = draw(st.integers(min_size, max_size))
    price_top = draw(st.sampled_from([3, 10**4, 10**7, 2**40, 2**52]))
    volume_top = draw(st.sampled_from([0, 5, 10**6, 2**40, 2**61]))
    prices = st.integers(1, price_top)
    bars = draw(st.lists(st.tuples(prices, prices, prices), min_size=size, max_size=size))
    volumes = draw(st.lists(st.integers(0, volume_top), min_size=size, max_size=size))
    middle = [sorted(bar)[1] for bar in bars]
    return series(middle, volumes, highs=[max(bar) for bar in bars], lows=[min(bar) for bar in bars])


def plainly(bars: BarSeries) -> ListWindows:
    """The same bars read by the definitions, word for word, on lists of Python ints."""
    arrays = (bars.close, bars.high, bars.low, bars.volume)
    closes, highs, lows, volumes = (array.tolist() for array in arrays)
    return ListWindows(bars.product, closes, highs, lows, volumes, bars.granularity, bars.scale, bars.end)
