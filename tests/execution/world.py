"""A bot's hands in a small world: the real engine and the real journal on a breakable exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from bot.adapters.memory import MemoryStorage
from bot.domain.decision import Approved, Decision, Evaluated, Outcome, Reason, Regime, Reject
from bot.domain.event import PositionAdopted, PositionMarked
from bot.domain.market import Quote
from bot.domain.money import Money, Price, Size
from bot.domain.order import OrderKind, OrderState, OrderType, PlannedOrder
from bot.domain.position import Exits, Position
from bot.domain.product import ProductId, Side
from bot.domain.snapshot import Environment, Mode, Snapshot
from bot.domain.state import Intent, Order, State
from bot.domain.value import replace
from bot.errors import CriticalDataUnavailable, ExchangeError, Rejected, StorageFailed, Transient
from bot.execution.controls import Controls, Permits, Venue
from bot.execution.engine import ExecutionEngine
from bot.execution.identity import account_tag
from bot.execution.report import ActReport, combined
from bot.observe.reconcile import read_account
from bot.ports import KillProbe, KillState
from bot.record.store import StateStore
from bot.settings.policy import Policy
from tests.builders import book, market, policy, product, proposal, snapshot
from tests.execution.venue import Exchange, Timeline

TAG = account_tag("portfolio", Environment.STAGING, Mode.PAPER)
BTC = ProductId("BTC-USD")


class Disk(MemoryStorage):
    """Storage that can run full."""

    full = False
    on_write: Callable[[bytes], None] | None = None

    def append(self, day: str, line: bytes, durable: bool) -> None:
        if self.full:
            raise StorageFailed("no space left")
        super().append(day, line, durable)
        if self.on_write is not None:
            self.on_write(line)


class World:
    """`cycle` does what the loop does, with the decisions a test makes."""

    def __init__(self, wallets: dict[str, str] | None = None, **sections: Any) -> None:
        self.clock = Timeline()
        self.product = product()
        self.exchange = Exchange(self.clock, wallets or {"USD": "10000", "BTC": "0"}, [self.product])
        self.exchange.show("BTC-USD", "100", "100.02")
        self.storage = Disk()
        self.policy = policy(**sections)
        self.permits = Permits()
        self.kill = KillState(KillProbe.ABSENT)
        self.kill_at: Callable[[], KillState] | None = None
        self.healthy = True
        self.agree = True
        self.reapprovals: list[tuple[int, Size]] = []
        self.refuse_requotes = False
        self.allow_at_most: Size | None = None
        self.depth = 100_000
        self.start()

    def start(self) -> None:
        """A new process on the same files."""
        self.store = StateStore(self.storage, self.clock, "config", "code", "account")
        self.store.open(f"genesis-{len(self.storage.days)}")
        controls = Controls(
            kill=self._kill_now, permits=lambda: self.permits, storage_healthy=lambda: self.healthy,
            reapprove=self.reapprove, agrees=lambda order: self.agree, market_of=lambda listing: listing,
            spread_limit=lambda listing: None,
        )  # fmt: skip
        venue = Venue(self.exchange, self.exchange, self.clock)
        self.engine = ExecutionEngine(venue, controls, self.store, self.policy, TAG)

    def _kill_now(self) -> KillState:
        return self.kill if self.kill_at is None else self.kill_at()

    @property
    def state(self) -> State:
        return self.store.state

    @property
    def orders(self) -> list[Order]:
        return list(self.state.orders.values())

    @property
    def last(self) -> Order:
        return self.orders[-1]

    @property
    def held(self) -> Decimal:
        position = self.state.positions.get(BTC)
        return Decimal(0) if position is None else position.size.value

    def reapprove(self, intent: Intent, left: Size, quote: Quote) -> Approved | Reject:
        self.reapprovals.append((intent.number, left))
        if self.refuse_requotes:
            return Reject(Reason.TOTAL_CAP, "no room any more")
        wanted = replace(proposal(), product=intent.product, exits=intent.exits, rule=intent.rule)
        worst = quote.ask.shifted(Decimal(25))
        left = left if self.allow_at_most is None else min(left, self.allow_at_most)
        return Approved(wanted, left, worst, Money(worst.value * left.value * Decimal("1.02"), "USD"))

    def snapshot(self, **changes: Any) -> Snapshot:
        quote = self.exchange.quotes[BTC]
        view = market(bid=None)
        if quote is not None:
            view = replace(
                market(bid=quote.bid.value, ask=quote.ask.value, quote_at=self.clock.now()),
                book=book(bid=quote.bid.value, ask=quote.ask.value, depth=self.depth),
            )
        view = replace(view, product=replace(self.product, as_of=self.clock.now()))
        balances = [] if self.exchange.faults.reads else self.exchange.balances()
        now = self.clock.now()
        made = snapshot([view], balances=balances, account=self.state, now=now, cycle_id=f"c{self.state.seq}")
        return replace(made, **changes)

    def observe(self) -> ActReport:
        """Reconcile as far as the exchange answers, then look for what is in doubt."""
        try:
            truth = read_account(self.exchange, self.state, self.clock.now)
        except (ExchangeError, CriticalDataUnavailable):
            return self.engine.resolve_unknown()
        seen = self.engine.observe_orders(truth.reports, truth.fills, truth.began_at, truth.missing)
        return combined([seen, self.engine.resolve_unknown()])

    def cycle(self, *approved: Approved, **changes: Any) -> ActReport:
        """One turn of the loop with these approvals."""
        self.exchange.refresh_quotes()
        seen = self.observe()
        snap = self.snapshot(**changes)
        done = self.engine.execute(decision(snap, approved), snap)
        return combined([seen, done, self.engine.settle(snap)])

    def serve(self) -> ActReport:
        """What the loop does when an order's timer woke it."""
        return self.cycle(service=True)

    def run_timers(self, seconds: float) -> None:
        """Sleep as the loop does: until the next order timer, again and again."""
        end = self.clock.monotonic() + seconds
        while (left := end - self.clock.monotonic()) > 0:
            at = self.engine.next_timer()
            pause = left if at is None else min(left, max(0.05, (at - self.clock.now()).total_seconds()))
            self.clock.pass_(pause)
            if at is not None and self.clock.now() >= at:
                self.serve()

    def own(self, size: str, price: str = "100", exits: Exits | None = None) -> None:
        """Buy at once, outside the routing under test, so that there is something to sell."""
        self.engine.configure(self.at_once())
        self.exchange.show("BTC-USD", str(Decimal(price) - Decimal("0.02")), price)
        self.cycle(buy(size, worst=str(Decimal(price) * 2), exits=exits or Exits()))
        self.observe()
        self.engine.configure(self.policy)
        assert self.held == Decimal(size)

    def at_once(self) -> Policy:
        """The policy with entries that cross the spread."""
        execution = self.policy.execution.model_copy(update={"default_order_type": "limit_ioc"})
        return self.policy.model_copy(update={"execution": execution})

    def own_more(self, size: str) -> None:
        """Another purchase of what is held already."""
        self.cycle()
        self.engine.configure(self.at_once())
        self.cycle(buy(size, worst="200"))
        self.engine.configure(self.policy)

    def execute(self, snap: Snapshot, *approved: Approved) -> ActReport:
        return self.engine.execute(decision(snap, approved), snap)

    def forget_position(self) -> None:
        """The books hold nothing any more, whatever the exchange says."""
        self.store.record(PositionAdopted(Position(BTC, (), self.clock.now())))

    def mark(self, high: str) -> None:
        """The position saw a new highest mark."""
        self.store.record(PositionMarked(BTC, Price(Decimal(high))))

    def place_second_product(self) -> None:
        """An entry that rests while a position of something else is held."""
        other = product("ETH-USD")
        self.exchange.listed[other.id] = other
        self.exchange.show("ETH-USD", "10", "10.02")
        snap = self.snapshot()
        view = replace(market("ETH-USD", "10", quote_at=self.clock.now()), book=book("ETH-USD", "10", "10.02", 100_000))
        view = replace(view, product=replace(other, as_of=self.clock.now()))
        wanted = buy("1", worst="11")
        wanted = replace(wanted, proposal=replace(wanted.proposal, product=other.id))
        self.execute(replace(snap, markets={**snap.markets, other.id: view}), wanted)
        assert other.id in [record.plan.product for record in self.exchange.working(Side.BUY)]

    def foreign_order(self) -> None:
        """A person's order on the same account."""
        plan = PlannedOrder(
            "a-person", BTC, Side.BUY, OrderKind.ENTRY, OrderType.LIMIT_GTC, Size(Decimal(1)), Price(Decimal(50))
        )
        self.exchange.place(plan)

    def break_storage(self) -> None:
        """From now on nothing can be written."""
        self.storage.full = True

    def refusal(self, reason: str) -> Rejected:
        return Rejected(reason, "no")

    def journal(self) -> bytes:
        return b"".join(self.storage.journal(day) for day in self.storage.journal_days())

    def outage(self) -> Transient:
        return Transient("no answer")

    def states(self) -> list[str]:
        return [order.state.value for order in self.orders]

    def check(self) -> None:
        """What must hold whatever happens."""
        assert self.exchange.violations == []
        for intent in self.state.intents.values():
            mine = [
                r for r in self.exchange.orders.values() if self._intent_of(r.plan.client_order_id) == intent.number
            ]
            assert sum(r.working for r in mine) <= 1, f"two live orders for intent {intent.number}"
            assert sum((r.filled + r.left for r in mine), Decimal(0)) <= intent.size.value
        assert all(o.state is not OrderState.NEW for o in self.orders)

    def _intent_of(self, cid: str) -> int:
        order = self.state.orders.get(cid)
        return -1 if order is None or order.parent_order_id else order.intent


def decision(snap: Snapshot, approved: Sequence[Approved]) -> Decision:
    evaluated = tuple(Evaluated(item.proposal, (), item) for item in approved)
    return Decision(
        snap.cycle_id, snap.now, Outcome.TRADED, None, "", Regime.CHOP, (), (), (), evaluated, {}, "config"
    )  # fmt: skip


def buy(size: str = "1", worst: str = "100.5", exits: Exits | None = None) -> Approved:
    """Risk's permission to buy."""
    wanted = replace(proposal(), exits=exits if exits is not None else Exits())
    cost = Decimal(worst) * Decimal(size) * Decimal("1.02")
    return Approved(wanted, Size(Decimal(size)), Price(Decimal(worst)), Money(cost, "USD"))


def sell(size: str = "1", worst: str = "90") -> Approved:
    """Risk's permission to close."""
    amount = Size(Decimal(size))
    wanted = replace(proposal(), side=Side.SELL, kind=OrderKind.EXIT, size_base=amount, reference=Price(Decimal(100)))
    return Approved(wanted, amount, Price(Decimal(worst)), Money(Decimal(0), "USD"))
