"""Recorded data and payloads, read only where they are present."""

from __future__ import annotations

import gzip
import itertools
import os
from pathlib import Path

FIXTURES = Path(os.environ.get("BULWARK_FIXTURES", "../shared/fixtures")) / "coinbase"
DATA = Path(os.environ.get("BULWARK_DATA", "../shared/data"))


def candle_paths(limit: int) -> list[Path]:
    """Recorded one-minute candle files; empty where there are none."""
    return sorted((DATA / "candles").glob("*_1m.csv.gz"))[:limit]


def beginning(path: Path, folder: Path, rows: int) -> Path:
    """The first `rows` candles of a recorded file, as a file of the same name."""
    cut = folder / path.name
    with gzip.open(path, "rt") as whole:
        cut.write_bytes(gzip.compress("".join(itertools.islice(whole, rows + 1)).encode()))
    return cut
