"""How far a verb has come, on a terminal: a bar with the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TextIO

Told = Callable[[int, int], None]
"""Told how much is done, of how much."""

_STEPS: Final = 500
"""A bar is drawn so often at most: bars of a year are behind in a second or two."""


@contextmanager
def progress(err: TextIO, what: str, *, quiet: bool = False) -> Iterator[Told]:
    """A bar that is gone at the end; nothing where nobody looks. What it hands out may be told from another thread."""
    if quiet or not err.isatty():
        yield lambda _done, _count: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=err), transient=True) as shown_bar:
        task, shown = shown_bar.add_task(what, total=None), [0]

        def told(done: int, count: int) -> None:
            if done - shown[0] >= count / _STEPS or done == count:
                shown[0] = done
                shown_bar.update(task, completed=done, total=count)

        yield told
