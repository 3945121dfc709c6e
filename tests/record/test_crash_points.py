"""Killed, out of space or out of power at every single file operation: the old state or the new one, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from bot.adapters.storage import FileStorage
from bot.domain.event import Payload
from bot.domain.snapshot import Environment, Mode
from bot.errors import StorageFailed
from bot.record.replay import verify
from bot.record.retention import tend
from bot.record.statefile import dump
from bot.record.store import StateStore
from tests.adapters.faulty_disk import FULL, NO_FILES, READ_ONLY, FaultyDisk, Killed
from tests.record.world import ACCOUNT, NOON, SAMPLES, TickingClock, fill, intent, nothing_done


def storage_at(folder: Path, disk: FaultyDisk | None = None) -> FileStorage:
    storage = FileStorage(folder / "data", Environment.STAGING, Mode.PAPER, production=False, disk=disk)
    storage.prepare()
    return storage


@dataclass
class Life:
    """A short life of a store, and what it was told had happened, which no fault may take back."""

    folder: Path
    disk: FaultyDisk
    recorded: int = 0
    durable: int = 0
    states: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.clock = TickingClock(NOON + timedelta(hours=11, minutes=59, seconds=30))

    def run(self) -> None:
        """Durable and ordinary events, repeats, snapshots, midnight, packing and retention."""
        self.storage = storage_at(self.folder, self.disk)
        self.store = StateStore(self.storage, self.clock, "cfg", "1.0", ACCOUNT)
        for step in self.steps():
            step()

    def steps(self) -> list[Callable[[], object]]:
        steps: list[Callable[[], object]] = [lambda: self._told(self.store.open("g1"), durable=True)]
        for n in (1, 2):
            steps += [self._record(intent(n)), self._record(fill(f"e{n}", client_order_id=f"c{n}.0"))]
            steps += [self._decide(f"{n}{cycle}") for cycle in "ab"]
            steps += [self._record(SAMPLES[38]), self._save, self._later]
        return [*steps, self._tend, self._record(SAMPLES[3]), self._flush, self._tend, self._save, self.close]

    def close(self) -> None:
        self.storage.close()

    def _record(self, payload: Payload) -> Callable[[], object]:
        return lambda: self._told(self.store.record(payload), durable=payload.durable)

    def _decide(self, cycle: str) -> Callable[[], object]:
        return lambda: self._told(self.store.record_decision(nothing_done(), cycle), durable=False)

    def _save(self) -> None:
        self._told(self.store.save(), durable=True)

    def _later(self) -> None:
        self.clock.advance(timedelta(seconds=15))

    def _tend(self) -> None:
        self.clock.advance(timedelta(days=3))
        self._told(tend(self.store, self.storage, self.clock.now(), 1), durable=True)

    def _flush(self) -> None:
        self.store.flush()
        self._told(None, durable=False)

    def _told(self, _: object, durable: bool) -> None:
        self.recorded = self.store.state.seq
        self.durable = self.recorded if durable else self.durable
        self.states.append(dump(self.store.state))


def operations(folder: Path) -> int:
    disk = FaultyDisk()
    Life(folder / "whole", disk).run()
    disk.close_all()
    return disk.count


@contextmanager
def restarted(folder: Path) -> Iterator[tuple[StateStore, FileStorage]]:
    disk = FaultyDisk()
    storage = storage_at(folder, disk)
    store = StateStore(storage, TickingClock(NOON + timedelta(days=4)), "cfg", "1.0", ACCOUNT)
    store.open("g-after")
    yield store, storage
    storage.close()
    disk.close_all()


def prove_consistent(store: StateStore, storage: FileStorage) -> None:
    store.record(SAMPLES[3])
    store.save()
    assert verify(storage, storage.state_generations()).problem == ""
    with restarted(storage.data_dir.parent) as (again, _):
        assert dump(again.state) == dump(store.state)
    storage.close()


@pytest.mark.parametrize("fault", ["before", "torn"])
def test_killed_at_every_operation_nothing_that_was_recorded_is_lost(tmp_path: Path, fault: str) -> None:
    for at in range(1, operations(tmp_path) + 1):
        life = Life(tmp_path / str(at), FaultyDisk(at, fault))
        with pytest.raises(Killed):
            life.run()
        life.disk.close_all()
        with restarted(life.folder) as (store, storage):
            assert store.recovered is not None
            found = store.recovered.state
            assert life.recorded <= found.seq <= life.recorded + 2, f"killed at operation {at}"
            assert found.seq != life.recorded or found.seq == 0 or dump(found) == life.states[-1]
            prove_consistent(store, storage)


@pytest.mark.parametrize("seed", range(2))
def test_without_power_durable_events_stand_and_the_rest_is_a_prefix(tmp_path: Path, seed: int) -> None:
    for at in range(1, operations(tmp_path) + 1):
        life = Life(tmp_path / str(at), FaultyDisk(at, "torn" if seed % 2 else "before"))
        with pytest.raises(Killed):
            life.run()
        life.disk.cut_power(Random(seed * 1000 + at))
        life.disk.close_all()
        with restarted(life.folder) as (store, storage):
            assert store.recovered is not None
            found = store.recovered.state
            assert life.durable <= found.seq <= life.recorded + 2, f"power lost at operation {at}"
            prove_consistent(store, storage)


@pytest.mark.parametrize("error", [FULL, READ_ONLY, NO_FILES])
@pytest.mark.parametrize("lasting", [1, 7])
def test_a_disk_that_fails_for_a_while_costs_only_what_was_refused(tmp_path: Path, error: int, lasting: int) -> None:
    """Each failure is told and changes nothing, and the chain goes on in the same process."""
    refused = 0
    for at in range(1, operations(tmp_path) + 1, 3):
        life = Life(tmp_path / str(at), FaultyDisk(0, error, lasting))
        life.storage = storage_at(life.folder, life.disk)
        life.store = StateStore(life.storage, life.clock, "cfg", "1.0", ACCOUNT)
        first, *others = life.steps()
        first()
        life.disk.at = life.disk.count + at
        for step in others:
            before = life.store.state
            try:
                step()
            except StorageFailed:
                refused += 1
                assert life.store.state.seq in (before.seq, before.seq + 1)
        life.disk.at = 0
        assert life.store.probe()
        life.store.flush()
        prove_consistent(life.store, life.storage)
        life.disk.close_all()
    assert refused > 0


@pytest.mark.parametrize("seed", range(8))
def test_a_snapshot_never_outlives_events_that_an_earlier_process_left_unsynced(tmp_path: Path, seed: int) -> None:
    """Killed with ordinary events in the page cache, started again, saved, and only then the power went."""
    disk = FaultyDisk()
    first, second = (StateStore(storage_at(tmp_path, disk), TickingClock(NOON), "cfg", "1.0", ACCOUNT) for _ in "12")
    first.open("g1")
    first.record(SAMPLES[38])
    second.open("unused")
    assert second.save()
    disk.cut_power(Random(seed))
    disk.close_all()
    with restarted(tmp_path) as (again, storage):
        assert dump(again.state) == dump(first.state)
        prove_consistent(again, storage)
