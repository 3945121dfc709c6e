"""What a whole cycle costs without the venue: the real loop on thirty products, the time inside its ports taken off."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from bot.adapters.memory import MemoryStorage
from bot.adapters.storage import FileStorage
from bot.domain.snapshot import Environment, Mode
from bot.settings.load import load_config
from simulator.markets.generator import GeneratedMarket
from tests.bench.result import Result, at_percent
from tests.bench.venue import PRODUCTS, START, configured, listings, simulated
from tests.simulation.inprocess import InProcess

LIMIT_MS: Final = 20.0
CYCLES: Final = 200
WARM: Final = 5
EXCHANGE: Final = (
    "server_time", "time_sample", "key_permissions", "balances", "products", "working_orders", "orders_created",
    "order", "fills_since", "fee_tier", "status", "preview", "place", "cancel",
)  # fmt: skip
MARKET: Final = ("watch", "refresh", "facts", "requote", "guard", "user_events")
STORAGE: Final = ("append", "save_state", "write", "post", "read", "remove", "drop", "names", "kill_state", "lock_held")


class Outside:
    """Seconds spent inside the calls it was put around; a call within a call counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def around(self, part: object, names: tuple[str, ...]) -> None:
        for name in names:
            if (call := getattr(part, name, None)) is not None:
                setattr(part, name, self._timed(call))

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            self._depth += 1
            began = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.perf_counter() - began

        return timed


def run() -> Iterator[Result]:
    """Each figure in milliseconds of wall time, over CYCLES cycles one after the other."""
    own, _ = measured(MemoryStorage())
    what = f"cycle without the venue, {PRODUCTS} products, state in memory"
    yield Result(f"{what}, median", at_percent(own, 50), "ms")
    yield Result(f"{what}, 99th percentile", at_percent(own, 99), "ms", LIMIT_MS)
    with tempfile.TemporaryDirectory() as folder:
        storage = FileStorage(Path(folder), Environment.STAGING, Mode.LIVE, production=False)
        storage.prepare()
        storage.lock_held = lambda: True  # type: ignore[method-assign]  # one process, one storage
        own, disk = measured(storage)
        storage.close()
    both = [a + b for a, b in zip(own, disk, strict=True)]
    yield Result("the same with files and fsync, median", at_percent(both, 50), "ms")
    yield Result("the same with files and fsync, 99th percentile", at_percent(both, 99), "ms", LIMIT_MS)
    yield Result("of it in the file system, median", at_percent(disk, 50), "ms")
    yield Result("of it in the file system, 99th percentile", at_percent(disk, 99), "ms")


def measured(storage: Any) -> tuple[list[float], list[float]]:
    """Of each cycle, in milliseconds: our own time, and the storage's."""
    with tempfile.TemporaryDirectory() as folder:
        config = load_config(configured(Path(folder)))
    market = GeneratedMarket(listings(), START, seed=7)
    bot = InProcess(config, simulated(), market, storage)
    venue, disk = Outside(), Outside()
    venue.around(bot.exchange, EXCHANGE)
    venue.around(bot.market, MARKET)
    venue.around(bot.clock, ("wait_until",))
    disk.around(storage, STORAGE)
    own, stored, cycle = [], [], bot.loop.run_cycle
    for number in range(WARM + CYCLES):
        venue.seconds = disk.seconds = 0.0
        began = time.perf_counter()
        cycle()
        took = time.perf_counter() - began
        if number >= WARM:
            own.append((took - venue.seconds - disk.seconds) * 1000)
            stored.append(disk.seconds * 1000)
        bot.clock.wait_until(bot.clock.now() + timedelta(seconds=60))
    return own, stored
