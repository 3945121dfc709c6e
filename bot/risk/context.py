"""What every gate is given: the wish, and everything known about the cycle it is made in."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import TradeProposal
from bot.domain.fees import assumed_rate, largest_buy
from bot.domain.holdings import view_of
from bot.domain.market import Quote
from bot.domain.money import EXACT, HUNDRED, ZERO, Money, Percent, Price, Size
from bot.domain.order import ENTRY
from bot.domain.product import BUY, SELL, Product
from bot.domain.snapshot import Halt, MarketView, Snapshot
from bot.domain.state import Intent
from bot.domain.value import Value, cached_property
from bot.risk.halts import Permission, active_halts, permission
from bot.settings.policy import Policy
from bot.settings.universe import Universe

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)


class Candidate(Value, dict=True):
    """A proposal on its way through the gates.

    base: of what it trades. size_quote: notional still allowed, fees not included; each clamp makes it smaller.
    view: its market, None when the snapshot has none; product, quote: of the view. continues: the intent whose next
    attempt this is; it was counted when it was first approved.
    """

    proposal: TradeProposal
    is_entry: bool
    base: str
    size_quote: Money
    view: MarketView | None
    product: Product | None
    quote: Quote | None
    continues: Intent | None
    policy: Policy

    @cached_property
    def worst(self) -> Price | None:
        """The worst price it may trade at, legal under its product; None without a price."""
        return _worst_price(self.proposal, self.view, self.continues, self.policy)

    @cached_property
    def entry_size(self) -> Size | None:
        """The legal base size of an entry at its worst price; never more than its intent has left."""
        product, worst, quote = self.product, self.worst, self.quote
        if product is None or worst is None or quote is None:
            return None
        return largest_buy(product, self.size_quote, worst, min(quote.bid, worst))


class RiskContext(Value, dict=True):
    """One cycle as the gates see it. rate: fee assumed for every buy, a fraction."""

    snap: Snapshot
    policy: Policy
    universe: Universe
    halts: tuple[Halt, ...]
    permission: Permission
    rate: Decimal

    @cached_property
    def equity(self) -> Money | None:
        """Net liquidation value; None while it is unknown or not positive, and then nothing is entered."""
        nlv = self.snap.valuation.nlv
        return nlv if nlv is not None and nlv.is_positive else None

    @cached_property
    def entered(self) -> tuple[int, int]:
        """Entries approved before this cycle, within the last hour and within the last day."""
        now, hour, day = self.snap.now, 0, 0
        for intent in self.snap.state.intents.values():
            if intent.kind is ENTRY:
                age = now - intent.at
                hour += age < HOUR
                day += age < DAY
        return hour, day

    def cap(self, percent: Percent) -> Money:
        """`percent` of equity, cut to the canary's share in the first live hours; zero while equity is unknown."""
        equity = self.equity
        if equity is None:
            return Money.zero(self.policy.portfolio.quote_currency)
        cap = percent.of(equity)
        return self.policy.governance.canary_scale_pct.of(cap) if self.snap.canary else cap

    def value_of(self, currency: str) -> Decimal | None:
        """Equity currency for one unit of `currency`."""
        return self.snap.valuation.marks.get(currency)


def context(snap: Snapshot, policy: Policy, universe: Universe) -> RiskContext:
    """The context of one cycle."""
    halts = active_halts(snap)
    rate = assumed_rate(snap.fees, policy.fees.worst_maker_pct, policy.fees.worst_taker_pct)
    return RiskContext(snap, policy, universe, halts, permission(halts, policy), rate)


def candidate(proposal: TradeProposal, ctx: RiskContext, continues: Intent | None = None) -> Candidate:
    view = view_of(ctx.snap, proposal.product)
    return Candidate(
        proposal,
        proposal.side is BUY,
        proposal.product.base,
        proposal.size_quote,
        view,
        None if view is None else view.product,
        None if view is None else view.quote,
        continues,
        ctx.policy,
    )


def _worst_price(
    proposal: TradeProposal, view: MarketView | None, continues: Intent | None, policy: Policy
) -> Price | None:
    """Entries: the ask and the slippage budget, and never above what their intent was decided at; none where the step
    of prices is above the bid. Exits: the bid less the exits' own budget."""
    if view is None:
        return None
    if proposal.side is SELL:
        return view.product.passive(proposal.reference.shifted(-policy.exits.max_slippage_bps), SELL)
    if view.quote is None:
        return None
    if view.quote.bid.value < view.product.price_step:
        return None
    worst = view.product.passive(view.quote.ask.shifted(policy.execution.max_slippage_bps), BUY)
    return worst if continues is None else min(worst, continues.worst_price)


def percent_of(part: Decimal, whole: Money | None) -> Decimal:
    """`part` in percent of `whole`, for texts; zero while `whole` is unknown."""
    if whole is None or not whole.is_positive:
        return ZERO
    return EXACT.divide(EXACT.multiply(part, HUNDRED), whole.amount)
