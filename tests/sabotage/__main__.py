"""Make every mistake once, in a copy of the tree, and tell which no test notices.

python -m tests.sabotage                      all of them
python -m tests.sabotage --only stop-above    one, with `--only` as often as needed
python -m tests.sabotage --list               their names and stories
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.domain.value import Value
from tests.sabotage.mistakes import PYTEST, Mistake, catalogue
from tests.sabotage.trees import QUIET, Outcome, Red, Tree, Verdict, attempt, copy_to, failed

WORKERS: Final = 2
WIDTH: Final = 160
"""Wide enough for the name of a test, on a narrow terminal or in a log too."""

COLOURS: Final = {Outcome.KILLED: "green", Outcome.SURVIVED: "bold red", Outcome.BROKEN: "bold yellow"}


class Result(Value):
    mistake: Mistake
    verdict: Verdict
    seconds: float


def main(arguments: Sequence[str]) -> int:
    """0 when every mistake is noticed, 1 when one survives or cannot be tried."""
    options, console = _options(arguments), Console(width=max(Console().width, WIDTH))
    chosen = _chosen(options.only, options.control)
    if options.list:
        console.print(_listed(chosen.values()))
        return 0
    with tempfile.TemporaryDirectory(prefix="sabotage-") as folder:
        trees = [copy_to(Path(folder) / str(number), committed=options.committed) for number in range(WORKERS)]
        red = _red_already(trees[0], chosen)
        for name in (*red.tests, *map(" ".join, sorted(red.commands))):
            console.print(f"red without any mistake, and left out: {escape(name)}", style="bold yellow")
        results = _tried(trees, list(chosen.values()), red, console)
    console.print(_table(results))
    return _summed_up(results, console)


def _red_already(tree: Tree, chosen: Mapping[str, Mistake]) -> Red:
    """What is red without any mistake, and so notices nothing. Raises SystemExit when the tests cannot be collected."""
    selections = sorted({s for mistake in chosen.values() for s in mistake.selections})
    others = sorted({mistake.command for mistake in chosen.values() if not mistake.selections})
    tests: tuple[str, ...] = ()
    if selections:
        done = tree.run((*PYTEST, *selections, *QUIET, "-n", str(WORKERS)))
        tests = failed(done.stdout)
        if done.returncode != (1 if tests else 0):
            sys.exit(f"the tests do not run even without a mistake:\n{done.stdout}")
    commands = frozenset(command for command in others if tree.run(command).returncode != 0)
    return Red(tests, commands)


def _tried(trees: Sequence[Tree], mistakes: Sequence[Mistake], red: Red, console: Console) -> list[Result]:
    free: SimpleQueue[Tree] = SimpleQueue()
    for tree in trees:
        free.put(tree)

    def one(mistake: Mistake) -> Result:
        tree, began = free.get(), monotonic()
        try:
            result = Result(mistake, attempt(tree, mistake, red), monotonic() - began)
        finally:
            free.put(tree)
        console.print(f"{result.verdict.outcome.value:9} {mistake.name}", style=COLOURS[result.verdict.outcome])
        return result

    with ThreadPoolExecutor(len(trees)) as pool:
        return list(pool.map(one, mistakes))


def _table(results: Sequence[Result]) -> Table:
    table = Table("mistake", "control", "killed by", title=f"{len(results)} mistakes")
    table.add_column("seconds", justify="right")
    for result in results:
        killed = result.verdict.outcome is Outcome.KILLED
        by = result.verdict.by if killed else result.verdict.outcome.value
        style = None if killed else COLOURS[result.verdict.outcome]
        table.add_row(result.mistake.name, result.mistake.control, escape(by), f"{result.seconds:.1f}", style=style)
    return table


def _summed_up(results: Sequence[Result], console: Console) -> int:
    left = [result for result in results if result.verdict.outcome is not Outcome.KILLED]
    for result in left:
        mistake = result.mistake
        console.print(f"\n{result.verdict.outcome.value}: {mistake.name}: {mistake.story}", style="bold")
        console.print(f"{mistake.path}\n- {mistake.old}\n+ {mistake.new}\n{result.verdict.by}", markup=False)
    console.print(f"{len(results) - len(left)} of {len(results)} mistakes turned a test red")
    return 1 if left else 0


def _listed(mistakes: Iterable[Mistake]) -> Table:
    table = Table("mistake", "control", "story")
    for mistake in mistakes:
        table.add_row(mistake.name, mistake.control, mistake.story)
    return table


def _chosen(only: Sequence[str], control: str | None) -> Mapping[str, Mistake]:
    known = catalogue()
    if unknown := [name for name in only if name not in known]:
        sys.exit(f"no mistake is called {', '.join(unknown)}; --list shows their names")
    return {
        name: mistake
        for name, mistake in known.items()
        if (not only or name in only) and control in (None, mistake.control)
    }


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make sabotage", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this mistake; repeatable")
    parser.add_argument("--control", help="the mistakes of one control of docs/CONTROLS.md")
    parser.add_argument("--committed", action="store_true", help="break the last commit, not the files as they stand")
    parser.add_argument("--list", action="store_true", help="names and stories, nothing is run")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
