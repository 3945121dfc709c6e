"""Journal lines: envelopes as canonical JSON in a hash chain, written, read and verified."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final

from bot.domain.codec import Json, canonical, encode, parse_time, time_text
from bot.domain.event import Envelope, Payload
from bot.domain.value import Value, replace
from bot.errors import StateCorrupt, UnitError
from bot.ports import Storage
from bot.record.topics import payload_of

_FIELDS: Final = frozenset(
    {
        "seq", "ts", "topic", "cycle_id", "causation", "payload", "version",
        "config_hash", "code_version", "prev_hash", "hash",
    }
)  # fmt: skip


def sealed(envelope: Envelope) -> Envelope:
    """The envelope with its hash: the SHA-256 of the canonical JSON of everything else."""
    return replace(envelope, hash=_digest(_body(envelope)))


def line(envelope: Envelope) -> bytes:
    """The envelope as one journal line, newline included."""
    return canonical({**_body(envelope), "hash": envelope.hash}) + b"\n"


def parse(text: bytes) -> Envelope:
    """The envelope of one line. Raises UnitError when it is damaged, StateCorrupt when newer code wrote it."""
    data = _checked(text)
    payload: Payload = payload_of(data["topic"], data["version"], data["payload"])
    return Envelope(
        seq=data["seq"], ts=parse_time(data["ts"]), topic=data["topic"], cycle_id=data["cycle_id"],
        causation=data["causation"], payload=payload, version=data["version"], config_hash=data["config_hash"],
        code_version=data["code_version"], prev_hash=data["prev_hash"], hash=data["hash"],
    )  # fmt: skip


class Damage(Value):
    """A stretch of a day's file that is no event: where it begins, and why it cannot be read."""

    day: str
    offset: int
    why: str

    def __str__(self) -> str:
        return f"journal {self.day}, byte {self.offset}: {self.why}"


def read_day(storage: Storage, day: str) -> tuple[Envelope | Damage, ...]:
    """Every line of one day, links not yet checked. Raises StateCorrupt for lines of newer code."""
    found: list[Envelope | Damage] = []
    offset = 0
    for text in _lines(storage.journal(day)):
        try:
            found.append(parse(text))
        except UnitError as error:
            found.append(Damage(day, offset, str(error)))
        offset += len(text)
    return tuple(found)


def read_days(storage: Storage, days: Sequence[str]) -> Iterator[Envelope]:
    """Every envelope of whole days, oldest first. Raises StateCorrupt at the first damage."""
    for day in days:
        for item in read_day(storage, day):
            if isinstance(item, Damage):
                raise StateCorrupt(str(item))
            yield item


def linked(envelopes: Iterable[Envelope], seq: int, head: str) -> Iterator[Envelope]:
    """The same envelopes, each proven to follow the one before; `seq` and `head` are those of the last known event.

    Raises: StateCorrupt at the first that does not.
    """
    for envelope in envelopes:
        if envelope.seq != seq + 1:
            raise StateCorrupt(f"journal: event {seq + 1} is missing, found {envelope.seq} in its place")
        if envelope.prev_hash != head:
            raise StateCorrupt(f"journal: event {envelope.seq} does not follow event {seq}: its previous hash differs")
        seq, head = envelope.seq, envelope.hash
        yield envelope


def _body(envelope: Envelope) -> dict[str, Any]:
    return {
        "seq": envelope.seq,
        "ts": time_text(envelope.ts),
        "topic": envelope.topic,
        "cycle_id": envelope.cycle_id,
        "causation": envelope.causation,
        "payload": encode(envelope.payload),
        "version": envelope.version,
        "config_hash": envelope.config_hash,
        "code_version": envelope.code_version,
        "prev_hash": envelope.prev_hash,
    }


def _digest(body: Json) -> str:
    return sha256(canonical(body)).hexdigest()


def _checked(text: bytes) -> dict[str, Any]:
    """The line's JSON, proven byte for byte: a line in any other spelling than ours is damaged too."""
    if not text.endswith(b"\n"):
        raise UnitError("the line has no end: it was torn while being written")
    try:
        data = json.loads(text)
        ours = canonical(data) + b"\n" == text
    except (ValueError, RecursionError) as error:
        raise UnitError("the line is not JSON") from error
    if not (ours and isinstance(data, dict) and data.keys() == _FIELDS):
        raise UnitError("the line is not an event in canonical form")
    if _digest({key: value for key, value in data.items() if key != "hash"}) != data["hash"]:
        raise UnitError(f"the hash of event {data['seq']} does not match its content")
    return data


def _lines(content: bytes) -> Iterator[bytes]:
    """Lines with their ends; the last has none when it was torn."""
    *whole, rest = content.split(b"\n")
    yield from (text + b"\n" for text in whole)
    if rest:
        yield rest
