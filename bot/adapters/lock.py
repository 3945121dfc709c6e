"""InstanceLock: one process per environment and mode, held by the kernel for the process's life."""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout

from bot.adapters.disk import FILE_MODE, FOLDER_MODE
from bot.domain.codec import encode, time_text
from bot.domain.value import Value
from bot.errors import LockHeld, StorageFailed

NAME: Final = "bot.lock"
WAIT_S: Final = 1.0
"""How long a lock that is being given back is waited for; a refused start must end within 2 s."""


class Holder(Value):
    """Who holds the lock, as written in the file."""

    pid: int
    host: str
    started_at: str
    mode: str

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}, running {self.mode} since {self.started_at}"


def holder(folder: Path) -> Holder | None:
    """Who wrote the lock file of `<env>-<mode>/`; None when nobody did, or it cannot be read.

    It says who held the lock last, not that anybody holds it now.
    """
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = json.loads(os.read(descriptor, 4096))
        return Holder(int(data["pid"]), str(data["host"]), str(data["started_at"]), str(data["mode"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    finally:
        os.close(descriptor)


class InstanceLock:
    """The lock of one `<env>-<mode>/` folder. A killed process's lock is free; its file alone locks nothing."""

    def __init__(self, folder: Path, mode: str) -> None:
        self._folder = folder
        self._mode = mode
        self._path = folder / NAME
        self._lock = FileLock(self._path, mode=FILE_MODE, thread_local=False)
        self._inode: tuple[int, int] | None = None

    def acquire(self, now: datetime) -> Self:
        """Take the lock and write who holds it.

        Raises: LockHeld naming the holder, within 2 s; StorageFailed when the lock file cannot be used.
        """
        try:
            for folder in (self._folder.parent, self._folder):
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            self._lock.acquire(timeout=WAIT_S, poll_interval=0.05)
            self._write(Holder(os.getpid(), socket.gethostname(), time_text(now), self._mode))
        except Timeout:
            known = holder(self._folder)
            raise LockHeld(f"{known or 'a process that left no name'} ({self._path})") from None
        except OSError as error:
            raise StorageFailed(f"cannot lock {self._path}: {error.strerror or error}") from error
        return self

    def still_held(self) -> bool:
        """Whether the file we locked is still the one at the path: another process could lock a replacement."""
        return self._lock.is_locked and self._inode is not None and _inode(self._path) == self._inode

    def release(self) -> None:
        """Give the lock back. The file stays: taking it away would let two processes lock two files of one name."""
        self._lock.release()

    def _write(self, who: Holder) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.write(descriptor, json.dumps(encode(who)).encode() + b"\n")
            os.fsync(descriptor)
            found = os.fstat(descriptor)
            self._inode = (found.st_dev, found.st_ino)
        finally:
            os.close(descriptor)


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
