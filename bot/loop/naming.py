"""Names of cycles: when they began, and a number that tells apart those of one millisecond."""

from __future__ import annotations

from datetime import datetime


class CycleNames:
    """Gives every cycle of an account a name of its own, also over restarts within one moment of trading time."""

    def __init__(self) -> None:
        self._last = ""

    def next(self, started: datetime, recorded: str) -> str:
        """The name of a cycle. recorded: the last one in the journal, which may be another process's."""
        stem = f"{started:%Y%m%dT%H%M%S}.{started.microsecond // 1000:03d}"
        used = (name.rpartition("-") for name in (self._last, recorded))
        number = max((int(count) for known, _, count in used if known == stem), default=0) + 1
        self._last = f"{stem}-{number}"
        return self._last
