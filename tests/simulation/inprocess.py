"""The simulated exchange without its wire: the five ports straight on a `World`, in one thread, deterministic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from bot.adapters.clock import ManualClock
from bot.adapters.memory import MemoryStorage
from bot.adapters.rng import SeededRng
from bot.adapters.venue_exchange import Surroundings, VenueExchange, operational
from bot.domain.bars import BarSeries, Scale
from bot.domain.market import Book, Level, Quote
from bot.domain.money import EXACT, Price, Size
from bot.domain.order import Ack, CancelAnswer, PlannedOrder
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import Environment, Mode
from bot.domain.value import replace
from bot.errors import Rejected, UnitError
from bot.loop import Identity, Operator, TradingLoop
from bot.loop import World as Ports
from bot.ops.log import null_log
from bot.ops.metrics import Metrics
from bot.ports import Command, MarketFacts, Preview, WakeReason
from bot.settings.config import Config
from bot.settings.policy import DataPolicy
from bot.triggers.indicators import LiveWindows
from bot.venue.orders import Refused
from bot.venue.reports import request_for
from bot.venue.venue import Venue
from simulator.faults import Conditions
from simulator.markets.listing import all_products
from simulator.markets.market import Market
from simulator.markets.rows import Rows
from simulator.server import SimulatorConfig
from simulator.world import World, holder_of

STEP = timedelta(seconds=1)
GENESIS = "00" * 8


class SteppingClock(ManualClock):
    """Trading time of a world: moves it second by second while somebody waits, and stops at events of the account."""

    def __init__(self, world: World) -> None:
        super().__init__(world.now)
        self._world = world

    def set_wrong(self, by: timedelta) -> None:
        """Somebody sets the wall clock; no time passes. The next wait sets it right."""
        self._now += by
        self._start += by

    def wait_until(self, when: datetime) -> WakeReason | None:
        while not self._reasons and self._world.now < when:
            grid = self._world.now.replace(microsecond=0) + STEP
            happened = self._world.step(min(grid, when))
            self._now = self._world.now
            if happened:
                self._reasons.append(WakeReason.USER_EVENT)
        return self._reasons.popleft() if self._reasons else None


class InProcessExchange(VenueExchange):
    """Orders go through the world, so that its watchers and conditions see them."""

    def __init__(self, world: World, clock: SteppingClock) -> None:
        around = Surroundings(lambda: None, world.products, lambda: operational(clock.now()))
        super().__init__(world.venue, clock, around)
        self._world = world

    def products(self) -> Sequence[Product]:
        return [self._with_volume(product) for product in self._world.products()]

    def _with_volume(self, product: Product) -> Product:
        """The listing as the venue shows it: with its volume of the last day, in quote currency."""
        tape = self._world.tape(product.id)
        if tape is None:
            return product
        scale = tape.listing.scale
        value = EXACT.multiply(Decimal(tape.day().value), EXACT.multiply(scale.tick, scale.lot))
        return replace(product, quote_volume_24h=value, as_of=self._clock.now())

    def preview(self, order: PlannedOrder) -> Preview:
        seen = self._world.preview(request_for(order))
        return Preview(seen.errors, seen.warnings, seen.commission_total, seen.order_total)

    def place(self, order: PlannedOrder) -> Ack:
        answer = self._world.place(request_for(order))
        if isinstance(answer, Refused):
            raise Rejected(answer.error, f"{answer.preview_failure_reason} {answer.message}".strip())
        return Ack(order.client_order_id, answer.order_id)

    def cancel(self, order_ids: Sequence[str]) -> Sequence[CancelAnswer]:
        results = self._world.cancel(order_ids)
        return tuple(CancelAnswer(item.order_id, item.success, item.failure_reason) for item in results)


class InProcessMarket:
    """Quotes, books and bars of a world as they stand now."""

    def __init__(self, world: World, clock: SteppingClock, policy: DataPolicy) -> None:
        self._world = world
        self._clock = clock
        self._step = policy.bar_granularity
        self._lag = timedelta(seconds=float(policy.bar_close_lag_seconds))
        self._needed: Mapping[ProductId, int] = {}
        self._series: dict[ProductId, tuple[int, LiveWindows]] = {}
        self.scales: Mapping[ProductId, Scale] = {}
        """Scales to use instead of the listings' own: a run is compared with one that recorded its bars under these."""

    def watch(self, needed_bars: Mapping[ProductId, int]) -> None:
        self._needed = needed_bars

    def refresh(self, now: datetime) -> None:
        """Nothing has to be fetched."""

    def facts(self, market: ProductId) -> MarketFacts:
        book = self._book(market)
        quote = None
        with suppress(UnitError):
            quote = book.quote() if book is not None else None
        tape = self._world.tape(market)
        last = tape.listing.scale.price(tape.last.ticks) if tape is not None else None
        return MarketFacts(quote, book, self._windows(market), last, self._clock.now(), "no quote", "no bars")

    def requote(self, market: ProductId) -> Quote | None:
        return self.facts(market).quote

    def guard(self, levels: Mapping[ProductId, tuple[Price | None, Price | None]]) -> None:
        """Scheduled cycles and order events are enough here."""

    def user_events(self) -> bool:
        return False

    def _book(self, market: ProductId) -> Book | None:
        tape = self._world.tape(market)
        if tape is None:
            return None
        bids, asks = self._world.shown_book(tape)
        scale = tape.listing.scale

        def level(ticks: int, lots: int) -> Level:
            return Level(scale.price(ticks), Size(EXACT.multiply(Decimal(lots), scale.lot)))

        return Book(market, tuple(level(*b) for b in bids), tuple(level(*a) for a in asks), self._clock.now())

    def _windows(self, market: ProductId) -> LiveWindows | None:
        closed = int((self._clock.now() - self._lag).timestamp()) // 60 * 60
        known = self._series.get(market)
        if known is None or known[0] != closed:
            series = self._bars(market, closed)
            if series is None:
                return None
            self._series[market] = known = (closed, LiveWindows(series))
        return known[1]

    def _bars(self, market: ProductId, closed: int) -> BarSeries | None:
        tape = self._world.tape(market)
        if tape is None:
            return None
        # Two hours more than needed: a window may begin in a minute without a trade, whose price lies before it.
        rows = self._world.market.history(market, closed - 60 * (self._needed.get(market, 0) + 120), closed)
        if not len(rows):
            return None
        series = dense(market, rows, closed, tape.listing.scale, self._step)
        return _rescaled(series, self.scales.get(market, series.scale))


def _rescaled(series: BarSeries, scale: Scale) -> BarSeries:
    """The same bars under another lot, volumes rounded down to it."""
    up, down = EXACT.divide(series.scale.lot, scale.lot).as_integer_ratio()
    return replace(series, scale=scale, volume=series.volume * up // down)


def dense(market: ProductId, rows: Rows, closed: int, scale: Any, step: Any) -> BarSeries:
    """One-minute rows on an unbroken grid up to `closed`; a minute without a trade carries the close."""
    first = int(rows.start[0])
    count = (closed - first) // 60
    at = (rows.start - first) // 60
    last = np.searchsorted(at, np.arange(count), side="right") - 1
    traded = np.zeros(count, dtype=np.bool_)
    traded[at] = True
    close = rows.close[last]

    def column(values: Any) -> Any:
        return np.where(traded, values[last], close)

    volume = np.where(traded, rows.volume[last], 0)
    return BarSeries(
        market, step, scale, first, column(rows.open), column(rows.high), column(rows.low), close, volume, ~traded
    )


class NoCommands:
    """An inbox nobody writes to."""

    def pending(self) -> Sequence[Command]:
        return ()

    def done(self, command_id: str, result: str) -> None:
        raise AssertionError(f"no command was dropped: {command_id} {result}")


class Silence:
    """Nobody delivers alerts and no service manager listens, unless it wants to hear of a life within `watchdog_s`."""

    def __init__(self, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self.heard = 0

    def nudge(self) -> None: ...

    def carry(self, alert_id: str, body: bytes) -> None: ...

    def ready(self, status: str = "") -> bool:
        return True

    def alive(self) -> bool:
        self.heard += 1
        return True

    def stopping(self, why: str = "") -> bool:
        return True

    def status(self, text: str) -> bool:
        return True


class InProcess:
    """A whole loop on a world without a wire. `cycles` collects what `run_until` saw."""

    def __init__(self, config: Config, sim: SimulatorConfig, market: Market, storage: Any = None) -> None:
        started = datetime.fromtimestamp(market.start, UTC)
        venue = Venue(all_products(market.listings), dict(sim.opening), sim.rules, started, sim.seed)
        self.world = World(venue, market, Conditions(), holder_of(sim.seed, sim.start - timedelta(days=400)))
        self.clock = SteppingClock(self.world)
        self.storage = storage if storage is not None else MemoryStorage()
        self.exchange = InProcessExchange(self.world, self.clock)
        self.market = InProcessMarket(self.world, self.clock, config.policy.data)
        identity = Identity(
            Environment.STAGING, Mode.LIVE, self.world.holder.portfolio, "in process", "0.1.0", GENESIS, 1
        )
        quiet = Silence()
        operator = Operator(
            null_log(),
            Metrics(config.config_hash, "0.1.0"),
            lambda *_: None,
            quiet,
            quiet,
            NoCommands(),
            lambda *_: None,
        )
        ports = Ports(self.clock, self.exchange, self.market, self.storage, SeededRng(1))
        self.loop = TradingLoop(config, identity, ports, operator)
        self.loop.open()

    def run_until(self, moment: datetime, after: Callable[[TradingLoop], object] = lambda _: None) -> int:
        """Run until `moment` and let the loop shut down; answers its exit code. after: called after each cycle."""
        cycle = self.loop.run_cycle

        def watched(**options: Any) -> Any:
            record = cycle(**options)
            after(self.loop)
            if self.clock.now() >= moment:
                self.loop.stop("the time is over")
            return record

        self.loop.run_cycle = watched  # type: ignore[method-assign]
        return self.loop.run()
