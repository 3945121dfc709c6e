"""What a whole cycle costs through TLS, signatures and feeds: the live bot in this process, the venue in another."""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from bot.app import App, Launch, open_app
from bot.settings.environment import read_settings
from bot.settings.load import load_config
from bot.settings.secrets import read_secrets
from tests.bench.cycle import Outside
from tests.bench.result import Result, at_percent
from tests.bench.venue import PRODUCTS, configured, served

CYCLES: Final = 120
WARM: Final = 5


def run() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as name, served() as venue:
        folder = Path(name)
        environ = {
            **venue.environ, "ENV": "staging", "BOT_MODE": "live", "BOT_DATA_DIR": str(folder / "data"),
            "BOT_CONFIG_DIR": str(configured(folder / "config")), "BOT_HTTP_PORT": "0", "PATH": os.environ["PATH"],
        }  # fmt: skip
        settings = read_settings(environ)
        secrets = read_secrets(environ, environment=settings.environment, allow_test_venue=True)
        launch = Launch(settings, secrets, load_config(settings.config_dir), environ, io.StringIO(), True)
        with open_app(launch) as app:
            whole, asked = _cycles(app)
    own = [total - api for total, api in zip(whole, asked, strict=True)]
    what = f"cycle over the wire, {PRODUCTS} products"
    yield Result(f"{what}, median", at_percent(whole, 50), "ms")
    yield Result(f"{what}, 99th percentile", at_percent(whole, 99), "ms")
    yield Result("of it waiting for answers (bot_api_seconds), median", at_percent(asked, 50), "ms")
    yield Result("the rest, median", at_percent(own, 50), "ms")
    yield Result("the rest, 99th percentile", at_percent(own, 99), "ms")


def _cycles(app: App) -> tuple[list[float], list[float]]:
    """Milliseconds of each cycle without its waits for trading time, and of them inside the venue's calls."""
    waiting, whole, asked = Outside(), [], []
    waiting.around(app.loop._world.clock, ("wait_until",))
    cycle = app.loop.run_cycle

    def timed(**options: Any) -> Any:
        waiting.seconds, api, began = 0.0, _api_s(app), time.perf_counter()
        record = cycle(**options)
        whole.append((time.perf_counter() - began - waiting.seconds) * 1000)
        asked.append((_api_s(app) - api) * 1000)
        if len(whole) >= WARM + CYCLES:
            app.stop("measured")
        return record

    app.loop.run_cycle = timed  # type: ignore[method-assign]  # looks on at each cycle of the real schedule
    app.loop.run()
    return whole[WARM:], asked[WARM:]


def _api_s(app: App) -> float:
    """Seconds spent in calls to the venue so far."""
    samples = (sample for metric in app.metrics.api_seconds.collect() for sample in metric.samples)
    return sum(float(sample.value) for sample in samples if sample.name.endswith("_sum"))
