"""Runs the loop over a data set: every cycle, or only those at which anything can happen, with the same outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from backtest.dataset import Dataset
from backtest.horizon import Horizon, Look, Next
from backtest.recorder import Recorder
from backtest.run import Stage, build
from bot.domain.decision import Outcome
from bot.domain.event import PeakMoved
from bot.domain.product import ProductId
from bot.loop.finished import Finished
from bot.settings.config import Config

Tick = Callable[[int], None]
"""Told the newest bar that is behind."""

_HALTED: Final = (Outcome.EXIT_ONLY.value, Outcome.HALTED.value)
_IDLE: Final = Outcome.NO_TRADE.value


@dataclass(slots=True)
class Drive:
    """One run on its way. cycles: how many were run; every: none is skipped."""

    config: Config
    data: Dataset
    code_version: str
    every: bool = False
    cycles: int = 0
    stage: Stage = field(init=False)
    recorder: Recorder = field(init=False)
    _newest: Finished | None = None

    def __post_init__(self) -> None:
        self.recorder = Recorder(lambda: self.stage.loop.store.state)
        self.stage = build(self.config, self.data, self.code_version, self._follow)

    def run(self, tick: Tick) -> None:
        """From the first bar to the last."""
        stride = cycle_stride(self.config, self.data)
        if self.every or stride > 1:
            self._every_cycle(stride, tick)
        else:
            self._what_matters(tick)
        self.stage.clock.wait_until(self.data.closed(self.data.count - 1))
        self.stage.tape.catch_up()
        self.recorder.finish()
        self.recorder.bad_ticks = self.stage.loop.bad_ticks()

    def _every_cycle(self, stride: int, tick: Tick) -> None:
        for k in range(self.data.count):
            if (k + 1) % stride == 0 or stride == 1:
                self._cycle(k, None)
            tick(k)

    def _what_matters(self, tick: Tick) -> None:
        horizon, k = Horizon(self.data, self.config), 0
        look = self._cycle(0, None)
        while True:
            ahead = horizon.next(look)
            self._skip(k, ahead)
            k = ahead.k
            if k >= self.data.count:
                return
            look = self._cycle(k, ahead.about)
            tick(k)

    def _cycle(self, k: int, about: frozenset[ProductId] | None) -> Look:
        stage = self.stage
        before = stage.loop.store.state
        # Where no rule can hold, orders and exits are all there is to serve, as between two scheduled cycles.
        served = about is not None and not about
        stage.clock.wait_until(self.data.closed(k))
        stage.loop.run_cycle(about=about, service=served)
        self.cycles += 1
        if self._newest is None:
            raise AssertionError("a cycle was run and nobody was told")
        restless = stage.loop.next_service() is not None
        return Look(
            k, self._newest, before, stage.loop.store.state, restless, stage.venue.working(), self.recorder.pauses
        )

    def _skip(self, k: int, ahead: Next) -> None:
        """Account for the cycles between bar `k` and the next one: nothing but equity moved."""
        stage, data = self.stage, self.data
        last = min(ahead.k, data.count) - 1
        if last > k and self._newest is not None:
            record = self._newest.record
            outcome, reason = (record.outcome, record.reason) if record.outcome in _HALTED else (_IDLE, "")
            self.recorder.idle(last - k, data.closed(k + 1), data.closed(last), outcome, reason)
        if ahead.peak is not None:
            stage.clock.wait_until(data.closed(last))
            stage.loop.store.record(PeakMoved(ahead.peak))
        stage.tape.leap(min(ahead.k, data.count))

    def _follow(self, cycle: Finished) -> None:
        self._newest = cycle
        self.recorder.follow(cycle)


def cycle_stride(config: Config, data: Dataset) -> int:
    """Bars from one cycle to the next: one, or as many as the policy's interval is long."""
    bar = timedelta(seconds=data.length.value)
    return max(1, -(-timedelta(seconds=float(config.policy.loop.interval_seconds)) // bar))
