"""`bot ignore`: leaves a holding to its owner."""

from __future__ import annotations

import argparse

from bot.cli.verb import Terminal, Verb, add_places


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    from bot.cli.show import product

    parser.add_argument("product", type=product, metavar="PRODUCT", help="such as BTC-USD")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.ask import ask

    return ask(args, terminal, "ignore", [args.product])


VERB = Verb(
    "ignore",
    "end a quarantine and leave what is held to you: counted, never sold by the bot",
    "bot ignore ETH-USD",
    _arguments,
    _run,
)
