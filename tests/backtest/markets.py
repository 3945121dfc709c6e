"""Small made-up markets on disk, from a seed: bursts, falls, jumps, quiet minutes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

START = 1_704_067_200  # 2024-01-01T00:00:00Z
HEADER = "start,open,high,low,close,volume"

Row = tuple[int, str, str, str, str, str]


def rows(seed: int, bars: int, price: float = 100.0, places: int = 2, quiet: float = 0.02) -> list[Row]:
    """A random walk with bursts of trend and volume; about `quiet` of the minutes have no candle."""
    chance = random.Random(seed)
    found: list[Row] = []
    burst, drift, heavy = 0, 0.0, 1.0
    for index in range(bars):
        if burst == 0 and chance.random() < 0.004:
            burst, drift, heavy = chance.randint(20, 90), chance.uniform(-0.0012, 0.0016), chance.uniform(2, 8)
        moved = (drift if burst else 0.0) + chance.gauss(0, 0.0006)
        if chance.random() < 0.0006:
            moved += chance.choice((-1, 1)) * chance.uniform(0.01, 0.035)
        opened, closed = price, max(1.0, price * (1 + moved))
        wick = abs(chance.gauss(0, 0.0004))
        high, low = max(opened, closed) * (1 + wick), min(opened, closed) * (1 - wick)
        volume = chance.uniform(20, 180) * (heavy if burst else 1.0)
        texts = [f"{round(value, places):.{places}f}" for value in (opened, high, low, closed)]
        price, burst = round(closed, places), max(0, burst - 1)
        if index and chance.random() < quiet:
            continue
        found.append((START + 60 * index, texts[0], texts[1], texts[2], texts[3], f"{volume:.4f}"))
    return found


def write_csv(folder: Path, product: str, candles: Sequence[Row], length: str = "1m") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{product}_{length}.csv"
    path.write_text("\n".join([HEADER, *(",".join(map(str, row)) for row in candles), ""]))
    return path


def write_markets(folder: Path, seeds: Mapping[str, int], bars: int) -> Path:
    """One file a product, by its seed."""
    for product, seed in seeds.items():
        write_csv(folder, product, rows(seed, bars, price=20.0 + 37 * (seed % 11)))
    return folder
