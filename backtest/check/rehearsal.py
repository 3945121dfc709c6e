"""The daemon itself, trading recorded candles on the simulated exchange in this process: the other side of parity.

The one module of the backtest that knows the simulator; only `backtest check parity` imports it. Parity is proven
against the real adapter on the wire (TLS, signed requests, feeds), and nothing else here speaks Coinbase.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, TextIO

from backtest.check.sides import Records, decided_at
from backtest.recorder import Origin
from bot.adapters.storage import FileStorage
from bot.app import App, Launch, open_app
from bot.cli.books import envelopes
from bot.cli.place import look
from bot.cli.recorded import from_storage
from bot.domain.codec import decode
from bot.domain.decision import Decision, Outcome
from bot.domain.event import IntentRecorded
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.errors import BotError
from bot.record.cycles import CYCLES, INPUTS, cycle_of, read_inputs
from bot.settings.config import Config
from bot.settings.environment import Settings, read_settings
from bot.settings.secrets import read_secrets
from bot.venue.orders import OrderRecord, VenueFill
from bot.venue.rules import FillRules
from simulator.markets.replay import ReplayMarket
from simulator.server import Simulator, SimulatorConfig

UNBOUNDED: Final = Decimal(1_000_000)
"""Requests a second: a venue on this machine may be asked as often as one likes."""
CYCLES_KEPT: Final = 1_000_000
GLANCE_S: Final = 0.05
REPLAYED: Final = 20
"""Cycles decided again from what was kept of them, besides those that traded (at most three times as many in all)."""


class Replayed(Value):
    """Cycles decided again from what was kept of them, and the ids of those that came out differently."""

    count: int
    different: tuple[str, ...]


def rehearsed(config: Config) -> Config:
    """The configuration both sides of a rehearsal trade with: on time to the second, nothing forgotten."""
    policy = config.policy
    limits = {"public_per_second": UNBOUNDED, "private_per_second": UNBOUNDED, "hourly": int(3600 * UNBOUNDED)}
    update = {
        "loop": policy.loop.model_copy(update={"jitter_pct": type(policy.loop.jitter_pct)(Decimal(0))}),
        "rate_limits": policy.rate_limits.model_copy(update=limits),
        "state": policy.state.model_copy(update={"cycles_kept": CYCLES_KEPT}),
    }
    return Config(policy.model_copy(update=update), config.universe)


def live(
    config: Config, files: Mapping[ProductId, Path], since: datetime, until: datetime, folder: Path, log: TextIO
) -> tuple[Records, Replayed]:
    """Trade from `since` to `until` and gather what venue and journal kept. Raises BotError when the end is bad."""
    with _venue(config, files, since) as sim:
        launch = _launch(sim, config, folder, log)
        with open_app(launch) as app:
            _run(app, sim, until)
        orders, fills = sim.do(lambda controls: (controls.world.venue.orders(), controls.world.venue.fills()))
    settings = launch.settings
    return _records(settings, orders, fills, until), _replayed(settings)


@contextmanager
def _venue(config: Config, files: Mapping[ProductId, Path], since: datetime) -> Iterator[Simulator]:
    rules = FillRules.for_ticks(config.policy.backtest, timedelta(0))
    opening = dict(config.policy.paper.starting_cash)
    # The first cycle runs at once; this way it is the one that knows the first bar, as in the backtest.
    first = since + timedelta(seconds=60)
    start = first + timedelta(seconds=float(config.policy.data.bar_close_lag_seconds))
    market = ReplayMarket(files, first)
    with Simulator(SimulatorConfig(market=market, start=start, opening=opening, rules=rules, speed=0)) as sim:
        yield sim


def _launch(sim: Simulator, config: Config, folder: Path, log: TextIO) -> Launch:
    environ = {
        **sim.env(), "ENV": "staging", "BOT_MODE": "live", "BOT_DATA_DIR": str(folder), "BOT_HTTP_PORT": "0",
    }  # fmt: skip
    settings = read_settings(environ)
    secrets = read_secrets(environ, environment=settings.environment, allow_test_venue=True)
    return Launch(settings, secrets, config, environ, log, True)


def _run(app: App, sim: Simulator, until: datetime) -> None:
    """The loop on this thread; another one looks at the venue's clock and ends it. Raises BotError on a bad end."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(GLANCE_S):
            if sim.now() > until:
                app.stop("the period is over")
                return

    watcher = threading.Thread(target=watch, name="rehearsal", daemon=True)
    watcher.start()
    try:
        code = app.loop.run()
    finally:
        over.set()
        watcher.join()
    if code:
        raise BotError(f"the rehearsal ended with exit code {code}: some orders may still be working")


def _records(settings: Settings, orders: Sequence[OrderRecord], fills: Sequence[VenueFill], until: datetime) -> Records:
    storage = look(settings)
    origins = {
        payload.client_order_id: Origin(
            payload.kind, payload.rule, payload.why, envelope.cycle_id, payload.intent_id, payload.attempt
        )
        for envelope in envelopes(storage)
        for payload in (envelope.payload,)
        if isinstance(payload, IntentRecorded)
    }
    scheduled = [(at, decision) for at, decision, service in _decisions(storage) if not service]
    return Records(orders, fills, origins, scheduled, until)


def _decisions(storage: FileStorage) -> Iterator[tuple[datetime, Decision, bool]]:
    """Every kept decision with its time, and whether it was one of a service cycle."""
    for name in storage.names(CYCLES):
        if not name.endswith(INPUTS):
            continue
        cycle = cycle_of(name)
        inputs = read_inputs(storage.read(f"{CYCLES}/{name}") or b"")
        decision = decode(Decision, json.loads(storage.read(f"{CYCLES}/{cycle}.json") or b"{}"))
        yield decided_at(cycle), decision, inputs.snapshot.service


def _replayed(settings: Settings) -> Replayed:
    """Decide again what was decided over the wire: every trade, and some of the rest."""
    storage = look(settings)
    kept = [(decision.cycle_id, decision.outcome) for _, decision, _ in _decisions(storage)]
    stride = max(1, len(kept) // REPLAYED)
    chosen = [
        cycle for number, (cycle, outcome) in enumerate(kept) if outcome is Outcome.TRADED or number % stride == 0
    ]
    recorded = (from_storage(storage, cycle) for cycle in chosen[: 3 * REPLAYED])
    different = [item.cycle_id for item in recorded if item.decided_again() != item.decision]
    return Replayed(min(len(chosen), 3 * REPLAYED), tuple(different))
