"""The gate's second market: three days of three products in five-minute bars that try the venue and every loss stop.

From a Saturday to a Monday. Every episode begins with a jump that a rule buys into; its fill and its end follow:
inside the very bar of the fill, at the target, at the stop, or by a bar that opens far below the stop. Enough is traded
to climb the ladder of fees, a height is reached between two cycles that are run, and the losses add up to the stop of a
day, of a week and of a drawdown, with jumps left to be missed while each of them holds.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from backtest.chance import bell, below
from backtest.drill.making import PARTS, PLACES, SIZE_PLACES, Scene, file, listed, script, walk
from backtest.listing import FILE as LISTINGS
from bot.domain.product import ProductId
from bot.settings.universe import Universe

STEP: Final = timedelta(minutes=5)
BEGIN: Final = datetime(2024, 1, 4, 22, tzinfo=UTC)
HISTORY: Final = timedelta(hours=26)
SINCE: Final = BEGIN + HISTORY
UNTIL: Final = SINCE + timedelta(days=3)
DAY: Final = timedelta(days=1) // STEP

NOISE_PPM: Final = 150
DOLLARS_A_BAR: Final = (2_000_000, 2_000_000, 100_000)
ASLEEP: Final = 40
"""So many bars the last product is traded too little to be bought, whatever it does."""
STARTS: Final = (4_000_000, 220_000, 10_000)
"""First prices in cents."""

Scenes = tuple[Scene, ...]


def _jump(begin: int, dip: float = 0.4, high: float = 0.0, after: float = 0.0) -> Scenes:
    """What is bought into, and the bar in which the bid below it is met."""
    return Scene(begin, 1, 2), Scene(begin + 1, 1, after, low=dip, high=high)


def _won(begin: int) -> Scenes:
    return *_jump(begin), Scene(begin + 2, 12, 3.4), Scene(begin + 14, 30, -4.6)


def _lost(begin: int) -> Scenes:
    return *_jump(begin), Scene(begin + 2, 20, -4.2), Scene(begin + 22, 30, 2)


def _swelled(begin: int) -> Scenes:
    """A height without an order near it, and a loss after all."""
    return *_jump(begin), Scene(begin + 2, 10, 1.9), Scene(begin + 12, 30, -6), Scene(begin + 42, 30, 2)


def _gapped(begin: int) -> Scenes:
    """A bar that opens two percent below the stop."""
    return *_jump(begin), Scene(begin + 2, 10, -1), Scene(begin + 12, 1, -4, gap=-4), Scene(begin + 13, 40, 3)


def _touched(begin: int) -> Scenes:
    """The bar of the fill reaches the target, nobody knows whether before or after; then the stop."""
    return *_jump(begin, high=3), Scene(begin + 2, 20, -4.2), Scene(begin + 22, 30, 2)


def _proven(begin: int) -> Scenes:
    """The bar of the fill closes beyond the target."""
    return *_jump(begin, after=3.2), Scene(begin + 2, 30, -5)


def _pierced(begin: int) -> Scenes:
    """The bar of the fill falls below the stop and recovers."""
    return *_jump(begin, dip=4), Scene(begin + 2, 30, -2)


EPISODES: Final[tuple[Scenes, ...]] = (
    (
        *_won(12), *_won(60), *_touched(110), *_won(200),
        *_proven(DAY + 20), *_won(DAY + 200),
        *_lost(2 * DAY + 20), *_won(2 * DAY + 200),
    ),
    (
        *_swelled(63), *_won(190),
        *_lost(DAY + 70), *_won(DAY + 230),
        *_lost(2 * DAY + 60),
    ),
    (
        *_won(20), *_gapped(140),
        *_pierced(DAY + 130),
        *_won(2 * DAY + 130),
        Scene(ASLEEP, 3 * DAY, 0, volume=20),
    ),
)  # fmt: skip
"""By the order in which the universe names its products."""


def write(folder: Path, universe: Universe) -> Path:
    """One file of candles a product, and the listings; answers the folder. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    products = cast(universe)
    for number, product in enumerate(products):
        (folder / f"{product}_5m.csv").write_bytes(candles(number))
    answer = {"from": BEGIN.isoformat(), "products": [listed(product) for product in products]}
    (folder / LISTINGS).write_text(json.dumps([answer], indent=1))
    return folder


def cast(universe: Universe) -> tuple[ProductId, ...]:
    found = [product for _, tier in sorted(universe.tiers.items()) for product in tier.products]
    return tuple(found[: len(EPISODES)])


def candles(number: int) -> bytes:
    """The file of one product: every bar is there."""
    count, first = (UNTIL - BEGIN) // STEP, HISTORY // STEP
    asked, seed = script(EPISODES[number], first, count), 1000 + 10 * number
    closes = walk(STARTS[number], asked.drift + bell(seed, count, 2 * NOISE_PPM))
    before = np.concatenate((STARTS[number : number + 1], closes[:-1]))
    opens = before * (PARTS + asked.gap) // PARTS
    wicks = below(seed + 1, 2 * count, 2 * NOISE_PPM).reshape(2, count)
    highs = np.maximum(opens, closes) * (PARTS + wicks[0] + asked.high) // PARTS
    lows = np.minimum(opens, closes) * (PARTS - wicks[1] - asked.low) // PARTS
    lots = DOLLARS_A_BAR[number] * 10 ** (PLACES + SIZE_PLACES) // closes
    volumes = lots * asked.busy * (40 + below(seed + 2, count, 121)) // 100
    return file(BEGIN, int(STEP.total_seconds()), np.arange(count), (opens, highs, lows, closes), volumes)
