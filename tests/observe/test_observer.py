"""What the observer keeps between cycles, how long it may be believed, and what it assumes when it cannot read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.adapters.clock import ManualClock
from bot.adapters.paper import LATENCY
from bot.adapters.venue_exchange import Surroundings, VenueExchange, operational
from bot.domain.order import OrderState
from bot.domain.product import Product
from bot.domain.snapshot import Balance, Environment, Mode, Valuation
from bot.domain.state import FeeTier, Ledger, State
from bot.domain.value import replace
from bot.errors import CriticalDataUnavailable, Transient
from bot.observe.observer import Metadata, Observer, Slot
from bot.observe.reconcile import Truth
from bot.settings.config import Config
from bot.settings.policy import FillModelPolicy, Policy
from bot.settings.universe import Universe
from bot.venue.rules import FillRules
from bot.venue.venue import Venue
from tests.adapters.one_market import OneMarket
from tests.builders import NOW, d, order, product

CONFIG = Config(Policy(), Universe())
CHEAP = FeeTier(Decimal("0.001"), Decimal("0.002"), "a good month", NOW)
SLOT = timedelta(minutes=7.5)
"""Half of data.product_max_age_minutes: how often the product list is read."""


class Account(VenueExchange):
    """An account whose answers a test chooses. listed: the product list; reads: how often it was asked for."""

    def __init__(self, clock: ManualClock) -> None:
        around = Surroundings(lambda: None, list, lambda: operational(clock.now()))
        super().__init__(
            Venue((), {"USD": d(100)}, FillRules.for_ticks(FillModelPolicy(), LATENCY), NOW), clock, around
        )
        self.clock = clock
        self.listed = [product()]
        self.broken = False
        self.reads = 0

    def products(self) -> Sequence[Product]:
        self.reads += 1
        self._pass()
        return [replace(item, as_of=self.clock.now()) for item in self.listed]

    def fee_tier(self) -> FeeTier:
        self._pass()
        return replace(CHEAP, as_of=self.clock.now())

    def _pass(self) -> None:
        if self.broken:
            raise Transient("products: not sent")


class World:
    def __init__(self) -> None:
        self.clock = ManualClock(NOW)
        self.account = Account(self.clock)
        market = OneMarket(self.clock)
        self.observer = Observer(self.account, market, self.clock, CONFIG, Environment.STAGING, Mode.PAPER)

    def later(self, by: timedelta) -> None:
        self.clock.advance(by)


# ------------------------------------------------------------------------------------------------------ products


def test_the_product_list_is_read_once_a_slot_and_again_when_it_is_in_doubt():
    world = World()
    for _ in range(3):
        world.observer.metadata()
        world.later(timedelta(minutes=2))
    assert world.account.reads == 1
    world.observer.metadata(doubtful=True)
    world.later(timedelta(seconds=5))
    world.observer.metadata(doubtful=True)
    assert world.account.reads == 2, "doubt is no reason to ask at every look"
    world.later(SLOT)
    world.observer.metadata()
    assert world.account.reads == 3


def test_coins_are_priced_in_the_currency_of_the_configuration_in_force():
    world = World()
    world.account.listed = [product("BTC-USD"), product("BTC-EUR")]
    assert world.observer.metadata().pricing == {"BTC": "BTC-USD"}
    europe = Policy.model_validate({"portfolio": {"quote_currency": "EUR", "stable_values": {}}})
    world.observer.configure(Config(europe, Universe()))
    assert world.observer.metadata().pricing == {"BTC": "BTC-EUR"}
    assert world.account.reads == 1


def test_a_list_that_cannot_be_read_again_serves_until_it_is_too_old_and_then_nothing_does():
    world = World()
    known = world.observer.metadata()
    world.account.broken = True
    world.later(2 * SLOT - timedelta(seconds=1))
    assert world.observer.metadata() is known
    world.later(timedelta(seconds=1))
    with pytest.raises(CriticalDataUnavailable, match=r"^products: not sent$"):
        world.observer.metadata()
    world.account.broken = False
    assert world.observer.metadata().at == world.clock.now()


def test_an_empty_list_is_no_list():
    world = World()
    world.account.listed = []
    with pytest.raises(CriticalDataUnavailable, match="the product list is empty"):
        world.observer.metadata()


# ---------------------------------------------------------------------------------------------------------- fees


def test_until_the_tier_is_known_the_worst_case_of_the_policy_is_assumed():
    world = World()
    world.account.broken = True
    found = world.observer.fee_tier(world.clock.now())
    assert (found.maker, found.taker) == (Decimal("0.006"), Decimal("0.012"))


def test_a_tier_that_cannot_be_read_again_is_no_longer_counted_on():
    world = World()
    assert world.observer.fee_tier(world.clock.now()).taker == CHEAP.taker
    world.later(timedelta(hours=1))
    world.account.broken = True
    found = world.observer.fee_tier(world.clock.now())
    assert (found.maker, found.taker) == (Decimal("0.006"), Decimal("0.012")), "the higher of known and feared"
    world.account.broken = False
    assert world.observer.fee_tier(world.clock.now()).taker == CHEAP.taker


def test_a_tier_that_an_order_belied_is_read_again_at_once_and_then_hourly():
    world = World()
    assert world.observer.fee_tier(world.clock.now()).as_of == NOW
    world.later(timedelta(minutes=1))
    assert world.observer.fee_tier(world.clock.now()).as_of == NOW
    world.observer.doubt_fees()
    world.account.broken = True
    assert world.observer.fee_tier(world.clock.now()).taker == Decimal("0.012"), "unread, the worst is assumed"
    world.account.broken = False
    assert world.observer.fee_tier(world.clock.now()).as_of == NOW + timedelta(minutes=1)
    world.later(timedelta(minutes=1))
    assert world.observer.fee_tier(world.clock.now()).as_of == NOW + timedelta(minutes=1)


# -------------------------------------------------------------------------------------------------------- ledger


@pytest.mark.parametrize(
    ("state", "changed_s", "busy"),
    [
        (OrderState.OPEN, -600, {"BTC"}),  # a buy that rests brings no dollars
        (OrderState.CANCEL_PENDING, -600, {"BTC", "USD"}),
        (OrderState.UNKNOWN, -600, {"BTC", "USD"}),
        (OrderState.FILLED, 1, {"USD"}),
        (OrderState.FILLED, 0, set()),
        (OrderState.CANCELED, -600, set()),
    ],
)
def test_a_currency_is_busy_while_an_order_works_in_it_or_moved_since_its_difference_began(state, changed_s, busy):
    """Otherwise what our own order did would be booked as a deposit or a withdrawal."""
    world = World()
    moved = order(state=state, changed_at=NOW + timedelta(seconds=changed_s))
    ledgers = {"USD": Ledger(d(100), NOW, d(0), d(5), NOW, 2), "BTC": Ledger(d(0), NOW)}
    known = State(orders={moved.client_order_id: moved}, ledgers=ledgers)
    wallets = {"USD": Balance("USD", d(105), d(0))}
    truth = Truth(wallets, (), frozenset(), (), (), NOW, NOW)
    swept = world.observer.sweep(truth, Metadata({}, NOW, {}, Slot(NOW, NOW)), known, Valuation(None, ()))
    assert swept.busy == busy
    assert swept.rates["USD"] == 1
