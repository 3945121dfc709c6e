"""`bot flag`: bans a product that something is wrong with."""

from __future__ import annotations

import argparse

from bot.cli.verb import Exit, Terminal, Verb, add_places


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.show import positive, product

    add_places(parser)
    parser.add_argument("product", type=product, metavar="PRODUCT", help="such as SOL-USD")
    parser.add_argument("red_flag", metavar="RED_FLAG", help="one of exclusions.red_flags in universe.yaml")
    parser.add_argument("--hours", type=positive, metavar="H", help="how long; default exclusions.temporary_ban_hours")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.ask import ask
    from bot.domain.money import decimal_text

    hours = [] if args.hours is None else [decimal_text(args.hours)]
    code = ask(args, terminal, "flag", [args.product, args.red_flag, *hours])
    if code == Exit.FINE and args.product not in listed(args, terminal):
        terminal.say(f"bot: {args.product} is in no tier of universe.yaml: is that how it is spelled?")
    return code


def listed(args: argparse.Namespace, terminal: Terminal) -> frozenset[str]:
    """Every product of a tier."""
    from bot.cli.place import config_of, settings_of

    tiers = config_of(settings_of(args, terminal)).universe.tiers
    return frozenset(str(product) for tier in tiers.values() for product in tier.products)


VERB = Verb(
    "flag",
    "ban a product from entries for a while; what is held may still be sold",
    "bot flag SOL-USD recent_exploit\nbot flag SOL-USD delisting_rumors --hours 48",
    _arguments,
    _run,
)
