"""Keeps secrets and line breaks out of everything an operator, a file or a socket may see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

HIDDEN: Final = "[redacted]"
TEXT_LIMIT: Final = 2_000

_SHAPES: Final = (
    re.compile(r"-----BEGIN [A-Z ]*-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL),
    re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}"),
)
_SECRET_KEYS: Final = re.compile(r"(?i)(secret|password|passwd|token|private_?key|authorization|jwt|webhook)")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class Redactor:
    """Replaces known secret values, anything shaped like a key or token, and values under telling keys."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = sorted({form for form in secrets if len(form) >= 8}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, forms))) if forms else None

    def text(self, value: str) -> str:
        """One line of at most TEXT_LIMIT characters without secrets."""
        for shape in _SHAPES:
            value = shape.sub(HIDDEN, value)
        if self._known is not None:
            value = self._known.sub(HIDDEN, value)
        value = _CONTROL.sub(" ", value)
        return value if len(value) <= TEXT_LIMIT else f"{value[:TEXT_LIMIT]}... ({len(value)} characters)"

    def value(self, key: str, value: Any) -> Any:
        """A field of a log line or file: numbers and booleans pass, texts are cleaned, containers walked."""
        if isinstance(value, bool | int | float) or value is None:
            return value
        if _SECRET_KEYS.search(key):
            return HIDDEN
        if isinstance(value, Mapping):
            return {self.text(str(k)): self.value(str(k), v) for k, v in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(key, item) for item in value]
        return self.text(str(value))


def without_secrets(text: str) -> str:
    """One short line without anything shaped like a key or a token."""
    return Redactor().text(text)
