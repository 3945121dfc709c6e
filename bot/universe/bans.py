"""Bans of products with a red flag: who is banned now, what a flag begins, what ends by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from bot.domain.event import BanBegan, BanEnded
from bot.domain.product import ProductId
from bot.domain.state import Ban
from bot.settings.universe import Exclusions, Flagged

CONFIG: str = "universe.yaml"
"""Source of a ban that comes from `exclusions.flagged`."""


def ban(product: ProductId, kind: str, source: str, now: datetime, exclusions: Exclusions) -> Ban | None:
    """The ban a flag begins: from `now` for temporary_ban_hours. None when `kind` is no red flag."""
    if kind not in exclusions.red_flags:
        return None
    lasts = timedelta(seconds=int(exclusions.temporary_ban_hours * 3600))
    return Ban(product, kind, source, now, now + lasts)


def active(bans: Mapping[ProductId, Ban], now: datetime) -> Mapping[str, Ban]:
    """Bans in force at `now`, by base currency: a flag on BTC-USD is one on BTC against any currency.

    A ban is over at the moment `until`. Of several on one coin the one that lasts longest is given.
    """
    found: dict[str, Ban] = {}
    for item in bans.values():
        known = found.get(item.product.base)
        if now < item.until and (known is None or known.until < item.until):
            found[item.product.base] = item
    return found


def begun(
    bans: Mapping[ProductId, Ban], flags: Sequence[Flagged], source: str, now: datetime, exclusions: Exclusions
) -> tuple[BanBegan, ...]:
    """Bans that standing flags begin now. source: CONFIG, or the watched file.

    A flag that stands in a file bans once. The ban, also when it is over, is remembered until the flag is taken out of
    the file (`ended` waits for that), so that it expires although the flag still stands.
    """
    new: dict[ProductId, Ban] = {}
    for flag in flags:
        if flag.product in bans or flag.product in new:
            continue
        made = ban(flag.product, flag.kind, f"{source}: {flag.note}" if flag.note else source, now, exclusions)
        if made is not None:
            new[flag.product] = made
    return tuple(BanBegan(item) for item in new.values())


def ended(bans: Mapping[ProductId, Ban], standing: Collection[ProductId], now: datetime) -> tuple[BanEnded, ...]:
    """Bans that are over and may be forgotten. standing: products with a flag in any file right now."""
    return tuple(
        BanEnded(product, f"expired at {item.until:%Y-%m-%d %H:%M:%S} UTC")
        for product, item in sorted(bans.items())
        if now >= item.until and product not in standing
    )
