"""How long each stage of a cycle takes, and a sign of life to the service manager after each."""

from __future__ import annotations

from types import TracebackType

from bot.loop.world import Heart
from bot.ports import Clock


class Stages:
    """Seconds of real time by stage of the cycle that is running. `with stages.of("decide"):` measures one."""

    def __init__(self, clock: Clock, heart: Heart) -> None:
        self._clock = clock
        self._heart = heart
        self.took: dict[str, float] = {}

    def begin(self) -> None:
        """A new cycle: nothing has been measured yet."""
        self.took = {}

    def of(self, name: str) -> Stage:
        return Stage(self, name, self._clock.stopwatch())

    def done(self, name: str, began: float) -> None:
        self.took[name] = self._clock.stopwatch() - began
        self._heart.alive()


class Stage:
    """One stage, from when it was asked for to its end, however it ends."""

    __slots__ = ("_began", "_name", "_stages")

    def __init__(self, stages: Stages, name: str, began: float) -> None:
        self._stages, self._name, self._began = stages, name, began

    def __enter__(self) -> None:
        """It has begun already."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stages.done(self._name, self._began)
