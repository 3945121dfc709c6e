"""Who else could change our files: ownership, permissions and links of everything below the data directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def distrusted(data_dir: Path, folder: Path) -> Iterator[str]:
    """One line with the way out for everything in `folder`, and for the data directory, that others could change."""
    for path in (data_dir, *_everything(folder)):
        try:
            yield from _problems(path, path.lstat())
        except FileNotFoundError:
            continue  # gone since it was listed
        except OSError as error:
            yield f"{path} cannot be looked at: {error.strerror}"


def _everything(folder: Path) -> Iterator[Path]:
    if not os.path.lexists(folder):
        return
    yield folder
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent) / name for name in (*folders, *files))


def _problems(path: Path, found: os.stat_result) -> Iterator[str]:
    if not (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)):
        yield f"{path} is a {_kind(found.st_mode)}: replace it by the real file or directory"
        return
    if found.st_mode & OTHERS_WRITE:
        yield f"{path} can be written by others (mode {stat.S_IMODE(found.st_mode):04o}): run chmod go-w {path}"
    if found.st_uid not in (os.geteuid(), 0):
        yield f"{path} belongs to user {found.st_uid}, the bot runs as {os.geteuid()}: run chown {os.geteuid()} {path}"


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device",
        stat.S_IFBLK: "device",
    }
    return kinds.get(stat.S_IFMT(mode), "special file")
