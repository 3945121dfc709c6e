"""How long each stage of a cycle takes, and a sign of life to the service manager after each."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from bot.loop.world import Heart
from bot.ports import Clock


class Stages:
    """Seconds of real time by stage of the cycle that is running. `with stages.of("decide"):` measures one.

    A stage ends, however it ends, before another one begins.
    """

    def __init__(self, clock: Clock, heart: Heart) -> None:
        self._clock = clock
        self._heart = heart
        self.took: dict[str, float] = {}
        self._name, self._began = "", 0.0

    def begin(self) -> None:
        """A new cycle: nothing has been measured yet."""
        self.took = {}

    def of(self, name: str) -> Self:
        self._name, self._began = name, self._clock.stopwatch()
        return self

    def __enter__(self) -> None:
        """It has begun already."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.took[self._name] = self._clock.stopwatch() - self._began
        self._heart.alive()
