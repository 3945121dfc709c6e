"""Money events of days whose journal was removed: they are kept apart, and lists that must be whole read them too."""

from __future__ import annotations

from collections.abc import Iterator

from bot.domain.event import Envelope
from bot.errors import StateCorrupt, UnitError
from bot.ports import Storage
from bot.record.journal import parse

LEDGER = "ledger"


def archived(storage: Storage) -> Iterator[Envelope]:
    """Events of the ledger archive, oldest first. Raises StateCorrupt for a line that is no event."""
    for name in storage.names(LEDGER):
        for number, text in enumerate((storage.read(f"{LEDGER}/{name}") or b"").splitlines(keepends=True), start=1):
            try:
                yield parse(text)
            except UnitError as error:
                raise StateCorrupt(f"{LEDGER}/{name}, line {number}: {error}") from error
