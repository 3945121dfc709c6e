"""What the verbs that list things have in common: their filters, where they read, and how they show it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from bot.cli.verb import Terminal, add_json, add_places

if TYPE_CHECKING:
    from bot.adapters.storage import FileStorage
    from bot.cli.rows import Wanted


def add_filters(parser: argparse.ArgumentParser, *, json: bool = True, since: bool = True) -> None:
    from bot.cli.show import moment, product

    add_places(parser)
    if json:
        add_json(parser)
    parser.add_argument("--product", type=product, metavar="PRODUCT", help="only this one")
    if since:
        parser.add_argument(
            "--since", type=moment, metavar="TIME", help="not before, UTC: 2026-11-21 or 2026-11-21T14:00"
        )


def wanted(args: argparse.Namespace) -> Wanted:
    from bot.cli.rows import Wanted

    return Wanted(args.product, getattr(args, "since", None))


def storage_of(args: argparse.Namespace, terminal: Terminal) -> FileStorage:
    from bot.cli.place import known, look

    return look(known(args, terminal))


def fill_rows(args: argparse.Namespace, terminal: Terminal) -> list[dict[str, Any]]:
    from bot.cli import rows
    from bot.cli.archive import archived
    from bot.cli.books import envelopes

    storage, only = storage_of(args, terminal), wanted(args)
    found = {row["entry_id"]: row for row in rows.fills(archived(storage), only)}
    return [*(found | {row["entry_id"]: row for row in rows.fills(envelopes(storage), only)}).values()]


def order_rows(args: argparse.Namespace, terminal: Terminal) -> list[dict[str, Any]]:
    from bot.cli import rows
    from bot.cli.books import envelopes

    return rows.orders(envelopes(storage_of(args, terminal)), wanted(args))


def position_rows(args: argparse.Namespace, terminal: Terminal) -> list[dict[str, Any]]:
    from bot.cli.place import known
    from bot.cli.report import report_of

    report, only = report_of(known(args, terminal)), args.product
    return [row for row in report["positions"] if only is None or row["product"] == only]
