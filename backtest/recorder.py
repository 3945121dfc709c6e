"""Keeps what the artifacts tell of the cycles: decisions that wanted something, where orders came from, and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from bot.domain.codec import time_text
from bot.domain.decision import Allow, Decision, Evaluated, Outcome
from bot.domain.event import ExecutionMeasured
from bot.domain.order import ENTRY, OrderKind
from bot.domain.product import BUY, SELL
from bot.domain.snapshot import Snapshot
from bot.domain.state import State
from bot.domain.value import Value
from bot.loop.finished import Finished
from bot.loop.words import proposal, verdicts
from bot.risk.cooldowns import blocking

FAILED: Final = Outcome.ERROR.value
"""The outcome of a cycle that ended in an error."""
_USUAL: Final = (Outcome.NO_TRADE.value, Outcome.TRADED.value)
"""Outcomes whose reason tells nothing of a cycle that wanted nothing."""


class Origin(Value):
    """Why an order exists: the intent it carries out, and the cycle that decided it."""

    kind: OrderKind
    rule: str
    why: str
    cycle_id: str
    intent: int
    attempt: int


class Signal(Value):
    """What an approved entry was decided on."""

    regime: str
    triggers: tuple[str, ...]
    conviction: str


@dataclass(slots=True)
class Idle:
    """Cycles in a row that wanted nothing and ended alike."""

    outcome: str
    reason: str
    first: datetime
    last: datetime
    count: int

    def row(self) -> dict[str, Any]:
        why = {"reason": self.reason} if self.reason else {}
        span = {"first": time_text(self.first), "last": time_text(self.last)}
        return {"idle": self.count, "outcome": self.outcome, **why, **span}


@dataclass(slots=True)
class Recorder:
    """Follows the loop cycle by cycle; cycles that were skipped are told by `idle`.

    A cycle is idle when no rule wanted anything but what is held or being bought already, or what pauses: a wish that
    is refused while its product pauses is told once a pause. pauses: base -> end of the pause it was told in.
    outcomes: cycles by outcome. gates: verdicts that were no plain yes, by gate and reason; asked: verdicts of any
    kind, by gate; refused: what execution and the venue refused, by reason. signals: of approved entries, by cycle and
    product. bad_ticks: quotes and bars that were held back or rejected, by fault.
    """

    state: Callable[[], State]
    rows: list[dict[str, Any]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    gates: Counter[tuple[str, str]] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    triggers: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    origins: dict[str, Origin] = field(default_factory=dict)
    signals: dict[tuple[str, str], Signal] = field(default_factory=dict)
    measured: dict[str, ExecutionMeasured] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    exceptions: int = 0
    mismatches: int = 0
    pauses: dict[str, datetime] = field(default_factory=dict)
    bad_ticks: Mapping[str, int] = field(default_factory=dict)
    _idle: Idle | None = None

    def follow(self, cycle: Finished) -> None:
        """One cycle that was run."""
        outcome, reason = cycle.record.outcome, cycle.record.reason
        decision = cycle.decision
        wanted = _wanted(decision.evaluated, cycle.snapshot) if decision is not None else ()
        if wanted:
            wanted = self._new(wanted, cycle)
        if decision is None or not wanted:
            self._count_idle(outcome, reason, cycle.record.started_at, 1, cycle.record.started_at)
            if outcome == FAILED:
                self.failures.append(f"{cycle.record.cycle_id}: {cycle.detail}")
        else:
            self._note(decision, wanted, outcome, reason)
        self._follow_orders(cycle)

    def idle(self, count: int, first: datetime, last: datetime, outcome: str, reason: str) -> None:
        """Cycles that were proven to be idle and not run."""
        self._count_idle(outcome, reason, first, count, last)

    def finish(self) -> None:
        """No cycle follows."""
        if self._idle is not None:
            self.rows.append(self._idle.row())
            self._idle = None

    def _new(self, wanted: tuple[Evaluated, ...], cycle: Finished) -> tuple[Evaluated, ...]:
        """What is wanted, without what was refused under the same pause before."""
        pauses = [_pause(item, cycle) for item in wanted]
        if not any(pauses):
            return wanted
        told = tuple(
            item
            for item, pause in zip(wanted, pauses, strict=True)
            if item.approved is not None or pause is None or self.pauses.get(item.proposal.product.base) != pause
        )
        for item, pause in zip(wanted, pauses, strict=True):
            if pause is not None:
                self.pauses[item.proposal.product.base] = pause
        return told

    def _count_idle(self, outcome: str, reason: str, first: datetime, count: int, last: datetime) -> None:
        self.outcomes[outcome] += count
        told = "" if outcome in _USUAL else reason
        known = self._idle
        if known is not None and (known.outcome, known.reason) == (outcome, told):
            known.count, known.last = known.count + count, last
            return
        self.finish()
        self._idle = Idle(outcome, told, first, last, count)

    def _note(self, decision: Decision, wanted: tuple[Evaluated, ...], outcome: str, reason: str) -> None:
        self.finish()
        self.outcomes[outcome] += 1
        self.rows.append(
            {
                "cycle_id": decision.cycle_id,
                "at": time_text(decision.at),
                "outcome": outcome,
                "reason": reason,
                "detail": decision.detail,
                "regime": decision.regime.value,
                "proposals": [proposal(item) for item in wanted],
                "verdicts": [row for item in wanted for row in verdicts(item)],
            }
        )
        for item in wanted:
            self._count(item, decision)

    def _count(self, item: Evaluated, decision: Decision) -> None:
        want = item.proposal
        self.asked.update([result.gate for result in item.results])
        for result in item.results:
            if not isinstance(result.verdict, Allow):
                self.gates[(result.gate, result.verdict.reason.value)] += 1
        if want.kind is not ENTRY:
            return
        kinds = tuple([trigger.kind.value for trigger in want.triggers])
        self.rules[want.rule] += 1
        self.triggers.update(kinds)
        if item.approved is not None:
            signal = Signal(decision.regime.value, kinds, str(want.conviction))
            self.signals[(decision.cycle_id, want.product)] = signal

    def _follow_orders(self, cycle: Finished) -> None:
        report = cycle.report
        if report.placed:
            self._remember(report.placed, self.state())
        for refusal in report.refused:
            self.refused[refusal.reason.value] += 1
        for rejection in report.rejections:
            self.refused[f"venue: {rejection.reason}"] += 1
        for item in report.measured:
            self.measured[item.client_order_id] = item
        self.mismatches += len(report.mismatches)

    def _remember(self, client_ids: Iterable[str], state: State) -> None:
        for client_id in client_ids:
            order = state.orders[client_id]
            intent = state.intents.get(order.intent)
            rule, why, cycle = (intent.rule, intent.why, intent.cycle_id) if intent is not None else ("", "", "")
            self.origins[client_id] = Origin(order.kind, rule, why, cycle, order.intent, order.attempt)

    @property
    def gates_hit(self) -> Mapping[str, Mapping[str, int]]:
        """gate -> reason -> how often, sorted."""
        found: dict[str, dict[str, int]] = {}
        for (gate, reason), count in sorted(self.gates.items()):
            found.setdefault(gate, {})[reason] = count
        return found


def _pause(item: Evaluated, cycle: Finished) -> datetime | None:
    """The end of the pause in which an entry was asked for; None when its product did not pause."""
    if cycle.snapshot is None or item.proposal.side is SELL:
        return None
    found = blocking(cycle.snapshot.state.cooldowns, item.proposal.product.base, cycle.snapshot.now)
    return found.until if found is not None else None


def _wanted(evaluated: Sequence[Evaluated], snapshot: Snapshot | None) -> tuple[Evaluated, ...]:
    """Everything but refused wishes to buy more of what is held already or being bought."""
    if snapshot is None:
        return ()
    if not any(_refused_buy(item) for item in evaluated):
        return tuple(evaluated)
    held = _in_hand(snapshot.state)
    return tuple([item for item in evaluated if not (_refused_buy(item) and item.proposal.product.base in held)])


def _refused_buy(item: Evaluated) -> bool:
    return item.approved is None and item.proposal.side is BUY


def _in_hand(state: State) -> frozenset[str]:
    """The bases of what is held or being bought."""
    buying = [order.product.base for order in state.working if order.kind is ENTRY]
    return frozenset([*[market.base for market in state.positions], *buying])
