"""A bot on a stage: the real loop on the simulated venue without its wire, where a test can break any one seam."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from bot.adapters.rng import SeededRng
from bot.decide import decide
from bot.domain.order import OrderState, PlannedOrder
from bot.domain.product import ProductId, Side
from bot.domain.snapshot import Environment, Mode
from bot.domain.state import Order, State
from bot.errors import OutcomeUnknown
from bot.loop import Identity, Operator, TradingLoop
from bot.loop import World as Ports
from bot.loop.world import Mind
from bot.ops.log import make_log
from bot.ops.metrics import Metrics
from bot.ops.redact import Redactor
from bot.ops.status import CycleRecord
from bot.ports import KillProbe, KillState, WakeReason
from bot.settings.config import Config
from bot.settings.load import load_config
from bot.venue.orders import OrderRecord
from bot.venue.venue import Venue
from simulator.faults import Conditions
from simulator.markets.listing import Listing, all_products, default_listings
from simulator.markets.script import Print, ScriptMarket, Step
from simulator.server import START, tick_rules
from simulator.world import World, holder_of
from tests.configs import write_config
from tests.loop.seams import Appointments, Courier, Disk, Inbox, Window, Wire
from tests.simulation.inprocess import Silence, SteppingClock
from tests.simulation.oracle import Oracle

BTC, ETH = ProductId("BTC-USD"), ProductId("ETH-USD")
OPENING = Decimal(65000)
"""Price of BTC-USD before anything is printed."""

RISE = {
    "name": "rise",
    "enabled": True,
    "when": {"all": [{"price_move": {"pct_15m": 0.5, "pct_60m": None, "direction": "up"}}]},
    "tiers": [1],
    "regimes": ["chop"],
    "size": "tier",
    "scale_by_volatility": False,
    "stop_loss_pct": 4,
    "take_profit_pct": 9,
    "trailing_stop_pct": None,
    "max_hold_minutes": 2880,
    "budget_pct": 10,
    "max_new_per_cycle": 1,
    "cooldown_minutes": 30,
}
"""One rule: buy what rose half a percent within a quarter of an hour."""

PLAIN: Mapping[str, Any] = {
    "loop": {"jitter_pct": 0},
    "regime": {"enabled": False},
    "data": {"warmup_minutes": 1500},
    "conviction": {"min_conviction": 0},
    "rules": [RISE],
    "risk": {"cooldown_minutes": 30, "cooldown_after_stop_minutes": 240},
}
SMALL: Mapping[str, Any] = {
    "tiers": {1: {"products": ["BTC-USD"], "min_depth": 1000, "min_volume_24h": 1000}},
    "hysteresis": {"enter_after": 1, "leave_after": 3},
    "themes": {"majors": ["BTC-USD"]},
}


def config_of(
    rule: Mapping[str, Any] | None = None, universe: Mapping[str, Any] | None = None, **policy: Any
) -> Config:
    """The plain configuration with keys of its one rule, of universe.yaml and of policy.yaml replaced."""
    changes = {name: _merged(PLAIN.get(name), value) for name, value in policy.items()}
    changes["rules"] = [{**RISE, **(rule or {})}]
    return _config(
        json.dumps({**PLAIN, **changes}, default=str), json.dumps(_merged(SMALL, universe or {}), default=str)
    )


@cache
def _config(policy: str, universe: str) -> Config:
    document = json.loads(universe)
    document["tiers"] = {int(number): tier for number, tier in document["tiers"].items()}
    with tempfile.TemporaryDirectory() as folder:
        return load_config(write_config(Path(folder), json.loads(policy), document))


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}


def up(at_s: float, price: str = "65500", product: ProductId = BTC, size: str = "3") -> Print:
    """Somebody buys at `price`."""
    return Print(at_s, product, Decimal(price), Decimal(size), Side.BUY)


def down(at_s: float, price: str, product: ProductId = BTC, size: str = "3") -> Print:
    """Somebody sells at `price`: bids above it have traded."""
    return Print(at_s, product, Decimal(price), Decimal(size), Side.SELL)


def steady(first_s: int, last_s: int, price: str, every_s: int = 20) -> list[Step]:
    """Both sides trade at `price` for a while."""
    return [step for at in range(first_s, last_s, every_s) for step in (down(at, price), up(at + 1, price))]


class Pause(BaseException):
    """Leaves the loop between two cycles, with nothing of the last one undone."""


class Stage:
    """One venue, one data directory, and bots that come and go on them.

    mind: what decides, for bots that boot from then on. cycles: every finished cycle of all bots. published: newest
    status report, whether ready, why not.
    """

    def __init__(
        self,
        steps: Sequence[Step] = (),
        config: Config | None = None,
        opening: Mapping[str, str] | None = None,
        listings: Sequence[Listing] | None = None,
        disk: Disk | None = None,
    ) -> None:
        self.config = config or config_of()
        market = ScriptMarket(listings or default_listings(2), START, steps)
        wallets = {currency: Decimal(amount) for currency, amount in (opening or {"USD": "10000"}).items()}
        venue = Venue(
            all_products(market.listings), wallets, tick_rules(), datetime.fromtimestamp(market.start, UTC), 1
        )
        self.world = World(venue, market, Conditions(), holder_of(1, START - timedelta(days=400)))
        self.clock = SteppingClock(self.world)
        self.disk = disk or Disk()
        self.wire = Wire(self.world, self.clock)
        self.window = Window(self.world, self.clock, self.config.policy.data)
        self.inbox = Inbox()
        self.log = StringIO()
        self.cycles: list[CycleRecord] = []
        self.published: tuple[dict[str, Any], bool, str] = ({}, False, "")
        self._appointments = Appointments(self.world)
        self.oracle = Oracle(self.world, self.config, journalled=self._journalled).watch()
        self.courier = Courier()
        self.heart = Silence()
        self.fail_reports = False
        self.bots = 0
        self.mind: Mind = decide
        self.complaints: dict[str, str] = {}
        self._pause_when: Callable[[], object] = _never
        self.boot()

    # ------------------------------------------------------------------------------------------------------ the bot

    def boot(self, config: Config | None = None, portfolio: str | None = None) -> None:
        """A new process on the same data directory."""
        self.config = config or self.config
        self.bots += 1
        self.metrics = Metrics(self.config.config_hash, "0.1.0")
        quiet = self.heart
        identity = Identity(
            Environment.STAGING, Mode.LIVE, portfolio or self.world.holder.portfolio, "in process", "0.1.0",
            f"{self.bots:016x}", self.bots,
        )  # fmt: skip
        log = make_log(self.log, Redactor(), self.clock.now, as_json=True)
        operator = Operator(
            log, self.metrics, self._publish, self.courier, quiet, self.inbox, lambda *_: None,
            complaints=lambda: self.complaints,
        )  # fmt: skip
        ports = Ports(self.clock, self.wire, self.window, self.disk, SeededRng(1))
        self.loop = TradingLoop(self.config, identity, ports, operator, self.mind)
        self.loop.open()

    def cycle(self, *, service: bool = False) -> CycleRecord:
        """One cycle now."""
        return self.loop.run_cycle(service=service)

    def run_for(self, seconds: float) -> None:
        """Let the bot run by itself for so long; it stays up, between two cycles."""
        moment = self.clock.now() + timedelta(seconds=seconds)
        self._run(lambda: self.clock.now() >= moment)

    def run_until(self, done: Callable[[], object], within_s: float = 3600) -> None:
        """Run up to the end of the first cycle after which `done`. AssertionError when there is none in time."""
        limit = self.clock.now() + timedelta(seconds=within_s)
        self._run(lambda: done() or self.clock.now() >= limit)
        assert done(), f"not within {within_s} s; {self.tail()}"

    def leave(self) -> int:
        """Ask the bot to stop; answers its exit code."""
        self.loop.stop("SIGTERM")
        return self.loop.run()

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Let something happen so many seconds after the start."""
        self._appointments.add(START + timedelta(seconds=seconds), action)

    def throw_the_switch(self) -> None:
        """The kill switch goes on, and the watcher sees it."""
        self.disk.kill = KillState(KillProbe.PRESENT, "looks wrong")
        self.loop.saw_kill()
        self.clock.wake(WakeReason.KILL_SWITCH)

    def lost(self, order: PlannedOrder) -> OutcomeUnknown:
        """What a request raises whose answer never came."""
        return OutcomeUnknown(order.client_order_id, "the connection was torn")

    def idle(self, seconds: float) -> None:
        """Time passes without the bot."""
        goal = self.clock.now() + timedelta(seconds=seconds)
        hop = timedelta(seconds=1 if seconds < 600 else 600)
        while self.world.now < goal:
            self.world.step(min(goal, self.world.now + hop))
        self.clock.advance(goal - self.clock.now())

    # ------------------------------------------------------------------------------------------------------- looking

    @property
    def state(self) -> State:
        return self.loop.store.state

    @property
    def last(self) -> CycleRecord:
        return self.cycles[-1]

    def orders(self, *states: OrderState) -> list[Order]:
        """The bot's orders as it believes them to be, oldest first."""
        found = sorted(self.state.orders.values(), key=lambda order: (order.created_at, order.intent, order.attempt))
        return [order for order in found if order.state in states] if states else found

    def working(self, side: Side | None = None) -> list[OrderRecord]:
        """Orders that truly work at the venue."""
        return [order for order in self.world.working() if side is None or order.side is side]

    def held(self, currency: str) -> Decimal:
        """What the venue truly holds for the account."""
        return next((b.total for b in self.world.venue.balances() if b.currency == currency), Decimal(0))

    def events(self, topic: str) -> list[Mapping[str, Any]]:
        """Payloads of a topic in the journal, oldest first."""
        return [row["payload"] for row in self.rows() if row["topic"] == topic]

    def alerts(self) -> dict[str, str]:
        """Fingerprint -> severity of every alert raised so far."""
        return {item["fingerprint"]: item["severity"] for item in self._outbox()}

    def alert_texts(self) -> str:
        return "\n".join(json.dumps(item) for item in self._outbox())

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def logged(self, event: str) -> list[Mapping[str, Any]]:
        return [row for row in map(json.loads, self.log.getvalue().splitlines()) if row["event"] == event]

    def check(self) -> None:
        """The venue's own ledger against everything: no invariant broken, and the books are the venue's."""
        assert self.oracle.broken == []
        for name, position in self.state.positions.items():
            assert position.whole.value == self.held(name.split("-")[0]), name
        assert not any(self.loop.guard.snapshot.residuals.values()) if self.loop.guard.snapshot else True

    def rows(self) -> list[Mapping[str, Any]]:
        """Every event in the journal, oldest first."""
        return [json.loads(line) for day in self.disk.journal_days() for line in self.disk.journal(day).splitlines()]

    def tail(self) -> str:
        return "; ".join(f"{c.started_at:%H:%M:%S} {c.outcome} {c.reason}" for c in self.cycles[-8:])

    # ------------------------------------------------------------------------------------------------------- private

    def _journalled(self) -> set[str]:
        return {payload["client_order_id"] for payload in self.events("intent.recorded")}

    def _outbox(self) -> Iterator[Mapping[str, Any]]:
        for name in self.disk.names("outbox"):
            yield json.loads(self.disk.files[f"outbox/{name}"])

    def _run(self, done: Callable[[], object]) -> None:
        self._pause_when = done
        try:
            self.loop.run()
        except Pause:
            return
        finally:
            self._pause_when = _never
        raise AssertionError("the bot left by itself")

    def _publish(self, report: dict[str, Any], ready: bool, why: str) -> None:
        if self.fail_reports:
            raise ZeroDivisionError("a bug")
        self.published = (report, ready, why)
        if self.loop.last is not None:
            self.cycles.append(self.loop.last)
        if self._pause_when():
            raise Pause


def _never() -> bool:
    return False
