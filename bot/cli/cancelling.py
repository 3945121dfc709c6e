"""Taking the bot's own orders back without a daemon: one account, under its lock, by the engine that placed them."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from bot.adapters.clock import SteppedClock, SystemClock
from bot.adapters.codeversion import code_version
from bot.adapters.coinbase.auth import Credentials
from bot.adapters.coinbase.build import Limits, Venue, World, build_exchange, build_reader, limits_at
from bot.adapters.lock import InstanceLock
from bot.adapters.paper import paper_exchange
from bot.adapters.rng import SystemRng
from bot.adapters.storage import FileStorage
from bot.adapters.venue_exchange import PORTFOLIO
from bot.cli.books import account_of
from bot.domain.decision import Approved, Reason, Reject
from bot.domain.event import CommandApplied
from bot.domain.market import Quote
from bot.domain.money import Price, Size
from bot.domain.order import OrderKind
from bot.domain.product import ProductId, Side
from bot.domain.snapshot import Environment, Halt, Mode
from bot.domain.state import HaltCause, Intent
from bot.domain.value import Value
from bot.errors import BotError, CriticalDataUnavailable, ExchangeError, GateRefused, StateCorrupt
from bot.execution.controls import Controls, Permits
from bot.execution.controls import Venue as Seams
from bot.execution.engine import ExecutionEngine
from bot.execution.identity import account_tag, is_ours
from bot.ports import Clock, Exchange, MarketFacts
from bot.record.store import StateStore
from bot.risk.halts import Protective, permission
from bot.settings.config import Config
from bot.settings.environment import Settings
from bot.settings.environment import Venue as VenueKind
from bot.settings.secrets import Secrets

PATIENCE: Final = timedelta(seconds=15)
"""Of trading time, for the venue to show every order gone."""
SWEEP_GAP: Final = timedelta(seconds=1)


class Took(Value):
    """What was taken back. cancelled: the venue's ids; left: orders that may still work; problems: plain lines."""

    cancelled: tuple[str, ...]
    left: tuple[str, ...]
    problems: tuple[str, ...]


def cancel_ours(
    settings: Settings, secrets: Secrets, config: Config, by: str, reason: str, *,
    verb: str = "halt", kinds: tuple[OrderKind, ...] | None = None,
) -> Took:  # fmt: skip
    """Cancel our orders of these kinds in this env and mode, wait until they are gone, and record it.

    kinds: default what the kill switch forbids. Protective sells then stay unless `kill_switch.on_halt` is hold_naked:
    nothing is ever sold here, so under flatten they are all that protects what is held.

    Raises: LockHeld; GateRefused without a key; ExchangeError or CriticalDataUnavailable when the venue cannot be
    reached; StorageFailed.
    """
    wanted = kinds_to_cancel(config) if kinds is None else kinds
    with ExitStack() as stack:
        desk = _opened(settings, secrets, config, stack)
        try:
            desk.store.open(randomness.token_hex(8))
        except StateCorrupt as error:
            return _by_prefix(desk, str(error), wanted)
        took = _by_engine(desk, config, wanted, f"bot {verb}")
        left = ", ".join(took.left) or "nothing"
        result = f"{len(took.cancelled)} orders cancelled, left: {left}"
        desk.store.record(CommandApplied(f"{verb}-{randomness.token_hex(6)}", verb, (reason, by), result))
        desk.store.flush()
        desk.store.save()
        return took


def kinds_to_cancel(config: Config) -> tuple[OrderKind, ...]:
    """Which of our orders a kill takes back when nobody is there to sell."""
    now = datetime.now(UTC)
    found = permission([Halt(HaltCause.KILL_SWITCH, "", now)], config.policy)
    naked = found.protective is Protective.CANCEL
    return (OrderKind.ENTRY, OrderKind.EXIT, *([OrderKind.PROTECTIVE] if naked else []))


class _Desk(Value):
    exchange: Exchange
    clock: Clock
    storage: FileStorage
    store: StateStore
    tag: str


def _opened(settings: Settings, secrets: Secrets, config: Config, stack: ExitStack) -> _Desk:
    production = settings.environment is Environment.PRODUCTION
    lock = InstanceLock(settings.state_dir, settings.mode.value)
    storage = FileStorage(settings.data_dir, settings.environment, settings.mode, production=production, lock=lock)
    stack.callback(lock.acquire(datetime.now(UTC)).release)
    stack.callback(storage.close)
    clock = stack.enter_context(trading_clock(settings))
    exchange, portfolio = _exchange(settings, secrets, config, storage, clock, stack)
    account = f"{portfolio}|{settings.environment.value}|{settings.mode.value}"
    store = StateStore(storage, clock, config.config_hash, code_version(), _known(storage) or account)
    return _Desk(exchange, clock, storage, store, account_tag(portfolio, settings.environment, settings.mode))


@contextmanager
def trading_clock(settings: Settings) -> Iterator[Clock]:
    """The clock of these settings, given back at the end."""
    if settings.test_clock_url is None:
        clock: SystemClock | SteppedClock = SystemClock()
    else:
        ca_file = str(settings.ca_file) if settings.ca_file is not None else None
        clock = SteppedClock(settings.test_clock_url, ca_file, lambda: None)
    try:
        yield clock
    finally:
        clock.close()


def venue_of(settings: Settings) -> Venue:
    """The venue's addresses."""
    return Venue(settings.rest_url, settings.ws_url, settings.ws_user_url, settings.status_url, settings.ca_file)


def limits_of(settings: Settings, config: Config) -> Limits:
    return limits_at(config.policy, test_venue=settings.venue is VenueKind.TEST)


def credentials_of(secrets: Secrets) -> Credentials | None:
    """The API key, if there is a whole one. Raises GateRefused when it cannot be parsed."""
    if secrets.key_name is None or secrets.private_key is None:
        return None
    return Credentials.parse(secrets.key_name, secrets.private_key)


def _exchange(
    settings: Settings, secrets: Secrets, config: Config, storage: FileStorage, clock: Clock, stack: ExitStack
) -> tuple[Exchange, str]:
    """The account of the mode and its portfolio id. Only live reaches out."""
    credentials, world = credentials_of(secrets), World(clock, SystemRng())
    if settings.mode is not Mode.LIVE:
        reader = build_reader(venue_of(settings), credentials, limits_of(settings, config), world)
        stack.callback(reader.close)
        shadow = settings.mode is Mode.DRY_RUN
        return paper_exchange(reader, _NoMarket(), clock, config, storage, shadow=shadow), PORTFOLIO
    if credentials is None:
        raise GateRefused(["live orders can only be cancelled with the API key: set COINBASE_API_KEY and _SECRET"])
    live = build_exchange(venue_of(settings), credentials, limits_of(settings, config), world)
    stack.callback(live.close)
    return live, live.key_permissions().portfolio_uuid


def _known(storage: FileStorage) -> str | None:
    """The account the state names itself; it is checked again by who may cancel there."""
    try:
        return account_of(storage)
    except StateCorrupt:
        return None


def _by_engine(desk: _Desk, config: Config, kinds: tuple[OrderKind, ...], why: str) -> Took:
    seams = Seams(desk.exchange, _NoMarket(), desk.clock)
    engine = ExecutionEngine(seams, _controls(desk), desk.store, config.policy, desk.tag)
    cleared = engine.cancel_all(kinds, desk.clock.now() + PATIENCE, why)
    return Took(tuple(dict.fromkeys(cleared.report.cancelled)), cleared.left, tuple(cleared.report.errors))


def _by_prefix(desk: _Desk, why: str, kinds: tuple[OrderKind, ...]) -> Took:
    """Without readable books: what the venue shows under our prefix; a sell is an exit unless it is a resting stop."""
    problems, cancelled = [f"the books cannot be read ({why}); orders were found by their ids"], list[str]()
    deadline = desk.clock.now() + PATIENCE
    left: tuple[str, ...] = ("unread",)
    while desk.clock.now() < deadline and left:
        try:
            shown = [r for r in desk.exchange.working_orders() if is_ours(r.client_order_id, desk.tag)]
            plain = [report for report in shown if report.stop_price is None]
            wanted = [r for r in plain if (OrderKind.ENTRY if r.side is Side.BUY else OrderKind.EXIT) in kinds]
            left = tuple(report.client_order_id for report in wanted)
            if wanted:
                desk.exchange.cancel([report.order_id for report in wanted])
                cancelled += [report.order_id for report in wanted]
                desk.clock.wait_until(desk.clock.now() + SWEEP_GAP)
        except (ExchangeError, CriticalDataUnavailable) as error:
            problems.append(str(error))
            desk.clock.wait_until(desk.clock.now() + SWEEP_GAP)
    return Took(tuple(dict.fromkeys(cancelled)), left, tuple(dict.fromkeys(problems)))


def _controls(desk: _Desk) -> Controls:
    """Nothing may be sent but cancels."""
    return Controls(
        kill=desk.storage.kill_state,
        permits=lambda: Permits(entries=False, exits=False, cancel_entries=True, why="no daemon runs"),
        storage_healthy=lambda: not desk.store.broken,
        reapprove=_never,
        agrees=lambda _order: False,
        market_of=lambda product: product,
        spread_limit=lambda _product: None,
    )


def _never(_intent: Intent, _size: Size, _quote: Quote) -> Approved | Reject:
    return Reject(Reason.KILL_SWITCH, "halting")


class _NoMarket:
    """MarketData for work that needs no price."""

    def watch(self, needed_bars: Mapping[ProductId, int]) -> None:
        """Nothing is followed."""

    def refresh(self, now: datetime) -> None:
        """Nothing is fetched."""

    def facts(self, market: ProductId) -> MarketFacts:
        return MarketFacts(None, None, None, quote_error=f"{market} is not watched here")

    def requote(self, market: ProductId) -> Quote | None:  # noqa: ARG002 - the port's signature
        return None

    def guard(self, levels: Mapping[ProductId, tuple[Price | None, Price | None]]) -> None:
        """Nobody waits for a price."""

    def user_events(self) -> bool:
        return False


def still_listed(settings: Settings) -> Sequence[str]:
    """Orders the books of this env and mode believe to be working, without asking anyone."""
    from bot.cli.books import state_of
    from bot.cli.place import look

    try:
        state = state_of(look(settings))
    except BotError as error:
        return (f"unknown: {error}",)
    return tuple(o.client_order_id for o in state.orders.values() if o.state.is_working) if state else ()
