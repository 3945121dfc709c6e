"""docs/FAULTS.md, made of the rows: `python -m tests.faults.document` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.faults.table import GROUPS

PAGE = Path(__file__).parents[2] / "docs" / "FAULTS.md"
HEAD = """# Faults done to the bot

What happened to other trading bots, done to this one by `make faults`; one row: `make faults ARGS="--only F013"`. A row
proves by the venue's own record that its stimulus struck, states what the bot must do, and judges the invariants it
names from the exchange's ledger after every event. Rows with a star run with `make test` as well, with fewer random
tries; `make faults ARGS="--only F085,F093,F100 --effort 50"` tries fifty times as many kills and power cuts, and lets
the process live its week at a cycle a minute. This page is made of the rows in `tests/faults/`:
`python -m tests.faults.document`.
"""


def text() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_lines()])


def _lines() -> Iterator[str]:
    for group, rows in GROUPS.items():
        yield f"## {group.capitalize()}\n"
        yield "| row | what is done | what is required | invariants |"
        yield "| --- | --- | --- | --- |"
        for row in rows:
            star = " *" if row.quick else ""
            yield f"| {row.id}{star} | {_cell(row.stimulus)} | {_cell(row.required)} | {row.invariants} |"
        yield ""


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(text())
