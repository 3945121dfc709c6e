"""Class state-file: power cuts, full disks, damaged and foreign state, under the running loop."""

from __future__ import annotations

import errno
import io
import json
import random
import shutil
from collections.abc import Callable, Sequence

from bot.adapters.storage import FileStorage
from bot.domain.order import OrderState, VenueStatus
from bot.domain.product import Side
from bot.errors import StateCorrupt
from bot.record.store import StateStore
from tests.adapters.faulty_disk import FULL, NO_FILES, READ_ONLY, FaultyDisk, Killed
from tests.faults.lives import Kill, Mortal
from tests.faults.trial import Fault, JudgedStage, Trial
from tests.faults.venues import BUY
from tests.loop.markets import BOUGHT, RISE, calm, slide
from tests.loop.stage import BTC, config_of, steady
from tests.record.test_crash_points import Life, operations, prove_consistent, restarted

QUOTED = (*RISE, *steady(62, 1800, "65500", 20))
PERSISTED = (
    "journal/", ".jsonl.gz", ".state.json.new", "state.json.1", "state.json.2", "repeated.json", "heartbeat.json",
    "status.json", "cycles/", "configs/", "inbox/", "answers/", "outbox/",
)  # fmt: skip
"""Every kind of file a loop writes."""


def killed_at_every_write(trial: Trial) -> None:
    """The store at every operation of its files, and the loop at every one of a life in which it does all it can do."""
    folder = trial.new_folder()
    count = operations(folder)
    for number in range(1, count + 1):
        for fault in ("before", "torn"):
            disk = FaultyDisk(number, fault)
            _interrupted(Life(folder / f"{number}-{fault}", disk))
            with restarted(folder / f"{number}-{fault}") as (store, storage):
                trial.findings.found("I24/I25", _inconsistent(store, storage))
            disk.close_all()
            shutil.rmtree(folder / f"{number}-{fault}")
    life = _whole_life(trial, lambda _number, _what: True, power=False)
    kinds = {what.split(" of ")[-1] for what in life.met}
    missing = [name for name in PERSISTED if not any(name in kind for kind in kinds)]
    trial.stimulus(f"{count} file operations of the store, before each and in its middle", count > 50)
    trial.stimulus(
        f"{life.deaths} of {len(life.met)} instants of a life on files, first start to stop, each a kill",
        life.deaths == len(life.met) > 300,
    )
    trial.stimulus(f"among them writes to {len(kinds)} files of every kind", not missing)


def _whole_life(trial: Trial, kill: Kill, *, power: bool) -> Mortal:
    """First start, entry, fill, protective order, a command, an alert, a stop-out, midnights, packing, the end."""
    fall = (*calm(90, 150), *slide(150, ["62000"], 20))
    life = Mortal(trial, [*BOUGHT, *fall], config_of(), kill, random.Random(84), calls=False, power=power)
    stage = life.stage
    stage.run_until(lambda: stage.working(Side.SELL), 120)
    life.drop("pause")
    stage.run_until(lambda: not stage.held("BTC"), 300)
    stage.idle(2 * 86_400)
    stage.cycle()
    life.tend()
    trial.require("I33 it stops as always", stage.leave() == 0)
    return life


def _inconsistent(store: StateStore, storage: FileStorage) -> list[str]:
    """What is wrong with the chain, or with going on from it and reading it again."""
    try:
        prove_consistent(store, storage)
    except (AssertionError, StateCorrupt) as problem:
        return [f"the journal does not verify: {problem}"]
    return []


def _interrupted(life: Life) -> None:
    try:
        life.run()
    except Killed:
        return


def _agree(stage: JudgedStage) -> bool:
    ours = {o.order_id for o in stage.orders() if o.state.is_working}
    return ours == {o.order_id for o in stage.working()} and not stage.orders(OrderState.UNKNOWN)


def power_cuts(trial: Trial) -> None:
    """Of what was not synced any part is lost, in any order: under the store, and under the loop in its life."""
    folder, chance = trial.new_folder(), random.Random(85)
    count, cuts = operations(folder), trial.times(600)
    for number in range(cuts):
        disk = FaultyDisk(1 + number % count, chance.choice(["before", "torn"]))
        life = Life(folder / f"cut{number}", disk)
        _interrupted(life)
        disk.cut_power(chance)
        with restarted(folder / f"cut{number}") as (store, storage):
            lost = store.state.seq < life.durable
            trial.findings.found("I24", [f"cut {number} lost a durable event"] if lost else [])
            trial.findings.found("I24/I25", _inconsistent(store, storage))
        disk.close_all()
        shutil.rmtree(folder / f"cut{number}")
    trial.stimulus(f"{cuts} power cuts, over all {count} operations of the store", count > 50)
    share = min(1.0, 0.5 * trial.effort)
    life_of = _whole_life(trial, lambda _number, _what: chance.random() < share, power=True)
    trial.stimulus(f"{life_of.deaths} power cuts under a loop with orders, fills and a stop-out", life_of.deaths)


def full_disks(trial: Trial) -> None:
    folder = trial.new_folder()
    count = operations(folder)
    for reason in (FULL, READ_ONLY, NO_FILES):
        for number in range(1, count + 1):
            disk = FaultyDisk(number, reason, lasting=3)
            life = Life(folder / f"{reason}-{number}", disk)
            try:
                life.run()
            except OSError as error:
                trial.require("only as an error of storage", error.errno == reason)
            except Exception as error:  # the store's own word for it
                trial.findings.found("I24", [] if type(error).__name__ == "StorageFailed" else [repr(error)])
            with restarted(folder / f"{reason}-{number}") as (store, storage):
                trial.findings.found("I24/I25", _inconsistent(store, storage))
            disk.close_all()
            shutil.rmtree(folder / f"{reason}-{number}")
    stage = trial.stage(QUOTED)
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    (entry,) = stage.working(Side.BUY)
    stage.disk.full = True
    with stage.oracle.closed("the journal cannot be written", "I10/I22"):
        stage.cycle()
        trial.require("I10 our entry is taken back in the very cycle that finds it full", not stage.working(Side.BUY))
        ended = stage.world.venue.order(entry.order_id).status
        trial.require("I10 by us, not by its expiry", ended is VenueStatus.CANCELLED)
        stage.run_for(180)
    trial.stimulus(f"ENOSPC, EROFS, EMFILE at each of {count} file operations", count)
    trial.stimulus("a full disk under the loop", stage.disk.full)
    trial.require("I10 no new intent, and our entry was taken back", not stage.working(Side.BUY))
    trial.require("told all the same", [b for b in stage.courier.carried if b"storage.failed" in b])
    stage.disk.full = False
    stage.heals()
    deaf = trial.stage(
        [*BOUGHT, *calm(90, 300), *slide(300, ["62000"], 900)], config_of({}, exits={"resting_on_exchange": False})
    )
    deaf.run_until(lambda: BTC in deaf.state.positions, 200)
    deaf.log = FullLog()
    deaf.boot()
    deaf.run_until(lambda: not deaf.held("BTC"), 600)
    trial.require("I21 a log that cannot be written stops no exit", not deaf.held("BTC"))


class FullLog(io.StringIO):
    """A log on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")


def _wrong_type(_: bytes) -> bytes:
    return json.dumps(["a", "list"]).encode()


def _flipped(content: bytes) -> bytes:
    return content[:100] + bytes([content[100] ^ 1]) + content[101:]


DAMAGE: Sequence[tuple[str, Callable[[bytes], bytes]]] = (
    ("empty", lambda _: b""), ("truncated", lambda content: content[:-40]), ("random", lambda _: b"\x93\x01" * 500),
    ("one bit", _flipped), ("another type", _wrong_type), ("huge", lambda content: content + b" " * 40_000_000),
)  # fmt: skip


def damaged_state(trial: Trial) -> None:
    for name, damage in DAMAGE:
        stage = trial.stage(QUOTED, audited=False)
        stage.run_until(lambda: stage.working(Side.BUY), 120)  # noqa: B023 - runs within this turn
        good = list(stage.disk.snapshots)
        stage.disk.snapshots = [damage(good[0]), *good[1:]]
        stage.boot()
        stage.cycle()
        trial.require(f"I25 newest {name}: an older generation and the journal", stage.last.outcome != "HALTED")
        trial.require("I25 and told", stage.told("state.recovered") == "WARNING")
        stage.disk.snapshots = [damage(stage.disk.snapshots[0])] * 3
        kept = (list(stage.disk.snapshots), {day: bytes(lines) for day, lines in stage.disk.days.items()})
        stage.boot()
        with stage.oracle.closed(f"every state is {name}", "I25/I22"):
            stage.run_for(180)
        trial.require(f"I25 all {name}: halted, CRITICAL", stage.told("state.corrupt") == "CRITICAL")
        now = (list(stage.disk.snapshots), {day: bytes(lines) for day, lines in stage.disk.days.items()})
        trial.require("I25/I9 the originals are kept to the byte", now == kept)
    trial.stimulus("six kinds of damage, to one and to all generations", len(DAMAGE) == 6)


def lost_and_foreign(trial: Trial) -> None:
    """No books while the venue shows our orders, or our coins; the books of another account; of another mode."""
    stage = trial.stage(QUOTED, audited=False)
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.disk.days.clear()
    stage.disk.snapshots.clear()
    stage.forgetful = True
    stage.boot()
    with stage.oracle.closed("no state, and our orders at the venue", "I25/I22"):
        stage.run_for(180)
    trial.stimulus("state gone while our order works", stage.working(Side.BUY) or stage.told("halt.foreign_instance"))
    trial.require("I25 halted and told", stage.told("halt.foreign_instance") == "CRITICAL")
    coins = trial.stage([*BOUGHT, *calm(90, 900)], config_of({}, exits={"resting_on_exchange": False}), audited=False)
    coins.run_until(lambda: BTC in coins.state.positions, 200)
    held = coins.held("BTC")
    coins.disk.days.clear()
    coins.disk.snapshots.clear()
    coins.boot()
    with coins.oracle.closed("no state, and coins at the venue", "I25", BUY):
        coins.run_for(180)
    trial.require("I25 coins are adopted as somebody's, not sold", coins.held("BTC") == held)
    other = trial.stage(QUOTED, audited=False)
    other.run_until(lambda: other.working(Side.BUY), 120)
    other.boot(portfolio="another-account")
    with other.oracle.closed("the books of another account", "I32/I25"):
        other.run_for(120)
    trial.require("I32 refused by its fingerprint", "another account" in other.alert_texts())
    try:
        other.loop.store.record(None)  # type: ignore[arg-type]
        refused = False
    except StateCorrupt:
        refused = True
    trial.require("I25 and nothing can be written into it", refused)


def write_after_accept(trial: Trial) -> None:
    stage = trial.stage(QUOTED)
    stage.idle(62)

    def fill_up(line: bytes) -> None:
        stage.disk.full |= b'"accepted"' in line

    stage.disk.before_append = fill_up
    stage.cycle()
    trial.stimulus("the venue took the order, then the disk was full", stage.disk.full and stage.wire.placed)
    stage.disk.before_append = lambda _line: None
    stage.disk.full = False
    stage.run_for(180)
    ids = [order.client_order_id for order in stage.wire.placed if order.side is Side.BUY]
    known = {payload["client_order_id"] for payload in stage.events("intent.recorded")}
    trial.require("I10 its intent was durable before", set(ids) <= known)
    trial.require("I6/I2 found again, and not doubled", len(set(ids)) == len(ids) and _agree(stage))


ROWS: Sequence[Fault] = (
    Fault("F084", "killed before and in the middle of every write, fsync, rename and unlink of every persisted file",
          "the old or the new state, never defaults; converges in one cycle", "I6 I24 I25", killed_at_every_write,
          longest_s=600),
    Fault("F085", "power cuts: of unsynced writes and names any part kept in any order, 512-byte sectors torn",
          "durable events stand, a torn end is dropped; the loop converges in one cycle", "I24 I25 I6", power_cuts,
          longest_s=600),
    Fault("F087", "ENOSPC, EROFS, EMFILE in state, journal, log", "no new intents; cancels, and exits, go out",
          "I10 I21 I24", full_disks),
    Fault("F088", "state empty, truncated, random, one bit flipped, of another type, huge",
          "falls back, else halts; originals kept", "I9 I25", damaged_state, quick=True),
    Fault("F090", "no state with orders or coins at the venue; the state of another account", "refused or halted",
          "I25 I32", lost_and_foreign, quick=True),
    Fault("F092", "accepted by the venue, then the local write fails", "found again by its durable intent", "I6 I10",
          write_after_accept, quick=True),
)  # fmt: skip
