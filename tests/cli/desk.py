"""A terminal for tests, and a real bot that has traded on a simulator, in this process or in one of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.app import App, Launch, open_app
from bot.cli.main import main
from bot.cli.verb import Terminal
from bot.domain.value import Value
from bot.settings.environment import read_settings
from bot.settings.load import load_config
from bot.settings.secrets import read_secrets
from simulator.server import Simulator
from tests.configs import LOCAL_VENUE, write_config

EAGER: Mapping[str, Any] = {
    **LOCAL_VENUE,
    "loop": {"interval_seconds": 60, "jitter_pct": 0},
    "regime": {"enabled": False},
    "data": {"warmup_minutes": 1500},
    "conviction": {"min_conviction": 0},
    "risk": {"cooldown_minutes": 0},
    "execution": {"default_order_type": "limit_ioc", "post_trade_reconcile_wait_seconds": 1},
    "rules": [
        {
            "name": "any_volume",
            "when": {"any": [{"volume_spike": {"ratio_1h_vs_24h": 0.1}}]},
            "size": {"usd": 100},
            "scale_by_volatility": False,
            "stop_loss_pct": 6,
            "take_profit_pct": 9,
            "max_new_per_cycle": 2,
        }
    ],
}
"""Buys two products in its first cycles: volume is never below a tenth of the usual for long."""

PATIENT: Mapping[str, Any] = {
    **EAGER,
    "execution": {"default_order_type": "limit_post_only", "post_only_ttl_seconds": 600, "maker_max_reprices": 0},
    "exits": {"resting_on_exchange": False},
}
"""The same, but its entries rest at the touch."""

UNIVERSE: Mapping[str, Any] = {
    "hysteresis": {"enter_after": 1, "leave_after": 3},
    "tiers": {
        1: {"products": ["BTC-USD", "ETH-USD"]},
        2: {"products": ["XRP-USD", "ADA-USD", "BCH-USD"], "min_depth": 10000},
        3: {"products": ["AAVE-USD", "ATOM-USD"]},
    },
    "themes": {
        "majors": ["BTC-USD", "ETH-USD"], "payments": ["XRP-USD", "BCH-USD"], "defi": ["AAVE-USD"],
        "layer1": ["ADA-USD", "ATOM-USD"], "oracles_infra": [], "meme": [],
    },
}  # fmt: skip
"""A handful of products, so that a bot is warm at once. The simulator does not list ATOM, and BCH is thin there."""


class Done(Value):
    """A finished verb: its exit code and what it said."""

    code: int
    out: str
    err: str


def run(environ: Mapping[str, str], *arguments: str) -> Done:
    """Run one verb in this process, with these environment variables and no others."""
    out, err = io.StringIO(), io.StringIO()
    code = int(main(arguments, Terminal(environ, out, err)))
    return Done(code, out.getvalue(), err.getvalue())


@dataclass
class Desk:
    """Where an operator sits: verbs run here, in process, with this environment."""

    environ: dict[str, str]
    data_dir: Path
    out: str = ""
    err: str = ""

    def run(self, *arguments: str) -> int:
        """Run a verb; `out` and `err` hold what it said."""
        done = run(self.environ, *arguments)
        self.out, self.err = done.out, done.err
        return done.code

    def json(self, *arguments: str) -> Any:
        """What a verb that must succeed says with --json."""
        assert self.run(*arguments, "--json") == 0, self.err
        return json.loads(self.out)

    def process(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "bot", *arguments], env=self.clean(), text=True, capture_output=True, timeout=60,
            check=False,
        )  # fmt: skip

    def clean(self) -> dict[str, str]:
        keep = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        return {**keep, **self.environ}

    @property
    def state_dir(self) -> Path:
        return self.data_dir / f"{self.environ.get('ENV', 'staging')}-{self.environ.get('BOT_MODE', 'paper')}"


def desk_at(folder: Path, sim: Simulator | None = None, mode: str = "live", **policy: Any) -> Desk:
    """An operator's desk with a data and a config folder below `folder`; nothing has run there yet."""
    config = write_config(folder / "config", policy or EAGER, UNIVERSE)
    venue = sim.env() if sim is not None else {}
    environ = {
        **venue, "ENV": "staging", "BOT_MODE": mode, "BOT_DATA_DIR": str(folder / "data"),
        "BOT_CONFIG_DIR": str(config), "BOT_HTTP_PORT": "0",
    }  # fmt: skip
    return Desk(environ, folder / "data")


@contextmanager
def bot_of(desk: Desk) -> Iterator[App]:
    """The daemon of this desk, built as `bot run` builds it; not yet running."""
    settings = read_settings(desk.environ)
    secrets = read_secrets(desk.environ, environment=settings.environment, allow_test_venue=settings.allow_test_venue)
    launch = Launch(settings, secrets, load_config(settings.config_dir), desk.environ, io.StringIO(), True)
    with open_app(launch) as app:
        yield app


@contextmanager
def running(desk: Desk) -> Iterator[App]:
    """The daemon of this desk, trading on a thread of its own once its first cycle is over."""
    with bot_of(desk) as app:
        thread = threading.Thread(target=app.loop.run, name="daemon")
        thread.start()
        try:
            give_up = time.monotonic() + 30
            while app.loop.last is None and time.monotonic() < give_up:
                time.sleep(0.02)
            assert app.loop.last is not None, "no cycle ended"
            yield app
        finally:
            app.stop("the test is over")
            thread.join(30)
            assert not thread.is_alive()


def working_at(sim: Simulator) -> dict[str, str]:
    """Working orders as the venue itself knows them: client order id -> side."""
    return sim.do(
        lambda controls: {record.client_order_id: record.side.value for record in controls.world.venue.working()}
    )
