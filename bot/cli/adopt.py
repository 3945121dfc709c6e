"""`bot adopt`: hands a holding over to the bot."""

from __future__ import annotations

import argparse

from bot.cli.verb import Terminal, Verb, add_places


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    from bot.cli.show import product

    parser.add_argument("product", type=product, metavar="PRODUCT", help="such as BTC-USD")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.ask import ask

    return ask(args, terminal, "adopt", [args.product])


VERB = Verb(
    "adopt",
    "let the bot manage a holding it did not buy: it may sell it from now on",
    "bot adopt ETH-USD",
    _arguments,
    _run,
)
