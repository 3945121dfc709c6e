"""How long each stage of a cycle takes, and a sign of life to the service manager after each."""

from __future__ import annotations

from collections.abc import Mapping

from bot.loop.world import Operator
from bot.ports import Clock


class Stages:
    """Seconds of real time by stage of the cycle that is running. A stage lasts until another one is entered.

    One that is entered again, as acting is after it failed, goes on.
    """

    def __init__(self, clock: Clock, operator: Operator) -> None:
        """Where the operator has no audience, times are taken only for a service manager that waits for us."""
        self._clock = clock
        self._operator = operator
        self._took: dict[str, float] = {}
        self._name, self._began = "", 0.0

    def enter(self, name: str) -> None:
        """The stage that was on is over, and this one begins."""
        if not self._operator.audience and self._operator.heart.watchdog_s is None:
            return
        now = self._clock.stopwatch()
        if self._name:
            self._took[self._name] = self._took.get(self._name, 0.0) + now - self._began
            self._operator.heart.alive()
        self._name, self._began = name, now

    def end(self) -> Mapping[str, float]:
        """The cycle is over; answers what was measured of it, also when a stage of it failed."""
        self.enter("")
        took, self._took = self._took, {}
        return took
