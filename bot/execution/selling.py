"""One owner of the sell side: whoever sells first takes back what is on offer, sees it gone, and sells what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Approved, Reason, Reject
from bot.domain.fees import dust
from bot.domain.money import ZERO, Price, Size
from bot.domain.order import ENTRY, EXIT, PROTECTIVE, OrderState, OrderType
from bot.domain.position import Position
from bot.domain.product import SELL, Product
from bot.domain.snapshot import Balance, MarketView
from bot.domain.state import FillCursor, Intent
from bot.domain.value import replace
from bot.execution import routing
from bot.execution.books import Books
from bot.execution.cancels import READ_FAILED, Canceller, noted
from bot.execution.controls import Controls, Venue
from bot.execution.lifecycle import seconds
from bot.execution.patience import Patience
from bot.execution.report import Tally
from bot.execution.trading import Terms, Trading
from bot.settings.policy import Policy

_POLL: Final = timedelta(milliseconds=250)


class SellSide:
    """Exits and flattening: at most one sell of a position's coins is ever on offer."""

    def __init__(
        self, venue: Venue, controls: Controls, books: Books, canceller: Canceller, trading: Trading,
        patience: Patience, policy: Callable[[], Policy],
    ) -> None:  # fmt: skip
        self._venue = venue
        self._controls = controls
        self._books = books
        self._canceller = canceller
        self._trading = trading
        self._patience = patience
        self._policy = policy

    def exit(self, approved: Approved, view: MarketView, terms: Terms, cycle_id: str, tally: Tally) -> None:
        """Sell an approved exit, as much of it as is free once the protective order is gone. Raises: StorageFailed."""
        proposal = approved.proposal
        position = self._books.position(view.product.id)
        if position is None:
            self._refuse(view, _gone(view), tally)
            return
        why = proposal.exit_reason.value if proposal.exit_reason is not None else proposal.rule
        fresh = self._at_its_freshest(view)
        intent = self._intent(position, fresh, approved.size, approved.worst_price, cycle_id, why)
        self._sell(intent, fresh, terms, tally, flatten=False)

    def flatten(self, position: Position, product: Product, terms: Terms, cycle_id: str, tally: Tally) -> None:
        """Sell all of a position at the bid less the slippage allowed, whatever halts are in force. Dust is left."""
        view = self._at_its_freshest(MarketView(product, None, None, None))
        bid = None if view.quote is None else view.quote.bid
        if bid is not None and dust(product, position.size, self._floor(bid)):
            return
        lowest = Price(product.price_step)  # the slippage from the bid of the moment is the only bound
        intent = self._intent(position, view, position.size, lowest, cycle_id, "flatten")
        self._sell(intent, view, terms, tally, flatten=True)

    def again(self, intent: Intent, command: routing.Place, view: MarketView, terms: Terms, tally: Tally) -> bool:
        """One more attempt of an exit whose coins were still held; less if meanwhile less is free."""
        size = min(command.size, self._sellable(intent, view, tally))
        if size.is_zero:
            self._refuse(view, _gone(view), tally)
            return False
        fresh = self._at_its_freshest(view)
        return self._trading.attempt(intent, _bounded(replace(command, size=size), fresh), fresh, terms, tally)

    def release(self, base: str, tally: Tally) -> bool:
        """Take back every order of ours on these coins; True when all have ended and their fills are booked.

        Our own bids go too: an exit that met one of them would trade with itself.
        """
        orders = [o for o in self._books.working(base) if o.kind is not EXIT]
        if not orders:
            return True
        due = [order for order in orders if order.state is not OrderState.CANCEL_PENDING]
        self._canceller.ask(due, "an exit takes over", tally)
        deadline = self._venue.clock.now() + seconds(self._policy().execution.hold_release_seconds)
        ended = self._canceller.await_end(orders, deadline, tally)
        self.refresh_fills(tally)
        return ended or not self._books.working(base, PROTECTIVE)

    def refresh_fills(self, tally: Tally) -> None:
        """Book what has filled up to now, so that nothing already sold is sold again."""
        began = self._venue.clock.now()
        cursor = self._books.state.fill_cursor or FillCursor(began - timedelta(minutes=10))
        try:
            fills = self._venue.exchange.fills_since(cursor.at - cursor.overlap)
        except READ_FAILED as error:
            noted(error, "reading fills", tally)
            return
        self._books.book(fills, (), began, cursor.overlap, tally)

    def _sell(self, intent: Intent, view: MarketView, terms: Terms, tally: Tally, *, flatten: bool) -> None:
        """Nothing is taken back before it is known that the sale itself could leave: a refused exit keeps its stop."""
        base = view.product.base
        refusal = self._blocked(view, tally) or self._trading.rehearse(intent, view, terms, flatten=flatten)
        if refusal is not None:
            self._refuse(view, refusal, tally)
            return
        self._end_entries(base, tally)
        waits = bool(self._books.working(base))
        if not self.release(base, tally):
            detail = f"{view.product.id}: the protective order has not ended yet"
            self._refuse(view, Reject(Reason.ORDER_UNRESOLVED, detail), tally)
            return
        if waits:
            self._await_hold(intent, view, tally)
        self._sell_what_is_free(intent, self._at_its_freshest(view), terms, tally, flatten=flatten)

    def _sell_what_is_free(
        self, intent: Intent, view: MarketView, terms: Terms, tally: Tally, *, flatten: bool
    ) -> None:
        size = min(intent.size, self._sellable(intent, view, tally))
        if size.is_zero:
            self._refuse(view, _gone(view), tally)
            return
        sized, target = replace(intent, size=size), routing.Target(view.product, view.quote)
        command = routing.next_command(sized, (), target, self._venue.clock.now(), self._policy())
        if isinstance(command, routing.Place):
            self._trading.attempt(sized, _bounded(command, view), view, terms, tally, flatten=flatten)
        elif isinstance(command, routing.Close):
            self._refuse(view, Reject(command.reason, command.why), tally)

    def _blocked(self, view: MarketView, tally: Tally) -> Reject | None:
        """An exit of unknown fate, at work, or waiting for its coins keeps another one out; an ended one is closed."""
        base = view.product.base
        if (doubt := self._books.doubt(base, SELL)) is not None:
            return doubt
        if self._books.working(base, EXIT):
            return Reject(Reason.ALREADY_WORKING, f"{view.product.id}: an exit is working")
        for intent in self._books.state.open_intents:
            if intent.kind is EXIT and intent.product.base == base:
                if routing.awaits_coins(self._books.orders_of(intent)):
                    return Reject(Reason.ALREADY_WORKING, f"{view.product.id}: an exit waits for its coins")
                self._books.close(intent, "decided anew", tally)
        return None

    def _end_entries(self, base: str, tally: Tally) -> None:
        """What is being sold is not bought at the same time."""
        for intent in self._books.state.open_intents:
            if intent.kind is ENTRY and intent.product.base == base:
                self._books.close(intent, "an exit takes over", tally)

    def _at_its_freshest(self, view: MarketView) -> MarketView:
        """The view with the quote of this moment; a book that no longer starts at its bid is not measured against."""
        quote = self._venue.market.requote(view.product.market)
        if quote is None:
            return view
        same = view.book is not None and bool(view.book.bids) and view.book.bids[0].price == quote.bid
        return replace(view, quote=quote, book=view.book if same else None)

    def _sellable(self, intent: Intent, view: MarketView, tally: Tally) -> Size:
        """What is free by the books and at the venue, to a whole number of increments."""
        position = self._books.position(intent.product)
        if position is None:
            return Size.zero()
        free = self._books.free(position)
        shown = self._available(view.product.base, tally)
        least = free.value if shown is None else min(free.value, shown)
        return view.product.floor_size(Size(max(ZERO, least)))

    def balances(self, tally: Tally) -> Mapping[str, Balance] | None:
        """The wallets now; None when they cannot be read: then the books decide, and the venue may refuse."""
        try:
            return {balance.currency: balance for balance in self._venue.exchange.balances()}
        except READ_FAILED as error:
            noted(error, "reading balances", tally)
            return None

    def _available(self, currency: str, tally: Tally) -> Decimal | None:
        wallets = self.balances(tally)
        if wallets is None:
            return None
        return wallets[currency].available if currency in wallets else ZERO

    def _await_hold(self, intent: Intent, view: MarketView, tally: Tally) -> None:
        """The hold of a cancelled order is released a moment after it ended."""
        deadline = self._venue.clock.now() + seconds(self._policy().execution.hold_release_seconds)
        while (now := self._venue.clock.now()) < deadline:
            position = self._books.position(intent.product)
            shown = self._available(view.product.base, tally)
            wanted = ZERO if position is None else min(intent.size, self._books.free(position)).value
            if shown is None or shown >= wanted or not self._patience.until(min(deadline, now + _POLL)):
                return

    def _intent(
        self, position: Position, view: MarketView, size: Size, worst: Price, cycle_id: str, why: str
    ) -> Intent:
        reference = view.quote.bid if view.quote is not None else worst
        return Intent(
            number=self._books.state.next_intent, cycle_id=cycle_id, product=view.product.id, side=SELL,
            kind=EXIT, size=min(size, position.size), worst_price=worst, worst_quote=ZERO,
            reference=reference, rule=position.rule, why=why, at=self._venue.clock.now(),
        )  # fmt: skip

    def _floor(self, bid: Price) -> Price:
        return bid.shifted(-self._policy().exits.max_slippage_bps)

    def _refuse(self, view: MarketView, refusal: Reject, tally: Tally) -> None:
        tally.refuse(view.product.id, SELL, EXIT, refusal)


def _bounded(command: routing.Place, view: MarketView) -> routing.Place:
    """A market order is only sent into a book that was measured; without one the same price becomes a limit."""
    unmeasured = command.type is OrderType.MARKET and view.book is None
    return replace(command, type=OrderType.LIMIT_IOC) if unmeasured else command


def _gone(view: MarketView) -> Reject:
    return Reject(Reason.NOTHING_TO_SELL, f"{view.product.id}: nothing of it is free to sell")
