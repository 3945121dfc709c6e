"""Puts observations into the journal: reports and fills become events, and events become the round's report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from bot.domain.decision import Reason, Reject
from bot.domain.event import (
    ChildAdopted,
    ExecutionMeasured,
    FillBooked,
    IntentClosed,
    Mismatch,
    OrderChanged,
    Payload,
    SettleObserved,
)
from bot.domain.money import EXACT, ZERO, Size, total
from bot.domain.order import PROTECTIVE, Fill, OrderKind, OrderReport, OrderState
from bot.domain.position import Position
from bot.domain.product import SELL, ProductId, Side
from bot.domain.state import Intent, Order, State
from bot.execution.booking import booking, cursor_after, sort_fills
from bot.execution.controls import Controls, Recorder
from bot.execution.last_hop import on_offer
from bot.execution.lifecycle import measured, observed, unresolved
from bot.execution.report import Tally


class Books:
    """Our orders and fills as the journal knows them. Raises (all methods that record): StorageFailed."""

    def __init__(self, recorder: Recorder, controls: Controls) -> None:
        self._recorder = recorder
        self._controls = controls
        self.cycle_id = ""
        self._applied: dict[str, tuple[OrderReport, Order]] = {}

    @property
    def state(self) -> State:
        return self._recorder.state

    def record(self, payload: Payload, tally: Tally) -> None:
        """Journal it and note it in the tally."""
        self._recorder.record(payload, self.cycle_id)
        if type(payload) is OrderChanged:
            tally.changed.append((payload.client_order_id, payload.to_state))
            if payload.to_state.is_terminal and not payload.from_state.is_terminal:
                self._ended(self._recorder.state.orders[payload.client_order_id], tally)
        elif type(payload) is FillBooked:
            tally.fills.append(payload)
        elif type(payload) is ExecutionMeasured:
            tally.measured.append(payload)
        elif type(payload) is SettleObserved:
            tally.settled.append(payload.bucket_ms)
        elif type(payload) is Mismatch:
            tally.mismatches.append(payload)

    def close(self, intent: Intent | int, why: str, tally: Tally) -> None:
        """No further order for this intent."""
        number = intent if isinstance(intent, int) else intent.number
        known = self._recorder.state.intents.get(number)
        if known is not None and not known.closed:
            self.record(IntentClosed(number, why), tally)

    def observe(self, reports: Iterable[OrderReport], tally: Tally, *, complete: bool = False) -> None:
        """Apply what the venue shows of our orders; other people's are left alone.

        The very report that said nothing new of the very same order says nothing new once more.
        complete: these are all the venue shows, so what was remembered of any other can go.
        """
        before, orders = self._applied, self._recorder.state.orders
        if complete:
            self._applied = {}
        for report in reports:
            known = before.get(report.order_id)
            if known is not None and known[0] is report and orders.get(known[1].client_order_id) is known[1]:
                self._applied[report.order_id] = known
            else:
                self._apply(report, tally)
                orders = self._recorder.state.orders

    def _apply(self, report: OrderReport, tally: Tally) -> None:
        if report.parent_id:
            self._adopt(report, tally)
        order = self._find(report)
        if order is None:
            return
        if order.order_id and order.order_id != report.order_id:
            self._twin(order, report, tally)
            return
        for payload in observed(order, report):
            self.record(payload, tally)
        if order.state is OrderState.REJECTED and not report.status.is_terminal:
            tally.orphans.append(report.order_id)
        elif self._recorder.state.orders.get(order.client_order_id) is order and not report.parent_id:
            self._applied[report.order_id] = (report, order)

    def book(
        self, fills: Sequence[Fill], reports: Iterable[OrderReport], read_at: datetime, overlap: timedelta, tally: Tally
    ) -> None:
        """Book every new fill once, oldest first. read_at: when the read of the fills began."""
        found = sort_fills(self._recorder.state, fills, reports)
        for fill in found.ready:
            self.record(booking(self._recorder.state, fill, self._controls.market_of), tally)
        moved = cursor_after(self._recorder.state, found, read_at, overlap)
        if moved is not None:
            self.record(moved, tally)

    def orders_of(self, intent: Intent) -> list[Order]:
        """Every order made for an intent, oldest first; an adopted child is not an attempt."""
        known = self._recorder.state.of_base.get(intent.product.base, ())
        mine = [order for order in known if order.intent == intent.number and not order.parent_order_id]
        return sorted(mine, key=_attempt) if len(mine) > 1 else mine

    def working(self, base: str, *kinds: OrderKind) -> list[Order]:
        """Our orders of these kinds that the venue may still hold, for one base currency."""
        found = self._recorder.state.of_base.get(base, ())
        return [order for order in found if order.state.is_working and (not kinds or order.kind in kinds)]

    def doubt(self, base: str, *sides: Side) -> Reject | None:
        """An order of unknown fate on this base currency, which forbids further ones."""
        for order in self._recorder.state.of_base.get(base, ()):
            if unresolved(order) and (not sides or order.side in sides):
                text = f"{base}: the fate of order {order.client_order_id} is unknown"
                return Reject(Reason.ORDER_UNRESOLVED, text)
        return None

    def free(self, position: Position) -> Size:
        """Base of a position that no sell of ours offers and that no unbooked sale has taken."""
        base = position.product.base
        known = self._recorder.state.of_base.get(base, ())
        offered = total([on_offer(order) for order in known if order.side is SELL])
        return Size(max(ZERO, EXACT.subtract(position.size.value, offered)))

    def position(self, product: ProductId) -> Position | None:
        return self._recorder.state.positions.get(self._controls.market_of(product))

    def _ended(self, order: Order, tally: Tally) -> None:
        """Measured against what was expected; a protective order's intent ends with its one order."""
        figures = measured(order)
        if figures is not None:
            self.record(figures, tally)
        if order.kind is PROTECTIVE and not order.parent_order_id:
            self.close(order.intent, f"its order is {order.state.value}", tally)

    def _find(self, report: OrderReport) -> Order | None:
        state = self._recorder.state
        named = state.orders.get(report.client_order_id)
        if named is not None and named.order_id == report.order_id:
            return named
        return state.order_of(report.order_id) or named

    def _adopt(self, report: OrderReport, tally: Tally) -> None:
        """The venue opened the bracket attached to one of our entries: from now on it is one of our orders.

        It grows with the entry's fills; an order of an old size would leave more on offer than the books know.
        """
        state = self._recorder.state
        parent, known = state.order_of(report.parent_id), state.order_of(report.order_id)
        if parent is None or (known is not None and (report.size is None or report.size <= known.size)):
            return
        taken = report.client_order_id in state.orders or not report.client_order_id
        cid = report.order_id if taken else report.client_order_id
        child = ChildAdopted(
            known.client_order_id if known is not None else cid, report.order_id, parent.order_id, parent.intent,
            parent.product, report.size or parent.size, report.limit_price, report.stop_price, report.type,
        )  # fmt: skip
        self.record(child, tally)

    def _twin(self, order: Order, report: OrderReport, tally: Tally) -> None:
        """Two orders at the venue under one client id: the second was never meant, so it has to go."""
        ours, theirs = f"{order.order_id} {order.state.value}", f"{report.order_id} {report.status.value}"
        self.record(Mismatch(f"order {order.client_order_id} exists twice", ours, theirs), tally)
        if not report.status.is_terminal:
            tally.orphans.append(report.order_id)


def _attempt(order: Order) -> int:
    return order.attempt
