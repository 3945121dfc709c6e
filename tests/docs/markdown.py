"""Reading our own Markdown: tables below headings, code spans, shell blocks, links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DOCUMENTS: Final = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")))

Row = Mapping[str, str]


def document(name: str) -> str:
    return (ROOT / name).read_text()


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^\1 |^#{{1,2}} |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found is not None, f"no heading {heading!r}"
    return found[2]


def tables(text: str) -> list[list[Row]]:
    """Every table, each row by its column names."""
    return [_table(block.splitlines()) for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


def _table(lines: Sequence[str]) -> list[Row]:
    head, _, *rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [dict(zip(head, row, strict=True)) for row in rows]


def names(cell: str) -> list[str]:
    """The code spans of a cell."""
    return re.findall(r"`([^`]+)`", cell)


def command_lines(text: str) -> Iterator[str]:
    """Every `bot ...` in a code span or at the beginning of a line of a shell block, without its comment."""
    yield from re.findall(r"`((?:[A-Z_]+=\S+ )*bot [^`]+)`", text)
    for block in re.findall(r"```(?:sh|console|text)?\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            found = re.match(r"(?:\$ )?((?:[A-Z_]+=\S+ )*bot [^#|]+)", line.strip())
            if found is not None:
                yield found[1]


def anchors(text: str) -> set[str]:
    """The anchors that headings make."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
