"""Order books kept from level2 frames, near the mid only, and never believed across a gap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Final

from bot.adapters.coinbase.wire.frame import LevelChange
from bot.domain.market import Book, Level, Quote
from bot.domain.money import EXACT, ZERO, Price, Size
from bot.domain.product import ProductId, Side

SHOWN_BAND: Final = Decimal("0.02")
"""Levels further from the mid than this are not shown."""

KEPT_BAND: Final = Decimal("0.05")
"""Levels further than this from the mid of the last snapshot are not kept, so the book must be asked for again ..."""

DRIFT_MAX: Final = Decimal("0.025")
"""... once the mid has drifted this far: what is shown always lies inside what is kept."""

LEVELS_SHOWN_MAX: Final = 300
CROSSED_UPDATES_MAX: Final = 20


class _Ladder:
    """One side: prices ascending, the size at each, and the levels that were shown since their size changed."""

    def __init__(self) -> None:
        self.prices: list[Decimal] = []
        self._sizes: dict[Decimal, Decimal] = {}
        self._levels: dict[Decimal, Level] = {}

    def put(self, price: Decimal, size: Decimal) -> None:
        sizes = self._sizes
        if size:
            if price not in sizes:
                insort(self.prices, price)
            sizes[price] = size
        elif sizes.pop(price, None) is not None:
            del self.prices[bisect_left(self.prices, price)]
        self._levels.pop(price, None)

    def fill(self, levels: dict[Decimal, Decimal]) -> None:
        self._sizes = levels
        self._levels = {}
        self.prices = sorted(levels)

    def between(self, low: Decimal, high: Decimal) -> list[Decimal]:
        return self.prices[bisect_left(self.prices, low) : bisect_right(self.prices, high)]

    def level(self, price: Decimal) -> Level:
        known = self._levels.get(price)
        if known is None:
            known = self._levels[price] = Level(Price(price), Size(self._sizes[price]))
        return known


class LiveBook:
    """One market's book. Not safe to share between threads without the feed's lock.

    valid: a snapshot was taken and nothing was missed since. updated_at: venue time of the last change.
    """

    def __init__(self, product: ProductId) -> None:
        self.product = product
        self.valid = False
        self.updated_at: datetime | None = None
        self._bids = _Ladder()
        self._asks = _Ladder()
        self._low = ZERO
        self._high = ZERO
        self._anchor = ZERO
        self._crossed = 0

    def invalidate(self) -> None:
        """Something was missed: nothing is shown until the next snapshot."""
        self.valid = False

    def snapshot(self, changes: Iterable[LevelChange], at: datetime) -> None:
        """Start anew from the whole book."""
        sides: dict[Side, dict[Decimal, Decimal]] = {Side.BUY: {}, Side.SELL: {}}
        for change in changes:
            if change.size:
                sides[change.side][change.price] = change.size
        self._anchor_at(sides[Side.BUY], sides[Side.SELL])
        self._bids.fill(self._near(sides[Side.BUY]))
        self._asks.fill(self._near(sides[Side.SELL]))
        self.updated_at = at
        self.valid = True
        self._crossed = 0

    def apply(self, changes: Iterable[LevelChange], at: datetime) -> None:
        """One update; ignored before the first snapshot and after a gap."""
        if not self.valid:
            return
        low, high, bids, asks = self._low, self._high, self._bids, self._asks
        for side, price, size in changes:
            if low <= price <= high:
                (bids if side is Side.BUY else asks).put(price, size)
        self.updated_at = at
        self._crossed = self._crossed + 1 if self._is_crossed() else 0

    @property
    def needs_snapshot(self) -> bool:
        """Whether the mid has left the kept band, a side is empty, or the book has been crossed for long."""
        if not self.valid:
            return True
        mid = self._mid()
        if mid is None:
            return True
        drift = abs(EXACT.subtract(mid, self._anchor))
        return drift > EXACT.multiply(self._anchor, DRIFT_MAX) or self._crossed > CROSSED_UPDATES_MAX

    def best(self) -> tuple[Decimal, Decimal] | None:
        """Best bid and ask prices; None when there is no valid two-sided book."""
        if not self.valid or not self._bids.prices or not self._asks.prices:
            return None
        return self._bids.prices[-1], self._asks.prices[0]

    def quote(self, at: datetime) -> Quote | None:
        """The touch, with `at` as its evidence; None without one. Raises UnitError when crossed."""
        best = self.best()
        if best is None:
            return None
        bid, ask = self._bids.level(best[0]), self._asks.level(best[1])
        return Quote(self.product, bid.price, ask.price, bid.size, ask.size, at)

    def book(self, at: datetime) -> Book | None:
        """The levels within the shown band, with `at` as their evidence; None without a valid two-sided book."""
        mid = self._mid()
        if not self.valid or mid is None:
            return None
        reach = EXACT.multiply(mid, SHOWN_BAND)
        bids = self._bids.between(EXACT.subtract(mid, reach), mid)[-LEVELS_SHOWN_MAX:]
        asks = self._asks.between(mid, EXACT.add(mid, reach))[:LEVELS_SHOWN_MAX]
        return Book(
            self.product,
            tuple(self._bids.level(price) for price in reversed(bids)),
            tuple(self._asks.level(price) for price in asks),
            at,
        )

    def _mid(self) -> Decimal | None:
        if not self._bids.prices or not self._asks.prices:
            return None
        return EXACT.divide(EXACT.add(self._bids.prices[-1], self._asks.prices[0]), Decimal(2))

    def _is_crossed(self) -> bool:
        best = self.best()
        return best is not None and best[0] >= best[1]

    def _anchor_at(self, bids: dict[Decimal, Decimal], asks: dict[Decimal, Decimal]) -> None:
        ends = [max(bids)] if bids else []
        ends += [min(asks)] if asks else []
        self._anchor = EXACT.divide(sum(ends, ZERO), Decimal(len(ends))) if ends else ZERO
        reach = EXACT.multiply(self._anchor, KEPT_BAND)
        self._low, self._high = EXACT.subtract(self._anchor, reach), EXACT.add(self._anchor, reach)

    def _near(self, levels: dict[Decimal, Decimal]) -> dict[Decimal, Decimal]:
        return {price: size for price, size in levels.items() if self._low <= price <= self._high}
