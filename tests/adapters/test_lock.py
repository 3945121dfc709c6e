"""One process per environment and mode, proven with real processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.adapters.lock import InstanceLock, holder
from bot.errors import LockHeld, StorageFailed
from tests.record.world import NOON

HOLD = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from bot.adapters.lock import InstanceLock
from bot.errors import LockHeld
lock = InstanceLock(Path(sys.argv[1]), "paper")
try:
    lock.acquire(datetime.now(UTC))
except LockHeld:
    print("refused", flush=True)
else:
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for child in started:
        child.kill()
        child.communicate()


def start(folder: Path, children: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    children.append(child)
    return child


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def test_a_second_instance_is_refused_within_two_seconds_and_told_who_runs(tmp_path: Path, children) -> None:
    child = start(tmp_path, children)
    assert said(child) == "held"
    began = time.monotonic()
    with pytest.raises(LockHeld) as refused:
        InstanceLock(tmp_path, "paper").acquire(NOON)
    assert time.monotonic() - began < 2
    for known in (f"pid {child.pid}", socket.gethostname(), "paper", "since 20", str(tmp_path)):
        assert known in refused.value.holder


def test_a_killed_process_gives_its_lock_back(tmp_path: Path, children) -> None:
    child = start(tmp_path, children)
    assert said(child) == "held"
    child.kill()
    child.wait()
    lock = InstanceLock(tmp_path, "live").acquire(NOON)
    known = holder(tmp_path)
    assert known is not None
    assert (known.pid, known.mode, known.started_at) == (os.getpid(), "live", "2026-11-18T12:00:00.000000Z")
    lock.release()


def test_of_many_starts_in_the_same_instant_exactly_one_trades(tmp_path: Path, children) -> None:
    racing = [start(tmp_path / "new", children) for _ in range(5)]
    assert sorted(said(child) for child in racing) == ["held", "refused", "refused", "refused", "refused"]


def test_a_lock_file_that_was_replaced_is_not_held_any_more(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path, "paper").acquire(NOON)
    assert lock.still_held()
    (tmp_path / "bot.lock").rename(tmp_path / "moved")
    assert not lock.still_held()
    (tmp_path / "bot.lock").write_bytes(b"")
    assert not lock.still_held()
    lock.release()


def test_the_text_of_a_lock_file_locks_nothing(tmp_path: Path) -> None:
    (tmp_path / "bot.lock").write_text('{"pid": 1, "host": "x", "started_at": "y", "mode": "live"}' + " " * 500)
    assert InstanceLock(tmp_path, "paper").acquire(NOON).still_held()
    known = holder(tmp_path)
    assert known is not None
    assert known.pid == os.getpid()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"pid": "x"}'])
def test_a_holder_who_left_no_readable_name_is_still_refused(tmp_path: Path, content: bytes) -> None:
    first = InstanceLock(tmp_path, "paper").acquire(NOON)
    (tmp_path / "bot.lock").write_bytes(content)
    with pytest.raises(LockHeld, match="left no name"):
        InstanceLock(tmp_path, "paper").acquire(NOON)
    first.release()


def test_the_folders_a_lock_makes_are_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        InstanceLock(tmp_path / "data" / "staging-paper", "paper").acquire(NOON).release()
    finally:
        os.umask(before)
    made = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data", *(tmp_path / "data").rglob("*"))}
    assert made == {"data": 0o700, "staging-paper": 0o700, "bot.lock": 0o600}


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "bot.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(StorageFailed, match=r"bot\.lock"):
        InstanceLock(tmp_path, "paper").acquire(NOON)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert holder(tmp_path) is None
