"""FileStorage: durable files below `<data>/<env>-<mode>/`, each one always its old or its new version."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from bot.adapters.appender import Appender
from bot.adapters.disk import Disk
from bot.adapters.killpath import NAME, BoundedLook, look
from bot.adapters.lock import InstanceLock
from bot.adapters.trust import distrusted
from bot.domain.snapshot import Environment, Mode
from bot.errors import GateRefused, StateCorrupt, StorageFailed
from bot.ports import KillState

GENERATIONS: Final = ("state.json", "state.json.1", "state.json.2")
LARGEST: Final = 256 * 1024 * 1024
"""Bytes a file of ours may have; a larger one is no file of ours."""
_PLAIN, _PACKED = ".jsonl", ".jsonl.gz"
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*")


class FileStorage:
    """Durable files of one environment and mode, and the kill switch above them. Files are 0600, directories 0700.

    In production everything that others could change refuses to start. The object belongs to one thread; only
    `kill_state` may be called from any.
    """

    def __init__(
        self, data_dir: Path, env: Environment, mode: Mode, *,
        production: bool, lock: InstanceLock | None = None, disk: Disk | None = None,
    ) -> None:  # fmt: skip
        """production: whether others' access refuses. lock: the held instance lock; None for tools that only look."""
        self.data_dir = data_dir
        self.folder = data_dir / f"{env.value}-{mode.value}"
        self._production = production
        self._lock = lock
        self._disk = disk or Disk()
        self._kill = BoundedLook(lambda: look(data_dir / NAME))
        self._journal: Appender | None = None

    def prepare(self) -> None:
        """Make the folders and refuse what others could change.

        Raises: GateRefused with every problem and its remedy (production); StorageFailed when a folder cannot be made.
        """
        if self._production and (problems := list(distrusted(self.data_dir, self.folder))):
            raise GateRefused(problems)
        with _failing("make the folders below", self.data_dir):
            if not self.data_dir.exists():
                self._disk.make_folder(self.data_dir)
            self._disk.make_folder(self.folder)
            self._disk.make_folder(self.folder / "journal")

    def append(self, day: str, line: bytes, durable: bool) -> None:
        with _failing("append to journal", day):
            self._appender(day).append(line, durable)

    def journal_days(self) -> Sequence[str]:
        return sorted({name[:10] for name in self.names("journal") if name[10:] in (_PLAIN, _PACKED)})

    def journal(self, day: str) -> bytes:
        plain, packed = self._paths(day)
        content = self._trusted(plain)
        if content is not None:
            return content
        try:
            return gzip.decompress(self._trusted(packed) or b"")
        except (OSError, EOFError, ValueError) as error:
            raise StateCorrupt(f"{packed} cannot be unpacked: {error}") from error

    def cut_journal(self, day: str, length: int) -> None:
        plain, _ = self._paths(day)
        content = self._trusted(plain)
        if content is None:
            raise StateCorrupt(f"journal {day} is packed; only a plain file can have a torn end")
        self.write(f"cut/{day}.{length}", content[length:])
        self._close_journal()
        with _failing("cut", plain), self._opened(self._disk.open_change(plain)) as descriptor:
            self._disk.truncate(descriptor, length)
            self._disk.sync(descriptor)

    def save_state(self, content: bytes) -> None:
        """Also brings the journal to the disk first: a snapshot never knows more than the journal."""
        newest, older, oldest = (self.folder / name for name in GENERATIONS)
        with _failing("save", newest):
            self._sync_journal()
            written = self._written(newest, content)
            if newest.exists():
                spare = _beside(older)
                self._disk.unlink(spare)
                self._disk.link(newest, spare)
                if older.exists():
                    self._disk.rename(older, oldest)
                self._disk.rename(spare, older)
            self._disk.rename(written, newest)
            self._disk.sync_folder(self.folder)
            if self._disk.read(newest, LARGEST) != content:
                raise OSError(f"{newest} reads back different from what was written")

    def state_generations(self) -> Sequence[bytes]:
        """Raises StateCorrupt for one that is there and must not or cannot be read."""
        contents = (self._trusted(self.folder / name) for name in GENERATIONS)
        return tuple(content for content in contents if content is not None)

    def write(self, name: str, content: bytes) -> None:
        self._replace(self._path(name), content, durable=True)

    def post(self, name: str, content: bytes) -> None:
        self._replace(self._path(name), content, durable=False)

    def read(self, name: str) -> bytes | None:
        return self._trusted(self._path(name))

    def remove(self, name: str) -> None:
        path = self._path(name)
        with _failing("remove", path):
            if os.path.lexists(path):
                self._disk.unlink(path)
                self._disk.sync_folder(path.parent)

    def drop(self, name: str) -> None:
        path = self._path(name)
        with _failing("remove", path):
            self._disk.unlink(path)

    def names(self, folder: str) -> Sequence[str]:
        try:
            return sorted(path.name for path in self._path(folder).iterdir() if not path.name.startswith("."))
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise StateCorrupt(f"{self._path(folder)} cannot be listed: {error.strerror}") from error

    def kill_state(self) -> KillState:
        return self._kill()

    def lock_held(self) -> bool:
        return self._lock is not None and self._lock.still_held()

    def compress_journal(self, day: str) -> None:
        """Pack one day; it reads as before. Raises StorageFailed; the plain file then stays."""
        plain, packed = self._paths(day)
        content = self._trusted(plain)
        if content is None:
            return
        self._close_journal()
        with _failing("pack", plain):
            self._disk.rename(self._written(packed, gzip.compress(content, mtime=0)), packed)
            self._disk.sync_folder(packed.parent)
            if gzip.decompress(self._disk.read(packed, LARGEST)) != content:
                raise OSError(f"{packed} unpacks different from {plain}")
            self._disk.unlink(plain)
            self._disk.sync_folder(plain.parent)

    def remove_journal(self, day: str) -> None:
        """Take one day away. Raises StorageFailed."""
        self._close_journal()
        with _failing("remove journal", day):
            for path in self._paths(day):
                self._disk.unlink(path)
            self._disk.sync_folder(self.folder / "journal")

    def close(self) -> None:
        """Give the open journal back; it opens again when needed."""
        self._close_journal()

    def _appender(self, day: str) -> Appender:
        """The day's open journal; the day before is brought to the disk before it is left."""
        path, _ = self._paths(day)
        if self._journal is None or self._journal.path != path:
            if self._journal is not None:
                self._journal.sync()
            self._close_journal()
            self._disk.make_folder(path.parent)
            self._journal = Appender(self._disk, path)
        return self._journal

    def _sync_journal(self) -> None:
        """Also what an earlier process appended and did not sync: packed days were synced when they were packed."""
        if self._journal is None and (days := self.journal_days()) and self._paths(days[-1])[0].exists():
            self._appender(days[-1])
        if self._journal is not None:
            self._journal.sync()

    def _close_journal(self) -> None:
        if self._journal is not None:
            with _failing("close", self._journal.path):
                self._journal.sync()
                self._journal.close()
            self._journal = None

    def _replace(self, path: Path, content: bytes, *, durable: bool) -> None:
        with _failing("write", path):
            if path.parent != self.folder:
                self._disk.make_folder(path.parent)
            self._disk.rename(self._written(path, content, durable=durable), path)
            if durable:
                self._disk.sync_folder(path.parent)

    def _written(self, path: Path, content: bytes, *, durable: bool = True) -> Path:
        """A whole file beside `path` that only needs to be renamed. durable: it is on the disk already."""
        beside = _beside(path)
        with self._opened(self._disk.create(beside)) as descriptor:
            self._disk.write(descriptor, content)
            if durable:
                self._disk.sync(descriptor)
        return beside

    @contextmanager
    def _opened(self, descriptor: int) -> Iterator[int]:
        try:
            yield descriptor
        finally:
            self._disk.close(descriptor)

    def _trusted(self, path: Path) -> bytes | None:
        """A file's content; None when there is none. Raises StateCorrupt when it must not or cannot be read."""
        try:
            return self._disk.read(path, LARGEST)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateCorrupt(f"{path} cannot be read: {error.strerror or error}") from error

    def _path(self, name: str) -> Path:
        parts = PurePosixPath(name).parts
        if not parts or any(_NAME.fullmatch(part) is None for part in parts):
            raise StorageFailed(f"{name!r} is no name of a file below {self.folder}")
        return self.folder.joinpath(*parts)

    def _paths(self, day: str) -> tuple[Path, Path]:
        if _DAY.fullmatch(day) is None:
            raise StorageFailed(f"{day!r} is no day of a journal")
        journal = self.folder / "journal"
        return journal / f"{day}{_PLAIN}", journal / f"{day}{_PACKED}"


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


@contextmanager
def _failing(doing: str, what: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageFailed(f"cannot {doing} {what}: {error.strerror or error}") from error
