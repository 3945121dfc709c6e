"""Turning the kill switch on and off. Whether it is on is for `killpath.look` to say."""

from __future__ import annotations

from pathlib import Path

from bot.adapters.disk import Disk
from bot.adapters.killpath import NAME, look
from bot.errors import StorageFailed
from bot.ports import KillProbe, KillState


def switch_on(data_dir: Path, reason: str, disk: Disk | None = None) -> KillState:
    """Put the file there with its reason, on the disk before this returns; one that is there already stays as it is.

    Even a full disk halts: when the text cannot be written, an empty file is.

    Raises: StorageFailed when no file can be made at all; nothing is halted then.
    """
    disk, path = disk or Disk(), data_dir / NAME
    try:
        if not data_dir.exists():
            disk.make_folder(data_dir)
        if look(path).probe is KillProbe.ABSENT:
            _put(disk, path, reason)
    except OSError as error:
        _put_empty(disk, path, error)
    return look(path)


def switch_off(data_dir: Path, disk: Disk | None = None) -> KillState:
    """Take the file away; what it was. Raises StorageFailed when something is there that cannot be taken away."""
    disk, path = disk or Disk(), data_dir / NAME
    before = look(path)
    try:
        if before.probe is KillProbe.PRESENT:
            disk.unlink(path)
            disk.sync_folder(data_dir)
    except OSError as error:
        raise StorageFailed(f"{path} cannot be removed ({before.reason}): {error.strerror or error}") from error
    return before


def _put(disk: Disk, path: Path, reason: str) -> None:
    beside = path.with_name(f".{NAME}.new")
    descriptor = disk.create(beside)
    try:
        disk.write(descriptor, f"{reason}\n".encode())
        disk.sync(descriptor)
    finally:
        disk.close(descriptor)
    disk.rename(beside, path)
    disk.sync_folder(path.parent)


def _put_empty(disk: Disk, path: Path, why: OSError) -> None:
    try:
        disk.close(disk.create(path))
    except OSError as error:
        doing = f"cannot write {path}: {error.strerror or error}"
        raise StorageFailed(f"{doing}; nothing is halted: stop the process instead") from why
