"""What is due when: expiries, delayed cancels and edits, delayed arrivals; in order of time, then of entry."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Final

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


NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Agenda:
    """A queue by time. An order may have ended before its turn: whoever performs a duty looks first."""

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._entries = 0

    @property
    def soonest(self) -> datetime:
        """When the next duty is due; NEVER when there is none."""
        return self._heap[0].at if self._heap else NEVER

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

    def take(self) -> Due:
        """Take the next duty off the list, which must have one."""
        return heapq.heappop(self._heap)
