"""The only place that sends an order: durable intent, last hop, request, recorded answer."""

from __future__ import annotations

from decimal import Decimal

from bot.domain.codec import time_text
from bot.domain.decision import Reason, Reject
from bot.domain.event import IntentRecorded, OrderChanged
from bot.domain.market import Quote
from bot.domain.order import Ack, OrderEvent, PlannedOrder
from bot.domain.state import Intent, Order
from bot.domain.value import Value, replace
from bot.errors import AuthRefused, BotError, RateLimited, Rejected, StorageFailed, Transient
from bot.execution.books import Books
from bot.execution.controls import Venue
from bot.execution.last_hop import LastHop
from bot.execution.lifecycle import changed, observed
from bot.execution.report import Rejection, Tally


class Draft(Value):
    """One attempt ready to go. quote: what it was priced from; fee_rate: fraction assumed; flatten: the exemption."""

    intent: Intent
    order: PlannedOrder
    quote: Quote | None
    fee_rate: Decimal
    flatten: bool = False


class Sender:
    def __init__(self, venue: Venue, books: Books, last_hop: LastHop) -> None:
        self._venue = venue
        self._books = books
        self._last_hop = last_hop

    def send(self, draft: Draft, tally: Tally) -> bool:
        """Whether the order may now be at the venue (accepted, or its fate unknown).

        Raises: StorageFailed; before the request left nothing was sent, after it the durable intent finds the order.
        """
        order = draft.order
        early = self._last_hop.refusal(order, counted=False, quote=draft.quote, flatten=draft.flatten)
        if early is not None:
            self._refuse(draft, early, tally)
            return False
        self._books.record(_recorded(draft), tally)
        late = self._last_hop.refusal(order, counted=True, flatten=draft.flatten)
        if late is not None:
            self._unsent(order, f"{late.reason.value}: {late.detail}", tally)
            self._books.close(draft.intent, f"refused at the last moment: {late.reason.value}", tally)
            self._refuse(draft, late, tally)
            return False
        return self._place(order, tally)

    def barred(self, draft: Draft) -> Reject | None:
        """Why the order could not leave even once its coins are free: asked before a resting order is taken back."""
        return self._last_hop.refusal(
            draft.order, counted=False, quote=draft.quote, flatten=draft.flatten, releasing=True
        )

    def resend(self, lost: Order, tally: Tally) -> None:
        """Send a lost exit once more, same id and same body. Its answer is believed only after reading the order.

        A refusal proves nothing here: the first one may hold the coins.
        """
        order = planned(lost)
        verdict = self._last_hop.refusal(order, counted=False)
        if verdict is not None:
            tally.refuse(order.product, order.side, order.kind, verdict)
            return
        try:
            ack = self._venue.exchange.place(order)
            report = self._venue.exchange.order(ack.order_id)
        except StorageFailed:
            raise
        except BotError as error:
            tally.errors.append(f"order {order.client_order_id} sent again: {error}")
            return
        if report.client_order_id == order.client_order_id:
            for payload in observed(self._books.state.orders[order.client_order_id], report):
                self._books.record(payload, tally)

    def _place(self, order: PlannedOrder, tally: Tally) -> bool:
        try:
            ack = self._venue.exchange.place(order)
        except Rejected as error:
            return self._rejected(order, error, tally)
        except Transient as error:
            tally.rate_limited += isinstance(error, RateLimited)
            tally.errors.append(f"order {order.client_order_id} was not sent: {error}")
            reason = Reason.RATE_BUDGET if isinstance(error, RateLimited) else Reason.DATA_UNAVAILABLE
            tally.refuse(order.product, order.side, order.kind, Reject(reason, f"{order.product}: not sent: {error}"))
            self._unsent(order, str(error), tally)
            return False
        except BotError as error:
            tally.auth_refused |= isinstance(error, AuthRefused)
            return self._silent(order, str(error), tally)
        return self._accepted(order, ack, tally)

    def _accepted(self, order: PlannedOrder, ack: Ack, tally: Tally) -> bool:
        if ack.client_order_id != order.client_order_id or not ack.order_id:
            return self._silent(order, f"the answer names {ack.client_order_id} {ack.order_id}", tally)
        known = self._books.state.orders[order.client_order_id]
        self._books.record(changed(known, OrderEvent.ACK, "accepted", order_id=ack.order_id), tally)
        tally.placed.append(order.client_order_id)
        return True

    def _rejected(self, order: PlannedOrder, error: Rejected, tally: Tally) -> bool:
        """An id the venue says it knows is no refusal: an order may stand behind it."""
        if "DUPLICATE" in error.reason.upper():
            return self._silent(order, str(error), tally)
        self._event(order, OrderEvent.REFUSED, str(error), tally)
        tally.rejections.append(
            Rejection(order.client_order_id, order.product, order.kind, error.reason, error.message)
        )
        return False

    def _silent(self, order: PlannedOrder, why: str, tally: Tally) -> bool:
        self._event(order, OrderEvent.SILENCE, why, tally)
        tally.unknown.append(order.client_order_id)
        return True

    def _unsent(self, order: PlannedOrder, why: str, tally: Tally) -> None:
        refused = changed(self._books.state.orders[order.client_order_id], OrderEvent.REFUSED, f"not sent: {why}")
        self._books.record(replace(refused, unsent=True) if isinstance(refused, OrderChanged) else refused, tally)

    def _event(self, order: PlannedOrder, event: OrderEvent, why: str, tally: Tally) -> None:
        self._books.record(changed(self._books.state.orders[order.client_order_id], event, why), tally)

    def _refuse(self, draft: Draft, verdict: Reject, tally: Tally) -> None:
        tally.refuse(draft.order.product, draft.order.side, draft.order.kind, verdict)


def planned(order: Order) -> PlannedOrder:
    """The body an order was sent with, from the journal's memory of it."""
    return PlannedOrder(
        order.client_order_id, order.product, order.side, order.kind, order.type, order.size, order.limit_price,
        order.stop_price, order.end_time, order.attached,
    )  # fmt: skip


def _recorded(draft: Draft) -> IntentRecorded:
    intent, order, quote = draft.intent, draft.order, draft.quote
    text = "" if quote is None else f"{quote.bid}/{quote.ask} {time_text(quote.at)}"
    return IntentRecorded(
        intent_id=intent.number, attempt=intent.attempts + 1, client_order_id=order.client_order_id,
        product=order.product, side=order.side, size=order.size, limit_price=order.limit_price, kind=order.kind,
        quote=text, type=order.type, intent_size=intent.size, worst_price=intent.worst_price,
        worst_quote=intent.worst_quote, reference=intent.reference, expected_fee_rate=draft.fee_rate,
        rule=intent.rule, why=intent.why, stop_price=order.stop_price, end_time=order.end_time,
        attached=order.attached, exits=intent.exits,
    )  # fmt: skip
