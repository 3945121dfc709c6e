"""Six markets that rise together: the bot bids in each of them and is not filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bot.domain.money import floor_to
from bot.settings.config import Config
from simulator.markets.listing import Listing, default_listings
from simulator.markets.script import Print, Step
from tests.loop.stage import RISE, config_of, down, up

LISTINGS: Sequence[Listing] = default_listings(6)
NAMES: Sequence[str] = tuple(str(listing.id) for listing in LISTINGS)
UNIVERSE: Mapping[str, Any] = {
    "tiers": {
        1: {
            "products": list(NAMES),
            "min_depth": 10,
            "min_volume_24h": 10,
            "base_size_pct": 3,
            "max_spread_bps": 50,
        },
        2: {"products": ["LTC-USD", "AVAX-USD", "BCH-USD", "LINK-USD"]},
    },
    "hysteresis": {"enter_after": 1, "leave_after": 3},
    "themes": {"majors": ["BTC-USD"]},
}
POLICY: Mapping[str, Any] = {
    "rules": [{**RISE, "cooldown_minutes": None, "max_new_per_cycle": 6, "budget_pct": 25}],
    "risk": {"max_open_positions": 6, "cooldown_minutes": 30},
    "execution": {"post_only_ttl_seconds": 3000, "maker_max_reprices": 0},
}
"""One order in each market, good for the better part of an hour."""


CALLS: Sequence[str] = (
    "balances", "working_orders", "orders_created", "order", "fills_since", "place", "cancel",
)  # fmt: skip
"""What a bot asks of its account, and what it orders there."""


def config(policy: Mapping[str, Any] = POLICY) -> Config:
    """The same for a bot in process."""
    others = {name: value for name, value in policy.items() if name != "rules"}
    return config_of(policy["rules"][0], UNIVERSE, **others)


def rising(until_s: int, every_s: int = 20) -> Sequence[Step]:
    """Up by eight in a thousand within half a minute, and there they stay."""
    return tuple(sorted(_prints(until_s, every_s), key=lambda step: step.at_s))


def _prints(until_s: int, every_s: int) -> Iterator[Print]:
    for listing in LISTINGS:
        price = str(floor_to(listing.opening * Decimal("1.008"), listing.product.price_step))
        size = str(floor_to(Decimal(50_000) / listing.opening, listing.product.size_step))
        yield up(30, price, listing.id, size)
        for at in range(31, until_s, every_s):
            yield down(at, price, listing.id, size)
            yield up(at + 1, price, listing.id, size)
