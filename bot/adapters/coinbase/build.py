"""Putting the pieces together: addresses, key and policy in, a reader or an exchange out. Opens no connection."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bot.adapters.coinbase.auth import Credentials
from bot.adapters.coinbase.budget import Budget, pausing
from bot.adapters.coinbase.client import OnCall, Patience, ReadClient, TradeClient
from bot.adapters.coinbase.exchange import CoinbaseExchange, CoinbaseReader
from bot.adapters.coinbase.lanes import Lane
from bot.adapters.coinbase.sdk import Wire
from bot.adapters.coinbase.status import StatusPage
from bot.adapters.coinbase.tls import trusted_context
from bot.adapters.coinbase.transport import Deadlines, Interruptions
from bot.adapters.coinbase.units import seconds
from bot.domain.value import Value
from bot.errors import ConfigError
from bot.ports import Clock, Rng
from bot.settings.addresses import is_loopback
from bot.settings.policy import ExchangeStatusPolicy, Policy, RateLimitsPolicy, TransportPolicy

REST_URL: Final = "https://api.coinbase.com"
WS_URL: Final = "wss://advanced-trade-ws.coinbase.com"
WS_USER_URL: Final = "wss://advanced-trade-ws-user.coinbase.com"
STATUS_URL: Final = "https://status.coinbase.com/api/v2/summary.json"


class Venue(Value):
    """The venue's addresses and whom to trust there."""

    rest_url: str = REST_URL
    ws_url: str = WS_URL
    ws_user_url: str = WS_USER_URL
    status_url: str = STATUS_URL
    ca_file: Path | None = None

    @property
    def host(self) -> str:
        """`host[:port]` of the REST address.

        Raises: ConfigError when it is anything but https://host:port; on this machine http will do.
        """
        parts = urlsplit(self.rest_url)
        encrypted = parts.scheme == "https" or (self.plain and is_loopback(parts.hostname or ""))
        if not encrypted or not parts.hostname or parts.path.strip("/") or parts.query or "@" in parts.netloc:
            raise ConfigError([f"COINBASE_REST_URL must look like https://host:port, was {self.rest_url!r}"])
        return parts.netloc

    @property
    def plain(self) -> bool:
        """Whether REST goes unencrypted."""
        return self.rest_url.startswith("http://")


class Limits(Value):
    """The policy sections that bound every call."""

    transport: TransportPolicy
    rate_limits: RateLimitsPolicy
    exchange_status: ExchangeStatusPolicy


def limits_at(policy: Policy, *, test_venue: bool) -> Limits:
    """The limits in force at a venue.

    The hourly allowance stands for a policy of Coinbase's; a test venue on this machine has only the rates a second.
    """
    rates = policy.rate_limits
    if test_venue:
        unbound = int((rates.public_per_second + rates.private_per_second) * 3600) + 1
        rates = rates.model_copy(update={"hourly": max(rates.hourly, unbound)})
    return Limits(policy.transport, rates, policy.exchange_status)


class World(Value):
    """What the adapter needs from outside. interruptions: how often a stop was asked for; on_call: for metrics."""

    clock: Clock
    rng: Rng
    interruptions: Interruptions = lambda: 0
    on_call: OnCall = lambda _endpoint, _status, _seconds: None


def build_reader(venue: Venue, credentials: Credentials | None, limits: Limits, world: World) -> CoinbaseReader:
    """An account reader that can send nothing but GET; without credentials only public data.

    Raises: ConfigError for an address or CA file that cannot be used.
    """
    context = trusted_context(venue.ca_file)
    client = ReadClient(*_parts(venue, credentials, limits, world, context, may_post=False), on_call=world.on_call)
    return CoinbaseReader(client, world.clock, _status_page(venue, limits, client, context, world.clock))


def build_exchange(venue: Venue, credentials: Credentials, limits: Limits, world: World) -> CoinbaseExchange:
    """The adapter that trades. Raises ConfigError for an address or CA file that cannot be used."""
    context = trusted_context(venue.ca_file)
    client = TradeClient(*_parts(venue, credentials, limits, world, context, may_post=True), on_call=world.on_call)
    return CoinbaseExchange(client, world.clock, _status_page(venue, limits, client, context, world.clock))


_Parts = tuple[Lane[Wire], Lane[Wire], Budget, Patience, bool]


def _parts(
    venue: Venue, credentials: Credentials | None, limits: Limits, world: World, context: ssl.SSLContext, may_post: bool
) -> _Parts:
    times = deadlines(limits.transport)
    make = _wire_maker(venue, credentials, context, times, may_post)
    sleep = pausing(world.interruptions)
    budget = Budget(limits.rate_limits, sleep, world.rng.uniform)
    total_s = seconds(limits.transport.total_deadline_seconds)
    patience = Patience(total_s, limits.transport.read_attempts, sleep, world.rng.uniform)
    # Two may hang among reads and one among cancels and exits, which so never wait for a stuck read.
    normal = Lane("normal", make, world.interruptions, stuck_max=2)
    urgent = Lane("urgent", make, world.interruptions, stuck_max=1)
    return normal, urgent, budget, patience, credentials is not None


def deadlines(policy: TransportPolicy) -> Deadlines:
    return Deadlines(
        seconds(policy.connect_timeout_seconds),
        seconds(policy.read_timeout_seconds),
        seconds(policy.total_deadline_seconds),
        policy.max_body_bytes,
    )


def _wire_maker(
    venue: Venue, credentials: Credentials | None, context: ssl.SSLContext, limits: Deadlines, may_post: bool
) -> Callable[[], Wire]:
    host, plain = venue.host, venue.plain
    return lambda: Wire(host, credentials, context, limits, may_post, plain)


def _status_page(venue: Venue, limits: Limits, client: ReadClient, context: ssl.SSLContext, clock: Clock) -> StatusPage:
    return StatusPage(venue.status_url, limits.exchange_status, context, client.beside, clock.monotonic)
