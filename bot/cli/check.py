"""`bot check`: everything that could refuse a start; sends no order."""

from __future__ import annotations

import argparse

from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    add_json(parser)
    parser.add_argument(
        "--smoke", action="store_true", help="also time the reads that follow every submission (needs a key)"
    )


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.checks import Result, rows
    from bot.cli.place import settings_of
    from bot.cli.show import print_json, print_table

    settings = settings_of(args, terminal)
    found = [
        {"check": row.check, "result": row.result.value, "detail": row.detail}
        for row in rows(settings, terminal, smoke=args.smoke)
    ]
    failed = [row for row in found if row["result"] == Result.FAIL.value]
    if args.json:
        print_json(terminal, found)
    else:
        print_table(terminal, found, ("check", "result", "detail"), "")
        if failed:
            terminal.say(f"bot: {len(failed)} of {len(found)} checks would refuse a start")
    return Exit.REFUSED if failed else Exit.FINE


VERB = Verb(
    "check",
    "everything that could refuse a start, pass or fail; sends no order",
    "bot check\nENV=production bot check --mode live --smoke",
    _arguments,
    _run,
)
