"""RiskEngine: asks the gates in order and turns what passes into permission to trade; nothing else makes `Approved`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from bot.domain.decision import (
    Allow,
    Approved,
    Evaluated,
    GateResult,
    Reason,
    Reject,
    TradeProposal,
    Verdict,
)
from bot.domain.fees import cost_with_fee, largest_sale, net_of
from bot.domain.holdings import view_of
from bot.domain.money import EXACT, ONE, ZERO, Money, Size, total
from bot.domain.product import BUY, SELL, ProductId, Side
from bot.domain.snapshot import Snapshot
from bot.domain.state import Intent, Order, State
from bot.domain.value import replace
from bot.errors import UnitError
from bot.risk.context import Candidate, RiskContext, candidate, context
from bot.risk.cooldowns import blocking
from bot.risk.exposure import ExposureBook, exposure
from bot.risk.gates import EXIT_GATES, GATES
from bot.risk.gates_limits import exit_size
from bot.risk.halts import Permission
from bot.settings.config import Config


class RiskEngine:
    """Judges proposals one after the other, each seeing what was approved before it."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def evaluate(
        self,
        proposals: Sequence[TradeProposal],
        snap: Snapshot,
        continues: Intent | None = None,
        seen: RiskContext | None = None,
    ) -> tuple[Evaluated, ...]:
        """Every proposal with the verdicts it met, in the order given; those none rejected carry an `Approved`.

        continues: the intent whose further attempt this is. It never grows: size, money and worst price stay within
        what the intent was first approved with. seen: the context of `snap`, from who made it already.
        """
        if not proposals:
            return ()
        ctx = seen or self.context(snap)
        entering = any(proposal.side is BUY for proposal in proposals)
        book = exposure(snap, ctx.rate) if entering else ExposureBook({}, {})  # what is sold meets no cap
        said: dict[Side, dict[str, GateResult]] = {BUY: {}, SELL: {}}
        done: list[Evaluated] = []
        for proposal in proposals:
            if done and done[-1].approved is not None:
                book = _booked(done[-1].approved, book, ctx)
            wanted = candidate(proposal, ctx, continues)
            if continues is not None and continues.side is BUY:
                wanted = _within_intent(wanted, continues, ctx)
            done.append(judge(wanted, book, ctx, said[proposal.side]))
        return tuple(done)

    def continuation(self, intent: Intent, snap: Snapshot) -> Evaluated:
        """Whether another attempt may be made for what is left of an intent: the same gates, on this newer snapshot."""
        return self.evaluate((_rest_of(intent, snap),), snap, intent)[0]

    def apply_symbol_cooldown(self, product: ProductId, now: datetime, state: State) -> Verdict:
        """Whether `product` (or everything) pauses at `now`."""
        pause = blocking(state.cooldowns, product.base, now)
        if pause is None:
            return Allow()
        return Reject(Reason.COOLDOWN, f"{product} pauses ({pause.reason}) until {pause.until:%Y-%m-%d %H:%M:%S}")

    def permission(self, snap: Snapshot) -> Permission:
        """What the halts in force permit."""
        return self.context(snap).permission

    def context(self, snap: Snapshot) -> RiskContext:
        return context(snap, self._config.policy, self._config.universe)


def judge(want: Candidate, book: ExposureBook, ctx: RiskContext, said: dict[str, GateResult]) -> Evaluated:
    """One proposal through the gates: clamps narrow it, the first rejection ends it.

    said: of this cycle, to the same side; what a gate says of all is noted there by the first that asks.
    """
    results = []
    for row in GATES if want.is_entry else EXIT_GATES:
        result = said.get(row.name) if row.of_cycle else None
        if result is None:
            result = GateResult(row.name, row.gate(want, book, ctx))
            if row.of_cycle:
                said[row.name] = result
        results.append(result)
        verdict = result.verdict
        if isinstance(verdict, Allow):
            continue
        if isinstance(verdict, Reject):
            return Evaluated(want.proposal, tuple(results), None)
        want = replace(want, size_quote=verdict.size_quote)
    approved = _approved_entry(want, ctx) if want.is_entry else _approved_exit(want, book, ctx)
    return Evaluated(want.proposal, tuple(results), approved)


def _approved_entry(want: Candidate, ctx: RiskContext) -> Approved:
    size, worst, product = want.entry_size, want.worst, want.product
    if size is None or worst is None or product is None:
        raise UnitError(f"gate min_notional let an entry of {want.proposal.product} pass without a legal size")
    return Approved(want.proposal, size, worst, cost_with_fee(product, worst, size, ctx.rate))


def _approved_exit(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Approved:
    worst, product = want.worst, want.product
    free = exit_size(want, book, ctx)
    size = None if product is None or worst is None else largest_sale(product, free, worst)
    if size is None or worst is None or product is None:
        raise UnitError(f"gate min_notional let an exit of {want.proposal.product} pass without a legal size")
    least = product.notional(worst, size).times(max(ZERO, EXACT.subtract(ONE, ctx.rate)))
    return Approved(want.proposal, size, worst, least)


def _booked(approved: Approved, book: ExposureBook, ctx: RiskContext) -> ExposureBook:
    proposal = approved.proposal
    base = proposal.product.base
    if proposal.side is SELL:
        return book.with_sale(base, approved.size.value)
    cost = approved.worst_quote
    value = EXACT.multiply(cost.amount, ctx.value_of(cost.currency) or ONE)
    return book.with_buy(base, proposal.rule, value, cost.currency, cost.amount)


def _rest_of(intent: Intent, snap: Snapshot) -> TradeProposal:
    """What is left of an intent, as a proposal: its size less whatever its orders filled or still offer.

    An exit is judged by the bid of now, an entry by what it was decided at.
    """
    orders, view = _orders_of(intent, snap.state), view_of(snap, intent.product)
    gone = total(max(o.filled.value, o.booked.value, _claimed(o)) for o in orders)
    left = Size(max(ZERO, EXACT.subtract(intent.size.value, gone)))
    value = Money(EXACT.multiply(intent.worst_price.value, left.value), intent.product.quote)
    reference = intent.reference
    if intent.side is SELL and view is not None and view.quote is not None:
        reference = view.quote.bid
    return TradeProposal(
        intent.product, intent.side, intent.kind, value, left, reference, intent.rule, ZERO, intent.exits
    )  # fmt: skip


def _claimed(order: Order) -> Decimal:
    """An order that may still fill claims all of its size."""
    return order.size.value if order.state.is_working else ZERO


def _within_intent(want: Candidate, intent: Intent, ctx: RiskContext) -> Candidate:
    """Narrowed to the base and the money the intent has left."""
    worst, left = want.worst, want.proposal.size_base
    if want.product is None or worst is None or left is None:
        return want
    spent = total(EXACT.add(o.filled_value, o.fees) for o in _orders_of(intent, ctx.snap.state))
    money = Money(EXACT.subtract(intent.worst_quote, spent), intent.product.quote)
    room = min(want.product.notional(worst, left).amount, net_of(want.product, money, ctx.rate).amount)
    return replace(want, size_quote=Money(room, money.currency))


def _orders_of(intent: Intent, state: State) -> tuple[Order, ...]:
    return tuple(order for order in state.orders.values() if order.intent == intent.number)
