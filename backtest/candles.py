"""Recorded candles: the only place that knows file formats. Rows come out as checked columns, or not at all.

A folder holds `PRODUCT_1m.csv`, `PRODUCT_1m.csv.gz` (header `start,open,high,low,close,volume`, start in unix seconds)
or `PRODUCT.parquet` (the same columns, or `ts` timestamps for `start`). Numbers of up to 15 digits are read exactly.

In text a number is digits with at most one point, `.5` and `5.` among them: no sign, exponent, quote or space. Empty
lines are passed over. In Parquet it is an integer, a decimal or a float, which stands for its shortest decimal.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from math import gcd
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv, parquet

from bot.domain.bars import LENGTHS, Granularity, Ints
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.errors import CandlesCorrupt, ConfigError, UnitError

Floats = npt.NDArray[np.float64]

PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = ("start", *PRICES, "volume")

_NUMBER: Final = re.compile(rb"[0-9]+\.?[0-9]*|\.[0-9]+", re.ASCII)
_WHOLE: Final = re.compile(rb"[0-9]{1,18}", re.ASCII)
_FOREIGN: Final = re.compile(rb"[^0-9.,\r\n]", re.ASCII)
"""What no line below the header holds: a sign, a letter (an exponent, a NaN, an infinity), a quote or a space."""
_MARK: Final = b"\xef\xbb\xbf"
"""What some editors put before the first letter of a text."""
_CSV_NAME: Final = re.compile(r"(?P<product>[A-Z0-9]+-[A-Z0-9]+)_(?P<length>[0-9]+[mhd])\.csv(?:\.gz)?")
_BLOCK: Final = 2**15
_FIRST_YEAR, _LAST_YEAR = 1_230_768_000, 4_102_444_800  # 2009 and 2100: what cannot be a candle's opening in seconds
_MOST: Final[Mapping[str, float]] = {**dict.fromkeys(PRICES, 1e12), "volume": 1e15}
"""Prices and volumes of so much cannot be meant; the exact arithmetic has room for less."""


class Candles(Value):
    """Every row of one file, oldest first.

    start: unix seconds of each opening, on the grid of `length`, ascending. Prices quote, volume base; shape (n,).
    """

    product: ProductId
    path: Path
    length: Granularity
    start: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def files(folder: Path, length: Granularity, only: Collection[ProductId] = ()) -> dict[ProductId, Path]:
    """The file of each product that bars of `length` can be made of: that length itself, else the longest part of it.

    only: of these products, if any is given.
    Raises: ConfigError when the folder cannot be read, holds none, or holds two of which either might be meant.
    """
    found = _fitting(folder, length, only)
    twice = [line for product, paths in sorted(found.items()) for line in _doubtful(folder, product, paths)]
    if twice:
        raise ConfigError(twice)
    if not found and not only:
        name = next(name for name, value in LENGTHS.items() if value is length)
        shorter = "" if length is Granularity.ONE_MINUTE else ", the same with shorter bars,"
        names = f"BTC-USD_{name}.csv, BTC-USD_{name}.csv.gz{shorter} or BTC-USD.parquet"
        raise ConfigError([f"--data {folder}: holds no candles for bars of {name}: files are named like {names}"])
    return {product: max(paths)[1] for product, paths in sorted(found.items())}


def passed_over(chosen: Mapping[ProductId, Path], length: Granularity) -> dict[ProductId, list[Path]]:
    """Files of shorter bars that `files` left for the chosen ones; products without one are not named."""
    folder = next(iter(chosen.values())).parent
    fitting = _fitting(folder, length, chosen.keys())
    return {
        item: [path for _, path in fitting[item] if path != chosen[item]] for item in fitting if len(fitting[item]) > 1
    }


def _fitting(folder: Path, length: Granularity, only: Collection[ProductId]) -> dict[ProductId, list[tuple[int, Path]]]:
    """The files that bars of `length` can be made of, each with the seconds of its own bars."""
    found: dict[ProductId, list[tuple[int, Path]]] = {}
    for path in _listed(folder):
        named = _named(path)
        if named is not None and length.value % named[1] == 0 and (not only or named[0] in only):
            found.setdefault(named[0], []).append((named[1], path))
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError([f"--data {folder}: is not a folder that can be read: {_plain(error)}"]) from error


def _doubtful(folder: Path, product: ProductId, paths: list[tuple[int, Path]]) -> Iterator[str]:
    """That two files may hold the same bars of a product: of Parquet only the content tells how long they are."""
    longest = max(paths)[0]
    either = [path.name for seconds, path in paths if seconds in (1, longest)]
    if len(either) > 1:
        yield f"--data {folder}: {' and '.join(either)} are both of {product}: keep the one that is meant"


def read(path: Path) -> Candles:
    """Every candle of one file. Raises CandlesCorrupt with file, row (as `row_of` counts) and reason; ConfigError."""
    named = _named(path)
    if named is None:
        raise ConfigError([f"{path}: is not named PRODUCT_1m.csv, PRODUCT_1m.csv.gz or PRODUCT.parquet"])
    if path.suffix == ".parquet":
        columns = _from_parquet(path)
        length = _spacing(path, columns["start"])
    else:
        columns = _from_csv(path)
        length = Granularity(named[1])
    _check(path, columns, length)
    return Candles(named[0], path, length, **columns)


def row_of(path: Path, index: int) -> int:
    """Where a person finds a candle, of which `index` come before it: the line of a text, else the row, from 1."""
    if path.suffix == ".parquet":
        return index + 1
    filled = (number for number, line in enumerate(_content(path).splitlines(), start=1) if line)
    return next(islice(filled, index + 1, None))


def shown(value: float) -> str:
    """A number with all its digits, and none that it has not."""
    return np.format_float_positional(value, trim="-")


def release() -> None:
    """Give back the memory that files were decoded in: it would be kept for files that nobody reads any more.

    Of the main thread alone the allocator takes what threads that ended left behind.
    """
    pa.default_memory_pool().release_unused()


def blocks(rows: int) -> Iterator[slice]:
    """Cuts of so few rows that what is worked out of them on the way to a result fits the processor's cache."""
    return (slice(first, min(rows, first + _BLOCK)) for first in range(0, rows, _BLOCK))


def _named(path: Path) -> tuple[ProductId, int] | None:
    """Product and bar length in seconds by the file's name; a Parquet file may hold any length (1)."""
    try:
        if path.suffix == ".parquet":
            return ProductId(path.stem), 1
        match = _CSV_NAME.fullmatch(path.name)
        if match is None or match["length"] not in LENGTHS:
            return None
        return ProductId(match["product"]), LENGTHS[match["length"]].value
    except UnitError:
        return None


# -------------------------------------------------------------------------------------------------------------- parquet


def _from_parquet(path: Path) -> dict[str, Any]:
    try:
        file = parquet.ParquetFile(path)
        names = file.schema_arrow.names
        start = "start" if "start" in names else "ts"
        missing = [name for name in (start, *COLUMNS[1:]) if name not in names]
        if missing:
            raise CandlesCorrupt(str(path), 0, f"has no column {', '.join(missing)} (`ts` may stand for `start`)")
        table = file.read(columns=[start, *COLUMNS[1:]], use_threads=False)
        if table.num_rows == 0:
            raise CandlesCorrupt(str(path), 0, "holds no rows")
        return {"start": _seconds(path, table.column(start))} | {
            name: _numbers(path, name, table.column(name)) for name in COLUMNS[1:]
        }
    except (pa.ArrowException, OSError) as error:
        raise CandlesCorrupt(str(path), 0, f"cannot be read: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    """The reason alone, in one line: the system's errors begin with a number and end with the path."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (told.splitlines() or [type(error).__name__])[0]


def _seconds(path: Path, column: pa.ChunkedArray) -> Ints:
    _refuse_nulls(path, "start", column)
    if not pa.types.is_timestamp(column.type):
        if not pa.types.is_integer(column.type):
            raise CandlesCorrupt(str(path), 0, f"start must be whole seconds or timestamps, was {column.type}")
        return _values(column, pa.int64())
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
    ticks: Ints = _values(column, pa.int64())
    whole: Ints = np.empty_like(ticks)
    for cut in blocks(len(ticks)):
        np.floor_divide(ticks[cut], per_second, out=whole[cut])
        odd = np.flatnonzero(whole[cut] * per_second != ticks[cut])
        if len(odd):
            raise CandlesCorrupt(str(path), cut.start + int(odd[0]) + 1, "ts is not on a whole second")
    return whole


def _numbers(path: Path, name: str, column: pa.ChunkedArray) -> Floats:
    _refuse_nulls(path, name, column)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)):
        raise CandlesCorrupt(str(path), 0, f"{name} must be a number, was {column.type}")
    if pa.types.is_decimal(column.type) or column.type in (pa.float32(), pa.float16()):
        # Arrow's way from a decimal is off by a digit, and a short float is not the number that it was written as.
        column = column.cast(pa.string())
    return _values(column, pa.float64())


def _values(column: pa.ChunkedArray, kind: pa.DataType) -> npt.NDArray[Any]:
    """The values of a column without nulls. Usual types are read as they lie: arrow's own way loads pandas first."""
    stored = pa.types.is_timestamp(column.type) and kind == pa.int64()
    if column.type != kind and not stored:
        return np.asarray(column.cast(kind, safe=False).to_numpy())
    parts = [
        np.frombuffer(part.buffers()[1], "<i8" if stored or kind == pa.int64() else "<f8", len(part), part.offset * 8)
        for part in column.chunks
        if len(part)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _refuse_nulls(path: Path, name: str, column: pa.ChunkedArray) -> None:
    if column.null_count:
        row = int(np.flatnonzero(np.asarray(column.is_null().to_numpy(zero_copy_only=False)))[0])
        raise CandlesCorrupt(str(path), row + 1, f"{name} is empty")


def _spacing(path: Path, start: Ints) -> Granularity:
    """The longest bar on whose grid every row opens, and no two rows in one bar."""
    found: set[int] = set()
    for cut in blocks(len(start) - 1):
        steps = start[cut.start + 1 : cut.stop + 1] - start[cut]
        found |= {int(steps[0]), *steps[steps != steps[0]].tolist()}
    if found and min(found) <= 0:
        row = int(np.argmax(np.diff(start) <= 0)) + 2
        raise CandlesCorrupt(str(path), row, "start does not follow the row before")
    common = gcd(int(start[0]), *found)
    fitting = [length for length in Granularity if common % length.value == 0]
    if not fitting:
        odd = int(np.flatnonzero(start % 60)[0]) if np.any(start % 60) else 0
        raise CandlesCorrupt(str(path), odd + 1, f"start {int(start[odd])} is on no bar's grid")
    return max(fitting)


# ------------------------------------------------------------------------------------------------------------------ csv


def _from_csv(path: Path) -> dict[str, Any]:
    content = _content(path)
    types: dict[str, Any] = dict.fromkeys(COLUMNS[1:], pa.float64()) | {"start": pa.int64()}
    convert = csv.ConvertOptions(column_types=types, null_values=[], quoted_strings_can_be_null=False)
    try:
        table = csv.read_csv(pa.BufferReader(content), csv.ReadOptions(use_threads=False), convert_options=convert)
    except pa.ArrowException as error:
        table, reason = None, str(error).splitlines()[0]
    else:
        reason = f"must begin with {','.join(COLUMNS)}"
    if table is None or tuple(table.column_names) != COLUMNS or _FOREIGN.search(content, content.find(b"\n") + 1):
        row, why = next(_bad_lines(content), (1, reason))
        raise CandlesCorrupt(str(path), row, why)
    if table.num_rows == 0:
        raise CandlesCorrupt(str(path), 1, "holds no rows")
    return {name: np.asarray(table.column(name).to_numpy()) for name in COLUMNS}


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CandlesCorrupt(str(path), 0, f"cannot be read: {_plain(error)}") from error
    try:
        return (gzip.decompress(content) if path.suffix == ".gz" else content).removeprefix(_MARK)
    except (OSError, EOFError, zlib.error) as error:
        raise CandlesCorrupt(str(path), 0, f"is no whole gzip file, fetch it again: {_plain(error)}") from error


def _bad_lines(content: bytes) -> Iterator[tuple[int, str]]:
    """Every line that is no candle, with the reason: slow, and only asked when something is wrong."""
    lines = content.splitlines()
    if not lines or lines[0].replace(b'"', b"").strip() != ",".join(COLUMNS).encode():
        yield 1, f"must be the header {','.join(COLUMNS)}"
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        fields = line.split(b",")
        if len(fields) != len(COLUMNS):
            yield (
                number,
                f"has {len(fields)} fields, {len(COLUMNS)} are needed: {line[:60].decode('ascii', 'replace')!r}",
            )
            continue
        for name, field in zip(COLUMNS, fields, strict=True):
            if (_NUMBER if name != "start" else _WHOLE).fullmatch(field) is None:
                yield number, f"{name} must be a plain number, was {field[:40].decode('ascii', 'replace')!r}"
                break


# --------------------------------------------------------------------------------------------------------------- checks


def _check(path: Path, columns: Mapping[str, Any], length: Granularity) -> None:
    """Raises CandlesCorrupt for the first row that no exchange could have meant."""
    start = columns["start"]
    for cut in blocks(len(start)):
        rows = {name: column[cut] for name, column in columns.items()}
        # The first row of a block follows the last one of the block before.
        after = start[max(0, cut.start - 1) : cut.stop]
        if _plainly_sane(rows, after, length):
            continue
        sane = _sane(rows, length)
        sane[len(sane) - len(after) + 1 :] &= after[1:] > after[:-1]
        if not sane.all():
            row = cut.start + int(np.argmin(sane))
            values = {name: columns[name][row] for name in COLUMNS}
            raise CandlesCorrupt(str(path), row_of(path, row), _why(values, start, row, length))


def _plainly_sane(columns: Mapping[str, Any], after: Ints, length: Granularity) -> bool:
    """Whether each row is a candle, one bar after the row before: quicker to tell of all than which of them is none.

    after: the openings of the rows, behind that of the row before them.
    """
    first, last, low, high = int(after[0]), int(after[-1]), columns["low"], columns["high"]
    # As below: the least and the greatest of numbers among which there is a NaN are NaN.
    return bool(
        first >= _FIRST_YEAR and last < _LAST_YEAR and first % length.value == 0
        and (np.diff(after) == length.value).all()
        and low.min() > 0 and high.max() < _MOST["high"]
        and columns["volume"].min() >= 0 and columns["volume"].max() < _MOST["volume"]
        and all((low <= column).all() and (column <= high).all() for column in (columns["open"], columns["close"]))
    )  # fmt: skip


def _sane(columns: Mapping[str, Any], length: Granularity) -> npt.NDArray[np.bool_]:
    """Whether each row by itself is a candle."""
    start, low, high, volume = columns["start"], columns["low"], columns["high"], columns["volume"]
    first, close = columns["open"], columns["close"]
    # Written so that a NaN fails: it compares false with everything.
    sane: npt.NDArray[np.bool_] = (low > 0) & (high < _MOST["high"])
    sane &= (low <= np.minimum(first, close)) & (np.maximum(first, close) <= high)
    sane &= (volume >= 0) & (volume < _MOST["volume"]) & (start % length.value == 0)
    sane &= (start >= _FIRST_YEAR) & (start < _LAST_YEAR)
    return sane


def _why(values: Mapping[str, Any], start: Ints, row: int, length: Granularity) -> str:
    for name in COLUMNS[1:]:
        value = float(values[name])
        if not np.isfinite(value):
            return f"{name} is {value}"
        if value < 0 or (value == 0 and name != "volume"):
            return f"{name} must {'not be negative' if name == 'volume' else 'be positive'}, was {shown(value)}"
        if value >= _MOST[name]:
            return f"{name} must be below {shown(_MOST[name])}, was {shown(value)}"
    opened = int(values["start"])
    if not _FIRST_YEAR <= opened < _LAST_YEAR:
        return f"start must be unix seconds, was {opened}"
    if opened % length.value:
        return f"start {opened} is not on the {length.name} grid"
    if row and opened <= int(start[row - 1]):
        return f"start {opened} does not follow {int(start[row - 1])}"
    prices = ", ".join(f"{name} {shown(float(values[name]))}" for name in PRICES)
    return f"low and high do not contain open and close: {prices}"
