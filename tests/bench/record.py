"""What recording costs: events, fsynced events, snapshots and starts, on the disk that holds the temporary folder."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
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

START = datetime(2026, 1, 1, tzinfo=UTC)


def run() -> dict[str, float]:
    """Median milliseconds per operation, by name."""
    with tempfile.TemporaryDirectory() as folder:
        storage = FileStorage(Path(folder), Environment.STAGING, Mode.PAPER, production=False)
        storage.prepare()
        on_disk, in_memory = _store(storage), _store(MemoryStorage())
        found = {
            "record, memory": _median(lambda n: in_memory.record(PeakMoved(Decimal(n))), 2000),
            "record, buffered": _median(lambda n: on_disk.record(PeakMoved(Decimal(n))), 2000),
            "record, fsynced": _median(lambda n: on_disk.record(HaltBegan("breaker", str(n))), 200),
            "record and save": _median(lambda n: (on_disk.record(PeakMoved(Decimal(n))), on_disk.save()), 100),
            "kill switch look": _median(lambda _: storage.kill_state(), 500),
            "start": _median(lambda _: _store(storage), 10),
            "verify, per 1000 events": _median(lambda _: verify(storage, storage.state_generations()), 3)
            * 1000
            / on_disk.state.seq,
        }
        storage.close()
    return found


def _store(storage: Storage) -> StateStore:
    store = StateStore(storage, ManualClock(START), "cfg", "1.0", "bench")
    store.open("genesis")
    return store


def _median(work: Callable[[int], object], times: int) -> float:
    took = []
    for n in range(times):
        began = time.perf_counter()
        work(n)
        took.append((time.perf_counter() - began) * 1000)
    return round(sorted(took)[times // 2], 4)


if __name__ == "__main__":
    for name, milliseconds in run().items():
        print(f"{name:26} {milliseconds:9.4f} ms")
