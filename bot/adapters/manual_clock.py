"""Time that moves only when it is told to: by itself, since a backtest needs nothing of what other clocks load."""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime, timedelta

from bot.ports import WakeReason


class ManualClock:
    """Time that stands still until someone moves it: a wait jumps to its end. For backtests and tests."""

    def __init__(self, start: datetime) -> None:
        self._start = self._now = start
        self._reasons: deque[WakeReason] = deque()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    stopwatch = staticmethod(time.monotonic)

    def wait_until(self, when: datetime) -> WakeReason | None:
        if self._reasons:
            return self._reasons.popleft()
        self._now = max(self._now, when)
        return None

    def wake(self, reason: WakeReason) -> None:
        self._reasons.append(reason)

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by
