"""The simulator as one thing: its own thread and event loop, TLS on loopback, free ports, and a clean end."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bot.domain.value import Value, field
from bot.settings.policy import FillModelPolicy
from bot.venue.rules import FillRules
from bot.venue.venue import Venue
from simulator.auth import Authenticator
from simulator.clock import WorldClock
from simulator.control import ALERTS_PATH, CLOCK_PATH, STATUS_PATH, Controls, routes
from simulator.faults import Conditions, Rule, Rules
from simulator.feed import Feed
from simulator.http import RestEdge
from simulator.keys import ALL_BUT_TRANSFER, Algorithm, ApiKey, Scope, make_key
from simulator.limits import Limits
from simulator.markets.generator import GeneratedMarket
from simulator.markets.listing import all_products, default_listings
from simulator.markets.market import Market
from simulator.rest.backend import Backend
from simulator.statuspage import AlertSink, StatusPage
from simulator.tls import Flaw, ThrowAwayCa
from simulator.world import World, holder_of
from simulator.ws import Sockets

T = TypeVar("T")

HOST: Final = "127.0.0.1"
START: Final = datetime(2026, 11, 2, 14, 0, tzinfo=UTC)
_WITHIN_S: Final = 30.0


def tick_rules() -> FillRules:
    """The venue's fill rules for a simulated feed: every order meets the book as it stands, at once."""
    return FillRules.for_ticks(FillModelPolicy(), timedelta(0))


class SimulatorConfig(Value):
    """How the simulated venue is set up.

    market: where prices come from; None for a generated market of `products` listings from `seed`.
    start: where trading begins. Markets begin on a whole minute; one that is given begins where it does, or at a
        moment of that very minute.
    opening: money on the account, by currency. empty_wallets: currencies once touched, now at zero.
    limits: whether too many requests are turned away. limits_clock: the seconds they are counted in, of any origin;
        real ones when there is none. cache: whether public data may be a second old.
    step: trading time between two looks at the market; speed: trading seconds a real second, 0 without a brake.
    free_running: trading time runs by itself, in step with real time, until somebody uses the clock.
    port: where REST is served, the market feed one above and the user feed two above; 0 takes free ports.
    flaw: what is wrong with the certificate, on both wires.
    """

    seed: int = 1
    market: Market | None = None
    products: int = 16
    start: datetime = START
    opening: Mapping[str, Decimal] = field(default_factory=lambda: {"USD": Decimal(10_000)})
    empty_wallets: tuple[str, ...] = ()
    rules: FillRules = field(default_factory=tick_rules)
    algorithm: Algorithm = Algorithm.ES256
    scopes: frozenset[Scope] = ALL_BUT_TRANSFER
    limits: bool = False
    limits_clock: Callable[[], float] = time.monotonic
    cache: bool = True
    step: timedelta = timedelta(seconds=1)
    speed: float = 0.0
    free_running: bool = False
    port: int = 0
    subscribe_within_s: float = 5.0
    token_leeway_s: float = 5.0
    flaw: Flaw = Flaw.NONE


class Simulator:
    """A running venue: `with Simulator(config) as sim`. Everything but the addresses runs on its own thread.

    world, rules, conditions and the rest of `controls` belong to that thread: reach them with `do`.
    """

    def __init__(self, config: SimulatorConfig | None = None) -> None:
        self.config = config or SimulatorConfig()
        self.holder = holder_of(self.config.seed, self.config.start - timedelta(days=400))
        self.key = make_key(self.holder.portfolio, self.config.algorithm, self.config.scopes)
        self.limits = Limits(self.config.limits_clock, enabled=self.config.limits)
        self._ca = ThrowAwayCa(self.config.flaw)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)

    # ---------------------------------------------------------------------------------------------------- addresses

    @property
    def ca_file(self) -> str:
        return str(self._ca.ca_file)

    @property
    def host(self) -> str:
        """`127.0.0.1:port`: what the SDK calls its base url."""
        return f"{HOST}:{self._http_port}"

    @property
    def rest_url(self) -> str:
        return f"https://{self.host}"

    @property
    def ws_url(self) -> str:
        return f"wss://{HOST}:{self._market_port}"

    @property
    def ws_user_url(self) -> str:
        return f"wss://{HOST}:{self._user_port}"

    @property
    def clock_url(self) -> str:
        return self.rest_url + CLOCK_PATH

    @property
    def status_url(self) -> str:
        return self.rest_url + STATUS_PATH

    @property
    def alerts_url(self) -> str:
        return self.rest_url + ALERTS_PATH

    def env(self) -> dict[str, str]:
        """Environment variables that point the bot at this venue."""
        return {
            "COINBASE_REST_URL": self.rest_url,
            "COINBASE_WS_URL": self.ws_url,
            "COINBASE_WS_USER_URL": self.ws_user_url,
            "COINBASE_STATUS_URL": self.status_url,
            "COINBASE_CA_FILE": self.ca_file,
            "COINBASE_API_KEY": self.key.name,
            "COINBASE_API_SECRET": self.key.secret,
            "ALERT_WEBHOOK_URL": self.alerts_url,
            "BOT_ALLOW_TEST_VENUE": "1",
            "BOT_TEST_CLOCK_URL": self.clock_url,
        }

    def client_context(self) -> ssl.SSLContext:
        """A TLS context that trusts this venue only."""
        return self._ca.client_context()

    # ------------------------------------------------------------------------------------------------------ control

    def do(self, action: Callable[[Controls], T]) -> T:
        """Run `action` on the simulator's own thread and return its result."""

        async def run() -> T:
            return action(self._controls)

        return self._wait(run())

    def advance(self, seconds: float) -> bool:
        """Move trading time on, stopping at the first event of the account's orders. Returns whether there was one."""

        async def run() -> bool:
            until = self._controls.world.now + timedelta(seconds=seconds)
            return await self._controls.clock.advance(until)

        return self._wait(run())

    def run_for(self, seconds: float) -> None:
        """Move trading time on by all of `seconds`, whatever happens to the orders."""

        async def run() -> None:
            until = self._controls.world.now + timedelta(seconds=seconds)
            while self._controls.world.now < until:
                await self._controls.clock.advance(until)

        self._wait(run())

    def fault(self, rule: Rule) -> None:
        self.do(lambda controls: controls.rules.add(rule))

    def conditions(self, **switches: object) -> None:
        """Set switches of the venue by name; `feed` takes a mapping."""
        self.do(lambda controls: controls.conditions.change(switches))

    def now(self) -> datetime:
        return self.do(lambda controls: controls.world.now)

    def digest(self) -> str:
        """One hash over every request, fault and event so far, with their trading times."""
        return self.do(lambda controls: controls.world.record.digest)

    def new_key(self, scopes: frozenset[Scope] = ALL_BUT_TRANSFER, portfolio: str = "") -> ApiKey:
        """A further key the venue knows; of this account's portfolio unless told otherwise."""
        key = make_key(portfolio or self.holder.portfolio, self.config.algorithm, scopes)
        self.do(lambda controls: controls.auth.add(key))
        return key

    # --------------------------------------------------------------------------------------------------------- life

    def start(self) -> Self:
        """Start serving; returns once every port is open. Raises what went wrong."""
        self._thread.start()
        self._ready.wait(_WITHIN_S)
        if self._failure is not None:
            self._thread.join(_WITHIN_S)
            self._ca.close()
            raise self._failure
        return self

    def stop(self) -> None:
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and self._thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            self._thread.join(_WITHIN_S)
        self._ca.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None or self._loop.is_closed():
            work.close()
            raise RuntimeError("the simulator is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(600)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._serve())
        except BaseException as failure:
            self._failure = failure
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        conditions, rules = Conditions(), Rules(self.config.seed)
        world = self._world(conditions)
        auth = Authenticator([self.key], lambda: time.time() + conditions.skew_s, self.config.token_leeway_s)
        feed = Feed(world)
        world.attach(feed)
        dials = Limits(self.config.limits_clock, enabled=self.config.limits)
        sockets = Sockets(world, feed, auth, dials, self.config.subscribe_within_s)
        clock = WorldClock(world, feed, sockets, self.config.step, self.config.speed)
        self._controls = Controls(world, rules, conditions, clock, feed, sockets, auth, StatusPage(), AlertSink())
        edge = RestEdge(Backend(world, conditions, feed.flush), auth, self.limits, rules, self.config.cache)
        app = Starlette(routes=[*edge.routes(), *routes(self._controls)])
        self._market_port = await sockets.listen(HOST, self._ca.server_context, False, self._port(1))
        self._user_port = await sockets.listen(HOST, self._ca.server_context, True, self._port(2))
        await self._serve_http(app, clock)
        await clock.hold()
        await sockets.stop()

    async def _serve_http(self, app: Starlette, clock: WorldClock) -> None:
        listener = socket.create_server((HOST, self._port(0)), backlog=512)
        self._http_port = int(listener.getsockname()[1])
        server = _http_server(app, self._ca.server_context)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.001)
        if self.config.free_running:
            clock.run()
        self._ready.set()
        assert self._stop is not None  # noqa: S101 - set before any port opens
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stopping, serving], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = server.force_exit = True
        await serving
        stopping.cancel()

    def _port(self, number: int) -> int:
        """The port of the REST host (0), the market feed (1) or the user feed (2)."""
        return self.config.port + number if self.config.port else 0

    def _world(self, conditions: Conditions) -> World:
        config = self.config
        market = config.market or GeneratedMarket(default_listings(config.products), config.start, config.seed)
        opening = {**dict.fromkeys(config.empty_wallets, Decimal(0)), **config.opening}
        started = datetime.fromtimestamp(market.start, UTC)
        venue = Venue(all_products(market.listings), opening, config.rules, started, config.seed)
        world = World(venue, market, conditions, self.holder)
        if started < config.start < started + timedelta(minutes=1):
            world.step(config.start)
        return world


class _Protocol(HttpToolsProtocol):
    """uvicorn's protocol, handing its transport to the application so that faults can cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


def _http_server(app: Starlette, context: ssl.SSLContext) -> uvicorn.Server:
    config = uvicorn.Config(
        app, http=_Protocol, loop="none", lifespan="off", ws="none", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=75, log_level=logging.CRITICAL,
    )  # fmt: skip
    config.load()
    config.ssl = context
    return uvicorn.Server(config)


def _new_loop() -> asyncio.AbstractEventLoop:
    """uvloop where there is one."""
    try:
        import uvloop  # noqa: PLC0415 - optional: absent on other systems
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
