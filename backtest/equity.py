"""Equity while nothing is traded: whether a loss stop or a cap may be reached on the way, and how high it goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from backtest.candles import Floats
from backtest.dataset import Dataset, Track
from bot.domain.bars import Ints
from bot.domain.money import EXACT, total
from bot.domain.position import Position
from bot.domain.state import Period, State
from bot.domain.value import Value, cached_property
from bot.risk import stops
from bot.risk.halts import latch_active
from bot.settings.config import Config

CHUNK: Final = 2048
"""Bars looked at in one go at first; twice as many each time nothing is found."""
SLACK: Final = 1e-9
"""Relative margin of comparisons in floats."""


class Worth:
    """What one position is worth at each bar, for a while ahead.

    lowest, highest: of all bars that were looked at, of which those asked for are a part. due: the first bar at which
    it has been held for as long as it may be.
    """

    def __init__(self, data: Dataset, track: Track, position: Position) -> None:
        self.position = position
        self.cost = float(position.cost)
        self.due = _due(data, position)
        self.lowest = self.highest = 0.0
        self._data = data
        self._track = track
        self._size = position.size.value
        up, down = track.scale.tick.as_integer_ratio()
        self._unit = float(self._size) * up / down
        self._first = self._stop = 0
        self._bids: Ints
        self._values: Floats

    def look(self, first: int, stop: int) -> None:
        """At bars first..stop-1, between which there is no gap, and of which the first comes never before an earlier
        call's."""
        if stop > self._stop:
            self._take(first, stop + CHUNK)

    def values(self, first: int, stop: int) -> Floats:
        """Of bars first..stop-1, of those looked at."""
        return self._values[first - self._first : stop - self._first]

    def exact(self, k: int) -> Decimal:
        """At bar `k`, of those looked at."""
        return EXACT.multiply(self._track.scale.value(int(self._bids[k - self._first])), self._size)

    def _take(self, first: int, stop: int) -> None:
        track, segment = self._track, self._track.at(first)
        if segment is not None:
            self._first, self._stop = first, min(stop, segment.stop)
            closes = segment.columns.series.close[first - segment.first : self._stop - segment.first]
        elif self._data.over(track, first):
            self._first, self._stop = first, stop
            closes = np.full(stop - first, track.segments[-1].columns.close[-1])
        else:
            raise AssertionError(f"{track.market} shows nothing at bar {first}, which is a landmark")
        self._bids = track.quoting.bids(closes)
        values = self._values = np.multiply(self._bids, self._unit, dtype=np.float64)
        self.lowest, self.highest = values.item(values.argmin()), values.item(values.argmax())


class Limits(Value):
    """What the policy lets neither equity nor a position pass, in floats; None where it does not say.

    daily, weekly: loss since the period began, in percent of what it began with. least: equity as a share of its peak.
    most: a position as a share of equity.
    """

    daily: float | None
    weekly: float | None
    least: float | None
    most: float | None

    @classmethod
    def of(cls, config: Config) -> Limits:
        """The limits of a policy, with the margin of comparisons in floats."""
        risk, exits = config.policy.risk, config.policy.exits
        daily, weekly, fall = risk.daily_stop_pct, risk.weekly_stop_pct, risk.max_drawdown_pct
        most = float(risk.max_per_asset_pct.fraction) * (1 - SLACK) * (1 + float(exits.trim_tolerance_pct.fraction))
        return cls(
            float(daily.value) if daily is not None else None,
            float(weekly.value) if weekly is not None else None,
            1 - float(fall.fraction) + SLACK if fall is not None else None,
            most if exits.trim_to_cap else None,
        )


class Line:
    """Equity of bars first..stop-1 while holdings stay as they are, in floats; exact where it is asked for.

    fixed: the part of it that is no position; now: when that was so. Bar by bar it is drawn only where the sums of what
    each position is worth at least and at most do not tell enough.
    """

    def __init__(
        self,
        limits: Limits,
        state: State,
        now: datetime,
        worths: Sequence[Worth],
        fixed: Decimal,
        first: int,
        stop: int,
    ) -> None:
        self._limits = limits
        self._state = state
        self._now = now
        self._worths = worths
        self._fixed = fixed
        self._first = first
        self._stop = stop
        self._rest = lowest = highest = float(fixed)
        for worth in worths:
            worth.look(first, stop)
            lowest += worth.lowest
            highest += worth.highest
        self._lowest, self._highest = lowest, highest

    @cached_property
    def _values(self) -> Floats:
        first, *others = self._worths
        values: Floats = first.values(self._first, self._stop) + self._rest
        for worth in others:
            values += worth.values(self._first, self._stop)
        return values

    def alarm(self) -> int | None:
        """Offset of the first bar at which a stop or a cap may be reached."""
        state, least, most = self._state, self._limits.least, self._limits.most
        floor, found = self._floor(), []
        if self._lowest <= floor:
            found.append(self._values <= floor)
        if least is not None and not self._latched(stops.DRAWDOWN):
            peak = float(state.peak_equity) if state.peak_equity is not None else self._lowest
            if self._lowest <= max(peak, self._highest) * least:
                found.append(self._values <= np.maximum(peak, np.maximum.accumulate(self._values)) * least)
        if most is not None:
            grown = [worth for worth in self._worths if worth.highest > self._lowest * most]
            found += [worth.values(self._first, self._stop) > self._values * most for worth in grown]
        hits = [int(np.argmax(mask)) for mask in found if mask.any()]
        return min(hits, default=None)

    def new_peak(self, stop: int) -> Decimal | None:
        """The highest equity before bar `stop`, exact, when it is above the known peak."""
        known = self._state.peak_equity
        if known is None or stop <= self._first:
            return None
        least = float(known) * (1 - SLACK)
        if self._highest < least:
            return None
        values = self._values[: stop - self._first]
        highest = values.item(values.argmax())
        if highest < least:
            return None
        near = np.flatnonzero(values >= highest * (1 - SLACK))
        exact = max(self._exact(self._first + offset) for offset in near.tolist())
        return exact if exact > known else None

    def _exact(self, k: int) -> Decimal:
        return EXACT.add(self._fixed, total(worth.exact(k) for worth in self._worths))

    def _floor(self) -> float:
        """Equity at or below which the daily or weekly stop may be reached; -inf when neither can be."""
        limits, state, floor = self._limits, self._state, float("-inf")
        bought = self._rest + sum([worth.cost for worth in self._worths])
        for name, period, limit in (
            (stops.DAILY, state.day, limits.daily), (stops.WEEKLY, state.week, limits.weekly),
        ):  # fmt: skip
            if limit is not None and period is not None and not self._latched(name):
                floor = max(floor, _at_stop(period, limit, bought))
        return floor

    def _latched(self, name: str) -> bool:
        """Whether a stop is latched already: it then trips no more until its period ends, a moment of its own."""
        latch = self._state.latches.get(name)
        return latch is not None and latch_active(latch, self._now)


def _due(data: Dataset, position: Position) -> int | None:
    """The bar at which the time to hold a position is over; None where it is not limited."""
    minutes = position.exits.max_hold_minutes
    return None if minutes is None else data.knowing(position.opened_at + timedelta(minutes=minutes))


def _at_stop(period: Period, limit: float, bought: float) -> float:
    """Equity at which realised + unrealised change since the period began is -limit percent of its start, or just
    above.

    bought: equity if every position were worth what it cost.
    """
    start = float(period.start_equity)
    rest = bought + float(period.start_unrealised) - float(period.realised)
    return rest - start * limit / 100 + abs(start) * 1e-7
