"""From a routing command to an order at the venue: legal numbers, a look at the book, then the sender."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from bot.domain.decision import Reason, Reject
from bot.domain.fees import cost_with_fee
from bot.domain.order import ENTRY, Bracket, OrderType, PlannedOrder
from bot.domain.product import SELL, Product
from bot.domain.snapshot import MarketView
from bot.domain.state import FeeTier, Intent
from bot.domain.value import Value
from bot.errors import AuthRefused
from bot.execution import routing
from bot.execution.cancels import READ_FAILED, noted
from bot.execution.constraints import Legal, Metadata, enforce_product_constraints
from bot.execution.controls import Controls, Venue
from bot.execution.identity import generate_client_order_id
from bot.execution.lifecycle import minutes
from bot.execution.pretrade import check_entry, check_exit, check_preview
from bot.execution.report import Tally
from bot.execution.sender import Draft, Sender
from bot.settings.policy import Policy


class Terms(Value):
    """What an order is drawn up under. stale_ok: metadata of any age will do, for the last way out only."""

    fees: FeeTier
    policy: Policy
    now: datetime
    genesis: str
    tag: str
    stale_ok: bool = False

    def rate(self, kind: OrderType) -> Decimal:
        """Fee fraction assumed of an order: the account's own, or the configured worst case when that is higher."""
        worst = self.policy.fees
        if kind is OrderType.LIMIT_POST_ONLY:
            return max(self.fees.maker, worst.worst_maker_pct.fraction)
        return max(self.fees.taker, worst.worst_taker_pct.fraction)


def draw_up(intent: Intent, command: routing.Place, view: MarketView, terms: Terms, *, flatten: bool) -> Draft | Reject:
    """The attempt as it would be sent, or why it cannot be made legal within what was approved."""
    product = view.product
    rate = terms.rate(command.type)
    age = None if terms.stale_ok else minutes(terms.policy.data.product_max_age_minutes)
    metadata = Metadata(terms.now, age)
    legal = enforce_product_constraints(product, intent.side, command.type, command.price, command.size, rate, metadata)
    if isinstance(legal, Reject):
        return legal
    if (dear := _over_budget(intent, product, legal, rate)) is not None:
        return dear
    cid = generate_client_order_id(terms.tag, terms.genesis, intent.number, intent.attempts + 1)
    limit = None if command.type is OrderType.MARKET else legal.price
    order = PlannedOrder(
        cid, product.id, intent.side, intent.kind, command.type, legal.size, limit,
        end_time=command.end_time, attached=_legal_bracket(product, command.attached),
    )  # fmt: skip
    return Draft(intent, order, view.quote, rate, flatten)


def _over_budget(intent: Intent, product: Product, legal: Legal, rate: Decimal) -> Reject | None:
    """Risk approved a worst price and a worst cost; an order that could exceed either is not sent."""
    if intent.kind is not ENTRY:
        return None
    cost = cost_with_fee(product, legal.price, legal.size, rate).amount
    if legal.price > intent.worst_price or cost > intent.worst_quote:
        detail = f"{product.id}: {cost} at {legal.price} exceeds the approved {intent.worst_quote}"
        return Reject(Reason.ILLEGAL_ORDER, detail)
    return None


def _legal_bracket(product: Product, bracket: Bracket | None) -> Bracket | None:
    if bracket is None:
        return None
    limit, stop = bracket.limit_price, bracket.stop_trigger_price
    return Bracket(product.passive(limit, SELL), product.passive(stop, SELL))


class Trading:
    """Performs one Place command."""

    def __init__(self, venue: Venue, controls: Controls, sender: Sender, policy: Callable[[], Policy]) -> None:
        self._venue = venue
        self._controls = controls
        self._sender = sender
        self._policy = policy

    def attempt(
        self, intent: Intent, command: routing.Place, view: MarketView, terms: Terms, tally: Tally, *,
        flatten: bool = False,
    ) -> bool:  # fmt: skip
        """Whether the order may now be at the venue. A refusal is in the tally. Raises: StorageFailed."""
        draft = draw_up(intent, command, view, terms, flatten=flatten)
        refusal = draft if isinstance(draft, Reject) else self._looked_at(draft.order, view, tally)
        if refusal is not None:
            tally.refuse(view.product.id, intent.side, intent.kind, refusal)
        if isinstance(draft, Reject) or refusal is not None:
            return False
        return self._sender.send(draft, tally)

    def rehearse(self, intent: Intent, view: MarketView, terms: Terms, *, flatten: bool) -> Reject | None:
        """Why a sale could not leave even once its coins are free. Nothing is recorded but the latch of a breach."""
        target = routing.Target(view.product, view.quote)
        command = routing.next_command(intent, (), target, terms.now, terms.policy)
        if not isinstance(command, routing.Place):
            reason = command.reason if isinstance(command, routing.Close) else Reason.ALREADY_WORKING
            return Reject(reason, command.why)
        draft = draw_up(intent, command, view, terms, flatten=flatten)
        if isinstance(draft, Reject):
            return draft
        bounded = terms.policy.exits.max_slippage_bps
        refusal = check_exit(draft.order, view, terms.policy.execution, bounded)
        return refusal or self._sender.barred(draft)

    def _looked_at(self, order: PlannedOrder, view: MarketView, tally: Tally) -> Reject | None:
        policy = self._policy()
        if order.kind is not ENTRY:
            return check_exit(order, view, policy.execution, policy.exits.max_slippage_bps)
        refusal = check_entry(order, view, self._controls.spread_limit(view.product.id), policy.execution)
        if refusal is None and policy.execution.use_preview:
            return self._previewed(order, tally)
        return refusal

    def _previewed(self, order: PlannedOrder, tally: Tally) -> Reject | None:
        """An entry whose preview cannot be had is not sent: what the venue would say is not known."""
        try:
            return check_preview(order, self._venue.exchange.preview(order))
        except AuthRefused as error:
            noted(error, "preview", tally)
            return Reject(Reason.PREVIEW_REFUSED, f"{order.product}: {error}")
        except READ_FAILED as error:
            noted(error, "preview", tally)
            return Reject(Reason.DATA_UNAVAILABLE, f"{order.product}: no preview: {error}")
