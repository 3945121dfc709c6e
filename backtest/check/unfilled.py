"""What an order did not fill, though it asked for it: only for lack of a price, of volume or of a book."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from backtest.check.bounds import BOOK_BPS, Bar, band, bar, moved
from backtest.check.deeds import Basis, Entry, Sent, Told
from backtest.check.sides import Side
from backtest.dataset import Dataset
from bot.domain.money import EXACT, ZERO, ceil_to, floor_to, total
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.settings.config import Config

PASSED_BPS: Final = Decimal(25)
"""How far the low of a minute may pass a quote that rested for half of it or more, and not have traded with it: what
the other half may have seen."""
DEEP: Final = 2
"""So many times what was asked for on offer at the decision, and the order fills."""


class Unfilled(Value):
    """Judges what entries left unfilled. data: the recorded bars that both sides traded on."""

    data: Dataset
    config: Config

    def told(self, entry: Entry, side: Side) -> Iterator[Told]:
        """Why an entry of one side did not fill, or not in full; nothing when it did."""
        filled = entry.filled
        if filled.whole:
            return
        missed = [text for order in filled.orders for text in self._missed(entry, order, side)]
        what = f"{side.name} filled {filled.size if filled.parts else 'nothing'} of {filled.asked}"
        why = f"at most {self._share_pct} % of a bar's volume" if side.recorded else "what the book held, and its time"
        limits = ", ".join(f"{order.limit}" for order in filled.orders)
        yield from (Told(f"{what}: {text}", False) for text in missed)
        if not missed:
            yield Told(f"{what}: {why} at {limits}, which no bar of its time gave more of")

    def _missed(self, entry: Entry, order: Sent, side: Side) -> Iterator[str]:
        if order.filled >= order.size:
            return
        if side.recorded:
            yield from self._recorded(entry.product, order, side)
        elif order.rests:
            yield from self._resting(entry.product, order)
        elif entry.basis is not None:
            yield from self._immediate(entry, entry.basis, order)

    # ---------------------------------------------------------------------------------------------------- the backtest

    def _recorded(self, product: ProductId, order: Sent, side: Side) -> Iterator[str]:
        """Every whole bar of its life that reached its price must have given it the share it may take."""
        model, first = (
            self.config.policy.backtest,
            self.data.newest(order.at) + self.config.policy.backtest.latency_bars,
        )
        last = self._newest(order.ended) if order.rests else first
        for k in range(first, last + 1):
            now = bar(self.data, product, k)
            if now is None or order.limit is None or not self._reaches(now, order.limit, order.rests, product):
                continue
            share, taken = self._share(now, product), self._taken(side, product, self.data.closed(k))
            left = EXACT.subtract(order.size, total(p.size for p in order.parts if p.booked <= self.data.closed(k)))
            if left > 0 and (taken + self._size_step(product) <= share or model.fill_model == "touch"):
                yield (
                    f"the bar that closed at {self.data.closed(k):%H:%M} traded from {now.low} past its limit "
                    f"{order.limit}, {share:f} of it were to be had and {taken:f} taken"
                )

    def _reaches(self, now: Bar, limit: Decimal, rests: bool, product: ProductId) -> bool:
        if rests:
            return now.low < limit or (self.config.policy.backtest.fill_model == "touch" and now.low == limit)
        touch = moved(now.open, self.config.policy.backtest.half_spread_bps)
        return ceil_to(touch, max(self.data.listings.steps(product))) <= limit

    def _share(self, now: Bar, product: ProductId) -> Decimal:
        fraction = self.config.policy.backtest.participation_pct.fraction
        return floor_to(EXACT.multiply(now.volume, fraction), self._size_step(product))

    def _taken(self, side: Side, product: ProductId, at: datetime) -> Decimal:
        return total(fill.size for fill in side.fills if fill.product == product and fill.booked_at == at)

    # ------------------------------------------------------------------------------------------------------------ live

    def _resting(self, product: ProductId, order: Sent) -> Iterator[str]:
        """A minute that went far below it while it rested would have traded with it."""
        length = timedelta(seconds=self.data.length.value)
        for k in range(self.data.newest(order.at) + 1, self._newest(order.ended) + 2):
            now, ended = bar(self.data, product, k), order.ended or self.data.closed(k)
            rested = min(ended, self.data.closed(k)) - max(order.at, self.data.opened(k))
            if now is None or order.limit is None or order.parts or 2 * rested < length:
                continue
            if now.low < moved(order.limit, -PASSED_BPS) and self._share(now, product) > ZERO:
                yield (
                    f"the minute before {self.data.closed(k):%H:%M} went down to {now.low}, more than {PASSED_BPS} bps "
                    f"below its limit {order.limit}"
                )

    def _immediate(self, entry: Entry, basis: Basis, order: Sent) -> Iterator[str]:
        """It lacks what the book did not hold, or what the market moved away from."""
        seen = band(self.data, entry.product, self.data.newest(order.at) + 1)
        deep = basis.depth >= DEEP * order.size
        if deep and order.limit is not None and seen is not None and moved(seen.high, BOOK_BPS) < order.limit:
            yield f"{basis.depth:f} were on offer up to its limit {order.limit}, in a market of {seen}"

    # --------------------------------------------------------------------------------------------------------- numbers

    def _newest(self, ended: datetime | None) -> int:
        return self.data.count - 1 if ended is None else min(self.data.newest(ended), self.data.count - 1)

    def _size_step(self, product: ProductId) -> Decimal:
        return max(self.data.listings.size_steps(product))

    @property
    def _share_pct(self) -> Decimal:
        return self.config.policy.backtest.participation_pct.value
