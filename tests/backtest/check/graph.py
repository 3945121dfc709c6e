"""Two object graphs walked side by side: where they hold objects of different classes, or different values."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from typing import Any

PLAIN = (str, bytes, int, float, bool, type(None), Decimal, datetime, timedelta, Enum, type)
"""Compared by value."""


@dataclass
class Walk:
    """left, right: the objects that stand for the world on either side: id -> the names of the ports it fills. Nothing
    below them is looked at.

    found: path -> (what the left has, what the right has). crossed: ports that were met. classes: of what was walked.
    """

    left: Mapping[int, frozenset[str]]
    right: Mapping[int, frozenset[str]]
    found: dict[str, tuple[str, str]] = field(default_factory=dict)
    crossed: set[str] = field(default_factory=set)
    seen: set[tuple[int, int]] = field(default_factory=set)
    classes: set[type] = field(default_factory=set)

    def compare(self, one: Any, other: Any, path: str) -> None:
        mine, its = self.left.get(id(one)), self.right.get(id(other))
        if mine is not None or its is not None:
            same = (mine or frozenset()) & (its or frozenset())
            self.crossed |= same
            if not same:
                self.found[path] = (type(one).__name__, type(other).__name__)
        elif type(one) is not type(other):
            self.found[path] = (type(one).__name__, type(other).__name__)
        elif isinstance(one, PLAIN):
            if one != other:
                self.found[path] = (repr(one), repr(other))
        elif (id(one), id(other)) not in self.seen:
            self.seen.add((id(one), id(other)))
            self.classes.add(type(one))
            self._inside(one, other, path)

    def _inside(self, one: Any, other: Any, path: str) -> None:
        mine, its = dict(_parts(one)), dict(_parts(other))
        for name in mine.keys() | its.keys():
            if name not in mine or name not in its:
                self.found[f"{path}{name}"] = ("has it" if name in mine else "-", "has it" if name in its else "-")
            else:
                self.compare(mine[name], its[name], f"{path}{name}")


def _parts(item: Any) -> Iterator[tuple[str, Any]]:
    """What an object is made of, by the name under which it holds it."""
    if isinstance(item, Mapping):
        yield from ((f"[{key}]", value) for key, value in item.items())
    elif isinstance(item, list | tuple):
        yield from ((f"[{number}]", value) for number, value in enumerate(item))
    elif isinstance(item, set | frozenset):
        yield "{}", repr(sorted(map(str, item)))
    elif isinstance(item, types.MethodType):
        yield from ((".code", item.__func__.__name__), (".self", item.__self__))
    elif isinstance(item, types.FunctionType):
        yield ".code", f"{item.__module__}.{item.__qualname__}"
        yield from ((f".closure[{number}]", cell.cell_contents) for number, cell in enumerate(item.__closure__ or ()))
    else:
        yield from (
            (f".{name}", value) for name, value in getattr(item, "__dict__", {}).items() if not _kept(item, name)
        )
        for kind in type(item).__mro__:
            slots = getattr(kind, "__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if name != "__dict__" and hasattr(item, name):
                    yield f".{name}", getattr(item, name)


def _kept(item: Any, name: str) -> bool:
    """Whether it follows from the rest, and is there as soon as somebody has asked for it."""
    return isinstance(getattr(type(item), name, None), cached_property)
