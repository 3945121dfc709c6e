"""`bot orders`: every order of ours that the journal knows."""

from __future__ import annotations

import argparse

from bot.cli.verb import Exit, Terminal, Verb

TERMINAL = ("FILLED", "CANCELED", "EXPIRED", "REJECTED")


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.listing import add_filters

    add_filters(parser)
    parser.add_argument("--working", action="store_true", help="only those that may still fill")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.listing import order_rows
    from bot.cli.show import print_json, print_table

    rows = [row for row in order_rows(args, terminal) if not (args.working and row["status"] in TERMINAL)]
    if args.json:
        print_json(terminal, rows)
    else:
        columns = (
            "client_order_id",
            "created_at",
            "product",
            "side",
            "kind",
            "status",
            "size",
            "filled",
            "limit_price",
        )
        print_table(terminal, rows, columns, "no orders")
    return Exit.FINE


VERB = Verb(
    "orders",
    "our orders, oldest first",
    "bot orders --working\nbot orders --product BTC-USD --since 2026-11-21\nbot orders --json",
    _arguments,
    _run,
)
