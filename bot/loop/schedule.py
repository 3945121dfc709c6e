"""When the next cycle is due: on a grid just after bars close, jittered, never queued."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from bot.ports import Clock, Rng
from bot.settings.policy import Policy

SERVICE_GAP: Final = timedelta(seconds=1)
"""Least time between two cycles when events wake the loop."""
_PATIENT_AFTER: Final = 3
_LONGEST_GAP: Final = timedelta(seconds=10)


def service_gap(fruitless: int) -> timedelta:
    """Time between two service cycles after so many in a row that changed nothing: doubled from the fourth on."""
    doublings = min(8, max(0, fruitless - _PATIENT_AFTER))
    return min(_LONGEST_GAP, SERVICE_GAP * (1 << doublings))


class Schedule:
    """The grid of scheduled cycles.

    A cycle is due at k x interval (UTC) + the lag after which a bar counts as closed + the jitter's half width, give or
    take the jitter: always after the bars of its interval have closed. What was overrun is skipped and counted.
    """

    def __init__(self, clock: Clock, rng: Rng) -> None:
        self._clock = clock
        self._rng = rng
        self._slot: int | None = None
        self.overruns = 0

    def next_cycle(self, policy: Policy) -> datetime:
        """The time of the next scheduled cycle, strictly after now."""
        interval = float(policy.loop.interval_seconds)
        width = interval * float(policy.loop.jitter_pct.fraction)
        lag = float(policy.data.bar_close_lag_seconds) + width
        now = self._clock.now().timestamp()
        slot = int((now - lag + width) // interval) + 1
        if self._slot is not None:
            self.overruns += max(0, slot - self._slot - 1)
            slot = max(slot, self._slot + 1) if slot <= self._slot else slot
        self._slot = slot
        due = slot * interval + lag + (self._rng.uniform(-width, width) if width else 0.0)
        return max(datetime.fromtimestamp(due, UTC), self._clock.now() + timedelta(milliseconds=1))
