"""Signals become calls: SIGTERM and SIGINT stop (twice: at once), SIGHUP reloads."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Counts what arrived and passes it on, also what came before anyone listened. Handlers only set flags."""

    def __init__(self) -> None:
        self._stops: list[str] = []
        self._stop: Callable[[str], None] = lambda _why: None
        self._reload: Callable[[], None] = lambda: None

    def stop_asked(self) -> bool:
        return bool(self._stops)

    def follow(self, stop: Callable[[str], None], reload: Callable[[], None]) -> None:
        """From now on tell these; stops that came before are told at once."""
        self._stop, self._reload = stop, reload
        for why in tuple(self._stops):
            stop(why)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the three signals over, and give them back at the end."""
        before = {number: signal.getsignal(number) for number in (*_STOPS, signal.SIGHUP)}
        for number in _STOPS:
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        self._stops.append(name)
        self._stop(name)

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload()
