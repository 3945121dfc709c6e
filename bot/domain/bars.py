"""Bars as exact integers, prices in ticks and volumes in lots: a window's value never depends on its surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import IntEnum
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt

from bot.domain.money import EXACT, Price
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.errors import UnitError

Ints = npt.NDArray[np.int64]

WINDOW_LIMIT: Final = 2**62
"""Every window sum, price x volume included, stays below this."""


class Granularity(IntEnum):
    """Bar length in seconds, by Coinbase's names."""

    ONE_MINUTE = 60
    FIVE_MINUTE = 300
    FIFTEEN_MINUTE = 900
    THIRTY_MINUTE = 1800
    ONE_HOUR = 3600
    TWO_HOUR = 7200
    FOUR_HOUR = 14400
    SIX_HOUR = 21600
    ONE_DAY = 86400

    @property
    def minutes(self) -> int:
        return self // 60

    def bars_in(self, minutes: int) -> int:
        """How many bars make `minutes`. Raises UnitError when it is not a whole number >= 1."""
        count, rest = divmod(minutes * 60, self)  # the member itself: `.value` costs ten times as much, and this is hot
        if rest or count < 1:
            raise UnitError(f"{minutes} minutes is not a whole number of {self.name} bars")
        return count

    def open_of(self, at: datetime) -> int:
        """Unix seconds at which the bar containing `at` opened."""
        return int(at.timestamp()) // self.value * self.value


DAY_S: Final = Granularity.ONE_DAY.value
"""Seconds of a day."""

LENGTHS: Final[Mapping[str, Granularity]] = {
    "1m": Granularity.ONE_MINUTE,
    "5m": Granularity.FIVE_MINUTE,
    "15m": Granularity.FIFTEEN_MINUTE,
    "30m": Granularity.THIRTY_MINUTE,
    "1h": Granularity.ONE_HOUR,
    "2h": Granularity.TWO_HOUR,
    "4h": Granularity.FOUR_HOUR,
    "6h": Granularity.SIX_HOUR,
    "1d": Granularity.ONE_DAY,
}
"""Bar lengths by the names that files and the command line use."""


class Scale(Value):
    """What one unit of the integer arrays means: `tick` quote currency, `lot` base currency."""

    tick: Decimal
    lot: Decimal

    def ticks(self, price: Decimal) -> int:
        """Exact ticks of a price. Raises UnitError when the price is not a whole number of ticks."""
        ticks = EXACT.divide(price, self.tick)
        if ticks != ticks.to_integral_value():
            raise UnitError(f"price {price} is not a multiple of the tick {self.tick}")
        return int(ticks)

    def lots(self, volume: Decimal) -> int:
        """Whole lots of a volume, rounded down."""
        return int(EXACT.divide(volume, self.lot).to_integral_value(ROUND_DOWN))

    def price(self, ticks: int) -> Price:
        return Price(EXACT.multiply(ticks, self.tick))

    def value(self, ticks: int) -> Decimal:
        """Quote currency for one unit of base, as a plain number."""
        return EXACT.multiply(ticks, self.tick)

    @classmethod
    def proven(cls, tick: Decimal, base_increment: Decimal, max_price: Decimal, window_volume: Decimal) -> Self:
        """The scale with the finest lot = base_increment x 10^k that keeps every window sum below WINDOW_LIMIT.

        max_price: highest price in the data; window_volume: largest volume of any window that will be summed.
        The bound covers sums of price x volume; sums of squared prices over a window are checked by their own callers.
        """
        ticks = int(EXACT.divide(max_price, tick).to_integral_value()) + 1
        lot = base_increment
        while ticks * (int(EXACT.divide(window_volume, lot).to_integral_value()) + 1) >= WINDOW_LIMIT:
            lot = EXACT.multiply(lot, Decimal(10))
        return cls(tick, lot)


class Bar(Value):
    """One closed bar in decimals, as a venue or file gives it. start: aware UTC opening time; volume in base."""

    start: datetime
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Decimal

    def __post_init__(self) -> None:
        if not (self.low <= self.open <= self.high and self.low <= self.close <= self.high):
            raise UnitError(
                f"bar {self.start.isoformat()}: low {self.low} / high {self.high} do not contain open and close"
            )
        if not self.volume.is_finite() or self.volume < 0:
            raise UnitError(f"bar {self.start.isoformat()}: volume must be >= 0, was {self.volume}")


class BarSeries(Value):
    """Closed bars of one market on an unbroken grid, oldest first.

    start: unix seconds of the first bar's opening; bar i opens at start + i x granularity.
    open, high, low, close: ticks; volume: lots; quiet: True where the venue had no trade (close carried, volume 0).
    All arrays have shape (n,), are int64 (quiet: bool) and must be treated as read-only.
    A gap (time that was not fetched) is never inside a series: a series ends before it or starts after it.
    """

    product: ProductId
    granularity: Granularity
    scale: Scale
    start: int
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    quiet: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.close)

    @property
    def end(self) -> int:
        """Unix seconds at which the last bar closed."""
        return self.start + len(self) * self.granularity.value

    @property
    def end_at(self) -> datetime:
        return datetime.fromtimestamp(self.end, UTC)

    def last(self, count: int) -> BarSeries:
        """The newest `count` bars (all when there are fewer)."""
        cut = max(0, len(self) - count)
        return self.slice(cut, len(self))

    def until(self, closed_by: datetime) -> BarSeries:
        """The bars that had closed at `closed_by`: what was known then."""
        count = (int(closed_by.timestamp()) - self.start) // self.granularity.value
        return self.slice(0, max(0, min(len(self), count)))

    def slice(self, first: int, stop: int) -> BarSeries:
        cut = slice(first, stop)
        return BarSeries(
            self.product, self.granularity, self.scale, self.start + first * self.granularity.value,
            self.open[cut], self.high[cut], self.low[cut], self.close[cut], self.volume[cut], self.quiet[cut],
        )  # fmt: skip

    def bar(self, index: int) -> Bar:
        """Bar `index` (negative from the end) in decimals."""
        position = index if index >= 0 else len(self) + index
        opened = datetime.fromtimestamp(self.start, UTC) + timedelta(seconds=position * self.granularity.value)
        price = self.scale.price
        return Bar(
            opened, price(int(self.open[position])), price(int(self.high[position])), price(int(self.low[position])),
            price(int(self.close[position])), EXACT.multiply(Decimal(int(self.volume[position])), self.scale.lot),
        )  # fmt: skip


class Windows(Protocol):
    """Exact window statistics of one market at one instant; t is its last closed bar. All counts are in bars.

    Two makers: live computes from the newest bars, the backtest reads columns computed once for the whole data set.
    Both give the same Python ints. Every method returns None when the history is too short (an answer, not an error).
    """

    def __hash__(self) -> int: ...

    @property
    def product(self) -> ProductId: ...
    @property
    def granularity(self) -> Granularity: ...
    @property
    def scale(self) -> Scale: ...
    @property
    def length(self) -> int:
        """Bars known at this instant."""
        ...

    @property
    def end(self) -> int:
        """Unix seconds at which bar t closed."""
        ...

    def close(self, ago: int = 0) -> int | None:
        """Close of bar t - ago, ticks."""
        ...

    def high(self, ago: int = 0) -> int | None:
        """High of bar t - ago, ticks."""
        ...

    def low(self, ago: int = 0) -> int | None:
        """Low of bar t - ago, ticks."""
        ...

    def volume_sum(self, count: int) -> int | None:
        """Volume of the last `count` bars, lots."""
        ...

    def highest_before(self, count: int) -> int | None:
        """Highest high of the `count` bars before bar t (t excluded), ticks."""
        ...

    def steady_before(self, count: int, percent: Decimal) -> bool | None:
        """Whether each of the `count` bars before bar t kept within `percent` of the close before it, high and low."""
        ...

    def lowest(self, count: int) -> int | None:
        """Lowest low of the last `count` bars, ticks."""
        ...

    def lowest_ago(self, count: int) -> int | None:
        """How many bars ago that lowest low was; the newest one when several tie."""
        ...

    def close_sum(self, count: int) -> int | None:
        """Sum of the last `count` closes, ticks."""
        ...

    def close_square_sum(self, count: int) -> int | None:
        """Sum of the squares of the last `count` closes, ticks squared (arbitrary precision)."""
        ...

    def value_sum(self, count: int) -> int | None:
        """Sum of close x volume over the last `count` bars, ticks x lots."""
        ...

    def gains_and_losses(self, count: int, step: int = 1) -> tuple[int, int] | None:
        """Sums of the rises and of the falls between closes `step` bars apart over the last `count` such steps, ticks,
        both positive."""
        ...

    def rises(self, count: int, step: int = 1) -> int | None:
        """How many of the last `count` steps of `step` bars closed higher than they began."""
        ...

    def slope_sum(self, count: int, step: int = 1) -> int | None:
        """Sum over k = 0..count-1 of (2k - count + 1) x close(t - (count-1-k) x step): the sign of the
        least-squares trend through `count` closes `step` bars apart, ticks."""
        ...

    def return_square_sum(self, count: int, step: int = 1) -> int | None:
        """Sum of squared returns of the last `count` steps of `step` bars; a return is (c1 - c0) * 10^7 // c0
        (Python floor division), squared and summed as integers."""
        ...
