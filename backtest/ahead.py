"""Files read ahead: nothing of the settings changes how one is decoded, so that begins while they are loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from backtest import candles
from backtest.candles import Candles
from bot.domain.product import ProductId
from bot.errors import ConfigError

ROOM: Final = 2**25
"""Bytes of files that are read ahead: decoded they fill three times the memory, until they are asked for."""


class Ahead:
    """Reads a folder's first Parquet files aside, until somebody asks for them or the context ends.

    What is wrong with a file is told to whoever asks for it, and to nobody when nobody does. only: of these products,
    if any is given.
    """

    def __init__(self, folder: Path, only: Collection[ProductId]) -> None:
        self._aside = ThreadPoolExecutor(1)
        self._reading = {path: self._aside.submit(candles.read, path) for path in _first(folder, only)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._aside.shutdown(cancel_futures=True)
        self._reading.clear()

    def read(self, path: Path) -> Candles:
        """What `candles.read` answers, or raises, once a file: what has begun is waited for."""
        reading = self._reading.pop(path, None)
        if reading is None or reading.cancel():
            return candles.read(path)
        return reading.result()


def _first(folder: Path, only: Collection[ProductId]) -> Iterator[Path]:
    """As many files as there is room for."""
    left = ROOM
    with suppress(ConfigError, OSError):  # told by the run itself, which looks at the folder again
        for path in candles.packed(folder, only):
            left -= path.stat().st_size
            if left < 0:
                return
            yield path
