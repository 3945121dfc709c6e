"""A venue that answers nothing, each call until its deadline: a round waits for few, and leaves no order out."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.order import OrderKind
from bot.errors import Transient
from bot.execution.controls import Permits
from tests.execution.world import World, buy

DEADLINE_S = 10


def silent(world: World) -> None:
    world.exchange.faults.reads = world.exchange.faults.cancels = Transient("no answer")
    world.exchange.faults.silence_s = DEADLINE_S


def with_two_expired_entries() -> World:
    world = World()
    world.cycle(buy("1"))
    world.place_second_product()
    silent(world)
    world.clock.pass_(3600)
    return world


def seconds_of(world: World, since: float) -> float:
    return world.clock.monotonic() - since


def test_a_round_waits_for_one_read_that_fails_and_the_next_round_for_the_next_order():
    world = with_two_expired_entries()
    looked_at = []
    for number in range(4):
        world.engine.begin(f"c{number}")
        began = world.clock.monotonic()
        errors = world.engine.manage_open_orders(None).errors
        reads = [error.split()[2].rstrip(":") for error in errors if error.startswith("reading order")]
        assert len(reads) == 1
        assert seconds_of(world, began) <= 2 * DEADLINE_S, "one read, and one call for all cancels that are due"
        looked_at += reads
    assert looked_at[:2] == looked_at[2:]
    assert len(set(looked_at)) == 2


def test_orders_that_are_late_together_are_cancelled_in_one_call():
    world = with_two_expired_entries()
    world.engine.begin("c1")
    world.engine.manage_open_orders(None)
    ((_, asked),) = world.exchange.cancels
    assert len(asked) == 2


def test_what_a_sweep_of_this_cycle_could_not_cancel_is_not_asked_for_again_before_the_next():
    world = World()
    world.cycle(buy("1"))
    world.permits = Permits(entries=False, exits=True, cancel_entries=True, why="a breaker is open")
    silent(world)
    world.engine.begin("c1")
    began = world.clock.monotonic()
    world.engine.cancel_all((OrderKind.ENTRY,), world.clock.now() + timedelta(seconds=2), "halted")
    world.engine.manage_open_orders(None)
    assert len(world.exchange.cancels) == 1
    assert seconds_of(world, began) <= 2 * DEADLINE_S, "a cancel and a list, and no wait for fills behind them"
    world.engine.begin("c2")
    world.engine.manage_open_orders(None)
    assert len(world.exchange.cancels) == 2, "halts are obeyed in a cycle that has not swept"
