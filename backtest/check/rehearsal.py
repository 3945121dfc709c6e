"""The daemon itself, trading recorded candles on the simulated exchange in this process: the other side of parity.

The one module of the backtest that knows the simulator; only `backtest check parity` imports it. Parity is proven
against the real adapter on the wire (TLS, signed requests, feeds), and nothing else here speaks Coinbase.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, TextIO

from backtest.check.sides import Cycle, Records, cycle, decided_at
from backtest.recorder import Origin
from bot.adapters.storage import FileStorage
from bot.app import App, Launch, open_app
from bot.cli.books import envelopes
from bot.cli.place import look
from bot.cli.recorded import Recorded, from_storage
from bot.domain.codec import decode
from bot.domain.decision import Decision, Outcome
from bot.domain.event import IntentRecorded
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.errors import BotError
from bot.record.cycles import CYCLES, INPUTS, cycle_of, read_inputs
from bot.settings.config import Config
from bot.settings.environment import read_settings
from bot.settings.secrets import read_secrets
from bot.venue.rules import FillRules
from simulator.markets.replay import ReplayMarket
from simulator.server import Simulator, SimulatorConfig

UNBOUNDED: Final = Decimal(1_000_000)
"""Requests a second: a venue on this machine may be asked as often as one likes."""
CYCLES_KEPT: Final = 1_000_000
GLANCE_S: Final = 0.05
REPLAYED: Final = 20
"""Cycles decided again from what was kept of them, besides those that traded (at most three times as many in all)."""


class Span(Value):
    """When a rehearsal begins and ends. tick: is told the venue's time now and then."""

    since: datetime
    until: datetime
    tick: Callable[[datetime], None] = lambda _: None


class Replayed(Value):
    """Cycles decided again from what was kept of them, and the ids of those that came out differently.

    rescaled: how many could not be, since bars they saw are kept in other ticks or lots by now, and not to the digit.
    """

    count: int
    different: tuple[str, ...]
    rescaled: int = 0


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
    config: Config, files: Mapping[ProductId, Path], span: Span, folder: Path, log: TextIO
) -> tuple[Records, Replayed]:
    """Trade a span and gather what venue and journal kept. Raises BotError when the end is bad."""
    with _venue(config, files, span.since) as sim:
        opening = {b.currency: b.total for b in sim.do(lambda controls: controls.world.venue.balances())}
        launch = _launch(sim, config, folder, log)
        with open_app(launch) as app:
            _run(app, sim, span)
        orders, fills = sim.do(lambda controls: (controls.world.venue.orders(), controls.world.venue.fills()))
    storage = look(launch.settings)
    cycles = [item for item, service in _cycles(storage) if not service]
    return Records(orders, fills, _origins(storage), cycles, span.until, opening), replayed(storage)


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


def _run(app: App, sim: Simulator, span: Span) -> None:
    """The loop on this thread; another one looks at the venue's clock and ends it. Raises BotError on a bad end."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(GLANCE_S):
            now = sim.now()
            span.tick(now)
            if now > span.until:
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


def _origins(storage: FileStorage) -> Mapping[str, Origin]:
    return {
        payload.client_order_id: Origin(
            payload.kind, payload.rule, payload.why, envelope.cycle_id, payload.intent_id, payload.attempt
        )
        for envelope in envelopes(storage)
        for payload in (envelope.payload,)
        if isinstance(payload, IntentRecorded)
    }


def _cycles(storage: FileStorage) -> Iterator[tuple[Cycle, bool]]:
    """Every kept cycle, and whether it was one of service."""
    for name in storage.names(CYCLES):
        if not name.endswith(INPUTS):
            continue
        number = cycle_of(name)
        snapshot = read_inputs(storage.read(f"{CYCLES}/{name}") or b"").snapshot
        decision = decode(Decision, json.loads(storage.read(f"{CYCLES}/{number}.json") or b"{}"))
        yield cycle(decided_at(number), decision, snapshot), snapshot.service


def replayed(storage: FileStorage) -> Replayed:
    """Decide again what was decided over the wire: every trade, and some of the rest.

    A busy hour has a daemon keep volumes in coarser lots from then on: what a cycle saw before is there no more.
    """
    kept = [(item.decision.cycle_id, item.decision.outcome) for item, _ in _cycles(storage)]
    stride = max(1, len(kept) // REPLAYED)
    chosen = [number for at, (number, outcome) in enumerate(kept) if outcome is Outcome.TRADED or at % stride == 0]
    count, rescaled, different = 0, 0, []
    for item in (from_storage(storage, number) for number in chosen[: 3 * REPLAYED]):
        if _rescaled(item):
            rescaled += 1
            continue
        count += 1
        if item.decided_again() != item.decision:
            different.append(item.cycle_id)
    return Replayed(count, tuple(different), rescaled)


def _rescaled(item: Recorded) -> bool:
    used = item.inputs.bars
    return any(
        (series.scale.tick, series.scale.lot) != (used[m].tick, used[m].lot) for m, series in item.series.items()
    )
