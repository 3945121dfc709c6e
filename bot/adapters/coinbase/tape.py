"""Bars of one market on an unbroken grid, as integers: growing at both ends, never bridging time nobody fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from bot.domain.bars import WINDOW_LIMIT, Bar, BarSeries, Granularity, Ints, Scale
from bot.domain.money import EXACT, ZERO, is_multiple
from bot.domain.product import Product, ProductId
from bot.domain.value import Value, replace
from bot.errors import CriticalDataUnavailable, UnitError

OPEN, HIGH, LOW, CLOSE, VOLUME, QUIET = range(6)
COLUMNS: Final = 6

PRICE_HEADROOM: Final = 4
VOLUME_HEADROOM: Final = 16
"""A scale is proven for this much more than was seen, so that it need not change with the next busy hour."""

_REFINEMENTS_MAX: Final = 12


class Tape(Value):
    """All that is known of one market's bars.

    floor, ceiling: unix seconds between which every bar was fetched. start: opening of the first row; later than
    floor when the market had not traded yet, since a quiet bar before the first trade has no price to carry.
    rows: int64, shape (n, 6): open, high, low, close in ticks, volume in lots, quiet as 0 or 1; they end at ceiling.
    """

    product: ProductId
    granularity: Granularity
    scale: Scale
    floor: int
    ceiling: int
    start: int
    rows: Ints

    @property
    def series(self) -> BarSeries | None:
        """The bars as the domain sees them; None before the first trade."""
        if not len(self.rows):
            return None
        first, high, low, close, volume, quiet = (np.ascontiguousarray(self.rows[:, n]) for n in range(COLUMNS))
        for column in (first, high, low, close, volume):
            column.flags.writeable = False
        market, step = self.product, self.granularity
        return BarSeries(market, step, self.scale, self.start, first, high, low, close, volume, quiet.astype(np.bool_))

    def trimmed(self, count: int) -> Tape:
        """The newest `count` rows only."""
        cut = len(self.rows) - count
        if cut <= 0:
            return self
        start = self.start + cut * self.granularity.value
        return replace(self, floor=start, start=start, rows=self.rows[cut:])


def empty(product: ProductId, granularity: Granularity, scale: Scale, at: int) -> Tape:
    """Nothing fetched yet, about to grow from `at` (unix seconds, on the grid)."""
    return Tape(product, granularity, scale, at, at, at, np.empty((0, COLUMNS), np.int64))


def extended(tape: Tape, bars: Sequence[Bar], start: int, end: int) -> Tape:
    """The tape up to `end`, given a complete answer for [start, end) with floor <= start <= ceiling <= end.

    What overlaps is replaced by the newer answer: a bar published late mends a minute taken for quiet.

    Raises: CriticalDataUnavailable when the answer leaves out a bar that traded before: then it is not complete.
    """
    step = tape.granularity.value
    kept = tape.rows[: max(0, (start - tape.start) // step)]
    _must_repeat(tape, bars, start)
    carry = int(kept[-1, CLOSE]) if len(kept) else None
    first, fresh = _dense(tape, bars, start, end, carry)
    begin = tape.start if len(kept) else first
    return replace(tape, ceiling=end, start=begin, rows=np.concatenate([kept, fresh]))


def doubtful(tape: Tape, bars: Sequence[Bar], start: int) -> int | None:
    """From where on the tape may be wrong, given an answer that begins at `start`; None when nothing speaks for it.

    An answer that knows a trade at its very beginning, where the tape has silence, says that an earlier answer was not
    complete: perhaps all of that silence was none. A bar published late is never that old.
    """
    step = tape.granularity.value
    if not any(int(bar.start.timestamp()) == start for bar in bars):
        return None
    if not len(tape.rows):
        return start if start > tape.floor else None
    index = last = (start - tape.start) // step
    if not 0 <= index < len(tape.rows) or not tape.rows[index, QUIET]:
        return None
    while index > 0 and tape.rows[index - 1, QUIET]:
        index -= 1
    return tape.start + index * step if index < last else None


def cut(tape: Tape, at: int) -> Tape:
    """The tape up to `at`; from there on nothing counts as fetched."""
    count = (at - tape.start) // tape.granularity.value
    if count <= 0 or not len(tape.rows):
        return empty(tape.product, tape.granularity, tape.scale, at)
    return replace(tape, ceiling=at, rows=tape.rows[:count])


def anchored(tape: Tape) -> bool:
    """Whether the tape begins with a trade right at its floor: a complete answer about the time before can show it."""
    return bool(len(tape.rows)) and tape.start == tape.floor and not tape.rows[0, QUIET]


def prepended(tape: Tape, bars: Sequence[Bar], start: int) -> Tape:
    """The tape from `start` on, given a complete answer for [start, floor)."""
    first, fresh = _dense(tape, bars, start, tape.floor, None)
    if not len(fresh):
        return replace(tape, floor=start, start=tape.start if len(tape.rows) else tape.ceiling)
    until = tape.start if len(tape.rows) else tape.ceiling
    _, bridge = _dense(tape, (), tape.floor, until, int(fresh[-1, CLOSE]))
    return replace(tape, floor=start, start=first, rows=np.concatenate([fresh, bridge, tape.rows]))


def first_change(before: Tape, after: Tape) -> int:
    """Opening of the first row of `after` that `before` does not hold; after's ceiling when there is none."""
    if before.scale != after.scale or not before.start <= after.start <= before.ceiling:
        return after.start
    old = before.rows[(after.start - before.start) // after.granularity.value :]
    shared = min(len(old), len(after.rows))
    same = (old[:shared] == after.rows[:shared]).all(axis=1)
    index = shared if same.all() else int(np.argmin(same))
    return after.start + index * after.granularity.value


def rescaled(tape: Tape, scale: Scale) -> Tape:
    """The same bars in other units; prices exactly, volumes rounded down to the new lot.

    Raises: UnitError when a price is no whole number of the new ticks.
    """
    if scale == tape.scale:
        return tape
    rows = tape.rows.copy()
    up, down = _ratio(tape.scale.tick, scale.tick)
    prices = rows[:, : CLOSE + 1]
    if down != 1 and np.any(prices % down):
        raise UnitError(f"{tape.product}: prices in ticks of {tape.scale.tick} do not fit ticks of {scale.tick}")
    rows[:, : CLOSE + 1] = prices // down * up
    up, down = _ratio(tape.scale.lot, scale.lot)
    rows[:, VOLUME] = [int(volume) * up // down for volume in rows[:, VOLUME]]
    return replace(tape, scale=scale, rows=rows)


def fitting_scale(product: Product, tape: Tape | None, bars: Iterable[Bar]) -> Scale:
    """A scale that holds the tape and the new bars exactly and keeps every window sum below WINDOW_LIMIT.

    The tape's own scale is kept while it does. The tick is the venue's, or finer where older bars need it.

    Raises: CriticalDataUnavailable when no decimal tick fits the prices.
    """
    fresh = tuple(bars)
    tick = _fitting_tick(product, tape, fresh)
    top, volume = _extent(tape, fresh)
    if tape is not None and tick == tape.scale.tick and _is_decade(tape.scale.lot, product.size_step):
        ticks = int(EXACT.divide(top, tick).to_integral_value()) + 1
        lots = int(EXACT.divide(volume, tape.scale.lot).to_integral_value()) + 1
        if ticks * lots < WINDOW_LIMIT:
            return tape.scale
    return Scale.proven(
        tick,
        product.size_step,
        EXACT.multiply(top, Decimal(PRICE_HEADROOM)),
        EXACT.multiply(volume, Decimal(VOLUME_HEADROOM)),
    )


def _must_repeat(tape: Tape, bars: Sequence[Bar], start: int) -> None:
    step = tape.granularity.value
    given = {int(bar.start.timestamp()) for bar in bars}
    first = max(0, (start - tape.start) // step)
    for index in range(first, len(tape.rows)):
        opened = tape.start + index * step
        if opened >= start and not tape.rows[index, QUIET] and opened not in given:
            raise CriticalDataUnavailable(f"candles {tape.product}", f"the answer leaves out the bar of {opened}")


def _dense(tape: Tape, bars: Sequence[Bar], start: int, end: int, carry: int | None) -> tuple[int, Ints]:
    """Rows for [start, end) and the opening of the first; without a price to carry they begin at the first bar."""
    step = tape.granularity.value
    given = {int(bar.start.timestamp()): bar for bar in bars}
    if carry is None:
        start = min(given, default=end)
    last = carry or 0
    rows = np.zeros((max(0, (end - start) // step), COLUMNS), np.int64)
    for index in range(len(rows)):
        bar = given.get(start + index * step)
        if bar is not None:
            rows[index] = _row(bar, tape.scale)
        else:
            rows[index, : CLOSE + 1] = last
            rows[index, QUIET] = 1
        last = int(rows[index, CLOSE])
    return start, rows


def _row(bar: Bar, scale: Scale) -> tuple[int, int, int, int, int, int]:
    prices = (scale.ticks(price.value) for price in (bar.open, bar.high, bar.low, bar.close))
    return (*prices, scale.lots(bar.volume), 0)  # type: ignore[return-value]  # four prices, as the line above says


def _fitting_tick(product: Product, tape: Tape | None, bars: Sequence[Bar]) -> Decimal:
    tick = product.price_step
    if tape is not None and len(tape.rows) and not is_multiple(tape.scale.tick, tick):
        tick = tape.scale.tick
    prices = {price.value for bar in bars for price in (bar.open, bar.high, bar.low, bar.close)}
    anchors = prices | {product.price_step} | ({tape.scale.tick} if tape is not None and len(tape.rows) else set())
    for _ in range(_REFINEMENTS_MAX):
        if all(is_multiple(price, tick) for price in anchors):
            return tick
        tick = EXACT.divide(tick, Decimal(10))
    raise CriticalDataUnavailable(f"candles {product.id}", f"no decimal tick near {product.price_step} fits the prices")


def _extent(tape: Tape | None, bars: Sequence[Bar]) -> tuple[Decimal, Decimal]:
    """Highest price and whole volume of the tape and the new bars."""
    top = max((bar.high.value for bar in bars), default=ZERO)
    volume = sum((bar.volume for bar in bars), ZERO)
    if tape is not None and len(tape.rows):
        top = max(top, EXACT.multiply(Decimal(int(tape.rows[:, HIGH].max())), tape.scale.tick))
        held = sum(tape.rows[:, VOLUME].tolist())
        volume = EXACT.add(volume, EXACT.multiply(Decimal(held), tape.scale.lot))
    return top, volume


def _ratio(old: Decimal, new: Decimal) -> tuple[int, int]:
    """old / new as up / down in lowest terms."""
    up, down = EXACT.divide(old, new).as_integer_ratio()
    return up, down


def _is_decade(lot: Decimal, step: Decimal) -> bool:
    """Whether lot = step x 10^k, k >= 0."""
    ratio = EXACT.divide(lot, step)
    return ratio >= 1 and ratio.normalize(EXACT).as_tuple().digits == (1,)
