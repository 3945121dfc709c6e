"""Whether decisions know the future (lookahead) or depend on more past than they ask for (warmup).

Each check looks twice. Decision by decision: every one of a sample is made again from its own account, once with the
data cut at its time and once with another future (lookahead), or over no more bars than the daemon would fetch
(warmup). Run by run: the whole backtest again on data that ends, or goes on differently, at a few moments (lookahead),
or with longer histories before the same beginning (warmup); what it wanted, sent and filled must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from backtest.check import slices
from backtest.check.progress import Teller
from backtest.check.remake import Made, on_other_data, with_the_bars_of_live
from backtest.check.report import Finding, Report
from backtest.check.trace import Line, Watched, first_difference, trace, until
from backtest.dataset import Dataset
from bot.domain.codec import parse_time
from bot.domain.decision import Outcome
from bot.errors import ConfigError
from bot.loop.finished import Finished
from bot.settings.config import Config

AHEAD: Final = 1440
"""Bars of another future put behind a decision."""
THINNED: Final = 100
"""After so many decisions each second one is made again, after twice as many each third, and so on."""
Again = Callable[[Made], Iterator[tuple[str, tuple[str, ...]]]]
"""A decision made again in several ways: name of each way, and what differs."""


@dataclass(slots=True)
class Sample:
    """Makes decisions again while a run goes on: all (`every`), or every one that trades and ever fewer others."""

    again: Again
    every: bool
    seen: int = 0
    made: int = 0
    findings: list[Finding] = field(default_factory=list)

    def watch(self, cycle: Finished) -> None:
        if cycle.decision is None or cycle.snapshot is None:
            return
        self.seen += 1
        stride = 1 if self.every else 1 + self.made // THINNED
        if self.seen % stride and cycle.decision.outcome is not Outcome.TRADED:
            return
        self.made += 1
        for way, found in self.again(Made(cycle.snapshot, cycle.decision)):
            if found:
                self.findings.append(Finding(way, cycle.decision.cycle_id, found))


def lookahead(data: Dataset, config: Config, *, every: bool, cuts: int, note: Teller) -> Report:
    """Whether anything of a run depends on bars that had not closed. every: see `Sample`; cuts: moments to part at."""

    def again(made: Made) -> Iterator[tuple[str, tuple[str, ...]]]:
        k = data.newest(made.snapshot.now)
        yield "data cut at the decision", on_other_data(made, slices.cut(data, k), config)
        yield "another future", on_other_data(made, slices.scrambled(data, k, AHEAD), config)

    sample, drive = _sampled(data, config, Sample(again, every), note)
    whole, runs = trace(drive), 0
    findings = list(sample.findings)
    for k in _telling(whole, data, cuts):
        for way, other in (
            ("run on data that ends", slices.cut(data, k)),
            ("run into another future", slices.scrambled(data, k, AHEAD)),
        ):
            note(f"{way} at {data.closed(k):%Y-%m-%d %H:%M}")
            parted = first_difference(until(whole, data.closed(k)), until(_traced(other, config, note), data.closed(k)))
            runs += 1
            findings += [Finding(f"{way} at {data.closed(k):%Y-%m-%dT%H:%M}", "", parted)] if parted else []
    return Report("lookahead", sample.seen, sample.made, runs, len(whole), tuple(findings))


def warmup(data: Dataset, config: Config, *, declared: int, every: bool, note: Teller) -> Report:
    """Whether a run is the same whatever lies before the bars it asks for.

    declared: bars of history a run asks its data for. The run begins where `data` does when that many are there before
    it twice over, else that much later. Raises ConfigError when the data is too short.
    """
    data = _with_history(data, 2 * declared)
    longest = -min(segment.first for track in data.tracks.values() for segment in track.segments)

    def again(made: Made) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield "over the bars that live fetches", with_the_bars_of_live(made, data, config)

    sample, drive = _sampled(slices.remembering(data, declared), config, Sample(again, every), note)
    usual, runs = trace(drive), 0
    findings = list(sample.findings)
    for history in sorted({declared + declared // 2, 2 * declared, longest}):
        note(f"run with {history} bars of history instead of {declared}")
        parted = first_difference(usual, _traced(slices.remembering(data, history), config, note))
        runs += 1
        findings += [Finding(f"run with {history} bars of history instead of {declared}", "", parted)] if parted else []
    return Report("warmup", sample.seen, sample.made, runs, len(usual), tuple(findings))


def _telling(whole: list[Line], data: Dataset, cuts: int) -> list[int]:
    """Bars to part at, spread over the run: those that filled an order, so that a fill that knows the next shows."""
    fills = [line for line in whole if line.what.startswith("fill ")]
    if not fills:
        return sorted({data.count * number // (cuts + 1) for number in range(1, cuts + 1)})
    chosen = (fills[len(fills) * number // (cuts + 1)] for number in range(1, cuts + 1))
    return sorted({data.newest(parse_time(line.at)) for line in chosen})


def _with_history(data: Dataset, bars: int) -> Dataset:
    have = -min(segment.first for track in data.tracks.values() for segment in track.segments)
    missing, least = max(0, bars - have), bars // 2
    if missing + least > data.count:
        raise ConfigError([_too_few(data, have, bars, least)])
    return slices.begun(data, missing)


def _too_few(data: Dataset, have: int, bars: int, least: int) -> str:
    """What is missing, and which way out there is. have: bars of history; bars: of it wanted; least: to trade on."""
    if have >= bars:
        back = f"{data.closed(data.count - 1 - least):%Y-%m-%dT%H:%M}"
        return f"--from: only {data.count} bars to trade on, {least} are wanted: move --from to {back}, or --to later"
    found = have + data.count
    return (
        f"--from, --to: {found} bars are too few, {bars} of history and {least} to trade on are wanted: move --to "
        f"{bars + least - found} bars later, or give candles that begin as much earlier and move --from by as much"
    )


def _sampled(data: Dataset, config: Config, sample: Sample, note: Teller) -> tuple[Sample, Watched]:
    note(f"running {data.count} bars of {len(data.tracks)} products, making decisions again")
    drive = Watched(config, data, sample.watch)
    with note.bars(data.count) as tick:
        drive.run(tick)
    return sample, drive


def _traced(data: Dataset, config: Config, note: Teller) -> list[Line]:
    drive = Watched(config, data)
    with note.bars(data.count) as tick:
        drive.run(tick)
    return trace(drive)
