"""Values that remember what was worked out of them, over changes that cannot make it wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from bot.domain.value import Value, replace


class Evolving(Value, dict=True):
    """Base of a value with cached properties that is changed a few fields at a time, many times a cycle.

    follows_from: cached property -> the one field it is worked out of. A changed copy keeps it while that field stays,
    and of every other cached property nothing.
    """

    follows_from: ClassVar[Mapping[str, str]] = {}

    def changed(self, **changes: Any) -> Self:
        """A copy with these fields instead. Raises TypeError for a name that is no field."""
        copy, follows_from = replace(self, **changes), self.follows_from
        if follows_from and self.__dict__:
            kept = copy.__dict__
            for name, worked_out in self.__dict__.items():
                if name in follows_from and follows_from[name] not in changes:
                    kept[name] = worked_out
        return copy
