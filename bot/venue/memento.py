"""A venue as bytes and back, for an embedded account that survives a restart."""

from __future__ import annotations

import json

from bot.domain.codec import canonical, decode, encode
from bot.errors import StateCorrupt, UnitError
from bot.venue.kept import VERSION, Kept
from bot.venue.rules import FillRules
from bot.venue.venue import Venue


def dump(venue: Venue) -> bytes:
    """The venue in canonical form: the same bytes as long as nothing has happened in it."""
    return canonical(encode(venue.keep()))


def restore(content: bytes, rules: FillRules) -> Venue:
    """The venue that `dump` wrote, under the rules of this run. Raises StateCorrupt when it cannot be trusted."""
    try:
        data = json.loads(content)
        version = data["version"] if isinstance(data, dict) else None
        if version != VERSION:
            raise StateCorrupt(f"embedded account: version must be {VERSION}, was {version!r}")
        venue = Venue.resume(decode(Kept, data), rules)
    except (UnitError, ValueError, KeyError) as error:
        raise StateCorrupt(f"embedded account cannot be read: {error}") from error
    wrong = {name: amount for name, amount in venue.residuals().items() if amount != 0}
    if wrong:
        raise StateCorrupt(f"embedded account does not balance: {wrong}")
    return venue
