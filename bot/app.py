"""The only place that knows every class: plugs the adapters of a mode together and holds them for the run's life."""

from __future__ import annotations

import json
import os
import secrets as randomness
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TextIO

from bot.adapters.clock import SteppedClock, SystemClock
from bot.adapters.codeversion import code_version
from bot.adapters.coinbase.auth import Credentials, websocket_token
from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.coinbase.budget import Budget
from bot.adapters.coinbase.build import Venue as VenueAddresses
from bot.adapters.coinbase.build import World as AdapterWorld
from bot.adapters.coinbase.build import build_exchange, build_reader, limits_at
from bot.adapters.coinbase.exchange import CoinbaseExchange, CoinbaseReader
from bot.adapters.coinbase.feed import Feed, FeedConfig
from bot.adapters.coinbase.gates import plan_reasons, size_reasons
from bot.adapters.coinbase.market_data import CoinbaseMarketData, Sources
from bot.adapters.coinbase.tls import trusted_context
from bot.adapters.inbox import INBOX, Inbox
from bot.adapters.inboxwatch import InboxWatcher
from bot.adapters.killwatch import KillWatcher
from bot.adapters.lock import InstanceLock
from bot.adapters.notify import ServiceManager
from bot.adapters.paper import paper_exchange
from bot.adapters.rng import SystemRng
from bot.adapters.storage import FileStorage
from bot.adapters.venue_exchange import PORTFOLIO
from bot.adapters.webhook import WebhookCourier
from bot.domain.codec import canonical, time_text
from bot.domain.snapshot import Environment, Mode
from bot.domain.state import day_id
from bot.domain.value import Value
from bot.errors import (
    AuthRefused,
    ConfigError,
    CriticalDataUnavailable,
    ExchangeError,
    GateRefused,
    StateCorrupt,
    UnitError,
)
from bot.loop import Identity, Operator, TradingLoop, World
from bot.loop.canary import canary_ends
from bot.loop.doorstep import Doorstep
from bot.ops.alerts import AlertService, Severity
from bot.ops.health import HealthBoard, HealthServer
from bot.ops.log import Log, make_log
from bot.ops.metrics import Metrics
from bot.ops.redact import Redactor
from bot.ports import Clock, Exchange, KeyPermissions
from bot.record.retention import tend
from bot.record.statefile import load as load_state
from bot.record.store import StateStore
from bot.settings.certificate import FILE as CERTIFICATE
from bot.settings.certificate import certificate_reasons
from bot.settings.certificate import load as load_certificate
from bot.settings.config import Config
from bot.settings.environment import Settings, Venue
from bot.settings.matrix import check_start, needs_certificate
from bot.settings.secrets import Secrets
from bot.triggers.check import problems as trigger_problems
from bot.triggers.indicators import LiveWindows

ACCOUNT: Final = "account.json"
"""Remembers which portfolio the key sees, so that a start without the venue still knows whose state it holds."""
KNOCK_EVERY: Final = timedelta(seconds=5)
TOKEN_TOLERANCE: Final = timedelta(seconds=20)
"""How far our time may be off before a refused token says nothing about the key; tokens live for two minutes."""
GLANCE: Final = timedelta(milliseconds=250)
"""Between two looks whether a stop was asked for, while the venue is waited for."""
ALERT_GRACE_S: Final = 3.0


class Launch(Value):
    """What one `bot run` was given."""

    settings: Settings
    secrets: Secrets
    config: Config
    environ: Mapping[str, str]
    log_stream: TextIO
    log_as_json: bool


class Interrupts:
    """How often a stop was asked for: a call that began before the newest one is left at once.

    The lock lets its own thread in again: a second signal may arrive inside the handler of the first.
    """

    def __init__(self, stop_asked: Callable[[], bool] = lambda: False) -> None:
        """stop_asked: whether a stop was asked for before anyone could be told."""
        self._lock = threading.RLock()
        self._count = 0
        self._stop_asked = stop_asked

    def __call__(self) -> int:
        return self._count + self._stop_asked()

    def raise_one(self, _why: str = "") -> None:
        with self._lock:
            self._count += 1


class NoVenueYet(Exception):
    """A stop was asked for while the venue could not be reached for the first time."""


class App(Value):
    """Everything of one run. stop: for signals and tests; a second call stops waiting for proof."""

    loop: TradingLoop
    log: Log
    metrics: Metrics
    board: HealthBoard
    interrupts: Interrupts
    http_port: int

    def stop(self, why: str) -> None:
        self.loop.stop(why)
        self.interrupts.raise_one()


@dataclass(slots=True)
class Limited:
    """What lies outside the loop and keeps to limits of the policy: told of every configuration that is taken up."""

    budget: Budget
    market: CoinbaseMarketData
    courier: WebhookCourier
    test_venue: bool
    retention_days: int

    def configure(self, config: Config) -> None:
        policy = config.policy
        self.budget.configure(limits_at(policy, test_venue=self.test_venue).rate_limits)
        self.market.configure(policy.data)
        self.courier.configure(
            timeout_s=float(policy.alerts.timeout_seconds), allowed_hosts=policy.alerts.allowed_hosts
        )
        self.retention_days = policy.state.retention_days


@contextmanager
def open_app(launch: Launch, *, give_up: Callable[[], bool] = lambda: False) -> Iterator[App]:
    """Build and start everything around a loop; end it again in reverse order.

    give_up: asked while the venue cannot be reached for the very first time.

    Raises: GateRefused (exit 3), LockHeld (4), AuthRefused (5), ConfigError (2), StorageFailed; NoVenueYet.
    """
    settings, config = launch.settings, launch.config
    problems = trigger_problems(config.policy, config.policy.data.bar_granularity)
    if problems:
        raise ConfigError([f"{settings.config_dir / 'policy.yaml'}: {problem}" for problem in problems])
    reasons = check_start(settings, launch.secrets, config.policy.alerts.allowed_hosts)
    if reasons:
        raise GateRefused(reasons)
    with ExitStack() as stack:
        yield _build(launch, stack, give_up)


def _build(launch: Launch, stack: ExitStack, give_up: Callable[[], bool]) -> App:
    settings, config, policy = launch.settings, launch.config, launch.config.policy
    storage = _storage(settings, stack)
    interrupts, metrics = Interrupts(give_up), Metrics(config.config_hash, code_version())
    feed_of: list[Feed] = []
    loops: list[TradingLoop] = []
    clock = _clock(settings, stack, lambda: [feed.barrier() for feed in feed_of])
    redactor = Redactor(launch.secrets.redactions())
    log = make_log(launch.log_stream, redactor, clock.now, as_json=launch.log_as_json)
    log = log.bind(env=settings.environment.value, mode=settings.mode.value)

    credentials = _credentials(launch.secrets)
    adapter_world = AdapterWorld(clock, SystemRng(), interrupts, _on_call(metrics))
    reader = _reader(settings, credentials, config, adapter_world)
    stack.callback(reader.close)
    metrics.budget_left(reader.client.budget.left)
    killing = _watch(storage, clock, interrupts, loops, stack)
    courier = _courier(launch, storage, log, stack)
    board = HealthBoard(3 * float(policy.loop.interval_seconds) + float(policy.loop.cycle_budget_seconds))
    port = _serve_health(settings, board, metrics, log, stack)

    if settings.mode is Mode.PAPER or credentials is None:
        permissions = KeyPermissions(True, True, False, PORTFOLIO)
    else:
        doorstep = _doorstep(launch, storage, clock, board, courier, metrics)
        permissions = _permissions(reader, storage, clock, log, doorstep, give_up)
    sizes = size_reasons(reader, config, has_account=credentials is not None and settings.mode is not Mode.PAPER)
    unmet = _refuse_unfit(settings, config, permissions, storage, clock.now(), sizes)
    feed_of.append(_feed(settings, credentials, clock, adapter_world, stack))
    sources = Sources(
        reader.client, feed_of[0], BarStore(settings.state_dir / "bars"), reader.known_product, LiveWindows
    )
    market = CoinbaseMarketData(sources, policy.data, clock, interrupts)
    exchange = _exchange(settings, reader, market, clock, config, storage)
    limited = Limited(reader.client.budget, market, courier, settings.venue is Venue.TEST, policy.state.retention_days)
    operator = Operator(
        log, metrics, lambda report, ready, why: board.publish(report, ready=ready, why=why), courier,
        ServiceManager(launch.environ), Inbox(storage),
        _daily(lambda store, now: tend(store, storage, now, limited.retention_days)), clean=redactor.text,
        complaints=feed_of[0].complaints, configured=limited.configure,
    )  # fmt: skip
    world = World(clock, exchange, market, storage, SystemRng())
    loop = TradingLoop(config, _identity(settings, permissions.portfolio_uuid), world, operator)
    loops.append(loop)
    if killing.sightings:
        loop.saw_kill()
    loop.open()
    _restrict(loop, unmet)
    if needs_certificate(settings) and not unmet:
        _begin_carefully(loop, config, storage, clock.now(), log)
    return App(loop, log, metrics, board, interrupts, port)


def _storage(settings: Settings, stack: ExitStack) -> FileStorage:
    """The data directory, locked for as long as the process lives. Raises: GateRefused, LockHeld, StorageFailed."""
    production = settings.environment is Environment.PRODUCTION
    lock = InstanceLock(settings.state_dir, settings.mode.value)
    storage = FileStorage(settings.data_dir, settings.environment, settings.mode, production=production, lock=lock)
    storage.prepare()
    stack.callback(lock.acquire(datetime.now(UTC)).release)
    stack.callback(storage.close)
    return storage


def _exchange(
    settings: Settings, reader: CoinbaseReader, market: CoinbaseMarketData, clock: Clock, config: Config,
    storage: FileStorage,
) -> Exchange:  # fmt: skip
    """Live trades at the venue; everything else on the embedded account."""
    if settings.mode is Mode.LIVE and isinstance(reader, CoinbaseExchange):
        return reader
    return paper_exchange(reader, market, clock, config, storage, shadow=settings.mode is Mode.DRY_RUN)


def _identity(settings: Settings, portfolio: str) -> Identity:
    return Identity(
        settings.environment, settings.mode, portfolio, settings.rest_url, code_version(), randomness.token_hex(8),
        os.getpid(),
    )  # fmt: skip


def _doorstep(
    launch: Launch, storage: FileStorage, clock: Clock, board: HealthBoard, courier: WebhookCourier, metrics: Metrics
) -> Doorstep:
    env, mode = launch.settings.environment.value, launch.settings.mode.value
    # There are no books yet, so these alerts stand in the outbox and not in the journal.
    alerts = AlertService(
        storage, clock.now, launch.config.policy.alerts, env, mode, lambda _raised: None, courier.carry
    )
    alerts.heard, alerts.lost = metrics.heard, metrics.lost_alerts.inc
    return Doorstep(storage, board, alerts, courier.nudge, launch.config.config_hash)


def _daily(job: Callable[[StateStore, datetime], object]) -> Callable[[StateStore, datetime], None]:
    """`job` at the first call of each UTC day."""
    done: list[str] = []

    def once_a_day(store: StateStore, now: datetime) -> None:
        today = day_id(now)
        if today not in done:
            done[:] = [today]
            job(store, now)

    return once_a_day


def _watch(
    storage: FileStorage, clock: Clock, interrupts: Interrupts, loops: Sequence[TradingLoop], stack: ExitStack
) -> KillWatcher:
    """Look for the kill switch and for commands, whatever the loop is doing. loops: told of the switch, once there."""

    def killed(_reason: str) -> None:
        for loop in loops:
            loop.saw_kill()
        interrupts.raise_one()

    killing = KillWatcher(storage, clock, killed)
    for watcher in (killing, InboxWatcher(storage.folder / INBOX, clock)):
        watcher.start()
        stack.callback(watcher.stop)
    return killing


def _courier(launch: Launch, storage: FileStorage, log: Log, stack: ExitStack) -> WebhookCourier:
    settings, policy = launch.settings, launch.config.policy.alerts
    courier = WebhookCourier(
        storage, launch.secrets.webhooks, timeout_s=float(policy.timeout_seconds),
        allowed_hosts=policy.allowed_hosts, allow_test_venue=settings.allow_test_venue,
        ca_file=settings.ca_file, on_failure=lambda kind: log.warning("alert.not_delivered", error=kind),
    )  # fmt: skip
    courier.start()
    stack.callback(courier.stop, ALERT_GRACE_S)
    return courier


def _clock(settings: Settings, stack: ExitStack, barrier: Callable[[], object]) -> Clock:
    if settings.test_clock_url is None:
        system = SystemClock()
        stack.callback(system.close)
        return system
    ca_file = str(settings.ca_file) if settings.ca_file is not None else None
    stepped = SteppedClock(settings.test_clock_url, ca_file, lambda: (barrier(), None)[1])
    stack.callback(stepped.close)
    return stepped


def _credentials(found: Secrets) -> Credentials | None:
    if found.key_name is None or found.private_key is None:
        return None
    return Credentials.parse(found.key_name, found.private_key)


def _addresses(settings: Settings) -> VenueAddresses:
    return VenueAddresses(
        settings.rest_url, settings.ws_url, settings.ws_user_url, settings.status_url, settings.ca_file
    )


def _reader(settings: Settings, credentials: Credentials | None, config: Config, world: AdapterWorld) -> CoinbaseReader:
    """The one object that talks to the venue. Only live gets the one that can change anything."""
    limits = limits_at(config.policy, test_venue=settings.venue is Venue.TEST)
    if settings.mode is Mode.LIVE:
        if credentials is None:
            raise GateRefused(["live needs an API key: set COINBASE_API_KEY and COINBASE_API_SECRET"])
        return build_exchange(_addresses(settings), credentials, limits, world)
    return build_reader(_addresses(settings), credentials, limits, world)


def _permissions(
    reader: CoinbaseReader, storage: FileStorage, clock: Clock, log: Log, doorstep: Doorstep,
    give_up: Callable[[], bool],
) -> KeyPermissions:  # fmt: skip
    """What the key may do.

    An unreachable venue is waited for; a start that knew the portfolio before goes on with what it knew.

    Raises: AuthRefused; NoVenueYet.
    """
    while True:
        began = clock.now()
        try:
            found = reader.key_permissions()
        except AuthRefused as refused:
            raise _blamed(refused, reader) from refused
        except (ExchangeError, CriticalDataUnavailable) as error:
            log.warning("venue.unreachable", detail=str(error))
            known = _remembered(storage)
            if known is not None:
                return known
            doorstep.refused(began, clock.now(), str(error))
            knock = clock.now() + KNOCK_EVERY
            while clock.now() < knock:
                if give_up():
                    raise NoVenueYet from error
                clock.wait_until(min(knock, clock.now() + GLANCE))
        else:
            doorstep.opened()
            storage.write(ACCOUNT, canonical({"portfolio": found.portfolio_uuid}))
            return found


def _blamed(refused: AuthRefused, reader: CoinbaseReader) -> AuthRefused:
    """A token carries our time: when that is far off, the clock is to blame and not the key."""
    try:
        sample = reader.time_sample()
    except (ExchangeError, CriticalDataUnavailable):
        return refused
    ahead = sample.received - sample.server
    if abs(ahead) <= TOKEN_TOLERANCE:
        return refused
    return AuthRefused(
        f"our clock is {ahead.total_seconds():+.0f} s from the exchange's, which refuses every signed request for it "
        f"({refused}); set this machine's clock (timedatectl set-ntp true) and start again; the key may be good"
    )


def _remembered(storage: FileStorage) -> KeyPermissions | None:
    content = storage.read(ACCOUNT)
    if content is None:
        return None
    portfolio = json.loads(content).get("portfolio")
    return KeyPermissions(True, True, False, portfolio) if isinstance(portfolio, str) else None


def _refuse_unfit(
    settings: Settings, config: Config, permissions: KeyPermissions, storage: FileStorage, now: datetime,
    sizes: Sequence[str],
) -> tuple[str, ...]:  # fmt: skip
    """What certificate and feasibility lack while orders or positions of ours are at stake: then only exits go on.

    sizes: why no legal order exists at this equity. Raises: GateRefused with everything that forbids a start: the key,
    the request budgets, and without anything at stake the certificate and the sizes too.
    """
    # A test venue is not protected by our budgets: there they only pace us.
    reasons = [] if settings.venue is Venue.TEST else [*plan_reasons(config)]
    if settings.mode is Mode.LIVE:
        reasons += permissions.problems(config.policy.governance.portfolio_id)
    unmet: list[str] = [*sizes]
    if needs_certificate(settings):
        unmet += certificate_reasons(
            storage.read(CERTIFICATE), config, code_version(), now, settings.rest_url, permissions.portfolio_uuid
        )
    if reasons or (unmet and not _at_stake(storage)):
        raise GateRefused([*reasons, *unmet])
    return tuple(unmet)


def _at_stake(storage: FileStorage) -> bool:
    """Whether orders or positions of ours are, or may be, out there; books that cannot be read tell nothing else."""
    try:
        contents = storage.state_generations()[:1]
        states = [load_state(content) for content in contents]
    except (StateCorrupt, UnitError):
        return True
    if not contents:
        return bool(storage.journal_days())
    return any(
        any(order.state.is_working for order in state.orders.values())
        or any(position.managed for position in state.positions.values())
        for state in states
    )


def _restrict(loop: TradingLoop, unmet: tuple[str, ...]) -> None:
    """Exits only, and the operator told: what is held must not be left unattended for want of a certificate."""
    if unmet:
        loop.guard.flags.exit_only = unmet
        loop.tell("start.exit_only", Severity.CRITICAL, "started for exits only: gates are not met", "; ".join(unmet))


def _begin_carefully(loop: TradingLoop, config: Config, storage: FileStorage, now: datetime, log: Log) -> None:
    """In the first live hours of what was certified only a share of every cap is in force."""
    found = load_certificate(storage.read(CERTIFICATE) or b"")
    governance = config.policy.governance
    until = canary_ends(storage, f"{found.code_version} {found.config_hash}", governance.canary_hours, now)
    loop.guard.flags.canary_until = until
    if until is not None:
        log.info("canary.began", until=time_text(until), share=str(governance.canary_scale_pct))


def _feed(
    settings: Settings, credentials: Credentials | None, clock: Clock, world: AdapterWorld, stack: ExitStack
) -> Feed:
    token = (lambda: websocket_token(credentials)) if credentials is not None else None
    config = FeedConfig(settings.ws_url, settings.ws_user_url, trusted_context(settings.ca_file), token)
    feed = Feed(config, clock, world.rng.uniform)
    feed.start()
    stack.callback(feed.close)
    return feed


def _serve_health(settings: Settings, board: HealthBoard, metrics: Metrics, log: Log, stack: ExitStack) -> int:
    """Port actually served; 0 when it is off or taken (in production a taken port refuses the start)."""
    if settings.http_port == 0:
        return 0
    try:
        server = HealthServer(settings.http_port, board, metrics.render)
    except OSError as error:
        if settings.environment is Environment.PRODUCTION:
            raise GateRefused([f"port {settings.http_port} on 127.0.0.1 is taken: set BOT_HTTP_PORT"]) from error
        log.warning("health.not_served", port=settings.http_port, detail="the port is taken; set BOT_HTTP_PORT")
        return 0
    server.start()
    stack.callback(server.stop)
    return server.port


def _on_call(metrics: Metrics) -> Callable[[str, str, float], None]:
    def note(endpoint: str, status: str, seconds: float) -> None:
        metrics.api_requests.labels(endpoint, status).inc()
        metrics.api_seconds.labels(endpoint).observe(seconds)

    return note
