"""`backtest compare`: what differs between the figures of two runs."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bot.domain.value import Value
from bot.errors import ConfigError

ABSENT: Final = "-"
WIDTH: Final = 140
_HASH: Final = re.compile("[0-9a-f]{64}")


class Row(Value):
    """One figure of both runs; None where a run has none. section: the part of summary.json it stands in."""

    section: str
    name: str
    a: Any
    b: Any

    @property
    def same(self) -> bool:
        return bool(self.a == self.b)

    @property
    def change(self) -> float | None:
        """b - a, of two numbers."""
        return self.b - self.a if _is_number(self.a) and _is_number(self.b) else None

    @property
    def change_pct(self) -> float | None:
        """The change as a share of a; None where that says nothing: from nought, and from a gain to a loss or back."""
        change = self.change
        return change / abs(self.a) * 100 if change is not None and self.a and self.a * self.b >= 0 else None


def read(folder: Path) -> Mapping[str, Any]:
    """summary.json of a run's folder. Raises ConfigError."""
    path = folder / "summary.json"
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}; the --out of a run is meant"]) from error
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConfigError([f"{path}: holds no figures of a run"])
    return found


def differences(a: Mapping[str, Any], b: Mapping[str, Any], *, everything: bool = False) -> tuple[Row, ...]:
    """Figures that differ, in the order of the summaries. everything: equal ones as well."""
    first, second = dict(_flat(a)), dict(_flat(b))
    rows = (Row(key[0], key[1], first.get(key), second.get(key)) for key in dict.fromkeys([*first, *second]))
    return tuple(row for row in rows if everything or not row.same)


def as_table(rows: Sequence[Row], a: str, b: str) -> str:
    """A table for people, a section a block."""
    if not rows:
        return f"{a} and {b} do not differ\n"
    table = Table("", "figure", box=None, header_style="bold", pad_edge=False)
    for head in (a, b, "change", "%"):
        table.add_column(head, justify="right", overflow="fold")
    before = ""
    for row in rows:
        if before and row.section != before:
            table.add_section()
        shown = row.section if row.section != before else ""
        before = row.section
        table.add_row(shown, row.name, _text(row.a), _text(row.b), _signed(row.change, 6), _signed(row.change_pct, 2))
    stream = io.StringIO()
    Console(file=stream, width=WIDTH, color_system=None, highlight=False, markup=False).print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def as_json(rows: Iterable[Row]) -> str:
    found = [
        {"section": r.section, "name": r.name, "a": r.a, "b": r.b, "change": r.change, "change_pct": r.change_pct}
        for r in rows
    ]
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _flat(value: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for section, content in value.items():
        for name, leaf in _leaves(content, ""):
            yield (section, name), leaf


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        for index, inner in enumerate(value, start=1):
            yield from _leaves(inner, f"{name}.{index}")
    else:
        yield name, _amount(value)


def _amount(value: Any) -> Any:
    """Exact amounts are texts in a summary: here they are compared as numbers."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    if isinstance(value, str) and _HASH.fullmatch(value):
        return f"{value[:12]}..."
    return str(value)


def _signed(value: float | None, places: int) -> str:
    return "" if value is None else f"{value:+.{places}f}".rstrip("0").rstrip(".")
