"""`bot shadow`: a dry run beside live, trade by trade: intended, would have been filled, really filled."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places

if TYPE_CHECKING:
    from bot.ops.shadow import Trade

COLUMNS = (
    "at", "product", "side", "kind", "intended", "would_fill", "would_fee", "would_delay_s", "live_filled", "live_fee",
    "live_delay_s", "cost_bps",
)  # fmt: skip


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.show import moment, product

    add_places(parser, mode=False)
    add_json(parser)
    parser.add_argument("--product", type=product, metavar="PRODUCT", help="only this one")
    parser.add_argument("--since", type=moment, metavar="TIME", help="not before, UTC: 2026-11-21 or 2026-11-21T14:00")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.show import print_json, print_table
    from bot.ops.shadow import matched, totals

    pairs = matched(_trades(args, terminal, "dry_run"), _trades(args, terminal, "live"))
    rows, summed = [pair.as_json() for pair in pairs], totals(pairs)
    if args.json:
        print_json(terminal, {"trades": rows, "totals": summed})
    else:
        print_table(terminal, [_flat(row) for row in rows], COLUMNS, "neither the dry run nor live has traded")
        print_table(terminal, [summed], tuple(summed), "")
    return Exit.FINE


def _trades(args: argparse.Namespace, terminal: Terminal, mode: str) -> list[Trade]:
    from bot.cli.books import envelopes
    from bot.cli.place import look, settings_of
    from bot.ops.shadow import trades

    storage = look(settings_of(argparse.Namespace(**{**vars(args), "mode": mode}), terminal))
    found = trades(envelopes(storage))
    return [
        trade
        for trade in found
        if (args.product is None or trade.product == args.product) and (args.since is None or trade.at >= args.since)
    ]


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """One line of the table: amounts as `size @ price`."""
    shown = {name: row[name] for name in ("at", "product", "side", "kind", "cost_bps")}
    for side, name in (("would", "would"), ("actual", "live")):
        part = row[side] or {"size": None, "price": None, "fee": None, "delay_s": None}
        shown[f"{name}_fee"], shown[f"{name}_delay_s"] = part["fee"], part["delay_s"]
        shown["would_fill" if side == "would" else "live_filled"] = _at(part)
    return {**shown, "intended": _at(row["intended"])}


def _at(part: dict[str, Any]) -> str | None:
    return None if part["price"] is None else f"{part['size']} @ {part['price']}"


VERB = Verb(
    "shadow",
    "a dry run beside live: intended, would have been filled, really filled",
    "bot shadow\nbot shadow --since 2026-11-21 --json",
    _arguments,
    _run,
)
