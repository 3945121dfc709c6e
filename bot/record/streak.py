"""Cycles that end like the one before: counted, not written again, so that an idle night is one record."""

from __future__ import annotations

from typing import Final

from bot.domain.decision import Outcome
from bot.domain.event import DecisionMade, DecisionRepeated
from bot.domain.value import Value, replace

_TOLD: Final = ("product", "rule", "gate", "reason")
Likeness = tuple[object, ...]


def likeness(decision: DecisionMade) -> Likeness | None:
    """What two decisions to do nothing have in common; None when it is not one. Numbers in texts do not matter."""
    if decision.outcome != Outcome.NO_TRADE.value:
        return None
    told = [tuple(row.get(key) for key in _TOLD) for row in (*decision.proposals, *decision.verdicts)]
    return decision.reason, tuple(told)


class Streak(Value):
    """The likeness of the last decision in the journal, and the further cycles that were like it."""

    of: Likeness | None = None
    repeated: DecisionRepeated | None = None

    def continues(self, decision: DecisionMade) -> bool:
        return self.of is not None and likeness(decision) == self.of

    def longer(self, decision: DecisionMade, cycle_id: str) -> Streak:
        """One more cycle with this decision."""
        known = self.repeated or DecisionRepeated(decision.outcome, decision.reason, cycle_id, cycle_id, 0)
        return replace(self, repeated=replace(known, last_cycle=cycle_id, count=known.count + 1))
