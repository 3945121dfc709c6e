"""What the loop is measured on: a generated market of thirty products, and a configuration that trades all of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

from bot.domain.product import ProductId
from simulator.markets.generator import GeneratedMarket
from simulator.markets.listing import Listing, default_listings, plain_listing
from simulator.server import Simulator, SimulatorConfig
from tests.configs import LOCAL_VENUE, SHIPPED, write_config

PRODUCTS: Final = 30
START: Final = datetime(2026, 11, 2, 14, 0, tzinfo=UTC)
CASH: Final = {"USD": Decimal(100_000)}
PROC: Final = Path("/proc")


def listings() -> tuple[Listing, ...]:
    """The built-in listings, and as many made-up ones as are missing."""
    known = default_listings()
    made_up = (
        plain_listing(ProductId(f"Z{number:02}-USD"), model.product.price_step, model.product.size_step, model.opening)
        for number, model in enumerate(known[4:])
    )
    return (*known, *made_up)[:PRODUCTS]


def simulated(limits: bool = False) -> SimulatorConfig:
    """The venue, its time standing still but for whoever steps it."""
    return SimulatorConfig(
        market=GeneratedMarket(listings(), START, seed=7), start=START, opening=CASH, limits=limits, seed=7
    )


def configured(folder: Path) -> Path:
    """Both files, every listing in the first tier under limits that generated markets meet."""
    names = [str(listing.id) for listing in listings()]
    eased = {"min_volume_24h": 1000, "max_spread_bps": 100, "min_depth": 10}
    tiers = {1: {"products": names, **eased}, 2: {"products": []}, 3: {"products": []}}
    shipped = yaml.safe_load((SHIPPED / "universe.yaml").read_text())["themes"]
    themes = {theme: [name for name in members if name in names] for theme, members in shipped.items()}
    return write_config(folder, LOCAL_VENUE, {"tiers": tiers, "themes": themes, "exclusions": {"never_trade": []}})


class Process:
    """The simulated venue in a process of its own, on one core; the caller stays on the others."""

    def __init__(self, child: subprocess.Popen[str], told: Mapping[str, Any]) -> None:
        self._child = child
        self.environ: Mapping[str, str] = told["environ"]
        self.ca_file: str = told["ca_file"]
        self.host: str = told["host"]
        self.ws_url: str = told["ws_url"]

    @property
    def cpu_s(self) -> float:
        return cpu_seconds(self._child.pid)


@contextmanager
def served(core: int | None = None) -> Iterator[Process]:
    """Start the venue in another process and end it again. core: the only one it may use."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.venue", "" if core is None else str(core)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        yield Process(child, json.loads(child.stdout.readline()))
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)
        if child.stdout is not None:
            child.stdout.close()


def cpu_seconds(pid: int) -> float:
    """Processor time of a whole process so far."""
    fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _serve(core: str) -> None:
    if core:
        os.sched_setaffinity(0, {int(core)})
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with Simulator(simulated()) as sim:
        told = {"environ": sim.env(), "ca_file": sim.ca_file, "host": sim.host, "ws_url": sim.ws_url}
        print(json.dumps(told), flush=True)
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    _serve(sys.argv[1])
