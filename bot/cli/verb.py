"""What a verb of the command line is, and what it is given."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from enum import IntEnum
from pathlib import Path
from typing import TextIO

from rich.console import Console

from bot.domain.snapshot import Mode
from bot.domain.value import Value


class Exit(IntEnum):
    """Exit codes; scripts and systemd depend on them."""

    FINE = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 3
    LOCKED = 4
    EXCHANGE_REFUSES = 5
    HALTED = 6
    ORDERS_LEFT = 7


class Terminal(Value):
    """The process around a verb: its environment variables and its streams."""

    environ: Mapping[str, str]
    out: TextIO
    err: TextIO

    @property
    def console(self) -> Console:
        """For tables and text that people read."""
        return Console(file=self.out, highlight=False, soft_wrap=not self.out.isatty())

    def say(self, text: str) -> None:
        """One line for people, on standard error, so that `--json` output stays clean."""
        print(text, file=self.err, flush=True)


class Verb(Value):
    """One verb: its name, one line of help, examples, its arguments and what it does.

    run: imports what it needs when called, so that `bot --help` is quick.
    """

    name: str
    help: str
    example: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Terminal], int]


def no_arguments(_parser: argparse.ArgumentParser) -> None:
    """The verb takes none beyond the common ones."""


def add_places(parser: argparse.ArgumentParser, *, mode: bool = True) -> None:
    """`--config-dir`, `--data-dir` and `--mode`, which nearly every verb takes."""
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="policy.yaml and universe.yaml (BOT_CONFIG_DIR)")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="durable state (BOT_DATA_DIR)")
    if mode:
        choices = [item.value for item in Mode]
        parser.add_argument("--mode", choices=choices, help="dry_run, paper or live (BOT_MODE)")


def add_action(
    add_parser: Callable[..., argparse.ArgumentParser], name: str, says: str, example: str
) -> argparse.ArgumentParser:
    """One action of a verb that has several; its help says what it does and ends with an example."""
    lines = example.replace("\n", "\n  ")
    return add_parser(name, help=says, description=says, epilog=f"example:\n  {lines}")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable output with stable names")
