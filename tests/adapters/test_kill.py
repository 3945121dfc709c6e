"""The kill switch: only a clean "absent" lets anything trade, and nobody waits for a dead disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.adapters.clock import SystemClock
from bot.adapters.killpath import BoundedLook, look
from bot.adapters.killwatch import KillWatcher
from bot.adapters.memory import MemoryStorage
from bot.ports import KillProbe, KillState, WakeReason

ABSENT = KillState(KillProbe.ABSENT)
PRESENT = KillState(KillProbe.PRESENT, "lunch")


def test_a_missing_file_in_a_readable_folder_is_the_only_absence(tmp_path: Path) -> None:
    assert look(tmp_path / "KILL_SWITCH") == ABSENT


def test_the_text_of_the_file_is_the_reason(tmp_path: Path) -> None:
    (tmp_path / "KILL_SWITCH").write_text("  exchange looks odd\nsays\x1b[31m Ana ")
    assert look(tmp_path / "KILL_SWITCH") == KillState(KillProbe.PRESENT, "exchange looks odd says [31m Ana")


@pytest.mark.parametrize("content", [b"", b" \n", b"\0\0"])
def test_a_file_without_text_halts_all_the_same(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "KILL_SWITCH").write_bytes(content)
    assert look(tmp_path / "KILL_SWITCH") == KillState(KillProbe.PRESENT, "KILL_SWITCH is there")


def test_a_huge_or_binary_file_halts_and_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "KILL_SWITCH").open("wb") as file:
        file.write(b"\xff" * 5000)
        file.truncate(1 << 40)
    state = look(tmp_path / "KILL_SWITCH")
    assert state.active
    assert len(state.reason) <= 1000


def test_anything_else_at_the_path_halts(tmp_path: Path) -> None:
    kill = tmp_path / "KILL_SWITCH"
    told = []
    kill.mkdir()
    told.append(look(kill))
    kill.rmdir()
    kill.symlink_to(tmp_path / "nowhere")
    told.append(look(kill))
    kill.unlink()
    os.mkfifo(kill)
    told.append(look(kill))
    kinds = [f"KILL_SWITCH is {kind}" for kind in ("a directory", "a symbolic link", "a fifo")]
    assert told == [KillState(KillProbe.PRESENT, kind) for kind in kinds]


def test_a_folder_that_is_not_there_is_no_absence(tmp_path: Path) -> None:
    """Nobody could put the file there; an unmounted data directory must not look like permission to trade."""
    for parent in (tmp_path / "gone", tmp_path / "file"):
        (tmp_path / "file").write_bytes(b"")
        assert look(parent / "KILL_SWITCH").probe is KillProbe.UNREADABLE


AS_NOBODY = """
import os, sys
from collections.abc import Iterator
from pathlib import Path
from bot.adapters.killpath import look
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(look(Path(sys.argv[1])).probe.value)
"""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder another user can get to, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(("folder_mode", "file_mode", "expected"), [
    (0o000, None, "unreadable"), (0o444, None, "unreadable"), (0o755, None, "absent"), (0o755, 0o000, "present"),
])  # fmt: skip
def test_a_folder_we_may_not_look_into_halts(
    reachable: Path, folder_mode: int, file_mode: int | None, expected: str
) -> None:
    """`os.path.exists` calls a file absent when it may not look."""
    folder = reachable / "data"
    folder.mkdir()
    if file_mode is not None:
        (folder / "KILL_SWITCH").write_text("lunch")
        (folder / "KILL_SWITCH").chmod(file_mode)
    folder.chmod(folder_mode)
    try:
        run = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(folder / "KILL_SWITCH")], capture_output=True, text=True, check=True
        )
    finally:
        folder.chmod(0o755)
    assert run.stdout.strip() == expected


def test_a_dead_mount_halts_in_bounded_time_with_one_waiting_thread() -> None:
    release = threading.Event()

    def hanging() -> KillState:
        release.wait()
        return ABSENT

    looking = BoundedLook(hanging, timeout_s=0.05)
    before = threading.active_count()
    began = time.monotonic()
    answers = [looking() for _ in range(5)]
    assert {answer.probe for answer in answers} == {KillProbe.UNREADABLE}
    assert time.monotonic() - began < 1
    assert threading.active_count() == before + 1
    release.set()
    deadline = time.monotonic() + 5
    while looking() != ABSENT:
        assert time.monotonic() < deadline


def test_a_look_that_fails_halts() -> None:
    def broken() -> KillState:
        raise OSError("input/output error")

    assert BoundedLook(broken)() == KillState(KillProbe.UNREADABLE, "KILL_SWITCH: input/output error")


class Watched:
    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.clock = SystemClock()
        self.aborted: list[str] = []
        self.watcher = KillWatcher(self.storage, self.clock, self.aborted.append, interval_s=0.02)


def test_the_watcher_wakes_the_loop_and_stops_requests_within_half_a_second() -> None:
    watched = Watched()
    watched.watcher.start()
    assert (watched.watcher.active, watched.watcher.sightings) == (False, 0)
    began = time.monotonic()
    threading.Timer(0.05, lambda: setattr(watched.storage, "kill", PRESENT)).start()
    reason = watched.clock.wait_until(watched.clock.now().replace(year=2100))
    assert reason is WakeReason.KILL_SWITCH
    assert time.monotonic() - began < 0.55
    assert (watched.watcher.active, watched.watcher.reason) == (True, "lunch")
    watched.watcher.stop()
    assert watched.aborted == ["lunch"]
    assert watched.watcher.since is not None


def test_a_switch_that_came_and_went_is_counted() -> None:
    watched = Watched()
    for state in (ABSENT, PRESENT, PRESENT, ABSENT, PRESENT, ABSENT):
        watched.storage.kill = state
        watched.watcher.look()
    assert (watched.watcher.sightings, watched.watcher.active, watched.watcher.since) == (2, False, None)
    assert watched.aborted == ["lunch", "lunch"]


def test_a_storage_that_breaks_under_the_watcher_halts() -> None:
    class Broken(MemoryStorage):
        def kill_state(self) -> KillState:
            raise RuntimeError("surprise")

    watcher = KillWatcher(Broken(), SystemClock(), lambda _: None)
    assert watcher.look().probe is KillProbe.UNREADABLE
    assert "surprise" in watcher.reason
    assert watcher.active
