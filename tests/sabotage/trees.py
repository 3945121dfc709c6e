"""Copies of the checkout to break, and the verdict of a command that ran in a broken one."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from itertools import count
from pathlib import Path
from typing import Final

from bot.domain.value import Value, field
from tests.sabotage.mistakes import ROOT, Mistake, StaleMistake

DEADLINE_S: Final = 900
QUIET: Final = ("-q", "--no-header", "-p", "no:cacheprovider", "--hypothesis-seed=0")
"""The same examples every time."""

_FAILED: Final = re.compile(r"^FAILED (\S+)", re.MULTILINE)
_RED_OF_A_GATE: Final = 3
_TAIL: Final = 12


class Outcome(Enum):
    """What became of a mistake: noticed, not noticed, or the command itself did not work."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"


class Verdict(Value):
    """by: the first failing test, or why nothing can be said."""

    outcome: Outcome
    by: str


class Tree(Value):
    """A copy of the tracked files. Times of changed files only ever grow, so that no stale bytecode is believed."""

    root: Path
    _clock: Iterator[int] = field(default_factory=lambda: count(2_000_000_000))

    @contextmanager
    def broken_by(self, mistake: Mistake) -> Iterator[None]:
        """The tree with one mistake in it. Raises StaleMistake when it does not fit."""
        path = self.root / mistake.path
        before = path.read_text()
        self._write(path, mistake.applied(before))
        try:
            yield
        finally:
            self._write(path, before)

    def run(self, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        """The command with this interpreter, in this tree. Raises subprocess.TimeoutExpired."""
        return subprocess.run(
            (sys.executable, *command), cwd=self.root, env=self._environment(), text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=DEADLINE_S,
        )  # fmt: skip

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        moment = next(self._clock)
        os.utime(path, (moment, moment))

    def _environment(self) -> Mapping[str, str]:
        data = Path(os.environ.get("BULWARK_DATA", "../shared/data"))
        return {**os.environ, "PYTHONPATH": str(self.root), "BULWARK_DATA": str((ROOT / data).resolve())}


def copy_to(folder: Path, *, committed: bool = False) -> Tree:
    """A fresh copy of every tracked file. Raises CalledProcessError outside of a git checkout.

    committed: as in the last commit instead of as they stand in the checkout, where work may be under way.
    """
    if committed:
        packed = subprocess.run(("git", "archive", "HEAD"), cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        return Tree(folder)
    listed = subprocess.run(("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return Tree(folder)


class Red(Value):
    """What fails in the tree as it is: tests, which are left out, and other commands, which then prove nothing."""

    tests: tuple[str, ...] = ()
    commands: frozenset[tuple[str, ...]] = frozenset()


def full(mistake: Mistake, red: Red) -> tuple[str, ...]:
    """The command of a mistake as it is run: its tests up to the first that fails."""
    if not mistake.selections:
        return mistake.command
    return (*mistake.command, "-x", *QUIET, *(f"--deselect={test}" for test in red.tests))


def attempt(tree: Tree, mistake: Mistake, red: Red) -> Verdict:
    """Make the mistake, run its command, take it back."""
    if mistake.command in red.commands:
        return Verdict(Outcome.BROKEN, "its command is red without any mistake")
    try:
        with tree.broken_by(mistake):
            done = tree.run(full(mistake, red))
    except StaleMistake as error:
        return Verdict(Outcome.BROKEN, str(error))
    except subprocess.TimeoutExpired:
        return Verdict(Outcome.BROKEN, f"no answer within {DEADLINE_S} s")
    return judged(done.returncode, done.stdout, tests=bool(mistake.selections))


def failed(output: str) -> tuple[str, ...]:
    """The tests that pytest's summary names as failed."""
    return tuple(_FAILED.findall(output))


def judged(code: int, output: str, *, tests: bool) -> Verdict:
    """Red means failed tests, or a gate that says no: an error of import or collection proves nothing."""
    if code == 0:
        return Verdict(Outcome.SURVIVED, "nothing turned red")
    if tests and code == 1 and (found := failed(output)):
        return Verdict(Outcome.KILLED, found[0])
    if not tests and code == _RED_OF_A_GATE:
        return Verdict(Outcome.KILLED, _first_complaint(output))
    return Verdict(Outcome.BROKEN, f"exit code {code} without a failed test:\n{_tail(output)}")


def _first_complaint(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "fail" in line.lower()), lines[-1] if lines else "exit code alone")


def _tail(output: str) -> str:
    return "\n".join(output.splitlines()[-_TAIL:])
