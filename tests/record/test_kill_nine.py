"""A real process, killed with SIGKILL while it writes a real disk, loses nothing it said was safe."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from bot.adapters.storage import FileStorage
from bot.domain.snapshot import Environment, Mode
from bot.record.replay import verify
from bot.record.store import StateStore
from tests.record.world import ACCOUNT, NOON, SAMPLES, TickingClock

WRITER = """
import sys
from pathlib import Path
from bot.adapters.storage import FileStorage
from bot.domain.snapshot import Environment, Mode
from bot.record.store import StateStore
from tests.record.world import ACCOUNT, NOON, SAMPLES, TickingClock, intent, nothing_done

storage = FileStorage(Path(sys.argv[1]), Environment.STAGING, Mode.PAPER, production=False)
storage.prepare()
store = StateStore(storage, TickingClock(NOON), "cfg", "1.0", ACCOUNT)
store.open(f"g-{sys.argv[2]}")
while True:
    number = store.state.next_intent
    store.record(intent(number))
    print(number, flush=True)
    store.record(SAMPLES[38])
    store.record_decision(nothing_done(), f"c{number}")
    store.save()
"""


@pytest.mark.parametrize("seed", range(3))
def test_sigkill_at_a_random_moment_loses_no_intent_that_was_durable(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    for life in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(life)],
            stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        try:
            assert child.stdout is not None
            assert child.stdout.readline()
            time.sleep(random.uniform(0.01, 0.15))
        finally:
            child.kill()
            output, _ = child.communicate()
        told = [int(number) for number in output.split()]
        storage = FileStorage(tmp_path, Environment.STAGING, Mode.PAPER, production=False)
        store = StateStore(storage, TickingClock(NOON), "cfg", "1.0", ACCOUNT)
        store.open("g-after")
        assert store.state.next_intent > max(told, default=0)
        store.record(SAMPLES[3])
        store.save()
        assert verify(storage, storage.state_generations()).problem == ""
        storage.close()
