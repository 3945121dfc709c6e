"""The market the verbs `demo` and `sim` trade on: generated from a seed, or recorded candles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from bot.errors import ConfigError
from simulator.markets.generator import GeneratedMarket
from simulator.markets.listing import default_listings
from simulator.markets.market import Market
from simulator.markets.replay import ReplayMarket, candle_files, read_candles
from simulator.server import START

WARM_UP: Final = timedelta(days=8)
"""History the shipped policy wants before it decides (data.warmup_minutes)."""


def market_of(replay: Path | None, seed: int, products: int, start: datetime | None = None) -> Market:
    """Recorded candles of a folder when there is one, else a generated market.

    start: where trading time begins; None for the usual day, or eight days into what was recorded.

    Raises: ConfigError for a folder without candles; CandlesCorrupt.
    """
    if replay is None:
        return GeneratedMarket(default_listings(products), start or START, seed)
    files = candle_files(replay)
    if not files:
        raise ConfigError([f"--replay {replay}: holds no PRODUCT_1m.csv or PRODUCT_1m.csv.gz"])
    return ReplayMarket(files, start or _warm(list(files.values())), seed)


def _warm(files: list[Path]) -> datetime:
    """A whole hour at which every file has its history. Raises ConfigError when a file is empty."""
    first = []
    for path in files:
        row = next(read_candles(path), None)
        if row is None:
            raise ConfigError([f"{path}: holds no candle"])
        first.append(row.start)
    begun = datetime.fromtimestamp(max(first), UTC) + WARM_UP
    return begun.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
