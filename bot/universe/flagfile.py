"""The watched file of red flags: one `PRODUCT KIND [note]` a line; `#` begins a comment."""

from __future__ import annotations

from bot.domain.product import ProductId
from bot.errors import UnitError
from bot.settings.universe import Flagged


def read(content: bytes) -> tuple[Flagged, ...]:
    """The flags of the file, in order. A line that names no product or no kind flags nothing."""
    found = []
    for line in content.decode("utf-8", "replace").splitlines():
        words = line.split("#", 1)[0].split()
        if len(words) < 2:
            continue
        try:
            product = ProductId.parse(words[0])
        except UnitError:
            continue
        found.append(Flagged(product=product, kind=words[1], note=" ".join(words[2:])))
    return tuple(found)
