"""The disk of a stage as real files, and each operation on them told before it happens."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from bot.adapters.storage import FileStorage
from bot.domain.snapshot import Environment, Mode
from tests.adapters.faulty_disk import FaultyDisk
from tests.loop.seams import Disk as StageDisk

Told = Callable[[str, Path, bytes], object]
"""Operation, the file or folder it is done to, and what is going to be written; after it the operation happens."""


def _nobody(_operation: str, _path: Path, _content: bytes) -> None: ...


class ToldDisk(FaultyDisk):
    """A disk that never fails, and tells `before` of each operation that changes something."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Told = _nobody

    def create(self, path: Path) -> int:
        self.before("create", path, b"")
        return super().create(path)

    def open_append(self, path: Path) -> int:
        if not path.exists():
            self.before("create", path, b"")
        return super().open_append(path)

    def write(self, descriptor: int, content: bytes) -> None:
        self.before("write", _path_of(descriptor), content)
        super().write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        self.before("fsync", _path_of(descriptor), b"")
        super().sync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        self.before("truncate", _path_of(descriptor), b"")
        super().truncate(descriptor, length)

    def rename(self, old: Path, new: Path) -> None:
        self.before("rename", new, b"")
        super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        self.before("link", new, b"")
        super().link(old, new)

    def unlink(self, path: Path) -> None:
        self.before("unlink", path, b"")
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self.before("fsync", folder, b"")
        super().sync_folder(folder)

    def make_folder(self, folder: Path) -> None:
        if not folder.exists():
            self.before("mkdir", folder, b"")
        super().make_folder(folder)


def _path_of(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


class FileDisk(StageDisk):
    """The files of a live bot below `folder`.

    kept, durable: the last journal line whose writing was reported as done, and the last said to be on the disk.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.kept = self.durable = b""
        self.told = ToldDisk()
        self.store = FileStorage(folder, Environment.STAGING, Mode.LIVE, production=False, disk=self.told)
        self.store.prepare()

    def copied(self, folder: Path, power: Random | None = None) -> FileDisk:
        """What a new process finds when this one is killed now, or, if `power` is drawn from, when the power goes."""
        shutil.copytree(self.folder, folder, copy_function=shutil.copyfile)
        if power is not None:
            self.told.cut_power(power, (self.folder, folder))
        copy = FileDisk(folder)
        copy.kept = self.durable if power is not None else self.kept
        copy.durable = self.durable
        return copy

    def append(self, day: str, line: bytes, durable: bool) -> None:
        self.store.append(day, line, durable)
        self.kept = line
        self.durable = line if durable else self.durable

    def journal_days(self) -> Sequence[str]:
        return self.store.journal_days()

    def journal(self, day: str) -> bytes:
        return self.store.journal(day)

    def cut_journal(self, day: str, length: int) -> None:
        self.store.cut_journal(day, length)

    def save_state(self, content: bytes) -> None:
        self.store.save_state(content)

    def state_generations(self) -> Sequence[bytes]:
        return self.store.state_generations()

    def write(self, name: str, content: bytes) -> None:
        self.store.write(name, content)

    def post(self, name: str, content: bytes) -> None:
        self.store.post(name, content)

    def read(self, name: str) -> bytes | None:
        return self.store.read(name)

    def remove(self, name: str) -> None:
        self.store.remove(name)

    def drop(self, name: str) -> None:
        self.store.drop(name)

    def names(self, folder: str) -> Sequence[str]:
        return self.store.names(folder)

    def compress_journal(self, day: str) -> None:
        self.store.compress_journal(day)

    def remove_journal(self, day: str) -> None:
        self.store.remove_journal(day)
