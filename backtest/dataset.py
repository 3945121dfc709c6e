"""Recorded markets on one grid of bars: exact integers, gaps marked, warm-up history before the first cycle."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from backtest import candles as files
from backtest import listing
from backtest.candles import Candles, Floats
from bot.domain.bars import WINDOW_LIMIT, BarSeries, Granularity, Ints, Scale
from bot.domain.money import BASIS_POINTS, EXACT, is_multiple
from bot.domain.product import Product, ProductId
from bot.domain.value import Value, cached_property
from bot.errors import CandlesCorrupt, ConfigError
from bot.triggers.columns import SeriesColumns

GAP: Final = timedelta(hours=1)
GAP_BARS: Final = 3
"""Bars that are absent for longer than both are a gap, time that nobody recorded; any other was quiet."""
PLACES_MAX: Final = 12
DIGITS: Final = 10**15
"""Numbers of so many steps are the last that a float holds exactly, whatever the step."""
WORKERS: Final = 2
_PART: Final = 64
"""Bars of which the volume is summed once."""


class Quoting(Value):
    """Bid and ask around a close, all in ticks: half the spread to either side, each rounded away from it.

    step: the price increment; up / down: half the spread as a fraction of the price.
    """

    step: int
    up: int
    down: int

    def bid(self, close: int) -> int:
        bid = close * (self.down - self.up) // (self.down * self.step) * self.step
        return bid if bid > self.step else self.step

    def ask(self, close: int) -> int:
        return self.touch(close)[1]

    def touch(self, close: int) -> tuple[int, int]:
        """Bid and ask."""
        bid = self.bid(close)
        ask = -(-close * (self.down + self.up) // (self.down * self.step)) * self.step
        return bid, ask if ask > bid else bid + self.step

    @property
    def room(self) -> int:
        """Prices of fewer ticks than this have exact quotes."""
        return WINDOW_LIMIT // (self.down + self.up)

    def bids(self, close: Ints) -> Ints:
        """`bid` of every close, for closes within `room`."""
        bids = close * (self.down - self.up)
        bids //= self.down * self.step
        bids *= self.step
        return np.maximum(bids, self.step, out=bids)

    def close_above(self, bid: int) -> int:
        """A close so high that every close beyond it has a bid beyond `bid`."""
        return (bid + self.step) * self.down // (self.down - self.up) + 1

    def asks(self, close: Ints) -> Ints:
        """`ask` of every close."""
        bids = self.bids(close)
        asks = -(-close * (self.down + self.up) // (self.down * self.step)) * self.step
        return np.maximum(asks, bids + self.step, out=asks)


class Segment(Value):
    """Bars of one market without a gap. first: index on the run's grid of its first bar; negative before the run.

    stop: index just behind its last bar. columns: their statistics, each made when first asked for.
    """

    first: int
    stop: int
    columns: SeriesColumns

    @staticmethod
    def of(first: int, columns: SeriesColumns) -> Segment:
        return Segment(first, first + len(columns.series), columns)


class Track(Value):
    """Everything recorded of one market that reaches into the run, oldest first.

    since, last: openings of the first and the last bar of the recording, unix seconds, whatever a slice left of it.
    """

    market: ProductId
    scale: Scale
    quoting: Quoting
    segments: tuple[Segment, ...]
    since: int
    last: int

    def scale_floor(self, price: Decimal) -> int:
        """Whole ticks at or below a price."""
        return int(EXACT.divide(price, self.scale.tick).to_integral_value(ROUND_FLOOR))

    def scale_ceil(self, price: Decimal) -> int:
        """Whole ticks at or above a price."""
        return int(EXACT.divide(price, self.scale.tick).to_integral_value(ROUND_CEILING))

    def at(self, k: int) -> Segment | None:
        """The segment that holds bar `k` of the grid; None in a gap."""
        for segment in self.segments:
            if segment.first <= k < segment.stop:
                return segment
        return None


class Integrity(Value):
    """What the files left out. quiet: bars without a trade; gaps: market, first missing opening, first one after.

    recorded: openings of the first and the last bar that were read, history before the run among them. absent: products
    with a file, and no bar of the period in it.
    """

    rows: Mapping[ProductId, int]
    quiet: Mapping[ProductId, int]
    gaps: tuple[tuple[ProductId, int, int], ...]
    recorded: Mapping[ProductId, tuple[int, int]]
    absent: tuple[ProductId, ...]


class Dataset(Value, dict=True):
    """The markets of one run. Bar k opens at start + k x length and is known at its close; k = 0..count - 1.

    paths: the files read, by product.
    """

    length: Granularity
    start: int
    count: int
    tracks: Mapping[ProductId, Track]
    listings: listing.Listings
    integrity: Integrity
    paths: Mapping[ProductId, Path]

    def index(self, opening: int) -> int:
        """The bar that opens at, or is the last to open before, this second."""
        return (opening - self.start) // self.length

    def over(self, track: Track, k: int) -> bool:
        """Whether the recording of a market ended before bar `k`."""
        return self.start + k * self.length > track.last

    def in_part(self) -> Mapping[ProductId, tuple[bool, bool]]:
        """The markets whose recording begins so late, or ends so early, that it cannot be for want of trades: which."""
        step = self.length.value
        away, end = _quiet_at_most(step), self.start + (self.count - 1) * step
        found = {
            market: (first - self.start > away, end - last > away)
            for market, (first, last) in self.integrity.recorded.items()
        }
        return {market: sides for market, sides in found.items() if any(sides)}

    def unrecorded(self) -> Iterator[tuple[int, int]]:
        """Stretches of bars (first, stop) in which no market has one, for longer than it can be for want of trades."""
        known, least = 0, _quiet_at_most(self.length.value) // self.length.value
        for first, stop in sorted((s.first, s.stop) for track in self.tracks.values() for s in track.segments):
            if first - known > least:
                yield known, first
            known = max(known, stop)

    @cached_property
    def _grid(self) -> tuple[datetime, timedelta]:
        """When the first bar opens, and the length of each."""
        return datetime.fromtimestamp(self.start, UTC), timedelta(seconds=self.length.value)

    def opened(self, k: int) -> datetime:
        first, length = self._grid
        return first + k * length

    def closed(self, k: int) -> datetime:
        """When bar `k` closed, and the cycle that knows it runs."""
        first, length = self._grid
        return first + (k + 1) * length

    def knowing(self, at: datetime) -> int:
        """The first bar that closes at or after a moment."""
        first, length = self._grid
        return -((first - at) // length) - 1

    def newest(self, now: datetime) -> int:
        """The newest bar that had closed at `now`; -1 before the first."""
        first, length = self._grid
        return (now - first) // length - 1


class Wish(Value):
    """What a run wants of a data folder. products: only these; since, until: first opening, and first left out.

    history: bars wanted before `since`, where the files have them. half_spread_bps: of the made quotes.
    """

    folder: Path
    length: Granularity
    products: tuple[ProductId, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    history: int = 0
    half_spread_bps: Decimal = Decimal(0)


class _Part(Value):
    """One file in exact integers, before the run's grid is known. made: its listing, where products.json has none."""

    path: Path
    rows: int
    first: int
    last: int
    scale: Scale
    quoting: Quoting
    series: tuple[BarSeries, ...]
    gaps: tuple[tuple[int, int], ...]
    made: tuple[Product, ...]


def load(wish: Wish, note: Callable[[ProductId], None] = lambda _: None) -> Dataset:
    """Read every file the wish is about, two at a time. note: called after each. Raises ConfigError, CandlesCorrupt."""
    if wish.since is not None and wish.until is not None and wish.since >= wish.until:
        raise ConfigError([f"--to {wish.until:%Y-%m-%d %H:%M} must be later than --from {wish.since:%Y-%m-%d %H:%M}"])
    chosen = files.files(wish.folder, wish.length, wish.products)
    missing = [product for product in wish.products if product not in chosen]
    if missing:
        raise ConfigError([f"--products {product}: no file of it in {wish.folder}" for product in missing])
    listings, parts = listing.read(wish.folder), {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for product, part in zip(
            chosen, pool.map(lambda path: _part(wish, path, listings), chosen.values()), strict=True
        ):
            if part is not None:
                parts[product] = part
            note(product)
    if not parts:
        raise ConfigError([f"--data {wish.folder}: no candle between --from and --to: {_reach(chosen.values())}"])
    start, stop = _span(wish, list(parts.values()))
    gaps = tuple((product, *gap) for product, part in parts.items() for gap in part.gaps)
    quiet = {product: sum(int(np.count_nonzero(s.quiet)) for s in part.series) for product, part in parts.items()}
    return Dataset(
        wish.length, start, (stop - start) // wish.length.value,
        {product: _track(product, part, start) for product, part in parts.items()},
        listings.with_others(made for part in parts.values() for made in part.made),
        Integrity(
            {product: part.rows for product, part in parts.items()}, quiet, gaps,
            {product: (part.first, part.last) for product, part in parts.items()},
            tuple(product for product in chosen if product not in parts),
        ),
        {product: part.path for product, part in parts.items()},
    )  # fmt: skip


def _reach(paths: Iterable[Path]) -> str:
    """From when to when there are candles; the files are read once more, since nothing of them was kept."""
    opened = [int(start) for path in paths for start in files.read(path).start[[0, -1]]]
    first, last = (datetime.fromtimestamp(at, UTC) for at in (min(opened), max(opened)))
    return f"the first is that of {first:%Y-%m-%d %H:%M}, the last that of {last:%Y-%m-%d %H:%M} UTC"


def _part(wish: Wish, path: Path, listings: listing.Listings) -> _Part | None:
    """One file, its floats already given back; None when it has no row in the period."""
    item, step = _cut(wish, files.read(path)), wish.length.value
    if not len(item.start):
        return None
    up, down = EXACT.divide(wish.half_spread_bps, BASIS_POINTS).as_integer_ratio()
    most = min(DIGITS, Quoting(1, up, down).room)
    made = () if listings.steps(item.product) else (_made(item, most),)
    described = listings.with_others(made)
    steps, size_step = described.steps(item.product), max(described.size_steps(item.product))
    # One stretch of memory for all columns: the system hands that out in larger pieces, which is half the work.
    columns = np.empty((len(files.PRICES) + 1, len(item.start)), np.int64)
    tick = _exact_prices(item, steps, most, columns[:-1])
    scale = _scale(item, tick, size_step, wish)
    _in_lots(item.volume, scale.lot, columns[-1])
    holes = _holes(item.start, step)
    bounds = [0, *(index for index, _ in holes), len(item.start)]
    series = tuple(
        _series(item.product, wish.length, scale, item.start[first:stop], [column[first:stop] for column in columns])
        for first, stop in pairwise(bounds)
    )
    quoting = Quoting(int(EXACT.divide(max(steps), tick)), up, down)
    gaps = tuple((int(item.start[i - 1]) + step, int(item.start[i])) for i, _ in holes)
    first, last = int(item.start[0]), int(item.start[-1])
    return _Part(path, len(item.start), first, last, scale, quoting, series, gaps, made)


def _track(product: ProductId, part: _Part, start: int) -> Track:
    segments = tuple(
        Segment.of((series.start - start) // series.granularity.value, SeriesColumns(series)) for series in part.series
    )
    return Track(product, part.scale, part.quoting, segments, part.first, part.last)


# ---------------------------------------------------------------------------------------------------------- the grid


def _cut(wish: Wish, item: Candles) -> Candles:
    """The rows of interest, as bars of the wished length."""
    step = wish.length.value
    if step % item.length.value:
        raise ConfigError(
            [f"{item.path}: bars of {item.length.name} make no bars of {wish.length.name}; give a longer --bar"]
        )
    since = int(wish.since.timestamp()) // step * step - wish.history * step if wish.since is not None else 0
    until = int(wish.until.timestamp()) // step * step if wish.until is not None else 2**62
    first, stop = np.searchsorted(item.start, [since, until])
    if first or stop < len(item.start):
        item = _rows(item, slice(int(first), int(stop)))
    return item if item.length is wish.length else _joined(item, wish.length)


def _rows(item: Candles, cut: slice) -> Candles:
    return Candles(
        item.product, item.path, item.length, item.start[cut], item.open[cut], item.high[cut], item.low[cut],
        item.close[cut], item.volume[cut],
    )  # fmt: skip


def _joined(item: Candles, length: Granularity) -> Candles:
    """Longer bars out of shorter ones: first open, highest high, lowest low, last close, volumes added."""
    if not len(item.start):
        return item
    opened = item.start // length.value * length.value
    heads = np.flatnonzero(np.append(True, opened[1:] != opened[:-1]))
    tails = np.append(heads[1:], len(opened)) - 1
    return Candles(
        item.product, item.path, length, opened[heads], item.open[heads], np.maximum.reduceat(item.high, heads),
        np.minimum.reduceat(item.low, heads), item.close[tails], np.add.reduceat(item.volume, heads),
    )  # fmt: skip


def _span(wish: Wish, parts: Sequence[_Part]) -> tuple[int, int]:
    step = wish.length.value
    first = min(part.first for part in parts)
    last = max(part.last for part in parts) + step
    start = first if wish.since is None else -(-int(wish.since.timestamp()) // step) * step
    stop = last if wish.until is None else min(last, int(wish.until.timestamp()) // step * step)
    start = max(start, first)
    if start >= stop:
        shown = [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in (first, last)]
        raise ConfigError([f"--from and --to leave no bar: the candles reach from {shown[0]} to {shown[1]} UTC"])
    return start, stop


# ------------------------------------------------------------------------------------------------------- exact numbers


def _made(item: Candles, most: int) -> Product:
    """A listing for a product that products.json does not name."""
    highest = float(item.high.max())
    places = max(_places(getattr(item, name)) for name in files.PRICES)
    while places and highest * 10.0**places >= most:
        places -= 1  # no increment is that fine: `_exact_prices` names the price that asks for it
    size = Decimal(1).scaleb(-min(8, _places(item.volume)))
    return listing.made_from(
        item.product, Decimal(1).scaleb(-places), size, datetime.fromtimestamp(int(item.start[0]), UTC)
    )


def _places(values: Floats) -> int:
    """Decimals of the number that has most of them, counted no further than PLACES_MAX."""
    for places in range(PLACES_MAX):
        factor = 10.0**places
        if np.array_equal(np.rint(values * factor) / factor, values):
            return places
    return PLACES_MAX


def _exact_prices(item: Candles, steps: Sequence[Decimal], most: int, out: Ints) -> Decimal:
    """The coarsest decimal tick of which every increment and every recorded price is a whole multiple; open, high, low
    and close in it are put into the rows of `out`. most: ticks that no price may reach."""
    finest, highest = min(steps), Decimal(str(float(item.high.max())))
    tick = finest
    for _ in range(PLACES_MAX):
        if EXACT.divide(highest, tick) >= most:
            break
        finest = tick
        if all(is_multiple(step, tick) for step in steps) and all(
            _in_ticks(getattr(item, name), tick, row) for name, row in zip(files.PRICES, out, strict=True)
        ):
            return tick
        tick = EXACT.divide(tick, Decimal(10))
    raise _too_fine(item, finest)


def _too_fine(item: Candles, tick: Decimal) -> CandlesCorrupt:
    """The refusal of the first price that is no whole multiple of `tick`, the finest there is room for; where there is
    none, of the highest one. It is looked for among the rows as they stand in the file."""
    raw, up, down = files.read(item.path), *tick.as_integer_ratio()
    rows = slice(*np.searchsorted(raw.start, [item.start[0], item.start[-1] + item.length.value]))
    columns = {name: getattr(raw, name)[rows] for name in files.PRICES}
    odd = {name: np.rint(column * down / up) * up / down != column for name, column in columns.items()}
    name = min(odd, key=lambda name: int(np.argmax(odd[name])) if odd[name].any() else len(odd[name]))
    if not odd[name].any():
        name, odd = "high", {"high": columns["high"] == columns["high"].max()}
    at = int(np.argmax(odd[name]))
    reason = (
        f"{name} {files.shown(float(columns[name][at]))} is no multiple of {tick}, and prices as high as "
        f"{files.shown(float(columns['high'].max()))} leave room for no finer step: round it to the product's increment"
    )
    return CandlesCorrupt(str(item.path), files.row_of(item.path, rows.start + at), reason)


def _in_ticks(prices: Floats, tick: Decimal, out: Ints) -> bool:
    """Put whole ticks into `out`; False when a price is not a whole multiple."""
    up, down = tick.as_integer_ratio()
    for cut in files.blocks(len(prices)):
        ticks = prices[cut] * down
        if up != 1:
            ticks /= up
        np.rint(ticks, out=ticks)
        out[cut] = ticks
        if up != 1:
            ticks *= up
        ticks /= down
        if not np.array_equal(ticks, prices[cut]):
            return False
    return True


def _in_lots(volume: Floats, lot: Decimal, out: Ints) -> None:
    """Put whole lots into `out`, rounded down; a volume's own digits are exact, so 0.3 is three lots of 0.1."""
    up, down = lot.as_integer_ratio()
    for cut in files.blocks(len(volume)):
        lots = volume[cut] * down
        if up != 1:
            lots /= up
        near = np.rint(lots)
        out[cut] = near
        # Rounded up by more than the error of the multiplication: there is a part of a lot, which does not count.
        out[cut] -= near - lots > near * 2.0**-50


def _scale(item: Candles, tick: Decimal, size_step: Decimal, wish: Wish) -> Scale:
    """The finest lot that keeps every window sum exact, whatever windows the policy asks for."""
    highest = Decimal(int(np.max(item.high)) + 1)

    def of_window(volume: float) -> Scale:
        return Scale.proven(tick, size_step, highest, Decimal(int(volume * (1 + 2.0**-30)) + 1))

    volume, count = item.volume, min(len(item.volume), max(1, wish.history))
    parts = np.add.reduceat(volume, np.arange(0, len(volume), _PART))
    # Parts that any window holds, and parts that one lies within: mostly they leave one lot to choose.
    held, around = count // _PART, (count + 2 * _PART - 2) // _PART
    if held and (least := of_window(_largest(parts, held))) == of_window(_largest(parts, around)):
        return least
    return of_window(_largest(volume, count))


def _largest(values: Floats, count: int) -> float:
    """The largest sum of `count` neighbours, or of all where they are fewer."""
    running, count = np.concatenate(([0.0], np.cumsum(values))), min(count, len(values))
    return float((running[count:] - running[:-count]).max())


def _holes(start: Ints, step: int) -> list[tuple[int, int]]:
    """Row that follows each gap, with the gap's length in seconds."""
    quiet, absent = _quiet_at_most(step), int(start[-1] - start[0]) - (len(start) - 1) * step
    if absent <= quiet:
        return []  # not if all of it were in one place
    away = np.diff(start)
    return [(int(index) + 1, int(away[index]) - step) for index in np.flatnonzero(away > quiet + step)]


def _quiet_at_most(step: int) -> int:
    """Seconds that may pass without a bar for want of trades."""
    return max(int(GAP.total_seconds()), GAP_BARS * step)


def _series(product: ProductId, length: Granularity, scale: Scale, start: Ints, columns: Sequence[Ints]) -> BarSeries:
    """Bars on an unbroken grid; where none was recorded nothing traded: close carried, no volume."""
    step, begin = length.value, int(start[0])
    first, high, low, close, volume = columns
    count = (int(start[-1]) - begin) // step + 1
    if count == len(volume):
        quiet = np.zeros(count, np.bool_)
        return BarSeries(product, length, scale, begin, first, high, low, close, volume, quiet)
    at = (start - begin) // step
    last = np.zeros(count, np.int64)
    last[at] = np.arange(len(at))
    np.maximum.accumulate(last, out=last)
    quiet = np.ones(count, np.bool_)
    quiet[at] = False
    carried = close[last]
    first, high, low = (np.where(quiet, carried, column[last]) for column in (first, high, low))
    volume = np.where(quiet, 0, volume[last])
    return BarSeries(product, length, scale, begin, first, high, low, carried, volume, quiet)
