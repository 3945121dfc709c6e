"""The seams of the loop, each breakable on demand: disk, venue, market data, inbox, courier, and the venue's time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bot.adapters.memory import MemoryStorage
from bot.domain.money import Price
from bot.domain.order import Ack, Fill, OrderReport, PlannedOrder
from bot.domain.product import ProductId
from bot.domain.snapshot import Balance
from bot.domain.value import replace
from bot.errors import OutcomeUnknown, StorageFailed
from bot.ports import Command, KeyPermissions, KillProbe, KillState, MarketFacts, WakeReason
from bot.settings.policy import DataPolicy
from bot.venue.orders import VenueEvent
from simulator.markets.tape import Tape, Tick
from simulator.server import START
from simulator.world import World
from tests.simulation.inprocess import InProcessExchange, InProcessMarket, Silence, SteppingClock


class Disk(MemoryStorage):
    """A disk that fails on demand, and a kill switch that goes on by itself.

    full: every write fails. fail_after: so many more writes succeed. kill_after: the switch is on from that many looks
    on. looks, writes: so many so far. before_append: told of each journal line before it is kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.fail_after: int | None = None
        self.kill_after: int | None = None
        self.looks = 0
        self.writes = 0
        self.before_append: Callable[[bytes], object] = lambda _line: None

    def append(self, day: str, line: bytes, durable: bool) -> None:
        self._spend()
        self.before_append(line)
        super().append(day, line, durable)

    def save_state(self, content: bytes) -> None:
        self._spend()
        super().save_state(content)

    def write(self, name: str, content: bytes) -> None:
        self._spend()
        super().write(name, content)

    def kill_state(self) -> KillState:
        self.looks += 1
        if self.kill_after is not None and self.looks > self.kill_after:
            self.kill = KillState(KillProbe.PRESENT, "drill")
        return self.kill

    def _spend(self) -> None:
        self.writes += 1
        if self.fail_after is not None:
            self.fail_after -= 1
            self.full |= self.fail_after < 0
        if self.full:
            raise StorageFailed("no space left on device")


class Wire(InProcessExchange):
    """The venue behind a line that fails on demand.

    broken: name of a call -> what it raises, until removed. lost_answers: so many next orders are placed and the answer
    is lost. before_place: told of each order just before it reaches the venue. placed: every order that did.
    on_call: told of each call before it is made; on_answer: of each that changed something, before its answer is read.
    """

    def __init__(self, world: World, clock: SteppingClock) -> None:
        super().__init__(world, clock)
        self.broken: dict[str, Exception] = {}
        self.lost_answers = 0
        self.before_place: Callable[[PlannedOrder], object] = lambda _order: None
        self.on_call: Callable[[str], object] = lambda _name: None
        self.on_answer: Callable[[str], object] = lambda _name: None
        self.placed: list[PlannedOrder] = []
        self.empty_wallets = False
        self.wallets: dict[str, Decimal] = {}
        self.permissions: KeyPermissions | None = None
        self.venue_clock_ahead = timedelta(0)

    def server_time(self) -> datetime:
        return super().server_time() + self.venue_clock_ahead

    def key_permissions(self) -> KeyPermissions:
        return self.permissions or super().key_permissions()

    def balances(self) -> Sequence[Balance]:
        self._pass("balances")
        found = super().balances()
        if self.empty_wallets:
            return [Balance(b.currency, Decimal(0), Decimal(0)) for b in found]
        return [Balance(b.currency, b.available + self.wallets.get(b.currency, Decimal(0)), b.hold) for b in found]

    def working_orders(self) -> Sequence[OrderReport]:
        self._pass("working_orders")
        return super().working_orders()

    def orders_created(self, since: datetime, until: datetime) -> Sequence[OrderReport]:
        self._pass("orders_created")
        return super().orders_created(since, until)

    def order(self, order_id: str) -> OrderReport:
        self._pass("order")
        return super().order(order_id)

    def fills_since(self, since: datetime) -> Sequence[Fill]:
        self._pass("fills_since")
        return super().fills_since(since)

    def place(self, order: PlannedOrder) -> Ack:
        self.before_place(order)
        self._pass("place")
        ack = super().place(order)
        self.placed.append(order)
        self.on_answer("place")
        if self.lost_answers:
            self.lost_answers -= 1
            raise OutcomeUnknown(order.client_order_id, "the connection was torn")
        return ack

    def cancel(self, order_ids: Sequence[str]) -> Any:
        self._pass("cancel")
        answers = super().cancel(order_ids)
        self.on_answer("cancel")
        return answers

    def _pass(self, name: str) -> None:
        self.on_call(name)
        if name in self.broken:
            raise self.broken[name]


class Window(InProcessMarket):
    """Market data that can grow old or lose its bars, and that wakes the loop when a guarded price leaves its band.

    aged: how old every quote claims to be.
    """

    aged = timedelta(0)
    without_bars = False

    def __init__(self, world: World, clock: SteppingClock, policy: DataPolicy) -> None:
        super().__init__(world, clock, policy)
        self._levels: dict[ProductId, tuple[Price | None, Price | None]] = {}
        world.attach(self)

    def guard(self, levels: Mapping[ProductId, tuple[Price | None, Price | None]]) -> None:
        self._levels = dict(levels)

    def ticked(self, tape: Tape, tick: Tick, now: datetime) -> None: ...

    def happened(self, events: Sequence[VenueEvent], now: datetime) -> None: ...

    def stepped(self, now: datetime) -> None:
        left = [market for market, (low, high) in self._levels.items() if self._outside(market, low, high)]
        for market in left:
            del self._levels[market]
            self._clock.wake(WakeReason.PRICE)

    def _outside(self, market: ProductId, low: Price | None, high: Price | None) -> bool:
        quote = super().facts(market).quote
        if quote is None:
            return False
        return (low is not None and quote.bid <= low) or (high is not None and quote.bid >= high)

    def facts(self, market: ProductId) -> MarketFacts:
        seen = super().facts(market)
        quote = None if seen.quote is None else replace(seen.quote, at=seen.quote.at - self.aged)
        return replace(seen, quote=quote, windows=None if self.without_bars else seen.windows)


@dataclass
class Inbox:
    """Commands a test drops; `answers` are what the desk said."""

    waiting: list[Command] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    def drop(self, verb: str, *arguments: str) -> str:
        number = f"{len(self.answers) + len(self.waiting)}-{verb}"
        self.waiting.append(Command(number, verb, arguments, START, "tester"))
        return number

    def pending(self) -> Sequence[Command]:
        return tuple(self.waiting)

    def done(self, command_id: str, result: str) -> None:
        self.waiting = [command for command in self.waiting if command.id != command_id]
        self.answers[command_id] = result


class Courier(Silence):
    """Nobody delivers; what the disk would not take is kept here."""

    def __init__(self) -> None:
        self.carried: list[bytes] = []

    def carry(self, alert_id: str, body: bytes) -> None:
        del alert_id
        self.carried.append(body)


class Appointments:
    """What happens at the venue's own time, whatever the bot is doing then."""

    def __init__(self, world: World) -> None:
        self._due: list[tuple[datetime, Callable[[], object]]] = []
        world.attach(self)

    def add(self, moment: datetime, action: Callable[[], object]) -> None:
        self._due.append((moment, action))

    def ticked(self, tape: Tape, tick: Tick, now: datetime) -> None: ...

    def happened(self, events: Sequence[VenueEvent], now: datetime) -> None: ...

    def stepped(self, now: datetime) -> None:
        due = [action for moment, action in self._due if moment <= now]
        self._due = [item for item in self._due if item[0] > now]
        for action in due:
            action()
