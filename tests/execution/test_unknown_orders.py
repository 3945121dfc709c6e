"""No answer is no evidence: an order of unknown fate counts in full until it is found or proven never placed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.domain.decision import Reason
from bot.domain.event import Mismatch
from bot.domain.order import OrderState
from bot.errors import AuthRefused, RateLimited, Rejected, Transient
from tests.execution.world import World, buy, sell


def test_an_order_whose_answer_was_lost_is_adopted_by_the_first_read_that_shows_it():
    world = World()
    world.exchange.faults.place.append("lost")
    report = world.cycle(buy("1"))
    assert (len(report.unknown), world.states()) == (1, ["UNKNOWN"])
    world.cycle()
    assert world.states() == ["OPEN"]
    assert len(world.exchange.posts) == 1
    world.check()


def test_a_lost_order_that_filled_at_once_is_booked_once_and_not_bought_again():
    world = World(execution={"default_order_type": "limit_ioc"})
    world.exchange.faults.place.append("lost")
    world.cycle(buy("1"))
    for _ in range(4):
        world.cycle()
    assert world.held == 1
    assert len(world.exchange.posts) == 1
    assert world.exchange.wallets["BTC"] == 1


def test_a_buy_that_never_arrived_is_proven_absent_only_by_three_listings_over_a_minute():
    world = World()
    world.exchange.faults.place.append("dropped")
    world.cycle(buy("1"))
    seen = []
    for _ in range(7):
        seen.append((world.last.state, world.last.absent_listings))
        world.clock.pass_(10)
        world.cycle()
    # Listings at 0, 30 and 60 s after the first one; the third over the full minute is the proof.
    assert [state for state, _ in seen] == [OrderState.UNKNOWN] * 7
    world.clock.pass_(10)
    world.cycle()
    assert world.last.state is OrderState.REJECTED
    assert "not placed" in world.last.why
    assert world.exchange.posts == []


def test_a_buy_of_unknown_fate_is_never_sent_again_and_keeps_its_product_closed():
    world = World()
    world.exchange.faults.place.append("dropped")
    world.cycle(buy("1"))
    report = world.cycle(buy("1"))
    assert [item.reason for item in report.refused] == [Reason.ORDER_UNRESOLVED]
    world.run_timers(50)
    assert world.exchange.posts == []


def test_balances_that_disagree_keep_the_order_unknown():
    world = World()
    world.agree = False
    world.exchange.faults.place.append("dropped")
    world.cycle(buy("1"))
    for _ in range(20):
        world.clock.pass_(10)
        world.cycle()
    assert world.last.state is OrderState.UNKNOWN


def test_failed_listings_prove_nothing():
    world = World()
    world.exchange.faults.place.append("dropped")
    world.cycle(buy("1"))
    world.exchange.faults.reads = world.outage()
    for _ in range(20):
        world.clock.pass_(10)
        world.cycle()
    assert world.last.state is OrderState.UNKNOWN
    assert world.last.absent_listings <= 1


def test_an_order_that_shows_only_after_half_a_minute_is_found_and_not_doubled():
    world = World()
    world.exchange.faults.lag_s = 35
    world.exchange.faults.place.append("lost")
    world.cycle(buy("1"))
    for _ in range(4):
        world.clock.pass_(10)
        world.cycle(buy("1"))
    assert world.last.order_id == "order-1"
    assert len(world.exchange.posts) == 1


def test_an_accepted_order_that_cannot_be_read_yet_keeps_its_full_weight():
    """A 404 right after create says nothing; the order is neither gone nor placed again."""
    world = World()
    world.exchange.faults.lag_s = 40
    world.cycle(buy("1"))
    for _ in range(3):
        world.clock.pass_(10)
        world.cycle()
        assert world.last.state in (OrderState.OPEN, OrderState.CANCEL_PENDING)
    assert len(world.exchange.posts) == 1


def test_an_accepted_order_that_vanishes_for_good_is_lost_with_a_mismatch():
    world = World()
    world.cycle(buy("1"))
    world.exchange.faults.lag_s = 10_000
    del world.exchange.orders["order-1"]
    mismatches: list[Mismatch] = []
    for _ in range(30):
        world.clock.pass_(10)
        mismatches += world.cycle().mismatches
    assert world.last.state in (OrderState.REJECTED, OrderState.CANCELED)
    assert [item.theirs[:5] for item in mismatches] == ["lost:"]
    assert len(world.exchange.posts) == 1, "nothing is bought in the place of what may yet turn up"


def test_a_lost_exit_is_sent_again_with_the_same_id_and_body_and_sells_once():
    world = World()
    world.own("1")
    world.exchange.faults.place.append("dropped")
    world.cycle(sell("1"))
    assert world.states()[-1] == "UNKNOWN"
    world.cycle()
    assert [order.client_order_id for _, order in world.exchange.posts].count(world.last.client_order_id) == 1
    world.cycle()
    assert world.last.state is OrderState.FILLED
    assert world.held == 0
    world.check()


def test_an_exit_sent_again_although_it_had_arrived_sells_only_once():
    """The listing lags, so the exit is sent again; the exchange knows the id, and the order is read before belief."""
    world = World()
    world.own("1")
    world.exchange.faults.lag_s = 15
    world.exchange.faults.place.append("lost")
    world.cycle(sell("1"))
    for _ in range(5):
        world.clock.pass_(5)
        world.cycle()
    assert world.exchange.wallets["BTC"] == 0
    assert world.last.state is OrderState.FILLED
    assert world.held == 0
    world.check()


@pytest.mark.parametrize("error", [Transient("no route"), RateLimited("slow down", 10)])
def test_an_order_that_certainly_did_not_leave_is_over_and_decided_anew(error):
    world = World()
    world.exchange.faults.place.append(error)
    world.cycle(buy("1"))
    assert world.states() == ["REJECTED"]
    world.clock.pass_(5)
    world.cycle()
    world.cycle(buy("1"))
    assert world.states() == ["REJECTED", "OPEN"]


@pytest.mark.parametrize("error", [AuthRefused("401"), Rejected("DUPLICATE_CLIENT_ORDER_ID")])
def test_an_answer_that_does_not_prove_absence_leaves_the_order_unknown(error):
    world = World()
    world.exchange.faults.place.append(error)
    world.cycle(buy("1"))
    assert world.states() == ["UNKNOWN"]


def test_a_crash_between_the_record_and_the_request_leaves_a_doubt_that_is_resolved():
    """The process dies after the fsync: the next one must assume the order left, and look."""
    world = World()

    class Killed(BaseException):
        pass

    def die(order: object) -> None:
        raise Killed

    world.exchange.before_place = die
    with pytest.raises(Killed):
        world.cycle(buy("1"))
    world.exchange.before_place = lambda order: None
    world.start()
    assert world.states() == ["SUBMITTED"]
    world.observe()
    assert world.states() == ["UNKNOWN"]
    for _ in range(8):
        world.clock.pass_(10)
        world.cycle()
    assert world.states() == ["REJECTED"]
    assert world.exchange.posts == []


def test_a_crash_after_the_exchange_accepted_finds_the_one_order_again():
    world = World()
    world.cycle(buy("1"))
    world.exchange.fill("order-1", "0.5")
    world.start()
    world.observe()
    assert (world.states(), world.held) == (["PARTIAL"], Decimal("0.5"))
    assert len(world.exchange.posts) == 1


def test_an_order_given_up_as_never_placed_is_cancelled_when_it_turns_up():
    world = World()
    world.exchange.faults.lag_s = 200
    world.exchange.faults.place.append("lost")
    world.cycle(buy("1"))
    for _ in range(9):
        world.clock.pass_(10)
        world.cycle()
    assert world.last.state is OrderState.REJECTED
    world.clock.pass_(120)
    report = world.cycle()
    assert report.orphans == ("order-1",)
    assert report.mismatches
    assert world.exchange.working() == []


def test_a_fill_that_may_belong_to_an_order_of_unknown_fate_waits_for_its_name():
    world = World(execution={"default_order_type": "limit_ioc"})
    world.exchange.faults.place.append("lost")
    world.cycle(buy("1"))
    row = world.exchange.trades[0]
    seen = world.engine.observe_orders((), (row,), world.clock.now())
    assert not seen.fills
    assert world.held == 0
    world.observe()
    assert world.held == 1
    assert world.state.positions[row.product].managed
