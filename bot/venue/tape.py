"""The events of one venue, numbered from 1 in the order in which they happened."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from bot.venue.orders import FillBooked, OrderChanged, OrderRecord, Transferred, VenueEvent, VenueFill


class Tape:
    """Collects events until somebody takes them.

    at: time of the newest event, of the opening when there is none. length: how many there have been.
    """

    def __init__(self, at: datetime) -> None:
        self.at = at
        self._events: list[VenueEvent] = []
        self.length = 0

    def resume_at(self, length: int, at: datetime) -> None:
        """Go on numbering after `length` events, the newest of which happened at `at`."""
        self.length, self.at = length, at

    def order(self, at: datetime, record: OrderRecord) -> None:
        self.length, self.at = self.length + 1, at
        self._events.append(OrderChanged(self.length, at, record))

    def fill(self, at: datetime, fill: VenueFill) -> None:
        self.length, self.at = self.length + 1, at
        self._events.append(FillBooked(self.length, at, fill))

    def transfer(self, at: datetime, currency: str, amount: Decimal) -> None:
        self.length, self.at = self.length + 1, at
        self._events.append(Transferred(self.length, at, currency, amount))

    def drain(self) -> tuple[VenueEvent, ...]:
        """The events since the last call."""
        if not self._events:
            return ()
        events = tuple(self._events)
        self._events.clear()
        return events
