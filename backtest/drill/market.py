"""The gate's market: eleven made-up days in which every rule, stop and limit gets its turn.

Eight products, a minute a bar, drawn from fixed seeds in whole ticks, so that every machine makes the same files. Each
product goes through scenes laid out by hand (climbs, bursts on volume, falls, bounces, a crash) with noise around them;
one falls silent for two hours, some minutes have no candle, and the listings change on the way.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

from backtest.candles import COLUMNS
from backtest.chance import bell, below
from backtest.listing import FILE as LISTINGS
from bot.domain.bars import Ints
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.settings.universe import Universe

BEGIN: Final = datetime(2024, 1, 1, tzinfo=UTC)
HISTORY: Final = timedelta(days=8)
LENGTH: Final = timedelta(days=2)
SINCE: Final = BEGIN + HISTORY
UNTIL: Final = SINCE + LENGTH

PLACES: Final = 2
SIZE_PLACES: Final = 4
NOISE_PPM: Final = 420
PARTS: Final = 1_000_000
QUIET_OF: Final = 90
"""One minute in so many has no candle."""
CAST_OF_TIER: Final[Mapping[int, int]] = {1: 2, 2: 3, 3: 3}
DOLLARS_A_MINUTE: Final[Mapping[int, int]] = {1: 30_000, 2: 4_000, 3: 900}
MINUTE: Final = timedelta(minutes=1)
LEAST: Final[Mapping[int, str]] = {0: "110", 3: "70"}
"""Dearest orders the venue takes, by place in the cast: what a cap leaves is too little there."""


class Scene(Value):
    """From `begin` minutes after the run's first bar (negative: before it), for `minutes`: the price moves by `percent`
    in all, and `volume` times the usual is traded."""

    begin: int
    minutes: int
    percent: float
    volume: int = 1


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
    drift, busy = _script(role.scenes, count)
    closes = _walk(role.cents, drift + bell(10 * number + 1, count, 2 * NOISE_PPM))
    opens = np.concatenate(([role.cents], closes[:-1]))
    wicks = below(10 * number + 2, 2 * count, 2 * NOISE_PPM).reshape(2, count)
    highs = np.maximum(opens, closes) * (PARTS + wicks[0]) // PARTS
    lows = -(-np.minimum(opens, closes) * (PARTS - wicks[1]) // PARTS)
    lows = np.minimum(lows, np.minimum(opens, closes))
    lots = dollars * 10 ** (PLACES + SIZE_PLACES) // closes
    volumes = lots * busy * (40 + below(10 * number + 3, count, 121)) // 100
    there = below(10 * number + 4, count, QUIET_OF) > 0
    there[0] = True
    first = int(HISTORY / MINUTE)
    there[first + role.silent.start : first + role.silent.stop] = False
    return _text(np.flatnonzero(there), (opens, highs, lows, closes), volumes)


def listings(products: Sequence[ProductId]) -> list[dict[str, Any]]:
    """What the venue lists, by date: coarser steps from the second day on, one product closed to entries for hours."""
    usual = [_listed(product) | {"quote_min_size": LEAST.get(i, "5")} for i, product in enumerate(products)]
    coarse = [
        row | ({"price_increment": "0.05", "base_increment": "0.01"} if i == 4 else {}) for i, row in enumerate(usual)
    ]
    shut = [row | {"cancel_only": i in (2, 6)} for i, row in enumerate(coarse)]
    dated = ((BEGIN, usual), (SINCE + timedelta(hours=24), coarse), (SINCE + timedelta(hours=31), shut),
             (SINCE + timedelta(hours=34), coarse))  # fmt: skip
    return [{"from": at.isoformat(), "products": rows} for at, rows in dated]


def _listed(product: ProductId) -> dict[str, Any]:
    flags = ("is_disabled", "trading_disabled", "view_only", "cancel_only", "post_only", "auction_mode", "limit_only")
    return {
        "product_id": product, "status": "online", "base_increment": "0.0001", "quote_increment": "0.01",
        "price_increment": "0.01", "base_min_size": "0.0001", "base_max_size": "1000000",
        "quote_max_size": "10000000", **dict.fromkeys(flags, False),
    }  # fmt: skip


def _script(scenes: Sequence[Scene], count: int) -> tuple[Ints, Ints]:
    """Drift in parts per million and volume as a multiple, of every minute."""
    drift, busy = np.zeros(count, np.int64), np.ones(count, np.int64)
    for scene in scenes:
        first = int(HISTORY / MINUTE) + scene.begin
        span = slice(max(0, first), min(count, first + scene.minutes))
        drift[span] += round(scene.percent / 100 * PARTS / scene.minutes)
        busy[span] = scene.volume
    return drift, busy


def _walk(start: int, moves: Ints) -> Ints:
    """Prices in ticks, each the one before moved by so many parts per million, rounded half up."""
    found, price = np.empty(len(moves), np.int64), start
    for index, move in enumerate(moves.tolist()):
        price += (2 * price * move + PARTS) // (2 * PARTS)
        found[index] = price
    return found


def _text(minutes: Ints, prices: Sequence[Ints], volumes: Ints) -> bytes:
    return "\n".join([",".join(COLUMNS), *_lines(minutes, prices, volumes), ""]).encode()


def _lines(minutes: Ints, prices: Sequence[Ints], volumes: Ints) -> Iterator[str]:
    begin = int(BEGIN.timestamp())
    columns = (minutes, *(column[minutes] for column in (*prices, volumes)))
    for minute, *cents, lots in zip(*(column.tolist() for column in columns), strict=True):
        numbers = (f"{cent // 100}.{cent % 100:02d}" for cent in cents)
        yield f"{begin + 60 * minute},{','.join(numbers)},{Decimal(lots).scaleb(-SIZE_PLACES)}"
