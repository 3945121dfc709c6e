"""KillWatcher: a thread that looks at the kill switch, whatever the loop is doing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from bot.ports import Clock, KillProbe, KillState, Storage, WakeReason

INTERVAL_S: Final = 0.25


class KillWatcher:
    """Looks every `interval_s`; the first look that is not a clean "absent" wakes the loop and calls `abort`.

    `abort` stops requests that have not begun; it is called on the watcher's thread and must return at once.
    `sightings` counts how often the switch went on, so that one that came and went between two cycles is not missed.
    """

    def __init__(
        self, storage: Storage, clock: Clock, abort: Callable[[str], None], interval_s: float = INTERVAL_S
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._abort = abort
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._state = KillState(KillProbe.ABSENT)
        self._thread = threading.Thread(target=self._watch, name="kill-watcher", daemon=True)
        self.sightings = 0
        self.since: float | None = None

    @property
    def active(self) -> bool:
        """Whether the last look found the switch on. `since`: monotonic real time at which it did first."""
        return self._state.active

    @property
    def reason(self) -> str:
        """What the switch says while it is on."""
        return self._state.reason

    def start(self) -> None:
        """Look once before returning, then keep looking."""
        self.look()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> KillState:
        """Look now and act on what is there."""
        before, self._state = self._state, self._seen()
        if self._state.active and not before.active:
            self.since = time.monotonic()
            self.sightings += 1
            self._clock.wake(WakeReason.KILL_SWITCH)
            self._abort(self._state.reason)
        elif not self._state.active:
            self.since = None
        return self._state

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.look()

    def _seen(self) -> KillState:
        try:
            return self._storage.kill_state()
        except Exception as error:  # a watcher that dies would leave the switch without effect
            return KillState(KillProbe.UNREADABLE, f"looking at the kill switch failed: {error!r}")
