"""Value: what is made once, compared by its fields, and never changed.

The base of every frozen type here. A struct of msgspec does what a frozen dataclass does and is checked as one; it is
made in a tenth of the time, and a cycle makes hundreds.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, dataclass_transform

from msgspec import Struct, field

if TYPE_CHECKING:
    from dataclasses import replace  # the names and types of the changes are checked
    from functools import cached_property
else:
    from msgspec.structs import replace

    class _Remembered(functools.cached_property):
        """What Python 3.12 made of it: without the lock around the first look, which costs more than most answers do.

        Two threads may both work it out, and of a value both find the same.
        """

        def __get__(self, instance, owner=None):
            if instance is None:
                return self
            found = instance.__dict__[self.attrname] = self.func(instance)
            return found

    cached_property = _Remembered


__all__ = ["Value", "cached_property", "field", "field_names", "replace"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Value(Struct, frozen=True):
    """Base of a frozen type: fields are annotations, as in a dataclass; `__post_init__` may refuse."""


def field_names(kind: type[Value]) -> tuple[str, ...]:
    """Names of the fields, in the order in which they are given."""
    return kind.__struct_fields__
