"""`bot approve`: says yes to a trade that waits for a person."""

from __future__ import annotations

import argparse

from bot.cli.verb import Terminal, Verb, add_places


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    parser.add_argument("id", metavar="ID", help="as `bot status` lists it")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.ask import ask

    return ask(args, terminal, "approve", [args.id])


VERB = Verb(
    "approve",
    "let a trade happen that waits for your word",
    "bot status\nbot approve 3f9a01bc",
    _arguments,
    _run,
)
