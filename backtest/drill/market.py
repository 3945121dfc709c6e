"""The gate's market: eleven made-up days in which every rule, stop and limit gets its turn.

Eight products, a minute a bar, drawn from fixed seeds in whole ticks, so that every machine makes the same files. Each
product goes through scenes laid out by hand (climbs, bursts on volume, falls, bounces, a crash) with noise around them;
one falls silent for two hours, some minutes have no candle, and the listings change on the way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from backtest.chance import bell, below
from backtest.drill.making import PARTS, PLACES, SIZE_PLACES, Scene, file, listed, script, walk
from backtest.listing import FILE as LISTINGS
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.settings.universe import Universe

BEGIN: Final = datetime(2024, 1, 1, tzinfo=UTC)
HISTORY: Final = timedelta(days=8)
LENGTH: Final = timedelta(days=2)
SINCE: Final = BEGIN + HISTORY
UNTIL: Final = SINCE + LENGTH

NOISE_PPM: Final = 420
QUIET_OF: Final = 90
"""One minute in so many has no candle."""
CAST_OF_TIER: Final[Mapping[int, int]] = {1: 2, 2: 3, 3: 3}
DOLLARS_A_MINUTE: Final[Mapping[int, int]] = {1: 30_000, 2: 4_000, 3: 900}
MINUTE: Final = timedelta(minutes=1)
LEAST: Final[Mapping[int, str]] = {0: "110", 3: "70"}
"""Dearest orders the venue takes, by place in the cast: what a cap leaves is too little there."""


class Role(Value):
    """One product of the cast. cents: its first price. silent: minutes of the run in which nothing was recorded."""

    cents: int
    scenes: tuple[Scene, ...]
    silent: range = range(0)


def _climb(begin: int) -> tuple[Scene, ...]:
    """A day of steady rise that ends in a slip: momentum, for a while."""
    return Scene(begin, 1320, 5.4), Scene(begin + 1320, 90, 0.3), Scene(begin + 1410, 60, -2.6)


def _burst(begin: int, after: float) -> tuple[Scene, ...]:
    """A new high on heavy volume, what comes of it within two hours, and its fading."""
    return (
        Scene(begin, 24, 3.2, 9), Scene(begin + 24, 50, -0.2, 3), Scene(begin + 74, 120, after),
        Scene(begin + 194, 200, -0.7 * after - 2.2),
    )  # fmt: skip


def _dip(begin: int, after: float) -> tuple[Scene, ...]:
    """A fall, a turn on volume, and what comes of it."""
    return Scene(begin, 200, -6.5), Scene(begin + 200, 100, 4.2, 4), Scene(begin + 300, 240, after)


ROLES: Final[tuple[Role, ...]] = (
    Role(
        4_200_000,
        (
            Scene(-9000, 4000, 2.0),
            Scene(140, 12, -4.2, 6),
            Scene(152, 60, 3.6),
            *_burst(400, 2.0),
            Scene(2500, 30, -4.5, 6),
        ),
    ),
    Role(230_000, (Scene(-7000, 3000, -1.5), *_climb(-1300), *_dip(900, 6.5))),
    Role(9_800, (*_burst(100, 7.5), *_dip(1100, -5.5))),
    Role(61_50, (*_burst(1450, -6.0), Scene(2300, 300, 3.0))),
    Role(5_900, (*_dip(60, 1.0), *_burst(1900, 7.5))),
    Role(7_400, (*_dip(1300, 0.5), *_burst(2100, 1.0)), silent=range(2750, 2870)),
    Role(10_400, (*_burst(500, -5.0), *_climb(900), Scene(2500, 300, -4.0))),
    Role(6_100, (*_dip(700, 7.0), *_burst(1700, -4.5), Scene(1204, 1, 13.0), Scene(1205, 1, -11.4))),
)
"""By the order in which the universe's tiers name their first products."""


def cast(universe: Universe) -> tuple[ProductId, ...]:
    """The first products of each tier, best tier first: as many as there are roles."""
    found = [p for number, tier in sorted(universe.tiers.items()) for p in tier.products[: CAST_OF_TIER.get(number, 0)]]
    return tuple(found[: len(ROLES)])


def write(folder: Path, universe: Universe) -> Path:
    """One file of candles a product, and the listings; answers the folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    products = cast(universe)
    for number, product in enumerate(products):
        tier = universe.tier_of(product) or min(DOLLARS_A_MINUTE)
        (folder / f"{product}_1m.csv").write_bytes(candles(number, DOLLARS_A_MINUTE.get(tier, DOLLARS_A_MINUTE[3])))
    (folder / LISTINGS).write_text(json.dumps(listings(products), indent=1))
    return folder


def candles(number: int, dollars: int) -> bytes:
    """The file of one role. dollars: what is traded in a usual minute."""
    role, count = ROLES[number], int((UNTIL - BEGIN) / MINUTE)
    first = int(HISTORY / MINUTE)
    asked = script(role.scenes, first, count)
    closes = walk(role.cents, asked.drift + bell(10 * number + 1, count, 2 * NOISE_PPM))
    opens = np.concatenate(([role.cents], closes[:-1]))
    wicks = below(10 * number + 2, 2 * count, 2 * NOISE_PPM).reshape(2, count)
    highs = np.maximum(opens, closes) * (PARTS + wicks[0]) // PARTS
    lows = -(-np.minimum(opens, closes) * (PARTS - wicks[1]) // PARTS)
    lows = np.minimum(lows, np.minimum(opens, closes))
    lots = dollars * 10 ** (PLACES + SIZE_PLACES) // closes
    volumes = lots * asked.busy * (40 + below(10 * number + 3, count, 121)) // 100
    there = below(10 * number + 4, count, QUIET_OF) > 0
    there[0] = True
    there[first + role.silent.start : first + role.silent.stop] = False
    return file(BEGIN, 60, np.flatnonzero(there), (opens, highs, lows, closes), volumes)


def listings(products: Sequence[ProductId]) -> list[dict[str, Any]]:
    """What the venue lists, by date: coarser steps from the second day on, one product closed to entries for hours."""
    usual = [listed(product, LEAST.get(i, "5")) for i, product in enumerate(products)]
    coarse = [
        row | ({"price_increment": "0.05", "base_increment": "0.01"} if i == 4 else {}) for i, row in enumerate(usual)
    ]
    shut = [row | {"cancel_only": i in (2, 6)} for i, row in enumerate(coarse)]
    dated = ((BEGIN, usual), (SINCE + timedelta(hours=24), coarse), (SINCE + timedelta(hours=31), shut),
             (SINCE + timedelta(hours=34), coarse))  # fmt: skip
    return [{"from": at.isoformat(), "products": rows} for at, rows in dated]
