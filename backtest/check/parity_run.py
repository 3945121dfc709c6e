"""`backtest check parity`: one period twice, through the wire and in the backtest, and the two compared."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO

from backtest.check import rehearsal
from backtest.check.deeds import Entry, Exit, Filled
from backtest.check.parity import Comparison, Row, compared
from backtest.check.progress import Teller
from backtest.check.rehearsal import Replayed
from backtest.check.sides import BACKTEST, LIVE, Cycle, Records, cycle, side
from backtest.check.trace import Watched
from backtest.dataset import Dataset
from backtest.drive import Tick
from bot.domain.bars import Granularity
from bot.domain.codec import time_text
from bot.domain.value import Value
from bot.errors import ConfigError
from bot.loop.finished import Finished
from bot.settings.config import Config

LONGEST: Final = timedelta(days=7)


class Parity(Value):
    """The answer of the check. A period without a deed on both sides proves nothing and has not passed."""

    comparison: Comparison
    replayed: Replayed
    data: Dataset

    @property
    def problems(self) -> tuple[str, ...]:
        found = [self.comparison.opening] if self.comparison.opening else []
        found += [f"{_what(row)}: {row.unexplained}" for row in self.comparison.unexplained]
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
            "rescaled_since": self.replayed.rescaled,
            "rows": [_row(row, self.data) for row in found.rows],
        }

    @property
    def _not_again(self) -> str:
        count = self.replayed.rescaled
        return f"; {count} not, whose bars the daemon keeps in coarser units since" if count else ""

    def text(self) -> Iterator[str]:
        for row in self.comparison.rows:
            yield f"{'FAILED   ' if row.unexplained else 'same     ' if row.same else 'explained'}  {_what(row)}"
            for name, deed in (("live", row.live), ("backtest", row.backtest)):
                yield f"             {name:8}  {_told(deed, self.data)}"
            yield from (f"             because   {line}" for line in row.why)
        yield from (f"FAILED {problem}" for problem in self.problems)
        found = self.comparison
        if not found.opening:
            yield "both accounts began with the same"
        yield (
            f"{found.alike} of {found.bars} cycles fired the same triggers; {self.replayed.count} decided again from "
            f"what was kept, {len(self.replayed.different)} otherwise{self._not_again}"
        )
        yield (
            f"backtest check parity {'passed' if self.passed else 'is red'}: {len(found.shared)} of {len(found.rows)} "
            f"entries and exits on both sides, {len(found.unexplained)} without an explanation"
        )


def parity(config: Config, data: Dataset, folder: Path, log: TextIO, note: Teller) -> Parity:
    """Run the period of `data` twice. folder: for the daemon's files. Raises ConfigError, BotError."""
    config = rehearsal.rehearsed(config)
    _check(data)
    note(f"backtest of {data.count} bars of {len(data.tracks)} products")
    with note.bars(data.count) as tick:
        offline = backtested(config, data, tick)
    note("the daemon on the simulated exchange, the same bars")
    with note.bars(data.count) as tick:
        span = rehearsal.Span(data.opened(0), offline.last, lambda now: tick(data.newest(now)))
        online, replayed = rehearsal.live(config, data.paths, span, folder, log)
    return judged(online, offline, replayed, data, config)


def judged(online: Records, offline: Records, replayed: Replayed, data: Dataset, config: Config) -> Parity:
    """Both runs against each other. config: what both should have traded with."""
    live, backtest = side(LIVE, online, data, config), side(BACKTEST, offline, data, config)
    return Parity(compared(live, backtest, data, config), replayed, data)


def backtested(config: Config, data: Dataset, tick: Tick = lambda _: None) -> Records:
    """What the backtest makes of `data`, every cycle run."""
    cycles: list[Cycle] = []

    def watch(done: Finished) -> None:
        if done.decision is not None and done.snapshot is not None:
            cycles.append(cycle(done.record.started_at, done.decision, done.snapshot))

    drive = Watched(config, data, watch, every=True)
    venue, until = drive.stage.venue, data.closed(data.count - 1)
    opening = {balance.currency: balance.total for balance in venue.balances()}
    drive.run(tick)
    return Records(venue.orders(), venue.fills(), drive.recorder.origins, cycles, until, opening)


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
        "fills": len(filled.parts),
        "liquidity": filled.liquidity,
        "seconds": filled.wait.total_seconds() if filled.wait is not None else None,
    }


def _short(amount: Decimal) -> str:
    return f"{amount:.4f}"
