"""Recorded candles as a market: `PRODUCT_1m.csv[.gz]` files with `start,open,high,low,close,volume`."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Final

from bot.domain.bars import Scale
from bot.domain.money import EXACT, parse_decimal
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.errors import CandlesCorrupt, UnitError
from simulator.markets.ladder import USUAL_DEPTH, Depth, Ladder, Side
from simulator.markets.listing import Listing, plain_listing
from simulator.markets.path import MINUTE_US, Trade, trades_of, waypoints
from simulator.markets.rows import Candle, Rows, rows_of

_COLUMNS: Final = ["start", "open", "high", "low", "close", "volume"]
_FINEST: Final = 12


class RecordedRow(Value):
    """One line of a candle file in decimals; `line` counts from 1, the header included."""

    line: int
    start: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


class ReplayMarket:
    """Recorded one-minute candles, traded second by second the same way in every run.

    The candles served are the recorded ones to the digit. Files before `start` are history, which is as long as they
    are. Lines without volume are dropped: a minute without a trade has no candle at Coinbase.
    """

    book_changes: Mapping[ProductId, Sequence[int]] = MappingProxyType({})

    def __init__(
        self,
        files: Mapping[ProductId, Path],
        start: datetime,
        seed: int = 0,
        trades: int = 40,
        depth: Depth = USUAL_DEPTH,
    ) -> None:
        self.start = int(start.timestamp()) // 60 * 60
        self._seed = seed
        self._most_trades = trades
        self._recorded = {product: _load(product, path) for product, path in files.items()}
        self._ladders = {
            product: Ladder(listing, seed * 1009 + number, depth)
            for number, (product, (listing, _)) in enumerate(self._recorded.items())
        }
        self.end: int | None = max(int(rows.start[-1]) + 60 for _, rows in self._recorded.values())

    @property
    def listings(self) -> tuple[Listing, ...]:
        return tuple(listing for listing, _ in self._recorded.values())

    def history(self, product: ProductId, first_s: int, stop_s: int) -> Rows:
        return self._recorded[product][1].between(first_s, stop_s)

    def trades(self, product: ProductId, minute_s: int) -> list[Trade]:
        listing, rows = self._recorded[product]
        candle = rows.at(minute_s)
        if candle is None:
            return []
        value = candle.volume * float(listing.product.size_step) * candle.close * float(listing.product.price_step)
        return trades_of(candle, int(min(self._most_trades, 2 + value**0.3)), self._seed)

    def book(self, product: ProductId, last: Trade, at_us: int) -> tuple[Side, Side]:
        return self._ladders[product].around(last.ticks, last.taker_buys, at_us // MINUTE_US)


def candle_files(folder: Path) -> dict[ProductId, Path]:
    """The one-minute files of a folder by product."""
    found = sorted([*folder.glob("*_1m.csv"), *folder.glob("*_1m.csv.gz")])
    return {ProductId(path.name.split("_", 1)[0]): path for path in found}


def read_candles(path: Path) -> Iterator[RecordedRow]:
    """The lines of a candle file, checked. Raises CandlesCorrupt naming file, row and reason."""
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
        lines = csv.reader(file)
        if next(lines, None) != _COLUMNS:
            raise CandlesCorrupt(str(path), 1, f"the header must be {','.join(_COLUMNS)}")
        before = -1
        for number, fields in enumerate(lines, start=2):
            row = _row(path, number, fields)
            if row.start <= before or row.start % 60:
                raise CandlesCorrupt(str(path), number, f"start {row.start} is not a later whole minute")
            before = row.start
            yield row


def _row(path: Path, number: int, fields: Sequence[str]) -> RecordedRow:
    if len(fields) != len(_COLUMNS):
        raise CandlesCorrupt(str(path), number, f"{len(fields)} fields, expected {len(_COLUMNS)}")
    try:
        values = [parse_decimal(text, name) for name, text in zip(_COLUMNS, fields, strict=True)]
    except UnitError as error:
        raise CandlesCorrupt(str(path), number, str(error)) from error
    row = RecordedRow(number, int(values[0]), *values[1:])
    if not 0 < row.low <= min(row.open, row.close) <= max(row.open, row.close) <= row.high or row.volume < 0:
        raise CandlesCorrupt(str(path), number, "low, open, close and high are out of order, or the volume is negative")
    return row


def _load(product: ProductId, path: Path) -> tuple[Listing, Rows]:
    """The listing, with the increments the file itself shows, and its candles in them."""
    recorded = [row for row in read_candles(path) if row.volume > 0]
    if not recorded:
        raise CandlesCorrupt(str(path), 1, "no candle with volume")
    price_step = _finest(price for row in recorded for price in (row.open, row.high, row.low, row.close))
    size_step = _finest(row.volume for row in recorded)
    scale = Scale(price_step, size_step)
    candles = [_candle(row, scale) for row in recorded]
    for row, candle in zip(recorded, candles, strict=True):
        if candle.volume < len(waypoints(candle)):
            raise CandlesCorrupt(str(path), row.line, f"a volume of {row.volume} cannot have visited its four prices")
    return plain_listing(product, price_step, size_step, recorded[0].open), rows_of(candles)


def _finest(values: Iterable[Decimal]) -> Decimal:
    """The largest power of ten, at most 1, that divides every value."""
    places = max(-exponent for value in values if isinstance(exponent := value.normalize().as_tuple().exponent, int))
    return Decimal(1).scaleb(-min(max(places, 0), _FINEST))


def _candle(row: RecordedRow, scale: Scale) -> Candle:
    lots = int(EXACT.divide(row.volume, scale.lot))
    return Candle(
        row.start, scale.ticks(row.open), scale.ticks(row.high), scale.ticks(row.low), scale.ticks(row.close), lots
    )
