"""Backtests of recorded candles, every cycle run beside the run that skips: not a byte of any artifact may differ."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bot.domain.bars import Granularity
from bot.domain.product import ProductId
from bot.domain.value import Value
from tests.backtest import runs


class Stretch(Value):
    """Some days of a few products, traded on bars of `length`. policy: what replaces keys of the lively policy."""

    name: str
    products: tuple[str, ...]
    since: datetime
    until: datetime
    length: Granularity
    policy: Mapping[str, Any]


STRETCHES: Final = (
    Stretch(
        "the falls of 4 and 11 December 2023, by the minute",
        ("BTC-USD", "ETH-USD", "DOT-USD", "FIL-USD", "XRP-USD"),
        datetime(2023, 12, 10, tzinfo=UTC), datetime(2023, 12, 12, tzinfo=UTC), Granularity.ONE_MINUTE,
        {"triggers": {"breakout": {"lookback_minutes": 720}}},
    ),
    Stretch(
        "a week of December 2023, five minutes a bar, halted by its losses",
        ("BTC-USD", "ADA-USD", "AVAX-USD", "BCH-USD", "SOL-USD", "XLM-USD"),
        datetime(2023, 12, 3, tzinfo=UTC), datetime(2023, 12, 10, tzinfo=UTC), Granularity.FIVE_MINUTE,
        {"risk": {"daily_stop_pct": 0.3, "weekly_stop_pct": 0.6, "loss_streak": 3}, "exits": {"stop_confirmations": 2}},
    ),
    Stretch(
        "the first days of February 2025, a quarter of an hour a bar",
        ("ADA-USD", "BTC-USD", "ETH-USD", "SOL-USD"),
        datetime(2025, 1, 25, tzinfo=UTC), datetime(2025, 2, 12, tzinfo=UTC), Granularity.FIFTEEN_MINUTE,
        {"exits": {"style": "stop_limit"}, "execution": {"default_order_type": "limit_ioc"}},
    ),
)  # fmt: skip


def skipping_cycles_changes_no_byte(data: Path) -> list[str]:
    """What differs, stretch by stretch; a stretch in which nothing was traded or nothing skipped proves nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        found = [_problems(data / "candles", stretch, Path(scratch) / str(i)) for i, stretch in enumerate(STRETCHES)]
    return [f"{stretch.name}: {line}" for stretch, lines in zip(STRETCHES, found, strict=True) for line in lines]


def _problems(candles: Path, stretch: Stretch, out: Path) -> list[str]:
    granularity = {"data": {"bar_granularity": stretch.length.name}}
    config = runs.settings({**stretch.policy, **granularity})
    wanted: dict[str, Any] = {
        "since": stretch.since,
        "until": stretch.until,
        "products": tuple(ProductId(name) for name in stretch.products),
    }
    every, skipping = (
        runs.backtest(candles, config, out / name, every=name == "every", **wanted) for name in ("every", "skipping")
    )
    differing = [f"{name} differs" for name in every.files if every.files[name] != skipping.files.get(name)]
    idle = [] if skipping.cycles < every.cycles else [f"all {every.cycles} cycles were run"]
    traded = skipping.figures["trades"]["closed"]
    return differing + idle + ([] if traded else ["nothing was traded"])
