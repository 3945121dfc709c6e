"""Walking pages to the end or not at all: a short list is never returned."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from bot.adapters.coinbase.wire.read import Fields
from bot.errors import CriticalDataUnavailable

PAGES_MAX: Final = 60

Ask = Callable[[str], Fields]
"""Fetch the page of a cursor; the first page's cursor is empty."""


def by_has_next(ask: Ask, what: str) -> Iterator[Fields]:
    """Every page of a list that says itself whether more follows.

    Raises: CriticalDataUnavailable when `has_next` is missing, a cursor repeats or is missing, or pages never end.
    """
    cursor, seen = "", {""}
    for _ in range(PAGES_MAX):
        page = ask(cursor)
        yield page
        if not page.flag("has_next"):
            return
        cursor = page.text_or("cursor")
        if cursor in seen:
            raise CriticalDataUnavailable(what, "more pages were promised under a cursor already used")
        seen.add(cursor)
    raise CriticalDataUnavailable(what, f"more than {PAGES_MAX} pages")


def by_cursor(ask: Ask, rows: str, key: str, what: str) -> Iterator[Fields]:
    """Every page of a list without `has_next`: it ends with an empty cursor, an empty page, or one with nothing new.

    Raises: CriticalDataUnavailable when a used cursor brings new rows, or pages never end.
    """
    cursor, used, known = "", {""}, set[str]()
    for _ in range(PAGES_MAX):
        page = ask(cursor)
        found = {row.text(key) for row in page.rows(rows)}
        fresh = found - known
        yield page
        known |= found
        cursor = page.text_or("cursor")
        if not cursor or not fresh:
            return
        if cursor in used:
            raise CriticalDataUnavailable(what, "a page with new rows names a cursor already used")
        used.add(cursor)
    raise CriticalDataUnavailable(what, f"more than {PAGES_MAX} pages")
