"""`make faults`: runs the rows and prints what was done, what the bot did, and what was judged; exit 1 if any fails."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context

from rich.console import Console
from rich.table import Table

from tests.faults.table import GROUPS, QUICK, ROWS, Result, run

NARROWEST = 150


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    wanted = list(_wanted(options))
    console = Console(width=max(NARROWEST, Console().width))
    if not wanted:
        console.print(f"no row fits; there are {', '.join(ROWS)}")
        return 2
    began, table, failed = time.monotonic(), _table(), 0
    for result in _results(wanted, options.jobs, options.effort):
        table.add_row(*_cells(result))
        failed += bool(result.problems)
        console.print(f"{'[red]FAILED' if result.problems else '[green]held  '}[/] {result.id}  {result.seconds:.1f} s")
        for problem in result.problems:
            console.print(f"        {problem}", markup=False, highlight=False)
        sys.stdout.flush()
    console.print(table)
    judged = {name for row_id in wanted for name in ROWS[row_id].invariants.split()}
    console.print(
        f"{len(wanted) - failed} rows held, {failed} failed; {len(judged)} invariants named by them; "
        f"{time.monotonic() - began:.0f} s"
    )
    return 1 if failed else 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make faults", description="Do to the bot what happened to others.",
        epilog='example: make faults ARGS="--only F013,F067"',
    )  # fmt: skip
    parser.add_argument("--only", default="", metavar="ROWS", help="row ids or their beginnings, comma separated")
    parser.add_argument("--group", choices=tuple(GROUPS), help="the rows of one class")
    parser.add_argument("--quick", action="store_true", help="the rows that `make test` runs")
    parser.add_argument(
        "--effort", type=float, default=1.0, metavar="X", help="X times as many random tries: kills, power cuts, cycles"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="rows at a time (2)")
    return parser.parse_args(arguments)


def _wanted(options: argparse.Namespace) -> Iterator[str]:
    beginnings = tuple(text.strip() for text in options.only.split(",") if text.strip())
    of_group = {row.id for row in GROUPS[options.group]} if options.group else set(ROWS)
    for row_id in ROWS:
        named = not beginnings or row_id.startswith(beginnings)
        if row_id in of_group and named and (not options.quick or row_id in QUICK):
            yield row_id


def _results(wanted: Sequence[str], jobs: int, effort: float) -> Iterator[Result]:
    """In the order of the table. Every row gets a process of its own: none inherits threads or files of another."""
    with ProcessPoolExecutor(max(1, jobs), get_context("spawn"), max_tasks_per_child=1) as pool:
        yield from pool.map(partial(run, effort=effort), wanted)


def _table() -> Table:
    table = Table(title="Faults done to the bot", show_lines=True)
    table.add_column("id", no_wrap=True)
    table.add_column("fault", ratio=3)
    table.add_column("stimulus, proved by venue or system", ratio=3)
    table.add_column("behaviour seen", ratio=4)
    table.add_column("invariants judged", ratio=2)
    table.add_column("s", justify="right", no_wrap=True)
    return table


def _cells(result: Result) -> tuple[str, ...]:
    row = ROWS[result.id]
    judged = " ".join(name for name in row.invariants.split() if result.looked.get(name))
    more = len([name for name in result.looked if name not in row.invariants.split()])
    seen = [*(f"[red]{_plain(problem)}[/]" for problem in result.problems), *map(_plain, result.seen)]
    return (
        f"[{'red' if result.problems else 'green'}]{result.id}[/]", _plain(row.stimulus),
        _plain("; ".join(result.fired)), "; ".join(seen), f"{judged} and {more} more", f"{result.seconds:.1f}",
    )  # fmt: skip


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
