"""Names of cycles: when they began, and a number that tells apart those of one millisecond."""

from __future__ import annotations

from datetime import datetime


def compact(at: datetime) -> str:
    """A moment of UTC to the millisecond, without what is not needed to read it: `20261102T120000.123`."""
    day, time = (at.year * 100 + at.month) * 100 + at.day, (at.hour * 100 + at.minute) * 100 + at.second
    return f"{day}T{time:06}.{at.microsecond // 1000:03}"


class CycleNames:
    """Gives every cycle of an account a name of its own, also over restarts within one moment of trading time."""

    def __init__(self) -> None:
        self._last = ""

    def next(self, started: datetime, recorded: str) -> str:
        """The name of a cycle. recorded: the last one in the journal, which may be another process's."""
        stem = compact(started)
        number = 1
        for name in (self._last, recorded):
            if name.startswith(stem):
                number = max(number, int(name.rpartition("-")[2]) + 1)
        self._last = f"{stem}-{number}"
        return self._last
