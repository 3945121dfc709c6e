"""Bars on disk between runs: per market one file, a JSON header line and fixed rows of 64-bit integers.

Only a cache of what the venue can tell again, so it is not synced; but what it gives is checked row by row.
"""

from __future__ import annotations

import contextlib
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Final

import numpy as np

from bot.adapters.coinbase.tape import CLOSE, COLUMNS, HIGH, LOW, OPEN, QUIET, VOLUME, Tape
from bot.domain.bars import Granularity, Ints, Scale
from bot.domain.money import decimal_text, parse_decimal
from bot.domain.product import ProductId
from bot.errors import UnitError

VERSION: Final = 1
_WIDTH: Final = COLUMNS + 2  # opening time, the tape's columns, check
_ROW_BYTES: Final = 8 * _WIDTH
_HEADER_MAX: Final = 512
_SALTS: Final = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F, 0x165667B1, 0xD3A2646D, 0xFD7046C5], np.int64)
_SEED: Final = np.int64(0x5BD1E995)


class BarStore:
    """The files below one folder, which is made when first written. Raises OSError when the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._on_disk: dict[Path, _Extent] = {}

    def load(self, product: ProductId, granularity: Granularity) -> Tape | None:
        """What was kept, up to the first row that does not fit; a torn tail is cut from the file. None: nothing usable.

        Everything on disk was fetched, so floor is the first row's opening.
        """
        path = self._path(product, granularity)
        try:
            content = _read(path)
        except FileNotFoundError:
            return None
        scale, body = _header(content, product, granularity)
        if scale is None:
            return None
        table = _sound(body, granularity.value)
        if not len(table):
            return None
        start, end = int(table[0, 0]), int(table[-1, 0]) + granularity.value
        head = len(content) - len(body)
        if len(table) * _ROW_BYTES != len(body):
            os.truncate(path, head + len(table) * _ROW_BYTES)
        self._on_disk[path] = _Extent(scale, end, len(table))
        rows = np.ascontiguousarray(table[:, 1 : COLUMNS + 1])
        return Tape(product, granularity, scale, start, end, start, rows)

    def put(self, tape: Tape, changed_from: int) -> None:
        """Keep `tape`, of which rows that open at `changed_from` or later are new: appended where that is all."""
        if not len(tape.rows):
            return
        path = self._path(tape.product, tape.granularity)
        known = self._on_disk.get(path)
        fits = known is not None and known.scale == tape.scale and known.end == changed_from
        if known is not None and fits and known.rows <= 2 * len(tape.rows):
            fresh = _table(tape.trimmed((tape.ceiling - changed_from) // tape.granularity.value))
            _append(path, fresh.tobytes())
            self._on_disk[path] = _Extent(tape.scale, tape.ceiling, known.rows + len(fresh))
        else:
            _replace(path, _head(tape) + _table(tape).tobytes())
            self._on_disk[path] = _Extent(tape.scale, tape.ceiling, len(tape.rows))

    def _path(self, product: ProductId, granularity: Granularity) -> Path:
        return self._folder / f"{product}.{granularity.name}.bars"


class _Extent:
    """What a file is known to hold."""

    def __init__(self, scale: Scale, end: int, rows: int) -> None:
        self.scale = scale
        self.end = end
        self.rows = rows


def _table(tape: Tape) -> Ints:
    """Rows as written: opening time, columns, check."""
    count = len(tape.rows)
    table = np.empty((count, _WIDTH), np.int64)
    table[:, 0] = tape.start + tape.granularity.value * np.arange(count, dtype=np.int64)
    table[:, 1 : COLUMNS + 1] = tape.rows
    table[:, -1] = _check(table)
    return table.astype("<i8", copy=False)


def _check(table: Ints) -> Ints:
    """A wrapped sum that no zeroed, shifted or bent row meets by accident."""
    with np.errstate(over="ignore"):
        check: Ints = (table[:, :-1] * _SALTS).sum(axis=1, dtype=np.int64) + _SEED
    return check


def _sound(body: bytes, step: int) -> Ints:
    """The rows before the first that is torn, bent, off the grid or no possible bar."""
    whole = len(body) // _ROW_BYTES
    table: Ints = np.frombuffer(body, "<i8", whole * _WIDTH).reshape(whole, _WIDTH).astype(np.int64)
    if not whole:
        return table
    prices = table[:, 1 : CLOSE + 2]
    low, high = prices[:, LOW], prices[:, HIGH]
    good = (
        (table[:, -1] == _check(table))
        & (table[:, 0] == table[0, 0] + step * np.arange(whole, dtype=np.int64))
        & (table[:, 0] % step == 0)
        & (low > 0)
        & (low <= np.minimum(prices[:, OPEN], prices[:, CLOSE]))
        & (high >= np.maximum(prices[:, OPEN], prices[:, CLOSE]))
        & (table[:, VOLUME + 1] >= 0)
        & ((table[:, QUIET + 1] == 0) | (table[:, QUIET + 1] == 1))
    )
    return table if good.all() else table[: int(np.argmin(good))]


def _head(tape: Tape) -> bytes:
    header = {
        "version": VERSION,
        "product": str(tape.product),
        "granularity": tape.granularity.name,
        "tick": decimal_text(tape.scale.tick),
        "lot": decimal_text(tape.scale.lot),
    }
    return json.dumps(header).encode() + b"\n"


def _header(content: bytes, product: ProductId, granularity: Granularity) -> tuple[Scale | None, bytes]:
    """The scale of a file that is what its name says, and its rows; None when it is not."""
    line, found, body = content.partition(b"\n")
    try:
        header = json.loads(line) if found and len(line) <= _HEADER_MAX else None
        expected = (VERSION, str(product), granularity.name)
        if (
            not isinstance(header, dict)
            or tuple(header.get(n) for n in ("version", "product", "granularity")) != expected
        ):
            return None, b""
        tick, lot = parse_decimal(header.get("tick"), "tick"), parse_decimal(header.get("lot"), "lot")
    except (ValueError, UnitError):
        return None, b""
    return (Scale(tick, lot), body) if min(tick, lot) > Decimal(0) else (None, b"")


def _read(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _append(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(beside, path)  # noqa: PTH105 - one rename, the standard idiom
