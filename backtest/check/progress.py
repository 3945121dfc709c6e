"""What a check is at, on stderr: a line for each run, and on a terminal how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from backtest.progress import progress


class Teller:
    """Tells of one check. err: where to; None: nobody listens."""

    def __init__(self, err: TextIO | None) -> None:
        self._err = err

    def __call__(self, line: str) -> None:
        if self._err is not None:
            print(line, file=self._err, flush=True)

    @contextmanager
    def bars(self, total: int) -> Iterator[Callable[[int], None]]:
        """Something to be told the newest bar that is behind, of `total`; it may be told from another thread."""
        if self._err is None:
            yield lambda _: None
            return
        with progress(self._err, "bars") as told:
            yield lambda k: told(min(total, k + 1), total)
