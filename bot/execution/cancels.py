"""Cancels: asked first and recorded after, read until the order has really ended, repeated until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from bot.domain.order import ENTRY, PROTECTIVE, CancelAnswer, OrderEvent, OrderKind, OrderReport, OrderState
from bot.domain.product import BUY
from bot.domain.state import Order
from bot.domain.value import Value
from bot.errors import (
    AuthRefused,
    BotError,
    CriticalDataUnavailable,
    ExchangeError,
    NotFound,
    RateLimited,
    StorageFailed,
)
from bot.execution.books import Books
from bot.execution.controls import Venue
from bot.execution.identity import is_ours
from bot.execution.lifecycle import cancel_again_at, changed
from bot.execution.patience import Patience
from bot.execution.report import Tally
from bot.settings.policy import Policy

SWEEP_GAP: Final = timedelta(seconds=1)
"""Between two sweeps of a cancel-all: well within the two seconds in which a repeat is due."""
POLL_FIRST: Final = timedelta(milliseconds=100)
POLL_LONGEST: Final = timedelta(milliseconds=500)
CLEAN_SWEEPS: Final = 2
ENDED: Final = ("UNKNOWN_CANCEL_ORDER", "ORDER_IS_FULLY_FILLED", "DUPLICATE")
"""Refusals of a cancel that say there is nothing left to cancel; lists may show the order for a while all the same."""
READ_FAILED: Final = (ExchangeError, CriticalDataUnavailable)
"""What a call to the venue may raise when it gives no usable answer, or an unreadable one."""


class Sweep(Value):
    """One pass over everything of ours at the venue. left: ids (client or venue) that may still work. seen: the venue
    showed what works there."""

    asked: int
    left: tuple[str, ...]
    seen: bool = True

    @property
    def clean(self) -> bool:
        return not self.left


class Canceller:
    """Asks for cancels and reads what became of them."""

    def __init__(self, venue: Venue, books: Books, patience: Patience, tag: str, policy: Callable[[], Policy]) -> None:
        self._venue = venue
        self._books = books
        self._patience = patience
        self._tag = tag
        self._policy = policy

    def ask(self, orders: Sequence[Order], why: str, tally: Tally) -> None:
        """Ask for all in one call, then record. A storage failure must not keep a cancel from leaving.

        Orders without an id of the venue cannot be cancelled: they are looked up first. One that was asked for and
        shows no effect yet is asked for again after ever longer waits.
        """
        self._ask([order for order in orders if self._due(order, pressing=False)], why, tally)

    def _ask(self, orders: Sequence[Order], why: str, tally: Tally) -> None:
        known = {order.order_id: order for order in orders if order.order_id and order.state.is_working}
        for answer in self._send(list(known), tally):
            order = known.get(answer.order_id)
            if order is None:
                continue
            if answer.asked:
                fresh = self._books.state.orders[order.client_order_id]
                self._books.record(changed(fresh, OrderEvent.CANCEL_ASKED, why), tally)
            else:
                self._not_asked(order, answer, tally)

    def _not_asked(self, order: Order, answer: CancelAnswer, tally: Tally) -> None:
        """The venue did not take the cancel: often because the order has ended, so it is read, never assumed.

        Where it says so and still shows the order, the cancel counts as asked: proof is waited for, not asked for.
        """
        self.read(order, tally)
        fresh, why = self._books.state.orders[order.client_order_id], f"cancel refused: {answer.reason}"
        if any(reason in answer.reason.upper() for reason in ENDED):
            if fresh.state.is_working:
                self._books.record(changed(fresh, OrderEvent.CANCEL_ASKED, why), tally)
        elif fresh.state is OrderState.CANCEL_PENDING:
            self._books.record(changed(fresh, OrderEvent.CANCEL_FAILED, why), tally)

    def read(self, order: Order, tally: Tally) -> None:
        """Look at one order. What the venue does not show at this moment changes nothing."""
        if not order.order_id:
            return
        try:
            self._books.observe((self._venue.exchange.order(order.order_id),), tally)
        except NotFound:
            tally.errors.append(f"order {order.order_id} is not shown at this moment")
        except READ_FAILED as error:
            noted(error, f"reading order {order.order_id}", tally)

    def await_end(self, orders: Iterable[Order], deadline: datetime, tally: Tally) -> bool:
        """Read the orders until all have ended or the deadline passes; True when all have."""
        ids = [order.client_order_id for order in orders]
        pause = POLL_FIRST
        while True:
            left = [o for cid in ids if (o := self._books.state.orders[cid]).state.is_working]
            for order in left:
                self.read(order, tally)
                if self._venue.clock.now() >= deadline:
                    break
            left = [order for order in left if self._books.state.orders[order.client_order_id].state.is_working]
            now = self._venue.clock.now()
            if not left or now >= deadline:
                return not left
            if not self._patience.until(min(deadline, now + pause)):
                return False
            pause = min(pause * 2, POLL_LONGEST)

    def orphans(self, order_ids: Sequence[str], tally: Tally) -> None:
        """Cancel orders of ours that the books had given up: they must not trade."""
        self._send(list(dict.fromkeys(order_ids)), tally)

    def sweep(self, kinds: Collection[OrderKind], why: str, tally: Tally, *, pressing: bool = True) -> Sweep:
        """Cancel everything of ours of these kinds: what the books know at once, then what the venue shows.

        An order with our prefix that the journal does not know is ours all the same: its side tells its kind. A storage
        failure is raised only after the cancels have left.
        """
        mine = [o for o in self._books.state.orders.values() if o.kind in kinds and o.state.is_working]
        before = len(tally.cancelled)
        self._ask([order for order in mine if self._due(order, pressing=pressing)], why, tally)
        try:
            shown = self._venue.exchange.working_orders()
        except READ_FAILED as error:
            noted(error, "listing working orders", tally)
            return Sweep(len(tally.cancelled) - before, tuple(o.client_order_id for o in mine) or ("unread",), False)
        unwritten: StorageFailed | None = None
        try:
            self._books.observe(shown, tally)
        except StorageFailed as failed:
            unwritten = failed
        wanted = [report for report in shown if self._wanted(report, kinds)]
        asked = tally.cancelled[before:]
        again = [r.order_id for r in wanted if r.order_id not in asked and self._shown_due(r, pressing=pressing)]
        self._send(again, tally)
        if unwritten is not None:
            raise unwritten
        self._record_asked(again, why, tally)
        self._look_for_the_gone(mine, {report.order_id for report in shown}, tally)
        return Sweep(len(tally.cancelled) - before, self._left(kinds, wanted))

    def cancel_all(
        self, kinds: Collection[OrderKind], deadline: datetime, why: str, tally: Tally, enough: Callable[[], bool],
        *, pressing: bool,
    ) -> Sweep:  # fmt: skip
        """Sweep until two in a row found nothing, the deadline passes, or `enough` says to stop waiting."""
        clean = 0
        while True:
            result = self.sweep(kinds, why, tally, pressing=pressing)
            clean = clean + 1 if result.clean else 0
            now = self._venue.clock.now()
            if clean >= CLEAN_SWEEPS or now >= deadline:
                return result
            if not self._patience.until(min(deadline, now + SWEEP_GAP), stubborn=True, enough=enough):
                return result

    def _send(self, order_ids: list[str], tally: Tally) -> Sequence[CancelAnswer]:
        if not order_ids:
            return ()
        try:
            answers = self._venue.exchange.cancel(order_ids)
        except READ_FAILED as error:
            noted(error, f"cancelling {len(order_ids)} orders", tally)
            return ()
        tally.cancelled.extend(answer.order_id for answer in answers if answer.asked)
        return answers

    def _record_asked(self, order_ids: Sequence[str], why: str, tally: Tally) -> None:
        for order in list(self._books.state.orders.values()):
            if order.order_id in order_ids and order.state.is_working:
                self._books.record(changed(order, OrderEvent.CANCEL_ASKED, why), tally)

    def _due(self, order: Order, *, pressing: bool) -> bool:
        """Whether a cancel may leave now: the first one at once, a repetition when it is time."""
        if order.cancel_asked_at is None:
            return True
        again = order.cancel_asked_at + SWEEP_GAP if pressing else cancel_again_at(order, self._policy().execution)
        return self._venue.clock.now() >= again

    def _shown_due(self, report: OrderReport, *, pressing: bool) -> bool:
        known = self._books.state.order_of(report.order_id)
        return known is None or self._due(known, pressing=pressing)

    def _wanted(self, report: OrderReport, kinds: Collection[OrderKind]) -> bool:
        known = self._books.state.order_of(report.order_id)
        if known is not None and (known.state.is_working or known.state is not OrderState.REJECTED):
            return known.state.is_working and known.kind in kinds
        strange = ENTRY if report.side is BUY else PROTECTIVE
        return is_ours(report.client_order_id, self._tag) and strange in kinds

    def _look_for_the_gone(self, mine: Sequence[Order], shown: Collection[str], tally: Tally) -> None:
        """What is no longer listed has ended, or is not shown yet: only a read of the order itself can tell."""
        for order in mine:
            current = self._books.state.orders[order.client_order_id]
            if current.state.is_working and current.order_id and current.order_id not in shown:
                self.read(current, tally)

    def _left(self, kinds: Collection[OrderKind], wanted: Sequence[OrderReport]) -> tuple[str, ...]:
        orders = self._books.state.orders.values()
        ours = [o.client_order_id for o in orders if o.kind in kinds and o.state.is_working]
        known = {order.order_id for order in orders}
        return (*ours, *(report.order_id for report in wanted if report.order_id not in known))


def noted(error: BotError, doing: str, tally: Tally) -> None:
    """A failed call is part of the round's report; it proves nothing and stops nothing."""
    tally.errors.append(f"{doing}: {error}")
    tally.auth_refused |= isinstance(error, AuthRefused)
    tally.rate_limited += isinstance(error, RateLimited)
