"""`bot fills`: every fill that was booked."""

from __future__ import annotations

import argparse

from bot.cli.verb import Exit, Terminal, Verb


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.listing import add_filters

    add_filters(parser)


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.listing import fill_rows
    from bot.cli.show import print_json, print_table

    rows = fill_rows(args, terminal)
    if args.json:
        print_json(terminal, rows)
    else:
        columns = ("at", "product", "side", "price", "size", "value", "fee", "liquidity", "realised", "foreign")
        print_table(terminal, rows, columns, "no fills")
    return Exit.FINE


VERB = Verb(
    "fills",
    "fills that were booked, oldest first",
    "bot fills --since 2026-11-21\nbot fills --product ETH-USD --json",
    _arguments,
    _run,
)
