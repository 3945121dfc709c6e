"""Values that remember what was worked out of them, over changes that cannot make it wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from bot.domain.value import Value, replace


class Evolving(Value, dict=True):
    """Base of a value with cached properties that is changed a few fields at a time, many times a cycle.

    leads_to: field -> every cached property that is worked out of it. A changed copy keeps those that no changed field
    leads to. A class that names one has to name all of its own; one that names none keeps nothing.
    """

    leads_to: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def changed(self, **changes: Any) -> Self:
        """A copy with these fields instead. Raises TypeError for a name that is no field."""
        copy, known, leads_to = replace(self, **changes), self.__dict__, self.leads_to
        if known and leads_to:
            kept = copy.__dict__
            kept |= known
            for name in changes:
                if name in leads_to:
                    for outdated in leads_to[name]:
                        if outdated in kept:
                            del kept[outdated]
        return copy
