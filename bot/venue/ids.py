"""Names for things the venue makes: they look random and are a function of the seed and a counter."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from string import hexdigits
from typing import Final

_VARIANT: Final = {digit: "89ab"[int(digit, 16) % 4] for digit in hexdigits.lower()}


def uuid_of(name: str) -> str:
    """A lower-case version-4-shaped UUID derived from a name."""
    text = hex_of(name)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def hex_of(name: str) -> str:
    """64 hex characters derived from a name."""
    return sha256(name.encode()).hexdigest()


@dataclass(slots=True)
class Ids:
    """Order ids and fill ids of one venue; two venues with one seed give the same names in the same order."""

    seed: int
    orders: int = 0
    fills: int = 0
    previews: int = 0

    def order(self) -> str:
        self.orders += 1
        return uuid_of(f"{self.seed}/order/{self.orders}")

    def fill(self) -> tuple[str, str]:
        """The next (entry id, trade id)."""
        self.fills += 1
        return hex_of(f"{self.seed}/entry/{self.fills}"), uuid_of(f"{self.seed}/trade/{self.fills}")

    def preview(self) -> str:
        self.previews += 1
        return uuid_of(f"{self.seed}/preview/{self.previews}")
