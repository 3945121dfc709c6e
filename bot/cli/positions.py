"""`bot positions`: what the bot holds."""

from __future__ import annotations

import argparse

from bot.cli.verb import Exit, Terminal, Verb


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.listing import add_filters

    add_filters(parser, since=False)


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.listing import position_rows
    from bot.cli.show import print_json, print_table
    from bot.cli.status_view import POSITION_COLUMNS

    rows = position_rows(args, terminal)
    if args.json:
        print_json(terminal, rows)
    else:
        print_table(terminal, rows, POSITION_COLUMNS, "no positions")
    return Exit.FINE


VERB = Verb(
    "positions",
    "what is held, at what cost and with which stops",
    "bot positions\nbot positions --json",
    _arguments,
    _run,
)
