"""What is due when: expiries, delayed cancels and edits, delayed arrivals; in order of time, then of entry."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import Enum

from bot.domain.value import Value


class Duty(Enum):
    EXPIRE = "expire"
    CANCEL = "cancel"
    EDIT = "edit"
    ARRIVE = "arrive"


class Due(Value, order=True):
    """One thing to do to one order. price, size: of an edit."""

    at: datetime
    number: int
    duty: Duty
    order_id: str
    price: Decimal | None = None
    size: Decimal | None = None


class Agenda:
    """A queue by time. An order may have ended before its turn: whoever performs a duty looks first."""

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._entries = 0

    def add(
        self, at: datetime, duty: Duty, order_id: str, price: Decimal | None = None, size: Decimal | None = None
    ) -> None:
        self._entries += 1
        heapq.heappush(self._heap, Due(at, self._entries, duty, order_id, price, size))

    def pending(self) -> tuple[Due, ...]:
        """Everything still to do, in order."""
        return tuple(sorted(self._heap))

    def load(self, pending: Iterable[Due]) -> None:
        """Go on where another agenda stopped."""
        self._heap = sorted(pending)
        self._entries = max((due.number for due in self._heap), default=0)

    def before(self, now: datetime) -> Due | None:
        """Take the next of what was due earlier than `now`; None when nothing is left of it."""
        heap = self._heap
        return heapq.heappop(heap) if heap and heap[0].at < now else None

    def until(self, now: datetime) -> Due | None:
        """Take the next of what is due at `now` or earlier; None when nothing is left of it."""
        heap = self._heap
        return heapq.heappop(heap) if heap and heap[0].at <= now else None
