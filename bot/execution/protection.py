"""Carries out the protective plan: one resting sell per managed position, in step with it."""

from __future__ import annotations

from collections.abc import Callable

from bot.domain.decision import Reject
from bot.domain.holdings import free_to_sell, view_of
from bot.domain.money import ZERO, Size
from bot.domain.order import RESTING, OrderKind, OrderReport, OrderState, PlannedOrder
from bot.domain.position import Position
from bot.domain.product import Product, ProductId, Side
from bot.domain.snapshot import Balance, MarketView, Snapshot
from bot.domain.state import Intent, Ledger, Order, State
from bot.domain.value import replace
from bot.execution import protective
from bot.execution.books import Books
from bot.execution.cancels import Canceller
from bot.execution.constraints import Metadata, enforce_product_constraints
from bot.execution.controls import Venue
from bot.execution.identity import generate_client_order_id
from bot.execution.lifecycle import seconds
from bot.execution.report import Tally
from bot.execution.selling import SellSide
from bot.execution.sender import Draft, Sender
from bot.execution.trading import Terms
from bot.settings.policy import ExitsPolicy, Policy

_Signs = tuple[
    Position, tuple[Order, ...], Balance | None, Ledger | None, Product, tuple[OrderReport, ...], bool, ExitsPolicy
]


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
        state, exits = self._books.state, terms.policy.exits
        for market in sorted(state.positions):
            position, view = state.positions.get(market), view_of(snapshot, market)
            if position is None or view is None:
                continue
            signs = _signs(state, position, view, snapshot, exits)
            if self._in_step.get(market) != signs:
                plan = self._step(position, view, snapshot, terms, tally)
                self._remember(market, plan, signs)
                state = self._books.state
        self._lift_orphaned(state, tally)

    def _remember(self, market: ProductId, plan: protective.Plan, signs: _Signs) -> None:
        """Nothing is planned again while the signs of a plan in step stay: prices do not matter then, and the time only
        where an order was refused. Nothing was done for it either, so they are those from before."""
        if plan == protective.IN_STEP and all(order.state is not OrderState.REJECTED for order in signs[1]):
            self._in_step[market] = signs
        else:
            self._in_step.pop(market, None)

    def _step(
        self, position: Position, view: MarketView, snapshot: Snapshot, terms: Terms, tally: Tally
    ) -> protective.Plan:
        plan = self._plan(position, view, snapshot)
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
        return plan

    def _plan(self, position: Position, view: MarketView, snapshot: Snapshot) -> protective.Plan:
        base, now = position.product.base, self._books.state
        ours = now.of_base.get(base, ())
        at_work = [order for order in ours if order.state.is_working]
        kinds = {order.kind for order in at_work}
        free = free_to_sell(now, snapshot.balances.get(base), snapshot.external_orders, position)
        scene = protective.Scene(
            view.product, view.quote, view.last_trade, free,
            buying=OrderKind.ENTRY in kinds, selling=base in now.exiting or OrderKind.EXIT in kinds,
            lagging=self._lags(base, snapshot),
        )  # fmt: skip
        exits = self._policy().exits
        offered = protective.offered(ours, base, exits, self._venue.clock.now())
        working = [order for order in at_work if order.kind is OrderKind.PROTECTIVE]
        plan = protective.protective_plan(position, working, scene, offered or exits)
        if offered is None and isinstance(plan, protective.Place | protective.Replace):
            return protective.Keep("the venue offers no protective order for it: the bot watches the stop itself")
        return plan

    def _lags(self, base: str, snapshot: Snapshot) -> bool:
        ledger, shown = self._books.state.ledgers.get(base), snapshot.balances.get(base)
        return ledger is not None and (ZERO if shown is None else shown.total) < ledger.expected

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
            tally.refuse(view.product.id, Side.SELL, OrderKind.PROTECTIVE, refusal)
        return refusal is None

    def _place(self, position: Position, cover: protective.Cover, view: MarketView, terms: Terms, tally: Tally) -> None:
        draft = self._draft(position, cover, view, terms)
        if isinstance(draft, Reject):
            tally.refuse(view.product.id, Side.SELL, OrderKind.PROTECTIVE, draft)
        else:
            self._sender.send(draft, tally)

    def _draft(self, position: Position, cover: protective.Cover, view: MarketView, terms: Terms) -> Draft | Reject:
        product, rate = view.product, terms.rate(cover.type)
        metadata = Metadata(terms.now, seconds(terms.policy.data.product_max_age_minutes * 60))
        legal = enforce_product_constraints(
            product, Side.SELL, cover.type, cover.limit_price, cover.size, rate, metadata
        )
        if isinstance(legal, Reject):
            return legal
        intent = self._intent(position, product.id, legal.size, cover, terms)
        cid = generate_client_order_id(terms.tag, terms.genesis, intent.number, 1)
        order = PlannedOrder(
            cid, product.id, Side.SELL, OrderKind.PROTECTIVE, cover.type, legal.size, legal.price, cover.stop_price
        )
        return Draft(intent, order, self._venue.market.requote(product.market), rate)

    def _intent(
        self, position: Position, product: ProductId, size: Size, cover: protective.Cover, terms: Terms
    ) -> Intent:
        return Intent(
            number=self._books.state.next_intent, cycle_id=self._books.cycle_id, product=product,
            side=Side.SELL, kind=OrderKind.PROTECTIVE, size=size, worst_price=cover.limit_price,
            worst_quote=ZERO, reference=cover.stop_price, rule=position.rule, why="protective", at=terms.now,
        )  # fmt: skip

    def _lift_orphaned(self, state: State, tally: Tally) -> None:
        """A protective sell without a position would sell what somebody else put there."""
        held = {market.base for market in state.positions}
        stray = [
            order
            for order in state.working
            if order.kind is OrderKind.PROTECTIVE and order.state in RESTING and order.product.base not in held
        ]
        if stray:
            self._canceller.ask([o for o in stray if not self._parent_open(o)], "no position to protect", tally)

    def _parent_open(self, child: Order) -> bool:
        """Whether the entry an attached bracket belongs to may still become a position in the books."""
        parent = self._books.state.order_of(child.parent_order_id)
        return parent is not None and (parent.state.is_working or parent.booked < parent.filled)


def _signs(state: State, position: Position, view: MarketView, snapshot: Snapshot, exits: ExitsPolicy) -> _Signs:
    """Everything else that a plan in step depends on; mostly the very objects of the cycle before."""
    base = position.product.base
    return (
        position, state.of_base.get(base, ()), snapshot.balances.get(base), state.ledgers.get(base), view.product,
        snapshot.external_orders, base in state.exiting, exits,
    )  # fmt: skip
