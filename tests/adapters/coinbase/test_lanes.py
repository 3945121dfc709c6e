"""The loop never waits longer than it said, and what it stopped waiting for cannot leave behind its back."""

from __future__ import annotations

import threading
import time

import pytest

from bot.adapters.coinbase.failures import NotSent, Torn
from bot.adapters.coinbase.lanes import Lane
from bot.adapters.coinbase.transport import Call


class Resource:
    """Stands for a connection: `abort` wakes a job that waits on it."""

    def __init__(self) -> None:
        self.cut = threading.Event()

    def abort(self) -> None:
        self.cut.set()


class Stops:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        return self.count


def sending(resource: Resource, call: Call) -> str:
    """A request that left and gets no answer until its connection is cut."""
    call.begin()
    resource.cut.wait(20)
    return "too late"


def test_a_job_runs_on_the_lanes_own_thread_and_its_result_comes_back() -> None:
    lane = Lane("normal", Resource)
    assert lane.run(lambda _resource, _call: threading.current_thread().name, 5) == "coinbase-normal"
    lane.close()


def test_an_error_of_the_job_reaches_the_caller() -> None:
    lane = Lane("normal", Resource)
    with pytest.raises(ZeroDivisionError):
        lane.run(lambda _resource, _call: 1 // 0, 5)
    lane.close()


def test_a_resource_that_cannot_be_made_fails_the_call_not_the_lane() -> None:
    def make() -> Resource:
        raise ValueError("no")

    lane = Lane("normal", make)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            lane.run(lambda _resource, _call: 1, 5)
    lane.close()


def test_a_sent_request_without_answer_is_torn_at_its_deadline() -> None:
    lane = Lane("normal", Resource)
    began = time.monotonic()
    with pytest.raises(Torn, match="deadline"):
        lane.run(sending, 0.2)
    assert time.monotonic() - began < 1
    assert lane.run(lambda _resource, _call: "next", 5) == "next"
    lane.close()


def test_a_stop_ends_the_wait_for_a_sent_request_as_torn() -> None:
    stops = Stops()
    lane = Lane("normal", Resource, stops)
    threading.Timer(0.2, lambda: setattr(stops, "count", 1)).start()
    began = time.monotonic()
    with pytest.raises(Torn, match="interrupted"):
        lane.run(sending, 10)
    assert time.monotonic() - began < 1
    lane.close()


def test_a_stop_before_the_first_byte_keeps_the_order_from_leaving() -> None:
    """The kill switch may strike while the name is still being looked up; nothing may leave afterwards."""
    stops, left = Stops(), []
    looked_up = threading.Event()

    def slow_lookup_then_send(_: Resource, call: Call) -> None:
        looked_up.wait(5)
        call.begin()
        left.append("order")

    lane = Lane("normal", Resource, stops)
    threading.Timer(0.2, lambda: setattr(stops, "count", 1)).start()
    with pytest.raises(NotSent, match="interrupted"):
        lane.run(slow_lookup_then_send, 10)
    looked_up.set()
    lane.close()
    assert left == []


def test_calls_begun_after_a_stop_still_run() -> None:
    """Cancels and their reads follow the kill switch; only what was under way is given up."""
    stops = Stops()
    stops.count = 3
    lane = Lane("urgent", Resource, stops)

    def slowly(_: Resource, __: Call) -> str:
        time.sleep(0.2)
        return "cancelled"

    assert lane.run(slowly, 5) == "cancelled"
    lane.close()


def test_stuck_workers_are_bounded_and_then_calls_fail_at_once() -> None:
    released = threading.Event()
    lane = Lane("normal", Resource, stuck_max=2)

    def hung_lookup(_: Resource, __: Call) -> None:
        released.wait(20)

    before = threading.active_count()
    for _ in range(2):
        with pytest.raises(NotSent):
            lane.run(hung_lookup, 0.1)
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(NotSent, match="stuck"):
            lane.run(hung_lookup, 5)
    assert time.monotonic() - began < 1
    assert lane.stuck == 2
    assert threading.active_count() <= before + 2
    released.set()
    deadline = time.monotonic() + 5
    while lane.stuck and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lane.run(lambda _resource, _call: "well again", 5) == "well again"
    lane.close()


def test_a_closed_lane_sends_nothing() -> None:
    lane = Lane("normal", Resource)
    lane.close()
    with pytest.raises(NotSent, match="closed"):
        lane.run(lambda _resource, _call: 1, 5)
