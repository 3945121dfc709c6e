"""Venues a contract runs on: Coinbase's wire through the real adapter, and the embedded matching core."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from bot.adapters.clock import ManualClock
from bot.adapters.coinbase.auth import Credentials
from bot.adapters.coinbase.budget import Access
from bot.adapters.coinbase.build import Limits, Venue, World, build_exchange
from bot.adapters.coinbase.client import Endpoint
from bot.adapters.coinbase.exchange import CoinbaseExchange
from bot.adapters.coinbase.wire.product import book as book_of
from bot.adapters.coinbase.wire.read import Fields
from bot.adapters.venue_exchange import Surroundings, VenueExchange, operational
from bot.domain.market import Book, Level, Quote
from bot.domain.money import Price, Size
from bot.domain.product import Product, ProductId, TradingMode
from bot.ports import Exchange, WakeReason
from bot.settings.policy import ExchangeStatusPolicy, FillModelPolicy, RateLimitsPolicy, TransportPolicy
from bot.venue.market import MarketSlice
from bot.venue.rules import FillRules
from bot.venue.venue import Venue as Core
from simulator.control import Controls
from simulator.faults import Conditions, FeedFaults
from simulator.server import Simulator, SimulatorConfig

MARKET = ProductId("BTC-USD")
BOOK = Endpoint("/market/product_book", "product_book", Access.PUBLIC)
CASH = Decimal(10_000)
START = datetime(2026, 11, 2, 14, 0, tzinfo=UTC)


class VenueWorld(Protocol):
    """One venue with 10 000 USD on the account and BTC-USD trading."""

    @property
    def exchange(self) -> Exchange: ...

    def now(self) -> datetime:
        """Trading time."""
        ...

    def quote(self) -> Quote:
        """The touch of BTC-USD now."""
        ...

    def run_for(self, seconds: float) -> None:
        """Let trading time pass."""
        ...


class Calm:
    """Jitter without waits."""

    def uniform(self, low: float, high: float) -> float:
        return low


class SimClock:
    """Trading time of a simulator, asked when needed; nobody waits on it."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self.woken: list[object] = []

    def now(self) -> datetime:
        return self._sim.now()

    def monotonic(self) -> float:
        return (self.now() - START).total_seconds()

    def stopwatch(self) -> float:
        return time.monotonic()

    def wait_until(self, when: datetime) -> WakeReason | None:
        self._sim.run_for(max(0.0, (when - self.now()).total_seconds()))
        return None

    def wake(self, reason: WakeReason) -> None:
        self.woken.append(reason)


LIMITS = Limits(
    TransportPolicy.model_validate(
        {"read_timeout_seconds": "0.5", "total_deadline_seconds": "2", "max_body_bytes": 4_000_000}
    ),
    RateLimitsPolicy.model_validate({"private_per_second": "500", "public_per_second": "500", "max_wait_seconds": "1"}),
    ExchangeStatusPolicy(),
)


@dataclass
class SimulatedVenue:
    """The real adapter on the simulator's wire."""

    sim: Simulator
    exchange: CoinbaseExchange
    clock: SimClock

    def now(self) -> datetime:
        return self.sim.now()

    def quote(self, market: ProductId = MARKET) -> Quote:
        """As anyone asking over REST sees it."""
        answer = self.exchange.client.get(BOOK, {"product_id": str(market), "limit": 1}, "book")
        quote = book_of(Fields(answer, "book"), market, self.now()).quote()
        assert quote is not None
        return quote

    def run_for(self, seconds: float) -> None:
        self.sim.run_for(seconds)


def address(sim: Simulator) -> Venue:
    return Venue(sim.rest_url, sim.ws_url, sim.ws_user_url, sim.status_url, Path(sim.ca_file))


def simulator() -> Simulator:
    return Simulator(SimulatorConfig(seed=7, products=4, start=START, cache=False))


@contextmanager
def connected(sim: Simulator) -> Iterator[SimulatedVenue]:
    """A fresh adapter on a running venue, whose faults and working orders are gone afterwards."""
    clock = SimClock(sim)
    credentials = Credentials.parse(sim.key.name, sim.key.secret)
    exchange = build_exchange(address(sim), credentials, LIMITS, World(clock, Calm()))
    try:
        yield SimulatedVenue(sim, exchange, clock)
    finally:
        exchange.close()
        sim.do(_calm_down)


@contextmanager
def simulated() -> Iterator[SimulatedVenue]:
    with simulator() as sim, connected(sim) as venue:
        yield venue


def _calm_down(controls: Controls) -> None:
    controls.rules.clear()
    for field, value in asdict(Conditions()).items():
        if field != "feed":
            setattr(controls.conditions, field, value)
    controls.conditions.feed = FeedFaults()
    controls.world.cancel_by_exchange([record.order_id for record in controls.world.working()], "end of test")


class EmbeddedVenue:
    """The matching core alone, in a market that stands still at 60 000 / 60 010."""

    def __init__(self) -> None:
        self._clock = ManualClock(START)
        core = Core((listing(),), {"USD": CASH}, FillRules.for_ticks(FillModelPolicy(), timedelta(0)), START)
        self._core = core
        around = Surroundings(self._catch_up, lambda: (listing(),), lambda: operational(self._clock.now()))
        self.exchange: Exchange = VenueExchange(core, self._clock, around)
        self._catch_up()

    def now(self) -> datetime:
        return self._clock.now()

    def quote(self) -> Quote:
        quote = book_at(self.now()).quote()
        assert quote is not None
        return quote

    def run_for(self, seconds: float) -> None:
        self._clock.advance(timedelta(seconds=seconds))
        self._catch_up()

    def _catch_up(self) -> None:
        now = self._clock.now()
        book = book_at(now)
        bid, ask = book.bids[0].price.value, book.asks[0].price.value
        piece = MarketSlice(MARKET, now, now, bid, ask, bid, bid, Decimal(5), bid, ask, book)
        self._core.advance(now, {MARKET: piece})


def book_at(now: datetime) -> Book:
    def level(price: int) -> Level:
        return Level(Price(Decimal(price)), Size(Decimal(5)))

    return Book(MARKET, (level(60_000), level(59_990)), (level(60_010), level(60_020)), now)


def listing() -> Product:
    step = Decimal("0.00000001")
    return Product(
        MARKET, "BTC", "USD", Decimal("0.01"), step, Decimal("0.01"), step, Decimal(3400), Decimal(1), Decimal(10**8),
        TradingMode.NORMAL, "", START,
    )  # fmt: skip
