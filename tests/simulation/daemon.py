"""The bot as a process of its own, trading on a simulator in this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from simulator.server import Simulator


class Daemon:
    """`python -m bot run` on a data directory that survives it. Everything printed goes to `log`."""

    def __init__(self, sim: Simulator, data_dir: Path, config_dir: Path, **extra: str) -> None:
        self._sim = sim
        self.data_dir = data_dir
        self.state_dir = data_dir / "staging-live"
        self.log = data_dir.parent / f"{data_dir.name}.log"
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.environ: Mapping[str, str] = {
            **clean, **sim.env(), "ENV": "staging", "BOT_MODE": "live", "BOT_DATA_DIR": str(data_dir),
            "BOT_CONFIG_DIR": str(config_dir), "BOT_HTTP_PORT": "0", "PYTHONUNBUFFERED": "1", **extra,
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "bot", "run", "--log", "json", *arguments]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self, within_s: float = 60) -> int:
        """SIGTERM; answers the exit code."""
        return self._ended(signal.SIGTERM, within_s)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Any signal, without waiting for what it does."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        self._ended(signal.SIGKILL, 10)

    def wait(self, within_s: float = 60) -> int:
        assert self._process is not None
        return self._process.wait(within_s)

    def heartbeat(self) -> dict[str, Any]:
        return self._json("heartbeat.json")

    def status(self) -> dict[str, Any]:
        return self._json("status.json")

    def wait_for_cycle(self, after: str = "", within_s: float = 60) -> dict[str, Any]:
        """The first heartbeat whose cycle is not `after`; AssertionError with the log's end when there is none."""
        give_up = time.monotonic() + within_s
        while time.monotonic() < give_up:
            found = self.heartbeat()
            if found and found["cycle_id"] != after:
                return found
            assert self.running(), f"the bot ended early:\n{self.tail()}"
            time.sleep(0.02)
        raise AssertionError(f"no cycle within {within_s} s:\n{self.tail()}")

    def run_until(self, moment: datetime, within_s: float) -> None:
        """Let it trade until the venue's time is `moment`."""
        give_up = time.monotonic() + within_s
        while self._sim.now() < moment:
            assert self.running(), f"the bot ended early:\n{self.tail()}"
            assert time.monotonic() < give_up, f"{self._sim.now()} after {within_s} s:\n{self.tail()}"
            time.sleep(0.05)

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.state_dir / name).read_text())
        except FileNotFoundError:
            return {}
        return found

    def _ended(self, number: signal.Signals, within_s: float) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(within_s)
