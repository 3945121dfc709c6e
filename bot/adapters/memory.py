"""MemoryStorage: the Storage port without a disk, for backtests and tests; same contract as FileStorage."""

from __future__ import annotations

import gzip
from collections.abc import Sequence

from bot.errors import StateCorrupt
from bot.ports import KillProbe, KillState

GENERATIONS = 3


class MemoryStorage:
    """Everything in dictionaries. `kill` is what `kill_state` answers; `held` what `lock_held` does."""

    def __init__(self) -> None:
        self.kill = KillState(KillProbe.ABSENT)
        self.held = True
        self.files: dict[str, bytes] = {}
        self.days: dict[str, bytearray] = {}
        self.snapshots: list[bytes] = []
        self._packed: dict[str, bytes] = {}

    def append(self, day: str, line: bytes, durable: bool) -> None:  # noqa: ARG002 - memory is as durable as it gets
        self.days.setdefault(day, bytearray()).extend(line)

    def journal_days(self) -> Sequence[str]:
        return sorted({*self.days, *self._packed})

    def journal(self, day: str) -> bytes:
        return bytes(self.days[day]) if day in self.days else gzip.decompress(self._packed.get(day, b""))

    def cut_journal(self, day: str, length: int) -> None:
        if day not in self.days:
            raise StateCorrupt(f"journal {day} is packed; only a plain file can have a torn end")
        self.files[f"cut/{day}.{length}"] = bytes(self.days[day][length:])
        del self.days[day][length:]

    def save_state(self, content: bytes) -> None:
        self.snapshots = [content, *self.snapshots][:GENERATIONS]

    def state_generations(self) -> Sequence[bytes]:
        return tuple(self.snapshots)

    def write(self, name: str, content: bytes) -> None:
        self.files[name] = content

    def post(self, name: str, content: bytes) -> None:
        self.write(name, content)

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def remove(self, name: str) -> None:
        self.files.pop(name, None)

    def drop(self, name: str) -> None:
        self.remove(name)

    def names(self, folder: str) -> Sequence[str]:
        below = (name.rpartition("/") for name in self.files)
        return sorted(name for parent, _, name in below if parent == folder)

    def kill_state(self) -> KillState:
        return self.kill

    def lock_held(self) -> bool:
        return self.held

    def compress_journal(self, day: str) -> None:
        """Pack one day; it reads as before."""
        if day in self.days:
            self._packed[day] = gzip.compress(bytes(self.days.pop(day)), mtime=0)

    def remove_journal(self, day: str) -> None:
        """Forget one day."""
        self.days.pop(day, None)
        self._packed.pop(day, None)
