"""What the journal of a rehearsal proves: how long this configuration and code ran, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from bot.cli.books import envelopes
from bot.domain.decision import Outcome
from bot.domain.event import (
    AlertRaised,
    BreakerChanged,
    DecisionMade,
    DecisionRepeated,
    Envelope,
    HaltBegan,
    HaltEnded,
    LatchSet,
    Mismatch,
)
from bot.domain.state import HaltCause
from bot.ports import Storage
from bot.settings.config import Config

VIOLATIONS: Final = ("state.corrupt", "state.recovered", "storage.failed")
"""Alerts whose fingerprint begins like this mean that something held which must never hold, or broke."""
BROKEN: Final = ("exceptions", "reconcile_mismatch")
"""Breakers that only our own faults open."""
UNDECIDED: Final = ""
"""The regime in the record of a cycle that could not look: nothing was decided in it."""
SECONDS_AN_HOUR: Final = Decimal(3600)


@dataclass
class Rehearsed:
    """cycles: decided under this configuration and code; one that could not look decided nothing, and is none of them.
    violations: one plain line each. drilled: the kill switch was seen on, and gone again."""

    cycles: int = 0
    violations: list[str] = field(default_factory=list)
    drilled: bool = False
    halted: bool = False
    last: str = ""
    counting: bool = False

    def hours(self, config: Config) -> Decimal:
        """How long so many cycles take."""
        return self.cycles * config.policy.loop.interval_seconds / SECONDS_AN_HOUR


def rehearsed(storage: Storage, config: Config, code_version: str) -> Rehearsed:
    """Fold the journal, counting only what this configuration and code did. Raises StateCorrupt."""
    found = Rehearsed()
    for envelope in envelopes(storage):
        ours = (envelope.config_hash, envelope.code_version) == (config.config_hash, code_version)
        _count_cycles(found, envelope, ours)
        if ours:
            _count(found, envelope)
    return found


def _count_cycles(found: Rehearsed, envelope: Envelope, ours: bool) -> None:
    """Cycles that repeat a decision are like the one they repeat, whoever wrote the count down after a restart."""
    match envelope.payload:
        case DecisionMade(regime=regime):
            found.counting = ours and regime != UNDECIDED
            found.cycles += found.counting
        case DecisionRepeated(count=count) if found.counting:
            found.cycles += count


def _count(found: Rehearsed, envelope: Envelope) -> None:
    found.last = f"{envelope.ts:%Y-%m-%d %H:%M}"
    at = f"{found.last}, event {envelope.seq}"
    match envelope.payload:
        case Mismatch(what=what):
            found.violations.append(f"{at}: books and exchange differed on {what}")
        case BreakerChanged(breaker=breaker) if breaker.open and breaker.name.partition(":")[0] in BROKEN:
            found.violations.append(f"{at}: breaker {breaker.name}: {breaker.detail}")
        case AlertRaised(fingerprint=name, detail=detail) if name.startswith(VIOLATIONS):
            found.violations.append(f"{at}: {name}: {detail}")
        case LatchSet(latch=latch) if latch.cause is HaltCause.GOVERNOR:
            found.violations.append(f"{at}: {latch.name} latched: {latch.detail}")
        case DecisionMade(outcome=Outcome.ERROR.value, detail=detail):
            found.violations.append(f"{at}: a cycle failed: {detail}")
        case HaltBegan(cause=HaltCause.KILL_SWITCH.value):
            found.halted = True
        case HaltEnded(cause=HaltCause.KILL_SWITCH.value):
            found.drilled = found.drilled or found.halted
