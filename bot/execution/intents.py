"""Serves open intents: new entries, time-outs, re-quotes that risk has approved anew, and their end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from bot.domain.decision import Approved, Reason, Reject
from bot.domain.holdings import view_of
from bot.domain.order import ENTRY, EXIT, PROTECTIVE, RESTING, OrderState
from bot.domain.product import BUY, ProductId
from bot.domain.snapshot import MarketView, Snapshot
from bot.domain.state import FeeTier, Intent, Order
from bot.domain.value import replace
from bot.execution import routing
from bot.execution.books import Books
from bot.execution.cancels import Canceller
from bot.execution.controls import Controls, Permits, Venue
from bot.execution.lifecycle import Due, due, seconds, timer
from bot.execution.report import Tally
from bot.execution.selling import SellSide
from bot.execution.trading import Terms, Trading
from bot.settings.policy import Policy

PATIENCE_S: Final = 5.0
"""Seconds after which a round begins no further look at an order for its timer. Where every call runs into its
deadline, a round of all orders would outlast the watchdog, and the next cycle would never come."""


class Intents:
    """Walks intents in the order of their numbers, cancels before anything new is sent."""

    def __init__(
        self, venue: Venue, controls: Controls, books: Books, canceller: Canceller, trading: Trading,
        selling: SellSide, policy: Callable[[], Policy], terms: Callable[[FeeTier], Terms],
    ) -> None:  # fmt: skip
        """terms: what an order is drawn up under, at this moment."""
        self._venue = venue
        self._controls = controls
        self._books = books
        self._canceller = canceller
        self._trading = trading
        self._selling = selling
        self._policy = policy
        self._terms = terms
        self._bought_again = False
        self._looked_at = ""

    def serve(self, snapshot: Snapshot | None, tally: Tally, *, swept: bool = False) -> None:
        """Halts and timers first, then every open intent's next step. Without a snapshot nothing new is sent.

        swept: what halts forbid was cancelled in this cycle already, as far as the venue answered.

        Raises: StorageFailed.
        """
        self._bought_again = False
        permits = self._controls.permits()
        if not swept and (permits.cancel_entries or permits.cancel_protective):
            self._obey(permits, tally)
        self._timers(tally)
        if served := self._served():
            self._next_steps(served, snapshot, permits, tally)

    def enter(self, approved: Approved, snapshot: Snapshot, tally: Tally) -> None:
        """Begin an approved entry; one that was approved before another was quoted again has to pass risk once more.

        Raises: StorageFailed.
        """
        proposal = approved.proposal
        view = view_of(snapshot, proposal.product)
        refusal = self._entry_refusal(proposal.product, view)
        if refusal is not None or view is None:
            missing = Reject(Reason.DATA_UNAVAILABLE, f"{proposal.product}: not in the snapshot")
            tally.refuse(proposal.product, BUY, ENTRY, refusal or missing)
            return
        terms = self._terms(snapshot.fees)
        intent = Intent(
            number=self._books.state.next_intent, cycle_id=snapshot.cycle_id, product=view.product.id, side=BUY,
            kind=ENTRY, size=approved.size, worst_price=approved.worst_price,
            worst_quote=approved.worst_quote.amount, reference=proposal.reference, rule=proposal.rule,
            why=proposal.rule, at=terms.now, exits=proposal.exits,
        )  # fmt: skip
        target = routing.Target(view.product, view.quote)
        command = routing.next_command(intent, (), target, terms.now, terms.policy)
        if isinstance(command, routing.Place) and self._bought_again:
            self._requote(intent, command, view, terms, tally)
        elif isinstance(command, routing.Place):
            self._trading.attempt(intent, command, view, terms, tally)
        elif isinstance(command, routing.Close):
            tally.refuse(view.product.id, BUY, ENTRY, Reject(command.reason, command.why))

    def _entry_refusal(self, product: ProductId, view: MarketView | None) -> Reject | None:
        """One thing at a time per base currency: a doubt, a working order or an open intent keeps others out."""
        if view is None:
            return None
        base = view.product.base
        if (doubt := self._books.doubt(base)) is not None:
            return doubt
        busy = self._books.working(base, ENTRY, EXIT)
        if busy or any(intent.product.base == base for intent in self._served()):
            return Reject(Reason.ALREADY_WORKING, f"{product}: another order of {base} is still at work")
        return None

    def _served(self) -> list[Intent]:
        """Open intents that are routed; a protective one has its single order and no time of its own."""
        return [intent for intent in self._books.state.open_intents if intent.kind is not PROTECTIVE]

    def _obey(self, permits: Permits, tally: Tally) -> None:
        """What the halt table takes off the venue."""
        kinds = [ENTRY] * permits.cancel_entries + [PROTECTIVE] * permits.cancel_protective
        orders = [o for o in self._books.state.working if o.kind in kinds and o.state in RESTING]
        if orders:
            self._canceller.ask(orders, permits.why or "halted", tally)

    def _timers(self, tally: Tally) -> None:
        """Orders whose state should have passed: read them; an expiry that is over proves nothing by itself."""
        now, execution, working = self._venue.clock.now(), self._policy().execution, self._books.state.working
        fired = [order for order in working if (at := timer(order, execution)) is not None and at <= now]
        if not fired:
            return
        patience = self._venue.clock.monotonic() + PATIENCE_S
        for order in self._in_turn(working):
            if order not in fired:
                continue
            if self._venue.clock.monotonic() > patience:
                return
            self._looked_at = order.client_order_id
            asked = due(order)
            if asked is not Due.SILENCE:
                self._canceller.read(order, tally)
            fresh = self._books.state.orders[order.client_order_id]
            if asked is Due.CANCEL_AGAIN and fresh.state is OrderState.CANCEL_PENDING:
                self._canceller.ask((fresh,), "the cancel had no effect yet", tally)

    def _in_turn(self, orders: Sequence[Order]) -> Sequence[Order]:
        """Beginning with the one after the order looked at last: one that is always slow must not keep others out."""
        ids = [order.client_order_id for order in orders]
        first = ids.index(self._looked_at) + 1 if self._looked_at in ids else 0
        return (*orders[first:], *orders[:first])

    def _cancel_timed_out(self, served: Sequence[Intent], tally: Tally) -> list[Order]:
        """The orders of open intents that have to go now and whose cancels the venue took; one call for each reason."""
        due_for: dict[str, list[Order]] = {}
        at_work = {order.intent for order in self._books.state.working}
        for intent in served:
            command = self._command(intent, None) if intent.number in at_work else None
            if isinstance(command, routing.Cancel):
                due_for.setdefault(command.why, []).append(command.order)
        if not due_for:
            return []
        for why, orders in due_for.items():
            self._canceller.ask(orders, why, tally)
        asked = (self._books.state.orders[order.client_order_id] for orders in due_for.values() for order in orders)
        return [order for order in asked if order.state not in RESTING]

    def _next_steps(self, served: Sequence[Intent], snapshot: Snapshot | None, permits: Permits, tally: Tally) -> None:
        cancelled = self._cancel_timed_out(served, tally)
        if cancelled:
            wait = seconds(self._policy().execution.hold_release_seconds)
            self._canceller.await_end(cancelled, self._venue.clock.now() + wait, tally)
            served = self._served()
        for intent in served:
            self._next(intent, snapshot, permits, tally)

    def _next(self, intent: Intent, snapshot: Snapshot | None, permits: Permits, tally: Tally) -> None:
        view = None if snapshot is None else view_of(snapshot, intent.product)
        command = self._command(intent, view)
        if isinstance(command, routing.Close):
            self._books.close(intent, command.why, tally)
        elif isinstance(command, routing.Place) and snapshot is not None and view is not None:
            self._place(intent, command, view, self._terms(snapshot.fees), permits, tally)

    def _place(
        self, intent: Intent, command: routing.Place, view: MarketView, terms: Terms, permits: Permits, tally: Tally
    ) -> None:  # fmt: skip
        if intent.kind is EXIT:
            sent = permits.exits and self._selling.again(intent, command, view, terms, tally)
        else:
            sent = permits.entries and self._requote(intent, command, view, terms, tally)
            self._bought_again |= sent
        fresh = self._books.state.intents[intent.number]
        if not sent and fresh.attempts == intent.attempts:
            self._books.close(intent, "its next order could not be sent", tally)

    def _requote(self, intent: Intent, command: routing.Place, view: MarketView, terms: Terms, tally: Tally) -> bool:
        """Another attempt at what is left, if risk still wants it; never more than before, never dearer."""
        if view.quote is None:
            return False
        answer = self._controls.reapprove(intent, command.size, view.quote)
        if isinstance(answer, Reject):
            tally.refuse(intent.product, intent.side, intent.kind, answer)
            return False
        bounded = replace(intent, worst_price=answer.worst_price, worst_quote=answer.worst_quote.amount)
        again = self._command(bounded, view)
        if not isinstance(again, routing.Place):
            return False
        smaller = replace(again, size=min(again.size, answer.size))
        return self._trading.attempt(bounded, smaller, view, terms, tally)

    def _command(self, intent: Intent, view: MarketView | None) -> routing.Command:
        target = None if view is None else routing.Target(view.product, view.quote)
        now, policy = self._venue.clock.now(), self._policy()
        return routing.next_command(intent, self._books.orders_of(intent), target, now, policy)
