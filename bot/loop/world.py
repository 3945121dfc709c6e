"""What a TradingLoop is given: the five objects that differ between live, paper and backtest, and who it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from bot.domain.decision import Decision
from bot.domain.snapshot import Environment, Mode, Snapshot
from bot.domain.value import Value
from bot.loop.finished import Finished
from bot.ops.log import Log
from bot.ops.metrics import Metrics
from bot.ops.redact import without_secrets
from bot.ports import Clock, Command, Exchange, MarketData, Rng, Storage
from bot.record.store import StateStore
from bot.settings.config import Config

Mind = Callable[[Snapshot, Config], Decision]
"""What one snapshot makes the bot want: `bot.decide.decide`, or one that has lost itself, to see what then holds."""


class World(Value):
    """Live, paper, dry-run, backtest and fault runs differ in these five objects and in nothing else."""

    clock: Clock
    exchange: Exchange
    market: MarketData
    storage: Storage
    rng: Rng


class Identity(Value):
    """Who trades. portfolio: the venue's id of the account; genesis: a random id in case a new journal begins."""

    env: Environment
    mode: Mode
    portfolio: str
    venue: str
    code_version: str
    genesis: str
    pid: int = 0

    @property
    def account(self) -> str:
        """Fingerprint that durable state is bound to: state of another account, env or mode is refused."""
        return f"{self.portfolio}|{self.env.value}|{self.mode.value}"


class Courier(Protocol):
    """Whoever delivers alerts; told that new ones wait."""

    def nudge(self) -> None: ...

    def carry(self, alert_id: str, body: bytes) -> None:
        """Deliver a message that could not be written to the outbox."""
        ...


class Heart(Protocol):
    """The service manager: told when the loop is ready, alive, or stopping."""

    watchdog_s: float | None
    """Within how many seconds it wants to be told `alive` again; None when it does not care."""

    def ready(self, status: str = "") -> bool: ...

    def alive(self) -> bool: ...

    def stopping(self, why: str = "") -> bool: ...

    def status(self, text: str) -> bool: ...


class Inbox(Protocol):
    """Operator commands that wait for the daemon."""

    def pending(self) -> Sequence[Command]: ...

    def done(self, command_id: str, result: str) -> None: ...


Publish = Callable[[dict[str, Any], bool, str], None]
"""Takes the status report, whether the newest observation was complete, and why not."""


def _content() -> Mapping[str, str]:
    """Nothing to complain of."""
    return {}


def _nobody(_cycle: Finished) -> None:
    """Nobody follows."""


class Operator(Value):
    """How the people around see the loop. tend: keeps the journal within its retention, called once a cycle.

    keeps_inputs: whether what a cycle decided from is kept as well, for `bot replay`.
    keeps_files: whether anybody reads heartbeat, status and cycles, or goes on from state.json; else none is written.
    audience: whether anybody reads journal, metrics, log or alerts; else a cycle is not put into words, and state is
    folded from events that nobody seals.
    follow: is given every finished cycle in full. clean: takes secrets out of the texts of alerts.
    complaints: live connections that are down, each with why. configured: told of a configuration that was taken up.
    """

    log: Log
    metrics: Metrics
    publish: Publish
    courier: Courier
    heart: Heart
    inbox: Inbox
    tend: Callable[[StateStore, datetime], None]
    keeps_inputs: bool = True
    keeps_files: bool = True
    audience: bool = True
    follow: Callable[[Finished], None] = _nobody
    clean: Callable[[str], str] = without_secrets
    complaints: Callable[[], Mapping[str, str]] = _content
    configured: Callable[[Config], object] = lambda _config: None
