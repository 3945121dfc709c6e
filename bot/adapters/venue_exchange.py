"""The Exchange port on the embedded matching core: paper, backtest and fault runs trade here instead of at Coinbase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from bot.domain.order import Ack, CancelAnswer, Fill, OrderReport, PlannedOrder
from bot.domain.product import Product
from bot.domain.snapshot import Balance, ExchangeStatus, StatusLevel
from bot.domain.state import FeeTier
from bot.domain.value import Value
from bot.errors import Rejected
from bot.ports import Clock, KeyPermissions, Preview
from bot.venue.orders import OrderRecord, Refused
from bot.venue.reports import fill_of, report_of, request_for
from bot.venue.venue import Venue

PORTFOLIO: Final = "00000000-0000-4000-8000-000000000000"
"""Portfolio id of the embedded account."""


class Surroundings(Value):
    """What lies around the embedded account.

    catch_up: brings the core's markets to now before anything is read or asked; products, status: the real venue's
    in paper, the data folder's in a backtest.
    """

    catch_up: Callable[[], None]
    products: Callable[[], Sequence[Product]]
    status: Callable[[], ExchangeStatus]


class VenueExchange:
    """Exchange on a `Venue`. Reads are complete by nature; answers that did not change are the same objects."""

    def __init__(self, venue: Venue, clock: Clock, around: Surroundings) -> None:
        self._venue = venue
        self._clock = clock
        self._around = around
        self._fills: list[Fill] = []
        self._reports: dict[str, tuple[OrderRecord, OrderReport]] = {}
        self._records: Sequence[OrderRecord] | None = None
        self._working: tuple[OrderReport, ...] = ()

    def server_time(self) -> datetime:
        return self._clock.now()

    def key_permissions(self) -> KeyPermissions:
        return KeyPermissions(can_view=True, can_trade=True, can_transfer=False, portfolio_uuid=PORTFOLIO)

    def balances(self) -> Sequence[Balance]:
        self._around.catch_up()
        return self._venue.balances()

    def products(self) -> Sequence[Product]:
        found = self._around.products()
        for product in found:
            self._venue.set_product(product)
        return found

    def working_orders(self) -> Sequence[OrderReport]:
        self._around.catch_up()
        records = self._venue.working()
        if records is self._records:
            return self._working
        known, told = self._reports, {}
        for record in records:
            before = known.get(record.order_id)
            told[record.order_id] = before if before and before[0] is record else (record, report_of(record))
        self._records, self._reports = records, told
        self._working = tuple([report for _, report in told.values()])
        return self._working

    def orders_created(self, since: datetime, until: datetime) -> Sequence[OrderReport]:
        self._around.catch_up()
        return tuple(report_of(record) for record in self._venue.orders() if since <= record.created_at < until)

    def order(self, order_id: str) -> OrderReport:
        self._around.catch_up()
        record, told = self._venue.order(order_id), self._reports.get(order_id)
        return told[1] if told and told[0] is record else report_of(record)

    def fills_since(self, since: datetime) -> Sequence[Fill]:
        self._around.catch_up()
        fills = self._fills
        for row in self._venue.fills(len(fills)):
            fills.append(fill_of(row))
        first = len(fills)  # they are kept in the order in which they were booked
        while first and fills[first - 1].at >= since:
            first -= 1
        return tuple(fills[first:])

    def fee_tier(self) -> FeeTier:
        return self._venue.fee_tier()

    def status(self) -> ExchangeStatus:
        return self._around.status()

    def preview(self, order: PlannedOrder) -> Preview:
        self._around.catch_up()
        seen = self._venue.preview(request_for(order), self._clock.now())
        return Preview(seen.errors, seen.warnings, seen.commission_total, seen.order_total)

    def place(self, order: PlannedOrder) -> Ack:
        """Raises Rejected with the venue's name for the refusal."""
        self._around.catch_up()
        answer = self._venue.place(request_for(order), self._clock.now())
        if isinstance(answer, Refused):
            raise Rejected(answer.error, f"{answer.preview_failure_reason} {answer.message}".strip())
        return Ack(order.client_order_id, answer.order_id)

    def cancel(self, order_ids: Sequence[str]) -> Sequence[CancelAnswer]:
        self._around.catch_up()
        results = self._venue.cancel(order_ids, self._clock.now())
        return tuple(CancelAnswer(item.order_id, item.success, item.failure_reason) for item in results)


def operational(now: datetime) -> ExchangeStatus:
    """The status of a venue without a status page."""
    return ExchangeStatus(StatusLevel.OPERATIONAL, "embedded venue", now)
