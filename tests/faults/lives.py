"""Lives of a bot on real files that can be killed at each operation, and what must be true of the one that follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from bot.adapters import inbox
from bot.domain.order import OrderState, PlannedOrder
from bot.ports import Command
from bot.record.replay import verify
from bot.record.retention import tend
from bot.settings.config import Config
from simulator.markets.script import Step
from tests.faults.files import FileDisk
from tests.faults.instants import Leave, killed_here
from tests.faults.trial import JudgedStage, Trial
from tests.loop.seams import Courier, Inbox
from tests.loop.stage import config_of, down, steady, up

RETENTION_DAYS = 30
AWAY_S = (1, 2, 20, 90)
"""Seconds a machine may be without its bot."""
RESOLVED_S, WATCHED_S = 300.0, (1.0, 1.0, 70.0)
"""Trading time after a restart in which every doubt about an order has to end, and for which it is watched anyway."""
TWICE, RECOVERY = 0.3, 60
"""Share of deaths that are followed by another one, within so many operations of the new process."""

RESTLESS_S = 360
MOVES = ("1.0015", "1.0005", "1", "0.9999", "0.997", "0.99", "0.95", "1.05", "1.1")
"""Prices of a restless market against the one at which it was bought."""
SHORT: Mapping[str, Any] = {"cooldown_minutes": 1, "cooldown_after_stop_minutes": 1}
UNGOVERNED: Mapping[str, Any] = {"governors": {"same_side_repeats": 500, "orders_per_day": 5000}}
UNDAUNTED: Mapping[str, Any] = {
    **SHORT, "daily_stop_pct": None, "weekly_stop_pct": None, "max_drawdown_pct": None, "loss_streak": None,
    "max_entries_per_hour": None, "max_entries_per_day": None,
    "breakers": {"volatility": {"enabled": False}, "slippage": {"enabled": False}},
}  # fmt: skip
"""Nothing but the caps keeps such a bot from buying what rises, however often it lost: a life full of orders."""
HABITS: Sequence[Config] = (
    config_of({"cooldown_minutes": 1}, risk=SHORT),
    config_of({"cooldown_minutes": 1}, risk=SHORT, exits={"resting_on_exchange": False}),
    config_of({"cooldown_minutes": 1}, risk=UNDAUNTED, execution={**UNGOVERNED, "post_only_ttl_seconds": 15}),
)
"""Ways to trade: with the stop at the venue, with exits of its own, with quotes that are soon withdrawn."""

Kill = Callable[[int, str], object]
"""Number of an operation of a life, and what it is -> whether to die there."""


class Mortal:
    """One life on real files. met: each instant so far at which it could die; deaths: those at which it did.

    An instant is a change of a file, also in its middle, or a word with the venue: between two nothing outside changes.
    Each death happens in a fork: this life goes on as if nothing had been.
    """

    def __init__(
        self, trial: Trial, steps: Sequence[Step], config: Config, kill: Kill, chance: Random, *,
        calls: bool = True, power: bool = False,
    ) -> None:  # fmt: skip
        """calls: whether it can die at calls to the venue too, not only at files. power: the machine dies with it."""
        self._findings = trial.findings
        self._folder = trial.new_folder()
        self._kill = kill
        self._chance = chance
        self._power = chance if power else None
        self._leave: Leave | None = None
        self.deaths = 0
        self.met: list[str] = []
        self.stage: JudgedStage = trial.stage(steps, config)
        self._use(FileDisk(self._folder / "data"))
        self.stage.inbox = _FileInbox(self.stage)
        self.stage.courier = _Postman(self.stage)
        if calls:
            self.stage.wire.on_call = lambda name: self._reached(f"before {name}")
            self.stage.wire.on_answer = lambda name: self._reached(f"after {name}, its answer unread")
        self.stage.boot()

    def drop(self, verb: str, *arguments: str) -> None:
        """A command of the operator, as a file."""
        command = Command(f"{verb}-{len(self.met)}", verb, arguments, self.stage.clock.now(), "tester")
        inbox.Inbox(self.stage.disk).drop(command)

    def tend(self) -> None:
        """The daily care for the journal."""
        tend(self.stage.loop.store, self.stage.disk, self.stage.clock.now(), RETENTION_DAYS)

    # ---------------------------------------------------------------------------------------------------- one instant

    def _use(self, disk: FileDisk) -> None:
        self._disk = self.stage.disk = disk
        disk.told.before = self._file

    def _file(self, operation: str, path: Path, content: bytes) -> None:
        name = path.relative_to(self._disk.folder)
        self._reached(f"before {operation} of {name}")
        if len(content) > 1:
            self._reached(f"in the middle of {operation} of {name}", path, content)

    def _reached(self, what: str, path: Path | None = None, content: bytes = b"") -> None:
        self.met.append(what)
        if not self._kill(len(self.met), what):
            return
        if self._leave is not None:
            self._live_on(path, content, _never)
            self._leave()
        self.deaths += 1
        killed_here(self._findings, f"{what} ({len(self.met)})", lambda leave: self._died(leave, path, content))

    def _died(self, leave: Leave, path: Path | None, content: bytes) -> None:
        self._leave = leave
        left = self._chance.randrange(1, RECOVERY) if self._chance.random() < TWICE else 0
        last = len(self.met) + left
        self._live_on(path, content, lambda number, _: left and number == last)

    def _live_on(self, path: Path | None, content: bytes, kill: Kill) -> None:
        """A new process on the files of the last one, with what was done of a write. kill: when it dies too."""
        self._kill = _never
        copy = self._disk.copied(
            self._folder / f"{self.deaths}-{'first' if kill is not _never else 'last'}", self._power
        )
        if path is not None and self._power is None:
            with (copy.folder / path.relative_to(self._disk.folder)).open("ab") as torn:
                torn.write(content[: self._chance.randrange(1, len(content))])
        self._use(copy)
        self.stage._pause_when = _never
        self.stage.idle(self._chance.choice(AWAY_S))
        self._kill = kill
        self.stage.boot()
        self._judge(copy.kept)

    # ---------------------------------------------------------------------------------------------------- judging it

    def _judge(self, kept: bytes) -> None:
        stage, findings = self.stage, self._findings
        findings.found("I24/I25", self._lost(kept))
        stage.wire.before_place = self._first_order
        sent = len(stage.wire.placed)
        stage.cycle()
        if len(stage.wire.placed) > sent:  # a fill of its own making is read in the cycle that follows at once
            stage.cycle()
        self._kill = stage.wire.before_place = _never
        findings.found("I6", [f"one cycle later {problem}" for problem in differences(stage)])
        stage.run_for(self._chance.choice(WATCHED_S))
        stage.run_until(lambda: not stage.orders(OrderState.UNKNOWN), RESOLVED_S)
        self.tend()
        found = verify(stage.disk, stage.disk.state_generations())
        findings.found("I24/I25", [f"the journal does not verify: {found.problem}"] if found.problem else [])
        stage.judge()

    def _first_order(self, order: PlannedOrder) -> None:
        """Nothing may be sent before the books are the venue's."""
        self.stage.wire.before_place = _never
        problems = differences(self.stage, but_for=order.client_order_id)
        self._findings.found("I6", [f"an order was sent while {problem}" for problem in problems])

    def _lost(self, kept: bytes) -> Iterator[str]:
        if self.stage.loop.store.recovered is None:
            yield "the books could not be opened"
        if kept and not any(kept in self.stage.disk.journal(day) for day in self.stage.disk.journal_days()):
            yield f"a line that was written is gone: {kept[:120]!r}"


def differences(stage: JudgedStage, but_for: str = "") -> Iterator[str]:
    """Where the books and the venue's own ledger differ; an order in doubt may or may not be there."""
    ours = {o.client_order_id: o.state for o in stage.orders() if o.state.is_working and o.client_order_id != but_for}
    theirs = {o.client_order_id for o in stage.working() if o.order_id in stage.oracle.own}
    sure = {name for name, state in ours.items() if state is not OrderState.UNKNOWN}
    yield from (f"{name} works in the books and not at the venue" for name in sorted(sure - theirs))
    yield from (f"{name} works at the venue and not in the books" for name in sorted(theirs - ours.keys()))
    held = {b.currency: b.total for b in stage.world.venue.balances() if b.total and b.currency != "USD"}
    books = {name.base: position.whole.value for name, position in stage.state.positions.items()}
    for base in held.keys() | books.keys():
        if held.get(base, Decimal(0)) != books.get(base, Decimal(0)):
            yield f"the venue holds {held.get(base, 0)} {base} and the books {books.get(base, 0)}"


def restless(chance: Random, begins_s: int = 0) -> list[Step]:
    """A rise that is bought, and then minutes in which anything may follow anything."""
    high = Decimal(65500 + chance.randrange(200))
    steps: list[Step] = [up(begins_s + 30, f"{high}"), *steady(begins_s + 31, begins_s + 62, f"{high}", 5)]
    at = begins_s + 62
    while at < begins_s + RESTLESS_S - 40:
        price = f"{high * Decimal(chance.choice(MOVES)):.2f}"
        until = at + chance.randrange(5, 60)
        steps += [down(at + 2, price, size=chance.choice(["3", "0.004"])), *steady(at + 3, until, price, 7)]
        at = until
    return steps


def _never(*_: object) -> None: ...


class _FileInbox(Inbox):
    """Commands in files, on whatever disk the stage has."""

    def __init__(self, stage: JudgedStage) -> None:
        super().__init__()
        self._stage = stage

    def pending(self) -> Sequence[Command]:
        return inbox.Inbox(self._stage.disk).pending()

    def done(self, command_id: str, result: str) -> None:
        inbox.Inbox(self._stage.disk).done(command_id, result)


class _Postman(Courier):
    """Delivers at once, and takes what was delivered out of the outbox."""

    def __init__(self, stage: JudgedStage) -> None:
        super().__init__()
        self._stage = stage

    def nudge(self) -> None:
        for name in self._stage.disk.names("outbox"):
            self._stage.disk.remove(f"outbox/{name}")
