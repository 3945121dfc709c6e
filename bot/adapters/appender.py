"""One file that only grows, by whole lines, and stays a valid prefix whatever fails."""

from __future__ import annotations

import os
from pathlib import Path

from bot.adapters.disk import Disk


class Appender:
    """Appends lines to one file.

    After a failed write or sync nobody knows what the disk holds, and a later sync may succeed without it. So all since
    the last good sync is kept in memory, and the next append first writes that part again, at its old place.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        """Raises: OSError when the file cannot be opened, or is not a regular file."""
        self.path = path
        self._disk = disk
        self._descriptor = disk.open_append(path)
        self._synced = os.fstat(self._descriptor).st_size
        self._unsynced = b""
        self._torn = True  # what an earlier process left unsynced, and a new file's name, are brought to the disk first

    def append(self, line: bytes, durable: bool) -> None:
        """Append one line; if `durable` on the disk when this returns. Raises OSError; then it is not appended."""
        if self._torn:
            self._restore()
        self._torn = True
        self._disk.write(self._descriptor, line)
        if durable:
            self._disk.sync(self._descriptor)
            self._synced += len(self._unsynced) + len(line)
            self._unsynced = b""
        else:
            self._unsynced += line
        self._torn = False

    def sync(self) -> None:
        """Bring every appended line to the disk. Raises OSError."""
        if self._torn:
            self._restore()
        if self._unsynced:
            self._torn = True
            self._disk.sync(self._descriptor)
            self._torn = False
            self._synced += len(self._unsynced)
            self._unsynced = b""

    def close(self) -> None:
        """Give the file back; what is not synced is left to the system."""
        self._disk.close(self._descriptor)

    def _restore(self) -> None:
        self._disk.truncate(self._descriptor, self._synced)
        self._disk.write(self._descriptor, self._unsynced)
        self._disk.sync(self._descriptor)
        self._sync_name()
        self._synced += len(self._unsynced)
        self._unsynced = b""
        self._torn = False

    def _sync_name(self) -> None:
        self._disk.sync_folder(self.path.parent)
