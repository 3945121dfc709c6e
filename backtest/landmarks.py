"""Bars that are run whatever is held: where time or the market alone can change what the loop remembers.

Found once for the whole run from the columns: days that begin, listings that change, markets that appear or fall
silent, prices that jump, ranges that may trip the volatility breaker, and markets whose spread or volume crosses what
their tier asks. Each is a superset: a bar named here for nothing only costs a cycle.

A day that begins concerns the account alone; every other landmark is about markets.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np
import numpy.typing as npt

from backtest.dataset import Dataset, Segment, Track
from bot.domain.bars import DAY_S, Ints
from bot.domain.product import ProductId
from bot.observe.observer import metadata_slot
from bot.risk.breakers import breaker_name, breaker_policy
from bot.settings.config import Config
from bot.triggers.columns import STRETCH, WARY
from bot.triggers.rolling import rolled

Mask = npt.NDArray[np.bool_]

FIRST_BARS: Final = 3


def landmarks(data: Dataset, config: Config) -> Ints:
    """Bars at which any market may have changed: indices on the run's grid, ascending."""
    found = np.zeros(data.count, np.bool_)
    found[:FIRST_BARS] = True
    for at in data.listings.times:
        _mark(found, data.newest(at), data.newest(at) + 1)
    for product in {product for listed in data.listings.products for product in listed.values()}:
        if product.listed_at is not None:
            _mark_listing(found, data, config, product.listed_at)
    for market, track in data.tracks.items():
        _mark_market(found, data, config, market, track)
    return np.flatnonzero(found)


def days(data: Dataset) -> Ints:
    """The first cycle of each UTC day: indices on the run's grid, ascending."""
    step = data.length.value
    midnights = np.arange(-(-(data.start + step) // DAY_S), (data.start + data.count * step) // DAY_S + 1) * DAY_S
    return np.union1d([0], -(-(midnights - data.start) // step) - 1)


def _mark_market(found: Mask, data: Dataset, config: Config, market: ProductId, track: Track) -> None:
    for segment in track.segments:
        _mark(found, segment.first - 1, segment.first + FIRST_BARS)
        _mark(found, segment.stop - 1, segment.stop + FIRST_BARS)
        for bars in (*_jumps(segment, config), *_ranges(segment, market, config)):
            found[_inside(bars + segment.first, data.count)] = True
    # The list of products follows a slot later than the recording that begins or ends within the run.
    late = -int(-metadata_slot(config.policy.data).total_seconds() // data.length.value)
    for bar in (data.index(track.since), data.index(track.last) + 1):
        if bar > 0:
            _mark(found, bar, bar + late + 1 + FIRST_BARS)
    for flips in _flips(data, config, market, track):
        found[flips] = True


def _mark(found: Mask, first: int, stop: int) -> None:
    found[max(0, first) : max(0, stop)] = True


def _mark_listing(found: Mask, data: Dataset, config: Config, listed_at: datetime) -> None:
    """A market becomes old enough for a tier."""
    for tier in config.universe.tiers.values():
        if tier.min_listed_days:
            old_enough = listed_at + timedelta(seconds=float(tier.min_listed_days) * DAY_S)
            _mark(found, data.newest(old_enough), data.newest(old_enough) + 3)


def _jumps(segment: Segment, config: Config) -> Iterator[Ints]:
    """Bars of a segment that moved nearly as far from the close before as makes a tick doubtful, and one bar before
    each."""
    series, limit = segment.columns.series, float(config.policy.data.max_price_deviation_pct.value) / 100 * WARY
    for first, stop in segment.columns.wild(STRETCH, limit):
        begin = max(1, first)
        before = series.close[begin - 1 : stop - 1]
        far = (series.high[begin:stop] > before * (1 + limit)) | (series.low[begin:stop] < before * (1 - limit))
        bars = np.flatnonzero(far) + begin
        yield bars
        yield bars - 1


def _ranges(segment: Segment, market: ProductId, config: Config) -> Iterator[Ints]:
    """Bars of a segment whose recent range may reach the threshold of a volatility breaker."""
    series, policy = (
        segment.columns.series,
        breaker_policy(config.policy.risk.breakers, breaker_name("volatility", market)),
    )
    count = max(1, int(policy.window_seconds) // series.granularity.value)
    if not policy.enabled or count > len(series):
        return
    limit = float(policy.threshold) / 100 * WARY
    for first, stop in segment.columns.wild(max(STRETCH, count), limit):
        begin = max(0, first - count + 1)
        high = rolled(series.high[begin:stop], count, np.maximum)
        low = rolled(series.low[begin:stop], count, np.minimum)
        yield np.flatnonzero(high - low >= low * limit) + begin + count - 1


def _flips(data: Dataset, config: Config, market: ProductId, track: Track) -> Iterator[Ints]:
    """Bars at which a market begins or ceases to meet what its tier asks of spread and volume, and those around."""
    numbers = {config.universe.tier_of(name) for name in data.listings.names(market)}
    if config.universe.discovery.enabled:
        numbers.add(config.universe.discovery.tier)
    for number in numbers:
        tier = config.universe.tiers.get(number) if number is not None else None
        if tier is not None:
            for segment in track.segments:
                yield _spread_flips(track, segment, tier.max_spread_bps, data.count)
            if tier.min_volume_24h > 0 or config.universe.discovery.enabled:
                yield _volume_flips(data, config, track, tier.min_volume_24h)


def _spread_flips(track: Track, segment: Segment, limit_bps: Decimal, count: int) -> Ints:
    """Bars at which the spread of the quote crosses the limit, and those around; it is widest at the lowest price."""
    limit, widest = float(limit_bps), _spread(track, segment.columns.bottoms).max(initial=0.0)
    if widest < limit * WARY:
        return np.empty(0, np.int64)
    narrow = _spread(track, segment.columns.series.close) <= limit
    at = np.flatnonzero(narrow[1:] != narrow[:-1]) + 1 + segment.first
    return _inside(np.concatenate([at - 1, at, at + 1]), count)


def _spread(track: Track, close: Ints) -> npt.NDArray[np.float64]:
    bid, ask = track.quoting.bids(close), track.quoting.asks(close)
    spread: npt.NDArray[np.float64] = (ask - bid) * 20_000.0 / (ask + bid)
    return spread


def _volume_flips(data: Dataset, config: Config, track: Track, least: Decimal) -> Ints:
    """The first bars of the metadata slots at which the volume of the day before crosses `least`."""
    slot = metadata_slot(config.policy.data).total_seconds()
    step, first = data.length.value, data.start + data.length.value
    slots = np.unique(((first + step * np.arange(data.count, dtype=np.int64)) // slot).astype(np.int64))
    begun = np.ceil(slots * slot).astype(np.int64)
    newest = (np.floor(slots * slot).astype(np.int64) - data.start) // step - 1
    volumes = np.zeros(len(slots))
    unit = float(track.scale.tick) * float(track.scale.lot)
    for segment in track.segments:
        series, day = segment.columns.series, DAY_S // step
        running = np.concatenate(([0], np.cumsum(series.close * series.volume)))
        stop = newest - segment.first + 1
        inside = (stop >= 1) & (stop <= len(series))
        last = stop[inside]
        volumes[inside] = (running[last] - running[np.maximum(0, last - day)]) * unit
    bars = -(-(begun - data.start) // step) - 1
    if config.universe.discovery.enabled:
        return _inside(bars, data.count)
    limit = float(least)
    # Near the limit the exact comparison is left to the loop: both sides of it are run.
    state = (volumes >= limit * (1 - 1e-9)).astype(np.int8) + (volumes > limit * (1 + 1e-9)).astype(np.int8)
    bars = bars[1:][state[1:] != state[:-1]]
    return _inside(np.concatenate([bars, bars + 1, bars - 1]), data.count)


def _inside(bars: Ints, count: int) -> Ints:
    inside: Ints = bars[(bars >= 0) & (bars < count)]
    return inside
