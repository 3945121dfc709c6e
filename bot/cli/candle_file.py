"""One product's candles on disk, in Coinbase's columns: filled page by page, packed at the end, taken up later."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from bot.domain.bars import Bar
from bot.domain.money import decimal_text
from bot.domain.product import ProductId
from bot.errors import CandlesCorrupt, StorageFailed

COLUMNS: Final = "start,open,high,low,close,volume"


class CandleFile:
    """`DIR/PRODUCT_1m.csv.gz`, oldest candle first. While it is being filled it is `.csv.part`, plain text."""

    def __init__(self, folder: Path, product: ProductId, length: str) -> None:
        self.path = folder / f"{product}_{length}.csv.gz"
        self._part = folder / f"{product}_{length}.csv.part"

    def open(self, start: int, step: int) -> int:
        """Unix seconds from which on candles are still missing; `start` when nothing is there, or begins later.

        What is there is kept, whatever it begins with, as long as it reaches `start`.

        Raises: CandlesCorrupt for a file of ours that is not what it should be; StorageFailed.
        """
        try:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            rows = self._rows()
            if not rows or _opened(rows[0]) > start or _opened(rows[-1]) + step < start:
                rows = []
            self._part.write_text("".join(f"{row}\n" for row in [COLUMNS, *rows]), "ascii")
        except OSError as error:
            raise StorageFailed(f"cannot write {self._part}: {error.strerror or error}") from error
        return _opened(rows[-1]) + step if rows else start

    def add(self, bars: Iterable[Bar]) -> None:
        """Append, on the disk when this returns. Raises StorageFailed."""
        try:
            with self._part.open("a", encoding="ascii") as file:
                file.writelines(f"{_row(bar)}\n" for bar in bars)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageFailed(f"cannot write {self._part}: {error.strerror or error}") from error

    def finish(self) -> int:
        """Pack it under its final name; how many candles it holds. Raises StorageFailed."""
        try:
            content = self._part.read_bytes()
            beside = self.path.with_suffix(".new")
            beside.write_bytes(gzip.compress(content, mtime=0))
            beside.replace(self.path)
            self._part.unlink()
        except OSError as error:
            raise StorageFailed(f"cannot write {self.path}: {error.strerror or error}") from error
        return content.count(b"\n") - 1

    def _rows(self) -> list[str]:
        """Rows of the unfinished file, else of the finished one; a line that was torn while being written is left."""
        if self._part.exists():
            return self._checked(self._part, self._part.read_bytes())
        if self.path.exists():
            try:
                return self._checked(self.path, gzip.decompress(self.path.read_bytes()))
            except (EOFError, gzip.BadGzipFile) as error:
                raise CandlesCorrupt(str(self.path), 0, f"cannot be unpacked: {error}; remove it") from error
        return []

    def _checked(self, path: Path, content: bytes) -> list[str]:
        lines = content.decode("ascii", "replace").split("\n")[:-1]
        if lines and lines[0] != COLUMNS:
            raise CandlesCorrupt(str(path), 1, f"must begin with {COLUMNS}; remove it")
        before = -1
        for number, line in enumerate(lines[1:], start=2):
            fields = line.split(",")
            if len(fields) != 6 or not fields[0].isdigit() or int(fields[0]) <= before:
                raise CandlesCorrupt(str(path), number, f"is no candle that follows the one before: {line[:60]!r}")
            before = int(fields[0])
        return lines[1:]


def _row(bar: Bar) -> str:
    prices = (bar.open, bar.high, bar.low, bar.close)
    texts = [
        str(int(bar.start.timestamp())),
        *(decimal_text(price.value) for price in prices),
        decimal_text(bar.volume),
    ]
    return ",".join(texts)


def _opened(row: str) -> int:
    return int(row.partition(",")[0])
