"""Reading the durable books beside a daemon that may be writing them: the folded state, and the journal's events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bot.errors import StateCorrupt, UnitError

if TYPE_CHECKING:
    from bot.domain.event import Envelope
    from bot.domain.state import State
    from bot.ports import Storage


def state_of(storage: Storage) -> State | None:
    """The newest state that snapshot and journal give; None where no bot has run yet. Raises StateCorrupt."""
    from bot.record.recovery import examine

    account = account_of(storage)
    return None if account is None else examine(storage, account).state


def account_of(storage: Storage) -> str | None:
    """The account fingerprint that the state here is bound to; None where there is no state."""
    from bot.record.statefile import load

    generations = storage.state_generations()
    for content in generations:
        try:
            return load(content).account
        except UnitError:
            continue
    found = next(envelopes(storage), None)
    if found is None and generations:
        raise StateCorrupt("no generation of state.json can be read, and there is no journal: see `bot state verify`")
    return None if found is None else _account_in(found)


def _account_in(first: Envelope) -> str:
    from bot.domain.event import JournalAnchored, JournalOpened

    if isinstance(first.payload, JournalOpened):
        return first.payload.account
    return first.payload.state.account if isinstance(first.payload, JournalAnchored) else ""


def envelopes(storage: Storage) -> Iterator[Envelope]:
    """Every event of the journal, oldest first. A last line that is being written at this moment is left out.

    Raises: StateCorrupt at damage anywhere else.
    """
    from bot.record.journal import Damage, read_day

    days = storage.journal_days()
    for day in days:
        lines = read_day(storage, day)
        for number, item in enumerate(lines, start=1):
            if not isinstance(item, Damage):
                yield item
            elif day != days[-1] or number != len(lines):
                raise StateCorrupt(f"{item}; `bot state verify` tells more")


def document(storage: Storage, name: str) -> dict[str, Any] | None:
    """One of the small JSON files (status.json, heartbeat.json); None when it is not there or not readable as such."""
    content = storage.read(name)
    if content is None:
        return None
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
