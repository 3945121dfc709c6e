"""After submissions: wait, look again, book what filled, and note how long the venue took to show it all."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Final

from bot.domain.event import SettleObserved
from bot.domain.snapshot import Balance
from bot.domain.state import Order
from bot.execution.books import Books
from bot.execution.cancels import Canceller
from bot.execution.controls import Venue
from bot.execution.lifecycle import unresolved
from bot.execution.report import Tally
from bot.execution.selling import SellSide

BUCKETS_MS: Final = (100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000)


class Settlement:
    """Follows the orders of this process from their submission until the venue shows them completely.

    pending: whether anything was sent since the last refresh.
    """

    def __init__(self, venue: Venue, books: Books, canceller: Canceller, selling: SellSide) -> None:
        self._venue = venue
        self._books = books
        self._canceller = canceller
        self._selling = selling
        self._following: list[str] = []
        self.pending = False

    def follow(self, tally: Tally) -> None:
        """Remember what the round sent."""
        for cid in (*tally.placed, *tally.unknown):
            if cid not in self._following:
                self._following.append(cid)
                self.pending = True

    def refresh(self, tally: Tally) -> Mapping[str, Balance] | None:
        """Read the followed orders, fills and balances; None when balances could not be read."""
        self.pending = False
        for order in self._orders():
            if order.state.is_working:
                self._canceller.read(order, tally)
        self._selling.refresh_fills(tally)
        balances = self._selling.balances(tally)
        if balances is not None:
            self.note(balances, tally)
        return balances

    def note(self, balances: Mapping[str, Balance] | None, tally: Tally) -> None:
        """Record the settle time of orders that the venue now shows completely. balances None: not compared."""
        if not self._following:
            return
        for order in self._orders():
            if self._complete(order, balances):
                self._following.remove(order.client_order_id)
                waited = self._venue.clock.now() - order.created_at
                self._books.record(SettleObserved(bucket_of(waited.total_seconds())), tally)

    def _orders(self) -> list[Order]:
        known = self._books.state.orders
        found = [known[cid] for cid in self._following if cid in known]
        if len(found) < len(self._following):
            self._following = [order.client_order_id for order in found]
        return found

    def _complete(self, order: Order, balances: Mapping[str, Balance] | None) -> bool:
        """Its state is certain, every fill of it is booked, and the wallets it moved read what the books expect."""
        if unresolved(order) or order.booked < order.filled:
            return False
        if balances is None or order.filled.is_zero:
            return True
        return self._expected(order.product.base, balances) and self._expected(order.product.quote, balances)

    def _expected(self, currency: str, balances: Mapping[str, Balance]) -> bool:
        ledger, shown = self._books.state.ledgers.get(currency), balances.get(currency)
        return ledger is None or (shown is not None and shown.total == ledger.expected)


def bucket_of(seconds: float) -> int:
    """The smallest bucket, in ms, that holds the time; the largest for anything longer."""
    return BUCKETS_MS[bisect_left(BUCKETS_MS[:-1], seconds * 1000)]
