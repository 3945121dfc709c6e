"""Remembers each market's accepted prices between cycles and says what may not be used."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bot.domain.bars import Windows
from bot.domain.decision import Reason
from bot.domain.product import ProductId
from bot.domain.snapshot import Problem
from bot.domain.value import replace
from bot.observe.ticks import (
    ORDINARY,
    Accept,
    BarTick,
    QuoteTick,
    TickState,
    bar_tick,
    caught_up,
    judge,
    quote_tick,
    volume_ratio,
)
from bot.ports import MarketFacts
from bot.settings.policy import DataPolicy

AVERAGE_BARS: Final = 60
"""Bars over which a bar's volume is compared."""


class TickGuard:
    """One `TickState` a market. Judge a market's bars before its quote."""

    def __init__(self, policy: DataPolicy) -> None:
        self._policy = policy
        self._states: dict[ProductId, TickState] = {}
        self._bars: dict[ProductId, tuple[Windows, BarTick | None]] = {}

    def configure(self, policy: DataPolicy) -> None:
        """Doubt by these limits from the next tick on."""
        self._policy = policy

    def bars_problem(self, market: ProductId, facts: MarketFacts, now: datetime) -> Problem | None:
        """Why the newest bar may not be acted on; bars that closed unseen since the last look are judged before it."""
        windows = facts.windows
        tick = None if windows is None else self._bar(market, windows)
        if windows is None or tick is None:
            return None
        before = caught_up(self._state(market), windows, self._policy)
        return self._judged(market, before, tick, windows, now)

    def quote_problem(self, market: ProductId, facts: MarketFacts, now: datetime) -> Problem | None:
        """Why the quote may not be acted on."""
        if facts.quote is None:
            return None
        return self._judged(market, self._state(market), quote_tick(facts.quote), facts.windows, now)

    def _state(self, market: ProductId) -> TickState:
        known = self._states.get(market)
        return TickState() if known is None else known

    def counts(self) -> Mapping[str, int]:
        """Fault -> ticks held back or rejected for it, over all markets."""
        found: dict[str, int] = {}
        for state in self._states.values():
            for fault, count in state.counts.items():
                found[fault.value] = found.get(fault.value, 0) + count
        return found

    def _bar(self, market: ProductId, windows: Windows) -> BarTick | None:
        """The newest bar; looked at once while the windows are the same object, which never changes."""
        known = self._bars.get(market)
        if known is None or known[0] is not windows:
            known = self._bars[market] = (windows, bar_tick(windows))
        return known[1]

    def _judged(
        self, market: ProductId, before: TickState, tick: QuoteTick | BarTick, windows: Windows | None, now: datetime
    ) -> Problem | None:
        after, verdict = judge(before, tick, now, self._policy)
        if verdict is ORDINARY:
            self._states[market] = after
            return None
        if windows is not None:
            # How much was traded only matters once a price lies far from the ones before.
            traded = replace(tick, volume_ratio=volume_ratio(windows, AVERAGE_BARS))
            after, verdict = judge(before, traded, now, self._policy)
        self._states[market] = after
        if isinstance(verdict, Accept):
            return None
        return Problem(Reason.QUOTE_HELD_BACK, f"{verdict.fault.value}: {verdict.detail}")
