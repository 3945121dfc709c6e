"""The venue's own record: every request and every fired fault with its trading time, and one hash over them all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from bot.domain.codec import canonical, encode
from bot.domain.value import Value

KEPT: Final = 50_000


class Entry(Value):
    """One line. kind: `request`, `fault` or `event`. status: what was answered, 0 for nothing.

    body: the request's body as text, cut; note: the fault, or why a request was refused.
    """

    seq: int
    at: datetime
    kind: str
    method: str = ""
    path: str = ""
    status: int = 0
    body: str = ""
    note: str = ""


class Record:
    """Append-only; keeps the newest entries and a hash over all. `digest` of two equal runs is equal.

    Refusals of a token are hashed without their reason, which names real time.
    """

    def __init__(self, now: Callable[[], datetime], keep: int = KEPT) -> None:
        self._now = now
        self._entries: deque[Entry] = deque(maxlen=keep)
        self._hash = sha256()
        self._seq = 0

    def request(self, method: str, path: str, status: int, body: str = "", note: str = "") -> None:
        self._add("request", method, path, status, body[:2000], note)

    def fault(self, method: str, path: str, note: str) -> None:
        self._add("fault", method, path, 0, "", note)

    def event(self, note: str) -> None:
        self._add("event", "", "", 0, "", note)

    def entries(self, kind: str = "", since: int = 0) -> Sequence[Entry]:
        """Entries after sequence number `since`, oldest first; of one kind, or of all."""
        return [entry for entry in self._entries if entry.seq > since and kind in {"", entry.kind}]

    def requests(self, method: str = "", path: str = "") -> Sequence[Entry]:
        """Requests of a method whose path contains `path`."""
        return [e for e in self.entries("request") if method in {"", e.method} and path in e.path]

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def _add(self, kind: str, method: str, path: str, status: int, body: str, note: str) -> None:
        self._seq += 1
        entry = Entry(self._seq, self._now(), kind, method, path, status, body, note)
        self._entries.append(entry)
        self._hash.update(canonical(encode(entry)))
