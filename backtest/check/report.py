"""The answer of a bias check: what was looked at, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from bot.domain.value import Value

SHOWN: Final = 20


class Finding(Value):
    """One difference that should not be. cycle: of the decision; empty when a whole run differs."""

    way: str
    cycle: str
    differences: tuple[str, ...]


class Report(Value):
    """decisions: made by the run; again: how many of them were made again; runs: whole runs beside it; lines: what
    each of those was compared in. A check that looked at nothing has not passed."""

    name: str
    decisions: int
    again: int
    runs: int
    lines: int
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not self.findings and self.again > 0 and self.lines > 0

    def document(self) -> dict[str, Any]:
        return {
            "check": self.name,
            "passed": self.passed,
            "decisions": self.decisions,
            "made_again": self.again,
            "runs": self.runs,
            "compared": self.lines,
            "findings": [
                {"way": item.way, "cycle": item.cycle, "differences": list(item.differences)} for item in self.findings
            ],
        }

    def text(self) -> Iterator[str]:
        for item in self.findings[:SHOWN]:
            yield f"FAILED {item.way}{f', {item.cycle}' if item.cycle else ''}"
            yield from (f"       {line}" for line in item.differences)
        if len(self.findings) > SHOWN:
            yield f"FAILED {len(self.findings) - SHOWN} more of this kind"
        if not self.again or not self.lines:
            yield "FAILED nothing was decided, sent or filled: there was nothing to check"
        yield (
            f"backtest check {self.name} {'passed' if self.passed else 'is red'}: {self.again} of {self.decisions} "
            f"decisions made again, {self.runs} runs compared in {self.lines} decisions, orders and fills"
        )
