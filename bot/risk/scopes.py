"""Worst-case exposure by everything that has a cap: the account, each asset, each theme."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from bot.domain.fees import assumed_rate
from bot.domain.snapshot import Snapshot
from bot.risk.exposure import exposure
from bot.settings.config import Config


def exposure_by_scope(snap: Snapshot, config: Config) -> Mapping[str, Decimal]:
    """In the equity currency: `total`, `asset:BTC` for each asset with any, `theme:NAME` for each theme.

    Holdings at mark, and every entry that works, is unknown or is not ours, at its limit price with the worst fee: the
    same sum the caps are held against.
    """
    fees = config.policy.fees
    book = exposure(snap, assumed_rate(snap.fees, fees.worst_maker_pct, fees.worst_taker_pct))
    scopes = {"total": book.total} | {f"asset:{base}": value for base, value in sorted(book.assets.items())}
    for theme, members in config.universe.themes.items():
        scopes[f"theme:{theme}"] = book.group(product.base for product in members)
    return scopes
