"""One REST request and its answer, free of any server; and the errors the venue answers with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from bot.domain.value import Value, field
from simulator.keys import ApiKey
from simulator.text import dumps, parse_rfc3339

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
HTML: Final = "text/html; charset=utf-8"


class Answer(Value):
    """Status, body bytes and headers beyond content type and length."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """An endpoint answers with an error instead."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body[:80]!r}")
        self.answer = answer


def ok(document: Any) -> Answer:
    return Answer(200, dumps(document))


def refusal(status: int, error: str, details: str) -> Refusal:
    """The venue's error body: `message` repeats `error_details`."""
    return Refusal(Answer(status, dumps({"error": error, "error_details": details, "message": details})))


def invalid(details: str) -> Refusal:
    return refusal(400, "INVALID_ARGUMENT", details)


def unparsable(details: str) -> Refusal:
    """What the venue's JSON and query reader says, in its own words."""
    return refusal(400, "unknown", details)


class Query:
    """The query string; a name may occur several times."""

    def __init__(self, text: str) -> None:
        self._pairs = parse_qsl(text, keep_blank_values=True)

    def one(self, name: str, default: str = "") -> str:
        """The last value of a name."""
        return next((value for key, value in reversed(self._pairs) if key == name), default)

    def many(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name and value]

    def flag(self, name: str) -> bool:
        """`true` in any case: the SDK sends `True`. Raises Refusal for anything that is no boolean."""
        text = self.one(name).lower()
        if text not in {"", "true", "false", "1", "0"}:
            raise unparsable(f'parsing field "{name}": strconv.ParseBool: parsing "{self.one(name)}": invalid syntax')
        return text in {"true", "1"}

    def number(self, name: str, default: int) -> int:
        """A whole number >= 0, or `default` when absent. Raises Refusal for anything else."""
        text = self.one(name)
        if not text:
            return default
        if not text.isascii() or not text.isdigit():
            raise unparsable(f'parsing field "{name}": strconv.ParseInt: parsing "{text}": invalid syntax')
        return int(text)

    def time(self, name: str) -> datetime | None:
        text = self.one(name)
        if not text:
            return None
        try:
            return parse_rfc3339(text)
        except ValueError:
            raise unparsable(f'parsing field "{name}": invalid google.protobuf.Timestamp value "{text}"') from None

    def enums(self, name: str, known: Sequence[str]) -> list[str]:
        """The values of a repeated enum field. Raises Refusal naming one that is unknown."""
        values = self.many(name)
        for value in values:
            if value not in known:
                raise unparsable(f'parsing list "{name}": "{value}" is not a valid value')
        return values


class Call(Value):
    """One request as an endpoint sees it. names: the path's placeholders. key: None on public paths."""

    method: str
    path: str
    query: Query
    body: Mapping[str, Any]
    names: Mapping[str, str]
    key: ApiKey | None = None


def page(rows: Sequence[Any], limit: int, cursor: str) -> tuple[Sequence[Any], str]:
    """One page of rows from a numeric cursor, and the next cursor, empty at the end. Raises Refusal."""
    if cursor and not (cursor.isascii() and cursor.isdigit()):
        raise invalid("cursor is invalid")
    first = int(cursor or 0)
    following = first + limit
    return rows[first:following], str(following) if following < len(rows) else ""
