"""The last gate: above a threshold a person says yes first, and what may be asked and used is worked out here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Allow, Clamp, Decision, Evaluated, Measure, Reason, Reject, TradeProposal, Verdict
from bot.domain.money import EXACT, HUNDRED
from bot.domain.product import BUY
from bot.domain.state import Approval, State
from bot.risk.context import Candidate, RiskContext
from bot.risk.exposure import ExposureBook
from bot.settings.policy import RiskPolicy

NOBODY_ASKED: Final = Allow(note="risk.approval_above_usd is off")
JUDGED: Final = Allow(note="a further attempt of an entry that was judged when it was approved")

TOLERANCE_PCT: Final = Decimal(1)
"""How far the size may have moved between question and answer, in percent of what was asked."""


def human_approval(want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    """A further attempt of an approved intent was approved with it."""
    limit = ctx.policy.risk.approval_above_usd
    if limit is None:
        return NOBODY_ASKED
    if want.continues is not None:
        return JUDGED
    value = ctx.value_of(want.size_quote.currency)
    worth = None if value is None else EXACT.multiply(want.size_quote.amount, value)
    if worth is not None and worth <= limit:
        return Allow((Measure("size", worth, limit, "USD", "risk.approval_above_usd"),))
    known = matching(want.proposal, want.size_quote.amount, ctx.snap.state, ctx.snap.now)
    if known is not None and known.granted:
        return Allow(note=known.id + " was approved by an operator")
    waiting = f"bot approve {known.id} before {known.expires_at:%H:%M:%S}" if known else "it is put to the operator now"
    return Reject(Reason.APPROVAL_PENDING, f"{want.size_quote} is above approval_above_usd {limit}; {waiting}")


def matching(proposal: TradeProposal, amount: Decimal, state: State, now: datetime) -> Approval | None:
    """The approval, granted or asked for, of the same product, side and rule and within 1 % of the size."""
    return next((a for a in state.approvals.values() if now < a.expires_at and _same(a, proposal, amount)), None)


def requests(decision: Decision, state: State, policy: RiskPolicy) -> tuple[Approval, ...]:
    """The approvals to ask for after a decision: of those that wait, the ones not asked yet."""
    if policy.approval_above_usd is None:
        return ()
    return tuple(
        _request(item.proposal, final_size(item), decision, policy)
        for item in decision.evaluated
        if (refusal := item.refusal) is not None
        and refusal.reason is Reason.APPROVAL_PENDING
        and matching(item.proposal, final_size(item), state, decision.at) is None
    )


def used(evaluated: Iterable[Evaluated], state: State, now: datetime) -> tuple[Approval, ...]:
    """The granted approvals that permissions rest on; recorded as used, each is good for one trade."""
    if not state.approvals:
        return ()
    passed = (item for item in evaluated if item.approved is not None and item.proposal.side is BUY)
    found = (matching(item.proposal, final_size(item), state, now) for item in passed)
    return tuple(approval for approval in found if approval is not None and approval.granted)


def final_size(item: Evaluated) -> Decimal:
    """Notional that was left after every clamp, in the product's quote currency."""
    clamped = (r.verdict.size_quote.amount for r in item.results if isinstance(r.verdict, Clamp))
    return min((item.proposal.size_quote.amount, *clamped))


def _same(approval: Approval, proposal: TradeProposal, amount: Decimal) -> bool:
    same = (approval.product, approval.side, approval.rule) == (proposal.product, proposal.side, proposal.rule)
    drift = EXACT.multiply(abs(EXACT.subtract(amount, approval.size_quote)), HUNDRED)
    return same and drift <= EXACT.multiply(approval.size_quote, TOLERANCE_PCT)


def _request(proposal: TradeProposal, amount: Decimal, decision: Decision, policy: RiskPolicy) -> Approval:
    expires = decision.at + timedelta(seconds=int(policy.approval_expires_minutes * 60))
    return Approval(
        _id(decision.cycle_id, proposal), proposal.product, proposal.side, proposal.rule, amount, decision.at, expires
    )  # fmt: skip


def _id(cycle_id: str, proposal: TradeProposal) -> str:
    """Short enough to type, the same whenever the decision is made again."""
    text = f"{cycle_id}|{proposal.product}|{proposal.side.value}|{proposal.rule}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]
