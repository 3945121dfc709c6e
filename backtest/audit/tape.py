"""Candles and listings of a run, looked up by time."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple

from backtest import candles as files
from bot.domain.bars import Granularity
from bot.domain.value import Value

BPS: Final = Decimal(10_000)
DAY_S: Final = 86_400
SHUT: Final = ("is_disabled", "trading_disabled", "view_only", "cancel_only", "post_only", "auction_mode")


def seconds(text: str) -> int:
    """Unix seconds of a time in an artifact. Times there are whole seconds."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Bar(NamedTuple):
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class Quote(NamedTuple):
    bid: Decimal
    ask: Decimal

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2


class Listing(Value):
    """A product as it was listed from `since` on. shut: an order that could trade is not taken."""

    since: int
    price_step: Decimal
    size_step: Decimal
    least: Decimal
    shut: bool


class Tape(Value, dict=True):
    """Bars of `length` seconds by product and opening, and listings by product, oldest first."""

    length: int
    half_spread_bps: Decimal
    bars: Mapping[str, Mapping[int, Bar]]
    listings: Mapping[str, Sequence[Listing]]

    def closing_at(self, product: str, at: int) -> Bar | None:
        """The bar that closed at `at`; None when nothing was recorded of it."""
        return self.bars[product].get(at - self.length)

    def day_volume(self, product: str, at: int) -> Decimal:
        """What was traded in the day before `at`, in quote currency at the closes."""
        sums, known = self._sums[product]
        ends = [bisect_right(known, edge - self.length) for edge in (at - DAY_S, at)]
        return sums[ends[1]] - sums[ends[0]]

    @cached_property
    def _sums(self) -> Mapping[str, tuple[Sequence[Decimal], Sequence[int]]]:
        """Quote volume of all bars before each, and their openings, by product."""
        found = {}
        for product, bars in self.bars.items():
            known = sorted(bars)
            traded = (bars[start].close * bars[start].volume for start in known)
            found[product] = (list(accumulate(traded, initial=Decimal(0))), known)
        return found

    def listing(self, product: str, at: int) -> Listing | None:
        rows = self.listings.get(product, ())
        return next((row for row in reversed(rows) if row.since <= at), rows[0] if rows else None)

    def steps(self, product: str) -> frozenset[Decimal]:
        return frozenset(row.price_step for row in self.listings.get(product, ()))

    def quote(self, product: str, at: int) -> Quote | None:
        """Bid and ask around the close known at `at`; None without a bar there or a listing."""
        bar = self.closing_at(product, at)
        return None if bar is None else self.around(product, bar.close)

    def around(self, product: str, price: Decimal) -> Quote | None:
        """The made quote: half the spread to either side, rounded away to the largest step the product ever had."""
        steps = self.steps(product)
        if not steps:
            return None
        step, away = max(steps), price * self.half_spread_bps / BPS
        bid = max(step, to_step(price - away, step, ROUND_FLOOR))
        return Quote(bid, max(to_step(price + away, step, ROUND_CEILING), bid + step))


def to_step(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return (value / step).to_integral_value(rounding) * step


def read(folder: Path, products: Sequence[str], length: Granularity, half_spread_bps: Decimal) -> Tape:
    """The tape of the products' files. Raises ConfigError, CandlesCorrupt."""
    paths = files.files(folder, length)
    raw = {str(product): files.read(path) for product, path in paths.items() if product in products}
    bars = {product: dict(_bars(item, length)) for product, item in raw.items()}
    listed = _listings(folder / "products.json")
    made = {product: [_made(item)] for product, item in raw.items() if product not in listed}
    return Tape(length.value, half_spread_bps, bars, {**listed, **made})


def _bars(item: files.Candles, length: Granularity) -> Iterator[tuple[int, Bar]]:
    """Bars of the wished length with a trade in them, and quiet ones in between with the close carried."""
    columns = (item.start, item.open, item.high, item.low, item.close, item.volume)
    made: dict[int, Bar] = {}
    for start, first, high, low, close, volume in zip(*(column.tolist() for column in columns), strict=True):
        at = start // length.value * length.value
        new = Bar(*(Decimal(str(value)) for value in (first, high, low, close, volume)))
        old = made.get(at)
        made[at] = new if old is None else Bar(
            old.open, max(old.high, new.high), min(old.low, new.low), new.close, old.volume + new.volume
        )  # fmt: skip
    yield from _with_quiet(made, length.value)


def _with_quiet(made: Mapping[int, Bar], step: int) -> Iterator[tuple[int, Bar]]:
    """A bar without a trade is quiet; more than an hour and three bars of them is time nobody recorded."""
    before: int | None = None
    for at in sorted(made):
        if before is not None and at - before <= max(3600, 3 * step) + step:
            last = made[before].close
            yield from ((quiet, Bar(last, last, last, last, Decimal(0))) for quiet in range(before + step, at, step))
        yield at, made[at]
        before = at


def _made(item: files.Candles) -> Listing:
    """A product that no listing names moves in the finest steps its candles show."""
    prices = {value for column in (item.open, item.high, item.low, item.close) for value in set(column.tolist())}
    return Listing(0, _finest(prices), _finest(set(item.volume.tolist())), Decimal(1), shut=False)


def _finest(values: Iterable[float]) -> Decimal:
    """The power of ten of which every value is a multiple."""
    places = max(-int(Decimal(str(value)).normalize().as_tuple().exponent) for value in values)
    return Decimal(1).scaleb(-max(0, places))


def _listings(path: Path) -> Mapping[str, Sequence[Listing]]:
    found: dict[str, list[Listing]] = {}
    if not path.exists():
        return found
    document = json.loads(path.read_bytes(), parse_float=Decimal)
    for answer in document if isinstance(document, list) else [document]:
        since = seconds(answer["from"]) if "from" in answer else 0
        for row in answer["products"]:
            found.setdefault(row["product_id"], []).append(_listing(since, row))
    return found


def _listing(since: int, row: Mapping[str, Any]) -> Listing:
    shut = row.get("status") != "online" or any(row[flag] for flag in SHUT)
    price, size = Decimal(str(row["price_increment"])), Decimal(str(row["base_increment"]))
    return Listing(since, price, size, Decimal(str(row["quote_min_size"])), shut)
