"""The events of one venue, numbered from 1 in the order in which they happened."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from bot.venue.orders import FillBooked, OrderChanged, OrderRecord, Transferred, VenueEvent, VenueFill


class Tape:
    """Collects events until somebody takes them."""

    def __init__(self) -> None:
        self._events: list[VenueEvent] = []
        self._seq = 0

    def order(self, at: datetime, record: OrderRecord) -> None:
        self._seq += 1
        self._events.append(OrderChanged(self._seq, at, record))

    def fill(self, at: datetime, fill: VenueFill) -> None:
        self._seq += 1
        self._events.append(FillBooked(self._seq, at, fill))

    def transfer(self, at: datetime, currency: str, amount: Decimal) -> None:
        self._seq += 1
        self._events.append(Transferred(self._seq, at, currency, amount))

    def drain(self) -> tuple[VenueEvent, ...]:
        """The events since the last call."""
        if not self._events:
            return ()
        events = tuple(self._events)
        self._events.clear()
        return events
