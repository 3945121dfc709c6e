"""Made markets: series from plain numbers, and statistics computed the slow, obvious way."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from bot.domain.bars import BarSeries, Granularity, Scale
from bot.domain.product import ProductId

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


class SlowWindows:
    """The definitions of `Windows`, word for word, on lists of Python ints."""

    def __init__(self, bars: BarSeries) -> None:
        self.closes: list[int] = bars.close.tolist()
        self.highs: list[int] = bars.high.tolist()
        self.lows: list[int] = bars.low.tolist()
        self.volumes: list[int] = bars.volume.tolist()

    def _pairs(self, count: int, step: int) -> list[tuple[int, int]] | None:
        if count * step + 1 > len(self.closes):
            return None
        chain = self.closes[::-1][: count * step + 1 : step][::-1]
        return list(pairwise(chain))

    def close(self, ago: int = 0) -> int | None:
        return self.closes[::-1][ago] if ago < len(self.closes) else None

    def high(self, ago: int = 0) -> int | None:
        return self.highs[::-1][ago] if ago < len(self.highs) else None

    def low(self, ago: int = 0) -> int | None:
        return self.lows[::-1][ago] if ago < len(self.lows) else None

    def volume_sum(self, count: int) -> int | None:
        return sum(self.volumes[-count:]) if count <= len(self.volumes) else None

    def highest_before(self, count: int) -> int | None:
        return max(self.highs[-count - 1 : -1]) if count < len(self.highs) else None

    def lowest(self, count: int) -> int | None:
        return min(self.lows[-count:]) if count <= len(self.lows) else None

    def lowest_ago(self, count: int) -> int | None:
        return self.lows[::-1].index(min(self.lows[-count:])) if count <= len(self.lows) else None

    def close_sum(self, count: int) -> int | None:
        return sum(self.closes[-count:]) if count <= len(self.closes) else None

    def close_square_sum(self, count: int) -> int | None:
        return sum(c * c for c in self.closes[-count:]) if count <= len(self.closes) else None

    def value_sum(self, count: int) -> int | None:
        if count > len(self.closes):
            return None
        return sum(c * v for c, v in zip(self.closes[-count:], self.volumes[-count:], strict=True))

    def gains(self, count: int, step: int = 1) -> int | None:
        pairs = self._pairs(count, step)
        return None if pairs is None else sum(max(b - a, 0) for a, b in pairs)

    def losses(self, count: int, step: int = 1) -> int | None:
        pairs = self._pairs(count, step)
        return None if pairs is None else sum(max(a - b, 0) for a, b in pairs)

    def rises(self, count: int, step: int = 1) -> int | None:
        pairs = self._pairs(count, step)
        return None if pairs is None else sum(b > a for a, b in pairs)

    def return_square_sum(self, count: int, step: int = 1) -> int | None:
        pairs = self._pairs(count, step)
        return None if pairs is None else sum(((b - a) * 10**7 // a) ** 2 for a, b in pairs)

    def slope_sum(self, count: int, step: int = 1) -> int | None:
        if (count - 1) * step + 1 > len(self.closes):
            return None
        newest_first = self.closes[::-1]
        return sum((2 * k - count + 1) * newest_first[(count - 1 - k) * step] for k in range(count))
