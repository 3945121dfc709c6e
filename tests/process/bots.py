"""Bots as processes on one simulated venue, and what can be seen of them from outside."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from simulator.control import Controls
from simulator.markets.listing import default_listings
from simulator.markets.script import ScriptMarket, Step
from simulator.server import START, Simulator, SimulatorConfig
from tests.configs import LOCAL_VENUE, write_config
from tests.loop.markets import RISE
from tests.loop.stage import PLAIN, steady
from tests.loop.stage import RISE as RULE
from tests.simulation.daemon import Daemon

QUOTING: Sequence[Step] = (*RISE, *steady(62, 3600, "65500", 20))
"""BTC-USD rises, so that the bot quotes at 14:01:02, and stays where it is."""


def plain_config(folder: Path, rule: Mapping[str, Any] | None = None, **policy: Any) -> Path:
    """A folder with both files: one rule that buys a rise, and the universe as shipped."""
    changes: dict[str, Any] = {**LOCAL_VENUE, **PLAIN, "rules": [{**RULE, **(rule or {})}]}
    for name, value in policy.items():
        changes[name] = {**changes.get(name, {}), **value} if isinstance(value, Mapping) else value
    universe = {"tiers": {1: {"min_depth": 1000, "min_volume_24h": 1000}}, "hysteresis": {"enter_after": 1}}
    return write_config(folder, changes, universe)


def venue(steps: Sequence[Step] = QUOTING, **options: Any) -> Simulator:
    """A venue that moves only while the bot waits, as fast as it can."""
    return Simulator(SimulatorConfig(market=ScriptMarket(default_listings(16), START, steps), **options))


def environ(sim: Simulator | None = None, *without: str, **extra: str) -> dict[str, str]:
    """A clean environment for a live bot on `sim`, without some variables and with others."""
    clean = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    found = {**clean, **(sim.env() if sim is not None else {}), "BOT_HTTP_PORT": "0", **extra}
    return {name: value for name, value in found.items() if name not in without}


class Start:
    """One `bot run` that is expected to end by itself; started now, looked at later."""

    def __init__(self, environment: Mapping[str, str], *arguments: str) -> None:
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bot", "run", *arguments], env=dict(environment),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def terminate(self) -> None:
        self._process.terminate()

    def ended(self, within_s: float = 30) -> tuple[int, str]:
        """Exit code and everything a person saw."""
        try:
            said, _ = self._process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            said, _ = self._process.communicate()
            raise AssertionError(f"still running after {within_s} s:\n{said}") from None
        return self._process.returncode, said


@contextmanager
def running(sim: Simulator, folder: Path, config: Path, *arguments: str, **extra: str) -> Iterator[Daemon]:
    """A live daemon on `sim`, up to its first cycle; ended whatever happens."""
    daemon = Daemon(sim, folder / "data", config, **extra)
    daemon.start(*arguments)
    try:
        yield daemon
    finally:
        if daemon.running():
            daemon.kill()


def eventually(holds: Callable[[], Any], within_s: float = 90.0, daemon: Daemon | None = None) -> Any:
    """The first true answer of `holds`. AssertionError with the end of the daemon's log when there is none in time."""
    give_up = time.monotonic() + within_s
    while not (found := holds()):
        said = daemon.tail(4)[-2000:] if daemon is not None else ""
        assert time.monotonic() < give_up, f"not within {within_s} s:\n{said}"
        assert daemon is None or daemon.running(), f"the bot ended:\n{said}"
        time.sleep(0.02)
    return found


def at_speed(sim: Simulator, speed: float) -> None:
    """Trading seconds for a real one; 0: as fast as it goes."""

    def turn(controls: Controls) -> None:
        controls.clock.speed = speed

    sim.do(turn)


def working_entries(sim: Simulator) -> list[str]:
    """Order ids of resting buys at the venue."""
    return sim.do(lambda c: [o.order_id for o in c.world.working() if o.side.value == "BUY"])


def posts(sim: Simulator) -> int:
    """How many orders were sent to the venue so far, whatever became of them."""
    return sim.do(lambda c: len([e for e in c.world.record.requests("POST") if e.path.endswith("/orders")]))


def alerts(sim: Simulator) -> list[dict[str, Any]]:
    """Alerts that arrived at the receiver, oldest first."""
    return sim.do(lambda c: [body for _, body in c.alerts.received])


def alerted(sim: Simulator, fingerprint: str) -> list[dict[str, Any]]:
    return [body for body in alerts(sim) if body["fingerprint"] == fingerprint]


def journal(daemon: Daemon, topic: str) -> list[dict[str, Any]]:
    """Payloads of one topic, oldest first."""
    lines = [line for path in sorted((daemon.state_dir / "journal").glob("*.jsonl")) for line in path.open()]
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return [row["payload"] for row in rows if row["topic"] == topic]


def outcomes(daemon: Daemon) -> list[tuple[str, str]]:
    """Outcome and reason of every finished cycle, from the log."""
    rows = [json.loads(line) for line in daemon.log.read_text().splitlines() if line.startswith("{")]
    return [(row["outcome"], row["reason"]) for row in rows if row["event"] == "cycle.completed"]


def limit_files(pid: int, size: int) -> None:
    """Let a running process write no file beyond `size` bytes: what a full disk does to it."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
