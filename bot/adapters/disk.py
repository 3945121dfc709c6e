"""The few file operations durable state needs, and no others: nothing follows a link, everything made is private."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_SAFE: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # NONBLOCK: opening a fifo must not wait for its other end
_CHUNK: Final = 1 << 20


class Disk:
    """Every change of durable state goes through one of these methods; all raise OSError."""

    def create(self, path: Path) -> int:
        """A new file open for writing; an older one of that name, or a link, is taken away first."""
        path.unlink(missing_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, FILE_MODE)

    def open_append(self, path: Path) -> int:
        """An existing or new regular file open for appending."""
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _SAFE, FILE_MODE)
        return _regular(descriptor, path)

    def open_change(self, path: Path) -> int:
        """An existing regular file open for writing."""
        return _regular(os.open(path, os.O_WRONLY | _SAFE), path)

    def write(self, descriptor: int, content: bytes) -> None:
        """All of it, or OSError with an unknown part of it written."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """Return when everything written is on the disk."""
        os.fsync(descriptor)

    def truncate(self, descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, old: Path, new: Path) -> None:
        """Replace `new` in one step."""
        old.replace(new)

    def link(self, old: Path, new: Path) -> None:
        """A second name for a file."""
        os.link(old, new, follow_symlinks=False)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Return when the names in a folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def make_folder(self, folder: Path) -> None:
        """A folder only its owner can look into; fine when it is there already."""
        try:
            folder.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            return
        self.sync_folder(folder.parent)

    def read(self, path: Path, most: int) -> bytes:
        """A regular file's content. Raises OSError when it is longer than `most` bytes."""
        descriptor = _regular(os.open(path, os.O_RDONLY | _SAFE), path)
        try:
            if os.fstat(descriptor).st_size > most:
                raise OSError(f"{path} is larger than {most} bytes")
            parts = []
            while part := os.read(descriptor, _CHUNK):
                parts.append(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)


def _regular(descriptor: int, path: Path) -> int:
    """The same descriptor; closed and refused when it is no regular file."""
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise OSError(f"{path} is not a regular file")
