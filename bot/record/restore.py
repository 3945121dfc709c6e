"""Going back to a snapshot that can be used, when a start refuses: originals are kept, and no order id can repeat."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from bot.domain.event import Envelope, JournalAnchored
from bot.domain.state import State, day_id
from bot.domain.value import Value
from bot.errors import StateCorrupt, UnitError
from bot.ports import Storage
from bot.record.journal import Damage, line, read_day, sealed
from bot.record.statefile import load
from bot.record.store import RENEW

NAMES: Final = ("state.json", "state.json.1", "state.json.2")


class JournalFiles(Storage, Protocol):
    """A storage that can also remove whole days. Raises StorageFailed."""

    def remove_journal(self, day: str) -> None: ...


class Restored(Value):
    """What was done. kept: folder with the originals; journal: what became of it, for people."""

    state: State
    kept: str
    journal: str


class _Break(Value):
    """Where the journal stops being one chain, from the restored event on."""

    day: str
    offset: int
    why: str


def restore(storage: JournalFiles, generation: int, now: datetime, code_version: str) -> Restored:
    """Make generation `generation` (0 the newest) the state to start from, with every sound event after it.

    Where the journal does not carry on from it, what cannot be used is cut; where it does not even reach it, a new
    journal begins with the state as its anchor. Either way the next start takes a new genesis for its order ids.

    Raises: StateCorrupt when that generation cannot be used; StorageFailed.
    """
    contents = storage.state_generations()
    if generation >= len(contents):
        raise StateCorrupt(f"there is no generation {generation}: {len(contents)} are kept")
    try:
        state = load(contents[generation])
    except UnitError as error:
        raise StateCorrupt(f"{NAMES[generation]} cannot be used: {error}") from error
    kept = f"restored-{now:%Y%m%dT%H%M%S}"
    _keep(storage, contents, kept)
    reached, broken = _follow(storage, state)
    storage.write(RENEW, f"restored to event {state.seq}".encode())
    told = "is used as it is"
    if not reached:
        _begin_again(storage, state, now, code_version)
        told = f"begins anew behind event {state.seq}: the old one does not lead there"
    elif broken is not None:
        _cut(storage, broken)
        told = f"was cut in {broken.day} at byte {broken.offset}: {broken.why}"
    storage.save_state(contents[generation])
    return Restored(state, kept, told)


def _keep(storage: Storage, contents: Sequence[bytes], folder: str) -> None:
    for number, content in enumerate(contents):
        storage.write(f"{folder}/state.{number}.json", content)
    for day in storage.journal_days():
        storage.write(f"{folder}/{day}.jsonl", storage.journal(day))


def _follow(storage: Storage, state: State) -> tuple[bool, _Break | None]:
    """Whether the journal holds the state's last event, and where it breaks after it."""
    seq, head, reached = state.seq, state.head, state.seq == 0
    for day in storage.journal_days():
        offset = 0
        for item in read_day(storage, day):
            if reached and (why := _fault(item, seq, head)):
                return True, _Break(day, offset, why)
            if isinstance(item, Damage):
                offset = item.offset
                continue
            reached = reached or (item.seq, item.hash) == (state.seq, state.head)
            if reached:
                seq, head = item.seq, item.hash
            offset += len(line(item))
    return reached, None


def _fault(item: Envelope | Damage, seq: int, head: str) -> str:
    if isinstance(item, Damage):
        return item.why
    return "" if (item.seq, item.prev_hash) == (seq + 1, head) else f"event {item.seq} does not follow event {seq}"


def _cut(storage: JournalFiles, broken: _Break) -> None:
    for day in reversed([day for day in storage.journal_days() if day > broken.day]):
        storage.remove_journal(day)
    storage.cut_journal(broken.day, broken.offset)


def _begin_again(storage: JournalFiles, state: State, now: datetime, code_version: str) -> None:
    for day in storage.journal_days():
        storage.remove_journal(day)
    anchor = JournalAnchored(state.seq, state.head, state)
    envelope = Envelope(
        state.seq + 1, now, anchor.topic, "", 0, anchor, anchor.version, state.config_hash, code_version, state.head
    )
    storage.append(day_id(now), line(sealed(envelope)), True)
