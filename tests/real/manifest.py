"""The recordings themselves: what every other check on them takes for granted."""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path


def recordings_are_what_the_manifest_says(data: Path) -> list[str]:
    """Every file listed is there, unchanged; candles have the rows and period listed, ascending and on the bar grid."""
    with (data / "MANIFEST.csv").open(newline="", encoding="utf-8") as manifest:
        rows = list(csv.DictReader(manifest))
    if not rows:
        return ["MANIFEST.csv lists nothing"]
    return [f"{row['path']}: {problem}" for row in rows for problem in _problems(data / row["path"], row)]


def _problems(path: Path, row: Mapping[str, str]) -> Iterator[str]:
    if not path.is_file():
        yield "missing"
        return
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != row["sha256"]:
        yield f"sha256 {found} differs from the manifest"
        return
    if row["path"].startswith("candles"):
        yield from _grid_problems(_starts(path), row)


def _starts(path: Path) -> list[int]:
    with gzip.open(path, "rt", newline="", encoding="utf-8") as text:
        return [int(bar["start"]) for bar in csv.DictReader(text)]


def _grid_problems(starts: list[int], row: Mapping[str, str]) -> Iterator[str]:
    step_s = int(row["step_s"])
    if len(starts) != int(row["rows"]):
        yield f"{len(starts)} bars, the manifest says {row['rows']}"
    if [starts[0], starts[-1]] != [_seconds(row["first"]), _seconds(row["last"])]:
        yield f"runs from {starts[0]} to {starts[-1]}, the manifest says {row['first']} to {row['last']}"
    if any(later <= earlier for earlier, later in pairwise(starts)):
        yield "bars are not strictly ascending"
    if any(start % step_s for start in starts):
        yield f"a bar is off the grid of {step_s} s"


def _seconds(iso: str) -> int:
    return int(datetime.fromisoformat(iso).astimezone(UTC).timestamp())
