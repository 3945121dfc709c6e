"""The same hands on the matching core that paper and backtest use: its refusals, brackets and holds are understood."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.adapters.venue_exchange import Surroundings, VenueExchange
from bot.domain.decision import Approved
from bot.domain.market import Quote
from bot.domain.order import OrderKind, OrderState, OrderType
from bot.domain.position import Exits
from bot.domain.product import ProductId
from bot.domain.snapshot import ExchangeStatus, StatusLevel
from bot.domain.value import replace
from bot.execution.controls import Controls, Permits, Venue
from bot.execution.engine import ExecutionEngine
from bot.execution.report import ActReport
from bot.observe.reconcile import read_account
from bot.ports import KillProbe, KillState
from bot.record.store import StateStore
from bot.venue.market import MarketSlice
from bot.venue.venue import Venue as Core
from tests.builders import NOW, book, d, market, policy, price, product, size, snapshot
from tests.execution.venue import Exchange, Timeline
from tests.execution.world import BTC, TAG, Disk, World, buy, decision, sell
from tests.venue.kit import ticks

STOPPED = Exits(stop_loss_pct=d(5), take_profit_pct=d(10))


class Feed(Exchange):
    """The price feed of a venue whose prices a test sets."""

    def __init__(self, paper: Paper) -> None:
        super().__init__(paper.clock, {}, [])
        self._paper = paper

    def requote(self, market: ProductId) -> Quote | None:
        paper = self._paper
        return Quote(market, price(paper.bid), price(paper.ask), size(1000), size(1000), paper.clock.now())


class Paper:
    """The engine on the embedded venue, at prices a test sets."""

    def __init__(self, style: str = "bracket", **execution: object) -> None:
        self.clock = Timeline()
        self.bid = Decimal(100)
        self.product = product()
        self.core = Core([self.product], {"USD": d(10_000), "BTC": d(0)}, ticks(), NOW, seed=1)
        status = ExchangeStatus(StatusLevel.OPERATIONAL, "", NOW)
        around = Surroundings(self.catch_up, lambda: [self.product], lambda: status)
        self.exchange = VenueExchange(self.core, self.clock, around)
        self.store = StateStore(Disk(), self.clock, "config", "code", "account")
        self.store.open("genesis")
        controls = Controls(
            kill=lambda: KillState(KillProbe.ABSENT), permits=Permits, storage_healthy=lambda: True,
            reapprove=World().reapprove, agrees=lambda order: True, market_of=lambda listing: listing,
            spread_limit=lambda listing: None,
        )  # fmt: skip
        rules = policy(exits={"style": style}, execution=execution)
        self.engine = ExecutionEngine(Venue(self.exchange, Feed(self), self.clock), controls, self.store, rules, TAG)

    @property
    def ask(self) -> Decimal:
        return self.bid + Decimal("0.02")

    def catch_up(self) -> None:
        now = self.clock.now()
        piece = MarketSlice(
            BTC, now, now, self.bid, self.bid, self.bid, self.bid, d(1000), self.bid, self.ask,
            book(bid=self.bid, ask=self.ask, depth=1000),
        )  # fmt: skip
        self.core.advance(now, {BTC: piece})

    def cycle(self, *approved: Approved, falls_to: str | None = None) -> ActReport:
        """falls_to: the market moves there between the decision and the act."""
        self.clock.pass_(2)
        truth = read_account(self.exchange, self.store.state, self.clock.now)
        self.engine.observe_orders(truth.reports, truth.fills, truth.began_at, truth.missing)
        self.engine.resolve_unknown()
        view = replace(
            market(bid=self.bid, ask=self.ask, quote_at=self.clock.now()),
            book=book(bid=self.bid, ask=self.ask, depth=1000), product=replace(self.product, as_of=self.clock.now()),
        )  # fmt: skip
        snap = snapshot([view], balances=truth.balances.values(), account=self.store.state, now=self.clock.now())
        self.bid = self.bid if falls_to is None else d(falls_to)
        report = self.engine.execute(decision(snap, approved), snap)
        self.engine.settle(snap)
        return report

    def holds(self) -> Decimal:
        return next(balance.total for balance in self.exchange.balances() if balance.currency == "BTC")


@pytest.mark.parametrize("style", ["bracket", "stop_limit", "attached_bracket"])
def test_bought_protected_and_sold_again(style):
    paper = Paper(style)
    paper.cycle(buy("1", exits=STOPPED))
    paper.bid = Decimal("99.90")
    paper.cycle()
    paper.cycle()
    [stop] = paper.exchange.working_orders()
    assert stop.size == size(1)
    assert stop.type in (OrderType.BRACKET, OrderType.STOP_LIMIT)
    [known] = [o for o in paper.store.state.orders.values() if o.kind is OrderKind.PROTECTIVE]
    assert (known.order_id, known.state) == (stop.order_id, OrderState.OPEN)
    paper.cycle(sell("1"))
    paper.cycle()
    assert paper.holds() == 0
    assert paper.exchange.working_orders() == ()
    assert dict(paper.store.state.positions) == {}


def test_a_stop_that_the_venue_triggers_closes_the_position():
    paper = Paper("bracket")
    paper.cycle(buy("1", exits=STOPPED))
    paper.bid = Decimal("99.90")
    paper.cycle()
    paper.bid = Decimal("94.50")
    for _ in range(3):
        paper.cycle()
    assert paper.holds() == 0
    assert dict(paper.store.state.positions) == {}


def test_an_attached_bracket_that_ends_before_anybody_saw_it_is_ours_and_closes_the_position():
    """Entry, bracket and stop between two looks: no list of working orders ever held the bracket."""
    paper = Paper("attached_bracket")
    paper.cycle(buy("1", exits=STOPPED))
    for bid in ("99.90", "94.50", "94.40"):
        paper.bid = Decimal(bid)
        paper.clock.pass_(2)
        paper.catch_up()
    paper.cycle()
    assert paper.holds() == 0
    assert dict(paper.store.state.positions) == {}
    assert dict(paper.store.state.oversold_by_others) == {}
    [stop] = [o for o in paper.store.state.orders.values() if o.kind is OrderKind.PROTECTIVE]
    assert stop.state is OrderState.FILLED


def test_a_post_only_that_the_market_fell_through_is_quoted_again():
    paper = Paper(use_preview=False)
    report = paper.cycle(buy("1"), falls_to="99.90")
    [refused] = report.rejections
    assert "POST_ONLY" in refused.reason
    paper.cycle()
    [order] = paper.exchange.working_orders()
    assert order.limit_price == price("99.90")
