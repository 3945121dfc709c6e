"""Carries out the protective plan: one resting sell per managed position, in step with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bot.domain.decision import Reject
from bot.domain.holdings import free_to_sell, view_of
from bot.domain.money import ZERO, Size
from bot.domain.order import ENTRY, EXIT, PROTECTIVE, RESTING, OrderReport, OrderState, PlannedOrder
from bot.domain.position import Position
from bot.domain.product import SELL, Product, ProductId
from bot.domain.snapshot import Balance, MarketView, Snapshot
from bot.domain.state import Intent, Ledger, Order, State
from bot.domain.value import replace
from bot.execution import protective
from bot.execution.books import Books
from bot.execution.cancels import Canceller
from bot.execution.constraints import Metadata, enforce_product_constraints
from bot.execution.controls import Venue
from bot.execution.identity import generate_client_order_id
from bot.execution.lifecycle import minutes, seconds
from bot.execution.report import Tally
from bot.execution.selling import SellSide
from bot.execution.sender import Draft, Sender
from bot.execution.trading import Terms
from bot.settings.policy import ExitsPolicy, Policy

_Signs = tuple[
    Position, Sequence[Order], Balance | None, Ledger | None, Product, tuple[OrderReport, ...], bool, ExitsPolicy
]
"""Everything but the price that a plan in step depends on; mostly the very objects of the cycle before."""


class Protection:
    """Keeps every position's stop at the venue."""

    def __init__(
        self, venue: Venue, books: Books, canceller: Canceller, selling: SellSide, sender: Sender,
        policy: Callable[[], Policy],
    ) -> None:  # fmt: skip
        self._venue = venue
        self._books = books
        self._canceller = canceller
        self._selling = selling
        self._sender = sender
        self._policy = policy
        self._in_step: dict[ProductId, _Signs] = {}

    def keep(self, snapshot: Snapshot, terms: Terms, tally: Tally) -> None:
        """One step for every position, and for protective orders whose position is gone. Raises: StorageFailed."""
        state, balances, exits = self._books.state, snapshot.balances, terms.policy.exits
        for market in sorted(state.positions):
            position, view = state.positions.get(market), view_of(snapshot, market)
            if position is None or view is None:
                continue
            base = position.product.base
            signs = (
                position, state.of_base.get(base, ()), balances.get(base), state.ledgers.get(base), view.product,
                snapshot.external_orders, base in state.exiting, exits,
            )  # fmt: skip
            if self._in_step.get(market) == signs:
                continue
            plan = self._plan(position, view, snapshot)
            if plan is protective.IN_STEP:
                self._remember(market, signs)
                continue
            self._in_step.pop(market, None)
            self._carry_out(plan, position, view, snapshot, terms, tally)
            state = self._books.state
        self._lift_orphaned(state, tally)

    def _remember(self, market: ProductId, signs: _Signs) -> None:
        """Nothing is planned again while the signs of a plan in step stay: prices do not matter then, and the time only
        where an order was refused."""
        if OrderState.REJECTED in [order.state for order in signs[1]]:
            self._in_step.pop(market, None)
        else:
            self._in_step[market] = signs

    def _carry_out(
        self, plan: protective.Plan, position: Position, view: MarketView, snapshot: Snapshot, terms: Terms,
        tally: Tally,
    ) -> None:  # fmt: skip
        match plan:
            case protective.ExitNow():
                tally.exit_now.append(position.product)
            case protective.CancelFirst(orders, why):
                self._canceller.ask(orders, why, tally)
            case protective.Place(cover):
                self._place(position, cover, view, terms, tally)
            case protective.Replace(orders, cover, why):
                if self._may_follow(position, cover, view, terms, tally) and self._taken_back(orders, why, tally):
                    self._place_anew(position, view, snapshot, terms, tally)

    def _plan(self, position: Position, view: MarketView, snapshot: Snapshot) -> protective.Plan:
        base, now = position.product.base, self._books.state
        ours, shown = now.of_base.get(base, ()), snapshot.balances.get(base)
        free = free_to_sell(now, shown, snapshot.external_orders, position)
        resting: list[Order] = []
        buying, selling = False, base in now.exiting
        for order in ours:
            if order.state.is_working:
                buying |= order.kind is ENTRY
                selling |= order.kind is EXIT
                if order.kind is PROTECTIVE:
                    resting.append(order)
        scene = protective.Scene(
            view.product, view.quote, view.last_trade, free,
            buying=buying, selling=selling, lagging=_lags(now.ledgers.get(base), shown),
        )  # fmt: skip
        exits = self._policy().exits
        offered = protective.offered(ours, exits, self._venue.clock.now())
        plan = protective.protective_plan(position, resting, scene, offered or exits)
        if offered is None and isinstance(plan, protective.Place | protective.Replace):
            return protective.Keep("the venue offers no protective order for it: the bot watches the stop itself")
        return plan

    def _place_anew(self, position: Position, view: MarketView, snapshot: Snapshot, terms: Terms, tally: Tally) -> None:
        """The order that was taken back may have sold some: the plan is made again from books and wallets of now."""
        current, wallets = self._books.position(position.product), self._selling.balances(tally)
        fresh = snapshot if wallets is None else replace(snapshot, balances=wallets)
        plan = None if current is None else self._plan(current, view, fresh)
        if current is not None and isinstance(plan, protective.Place):
            self._place(current, plan.cover, view, terms, tally)

    def _taken_back(self, orders: tuple[Order, ...], why: str, tally: Tally) -> bool:
        self._canceller.ask(orders, why, tally)
        deadline = self._venue.clock.now() + seconds(self._policy().execution.hold_release_seconds)
        ended = self._canceller.await_end(orders, deadline, tally)
        self._selling.refresh_fills(tally)
        return ended

    def _may_follow(
        self, position: Position, cover: protective.Cover, view: MarketView, terms: Terms, tally: Tally
    ) -> bool:
        """Whether the successor could leave: an order is not taken back for one that would be refused."""
        draft = self._draft(position, cover, view, terms)
        refusal = draft if isinstance(draft, Reject) else self._sender.barred(draft)
        if refusal is not None:
            tally.refuse(view.product.id, SELL, PROTECTIVE, refusal)
        return refusal is None

    def _place(self, position: Position, cover: protective.Cover, view: MarketView, terms: Terms, tally: Tally) -> None:
        draft = self._draft(position, cover, view, terms)
        if isinstance(draft, Reject):
            tally.refuse(view.product.id, SELL, PROTECTIVE, draft)
        else:
            self._sender.send(draft, tally)

    def _draft(self, position: Position, cover: protective.Cover, view: MarketView, terms: Terms) -> Draft | Reject:
        product, rate = view.product, terms.rate(cover.type)
        metadata = Metadata(terms.now, minutes(terms.policy.data.product_max_age_minutes))
        legal = enforce_product_constraints(product, SELL, cover.type, cover.limit_price, cover.size, rate, metadata)
        if isinstance(legal, Reject):
            return legal
        intent = self._intent(position, product.id, legal.size, cover, terms)
        cid = generate_client_order_id(terms.tag, terms.genesis, intent.number, 1)
        order = PlannedOrder(cid, product.id, SELL, PROTECTIVE, cover.type, legal.size, legal.price, cover.stop_price)
        return Draft(intent, order, self._venue.market.requote(product.market), rate)

    def _intent(
        self, position: Position, product: ProductId, size: Size, cover: protective.Cover, terms: Terms
    ) -> Intent:
        return Intent(
            number=self._books.state.next_intent, cycle_id=self._books.cycle_id, product=product,
            side=SELL, kind=PROTECTIVE, size=size, worst_price=cover.limit_price,
            worst_quote=ZERO, reference=cover.stop_price, rule=position.rule, why="protective", at=terms.now,
        )  # fmt: skip

    def _lift_orphaned(self, state: State, tally: Tally) -> None:
        """A protective sell without a position would sell what somebody else put there."""
        held = state.positions
        stray = [o for o in state.working if o.product not in held and o.kind is PROTECTIVE]
        if stray:  # or of a listing that is held under the name of its book
            bases = {market.base for market in held}
            lone = [o for o in stray if o.product.base not in bases and o.state in RESTING and not self._parent_open(o)]
            self._canceller.ask(lone, "no position to protect", tally)

    def _parent_open(self, child: Order) -> bool:
        """Whether the entry an attached bracket belongs to may still become a position in the books."""
        parent = self._books.state.order_of(child.parent_order_id)
        return parent is not None and (parent.state.is_working or parent.booked < parent.filled)


def _lags(ledger: Ledger | None, shown: Balance | None) -> bool:
    """Whether the wallet shows less than the books expect."""
    return ledger is not None and (ZERO if shown is None else shown.total) < ledger.expected
