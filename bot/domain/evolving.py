"""Values that remember what was worked out of them, over changes that cannot make it wrong."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from bot.domain.value import Value, replace

T = TypeVar("T")


class remembered(cached_property[T]):  # noqa: N801 - named like the one it stands for
    """A cached property without the lock that Python 3.11 takes: two threads that are the first to ask both work it
    out, to the same, since values do not change."""

    if not TYPE_CHECKING:  # the types are those of every cached property

        def __get__(self, value, owner=None):
            if value is None:
                return self
            worked_out = value.__dict__[self.attrname] = self.func(value)
            return worked_out


class Evolving(Value, dict=True):
    """Base of a value with cached properties that is changed a few fields at a time, many times a cycle.

    follows_from: cached property -> the one field it is worked out of. A changed copy keeps it while that field stays,
    and of every other cached property nothing.
    """

    follows_from: ClassVar[Mapping[str, str]] = {}
    _hanging: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # field -> what follows from it
    _fleeting: ClassVar[tuple[str, ...]] = ()  # what follows from the value as a whole

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        members = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
        cached = {name for name, member in members.items() if isinstance(member, cached_property)}
        sources, source_of = set(cls.follows_from.values()), cls.follows_from.get
        cls._hanging = {source: tuple(name for name in cached if source_of(name) == source) for source in sources}
        cls._fleeting = tuple(cached - cls.follows_from.keys())

    def changed(self, **changes: Any) -> Self:
        """A copy with these fields instead. Raises TypeError for a name that is no field."""
        copy, hanging = replace(self, **changes), self._hanging
        if hanging and self.__dict__:
            kept = copy.__dict__
            kept.update(self.__dict__)
            for name in self._fleeting:
                kept.pop(name, None)
            for field in changes:
                for name in hanging.get(field, ()):
                    kept.pop(name, None)
        return copy
