"""`bot bans`: what may not be entered, why, and until when."""

from __future__ import annotations

import argparse

from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    add_json(parser)


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.books import state_of
    from bot.cli.place import known, look
    from bot.cli.show import print_json, print_table
    from bot.domain.codec import time_text

    state = state_of(look(known(args, terminal)))
    rows = [
        {
            "product": ban.product,
            "red_flag": ban.kind,
            "since": time_text(ban.since),
            "until": time_text(ban.until),
            "source": ban.source,
        }
        for ban in (state.bans.values() if state is not None else ())
    ]
    if args.json:
        print_json(terminal, rows)
    else:
        print_table(terminal, rows, ("product", "red_flag", "since", "until", "source"), "nothing is banned")
    return Exit.FINE


VERB = Verb("bans", "products that are banned from entries", "bot bans\nbot bans --json", _arguments, _run)
