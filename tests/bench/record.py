"""What recording costs: events, fsynced events, snapshots and starts, on the disk that holds the temporary folder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from bot.adapters.clock import ManualClock
from bot.adapters.memory import MemoryStorage
from bot.adapters.storage import FileStorage
from bot.domain.event import HaltBegan, PeakMoved
from bot.domain.snapshot import Environment, Mode
from bot.ports import Storage
from bot.record.replay import verify
from bot.record.store import StateStore
from tests.bench.result import Result, at_percent

START = datetime(2026, 1, 1, tzinfo=UTC)


def run() -> Iterator[Result]:
    """Milliseconds of wall time per operation, median and 99th percentile."""
    with tempfile.TemporaryDirectory() as folder:
        storage = FileStorage(Path(folder), Environment.STAGING, Mode.PAPER, production=False)
        storage.prepare()
        on_disk, in_memory = _store(storage), _store(MemoryStorage())
        yield from _told("record, memory", 2000, lambda n: in_memory.record(PeakMoved(Decimal(n))))
        yield from _told("record, buffered", 2000, lambda n: on_disk.record(PeakMoved(Decimal(n))))
        yield from _told("record, fsynced", 400, lambda n: on_disk.record(HaltBegan("breaker", str(n))))
        yield from _told("record and save", 200, lambda n: (on_disk.record(PeakMoved(Decimal(n))), on_disk.save()))
        yield from _told("small file, fsynced", 200, lambda n: storage.write("told.json", b"%d" % n))
        yield from _told("small file, posted", 200, lambda n: storage.post("told.json", b"%d" % n))
        yield from _told("kill switch look", 500, lambda _: storage.kill_state())
        yield from _told("start", 10, lambda _: _store(storage))
        took = _taken(3, lambda _: verify(storage, storage.state_generations()))
        yield Result("verify, per 1000 events", at_percent(took, 50) * 1000 / on_disk.state.seq, "ms")
        storage.close()


def _store(storage: Storage) -> StateStore:
    store = StateStore(storage, ManualClock(START), "cfg", "1.0", "bench")
    store.open("genesis")
    return store


def _told(what: str, times: int, work: Callable[[int], object]) -> Iterator[Result]:
    took = _taken(times, work)
    yield Result(f"{what}, median", at_percent(took, 50), "ms")
    if times >= 100:
        yield Result(f"{what}, 99th percentile", at_percent(took, 99), "ms")


def _taken(times: int, work: Callable[[int], object]) -> list[float]:
    took = []
    for number in range(times):
        began = time.perf_counter()
        work(number)
        took.append((time.perf_counter() - began) * 1000)
    return took
