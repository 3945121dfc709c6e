"""The daemon as a process: how soon it decides after a start, and what it holds after an hour of trading."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.bench.result import Result
from tests.bench.venue import PROC, PRODUCTS, START, Process, configured, served

FIRST_DECISION_S: Final = 3.0
RSS_MB: Final = 120.0
THREADS: Final = 8
HANDLES: Final = 64
PATIENCE_S: Final = 600.0


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as name, served() as venue:
        folder = Path(name)
        configured(folder / "config")
        with _daemon(venue, folder) as bot:
            yield Result(f"first decision without bars, {PRODUCTS} products", bot.decides_after_s(""), "s")
            last = bot.trades_until(START + timedelta(hours=1))
            yield from _held(bot.pid)
        with _daemon(venue, folder) as bot:
            took = bot.decides_after_s(last)
            yield Result("first decision with bars on disk", took, "s", FIRST_DECISION_S)


def _held(pid: int) -> Iterator[Result]:
    """Memory, threads and handles of a process."""
    status = dict(line.split(":", 1) for line in (PROC / str(pid) / "status").read_text().splitlines())
    yield Result("resident after an hour of trading", int(status["VmRSS"].split()[0]) / 1000, "MB", RSS_MB)
    yield Result("threads", int(status["Threads"]), "", THREADS)
    yield Result("open handles", len(list((PROC / str(pid) / "fd").iterdir())), "", HANDLES)
    pandas = sum("/pandas/" in line for line in (PROC / str(pid) / "maps").read_text().splitlines())
    yield Result("parts of pandas loaded", pandas, "", 0)


class _Daemon:
    def __init__(self, process: subprocess.Popen[bytes], state_dir: Path) -> None:
        self._process = process
        self._heartbeat = state_dir / "heartbeat.json"
        self._began = time.monotonic()

    @property
    def pid(self) -> int:
        return self._process.pid

    def decides_after_s(self, last: str) -> float:
        """Seconds from the start until a cycle that ended later than `last` is told."""
        self._until(lambda beat: beat["finished_at"] > last)
        return time.monotonic() - self._began

    def trades_until(self, moment: datetime) -> str:
        """When the first cycle at or after `moment` ended."""
        beat = self._until(lambda beat: datetime.fromisoformat(beat["finished_at"]) >= moment)
        return str(beat["finished_at"])

    def _until(self, true_of: Any) -> dict[str, Any]:
        give_up = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                raise RuntimeError(f"the daemon ended with {self._process.returncode}")
            try:
                beat: dict[str, Any] = json.loads(self._heartbeat.read_bytes())
            except FileNotFoundError:
                beat = {}
            if beat and true_of(beat):
                return beat
            time.sleep(0.01)
        raise RuntimeError("the daemon did not get there in time")


@contextmanager
def _daemon(venue: Process, folder: Path) -> Iterator[_Daemon]:
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    environ = {
        **clean, **venue.environ, "ENV": "staging", "BOT_MODE": "live", "BOT_DATA_DIR": str(folder / "data"),
        "BOT_CONFIG_DIR": str(folder / "config"), "BOT_HTTP_PORT": "0",
    }  # fmt: skip
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bot", "run", "--log", "json"], env=environ, stdout=log, stderr=log
        )
    try:
        yield _Daemon(process, folder / "data" / "staging-live")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
