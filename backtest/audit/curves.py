"""Checks of equity.csv, exposure.csv and the peak: every bar is valued again, and so are the benchmarks beside it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from statistics import fmean
from typing import Any

from backtest.audit.books import ZERO, Books, Standing
from backtest.audit.tape import seconds
from bot.settings.config import Config

Facts = Mapping[str, Any]
ROUNDED = 2e-6
COARSE = 6e-4
"""How far figures may lie apart that are told with six decimals, and with three."""
HOUR_S = 3600


def curves(books: Books, config: Config) -> Iterator[str]:
    """equity.csv and exposure.csv tell of every hour what its bars say."""
    hours: dict[int, list[int]] = {}
    for at in books.path:
        hours.setdefault((at - 1) // max(HOUR_S, books.tape.length), []).append(at)
    for name, rows in (("equity", books.equity_rows), ("exposure", books.exposure_rows)):
        if [seconds(row["time"]) for row in rows] != [bars[-1] for bars in hours.values()]:
            yield f"{name}.csv has not a row an hour"
            return
    bench, heights = benchmarks(books), peaks(books)
    for bars, equity, exposure in zip(hours.values(), books.equity_rows, books.exposure_rows, strict=True):
        yield from differences(equity, _equity_row(books, bench, heights, bars), f"equity.csv at {equity['time']}: ")
        row = _exposure_row(books, config, bars)
        yield from differences(exposure, row, f"exposure.csv at {equity['time']}: ")


def peak(books: Books, _config: Config) -> Iterator[str]:
    """The highest equity that the bot knows, against which drawdowns are measured, is the highest there was."""
    highest = max(books.opening, *books.path.values())
    if books.peak is None or abs(books.peak - highest) > Decimal(str(ROUNDED)):
        yield f"the bot ends with a peak of {books.peak}, equity was {highest:.6f} at the highest"


def benchmarks(books: Books) -> Mapping[str, Mapping[int, float]]:
    """Buying at the first close and holding: BTC, and every product alike, as multiples of what was paid."""
    lines = {}
    for product in books.tape.bars:
        first = books.tape.closing_at(product, books.begin + books.tape.length)
        if first is not None:
            lines[product] = _held(books, product, first.close)
    found = {"btc": lines["BTC-USD"]} if "BTC-USD" in lines else {}
    if lines:
        found["equal_weight"] = {at: fmean(line[at] for line in lines.values()) for at in books.path}
    return found


def peaks(books: Books) -> Mapping[int, Decimal]:
    found, highest = {}, books.opening
    for at, equity in books.path.items():
        found[at] = highest = max(highest, equity)
    return found


def themes(config: Config) -> Mapping[str, set[str]]:
    return {name: {member.base for member in members} for name, members in config.universe.themes.items()}


def invested(one: Standing) -> float:
    return float(sum(one.worth.values(), ZERO) / one.equity * 100)


def largest(one: Standing) -> float:
    return float(max(one.worth.values(), default=ZERO) / one.equity * 100)


def in_theme(one: Standing, bases: set[str]) -> float:
    held = (worth for product, worth in one.worth.items() if product.partition("-")[0] in bases)
    return float(sum(held, ZERO) / one.equity * 100)


def differences(told: Any, mine: Any, name: str) -> Iterator[str]:
    """Every leaf of `mine` that is told otherwise."""
    if isinstance(mine, Mapping):
        for key, value in mine.items():
            yield from differences(told.get(key), value, f"{name}{key}.")
    elif isinstance(mine, list):
        if len(told) != len(mine):
            yield f"{name[:-1]} has {len(told)} rows, the records say {len(mine)}"
        for number, (one, other) in enumerate(zip(told, mine, strict=False)):
            yield from differences(one, other, f"{name}{number}.")
    elif not _alike(told, mine, name):
        yield f"{name[:-1]} is {told}, the records say {mine}"


def _held(books: Books, product: str, paid: Decimal) -> Mapping[int, float]:
    """Closes as multiples of what was paid; in a gap the last one before it."""
    line, last = {}, paid
    for at in books.path:
        bar = books.tape.closing_at(product, at)
        last = last if bar is None else bar.close
        line[at] = float(last / paid)
    return line


def _equity_row(
    books: Books, bench: Mapping[str, Mapping[int, float]], heights: Mapping[int, Decimal], bars: Sequence[int]
) -> Facts:
    values = [books.path[at] for at in bars]
    return {
        "equity": values[-1], "low": min(values), "high": max(values), "peak": heights[bars[-1]],
        "drawdown_pct": min((books.path[at] / heights[at] - 1) * 100 for at in bars),
        **{name: line[bars[-1]] * float(books.opening) for name, line in bench.items()},
    }  # fmt: skip


def _exposure_row(books: Books, config: Config, bars: Sequence[int]) -> Facts:
    every = [books.standings[at] for at in bars]
    last = every[-1]
    return {
        "cash": last.cash, "invested": last.equity - last.cash, "invested_pct": invested(last),
        "invested_pct_max": max(invested(one) for one in every),
        "largest_pct_max": max(largest(one) for one in every), "positions_max": max(len(one.worth) for one in every),
        **{f"theme_{name}_pct_max": max(in_theme(one, bases) for one in every)
           for name, bases in themes(config).items()},
    }  # fmt: skip


def _alike(told: Any, mine: Any, name: str) -> bool:
    if mine is None or told is None or isinstance(mine, str):
        return bool(told == mine)
    coarse = name.endswith("days.") or (".by." in f".{name}" and name.endswith("hit_rate_pct."))
    try:
        return math.isclose(float(told), float(mine), rel_tol=1e-9, abs_tol=COARSE if coarse else ROUNDED)
    except ValueError:
        return False
