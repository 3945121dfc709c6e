"""Which payload a topic names: the registry by which a journal line becomes a value again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bot.domain.codec import Json, decode
from bot.domain.event import (
    FillBooked,
    LedgerAnchored,
    Payload,
    PeriodBegan,
    PositionAdopted,
    TransferRecognised,
)
from bot.errors import StateCorrupt, UnitError
from bot.record.fold import TABLE

TOPICS: Final[Mapping[str, type[Payload]]] = {kind.topic: kind for kind in TABLE}

MONEY: Final[frozenset[str]] = frozenset(
    kind.topic for kind in (FillBooked, LedgerAnchored, PeriodBegan, PositionAdopted, TransferRecognised)
)
"""Topics that move or measure money; they outlive the retention of the journal."""


def payload_of(topic: str, version: int, data: Json) -> Payload:
    """The payload of an undamaged journal line. Raises StateCorrupt when this code cannot read it."""
    kind = TOPICS.get(topic)
    if kind is None or version > kind.version:
        known = "no such topic" if kind is None else f"up to version {kind.version}"
        raise StateCorrupt(f"the journal holds {topic!r} version {version}, this code knows {known}: run newer code")
    try:
        return decode(kind, data)
    except UnitError as error:
        raise StateCorrupt(f"the journal holds a {topic!r} this code cannot read: {error}") from error
