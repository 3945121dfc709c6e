"""Resolves orders of unknown fate: one complete listing for all of them, fills beside it, and the verdict on each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from bot.domain.order import Fill, OrderEvent, OrderReport, OrderState
from bot.domain.state import FillCursor, Order
from bot.errors import NotFound
from bot.execution.books import Books
from bot.execution.cancels import READ_FAILED, noted
from bot.execution.controls import Controls, Venue
from bot.execution.lifecycle import UNRESOLVED, changed
from bot.execution.report import Tally
from bot.execution.sender import Sender
from bot.execution.unknown import LOOK_AHEAD, LOOK_BACK, next_listing, unexplained_fills, weigh
from bot.settings.policy import Policy


class Resolver:
    """Asks the venue what became of our doubtful orders."""

    def __init__(
        self, venue: Venue, controls: Controls, books: Books, sender: Sender, policy: Callable[[], Policy]
    ) -> None:
        self._venue = venue
        self._controls = controls
        self._books = books
        self._sender = sender
        self._policy = policy

    def resolve(self, missing: Iterable[str], tally: Tally) -> None:
        """One round, for the orders whose next listing is due. missing: acknowledged orders the venue does not show.

        A listing or a read of fills that fails counts for nothing. Raises: StorageFailed.
        """
        self.silence(tally)
        due = self._due(missing)
        if not due:
            return
        began = self._venue.clock.now()
        since = min(order.created_at for order in due) - LOOK_BACK
        try:
            listing = list(self._venue.exchange.orders_created(since, began + LOOK_AHEAD))
            fills = tuple(self._venue.exchange.fills_since(min(since, self._fills_from())))
        except READ_FAILED as error:
            noted(error, "listing orders of unknown fate", tally)
            return
        for order in due:
            self._judge(order, listing, fills, tally)
        cursor = self._books.state.fill_cursor or FillCursor(began)
        self._books.book(fills, listing, began, cursor.overlap, tally)

    def nothing_to_ask(self, missing: Sequence[str]) -> bool:
        """Whether no order is in doubt."""
        return not missing and not [order for order in self._books.state.working if order.state in UNRESOLVED]

    def silence(self, tally: Tally) -> None:
        """An order still without an answer here is not in flight: nothing runs beside us, so no answer will come."""
        for order in self._books.state.working:
            if order.state not in (OrderState.NEW, OrderState.SUBMITTED):
                continue
            if order.state is OrderState.NEW:
                self._books.record(changed(order, OrderEvent.SEND, "may have been sent"), tally)
            fresh = self._books.state.orders[order.client_order_id]
            if fresh.state is OrderState.SUBMITTED:
                self._books.record(changed(fresh, OrderEvent.SILENCE, "no answer was recorded"), tally)

    def _due(self, missing: Iterable[str]) -> list[Order]:
        state = self._books.state
        orders = state.orders
        lost = [orders[cid] for cid in missing if cid in orders and orders[cid].state.is_working]
        doubtful = [order for order in state.working if order.state in UNRESOLVED]
        if not (doubtful or lost):
            return []
        now, execution = self._venue.clock.now(), self._policy().execution
        each = {order.client_order_id: order for order in (*doubtful, *lost)}
        return [order for order in each.values() if now >= next_listing(order, execution)]

    def _judge(self, order: Order, listing: list[OrderReport], fills: Sequence[Fill], tally: Tally) -> None:
        self._name_strangers(order, listing, fills, tally)
        strange = unexplained_fills(self._books.state, order, fills, listing)
        contradicted = bool(strange) or not self._controls.agrees(order)
        now, policy = self._venue.clock.now(), self._policy().execution
        finding = weigh(order, listing, contradicted=contradicted, now=now, policy=policy)
        for payload in finding.payloads:
            self._books.record(payload, tally)
        fresh = self._books.state.orders[order.client_order_id]
        if finding.resend and fresh.state is OrderState.UNKNOWN and self._may_sell():
            self._sender.resend(fresh, tally)

    def _name_strangers(self, order: Order, listing: list[OrderReport], fills: Sequence[Fill], tally: Tally) -> None:
        """A fill carries no client id: the order it names is read, and then it is ours or says nothing."""
        strange = unexplained_fills(self._books.state, order, fills, listing)
        for order_id in dict.fromkeys(fill.order_id for fill in strange):
            try:
                listing.append(self._venue.exchange.order(order_id))
            except NotFound:
                continue
            except READ_FAILED as error:
                noted(error, f"reading order {order_id}", tally)

    def _may_sell(self) -> bool:
        return self._controls.permits().exits and not self._controls.kill().active

    def _fills_from(self) -> datetime:
        cursor = self._books.state.fill_cursor
        return self._venue.clock.now() - timedelta(minutes=10) if cursor is None else cursor.at - cursor.overlap
