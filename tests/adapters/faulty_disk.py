"""A disk that dies, fills up or loses power at its Nth operation. What is not synced may be lost in any way."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random

from bot.adapters.disk import Disk


class Killed(BaseException):
    """The process died here: no handler of the code under test may run on."""


class FaultyDisk(Disk):
    """Counts operations that change something; `at` names the one that does not work.

    fault: `before` dies before it, `torn` dies in its middle, an errno makes it fail, and those after it for `lasting`
    operations. Nothing is really synced: the test's disk only remembers what would have been safe.
    """

    def __init__(self, at: int = 0, fault: str | int = "before", lasting: int = 1) -> None:
        self.at = at
        self.fault = fault
        self.lasting = lasting
        self.count = 0
        self._safe: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}
        self._kept: dict[int, int] = {}

    def create(self, path: Path) -> int:
        self._step()
        return super().create(path)

    def open_append(self, path: Path) -> int:
        if not path.exists():
            self._step()
        return super().open_append(path)

    def write(self, descriptor: int, content: bytes) -> None:
        if self._is_now() and content:
            os.write(descriptor, content[: max(1, len(content) // 2)])
        self._step()
        super().write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        self._step()
        self._keep(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        self._step()
        super().truncate(descriptor, length)

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        self._step()
        super().link(old, new)

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self._step()
        listed: dict[str, int] = {}
        for path in folder.iterdir():
            inode = path.lstat().st_ino
            listed[path.name] = inode
            if path.is_file() and inode not in self._kept:
                self._kept[inode] = os.open(path, os.O_RDWR)
        self._names[folder] = listed

    def make_folder(self, folder: Path) -> None:
        if not folder.exists():
            self._step()
        self._names.setdefault(folder, {})
        super().make_folder(folder)

    def cut_power(self, random: Random) -> None:
        """Lose what was not synced: names in some folders, and of every file's unsynced bytes any part."""
        for folder, names in self._names.items():
            if folder.exists() and random.random() < 0.5:
                self._restore_names(folder, names)
        for folder in list(self._names):
            for path in folder.iterdir() if folder.exists() else ():
                if path.is_file():
                    self._lose_bytes(path, random)

    def close_all(self) -> None:
        for descriptor in self._kept.values():
            os.close(descriptor)
        self._kept.clear()

    def _restore_names(self, folder: Path, names: dict[str, int]) -> None:
        for path in folder.iterdir():
            if path.is_file() and names.get(path.name) != path.stat().st_ino:
                path.unlink()
        for name, inode in names.items():
            if inode in self._kept and not (folder / name).exists():
                safe = self._safe.get(inode, b"")
                (folder / name).write_bytes(safe)
                self._safe[(folder / name).stat().st_ino] = safe

    def _lose_bytes(self, path: Path, random: Random) -> None:
        safe = self._safe.get(path.stat().st_ino, b"")
        now = path.read_bytes()
        if now == safe:
            return
        if not now.startswith(safe):
            path.write_bytes(safe if random.random() < 0.5 else now)
            return
        tail = bytearray(now[len(safe) :])
        lost = random.choice(["all", "end", "sectors", "none"])
        if lost == "all":
            tail.clear()
        elif lost == "end":
            del tail[random.randrange(len(tail)) :]
        elif lost == "sectors":
            start = random.randrange(len(tail))
            tail[start : start + 64] = bytes(len(tail[start : start + 64]))
        path.write_bytes(safe + tail)

    def _keep(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        reader = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
        try:
            self._safe[found.st_ino] = os.read(reader, found.st_size + 1)
        finally:
            os.close(reader)
        if found.st_ino not in self._kept:
            self._kept[found.st_ino] = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)

    def _is_now(self) -> bool:
        return self.fault == "torn" and self.count + 1 == self.at

    def _step(self) -> None:
        self.count += 1
        if not self.at <= self.count < self.at + self.lasting or self.at == 0:
            return
        if isinstance(self.fault, int):
            raise OSError(self.fault, os.strerror(self.fault))
        raise Killed(f"operation {self.count}")


FULL, READ_ONLY, NO_FILES = errno.ENOSPC, errno.EROFS, errno.EMFILE
