"""One measured number, with the limit it must keep when there is one; and how to time a call."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from time import thread_time_ns

from bot.domain.value import Value


class Result(Value):
    """One measurement. limit: the most it may be (at_least: the least), in the same unit; None when it is only told."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def missed(self) -> bool:
        if self.limit is None:
            return False
        return self.value < self.limit if self.at_least else self.value > self.limit

    @property
    def value_text(self) -> str:
        return f"{self.value:,.3g} {self.unit}" if self.value < 1000 else f"{self.value:,.0f} {self.unit}"

    @property
    def limit_text(self) -> str:
        return "" if self.limit is None else f"{'>=' if self.at_least else '<='} {self.limit:,.10g} {self.unit}"


def at_percent(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def percentiles(call: Callable[[], object], rounds: int, warm: int = 20) -> tuple[float, float]:
    """Median and 99th percentile of `rounds` calls, in milliseconds of this thread's processor time.

    Meant for calls that wait for nothing: what else the machine does at the time is not counted. `warm` calls come
    first and are not measured; what is alive by then is kept out of garbage collections, which otherwise would walk
    through the inputs of all rounds again and again. What asking the clock costs is taken off.
    """
    for _ in range(warm):
        call()
    gc.collect()
    gc.freeze()
    taken, clock_cost = [], _clock_cost()
    for _ in range(rounds):
        start = thread_time_ns()
        call()
        taken.append(max(0, thread_time_ns() - start - clock_cost))
    gc.unfreeze()
    return at_percent(taken, 50) / 1e6, at_percent(taken, 99) / 1e6


def _clock_cost() -> int:
    """Nanoseconds between two readings with nothing in between: in some sandboxes a large part of a millisecond."""
    costs = []
    for _ in range(50):
        start = thread_time_ns()
        costs.append(thread_time_ns() - start)
    return min(costs)
