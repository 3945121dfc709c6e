"""Shows the demo while it runs, from a thread of its own, fed by the daemon's log; it never touches the daemon."""

from __future__ import annotations

import io
import json
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.live import Live

from bot.domain.codec import decode
from bot.domain.decision import Decision
from bot.domain.value import Value
from simulator.demo_screen import Page, happening
from simulator.demo_story import Event, Story
from simulator.demo_words import span

FRAME_S: Final = 0.2
SUMMARY_EVERY: Final = 20
"""Scheduled cycles between two lines of figures in the plain output."""
_PATIENCE_S: Final = 2.0
_END: Final = None


class Tap(io.TextIOWrapper):
    """The log file; every JSON line written to it is also handed on, already parsed."""

    def __init__(self, path: Path, listener: Callable[[Event], None]) -> None:
        super().__init__(path.open("ab"), encoding="utf-8", write_through=True)
        self._listener = listener

    def write(self, text: str) -> int:
        written = super().write(text)
        self._listener(json.loads(text))
        return written


class Stage(Value):
    """What is shown beside the story. report: the daemon's newest; ending: said in red, empty while it goes on.

    opening: equity the run began with, in dollars. stop: ends the daemon, since nobody would see what it does.
    """

    report: Callable[[], Mapping[str, Any]]
    ending: Callable[[], str]
    stop: Callable[[str], None]
    opening: Decimal
    speed: float
    footer: Sequence[str]


class Narrator:
    """`with Narrator(...)`: tells what arrives in `heard`; leaving it tells what is left to tell.

    Raises on leaving what went wrong while showing.
    """

    def __init__(
        self, console: Console, story: Story, stage: Stage, heard: queue.SimpleQueue[Event | None], *, plain: bool
    ) -> None:
        self._console = console
        self._story = story
        self._stage = stage
        self._plain = plain
        self._heard = heard
        self._began = time.monotonic()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="narrator", daemon=True)

    @property
    def running(self) -> timedelta:
        return timedelta(seconds=time.monotonic() - self._began)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heard.put(_END)
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._print() if self._plain else self._draw()
        except Exception as failure:
            self._failure = failure
            self._stage.stop(f"the show failed: {failure}")

    def _print(self) -> None:
        told = 0
        while (event := self._heard.get()) is not _END:
            for line in self._story.tell(event):
                self._say(happening(line).plain)
            scheduled = self._story.cycles - self._story.served
            if scheduled >= told + SUMMARY_EVERY:
                told = scheduled
                self._say(self._figures())

    def _say(self, text: str) -> None:
        print(text, file=self._console.file, flush=True)

    def _figures(self) -> str:
        """The state of things in one line."""
        report, story = self._stage.report(), self._story
        at = f"{story.at:%H:%M:%S}" if story.at is not None else "--:--:--"
        return (
            f"{at}  ========  {story.cycles} cycles in {span(self.running)}: equity ${report.get('equity')}, "
            f"{len(report.get('positions', []))} positions, {len(report.get('orders', []))} orders at the exchange"
        )

    def _draw(self) -> None:
        with Live(
            self._page(), console=self._console, screen=True, auto_refresh=False,
            redirect_stdout=False, redirect_stderr=False,
        ) as live:  # fmt: skip
            while self._listen(FRAME_S):
                live.update(self._page(), refresh=True)

    def _listen(self, seconds: float) -> bool:
        """Take up what arrives within `seconds`; False once the end was heard."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                event = self._heard.get(timeout=left)
            except queue.Empty:
                return True
            if event is _END:
                return False
            self._story.tell(event)
        return True

    def _page(self) -> Page:
        stage = self._stage
        return Page(self._story, stage.report(), stage.opening, stage.speed, self.running, stage.ending(), stage.footer)


def decision_in(folder: Path, cycle_id: str) -> Decision | None:
    """The decision the daemon keeps of a cycle, which it writes a moment after the cycle's log line."""
    path, give_up = folder / f"{cycle_id}.json", time.monotonic() + _PATIENCE_S
    while not path.exists():
        if time.monotonic() >= give_up:
            return None
        time.sleep(0.005)
    return decode(Decision, json.loads(path.read_bytes()))
