"""The backtest's object graph: the live TradingLoop on recorded bars, a clock that is set, and an embedded venue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from backtest.dataset import Dataset
from backtest.market import Bars, Listed, RecordedMarket, Tape
from bot.adapters.manual_clock import ManualClock
from bot.adapters.memory import MemoryStorage
from bot.adapters.notify import ServiceManager
from bot.adapters.venue_exchange import PORTFOLIO, Surroundings, VenueExchange, operational
from bot.domain.snapshot import Environment, Mode
from bot.domain.value import Value
from bot.loop import Identity, Operator, TradingLoop, World
from bot.loop.finished import Finished
from bot.ops.log import null_log
from bot.ops.metrics import Metrics
from bot.ports import Command
from bot.settings.config import Config
from bot.venue.rules import FillRules
from bot.venue.venue import Venue

GENESIS: Final = "00" * 8
"""Every backtest begins the same journal, so that the same inputs give the same order ids."""


class NoJitter:
    """Rng: always the middle."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class NoCommands:
    """Inbox: nobody gives orders to a backtest."""

    def pending(self) -> Sequence[Command]:
        return ()

    def done(self, command_id: str, result: str) -> None:
        """There is nothing to be done."""


class Nobody:
    """Courier: nobody waits for alerts."""

    def nudge(self) -> None:
        """Alerts stay in the journal."""

    def carry(self, alert_id: str, body: bytes) -> None:
        """Alerts stay in the journal."""


class Stage(Value):
    """Everything of one run, plugged together."""

    config: Config
    data: Dataset
    clock: ManualClock
    venue: Venue
    tape: Tape
    loop: TradingLoop


def build(config: Config, data: Dataset, code_version: str, follow: Callable[[Finished], None]) -> Stage:
    """A loop that is ready for its first cycle. follow: is given every cycle that was run."""
    clock = ManualClock(data.opened(0))
    rules = FillRules.for_bars(config.policy.backtest)
    listed = Listed(data, clock, config.policy.data)
    bars = Bars(data)
    cash = dict(config.policy.paper.starting_cash)
    venue = Venue(listed.products(), cash, rules, clock.now(), newest=bars.newest)
    tape = Tape(bars, venue, clock)
    around = Surroundings(tape.catch_up, listed.products, lambda: operational(clock.now()))
    world = World(clock, VenueExchange(venue, clock, around), RecordedMarket(data, clock), MemoryStorage(), NoJitter())
    identity = Identity(Environment.STAGING, Mode.PAPER, PORTFOLIO, "recorded candles", code_version, GENESIS)
    operator = Operator(
        null_log(), Metrics(config.config_hash, code_version), lambda *_: None, Nobody(), ServiceManager({}),
        NoCommands(), lambda *_: None, keeps_inputs=False, keeps_files=False, audience=False, follow=follow,
    )  # fmt: skip
    loop = TradingLoop(config, identity, world, operator)
    loop.open()
    return Stage(config, data, clock, venue, tape, loop)
