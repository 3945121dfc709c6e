"""Ends waits: reasons may come from any thread and from a signal handler, where taking a lock could deadlock."""

from __future__ import annotations

import os
import select
from collections import deque
from typing import Final

from bot.ports import WakeReason

_URGENCY: Final = (
    WakeReason.KILL_SWITCH,
    WakeReason.SIGNAL,
    WakeReason.COMMAND,
    WakeReason.USER_EVENT,
    WakeReason.PRICE,
)


class Waker:
    """A pipe that turns readable as soon as there is a reason to stop waiting."""

    def __init__(self) -> None:
        self._reasons: deque[WakeReason] = deque()
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._readable = select.poll()  # unlike select(), it knows descriptors above 1023
        self._readable.register(self._reader, select.POLLIN)

    def wake(self, reason: WakeReason) -> None:
        """End the current or next wait."""
        self._reasons.append(reason)
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # a full pipe is as readable as it gets

    def wait(self, seconds: float) -> WakeReason | None:
        """The most urgent reason given before or within `seconds` of real time; None when there was none."""
        return self._taken() if self._readable.poll(max(0.0, seconds) * 1000) else None

    def close(self) -> None:
        """Give the pipe back; the object is of no use afterwards."""
        os.close(self._reader)
        os.close(self._writer)

    def _taken(self) -> WakeReason | None:
        os.read(self._reader, 65536)
        found = {self._reasons.popleft() for _ in range(len(self._reasons))}
        return min(found, key=_URGENCY.index, default=None)
