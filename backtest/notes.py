"""What a run says of its data and its settings before it begins: one line each, for whoever reads stderr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from backtest.candles import passed_over
from backtest.dataset import Dataset
from backtest.drive import cycle_stride
from backtest.summary import left_out
from bot.domain.product import ProductId
from bot.settings.config import Config
from bot.settings.sanity import waits_longer

NAMED: Final = 4
"""Products named in a line; the rest is counted."""


def notes(config: Config, data: Dataset) -> Iterator[str]:
    """The lines of a run, none when there is nothing to say. config: as given, before it was fitted to the bars."""
    stride = cycle_stride(config, data)
    if stride > 1:
        seconds = config.policy.loop.interval_seconds
        yield (
            f"loop.interval_seconds {seconds} is longer than a bar: a cycle runs at every {stride}. bar only, and none "
            "of these is skipped"
        )
    for line in waits_longer(config.policy, data.length):
        yield f"policy.yaml: {line}"
    absent, partly = data.integrity.absent, data.in_part()
    if absent:
        yield f"{len(absent)} files hold no bar of the period and are left out: {_named(absent)}"
    if partly:
        spans = [f"{market} {_span(data, market, *sides)}" for market, sides in partly.items()]
        yield (
            f"{len(partly)} of {len(data.tracks)} products are recorded for a part of the run only and trade in that: "
            f"{_named(spans)} (integrity.recorded of summary.json)"
        )
    for first, stop in data.unrecorded():
        span = f"{_minute(data.opened(first))} to {_minute(data.opened(stop))}"
        yield f"nothing is recorded of any product from {span}: it counts, without a return"
    if shorter := passed_over(data.paths, data.length):
        pairs = [f"{data.paths[market].name}, not {paths[0].name}" for market, paths in shorter.items()]
        whose = "1 product has" if len(pairs) == 1 else f"{len(pairs)} products have"
        yield f"{whose} files of several bar lengths, the longest is read: {_named(pairs, '; ')}"
    for name, told in left_out(data).items():
        yield f"benchmark.{name} has no figures: {told['left_out']}"


def _named(items: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return f"{between.join(items[:NAMED])}{more}"


def _span(data: Dataset, market: ProductId, late: bool, early: bool) -> str:
    first, last = (_minute(datetime.fromtimestamp(at, UTC)) for at in data.integrity.recorded[market])
    if late and early:
        return f"from {first} to {last}"
    return f"from {first}" if late else f"to {last}"


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")
