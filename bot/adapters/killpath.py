"""The kill switch path: anything but a clean "absent" halts, and looking at it takes bounded time."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final

from bot.ports import KillProbe, KillState

NAME: Final = "KILL_SWITCH"
REASON_BYTES: Final = 1000
_KINDS: Final = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a fifo"}


def look(path: Path) -> KillState:
    """What is at the path now. A missing or unreadable folder is not "absent": nobody could put the file there."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        return _unreadable(path.parent, error)
    try:
        found = os.lstat(path.name, dir_fd=folder)
    except FileNotFoundError:
        return KillState(KillProbe.ABSENT)
    except OSError as error:
        return _unreadable(path, error)
    else:
        return KillState(KillProbe.PRESENT, _reason(path, folder, found.st_mode))
    finally:
        os.close(folder)


class BoundedLook:
    """`look` with a deadline: on a dead mount a system call may never return, so it runs on a thread of its own.

    At most one such thread waits; while it does, every answer is UNREADABLE.
    """

    def __init__(self, looking: Callable[[], KillState], timeout_s: float = 0.25) -> None:
        self._look = looking
        self._timeout_s = timeout_s
        self._guard = threading.Lock()
        self._pending: Future[KillState] | None = None

    def __call__(self) -> KillState:
        try:
            return self._begun().result(self._timeout_s)
        except TimeoutError:
            return KillState(KillProbe.UNREADABLE, f"{NAME}: no answer from the file system in {self._timeout_s} s")

    def _begun(self) -> Future[KillState]:
        """A look that ends after this call began; a waiting one is joined."""
        with self._guard:
            if self._pending is None or self._pending.done():
                self._pending = Future()
                threading.Thread(target=self._answer, args=(self._pending,), daemon=True, name="kill-look").start()
            return self._pending

    def _answer(self, answer: Future[KillState]) -> None:
        try:
            answer.set_result(self._look())
        except OSError as error:
            answer.set_result(KillState(KillProbe.UNREADABLE, f"{NAME}: {error}"))


def _unreadable(path: Path, error: OSError) -> KillState:
    return KillState(KillProbe.UNREADABLE, f"{path} cannot be looked at: {error.strerror}")


def _reason(path: Path, folder: int, mode: int) -> str:
    """The file's text, of which at most the beginning is read; what is there instead, when it is no plain file."""
    if not stat.S_ISREG(mode):
        return f"{path.name} is {_KINDS.get(stat.S_IFMT(mode), 'a special file')}"
    try:
        descriptor = os.open(path.name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        return f"{path.name} is there, its text cannot be read: {error.strerror}"
    try:
        text = os.read(descriptor, REASON_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return f"{path.name} is there, its text cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)
    return "".join(c if c.isprintable() else " " for c in text).strip() or f"{path.name} is there"
