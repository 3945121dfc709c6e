"""How far our clock is from the exchange's, in trading time."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from bot.domain.snapshot import ClockSkew
from bot.errors import CriticalDataUnavailable, ExchangeError
from bot.ports import AccountReader, Clock
from bot.settings.policy import ClockPolicy

RESOLUTION: Final = timedelta(milliseconds=1)
"""The exchange tells its time in whole milliseconds."""

_MS: Final = timedelta(milliseconds=1)
_SAMPLES: Final = 9


def offset_ms(before: datetime, theirs: datetime, after: datetime) -> float:
    """How far their time lies outside of the request in ms, by more than the resolution: zero when it lies within.

    before, after: our clock around the request; positive means that our clock is ahead.
    """
    if theirs < (earliest := before - RESOLUTION):
        return (earliest - theirs) / _MS
    if theirs > (latest := after + RESOLUTION):
        return (latest - theirs) / _MS
    return 0.0


class SkewMeter:
    """Median of the newest measurements; fewer than `min_samples` decide nothing."""

    def __init__(self, policy: ClockPolicy) -> None:
        self.configure(policy)
        self._samples: deque[float] = deque(maxlen=_SAMPLES)
        self._figure: ClockSkew | None = None
        self._measured_at: datetime | None = None
        self._origin_s: float | None = None

    def configure(self, policy: ClockPolicy) -> None:
        """Measure as this says from now on."""
        self._policy = policy
        self._every = timedelta(seconds=float(policy.check_seconds))
        self._no_entries_ms = float(policy.no_entries_ms)

    def measure_when_due(self, reader: AccountReader, clock: Clock) -> None:
        """Ask the exchange for its time: at once until there are enough samples, then every `check_seconds`.

        A wall clock that was set is measured anew: what was measured before tells nothing of it.
        """
        now = clock.now()
        if self._was_set(now, clock.monotonic()):
            self._samples.clear()
            self._figure = None
        if self._measured_at is not None and len(self._samples) >= self._policy.min_samples:
            if now - self._measured_at < self._every:
                return
            self._measure(reader, clock, now)
            return
        for _ in range(self._policy.min_samples):
            self._measure(reader, clock, clock.now())

    def trusted(self, now: datetime) -> datetime:
        """`now` of our clock, or the exchange's when ours is further from it than entries allow."""
        skew = self.figure()
        if not skew.ms or skew.samples < self._policy.min_samples:
            return now
        off = abs(skew.ms) > self._no_entries_ms
        return now - timedelta(milliseconds=skew.ms) if off else now

    def figure(self) -> ClockSkew:
        """What the samples say by now."""
        if self._figure is None:
            self._figure = ClockSkew(median(self._samples) if self._samples else 0.0, len(self._samples))
        return self._figure

    def measured_now_ms(self, reader: AccountReader, clock: Clock) -> float:
        """One measurement by itself: after a jump of a clock it is right at once, while the median still trails."""
        self._measure(reader, clock, clock.now())
        return self._samples[-1] if self._samples else 0.0

    def _was_set(self, now: datetime, monotonic_s: float) -> bool:
        """Whether the wall clock went further, or less far, than the time that passed since the last look."""
        before, self._origin_s = self._origin_s, now.timestamp() - monotonic_s
        return before is not None and abs(self._origin_s - before) * 1000 > self._no_entries_ms

    def _measure(self, reader: AccountReader, clock: Clock, before: datetime) -> None:
        try:
            theirs = reader.server_time()
        except (ExchangeError, CriticalDataUnavailable):
            return
        after = clock.now()
        found = offset_ms(before, theirs, after)
        # A sample that takes the place of an equal one changes no figure.
        if len(self._samples) < _SAMPLES or self._samples[0] != found:
            self._figure = None
        self._samples.append(found)
        self._measured_at = after
