"""`bot unflag`: lifts a ban."""

from __future__ import annotations

import argparse

from bot.cli.verb import Terminal, Verb, add_places


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    from bot.cli.show import product

    parser.add_argument("product", type=product, metavar="PRODUCT", help="such as BTC-USD")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.ask import ask

    return ask(args, terminal, "unflag", [args.product])


VERB = Verb(
    "unflag",
    "lift the ban of a product",
    "bot unflag SOL-USD",
    _arguments,
    _run,
)
