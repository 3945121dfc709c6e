"""Showing things to people: tables, amounts, and JSON for scripts."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.cli.verb import Terminal
from bot.domain.product import ProductId
from bot.errors import UnitError

Row = Mapping[str, Any]

PIPE_WIDTH: Final = 1000


def print_json(terminal: Terminal, value: object) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False), file=terminal.out, flush=True)


def print_table(terminal: Terminal, rows: Sequence[Row], columns: Sequence[str], empty: str) -> None:
    """The named columns of the rows, or one line saying that there is nothing."""
    if not rows:
        print(empty, file=terminal.out)
        return
    console_of(terminal).print(table(rows, columns))


def console_of(terminal: Terminal) -> Console:
    """As wide as the window; into a file or pipe as wide as the rows are, so that nothing is cut."""
    console = terminal.console
    if not terminal.out.isatty():
        console.width = PIPE_WIDTH
    return console


def table(rows: Sequence[Row], columns: Sequence[str], title: str | None = None) -> Table:
    """A plain table; numbers stand to the right."""
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = bool(rows) and all(_is_number(row.get(column)) for row in rows)
        made.add_column(column.replace("_", " "), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(escape(cell(row.get(column))) for column in columns))
    return made


def cell(value: object) -> str:
    """One value as people read it."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return short_time(value) if isinstance(value, str) and _is_time(value) else str(value)


def short_time(text: str) -> str:
    """`2026-11-21T14:00:01.123456Z` without its fraction and zone letter, which is UTC everywhere."""
    return text[:19].replace("T", " ")


def product(text: str) -> ProductId:
    """An argument that names a product. For argparse."""
    try:
        return ProductId.parse(text)
    except UnitError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def moment(text: str) -> datetime:
    """An argument that names a time: `2026-11-21` or `2026-11-21T14:00`, UTC unless it says otherwise. For argparse."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text[:40]!r} is no time: write 2026-11-21 or 2026-11-21T14:00"
        raise argparse.ArgumentTypeError(message) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def positive(text: str) -> Decimal:
    """An argument that is a number above zero. For argparse."""
    try:
        found = Decimal(text)
    except InvalidOperation as error:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number") from error
    if not found.is_finite() or found <= 0:
        raise argparse.ArgumentTypeError(f"must be above zero, was {text[:40]}")
    return found


def count(text: str) -> int:
    """An argument that counts something. For argparse."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"must be a whole number, was {text[:40]!r}")
    return int(text)


def _is_number(value: object) -> bool:
    if value is None or isinstance(value, bool):
        return value is None
    try:
        return Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False


def _is_time(text: str) -> bool:
    return len(text) == 27 and text.endswith("Z") and text[10] == "T"
