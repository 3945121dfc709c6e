"""The demo on a terminal: one page that is drawn again and again, as tall as the window is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from bot.domain.money import quantised
from bot.domain.value import Value
from simulator.demo_story import Kind, Line, Story
from simulator.demo_words import change, dollars, span

_STYLES: Final = {
    Kind.TRADE: "bold green",
    Kind.NO_TRADE: "dim",
    Kind.HALT: "bold red",
    Kind.ORDER: "cyan",
    Kind.FILL: "bold",
    Kind.STOPS: "cyan",
    Kind.ALERT: "yellow",
}
_WORDS: Final = {
    Kind.TRADE: "TRADE", Kind.NO_TRADE: "no trade", Kind.HALT: "HALTED", Kind.ORDER: "order", Kind.FILL: "filled",
    Kind.STOPS: "stops", Kind.ALERT: "alert",
}  # fmt: skip
_HEADER: Final = 4
_LEAST_LINES: Final = 5
_POSITIONS: Final = {
    "product": "product", "mark": "price now", "unrealised_pnl": "result", "stop": "stop", "target": "target",
    "size": "size", "cost": "paid with fees", "rule": "bought by rule",
}  # fmt: skip
"""Columns and their titles; what does not fit into the window is left out from the right."""
_ORDERS: Final = {
    "product": "product", "kind": "kind", "side": "side", "size": "size", "limit_price": "limit", "stop_price": "stop",
    "status": "status", "filled": "filled",
}  # fmt: skip
_NUMBERS: Final = frozenset(
    {"size", "filled", "cost", "mark", "unrealised_pnl", "stop", "target", "limit_price", "stop_price"}
)
_GAP: Final = 2
_LEAST_ROWS: Final = 3
_AROUND_TABLES: Final = 16
"""Lines that everything but the rows of the two tables takes at the very least."""

Report = Mapping[str, Any]


class Page(Value):
    """Everything one drawing shows.

    report: the daemon's status report, empty before its first cycle ended. opening: equity the run began with, dollars.
    """

    story: Story
    report: Report
    opening: Decimal
    speed: float
    running: timedelta
    ending: str
    footer: Sequence[str]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Group(*self._sections(options.max_width, options.height or console.height))

    def _sections(self, width: int, height: int) -> Iterator[RenderableType]:
        """From top to bottom; the story takes what the rest leaves, and the lists below go when it is too little."""
        positions = self.report.get("positions", [])
        orders = sorted(self.report.get("orders", []), key=lambda row: bool(row["kind"] == "protective"))
        most = max(_LEAST_ROWS, (height - _AROUND_TABLES) // 2)
        tables = [
            *_section("Positions", positions, _POSITIONS, width, most),
            *_section("Open orders at the exchange", orders, _ORDERS, width, most),
        ]
        below = [*tables, *_beside(self._fills(5), self._why_not(5), width)]
        choices = [(below, self.footer), (tables, self.footer), (tables, self.footer[2:]), (tables, self.footer[-1:])]
        spare = [height - _HEADER - 2 - sum(map(_rows, parts)) - len(footer) for parts, footer in choices]
        chosen = next((number for number, rows in enumerate(spare) if rows >= _LEAST_LINES), len(choices) - 1)
        parts, footer = choices[chosen]
        yield from self._header()
        yield _title("What happened")
        yield from self._happened(max(_LEAST_LINES, spare[chosen]))
        yield from parts
        yield Text()
        yield from (_line(text, "dim") for text in footer)

    def _header(self) -> Iterator[Text]:
        story, report = self.story, self.report
        at = f"{story.at:%Y-%m-%d %H:%M:%S} UTC" if story.at is not None else "not begun"
        ending = Text(f"  {self.ending}", "bold red") if self.ending else Text("  Ctrl-C ends it", "dim")
        title = Text.assemble(
            ("Bulwark demo", "bold reverse"), "  simulated Coinbase, made-up money, no network", ending
        )
        yield _fitted(title)
        yield _line(
            f"trading time {at}   cycle {story.cycles}   market {story.regime or '?'}   "
            f"{story.eligible} products tradable   running for {span(self.running)}, up to {self.speed:g} x real time"
        )
        yield _fitted(Text.assemble(*_money(report, self.opening)))
        halted = report.get("halted")
        yield _line(f"HALTED: {report['halt_reason']}" if halted else "halts none", "bold red" if halted else "green")

    def _happened(self, rows: int) -> Iterator[Text]:
        shown = list(self.story.lines)[-rows:]
        yield from (happening(line) for line in shown)
        yield from (Text() for _ in range(rows - len(shown)))

    def _fills(self, most: int) -> list[Text]:
        rows = [_line(f"{line.at:%H:%M:%S}  {line.text}") for line in list(self.story.fills)[-most:]]
        return [_title("Last fills"), *(rows or [_line("none yet", "dim")])]

    def _why_not(self, most: int) -> list[Text]:
        rows = [_line(f"{count:4d}  {words}") for words, count in self.story.why_not.most_common(most)]
        return [_title("Cycles without a trade, by reason"), *(rows or [_line("none yet", "dim")])]


def happening(line: Line) -> Text:
    """One line of the story, as the screen and the plain output show it."""
    times = f" (x {line.count})" if line.count > 1 else ""
    return _fitted(
        Text.assemble((f"{line.at:%H:%M:%S}  {_WORDS[line.kind]:<8}  ", _STYLES[line.kind]), f"{line.text}{times}")
    )


def _money(report: Report, opening: Decimal) -> Iterator[str | tuple[str, str]]:
    if not report:
        yield "reading eight days of candles and the account ..."
        return
    if report["equity"] is None:
        yield f"equity unknown: {report['equity_problem']}"
        return
    equity = Decimal(report["equity"])
    yield from ("equity ", (dollars(equity), "bold"), "   result ")
    yield (change(opening, equity), "red" if equity < opening else "green")
    yield f"   today {_pct(report['daily_pnl_pct'])}   in positions {_pct(report['exposure_pct'])}"
    yield f"   fees {dollars(Decimal(report['fees_total']))}   cash {dollars(Decimal(report['cash']))}"


def _pct(value: str | None) -> str:
    return "-" if value is None else f"{quantised(Decimal(value), 2)} %"


def _section(
    title: str, rows: Sequence[Report], columns: Mapping[str, str], width: int, most: int
) -> list[RenderableType]:
    if not rows:
        return [_title(title), _line("none", "dim")]
    hidden = f", {len(rows) - most} more are not shown" if len(rows) > most else ""
    return [_title(title + hidden), _table(rows[:most], columns, width)]


def _table(rows: Sequence[Report], columns: Mapping[str, str], width: int) -> Table:
    cells = {name: ["-" if row.get(name) is None else str(row[name]) for row in rows] for name in columns}
    shown = [name for name, used in _used(columns, cells) if used <= width]
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="dim", show_edge=False)
    for name in shown:
        table.add_column(columns[name], justify="right" if name in _NUMBERS else "left", no_wrap=True)
    for number in range(len(rows)):
        table.add_row(*(cells[name][number] for name in shown))
    return table


def _used(columns: Mapping[str, str], cells: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, int]]:
    """Each column with the width the table has once it is in."""
    used = 0
    for name, title in columns.items():
        used += max(map(len, (title, *cells[name]))) + _GAP
        yield name, used


def _beside(left: list[Text], right: list[Text], width: int) -> list[RenderableType]:
    """Two lists next to each other where there is room, else only the right one."""
    if width < 110:
        return [*right]
    grid = Table.grid(padding=(0, 3), expand=True)
    grid.add_column(ratio=3, no_wrap=True)
    grid.add_column(ratio=2, no_wrap=True)
    for number in range(max(len(left), len(right))):
        grid.add_row(*(side[number] if number < len(side) else Text() for side in (left, right)))
    return [grid]


def _rows(part: RenderableType) -> int:
    """Lines a part takes: nothing here wraps."""
    if isinstance(part, Table):
        return part.row_count + int(part.show_header)
    return 1


def _title(text: str) -> Text:
    return _fitted(Text(text, "bold blue"))


def _line(text: str, style: str = "") -> Text:
    return _fitted(Text(text, style))


def _fitted(text: Text) -> Text:
    """One line, cut at the window's edge."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
