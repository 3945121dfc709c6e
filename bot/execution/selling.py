"""One owner of the sell side: whoever sells first takes back what is on offer, sees it gone, and sells what is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Approved, Reason, Reject
from bot.domain.fees import largest_sale
from bot.domain.market import Quote
from bot.domain.money import ZERO, Price, Size
from bot.domain.order import OrderKind, OrderReport, OrderState
from bot.domain.position import Position
from bot.domain.product import Product, Side
from bot.domain.snapshot import Balance, MarketView
from bot.domain.state import FillCursor, Intent
from bot.errors import ExchangeError
from bot.execution import routing
from bot.execution.books import Books
from bot.execution.cancels import Canceller, noted
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
        """Sell an approved exit, as much of it as is free once the protective order is gone."""
        proposal, base = approved.proposal, view.product.base
        refusal = self._blocked(view)
        position = self._books.position(view.product.id)
        if refusal is None and position is None:
            refusal = Reject(Reason.NOTHING_TO_SELL, f"{view.product.id}: the books hold no {base}")
        if refusal is not None or position is None:
            tally.refuse(proposal.product, Side.SELL, OrderKind.EXIT, refusal or _gone(view))
            return
        why = proposal.exit_reason.value if proposal.exit_reason is not None else proposal.rule
        worst = approved.worst_price
        intent = self._intent(position, view, approved.size, worst, cycle_id, proposal.rule, why)
        self._sell(intent, view, terms, tally, flatten=False)

    def flatten(self, position: Position, product: Product, terms: Terms, cycle_id: str, tally: Tally) -> None:
        """Sell all of a position at the bid less the slippage allowed, whatever halts are in force. Dust is left."""
        quote = self._venue.market.requote(product.market)
        view = MarketView(product, quote, None, None)
        refusal = self._blocked(view)
        if refusal is None and quote is None:
            refusal = Reject(Reason.QUOTE_MISSING, f"{product.id}: no quote to price the sale from")
        if refusal is not None or quote is None:
            tally.refuse(product.id, Side.SELL, OrderKind.EXIT, refusal or _gone(view))
            return
        if largest_sale(product, position.size, self._floor(quote)) is None:
            return
        lowest = Price(product.price_step)  # the slippage from the bid of the moment is the only bound
        intent = self._intent(position, view, position.size, lowest, cycle_id, position.rule, "flatten")
        self._sell(intent, view, terms, tally, flatten=True)

    def again(self, intent: Intent, command: routing.Place, view: MarketView, terms: Terms, tally: Tally) -> bool:
        """One more attempt of an exit whose coins were still held; less if meanwhile less is free."""
        size = min(command.size, self._sellable(intent, view, tally))
        if size.is_zero:
            tally.refuse(view.product.id, Side.SELL, OrderKind.EXIT, _gone(view))
            return False
        return self._trading.attempt(intent, replace(command, size=size), view, terms, tally)

    def release(self, base: str, tally: Tally) -> bool:
        """Take back every order of ours on these coins; True when all have ended and their fills are booked.

        Our own bids go too: an exit that met one of them would trade with itself.
        """
        orders = [o for o in self._books.working(base) if o.kind is not OrderKind.EXIT]
        if not orders:
            return True
        due = [order for order in orders if order.state is not OrderState.CANCEL_PENDING]
        self._canceller.ask(due, "an exit takes over", tally)
        deadline = self._venue.clock.now() + seconds(self._policy().execution.hold_release_seconds)
        ended = self._canceller.await_end(orders, deadline, tally)
        self.refresh_fills(tally)
        return ended or not self._books.working(base, OrderKind.PROTECTIVE)

    def refresh_fills(self, tally: Tally, reports: Mapping[str, OrderReport] | None = None) -> None:
        """Book what has filled up to now, so that nothing already sold is sold again."""
        began = self._venue.clock.now()
        cursor = self._books.state.fill_cursor or FillCursor(began - timedelta(minutes=10))
        try:
            fills = self._venue.exchange.fills_since(cursor.at - cursor.overlap)
        except ExchangeError as error:
            noted(error, "reading fills", tally)
            return
        self._books.book(fills, reports or {}, began, cursor.overlap, tally)

    def _blocked(self, view: MarketView) -> Reject | None:
        base = view.product.base
        if (doubt := self._books.doubt(base, Side.SELL)) is not None:
            return doubt
        if self._books.working(base, OrderKind.EXIT):
            return Reject(Reason.ALREADY_WORKING, f"{view.product.id}: an exit is working")
        return None

    def _sell(self, intent: Intent, view: MarketView, terms: Terms, tally: Tally, *, flatten: bool) -> None:
        held_back = bool(self._books.working(view.product.base))
        if not self.release(view.product.base, tally):
            detail = f"{view.product.id}: the protective order has not ended yet"
            tally.refuse(view.product.id, Side.SELL, OrderKind.EXIT, Reject(Reason.ORDER_UNRESOLVED, detail))
            return
        fresh = self._venue.market.requote(view.product.market)
        priced = replace(view, quote=fresh if fresh is not None else view.quote)
        if held_back:
            self._await_hold(intent, priced, tally)
        size = min(intent.size, self._sellable(intent, priced, tally))
        if size.is_zero:
            tally.refuse(view.product.id, Side.SELL, OrderKind.EXIT, _gone(view))
            return
        sized = replace(intent, size=size)
        target = routing.Target(priced.product, priced.quote)
        command = routing.next_command(sized, (), target, self._venue.clock.now(), self._policy())
        if isinstance(command, routing.Place):
            self._trading.attempt(sized, command, priced, terms, tally, flatten=flatten)
        elif isinstance(command, routing.Close):
            tally.refuse(view.product.id, Side.SELL, OrderKind.EXIT, Reject(command.reason, command.why))

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
        except ExchangeError as error:
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
        self, position: Position, view: MarketView, size: Size, worst: Price, cycle_id: str, rule: str, why: str
    ) -> Intent:
        reference = view.quote.bid if view.quote is not None else worst
        return Intent(
            number=self._books.state.next_intent, cycle_id=cycle_id, product=view.product.id, side=Side.SELL,
            kind=OrderKind.EXIT, size=min(size, position.size), worst_price=worst, worst_quote=ZERO,
            reference=reference, rule=rule, why=why, at=self._venue.clock.now(),
        )  # fmt: skip

    def _floor(self, quote: Quote) -> Price:
        return quote.bid.shifted(-self._policy().exits.max_slippage_bps)


def _gone(view: MarketView) -> Reject:
    return Reject(Reason.NOTHING_TO_SELL, f"{view.product.id}: nothing of it is free to sell")
