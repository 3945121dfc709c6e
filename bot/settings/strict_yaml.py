"""YAML without surprises: numbers keep their text, and what YAML 1.1 would quietly turn into something else is refused.

Refused: duplicate keys, anchors, aliases, merges, tags, dates, octal, hexadecimal, sexagesimal and exponent numbers,
`yes` and `no`, several documents, anything too large or too deep, and anything that resembles a secret. What is refused
becomes one line each in `Document.problems`, with its line number; nothing is shown of a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import takewhile
from typing import Any, Final

import yaml

from bot.domain.money import decimal_text
from bot.domain.value import Value
from bot.settings.shapes import WITHHELD, names_a_secret, secret_kind, withheld

SIZE_LIMIT: Final = 1_000_000
DEPTH_LIMIT: Final = 20
NODE_LIMIT: Final = 20_000
TEXT_SHOWN: Final = 60

_CUT_SHORT: Final = "ends in the middle of a line, as if half written: end the last line"

KeyPath = tuple[str | int, ...]

_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,23})", re.ASCII)
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,23})\.[0-9]{1,24}", re.ASCII)
_BOOLEAN_LIKE: Final = frozenset({"true", "false", "yes", "no", "on", "off", "y", "n"})
_NULL: Final = frozenset({"", "~", "null"})
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?", re.ASCII)
_SEXAGESIMAL: Final = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-9]+)+(?:\.[0-9_]*)?", re.ASCII)
_OTHER_BASE: Final = re.compile(r"[-+]?0(?:[xX][0-9a-fA-F_]+|[oO]?[0-9_]+|[bB][01_]+)", re.ASCII)
_NUMBER_LIKE: Final = re.compile(
    r"[-+]?(?:\.?[0-9][0-9_,.]*(?:[eE][-+]?[0-9]+)?|\.(?:inf|nan))", re.ASCII | re.IGNORECASE
)


class Problem(Value, order=True):
    """One thing wrong with a file; `line` counts from 1, 0 means the file as a whole."""

    file: str
    line: int
    path: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.path}: {self.text}" if self.path else f"{where}: {self.text}"


@dataclass(slots=True)
class Document:
    """One file as plain values (dict, list, str, int, Decimal, bool, None), where each stood, and what was refused."""

    file: str
    value: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: set[KeyPath] = field(default_factory=set)

    def refuse(self, line: int, path: KeyPath, text: str) -> None:
        """Note one problem; later checks stay silent about the same place."""
        self.problems.append(self.problem(line, path, text))
        self.refused.add(path)

    def problem(self, line: int, path: KeyPath, text: str) -> Problem:
        """One thing wrong at a place of this file."""
        return Problem(self.file, line, path_text(path), text)


def path_text(path: KeyPath) -> str:
    """`rules[0].when.all[1]`, as people write it."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return withheld(text.removeprefix("."))


def shown(value: object) -> str:
    """A value for a message: short, and withheld when it resembles a secret."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = decimal_text(value) if isinstance(value, Decimal) else str(value)
    if withheld(text) is not text:
        return WITHHELD
    return (
        repr(text[:TEXT_SHOWN] + "...") if len(text) > TEXT_SHOWN else repr(value) if isinstance(value, str) else text
    )


def read(file: str, data: bytes) -> Document:
    """The document in `data`, which may be anything at all. Never raises: look at `problems`."""
    document = Document(file)
    if len(data) > SIZE_LIMIT:
        document.refuse(0, (), f"is larger than {SIZE_LIMIT} bytes")
        return document
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        document.refuse(data.count(b"\n", 0, error.start) + 1, (), "is not UTF-8 text")
        return document
    _refuse_secret_lines(document, text)
    if text.strip() and not text.endswith(("\n", "\r", "}", "]", "# end")):
        document.problems.append(document.problem(text.count("\n") + 1, (), _CUT_SHORT))
    try:
        document.value = _Reader(text, document).read()
    except yaml.MarkedYAMLError as error:
        document.refuse(_line(error.problem_mark or error.context_mark), (), f"is not valid YAML: {_said(error)}")
    except yaml.YAMLError:
        document.refuse(0, (), "holds characters that may not stand in YAML")
    return document


def _refuse_secret_lines(document: Document, text: str) -> None:
    """Comments and half-written files count too, so every raw line is looked at."""
    for number, line in enumerate(text.splitlines(), start=1):
        if (kind := secret_kind(line)) is not None:
            document.refuse(number, (), _secret(kind))


def _secret(kind: str) -> str:
    return f"looks like {kind}: secrets come from the environment or systemd credentials, never from this file"


def _line(mark: Any) -> int:
    return 0 if mark is None else mark.line + 1


def _said(error: yaml.MarkedYAMLError) -> str:
    """The parser's own words, without its excerpt of the file."""
    return withheld(", ".join(part for part in (error.context, error.problem) if part))[:200]


class _TooMuch(yaml.MarkedYAMLError):
    """Deeper or longer than any configuration."""


class _Reader:
    """Turns the parser's events into values, bounded, and remembers the line of each."""

    def __init__(self, text: str, document: Document) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._document = document
        self._count = 0
        self._depth = 0

    def read(self) -> Any:
        """The one document, or None when there is none."""
        value, seen = None, False
        for event in self._events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            if seen:
                self._document.refuse(_line(event.start_mark), (), "holds a second document (---): keep one")
                break
            value, seen = self._value(next(self._events), ()), True
        return value

    def _value(self, event: Any, path: KeyPath) -> Any:
        self._count += 1
        if self._depth >= DEPTH_LIMIT or self._count > NODE_LIMIT:
            limit = f"over {NODE_LIMIT} values" if self._count > NODE_LIMIT else f"deeper than {DEPTH_LIMIT} levels"
            raise _TooMuch(problem=f"it is {limit}", problem_mark=event.start_mark)
        self._document.lines.setdefault(path, _line(event.start_mark))
        self._refuse_references(event, path)
        self._depth += 1
        value = self._read_value(event, path)
        self._depth -= 1
        return value

    def _refuse_references(self, event: Any, path: KeyPath) -> None:
        line = _line(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            self._document.refuse(line, path, "aliases (*name) are not allowed: write the value out")
        elif event.anchor is not None:
            self._document.refuse(line, path, "anchors (&name) are not allowed: write the value out")
        if getattr(event, "tag", None) is not None:
            self._document.refuse(line, path, "tags (!name) are not allowed: quote a text, write a plain number")

    def _read_value(self, event: Any, path: KeyPath) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            items = takewhile(lambda item: not isinstance(item, yaml.SequenceEndEvent), self._events)
            return [self._value(item, (*path, number)) for number, item in enumerate(items)]
        return self._scalar(event, path) if isinstance(event, yaml.ScalarEvent) else None

    def _mapping(self, path: KeyPath) -> dict[str | int, Any]:
        result: dict[str | int, Any] = {}
        for event in takewhile(lambda item: not isinstance(item, yaml.MappingEndEvent), self._events):
            line = _line(event.start_mark)
            key = self._key(event, path)
            here = path if key is None else (*path, key)
            if key in result:
                text = f"is written twice (first on line {self._document.lines[here]})"
                self._document.problems.append(self._document.problem(line, here, text))
            else:
                self._document.lines.setdefault(here, line)
            value = self._named(str(key), next(self._events), here)
            if key is not None:
                result.setdefault(key, value)
        return result

    def _named(self, key: str, event: Any, path: KeyPath) -> Any:
        if names_a_secret(key) and isinstance(event, yaml.ScalarEvent) and event.value:
            self._document.refuse(_line(event.start_mark), path, _secret("a secret by its name"))
            return WITHHELD
        return self._value(event, path)

    def _key(self, event: Any, path: KeyPath) -> str | int | None:
        """The key, or None when it cannot be one; what it stands before is read all the same."""
        if not isinstance(event, yaml.ScalarEvent):
            self._document.refuse(_line(event.start_mark), path, "a key must be a plain word or number")
            self._value(event, path)
            return None
        self._refuse_references(event, path)
        if (kind := secret_kind(event.value)) is not None:
            self._document.refuse(_line(event.start_mark), path, _secret(kind))
            return None
        plain = event.style is None
        if plain and (trap := _trap(event.value)) is not None:
            self._document.refuse(_line(event.start_mark), (*path, event.value), trap)
            return None
        return int(event.value) if plain and _INTEGER.fullmatch(event.value) else str(event.value)

    def _scalar(self, event: Any, path: KeyPath) -> Any:
        text, line = event.value, _line(event.start_mark)
        if (kind := secret_kind(text)) is not None:
            if all(problem.line != line for problem in self._document.problems):
                self._document.refuse(line, path, _secret(kind))
            self._document.refused.add(path)
            return WITHHELD
        if event.style is not None:
            return text
        if (trap := _trap(text)) is not None:
            self._document.refuse(line, path, trap)
            return None
        return _plain(text)


def _plain(text: str) -> Any:
    if text in _NULL:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(decimal_text(Decimal(text))) if _DECIMAL.fullmatch(text) else text


_TRAPS: Final[Mapping[str, re.Pattern[str]]] = {
    "reads as a date in YAML: quote it": _DATE,
    "reads as a base-60 number in YAML: quote it": _SEXAGESIMAL,
    "reads as an octal, hexadecimal or binary number in YAML: write a plain decimal number, or quote it": _OTHER_BASE,
    "must be a plain decimal number such as 0.5 or 1000, or quoted text": _NUMBER_LIKE,
}


def _trap(text: str) -> str | None:
    """Why a plain scalar is refused: it would mean different things to different readers of YAML."""
    if text in {"true", "false"} or text in _NULL or _INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text):
        return None
    if text.lower() in _BOOLEAN_LIKE:
        return f"{text!r} may read as true or false in YAML: write true or false, or quote it"
    if text.lower() == "null":
        return f"{text!r}: write null"
    if text in {"<<", "="}:
        return f"{text!r} has a special meaning in YAML: write the values out"
    return next((f"{shown(text)} {why}" for why, pattern in _TRAPS.items() if pattern.fullmatch(text)), None)
