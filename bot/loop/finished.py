"""What a cycle leaves behind for those who tell of it, follow it or go on from it."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.decision import Decision
from bot.domain.snapshot import Halt, Snapshot
from bot.domain.value import Value
from bot.execution.report import ActReport
from bot.ops.status import CycleRecord


class Finished(Value):
    """One finished cycle, with everything that is worth telling."""

    record: CycleRecord
    decision: Decision | None
    snapshot: Snapshot | None
    halts: tuple[Halt, ...]
    report: ActReport
    complete: bool
    detail: str
    stage_s: Mapping[str, float]
