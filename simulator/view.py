"""What the account's holder can see: the truth, or what it was a moment ago."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.domain.money import ZERO
from bot.domain.snapshot import Balance
from bot.domain.value import replace
from bot.errors import NotFound
from bot.venue.orders import OrderChanged, OrderRecord, VenueEvent, VenueFill
from bot.venue.venue import Venue
from simulator.faults import Conditions

_LONGEST_LAG: Final = timedelta(minutes=30)


class View:
    """Orders, fills and balances as the venue's answers show them; lags are trading time."""

    def __init__(self, venue: Venue, conditions: Conditions, now: datetime) -> None:
        self._venue = venue
        self._conditions = conditions
        self._now = now
        self._expelled: dict[str, str] = {}
        self._versions: dict[str, list[tuple[datetime, OrderRecord]]] = {}
        self._balances: list[tuple[datetime, Sequence[Balance]]] = [(now, venue.balances())]

    def learn(self, events: Sequence[VenueEvent]) -> None:
        """Remember what changed and when."""
        for event in events:
            if isinstance(event, OrderChanged):
                self._remember(event)
        if events:
            self._balances.append((events[-1].at, self._venue.balances()))
            while len(self._balances) > 1 and self._balances[1][0] < events[-1].at - _LONGEST_LAG:
                self._balances.pop(0)

    def expel(self, order_ids: Sequence[str], message: str) -> None:
        """From now on these orders say `message` as the reason of their end."""
        self._expelled.update(dict.fromkeys(order_ids, message))

    def shown(self, event: VenueEvent) -> VenueEvent:
        return replace(event, order=self._with_message(event.order)) if isinstance(event, OrderChanged) else event

    def orders(self, now: datetime) -> list[OrderRecord]:
        """Every visible order, oldest first."""
        lag, hidden = self._conditions.orders_lag_s, self._conditions.hidden
        if not lag:
            return [self._with_message(order) for order in self._venue.orders() if order.order_id not in hidden]
        seen = (self._as_of(order, now - timedelta(seconds=lag)) for order in self._venue.orders())
        return [order for order in seen if order is not None and order.order_id not in hidden]

    def order(self, order_id: str, now: datetime) -> OrderRecord | None:
        try:
            truth = self._venue.order(order_id)
        except NotFound:
            return None
        if order_id in self._conditions.hidden:
            return None
        lag = self._conditions.orders_lag_s
        return self._as_of(truth, now - timedelta(seconds=lag)) if lag else self._with_message(truth)

    def fills(self, now: datetime) -> list[VenueFill]:
        """Every visible fill, oldest first."""
        until, hidden = now - timedelta(seconds=self._conditions.fills_lag_s), self._conditions.hidden
        return [fill for fill in self._venue.fills() if fill.booked_at <= until and fill.order_id not in hidden]

    def balances(self, now: datetime) -> Sequence[Balance]:
        lag = self._conditions.balances_lag_s
        shown = self._balances_at(now - timedelta(seconds=lag)) if lag else self._venue.balances()
        if self._conditions.zero_balances:
            return [replace(balance, available=ZERO, hold=ZERO) for balance in shown]
        return shown

    def _balances_at(self, when: datetime) -> Sequence[Balance]:
        known = [balances for at, balances in self._balances if at <= when]
        return known[-1] if known else self._balances[0][1]

    def _with_message(self, order: OrderRecord) -> OrderRecord:
        message = self._expelled.get(order.order_id)
        return order if message is None or not order.cancel_message else replace(order, cancel_message=message)

    def _as_of(self, order: OrderRecord, when: datetime) -> OrderRecord | None:
        versions = self._versions.get(order.order_id, [])
        known = [version for at, version in versions if at <= when]
        return known[-1] if known else None

    def _remember(self, event: OrderChanged) -> None:
        versions = self._versions.setdefault(event.order.order_id, [])
        versions.append((event.at, event.order))
        while len(versions) > 1 and versions[1][0] < event.at - _LONGEST_LAG:
            versions.pop(0)
