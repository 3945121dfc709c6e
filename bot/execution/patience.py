"""Waiting inside an action without losing what the wait was woken for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from bot.execution.report import Tally
from bot.ports import Clock, WakeReason

_FINEST_S: Final = 0.0005
"""Less than this is not waited for: durations are floats, and a clock counts microseconds."""

_URGENT: Final = frozenset({WakeReason.KILL_SWITCH, WakeReason.SIGNAL})


class Patience:
    """Waits on the clock.

    As a context it is one round of acting, and gives the tally of it: every wake that cut a wait of it short is given
    back to the clock at its end, and wakes the next wait.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owed: list[WakeReason] = []

    def __enter__(self) -> Tally:
        """Nothing is done yet, and nothing owed: each round gives back its own."""
        return Tally()

    def __exit__(self, *_: object) -> None:
        if self._owed:
            owed, self._owed = self._owed, []
            for reason in owed:
                self._clock.wake(reason)

    def until(self, when: datetime, *, stubborn: bool = False, enough: Callable[[], bool] | None = None) -> bool:
        """Wait until `when`; False when cut short by the kill switch, a signal, or `enough`.

        Durations are monotonic: a step of the wall clock neither shortens nor prolongs a wait.
        stubborn: only `enough` cuts it short, for cancels that must be seen through.
        """
        end = self._clock.monotonic() + (when - self._clock.now()).total_seconds()
        while (left := end - self._clock.monotonic()) > _FINEST_S:
            if enough is not None and enough():
                return False
            reason = self._clock.wait_until(self._clock.now() + timedelta(seconds=left))
            if reason is None:
                continue
            if reason not in self._owed:
                self._owed.append(reason)
            if reason in _URGENT and not stubborn:
                return False
        return True
