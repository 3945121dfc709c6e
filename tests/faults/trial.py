"""One row of the table of faults, and one run of it: what was done to the bot, what it did, what was judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from bot.domain.value import Value
from bot.settings.config import Config
from simulator.markets.listing import Listing
from simulator.markets.script import Step
from tests.faults.wired import Wired, wired_venue
from tests.loop.seams import Disk
from tests.loop.stage import SMALL, Stage
from tests.simulation import audit
from tests.simulation.findings import Findings

RESTING = frozenset({"circuit_breaker", "data_unavailable", "reconcile_pending", "order_unresolved", "rate_budget"})
"""Reasons that may still be waited for: a healed bot has none of them."""


class Fault(Value):
    """One row. invariants: those judged in it, as `I1 I2`; a run in which one of them was never looked at fails.

    stimulus: what is done to the bot; required: what it must do; run: does it and judges. quick: part of `make test`.
    longest_s: a run that takes longer has failed.
    """

    id: str
    stimulus: str
    required: str
    invariants: str
    run: Callable[[Trial], None]
    quick: bool = False
    longest_s: float = 150.0


class Trial:
    """fired: proof, from the venue or the system, that each stimulus happened; seen: what the bot did."""

    def __init__(self, folder: Path, effort: float = 1.0) -> None:
        """effort: how much of a row's random part is tried; 1 is what `make faults` does."""
        self.folder = folder
        self.effort = effort
        self.findings = Findings()
        self.fired: list[str] = []
        self.seen: list[str] = []
        self._stages: list[JudgedStage] = []
        self._folders = 0

    # --------------------------------------------------------------------------------------------------- for a row

    def stimulus(self, what: str, happened: object) -> None:
        """The stimulus struck: told by the venue's own record, or by the system. AssertionError when it did not."""
        assert happened, f"the stimulus never fired: {what}"
        self.fired.append(what)

    def require(self, what: str, holds: object) -> None:
        """Required behaviour; the text may begin with the invariants it judges, as `I12/I22 nothing is bought`."""
        self.findings.check(holds, None, what)
        self.seen.append(what)

    def times(self, count: int) -> int:
        """So many random tries at the effort wanted; at least one."""
        return max(1, round(count * self.effort))

    def new_folder(self) -> Path:
        self._folders += 1
        folder = self.folder / f"{self._folders}"
        folder.mkdir()
        return folder

    def stage(
        self,
        steps: Sequence[Step] = (),
        config: Config | None = None,
        opening: Mapping[str, str] | None = None,
        listings: Sequence[Listing] | None = None,
        *,
        audited: bool = True,
    ) -> JudgedStage:
        """The bot on the matching core, in process. audited: whether its books must agree at the end."""
        stage = JudgedStage(self.findings, audited, steps, config, opening, listings)
        self._stages.append(stage)
        return stage

    @contextmanager
    def wired(
        self, steps: Sequence[Step] = (), *, audited: bool = True, policy: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None, universe: Mapping[str, Any] = SMALL, heard: bool = True,
        **options: Any,
    ) -> Iterator[Wired]:  # fmt: skip
        """The live bot through its real adapter on a simulator; judged when it is left. heard: boot it at once."""
        with wired_venue(steps, **options) as sim:
            bot = Wired(sim, self.new_folder(), self.findings, policy or {}, environ or {}, universe)
            try:
                if heard:
                    bot.boot()
                yield bot
                bot.judge(audited=audited)
            finally:
                bot.close()

    # ------------------------------------------------------------------------------------------------------ at the end

    def finish(self, wanted: str) -> list[str]:
        """Everything that did not hold, and every wanted invariant that nobody looked at."""
        for stage in self._stages:
            stage.judge()
        unseen = [name for name in wanted.split() if not self.findings.looked[name]]
        never = [f"{name} was never judged" for name in unseen]
        return [*self.findings.broken, *never, *([] if self.fired else ["no stimulus was proved"])]


class JudgedStage(Stage):
    """A stage whose every cycle and whose books at the end are judged."""

    def __init__(
        self, findings: Findings, audited: bool, steps: Sequence[Step], config: Config | None,
        opening: Mapping[str, str] | None, listings: Sequence[Listing] | None,
    ) -> None:  # fmt: skip
        self.findings = findings
        self.audited = audited
        self.forgetful = False  # its books were taken away on purpose: what is at the venue cannot be in them
        super().__init__(steps, config, opening, listings, Disk())
        self.oracle.findings = findings

    def judge(self) -> None:
        findings, truth = self.findings, self.oracle.seen()
        times = [(c.started_at, c.finished_at) for c in self.cycles]
        late = [f"{after[0]:%H:%M:%S}" for before, after in pairwise(times) if after[0] < before[1]]
        findings.found("I27", [f"a cycle began at {at} before the last one had ended" for at in late])
        foreign = [o for o in self.world.venue.orders() if o.order_id not in truth.own]
        if foreign:
            findings.found("I16", ())
        if self.audited and (snapshots := self.disk.state_generations()):
            audit.compare(findings, truth, self.rows(), json.loads(snapshots[0]))

    def heals(self, within_s: float = 900) -> None:
        """After the last fault: soon running again, by itself, with books that agree."""
        self.run_until(
            lambda: self.last.outcome in {"TRADED", "NO_TRADE"} and self.last.reason not in RESTING, within_s
        )
        self.findings.found("I28", ())

    def told(self, fingerprint: str) -> str:
        """Severity of the first alert whose fingerprint begins so; empty when there is none."""
        found = [severity for name, severity in self.alerts().items() if name.startswith(fingerprint)]
        return found[0] if found else ""

    def _publish(self, report: dict[str, Any], ready: bool, why: str) -> None:
        if ready and not self.forgetful and not self.loop.store.broken and (snapshots := self.disk.state_generations()):
            self.oracle.believed(json.loads(snapshots[0]), self.world.now)
        super()._publish(report, ready, why)
