"""A venue that loses, delays and garbles: every failure ends typed, and the truth can be found again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from bot.domain.order import VenueStatus
from bot.domain.snapshot import StatusLevel
from bot.domain.value import replace
from bot.errors import (
    AuthRefused,
    BotError,
    CriticalDataUnavailable,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Transient,
)
from simulator.faults import Answer, Damage, Delay, Drop, Garble, Hang, Rewrite, Rule, When
from simulator.server import Simulator
from tests.contract.test_exchange_contract import ours, resting, taking, wallet
from tests.contract.worlds import MARKET, SimulatedVenue, connected, simulator


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


@pytest.fixture
def world(sim: Simulator) -> Iterator[SimulatedVenue]:
    with connected(sim) as venue:
        yield venue


LOST = {
    "dropped": Drop(),
    "reset": Drop(reset=True),
    "hung": Hang(),
    "502": Answer(502, "html", When.AFTER),
    "503": Answer(503, "text", When.AFTER),
    "429": Answer(429, "empty", When.AFTER),
    "401": Answer(401, "text", When.AFTER),
    "late": Delay(5.0),
    **{f"garbled {damage.value}": Garble(damage) for damage in Damage if damage not in (Damage.NAN, Damage.HUGE)},
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST.keys())
def test_an_order_booked_behind_a_lost_answer_is_unknown_and_then_found_once(world: SimulatedVenue, fault: Any) -> None:
    world.sim.fault(Rule(fault, "POST", "/orders"))
    order = resting(world)
    with pytest.raises(OutcomeUnknown) as unknown:
        world.exchange.place(order)
    assert unknown.value.client_order_id == order.client_order_id
    world.run_for(1)
    (report,) = ours(world, order)
    assert report.status is VenueStatus.OPEN


@pytest.mark.parametrize("fault", [Drop(When.BEFORE), Answer(503, "text", When.BEFORE)])
def test_an_order_lost_before_it_was_booked_is_unknown_too(world: SimulatedVenue, fault: Any) -> None:
    world.sim.fault(Rule(fault, "POST", "/orders"))
    order = resting(world)
    with pytest.raises(OutcomeUnknown):
        world.exchange.place(order)
    assert ours(world, order) == []


def test_a_duplicate_the_venue_refuses_by_name_is_looked_up_not_given_up(world: SimulatedVenue) -> None:
    world.sim.conditions(duplicates="refused")
    order = resting(world)
    world.exchange.place(order)
    with pytest.raises(OutcomeUnknown, match="already knows"):
        world.exchange.place(order)
    assert len(ours(world, order)) == 1


def test_a_duplicate_answered_like_a_success_names_the_old_order(world: SimulatedVenue) -> None:
    """The echo is the new request's; only reading the order tells that nothing new was made."""
    order = resting(world)
    first = world.exchange.place(order)
    again = world.exchange.place(replace(order, size=type(order.size)(order.size.value * 2)))
    assert again.order_id == first.order_id
    assert world.exchange.order(again.order_id).size == order.size


def test_a_fresh_order_that_does_not_show_yet_is_not_found_and_later_is(world: SimulatedVenue) -> None:
    world.sim.conditions(orders_lag_s=5.0)
    order = resting(world)
    ack = world.exchange.place(order)
    with pytest.raises(NotFound):
        world.exchange.order(ack.order_id)
    assert ours(world, order) == []
    world.run_for(6)
    assert world.exchange.order(ack.order_id).client_order_id == order.client_order_id


def test_lists_are_complete_over_many_pages(world: SimulatedVenue) -> None:
    began = world.now()
    product = {row.id: row for row in world.exchange.products()}[MARKET]
    size = product.floor_size(type(resting(world).size)(resting(world).size.value / 10))
    placed = {world.exchange.place(resting(world, size=size)).order_id for _ in range(60)}
    world.run_for(1)
    assert {report.order_id for report in world.exchange.working_orders()} == placed
    created = world.exchange.orders_created(began - timedelta(minutes=1), world.now() + timedelta(minutes=1))
    assert placed <= {report.order_id for report in created}
    answers = world.exchange.cancel(sorted(placed))
    assert all(answer.asked for answer in answers)
    world.run_for(3)
    assert world.exchange.working_orders() == ()


def test_a_list_whose_second_page_fails_is_no_list(world: SimulatedVenue) -> None:
    world.exchange.place(taking(world))
    world.run_for(2)
    world.sim.fault(Rule(Rewrite("has_next", "true"), "GET", "/accounts", times=None))
    world.sim.fault(Rule(Answer(500, "text"), "GET", "/accounts", contains="cursor=", times=None))
    with pytest.raises((Transient, CriticalDataUnavailable)):
        world.exchange.balances()


NONSENSE = {
    "no balance": Rewrite("accounts.*.available_balance"),
    "NaN": Rewrite("accounts.*.available_balance.value", '"NaN"'),
    "negative": Rewrite("accounts.*.available_balance.value", '"-1"'),
    "endless exponent": Rewrite("accounts.*.available_balance.value", '"1E+400"'),
    "null": Rewrite("accounts", "null"),
    "no end": Rewrite("has_next"),
    **{damage.value: Garble(damage) for damage in Damage},
}


@pytest.mark.parametrize("fault", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_in_the_wallets_voids_the_read(world: SimulatedVenue, fault: Any) -> None:
    world.exchange.place(taking(world))  # leaves amounts with fractions, which is what one of the faults spoils
    world.sim.fault(Rule(fault, "GET", "/accounts", times=None))
    with pytest.raises((CriticalDataUnavailable, Transient)):
        world.exchange.balances()


@pytest.mark.parametrize("name", ["status", "side", "product_id", "created_time", "order_configuration", "filled_size"])
def test_an_order_that_lost_a_field_never_looks_like_no_order(world: SimulatedVenue, name: str) -> None:
    ack = world.exchange.place(resting(world))
    world.run_for(1)
    world.sim.fault(Rule(Rewrite(f"orders.*.{name}"), "GET", "/orders/historical/batch", times=None))
    try:
        found = {report.order_id for report in world.exchange.working_orders()}
    except CriticalDataUnavailable:
        return
    assert found == {ack.order_id}


def test_a_new_status_counts_as_working(world: SimulatedVenue) -> None:
    world.exchange.place(resting(world))
    world.sim.fault(Rule(Rewrite("orders.*.status", '"HALF_OPEN"'), "GET", "/orders/historical/batch", times=None))
    (report,) = world.exchange.working_orders()
    assert report.status is VenueStatus.UNKNOWN


@pytest.mark.parametrize("fault", [Answer(500, "text"), Answer(502, "html"), Drop(), Garble(Damage.TORN)])
def test_reads_get_over_a_single_failure(world: SimulatedVenue, fault: Any) -> None:
    world.sim.fault(Rule(fault, "GET"))
    assert wallet(world, "USD")[0] > 0


def test_throttling_is_obeyed(world: SimulatedVenue) -> None:
    world.sim.fault(Rule(Answer(429, "html", retry_after="30"), "GET", "/accounts", times=None))
    with pytest.raises(RateLimited) as limited:
        world.exchange.balances()
    assert limited.value.retry_after_s >= 30
    asked = len(world.sim.do(lambda controls: controls.world.record.entries("", 0)))
    with pytest.raises(RateLimited):
        world.exchange.fee_tier()
    assert len(world.sim.do(lambda controls: controls.world.record.entries("", 0))) == asked


GATES = {"unauthorized": AuthRefused, "forbidden": AuthRefused, "too_many_errors": RateLimited}


@pytest.mark.parametrize(("gate", "error"), GATES.items())
def test_a_shut_door_is_named_for_what_it_is(world: SimulatedVenue, gate: str, error: type[BotError]) -> None:
    world.sim.conditions(gate=gate)
    with pytest.raises(error):
        world.exchange.balances()


def test_one_401_is_no_dead_key(world: SimulatedVenue) -> None:
    world.sim.fault(Rule(Answer(401, "text"), "GET", "/accounts"))
    assert wallet(world, "USD")[0] > 0


def test_an_outage_ends_every_call_in_time(world: SimulatedVenue) -> None:
    world.sim.fault(Rule(Hang(), times=None))
    began = time.monotonic()
    with pytest.raises(Transient):
        world.exchange.balances()
    assert time.monotonic() - began < 3
    began = time.monotonic()
    with pytest.raises(Transient):
        world.exchange.cancel(["0a1b2c3d-0000-4000-8000-00000000000a"])
    assert time.monotonic() - began < 3


def test_a_cancel_behind_a_lost_answer_has_still_been_asked(world: SimulatedVenue) -> None:
    ack = world.exchange.place(resting(world))
    world.run_for(1)
    world.sim.fault(Rule(Drop(), "POST", "/orders/batch_cancel"))
    world.exchange.cancel([ack.order_id])
    world.run_for(2)
    assert world.exchange.order(ack.order_id).status is VenueStatus.CANCELLED


def test_the_clock_comparison_shows_the_venues_skew(world: SimulatedVenue) -> None:
    world.sim.conditions(skew_s=3.0)
    sample = world.exchange.time_sample()
    assert 2.5 < (sample.server - sample.received).total_seconds() < 3.5


def test_the_status_page_is_read(world: SimulatedVenue) -> None:
    assert world.exchange.status().level is StatusLevel.OPERATIONAL
