"""One cycle explained to an operator: what was decided, by which number, against which limit, what would change it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import ROUND_UP, Decimal
from typing import Any, Final

from bot.domain.codec import time_text
from bot.domain.decision import (
    Allow,
    Approved,
    Clamp,
    Decision,
    Evaluated,
    Exclusion,
    GateResult,
    Outcome,
    Reason,
    Regime,
    TradeProposal,
    Trigger,
    Verdict,
)
from bot.domain.event import (
    CommandApplied,
    DecisionMade,
    Envelope,
    ExecutionMeasured,
    FillBooked,
    IntentClosed,
    IntentRecorded,
    OrderChanged,
    OrderRefused,
)
from bot.domain.money import decimal_text, quantised
from bot.domain.order import OrderKind
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.ops.measures import measured, seen
from bot.ops.remedies import CHANGES

_OUTCOMES: Final[Mapping[Outcome, str]] = {
    Outcome.TRADED: "orders were approved",
    Outcome.NO_TRADE: "nothing was traded",
    Outcome.HALTED: "trading was halted",
    Outcome.EXIT_ONLY: "only exits were permitted",
    Outcome.ERROR: "the cycle failed",
}

_REGIMES: Final[Mapping[Regime, str]] = {
    Regime.BULL: "sizes are scaled up",
    Regime.CHOP: "sizes are as configured",
    Regime.BEAR: "sizes are scaled down",
    Regime.CRASH: "nothing may be entered",
}


class Explained(Value):
    """Everything kept of one cycle. decision None: only the journal's summary is left of it.

    between: said of a cycle that served orders and exits alone. regime: the numbers it was read from. restrictions: the
    halts in force, a line each. lacking: what kept each rule from wanting what it did not want, a line each.
    """

    cycle_id: str
    decision: Decision | None
    events: tuple[Envelope, ...]
    note: str = ""
    between: str = ""
    regime: str = ""
    restrictions: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()


def page(found: Explained, product: ProductId | None = None) -> Iterator[str]:
    """The operator's page, line by line. product: leave everything else out."""
    if found.note:
        yield found.note
    if found.decision is None:
        yield from _summary(found)
    else:
        refused = any(isinstance(event.payload, OrderRefused) for event in found.events)
        sent = any(isinstance(event.payload, IntentRecorded) for event in found.events)
        yield from _decided(found, found.decision, product, refused and not sent)
        yield from _section("rules that did not hold", (f"  {line}" for line in found.lacking))
    yield from _placed(found.events, product)


def as_json(found: Explained, product: ProductId | None = None) -> dict[str, Any]:
    """The same as data, names stable."""
    decision = found.decision
    mine = _only(product)
    return {
        "cycle_id": found.cycle_id,
        "note": found.note,
        "outcome": decision.outcome.value if decision else _made(found.events, "outcome"),
        "reason": (decision.reason.value if decision.reason else "") if decision else _made(found.events, "reason"),
        "detail": decision.detail if decision else _made(found.events, "detail"),
        "regime": decision.regime.value if decision else _made(found.events, "regime"),
        "at": time_text(decision.at) if decision else None,
        "config_hash": decision.config_hash if decision else None,
        "eligible": [name for name in decision.eligible if mine(name)] if decision else [],
        "excluded": [
            {"product": x.product, "reason": x.reason.value, "detail": x.detail, "change": CHANGES.get(x.reason, "")}
            for x in (decision.excluded if decision else ())
            if mine(x.product)
        ],
        "triggers": [_trigger_json(t) for t in (decision.triggers if decision else ()) if mine(t.product)],
        "restrictions": list(found.restrictions),
        "lacking": list(found.lacking),
        "proposals": [_evaluated_json(e) for e in (decision.evaluated if decision else ()) if mine(e.proposal.product)],
        "events": [_event_line(e) for e in _told(found.events, product)],
    }


def _decided(found: Explained, decision: Decision, product: ProductId | None, unsent: bool) -> Iterator[str]:
    yield f"cycle {decision.cycle_id} at {_time(decision)} UTC, config {decision.config_hash[:8]}"
    yield _sentence(decision, found.between)
    if unsent:
        yield "NOTHING WAS SENT: what was approved was refused on its way out, see what was done below"
    yield from (f"in force: {line}" for line in found.restrictions)
    yield f"regime: {decision.regime.value}, {_REGIMES[decision.regime]}{f': {found.regime}' if found.regime else ''}"
    if product is None:
        yield f"eligible: {', '.join(decision.eligible) or 'none'}"
    elif product in decision.eligible:
        yield f"{product} was eligible"
    yield from _section("excluded", _excluded([x for x in decision.excluded if _only(product)(x.product)]))
    yield from _section("triggers", (_trigger(t) for t in decision.triggers if _only(product)(t.product)))
    judged = [item for item in decision.evaluated if _only(product)(item.proposal.product)]
    yield from _section("proposals", (line for item in judged for line in _evaluated(item)))
    if product is not None and product not in _known(decision):
        yield f"{product} does not occur: it is in no tier, not discovered and not held"


def _sentence(decision: Decision, between: str) -> str:
    reason = decision.reason
    why = f" ({reason.value})" if reason is not None else ""
    takes = f"; it came {between}" if between and reason is Reason.NO_SIGNAL else _takes(reason)
    return f"{decision.outcome.value}: {_OUTCOMES[decision.outcome]}{why}: {decision.detail}{takes}"


def _excluded(items: Sequence[Exclusion]) -> Iterator[str]:
    """One line a cause; products that share it to the last number share its line."""
    alike: dict[tuple[Reason, str], list[str]] = {}
    for item in items:
        alike.setdefault((item.reason, item.detail), []).append(item.product)
    for (reason, detail), products in alike.items():
        yield f"  {', '.join(products)}: {reason.value}: {detail}{_takes(reason)}"


def _takes(reason: Reason | None) -> str:
    """What would turn a reason around; empty when its own detail says it."""
    known = CHANGES.get(reason) if reason is not None else None
    return f"; it takes {known}" if known else ""


def _trigger(item: Trigger, margin: str = "  ") -> str:
    features = ", ".join(f"{name} {value}" for name, value in item.features.items())
    scores = f"score {decimal_text(item.score)}, confidence {decimal_text(item.confidence)}"
    return f"{margin}{item.product}: {item.kind.value} {item.direction.value}: {features} ({scores})"


def _evaluated(item: Evaluated) -> Iterator[str]:
    """The wish, the triggers behind it, every gate with what it saw, and what came of it."""
    yield f"  {_wish(item.proposal)}"
    yield from (_trigger(trigger, "    on ") for trigger in item.proposal.triggers)
    yield from (f"    {result.gate:<18} {_verdict(result.verdict)}" for result in item.results)
    yield f"    {'=' * 18} {_end(item)}"


def _wish(want: TradeProposal) -> str:
    size = f"{want.size_base} {want.product.base}" if want.size_base is not None else str(want.size_quote)
    cause = want.exit_reason.value if want.exit_reason is not None else f"rule {want.rule}"
    conviction = f", conviction {decimal_text(want.conviction)}" if want.kind is OrderKind.ENTRY else ""
    return f"{want.side.value} {want.product} for {size} at {want.reference}: {cause}{conviction}"


def _verdict(verdict: Verdict) -> str:
    if isinstance(verdict, Allow):
        return f"allows: {seen(verdict)}"
    if isinstance(verdict, Clamp):
        what = f"allows at most {verdict.size_quote} ({verdict.reason.value})"
    else:
        what = f"REFUSES ({verdict.reason.value})"
    return f"{what}: {verdict.detail}{_takes(verdict.reason)}"


def _end(item: Evaluated) -> str:
    if item.approved is not None:
        return f"approved: {_permission(item.approved)}"
    return "not approved"


def _permission(approved: Approved) -> str:
    worst = approved.worst_quote
    cents = decimal_text(worst.amount.quantize(Decimal("0.01"), ROUND_UP))
    return f"{approved.size} at {approved.worst_price} or better, {cents} {worst.currency} at worst"


def _placed(events: Iterable[Envelope], product: ProductId | None) -> Iterator[str]:
    yield from _section("what was done", (f"  {_event_line(e)}" for e in _told(events, product)))


def _told(events: Iterable[Envelope], product: ProductId | None) -> list[Envelope]:
    kinds = (IntentRecorded, IntentClosed, OrderRefused, OrderChanged, FillBooked, ExecutionMeasured, CommandApplied)
    by_order = (OrderChanged, ExecutionMeasured)
    orders = {e.payload.client_order_id: e.payload.product for e in events if isinstance(e.payload, IntentRecorded)}

    def mine(envelope: Envelope) -> bool:
        event = envelope.payload
        if product is None or isinstance(event, IntentClosed):
            return product is None
        name = orders.get(event.client_order_id) if isinstance(event, by_order) else getattr(event, "product", None)
        return name == product

    return [envelope for envelope in events if isinstance(envelope.payload, kinds) and mine(envelope)]


def _event_line(envelope: Envelope) -> str:
    match envelope.payload:
        case IntentRecorded() as e:
            price = f" at {e.limit_price}" if e.limit_price is not None else ""
            return (
                f"{e.side.value} {e.size} {e.product}{price} as {e.client_order_id} ({e.kind.value}, {e.why or e.rule})"
            )
        case OrderRefused() as e:
            told = f"NOT SENT: {e.side.value} {e.product} ({e.kind.value}, {e.reason}): {e.detail}"
            return told + _takes(_reason(e.reason))
        case OrderChanged() as e:
            return f"{e.client_order_id}: {e.from_state.value} -> {e.to_state.value}, filled {e.filled} ({e.why})"
        case FillBooked() as e:
            return f"filled {e.side.value} {e.size} {e.product} at {e.price}, fee {decimal_text(e.fee)}"
        case CommandApplied() as e:
            return f"command: {' '.join((e.verb, *e.arguments))}: {e.result}"
        case ExecutionMeasured() as e:
            return _measured_line(e)
        case IntentClosed() as e:
            return f"intent {e.intent_id} closed: {e.why}"
    return envelope.topic


def _measured_line(e: ExecutionMeasured) -> str:
    bps, got = (
        decimal_text(abs(e.slippage_bps).quantize(Decimal("0.1"))),
        decimal_text(quantised(e.actual_price.value, 8)),
    )
    side = "worse" if e.slippage_bps > 0 else "better"
    return (
        f"{e.client_order_id}: expected {e.expected_price} and a fee of {decimal_text(e.expected_fee)}, got "
        f"{got} ({bps} bps {side}) and {decimal_text(e.actual_fee)}"
    )


def _reason(name: str) -> Reason | None:
    return Reason(name) if name in Reason._value2member_map_ else None


def _summary(found: Explained) -> Iterator[str]:
    """What the journal alone still tells."""
    made = [e.payload for e in found.events if isinstance(e.payload, DecisionMade)]
    if not made:
        yield f"cycle {found.cycle_id} decided nothing; what it did is below"
    for event in made:
        reason = f" ({event.reason})" if event.reason else ""
        yield f"cycle {found.cycle_id}: {event.outcome}{reason}: {event.detail}"
        yield f"regime: {event.regime}; {event.eligible} products were eligible"
        yield from _section("excluded", (f"  {count} by {reason}" for reason, count in event.excluded.items()))
        yield from _section("triggers", (f"  {_pairs(row)}" for row in event.triggers))
        yield from _section("proposals", (f"  {_pairs(row)}" for row in event.proposals))
        yield from _section("verdicts other than allow", (f"  {_pairs(row)}" for row in event.verdicts))


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    shown = list(lines)
    if shown:
        yield ""
        yield f"{title}:"
        yield from shown


def _pairs(row: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())


def _time(decision: Decision) -> str:
    return f"{decision.at:%Y-%m-%d %H:%M:%S}"


def _only(product: ProductId | None) -> Callable[[ProductId], bool]:
    return lambda name: product is None or name == product


def _known(decision: Decision) -> set[ProductId]:
    excluded = {item.product for item in decision.excluded}
    return {*decision.eligible, *excluded, *(item.proposal.product for item in decision.evaluated)}


def _made(events: Sequence[Envelope], field: str) -> str:
    return next((str(getattr(e.payload, field)) for e in events if isinstance(e.payload, DecisionMade)), "")


def _trigger_json(item: Trigger) -> dict[str, Any]:
    return {
        "product": item.product,
        "kind": item.kind.value,
        "direction": item.direction.value,
        "score": decimal_text(item.score),
        "confidence": decimal_text(item.confidence),
        "features": dict(item.features),
    }


def _evaluated_json(item: Evaluated) -> dict[str, Any]:
    want, approved = item.proposal, item.approved
    return {
        "product": want.product,
        "side": want.side.value,
        "kind": want.kind.value,
        "rule": want.rule,
        "size_quote": decimal_text(want.size_quote.amount),
        "size_base": str(want.size_base) if want.size_base is not None else None,
        "reference": str(want.reference),
        "conviction": decimal_text(want.conviction),
        "exit_reason": want.exit_reason.value if want.exit_reason is not None else None,
        "gates": [_gate_json(result) for result in item.results],
        "approved": None
        if approved is None
        else {
            "size": str(approved.size),
            "worst_price": str(approved.worst_price),
            "worst_quote": decimal_text(approved.worst_quote.amount),
        },
    }


def _gate_json(result: GateResult) -> dict[str, Any]:
    verdict = result.verdict
    if isinstance(verdict, Allow):
        return {"gate": result.gate, "verdict": "allow", "detail": seen(verdict)} | measured(verdict)
    row = {"gate": result.gate, "reason": verdict.reason.value, "detail": verdict.detail}
    change = {"change": CHANGES.get(verdict.reason, "")}
    if isinstance(verdict, Clamp):
        return {**row, "verdict": "clamp", "to": decimal_text(verdict.size_quote.amount), **change}
    return {**row, "verdict": "reject", **change}
