"""A disk that dies, fills up or loses power at its Nth operation. What is not synced may be lost in any way."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from bot.adapters.disk import Disk

SECTOR = 512
KEPT = (0.0, 0.2, 0.5, 0.8, 1.0)
"""Share of what was not synced that is on the disk all the same; drawn anew for each file and folder."""


class Killed(BaseException):
    """The process died here: no handler of the code under test may run on."""


class FaultyDisk(Disk):
    """Counts operations that change something; `at` names the one that does not work.

    fault: `before` dies before it, `torn` dies in its middle, an errno makes it fail, and those after it for `lasting`
    operations. Nothing is really synced: this disk remembers what would have been safe, and what was done since.
    """

    def __init__(self, at: int = 0, fault: str | int = "before", lasting: int = 1) -> None:
        self.at = at
        self.fault = fault
        self.lasting = lasting
        self.count = 0
        self._open: dict[int, _File] = {}
        self._files: dict[Path, _File] = {}
        self._folders: dict[Path, _Folder] = {}

    def create(self, path: Path) -> int:
        self._step()
        file = _File(b"")
        self._name(path, file)
        return self._opened(super().create(path), file)

    def open_append(self, path: Path) -> int:
        if not path.exists():
            self._step()
            self._name(path, _File(b""))
        return self._opened(super().open_append(path), self._file(path))

    def open_change(self, path: Path) -> int:
        return self._opened(super().open_change(path), self._file(path))

    def write(self, descriptor: int, content: bytes) -> None:
        if self._is_now() and content:
            part = content[: max(1, len(content) // 2)]
            self._write(descriptor, part)
        self._step()
        self._write(descriptor, content)

    def sync(self, descriptor: int) -> None:
        self._step()
        self._open[descriptor].sync()

    def truncate(self, descriptor: int, length: int) -> None:
        self._step()
        self._open[descriptor].truncate(length)
        super().truncate(descriptor, length)

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor, None)
        super().close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        self._step()
        file = self._file(old)
        super().rename(old, new)
        self._unname(old)
        self._name(new, file, together=True)

    def link(self, old: Path, new: Path) -> None:
        self._step()
        super().link(old, new)
        self._name(new, self._file(old))

    def unlink(self, path: Path) -> None:
        self._step()
        if path.exists():
            self._file(path)
            self._unname(path)
        super().unlink(path)

    def sync_folder(self, folder: Path) -> None:
        self._step()
        self._folder(folder).sync()

    def make_folder(self, folder: Path) -> None:
        if not folder.exists():
            self._step()
        super().make_folder(folder)

    # --------------------------------------------------------------------------------------------------- a power cut

    def cut_power(self, random: Random, copy: tuple[Path, Path] | None = None) -> None:
        """Leave what was synced, and of the rest any part in any order, name by name and sector by sector.

        copy: these files and their copy; then it is the copy that suffers.
        """
        files: dict[int, bytes] = {}
        for path, folder in self._folders.items():
            if copy is not None and not path.is_relative_to(copy[0]):
                continue
            there = path if copy is None else copy[1] / path.relative_to(copy[0])
            for name in folder.touched():
                (there / name).unlink(missing_ok=True)
            for name, file in folder.left(random).items():
                (there / name).write_bytes(files.setdefault(id(file), file.left(random)))

    def close_all(self) -> None:
        for descriptor in list(self._open):
            self.close(descriptor)

    # ----------------------------------------------------------------------------------------------------- remembering

    def _opened(self, descriptor: int, file: _File) -> int:
        self._open[descriptor] = file
        return descriptor

    def _write(self, descriptor: int, content: bytes) -> None:
        self._open[descriptor].append(content)
        super().write(descriptor, content)

    def _file(self, path: Path) -> _File:
        """What is remembered of a file; one that was there before is safe."""
        if path not in self._files:
            file = self._files[path] = _File(path.read_bytes())
            self._folder(path.parent).safe[path.name] = file
        return self._files[path]

    def _folder(self, path: Path) -> _Folder:
        return self._folders.setdefault(path, _Folder())

    def _name(self, path: Path, file: _File, *, together: bool = False) -> None:
        """together: with the name taken away just before, as a rename does."""
        if path.exists() and path not in self._files:
            self._file(path)
        self._files[path] = file
        self._folder(path.parent).change(path.name, file, together=together)

    def _unname(self, path: Path) -> None:
        del self._files[path]
        self._folder(path.parent).change(path.name, None)

    def _is_now(self) -> bool:
        return self.fault == "torn" and self.count + 1 == self.at

    def _step(self) -> None:
        self.count += 1
        if not self.at <= self.count < self.at + self.lasting or self.at == 0:
            return
        if isinstance(self.fault, int):
            raise OSError(self.fault, os.strerror(self.fault))
        raise Killed(f"operation {self.count}")


class _File:
    """safe: what a sync brought to the disk. since: writes and cuts after it, as (offset, content or None)."""

    def __init__(self, safe: bytes) -> None:
        self.safe = safe
        self.now = bytearray(safe)
        self.since: list[tuple[int, bytes | None]] = []

    def append(self, content: bytes) -> None:
        self.since.append((len(self.now), content))
        self.now += content

    def truncate(self, length: int) -> None:
        self.since.append((length, None))
        del self.now[length:]

    def sync(self) -> None:
        self.safe = bytes(self.now)
        self.since.clear()

    def left(self, random: Random) -> bytes:
        """After a power cut: any of the sectors written since, in any order; one of them may be torn itself."""
        pieces = [piece for offset, content in self.since for piece in _sectors(offset, content)]
        kept = random.choice(KEPT)
        chosen = [piece for piece in pieces if random.random() < kept]
        random.shuffle(chosen)
        found = bytearray(self.safe)
        for number, (offset, content) in enumerate(chosen):
            if content is None:
                del found[offset:]
                continue
            torn = number == 0 and random.random() < 0.25
            part = content[: random.randrange(len(content))] if torn else content
            found.extend(bytes(max(0, offset - len(found))))
            found[offset : offset + len(part)] = part
        return bytes(found)


@dataclass
class _Folder:
    """safe: names that a sync brought to the disk. since: changes after it; those of one group come together."""

    safe: dict[str, _File] = field(default_factory=dict)
    since: list[list[tuple[str, _File | None]]] = field(default_factory=list)

    def change(self, name: str, file: _File | None, *, together: bool = False) -> None:
        if together:
            self.since[-1].append((name, file))
        else:
            self.since.append([(name, file)])

    def touched(self) -> set[str]:
        return {*self.safe, *(name for group in self.since for name, _ in group)}

    def sync(self) -> None:
        self.safe = self._after(self.since)
        self.since.clear()

    def left(self, random: Random) -> dict[str, _File]:
        """After a power cut: any of the changes, each whole or not at all."""
        kept = random.choice(KEPT)
        return self._after([group for group in self.since if random.random() < kept])

    def _after(self, groups: list[list[tuple[str, _File | None]]]) -> dict[str, _File]:
        names = dict(self.safe)
        for name, file in (change for group in groups for change in group):
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        return names


def _sectors(offset: int, content: bytes | None) -> list[tuple[int, bytes | None]]:
    """One write as the disk sees it: pieces that end where a sector does."""
    if content is None:
        return [(offset, None)]
    first = SECTOR - offset % SECTOR
    starts = [0, *range(first, len(content), SECTOR)]
    ends = [*starts[1:], len(content)]
    return [(offset + start, content[start:end]) for start, end in zip(starts, ends, strict=True) if end > start]


FULL, READ_ONLY, NO_FILES = errno.ENOSPC, errno.EROFS, errno.EMFILE
