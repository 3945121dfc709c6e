"""What a mistake is: one change of one text in one file, the control it breaks, and the command that has to notice."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from bot.domain.value import Value
from tests import sabotage

ROOT: Final = Path(__file__).parents[2]


class StaleMistake(Exception):
    """A mistake that no longer fits the code: its text is gone, or stands there more than once."""


class Mistake(Value):
    """A plausible edit that breaks one control.

    name: short, unique, for `--only`. story: the kind of incident it imitates. control: the name of its row in
    docs/CONTROLS.md. path: the file, from the root of the tree. old, new: the text, which stands there exactly once,
    and what it becomes. command: arguments for the interpreter, the narrowest that has to turn red; `pytest(...)`
    makes one, anything else (`-m backtest gate`) has to tell red by the exit code 3 and say what failed.
    """

    name: str
    story: str
    control: str
    path: str
    old: str
    new: str
    command: tuple[str, ...]

    @property
    def selections(self) -> tuple[str, ...]:
        """The tests of a pytest command; () for any other command."""
        return self.command[2:] if self.command[:2] == PYTEST else ()

    def applied(self, text: str) -> str:
        """The file with the mistake in it. Raises StaleMistake when it cannot be made."""
        if self.old == self.new:
            raise StaleMistake(f"{self.name}: it changes nothing")
        if (found := text.count(self.old)) != 1:
            raise StaleMistake(f"{self.name}: its text must stand in {self.path} once, was there {found} times")
        return text.replace(self.old, self.new)


PYTEST: Final = ("-m", "pytest")


def pytest(*selections: str) -> tuple[str, ...]:
    """The command that runs these tests: files or `file::test`, from the root of the tree."""
    return (*PYTEST, *selections)


def catalogue() -> Mapping[str, Mistake]:
    """Every mistake by its name, in the order of the files. Raises StaleMistake when two have one name."""
    found: dict[str, Mistake] = {}
    for module in sorted(iter_modules(sabotage.__path__), key=lambda module: module.name):
        if module.name.startswith(("__", "test_")):
            continue
        for mistake in getattr(import_module(f"{sabotage.__name__}.{module.name}"), "MISTAKES", ()):
            if mistake.name in found:
                raise StaleMistake(f"{mistake.name}: two mistakes have this name")
            found[mistake.name] = mistake
    return found
