"""How long the journal is kept: packed after a day, removed behind an anchor, money events kept for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from bot.domain.event import Envelope, JournalAnchored
from bot.domain.state import State, day_id
from bot.ports import Storage
from bot.record.journal import line, read_days
from bot.record.replay import base_of, folded
from bot.record.store import StateStore
from bot.record.topics import MONEY

PLAIN: Final = timedelta(days=1)
"""How long after its end a day stays unpacked."""


class JournalFiles(Storage, Protocol):
    """A storage that can also pack and remove whole days. Both raise StorageFailed, and both may be repeated."""

    def compress_journal(self, day: str) -> None:
        """Pack one day; it reads as before."""
        ...

    def remove_journal(self, day: str) -> None: ...


def tend(store: StateStore, storage: JournalFiles, now: datetime, retention_days: int) -> Sequence[str]:
    """Pack the days that are over and remove those older than `retention_days`; the removed days.

    A kill at any point is made good by the next call: an anchor without removals, removals half done, a day archived
    twice with the same content.

    Raises: StorageFailed; StateCorrupt when the days to remove do not form one chain, which are then kept.
    """
    over = storage.journal_days()[:-1]  # the newest is where the next event goes, even after a clock stepped back
    for day in over:
        if day < day_id(now - PLAIN):
            storage.compress_journal(day)
    old = [day for day in over if day < day_id(now - timedelta(days=retention_days))]
    if not old:
        return ()
    state = _state_after(storage, old)
    for day in old:
        _archive(storage, day)
    if state.seq and not _anchored(storage, state):
        store.record(JournalAnchored(state.seq, state.head, state))
    for day in old:
        storage.remove_journal(day)
    return old


def _state_after(storage: Storage, days: Sequence[str]) -> State:
    """The state folded up to the end of `days`, or further when an anchor already stands for more."""
    base = base_of(read_days(storage, storage.journal_days()))
    return folded(base, read_days(storage, days))


def _anchored(storage: Storage, state: State) -> bool:
    return any(_stands_for(envelope, state) for envelope in read_days(storage, storage.journal_days()))


def _stands_for(envelope: Envelope, state: State) -> bool:
    event = envelope.payload
    return isinstance(event, JournalAnchored) and event.through_seq >= state.seq


def _archive(storage: Storage, day: str) -> None:
    content = b"".join(line(envelope) for envelope in _money(read_days(storage, [day])))
    if content:
        storage.write(f"ledger/{day}.jsonl", content)


def _money(envelopes: Iterable[Envelope]) -> Iterable[Envelope]:
    return (envelope for envelope in envelopes if envelope.topic in MONEY)
