"""The embedded account: opened once, with play money or as a shadow of the real one, and then kept for good."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.adapters.clock import ManualClock
from bot.adapters.memory import MemoryStorage
from bot.adapters.paper import LATENCY, PAPER, paper_exchange
from bot.adapters.venue_exchange import Surroundings, VenueExchange, operational
from bot.domain.order import OrderKind, OrderType, PlannedOrder
from bot.domain.product import Side
from bot.domain.snapshot import Balance
from bot.errors import StateCorrupt, Transient
from bot.settings.config import Config
from bot.settings.policy import FillModelPolicy, Policy
from bot.settings.universe import Universe
from bot.venue.rules import FillRules
from bot.venue.venue import Venue
from tests.adapters.one_market import OneMarket
from tests.builders import NOW, d, pid, price, product, size

CONFIG = Config(Policy(), Universe())
BTC = pid("BTC-USD")


class RealAccount(VenueExchange):
    """The account at the exchange, which a shadow looks at once. asked: how often its wallets were read."""

    def __init__(self, clock: ManualClock, wallets: Mapping[str, str]) -> None:
        rules = FillRules.for_ticks(FillModelPolicy(), LATENCY)
        held = {currency: d(amount) for currency, amount in wallets.items()}
        around = Surroundings(lambda: None, lambda: [product()], lambda: operational(clock.now()))
        super().__init__(Venue((), held, rules, clock.now()), clock, around)
        self.broken = False
        self.asked = 0

    def balances(self) -> Sequence[Balance]:
        self.asked += 1
        if self.broken:
            raise Transient("no answer")
        return super().balances()


class World:
    """One data directory, and the processes that come and go on it."""

    def __init__(self, real: Mapping[str, str] | None = None, *, shadow: bool = False) -> None:
        self.clock = ManualClock(NOW)
        self.storage = MemoryStorage()
        self.real = RealAccount(self.clock, real or {})
        self.market = OneMarket(self.clock)
        self.shadow = shadow

    def start(self) -> VenueExchange:
        found = paper_exchange(self.real, self.market, self.clock, CONFIG, self.storage, shadow=self.shadow)
        found.products()
        return found

    def later(self, exchange: VenueExchange) -> None:
        """Seconds pass, and the account lives through them."""
        for _ in range(3):
            self.clock.advance(timedelta(seconds=1))
            exchange.balances()


def wallets(exchange: VenueExchange) -> dict[str, Decimal]:
    return {balance.currency: balance.total for balance in exchange.balances() if balance.total}


def bid(cid: str, at: str, kind: OrderType = OrderType.LIMIT_GTC) -> PlannedOrder:
    return PlannedOrder(cid, BTC, Side.BUY, OrderKind.ENTRY, kind, size(1), price(at))


def test_paper_opens_with_its_cash_and_never_looks_at_the_real_account():
    world = World({"USD": "77", "BTC": "3"})
    assert wallets(world.start()) == {"USD": d(10_000)}
    assert world.real.asked == 0


def test_what_was_bought_and_what_rests_goes_on_after_a_restart():
    world = World()
    first = world.start()
    first.place(bid("taken", "101", OrderType.LIMIT_IOC))
    first.place(bid("resting", "90"))
    world.later(first)
    before = wallets(first)
    assert before["BTC"] == 1
    assert before["USD"] < 9_900

    second = world.start()
    assert wallets(second) == before
    assert [order.client_order_id for order in second.working_orders()] == ["resting"]
    assert [fill.order_id for fill in second.fills_since(NOW)] == [fill.order_id for fill in first.fills_since(NOW)]
    world.market.bid, world.market.ask = "80", "80.02"
    world.later(second)
    assert wallets(second)["BTC"] == 2, "the bid that rested before the restart is filled after it"


def test_a_kept_account_that_cannot_be_trusted_is_no_reason_for_new_money():
    world = World()
    world.start().place(bid("resting", "90"))
    world.storage.write(PAPER, b"{}")
    with pytest.raises(StateCorrupt):
        world.start()


def test_a_shadow_opens_with_what_the_real_account_holds_and_then_lives_by_itself():
    world = World({"USD": "500", "BTC": "0.25", "ETH": "0"}, shadow=True)
    shadow = world.start()
    assert wallets(shadow) == {"USD": d(500), "BTC": d("0.25")}
    shadow.place(bid("taken", "101", OrderType.LIMIT_IOC))
    world.later(shadow)
    assert wallets(world.real) == {"USD": d(500), "BTC": d("0.25")}, "nothing of it reaches the real account"
    assert wallets(world.start()) == wallets(shadow)


@pytest.mark.parametrize(("real", "broken"), [({"USD": "500"}, True), ({"USD": "0"}, False)])
def test_a_shadow_of_nothing_that_can_be_read_opens_with_play_money(real, broken):
    world = World(real, shadow=True)
    world.real.broken = broken
    assert wallets(world.start()) == {"USD": d(10_000)}
