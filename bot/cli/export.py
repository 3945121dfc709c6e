"""`bot export`: orders, fills or positions as CSV."""

from __future__ import annotations

import argparse
import csv
import io
from pathlib import Path
from typing import Any

from bot.cli.verb import Exit, Terminal, Verb
from bot.errors import StorageFailed


def _arguments(parser: argparse.ArgumentParser) -> None:
    from bot.cli.listing import add_filters

    parser.add_argument("what", choices=("orders", "fills", "positions"))
    add_filters(parser, json=False)
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: standard output")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli import listing, rows

    sources = {
        "orders": (listing.order_rows, rows.ORDER_FIELDS),
        "fills": (listing.fill_rows, rows.FILL_FIELDS),
        "positions": (listing.position_rows, rows.POSITION_FIELDS),
    }
    read, fields = sources[args.what]
    text = as_csv(read(args, terminal), fields)
    if args.out is None:
        terminal.out.write(text)
        terminal.out.flush()
        return Exit.FINE
    _write(args.out, text)
    terminal.say(f"bot: {text.count(chr(10)) - 1} {args.what} written to {args.out}")
    return Exit.FINE


def as_csv(rows: list[dict[str, Any]], fields: tuple[str, ...]) -> str:
    """A header and one line a row; what is not known is empty."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    writer.writerow(fields)
    writer.writerows([_plain(row.get(field)) for field in fields] for row in rows)
    return sheet.getvalue()


def _plain(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageFailed(f"cannot write {path}: {error.strerror}") from error


VERB = Verb(
    "export",
    "orders, fills or positions as CSV",
    "bot export fills --since 2026-01-01 --out fills.csv\nbot export orders | column -s, -t",
    _arguments,
    _run,
)
