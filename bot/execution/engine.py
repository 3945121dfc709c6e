"""How decisions, observations and timers become orders at the venue; the only code of the bot that can send one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain import fees
from bot.domain.decision import Approved, Decision, Reason, Reject
from bot.domain.holdings import view_of
from bot.domain.money import Money, Price, Size
from bot.domain.order import ENTRY, EXIT, PROTECTIVE, Fill, OrderKind, OrderReport, OrderState, OrderType, PlannedOrder
from bot.domain.product import SELL, Product, Side
from bot.domain.snapshot import Snapshot
from bot.domain.state import FeeTier
from bot.domain.value import Value, replace
from bot.execution import constraints, routing
from bot.execution.books import Books
from bot.execution.cancels import Canceller
from bot.execution.constraints import Legal, Metadata
from bot.execution.controls import Controls, Recorder, Venue
from bot.execution.identity import generate_client_order_id
from bot.execution.intents import Intents
from bot.execution.last_hop import LastHop
from bot.execution.lifecycle import minutes, seconds, timer
from bot.execution.patience import Patience
from bot.execution.protection import Protection
from bot.execution.report import NOTHING, ActReport, Tally, combined
from bot.execution.selling import SellSide
from bot.execution.sender import Sender
from bot.execution.settling import Settlement
from bot.execution.trading import Terms, Trading
from bot.execution.unknown import next_listing
from bot.execution.unresolved import Resolver
from bot.ports import Preview
from bot.settings.policy import Policy

OVERDUE_GAP: Final = timedelta(seconds=5)
"""Between two rounds for a timer that was due before the last one and could not be served: no spinning in an outage."""

OURS: Final = frozenset({ENTRY, EXIT})
"""What a halt or a shutdown cancels; protective sells stay unless the halt table says otherwise."""


class Cleared(Value):
    """What a cancel-all achieved. left: ids of orders that may still work; empty once two sweeps were clean."""

    left: tuple[str, ...]
    report: ActReport


class ExecutionEngine:
    """Acts. One call at a time, from the loop's thread.

    Every method that acts returns what it did. It raises StorageFailed when the journal cannot be written and no error
    of the venue: a failing venue is part of the report.
    """

    def __init__(self, venue: Venue, controls: Controls, recorder: Recorder, policy: Policy, tag: str) -> None:
        """tag: this account's, from `identity.account_tag`."""
        self._venue = venue
        self._policy = policy
        self._tag = tag
        self._controls = controls
        self._patience = Patience(venue.clock)
        self._books = Books(recorder, controls)
        hop = LastHop(venue, controls, recorder, self._current)
        self._sender = Sender(venue, self._books, hop)
        trading = Trading(venue, controls, self._sender, self._current)
        self._canceller = Canceller(venue, self._books, self._patience, tag, self._current)
        self._selling = SellSide(venue, controls, self._books, self._canceller, trading, self._patience, self._current)
        self._intents = Intents(
            venue, controls, self._books, self._canceller, trading, self._selling, self._current, self._terms
        )
        self._protection = Protection(venue, self._books, self._canceller, self._selling, self._sender, self._current)
        self._resolver = Resolver(venue, controls, self._books, self._sender, self._current)
        self._settlement = Settlement(venue, self._books, self._canceller, self._selling)
        self._missing: tuple[str, ...] = ()
        self._served_at: datetime | None = None
        self._swept_in: str | None = None

    def configure(self, policy: Policy) -> None:
        """Act under another policy from the next call on."""
        self._policy = policy

    def begin(self, cycle_id: str) -> None:
        """Events of the calls that follow belong to this cycle, until a snapshot names another."""
        self._books.cycle_id = cycle_id
        self._swept_in = None

    # -------------------------------------------------------------------------------------------------- acting

    def execute(self, decision: Decision, snapshot: Snapshot) -> ActReport:
        """Carry out a decision: exits first, then time-outs and re-quotes, then entries, then protective sells."""
        approved = decision.approved
        self._books.cycle_id = snapshot.cycle_id
        with self._patience as tally:
            self._exits(approved, snapshot, tally)
            self._serve(snapshot, tally)
            if not snapshot.service:
                self._entries(approved, snapshot, tally)
            self._protect(snapshot, tally)
            self._settlement.follow(tally)
        return tally.report()

    def manage_open_orders(self, snapshot: Snapshot | None) -> ActReport:
        """Serve timers and open intents outside a decision. Without a snapshot: cancels and reads only."""
        if snapshot is not None:
            self._books.cycle_id = snapshot.cycle_id
        with self._patience as tally:
            self._serve(snapshot, tally)
            if snapshot is not None:
                self._protect(snapshot, tally)
            self._settlement.follow(tally)
        return tally.report()

    def observe_orders(
        self, reports: Sequence[OrderReport], fills: Sequence[Fill], read_at: datetime, missing: Iterable[str] = ()
    ) -> ActReport:
        """Apply one complete read of the account to our orders and book its fills.

        read_at: when the read began; missing: client ids of our acknowledged orders that the venue does not show.
        """
        tally = Tally()
        self._missing = tuple(missing)
        self._books.observe(reports, tally, complete=True)
        if tally.orphans:
            self._canceller.orphans(tally.orphans, tally)
        self._books.book(fills, reports, read_at, minutes(self._policy.state.fill_overlap_minutes), tally)
        self._settlement.note(None, tally)
        return tally.report()

    def resolve_unknown(self) -> ActReport:
        """Look for orders of unknown fate by complete listings; also after a restart, for whatever was in flight."""
        if self._resolver.nothing_to_ask(self._missing):
            return NOTHING
        tally = Tally()
        self._resolver.resolve(self._missing, tally)
        return tally.report()

    def settle(self, snapshot: Snapshot | None = None) -> ActReport:
        """After submissions: wait, then refresh orders, fills and balances, so that the next decision sees them.

        With the cycle's snapshot, positions that just grew get their protective sell at once.
        """
        if not self._settlement.pending:
            return NOTHING
        with self._patience as tally:
            wait = seconds(self._policy.execution.post_trade_reconcile_wait_seconds)
            self._patience.until(self._venue.clock.now() + wait)
            balances = self._settlement.refresh(tally)
            if snapshot is not None and balances is not None and tally.fills:
                self._protect(replace(snapshot, balances=balances), tally)
        return tally.report()

    def cancel_all(
        self, kinds: Collection[OrderKind], deadline: datetime, why: str, enough: Callable[[], bool] = bool,
        *, pressing: bool = True,
    ) -> Cleared:  # fmt: skip
        """Cancel our orders of these kinds until two sweeps in a row are clean, or the deadline passes.

        enough: asked between sweeps; True stops waiting with what is left listed. The default never does.
        pressing: repeat a cancel every second; otherwise ever more slowly, while the venue shows no effect.
        """
        with self._patience as tally:
            result = self._canceller.cancel_all(kinds, deadline, why, tally, enough, pressing=pressing)
            if result.seen:  # a venue that showed no orders just now would only make us wait for its fills, too
                self._selling.refresh_fills(tally)
        self._swept_in = self._books.cycle_id
        return Cleared(result.left, tally.report())

    def flatten(self, products: Mapping[str, Product], tier: FeeTier) -> ActReport:
        """Sell every managed position, under the one exemption of the last hop. products: by market id."""
        with self._patience as tally:
            self._close_ended_exits(tally)
            terms = replace(self._terms(tier), stale_ok=True)
            for market, position in sorted(self._books.state.positions.items()):
                product = products.get(market)
                if position.managed and product is not None:
                    self._selling.flatten(position, product, terms, self._books.cycle_id, tally)
                elif position.managed:
                    detail = f"{market}: nothing is known of the product"
                    tally.refuse(market, SELL, EXIT, Reject(Reason.METADATA_STALE, detail))
            self._settlement.follow(tally)
        return tally.report()

    def shutdown(self, deadline: datetime, hurry: Callable[[], bool] = bool) -> Cleared:
        """Leave as the policy says: cancel what is not protective and see it gone, or leave it to its expiry.

        hurry: a second signal was received; cancels are asked, and nothing is waited for any more.
        """
        if self._policy.execution.on_shutdown == "cancel":
            first = self.cancel_all(OURS, self._venue.clock.now(), "shutdown", hurry)
            looked = self.resolve_unknown()
            last = self.cancel_all(OURS, deadline, "shutdown", hurry)
            return Cleared(last.left, combined((first.report, looked, last.report)))
        looked = self.resolve_unknown()
        doubtful = [o.client_order_id for o in self._books.state.orders.values() if o.state is OrderState.UNKNOWN]
        return Cleared(tuple(doubtful), looked)

    def next_timer(self) -> datetime | None:
        """When an order asks for attention by itself; None when none does."""
        state, execution, served = self._books.state, self._policy.execution, self._served_at
        unknown = OrderState.UNKNOWN
        wanted = [
            routing.next_time(intent, self._books.orders_of(intent), self._policy)
            for intent in state.open_intents
            if intent.kind is not PROTECTIVE
        ]
        wanted += [
            next_listing(order, execution) if order.state is unknown else timer(order, execution)
            for order in state.working
        ]
        ahead = [at if served is None or at > served else served + OVERDUE_GAP for at in wanted if at is not None]
        return min(ahead) if ahead else None

    # ---------------------------------------------------------------------------------------------- one by one

    def preview_order(self, order: PlannedOrder) -> Preview:
        """The venue's opinion of an order, which is not placed. Raises: ExchangeError."""
        return self._venue.exchange.preview(order)

    def enforce_product_constraints(
        self, product: Product, side: Side, kind: OrderType, price: Price, size: Size, rate: Decimal | None = None
    ) -> Legal | Reject:
        """Numbers the venue accepts, never above those given, or why there are none. rate: fee fraction assumed."""
        age = minutes(self._policy.data.product_max_age_minutes)
        metadata = Metadata(self._venue.clock.now(), age)
        return constraints.enforce_product_constraints(product, side, kind, price, size, self._rate(rate), metadata)

    def generate_client_order_id(self, intent: int, attempt: int) -> str:
        """The id of one attempt under this journal's genesis."""
        return generate_client_order_id(self._tag, self._books.state.genesis, intent, attempt)

    def estimate_fee(self, product: Product, price: Price, size: Size, rate: Decimal | None = None) -> Money:
        """Fee of filling `size` at `price`; rate None: the worst that is known or assumed."""
        return fees.estimate_fee(product, price, size, self._rate(rate))

    def size_after_fees(self, product: Product, price: Price, gross: Money, rate: Decimal | None = None) -> Size:
        """Largest size that `gross` pays for, fee included."""
        return fees.size_after_fees(product, price, self._rate(rate), gross)

    def size_to_achieve_net(self, product: Product, price: Price, net: Size, rate: Decimal | None = None) -> Money:
        """Least quote amount that buys `net`, fee included."""
        return fees.size_to_achieve_net(product, price, self._rate(rate), net)

    def get_min_gross_size(self, product: Product, price: Price, rate: Decimal | None = None) -> Money | None:
        """Least quote amount that buys anything at all; None when no size is legal."""
        return fees.get_min_gross_size(product, price, self._rate(rate))

    # ------------------------------------------------------------------------------------------------- private

    def _exits(self, approved: Iterable[Approved], snapshot: Snapshot, tally: Tally) -> None:
        for permission in approved:
            if permission.proposal.kind is ENTRY:
                continue
            view = view_of(snapshot, permission.proposal.product)
            if view is None:
                detail = f"{permission.proposal.product}: not in the snapshot"
                missing = Reject(Reason.DATA_UNAVAILABLE, detail)
                tally.refuse(permission.proposal.product, SELL, EXIT, missing)
                continue
            self._selling.exit(permission, view, self._terms(snapshot.fees), snapshot.cycle_id, tally)

    def _entries(self, approved: Iterable[Approved], snapshot: Snapshot, tally: Tally) -> None:
        for permission in approved:
            if permission.proposal.kind is ENTRY:
                self._intents.enter(permission, snapshot, tally)

    def _serve(self, snapshot: Snapshot | None, tally: Tally) -> None:
        swept = snapshot is None and self._swept_in == self._books.cycle_id
        self._intents.serve(snapshot, tally, swept=swept)
        self._served_at = self._venue.clock.now()

    def _protect(self, snapshot: Snapshot, tally: Tally) -> None:
        permits = self._controls.permits()
        if permits.exits and not permits.cancel_protective and not self._controls.kill().active:
            self._protection.keep(snapshot, self._terms(snapshot.fees), tally)

    def _close_ended_exits(self, tally: Tally) -> None:
        """An exit that has ended must not stand in the way of the last one."""
        for intent in self._books.state.open_intents:
            working = any(order.state.is_working for order in self._books.orders_of(intent))
            if intent.kind is EXIT and not working:
                self._books.close(intent, "flattening takes over", tally)

    def _terms(self, tier: FeeTier) -> Terms:
        genesis, now = self._books.state.genesis, self._venue.clock.now()
        return Terms(tier, self._policy, now, genesis, self._tag)

    def _rate(self, rate: Decimal | None) -> Decimal:
        worst = self._policy.fees
        if rate is not None:
            return rate
        tier = self._books.state.fee_tier
        known = (
            tier
            if tier is not None
            else FeeTier(
                worst.worst_maker_pct.fraction, worst.worst_taker_pct.fraction, "worst case", self._venue.clock.now()
            )
        )
        return fees.assumed_rate(known, worst.worst_maker_pct, worst.worst_taker_pct)

    def _current(self) -> Policy:
        return self._policy
