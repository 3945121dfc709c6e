"""A Decision in the journal's words: what was wanted, what was said to it, and why, as plain texts and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from bot.domain.decision import (
    Allow,
    Approved,
    Clamp,
    Decision,
    Evaluated,
    Outcome,
    Reason,
    TradeProposal,
    Trigger,
    Verdict,
)
from bot.domain.event import DecisionMade
from bot.domain.money import decimal_text
from bot.domain.state import Order, State
from bot.execution.report import ActReport


def decision_made(decision: Decision) -> DecisionMade:
    """The one record of a cycle's decision."""
    excluded = Counter(exclusion.reason.value for exclusion in decision.excluded)
    return DecisionMade(
        outcome=decision.outcome.value,
        reason=decision.reason.value if decision.reason is not None else "",
        detail=decision.detail,
        regime=decision.regime.value,
        proposals=tuple(proposal(item) for item in decision.evaluated),
        verdicts=tuple(row for item in decision.evaluated for row in verdicts(item)),
        eligible=len(decision.eligible),
        triggers=tuple(_trigger(trigger) for trigger in decision.triggers),
        excluded=dict(sorted(excluded.items())),
    )


def undecided(outcome: Outcome, reason: Reason | None, detail: str) -> DecisionMade:
    """The record of a cycle that could not look, and so decided nothing."""
    why = reason.value if reason is not None else ""
    return DecisionMade(outcome.value, why, detail, regime="", proposals=(), verdicts=(), eligible=0)


def told(decision: Decision, acted: ActReport, done: str) -> tuple[Outcome, Reason | None, str]:
    """How the cycle ended after acting: an approval that was refused on the way is no trade, with that reason.

    done: in words, what was sent, told in any case: new quotes, protective orders and the sales of a halt are nobody's
    decision.
    """
    if decision.outcome is not Outcome.TRADED:
        return decision.outcome, decision.reason, f"sent {done}; {decision.detail}" if done else decision.detail
    if acted.traded:
        return Outcome.TRADED, None, f"sent {done}" if done else decision.detail
    if acted.refused:
        refusal = acted.refused[0]
        return Outcome.NO_TRADE, refusal.reason, refusal.detail
    return Outcome.NO_TRADE, Reason.ALREADY_WORKING, f"approved, waiting for the venue: {decision.detail}"


def sent(report: ActReport, state: State) -> str:
    """Kind, side, size, product and price of every order a round sent to the venue; empty when it sent nothing."""
    if not report.traded:
        return ""
    found = [state.orders[cid] for cid in dict.fromkeys((*report.placed, *report.unknown)) if cid in state.orders]
    return "; ".join(_order(order) for order in found)


def _order(order: Order) -> str:
    price = f" at {order.limit_price}" if order.limit_price is not None else " at the market"
    stop = f", stop {order.stop_price}" if order.stop_price is not None else ""
    return f"{order.kind.value} {order.side.value} {order.size} {order.product}{price}{stop}"


def proposal(item: Evaluated) -> Mapping[str, str]:
    """What was wanted, and what was approved of it."""
    want = item.proposal
    row = {
        "product": want.product,
        "side": want.side.value,
        "kind": want.kind.value,
        "rule": want.rule,
        "size_quote": decimal_text(want.size_quote.amount),
        "reference": str(want.reference),
        "conviction": decimal_text(want.conviction),
    }
    return row | _exit_fields(want) | _approved_fields(item.approved)


def _exit_fields(want: TradeProposal) -> dict[str, str]:
    fields = {}
    if want.size_base is not None:
        fields["size_base"] = str(want.size_base)
    if want.exit_reason is not None:
        fields["exit_reason"] = want.exit_reason.value
    return fields


def _approved_fields(approved: Approved | None) -> dict[str, str]:
    if approved is None:
        return {"approved": "no"}
    return {
        "approved": "yes",
        "size": str(approved.size),
        "worst_price": str(approved.worst_price),
        "worst_quote": decimal_text(approved.worst_quote.amount),
    }


def verdicts(item: Evaluated) -> list[Mapping[str, str]]:
    """What gates said beyond a plain yes; a full table is kept with the cycle's inputs."""
    return [
        {"product": item.proposal.product, "gate": result.gate, **_said(result.verdict)}
        for result in item.results
        if not isinstance(result.verdict, Allow)
    ]


def _said(verdict: Verdict) -> dict[str, str]:
    if isinstance(verdict, Allow):
        return {"verdict": "allow"}
    if isinstance(verdict, Clamp):
        to = decimal_text(verdict.size_quote.amount)
        return {"verdict": "clamp", "to": to, "reason": verdict.reason.value, "detail": verdict.detail}
    return {"verdict": "reject", "reason": verdict.reason.value, "detail": verdict.detail}


def _trigger(trigger: Trigger) -> Mapping[str, str]:
    return {
        "product": trigger.product,
        "kind": trigger.kind.value,
        "direction": trigger.direction.value,
        "score": decimal_text(trigger.score),
        "confidence": decimal_text(trigger.confidence),
    }


def key_refused(said: str, clock_problem: str, state: State) -> str:
    """What the exchange said, whether our clock may be why, and which orders nobody can manage until it is over."""
    orders = ", ".join(f"{order.side.value} {order.product} {order.kind.value}" for order in state.working)
    left = f"orders that cannot be managed meanwhile: {orders}" if orders else ""
    return "; ".join(filter(None, (said, clock_problem, left)))
