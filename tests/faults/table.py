"""All rows in one table, and how one of them is run."""

from __future__ import annotations

import signal
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from bot.domain.value import Value
from tests.faults import (
    clock,
    data,
    links,
    numbers,
    operator,
    orders,
    process,
    recorded,
    security,
    storage,
    transport,
    venue,
)
from tests.faults.trial import Fault, Trial

GROUPS: Mapping[str, Sequence[Fault]] = {
    "transport": transport.ROWS,
    "links": links.ROWS,
    "venue": venue.ROWS,
    "orders": orders.ROWS,
    "data": data.ROWS,
    "numbers": numbers.ROWS,
    "recorded": recorded.ROWS,
    "storage": storage.ROWS,
    "clock": clock.ROWS,
    "operator": operator.ROWS,
    "security": security.ROWS,
    "process": process.ROWS,
}
"""Class of faults -> its rows."""

KNOWN: Sequence[str] = tuple(
    f"F{number:03d}"
    for number in (
        1, 2, 4, 5, 6, 8, 10, 11, 13, 14, 15, 16, 17, 18, 21, 22, 23, 25,  # connections
        26, 29, 30, 32, 35, 37, 40, 41, 42, 43, 45, 48, 49,  # what the venue says
        52, 54, 55, 56, 57, 60, 61, 62, 64, 66, 67, 68, 69,  # lives of orders
        70, 72, 73, 74, 75, 77, 79,  # market data
        80, 81, 82,  # numbers
        84, 85, 87, 88, 90, 92,  # files
        93, 94, 95, 96, 98, 99, 100, 101, 102,  # processes
        104, 105,  # clocks
        107, 108, 110, 111, 112,  # configuration and operator
        113, 115, 116, 117, 118, 119, 120,  # security
    )
)  # fmt: skip
"""Every fault that is known to have hurt somebody; each has a row."""

ROWS: Mapping[str, Fault] = {row.id: row for row in chain.from_iterable(GROUPS.values())}
QUICK: Sequence[str] = tuple(row.id for row in ROWS.values() if row.quick)


class Result(Value):
    """What one run showed. looked: invariant -> how often it was judged; problems: empty when all held."""

    id: str
    fired: tuple[str, ...]
    seen: tuple[str, ...]
    looked: Mapping[str, int]
    problems: tuple[str, ...]
    seconds: float


class OutOfTime(BaseException):
    """A row took too long; passes through every edge at which the bot survives mistakes."""


def run(row_id: str, effort: float = 1.0) -> Result:
    """Run one row in a folder of its own. Never raises: whatever goes wrong is a problem of the row.

    effort: how much of its random part is tried; one above 1 may take as many times longer.
    """
    row, began = ROWS[row_id], time.monotonic()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        trial = Trial(Path(folder), effort)
        try:
            with _at_most(row.longest_s * max(1.0, effort)):
                row.run(trial)
                problems = trial.finish(row.invariants)
        except (Exception, OutOfTime) as error:  # the table goes on with the next row, and shows this one as failed
            where = traceback.extract_tb(error.__traceback__)
            ours = [f"{Path(f.filename).name}:{f.lineno}" for f in where if "/tests/" in f.filename]
            problems = [*trial.findings.broken, f"{type(error).__name__} at {', '.join(ours[-2:])}: {error}"]
    return Result(
        row_id, tuple(trial.fired), tuple(trial.seen), dict(trial.findings.looked), tuple(problems),
        time.monotonic() - began,
    )  # fmt: skip


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    def over(*_: object) -> None:
        raise OutOfTime(f"no end after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
