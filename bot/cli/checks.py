"""Everything that could refuse a start, looked at one by one; nothing is sent but questions."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Final

from bot.adapters.codeversion import code_version
from bot.adapters.coinbase.auth import Credentials
from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.coinbase.build import World, build_reader
from bot.adapters.coinbase.exchange import CoinbaseReader
from bot.adapters.coinbase.gates import plan_reasons
from bot.adapters.coinbase.market_data import CoinbaseMarketData, Sources
from bot.adapters.lock import holder
from bot.adapters.rng import SystemRng
from bot.adapters.trust import distrusted
from bot.cli.books import state_of
from bot.cli.cancelling import credentials_of, limits_of, trading_clock, venue_of
from bot.cli.place import config_of, is_running, look, pid_of
from bot.cli.report import report_of
from bot.domain.money import Money, Price
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import Environment, Mode
from bot.domain.state import State
from bot.domain.value import Value
from bot.errors import AuthRefused, BotError, CriticalDataUnavailable, ExchangeError
from bot.observe.observer import Observer
from bot.ports import Clock, KeyPermissions
from bot.settings import sanity
from bot.settings.certificate import FILE, certificate_reasons
from bot.settings.environment import Venue
from bot.settings.feasibility import infeasible
from bot.settings.matrix import check_start, needs_certificate
from bot.settings.secrets import read_secrets
from bot.triggers.indicators import LiveWindows

if TYPE_CHECKING:
    from bot.cli.verb import Terminal
    from bot.observe.reconcile import Truth
    from bot.settings.config import Config
    from bot.settings.environment import Settings
    from bot.settings.secrets import Secrets


class Result(Enum):
    """FAIL refuses a start; WARN is allowed but hardly meant; SKIP could not be looked at."""

    FINE = "pass"
    WARN = "warn"
    FAIL = "FAIL"
    SKIP = "skip"


class Row(Value):
    check: str
    result: Result
    detail: str


@dataclass
class Checked:
    """What was found out on the way, for the checks that follow. None: not known."""

    settings: Settings
    environ_of: Terminal
    config: Config | None = None
    secrets: Secrets | None = None
    credentials: Credentials | None = None
    portfolio: str | None = None


def rows(settings: Settings, terminal: Terminal, *, smoke: bool = False) -> Iterator[Row]:
    """Every check, in the order of a start."""
    found = Checked(settings, terminal)
    for check in (_configuration, _secrets, _matrix, _folder, _lock, _kill, _state, _port, _alerts, _planner):
        yield from check(found)
    yield from _venue(found, smoke=smoke)
    yield from _certificate(found)


def _configuration(found: Checked) -> Iterator[Row]:
    try:
        found.config = config_of(found.settings)
    except BotError as error:
        yield from (Row("configuration", Result.FAIL, line) for line in str(error).splitlines())
        return
    yield Row("configuration", Result.FINE, f"{found.settings.config_dir}, hash {found.config.config_hash[:8]}")
    yield from (Row("configuration", Result.WARN, line) for line in sanity.warnings(found.config))


def _secrets(found: Checked) -> Iterator[Row]:
    settings = found.settings
    try:
        found.secrets = read_secrets(
            found.environ_of.environ, environment=settings.environment, allow_test_venue=settings.allow_test_venue
        )
        found.credentials = credentials_of(found.secrets)
    except BotError as error:
        yield from (Row("secrets", Result.FAIL, line) for line in str(error).splitlines())
        return
    named = "an API key that parses" if found.credentials is not None else "no API key"
    yield Row("secrets", Result.FINE, named)


def _matrix(found: Checked) -> Iterator[Row]:
    if found.secrets is None:
        yield Row("environment", Result.SKIP, "the secrets cannot be read")
        return
    allowed = found.config.policy.alerts.allowed_hosts if found.config is not None else ()
    where = f"{found.settings.environment.value} {found.settings.mode.value} on {found.settings.rest_url}"
    yield from _each("environment", check_start(found.settings, found.secrets, allowed), where)


def _folder(found: Checked) -> Iterator[Row]:
    settings, production = found.settings, found.settings.environment is Environment.PRODUCTION
    folder = settings.data_dir if settings.data_dir.exists() else settings.data_dir.absolute().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Row("data folder", Result.FAIL, f"{folder} cannot be written: choose another with BOT_DATA_DIR")
        return
    problems = list(distrusted(settings.data_dir, settings.state_dir)) if settings.data_dir.exists() else []
    bad = Result.FAIL if production else Result.WARN
    yield from _each("data folder", problems, f"{settings.data_dir} is private", bad)


def _lock(found: Checked) -> Iterator[Row]:
    if not is_running(found.settings):
        yield Row("lock", Result.FINE, "no other instance runs")
        return
    who = holder(found.settings.state_dir)
    yield Row("lock", Result.FAIL, f"another instance runs: {who or f'pid {pid_of(found.settings)}'}")


def _kill(found: Checked) -> Iterator[Row]:
    if not found.settings.data_dir.exists():
        yield Row("kill switch", Result.FINE, "off")
        return
    seen = look(found.settings).kill_state()
    yield (
        Row("kill switch", Result.FAIL, f"on: {seen.reason}; `bot resume`")
        if seen.active
        else Row("kill switch", Result.FINE, "off")
    )


def _state(found: Checked) -> Iterator[Row]:
    try:
        state = state_of(look(found.settings))
    except BotError as error:
        yield Row("state", Result.FAIL, f"{error}; `bot state verify`")
        return
    if state is None:
        yield Row("state", Result.FINE, "none yet: a new journal begins")
    else:
        yield Row("state", Result.FINE, f"event {state.seq}, {len(state.positions)} positions")
        yield from (
            Row("latch", Result.WARN, f"{x.name}: {x.detail}; `bot resume --latch {x.name}`")
            for x in state.latches.values()
        )


def _port(found: Checked) -> Iterator[Row]:
    port, production = found.settings.http_port, found.settings.environment is Environment.PRODUCTION
    if port == 0:
        yield Row("port", Result.FINE, "off (BOT_HTTP_PORT=0)")
        return
    try:
        with socket.create_server(("127.0.0.1", port)):
            yield Row("port", Result.FINE, f"{port} is free")
    except OSError:
        bad = Result.FAIL if production else Result.WARN
        yield Row("port", bad, f"{port} on 127.0.0.1 is taken: set BOT_HTTP_PORT")


def _alerts(found: Checked) -> Iterator[Row]:
    if found.secrets is None:
        yield Row("alerts", Result.SKIP, "the secrets cannot be read")
    elif found.secrets.webhooks:
        yield Row("alerts", Result.FINE, f"to {', '.join(found.secrets.webhook_hosts)}; `bot alert-test` tries it")
    else:
        yield Row("alerts", Result.WARN, "ALERT_WEBHOOK_URL is not set: nobody is told of a halt")


def _planner(found: Checked) -> Iterator[Row]:
    if found.config is not None:
        reasons = plan_reasons(found.config)
        if found.settings.venue is Venue.TEST:
            yield from (Row("request budget", Result.WARN, f"at Coinbase: {reason}") for reason in reasons)
            reasons = ()
        yield from _each("request budget", reasons, "the universe fits")


def _certificate(found: Checked) -> Iterator[Row]:
    if not needs_certificate(found.settings):
        yield Row("certificate", Result.FINE, "not needed here")
    elif found.config is None:
        yield Row("certificate", Result.SKIP, "the configuration cannot be used")
    else:
        with trading_clock(found.settings) as clock:
            content = look(found.settings).read(FILE) if found.settings.state_dir.exists() else None
            reasons = certificate_reasons(
                content, found.config, code_version(), clock.now(), found.settings.rest_url, found.portfolio
            )
        yield from _each("certificate", reasons, "valid for this configuration and code")


# ------------------------------------------------------------------------------------------------------------ the venue


class Desk(Value):
    """A reader of the venue, which can send nothing but questions, and what goes with it."""

    reader: CoinbaseReader
    clock: Clock
    market: CoinbaseMarketData
    observer: Observer


@contextmanager
def desk_of(settings: Settings, config: Config, credentials: Credentials | None) -> Iterator[Desk]:
    """Opened for a few questions. Raises ConfigError, Transient."""
    with trading_clock(settings) as clock:
        reader = build_reader(venue_of(settings), credentials, limits_of(settings, config), World(clock, SystemRng()))
        store = BarStore(settings.state_dir / "bars")
        sources = Sources(reader.client, None, store, reader.known_product, LiveWindows)
        market = CoinbaseMarketData(sources, config.policy.data, clock)
        observer = Observer(reader, market, clock, config, settings.environment, settings.mode)
        try:
            yield Desk(reader, clock, market, observer)
        finally:
            reader.close()


def _venue(found: Checked, *, smoke: bool) -> Iterator[Row]:
    if found.config is None:
        yield Row("venue", Result.SKIP, "the configuration cannot be used")
        return
    try:
        with desk_of(found.settings, found.config, found.credentials) as desk:
            yield from _asked(found, found.config, desk, smoke=smoke)
    except (AuthRefused, ExchangeError, CriticalDataUnavailable) as error:
        yield Row("venue", Result.FAIL, f"{found.settings.rest_url}: {error}")


def _asked(found: Checked, config: Config, desk: Desk, *, smoke: bool) -> Iterator[Row]:
    began = time.monotonic()
    desk.reader.server_time()
    yield Row("venue", Result.FINE, f"{found.settings.rest_url} answers in {(time.monotonic() - began) * 1000:.0f} ms")
    yield clock_row(config, desk)
    yield from _key(found, config, desk)
    yield from _feasible(found, config, desk)
    if smoke:
        yield from _smoke(found, desk)


def clock_row(config: Config, desk: Desk) -> Row:
    """Our clock against the venue's, by the limits of the policy."""
    skew, limits = desk.observer.skew(), config.policy.clock
    told = f"{skew.ms:+.0f} ms over {skew.samples} samples"
    if skew.samples < limits.min_samples:
        return Row("clock", Result.FAIL, f"only {skew.samples} measurements succeeded, {limits.min_samples} are needed")
    off = abs(Decimal(str(skew.ms)))
    if off >= limits.no_entries_ms:
        return Row("clock", Result.FAIL, f"{told}, limit {limits.no_entries_ms} ms: set the clock by NTP")
    return Row("clock", Result.WARN if off >= limits.warn_ms else Result.FINE, told)


def _key(found: Checked, config: Config, desk: Desk) -> Iterator[Row]:
    if found.credentials is None:
        yield Row("API key", Result.SKIP, "none: public data and the paper account only")
        return
    try:
        powers = desk.reader.key_permissions()
    except AuthRefused as error:
        yield Row("API key", Result.FAIL, f"the exchange refuses the key: {error}")
        return
    found.portfolio = powers.portfolio_uuid
    reasons = list(powers.problems(config.policy.governance.portfolio_id))
    bad = Result.FAIL if found.settings.mode is Mode.LIVE else Result.WARN
    yield from _each("API key", reasons, f"{_powers(powers)}; portfolio {powers.portfolio_uuid}", bad)


def _powers(powers: KeyPermissions) -> str:
    able = [name for name, can in (("view", powers.can_view), ("trade", powers.can_trade)) if can]
    return f"may {' and '.join(able) or 'do nothing'}, may {'' if powers.can_transfer else 'not '}transfer"


def _feasible(found: Checked, config: Config, desk: Desk) -> Iterator[Row]:
    metadata = desk.observer.metadata()
    listed = {name for tier in config.universe.tiers.values() for name in tier.products}
    watched: dict[ProductId, Product] = {p.market: p for p in metadata.products.values() if p.id in listed}
    quote, (truth, held) = config.policy.portfolio.quote_currency, _account(found, desk)
    watched |= {p.market: p for p in metadata.products.values() if p.base in held and p.quote == quote and not p.alias}
    desk.market.watch(dict.fromkeys(watched, 0))
    desk.market.refresh(desk.clock.now())
    desk.observer.views(watched)
    prices: dict[ProductId, Price] = {market: mark.price for market, mark in desk.observer.marks.items()}
    valued = desk.observer.valuation(truth, metadata, desk.clock.now()) if truth is not None else None
    nlv = valued.nlv if valued is not None else _paper_equity(found, config)
    if nlv is None:
        problem = valued.problem if valued is not None else "nothing was valued yet"
        yield Row("equity", Result.FAIL, f"unknown: {problem}")
        return
    yield Row("equity", Result.FINE, f"{nlv}")
    yield from _each("feasibility", infeasible(config, nlv, metadata.products, prices), "every tier has a legal order")


def _account(found: Checked, desk: Desk) -> tuple[Truth | None, frozenset[str]]:
    """The real account, where this mode trades or shadows it and a key can read it."""
    if found.credentials is None or found.settings.mode is Mode.PAPER:
        return None, frozenset()
    truth = desk.observer.account(State())
    return truth, frozenset(currency for currency, balance in truth.balances.items() if balance.total > 0)


def _paper_equity(found: Checked, config: Config) -> Money | None:
    """The paper account's equity as last valued, else what it will open with."""
    currency = config.policy.portfolio.quote_currency
    known = report_of(found.settings)["equity"]
    if known is not None:
        return Money(Decimal(known), currency)
    cash = config.policy.paper.starting_cash
    values = {currency: Decimal(1), **config.policy.portfolio.stable_values}
    amounts = [amount * values[name] for name, amount in cash.items() if name in values]
    return Money(sum(amounts, Decimal(0)), currency)


REFRESH: Final = timedelta(minutes=10)


def _smoke(found: Checked, desk: Desk) -> Iterator[Row]:
    """What follows every submission, without one: balances, working orders, fills; how long each takes."""
    if found.credentials is None:
        yield Row("smoke", Result.SKIP, "there is no account to read without an API key")
        return
    since = desk.clock.now() - REFRESH
    reads: tuple[tuple[str, Callable[[], object]], ...] = (
        ("balances", desk.reader.balances),
        ("working orders", desk.reader.working_orders),
        ("fills", lambda: desk.reader.fills_since(since)),
    )
    for name, read in reads:
        began = time.monotonic()
        try:
            answer = read()
        except (ExchangeError, CriticalDataUnavailable) as error:
            yield Row("smoke", Result.FAIL, f"{name}: {error}")
        else:
            count = len(answer) if isinstance(answer, Sized) else 0
            yield Row("smoke", Result.FINE, f"{name}: {count} in {(time.monotonic() - began) * 1000:.0f} ms")


def _each(check: str, problems: Sequence[str], fine: str, bad: Result = Result.FAIL) -> Iterator[Row]:
    """One row for each problem, or one that says that all is well."""
    yield from (Row(check, bad, line) for line in problems)
    if not problems:
        yield Row(check, Result.FINE, fine)
