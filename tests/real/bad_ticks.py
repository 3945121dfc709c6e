"""The fall of 2023-12-11 02:12 UTC, minute by minute: the guard against bad ticks must not mistake it for one."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from bot.domain.value import replace
from bot.observe.ticks import Accept, BarTick, HoldBack, QuoteTick, TickState, Verdict, judge
from bot.settings.policy import DataPolicy

FALL: Final = datetime(2023, 12, 11, 2, 12, tzinfo=UTC)
HOUR: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
PRODUCTS: Final[Mapping[str, str]] = {"BTC-USD": "2", "ETH-USD": "3", "DOT-USD": "4", "FIL-USD": "4"}
"""Products and a limit in percent that the worst minute of each exceeds."""


def a_recorded_fall_is_no_bad_tick(data: Path) -> list[str]:
    """Feeds an hour of bars and, inside the minute of the fall, quotes on their way down with one wrong by ten."""
    found = []
    for product, limit in PRODUCTS.items():
        rules = DataPolicy.model_validate({"max_price_deviation_pct": limit})
        bars = list(_bars(data / "candles" / f"{product}_1m.csv.gz"))
        found += [f"{product}: {problem}" for problem in _problems(bars, rules)]
    return found


def _problems(bars: list[dict[str, Any]], rules: DataPolicy) -> Iterator[str]:
    before = [bar for bar in bars if bar["start"] < FALL]
    fallen = next(bar for bar in bars if bar["start"] == FALL)
    average = sum(bar["volume"] for bar in before) / len(before)
    state = TickState()
    for bar in before:
        state, _ = judge(state, _tick(bar, average), bar["start"] + MINUTE, rules)
    yield from _quotes_confirm(state, fallen, fallen["volume"] / average, rules)
    held, first = judge(state, _tick(fallen, average), FALL + MINUTE, rules)
    if not isinstance(first, HoldBack):
        yield f"the bar of the fall was not held back without quotes: {first}"
    after = next(bar for bar in bars if bar["start"] == FALL + MINUTE)
    _, second = judge(held, _tick(after, average), FALL + 2 * MINUTE, rules)
    if not isinstance(second, Accept):
        yield f"the second bar of the fall was not acted on: {second}"


def _quotes_confirm(state: TickState, bar: dict[str, Any], ratio: Decimal, rules: DataPolicy) -> Iterator[str]:
    if ratio < rules.min_volume_ratio:
        yield f"the minute of the fall has {ratio:.1f} times the volume before it, the recording should have more"
    quotes = [_quote(bar["close"], FALL + timedelta(milliseconds=40_000 + 200 * k), ratio) for k in range(4)]
    wrong = replace(quotes[1], bid=quotes[1].bid * 10, ask=quotes[1].ask * 10)
    verdicts: list[Verdict] = []
    for quote in (quotes[0], wrong, *quotes[1:], *quotes[1:]):
        shifted = replace(quote, at=FALL + timedelta(milliseconds=40_000 + 200 * len(verdicts)))
        state, verdict = judge(state, shifted, FALL + MINUTE, rules)
        verdicts.append(verdict)
        if quote is wrong and isinstance(verdict, Accept):
            yield "a tenfold quote was accepted"
    if not any(isinstance(verdict, Accept) and verdict.confirmed for verdict in verdicts):
        yield f"quotes on {ratio:.1f} times the volume did not confirm the fall"
    _, verdict = judge(state, _tick(bar, bar["volume"] / ratio), FALL + MINUTE, rules)
    if not isinstance(verdict, Accept):
        yield f"the bar of the confirmed fall was not accepted: {verdict}"


def _bars(path: Path) -> Iterator[dict[str, Any]]:
    """The bars from an hour before the fall to five minutes after it."""
    with gzip.open(path, "rt", newline="", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            start = datetime.fromtimestamp(int(row["start"]), UTC)
            if FALL - HOUR <= start <= FALL + 5 * MINUTE:
                yield {"start": start, **{name: Decimal(row[name]) for name in ("high", "low", "close", "volume")}}


def _tick(bar: dict[str, Any], average: Decimal) -> BarTick:
    return BarTick(bar["high"], bar["low"], bar["close"], bar["start"] + MINUTE, bar["volume"] / average)


def _quote(mid: Decimal, at: datetime, ratio: Decimal) -> QuoteTick:
    return QuoteTick(mid * Decimal("0.9999"), mid * Decimal("1.0001"), at, ratio)
