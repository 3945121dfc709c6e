"""`backtest check parity`: one period twice, through the wire and in the backtest, and the two compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO

from backtest.check import rehearsal
from backtest.check.parity import Comparison, Row, compared
from backtest.check.rehearsal import Replayed
from backtest.check.sides import Entry, Exit, Filled, Records, side
from backtest.check.trace import Watched
from backtest.dataset import Dataset
from bot.domain.bars import Granularity
from bot.domain.codec import time_text
from bot.domain.decision import Decision
from bot.domain.value import Value
from bot.errors import ConfigError
from bot.loop.finished import Finished
from bot.settings.config import Config

Note = Callable[[str], None]
LONGEST: Final = timedelta(days=7)


class Parity(Value):
    """The answer of the check. A period without a deed on both sides proves nothing and has not passed."""

    comparison: Comparison
    replayed: Replayed
    data: Dataset

    @property
    def problems(self) -> tuple[str, ...]:
        found = [f"{_what(row)}: {row.unexplained}" for row in self.comparison.unexplained]
        found += [
            f"{cycle}: decided over the wire, and otherwise when decided again" for cycle in self.replayed.different
        ]
        odd = self.comparison.bars - self.comparison.alike
        found += [f"{odd} cycles fired other triggers in a product that both might enter"] if odd else []
        found += [] if self.replayed.count else ["no cycle was kept to be decided again"]
        found += [] if self.comparison.shared else ["nothing was entered on both sides: nothing was compared"]
        return tuple(found)

    @property
    def passed(self) -> bool:
        return not self.problems

    def document(self) -> dict[str, Any]:
        found = self.comparison
        return {
            "check": "parity",
            "passed": self.passed,
            "problems": list(self.problems),
            "deeds": len(found.rows),
            "on_both_sides": len(found.shared),
            "cycles": found.bars,
            "cycles_with_the_same_triggers": found.alike,
            "decided_again": self.replayed.count,
            "rows": [_row(row, self.data) for row in found.rows],
        }

    def text(self) -> Iterator[str]:
        for row in self.comparison.rows:
            yield f"{'same     ' if row.same else 'FAILED   ' if row.unexplained else 'explained'}  {_what(row)}"
            for name, deed in (("live", row.live), ("backtest", row.backtest)):
                yield f"             {name:8}  {_told(deed, self.data)}"
            yield from (f"             because   {line}" for line in row.why)
        yield from (f"FAILED {problem}" for problem in self.problems)
        found = self.comparison
        yield (
            f"{found.alike} of {found.bars} cycles fired the same triggers; {self.replayed.count} decided again from "
            f"what was kept, {len(self.replayed.different)} otherwise"
        )
        yield (
            f"backtest check parity {'passed' if self.passed else 'is red'}: {len(found.shared)} of {len(found.rows)} "
            f"entries and exits on both sides, {len(found.unexplained)} without an explanation"
        )


def parity(config: Config, data: Dataset, folder: Path, log: TextIO, note: Note) -> Parity:
    """Run the period of `data` twice. folder: for the daemon's files. Raises ConfigError, BotError."""
    config = rehearsal.rehearsed(config)
    _check(data)
    until = data.closed(data.count - 1)
    note(f"backtest of {data.count} bars of {len(data.tracks)} products")
    offline = _backtest(config, data, until)
    note("the daemon on the simulated exchange, the same bars")
    online, replayed = rehearsal.live(config, data.paths, data.opened(0), until, folder, log)
    sides = [side(name, records, data, config) for name, records in (("live", online), ("backtest", offline))]
    return Parity(compared(sides[0], sides[1], data, config), replayed, data)


def _check(data: Dataset) -> None:
    """Raises ConfigError when the simulated exchange cannot trade what the backtest does."""
    problems = []
    if data.length is not Granularity.ONE_MINUTE:
        problems.append(f"--bar: the simulated exchange replays one-minute candles, not {data.length.name}")
    odd = [path.name for path in data.paths.values() if path.suffix not in (".csv", ".gz")]
    if odd:
        problems.append(f"--data: the simulated exchange reads PRODUCT_1m.csv[.gz], not {', '.join(odd)}")
    if data.closed(data.count - 1) - data.opened(0) > LONGEST:
        problems.append(f"--from, --to: at most {LONGEST.days} days, since the daemon runs every cycle")
    if problems:
        raise ConfigError(problems)


def _backtest(config: Config, data: Dataset, until: datetime) -> Records:
    decisions: list[tuple[datetime, Decision]] = []

    def watch(cycle: Finished) -> None:
        if cycle.decision is not None:
            decisions.append((cycle.record.started_at, cycle.decision))

    drive = Watched(config, data, watch, every=True)
    drive.run(lambda _: None)
    return Records(drive.stage.venue.orders(), drive.stage.venue.fills(), drive.recorder.origins, decisions, until)


def _what(row: Row) -> str:
    return f"{row.kind} {'BUY' if row.kind == 'entry' else 'SELL'} {row.product}, rule {row.rule}, {row.reason}"


def _told(deed: Entry | Exit | None, data: Dataset) -> str:
    if deed is None:
        return "-"
    filled = deed.filled
    price = f"{filled.size} at {filled.price}, fee {_short(filled.fee)}" if filled.price is not None else "not filled"
    if isinstance(deed, Entry):
        return f"decided {data.closed(deed.bar):%m-%d %H:%M}, {deed.attempts} sent, {price}"
    return f"{deed.reason} {deed.begun:%m-%d %H:%M:%S}, {price}"


def _row(row: Row, data: Dataset) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "side": "BUY" if row.kind == "entry" else "SELL",
        "product": row.product,
        "rule": row.rule,
        "reason": row.reason,
        "same": row.same,
        "live": _deed(row.live, data),
        "backtest": _deed(row.backtest, data),
        "because": list(row.why),
        "unexplained": row.unexplained,
    }


def _deed(deed: Entry | Exit | None, data: Dataset) -> dict[str, Any] | None:
    if deed is None:
        return None
    if isinstance(deed, Entry):
        return {"decided_at": time_text(data.closed(deed.bar)), "orders": deed.attempts, **_filled(deed.filled)}
    times = {"from": time_text(deed.begun), "to": time_text(deed.ended)}
    return {**times, "reason": deed.reason, "bought_at": str(deed.entry), **_filled(deed.filled)}


def _filled(filled: Filled) -> dict[str, Any]:
    return {
        "asked": str(filled.asked),
        "size": str(filled.size),
        "price": str(filled.price) if filled.price is not None else None,
        "fee": str(filled.fee),
        "fee_rate": str(filled.rate) if filled.rate is not None else None,
        "fills": filled.fills,
        "liquidity": filled.liquidity,
        "seconds": filled.wait.total_seconds() if filled.wait is not None else None,
    }


def _short(amount: Decimal) -> str:
    return f"{amount:.4f}"
