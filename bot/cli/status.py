"""`bot status`: what the bot does, holds and waits for."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, Final

from bot.cli.place import known
from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places

EVERY_S: Final = 2.0


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    add_json(parser)
    parser.add_argument("--watch", action="store_true", help=f"show it again every {EVERY_S:.0f} s, until Ctrl-C")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    if args.watch:
        return _watch(args, terminal)
    report = _report(args, terminal)
    if args.json:
        from bot.cli.show import print_json

        print_json(terminal, report)
    else:
        from bot.cli.show import console_of
        from bot.cli.status_view import page

        console_of(terminal).print(page(report))
    return Exit.FINE


def _report(args: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    from bot.cli.report import report_of

    return report_of(known(args, terminal))


def _watch(args: argparse.Namespace, terminal: Terminal) -> int:
    """Ctrl-C is the way out, not a failure."""
    try:
        if args.json:
            return _watch_json(args, terminal)
        if not terminal.out.isatty():
            return _watch_lines(args, terminal)
        return _watch_page(args, terminal)
    except KeyboardInterrupt:
        return Exit.FINE


def _watch_json(args: argparse.Namespace, terminal: Terminal) -> int:
    """One line a look."""
    while True:
        print(json.dumps(_report(args, terminal), ensure_ascii=False), file=terminal.out, flush=True)
        time.sleep(EVERY_S)


def _watch_lines(args: argparse.Namespace, terminal: Terminal) -> int:
    """Page after page into a file or pipe, where nothing can be drawn over."""
    from bot.cli.show import console_of
    from bot.cli.status_view import page

    while True:
        console_of(terminal).print(page(_report(args, terminal)))
        terminal.out.flush()
        time.sleep(EVERY_S)


def _watch_page(args: argparse.Namespace, terminal: Terminal) -> int:
    from rich.live import Live

    from bot.cli.status_view import page

    with Live(page(_report(args, terminal)), console=terminal.console, auto_refresh=False) as live:
        while True:
            time.sleep(EVERY_S)
            live.update(page(_report(args, terminal)), refresh=True)


VERB = Verb(
    "status",
    "what the bot does, holds and waits for",
    "bot status\nbot status --watch\nbot status --json | jq .positions",
    _arguments,
    _run,
)
