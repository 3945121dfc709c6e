"""InboxWatcher: a thread that wakes the loop when an operator leaves a command, so that nobody waits for a cycle."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

from bot.ports import Clock, WakeReason

INTERVAL_S: Final = 0.25


class InboxWatcher:
    """Looks at the names in the inbox and wakes the clock once for every new one. Reads and removes nothing."""

    def __init__(self, folder: Path, clock: Clock, interval_s: float = INTERVAL_S) -> None:
        """folder: the inbox, which need not exist yet."""
        self._folder = folder
        self._clock = clock
        self._interval_s = interval_s
        self._known: frozenset[str] = frozenset()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="inbox-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> bool:
        """Look now; True, and the clock is woken, when something is there that was not before."""
        found = self._names()
        fresh = found - self._known
        self._known = found
        if fresh:
            self._clock.wake(WakeReason.COMMAND)
        return bool(fresh)

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self.look()

    def _names(self) -> frozenset[str]:
        """A folder that cannot be listed holds nothing now; the loop itself says so at its next cycle."""
        try:
            return frozenset(name for name in os.listdir(self._folder) if not name.startswith("."))  # noqa: PTH208 - names only, often
        except OSError:
            return frozenset()
