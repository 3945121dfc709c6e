"""Requests beyond the budget are turned away, and the budget comes back with time."""

from __future__ import annotations

from simulator.limits import HOURLY, Limits, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_taken_then_one_request_a_tenth_of_a_second() -> None:
    clock = Clock()
    limits = Limits(clock, Rate(10.0, 15))
    assert [limits.take(True, "1.2.3.4").allowed for _ in range(16)] == [True] * 15 + [False]
    clock.now = 0.1
    assert [limits.take(True, "1.2.3.4").allowed for _ in range(2)] == [True, False]


def test_surfaces_and_clients_do_not_share_a_budget() -> None:
    limits = Limits(Clock(), Rate(1.0, 1), Rate(1.0, 2))
    assert limits.take(True, "a").allowed
    assert limits.take(True, "b").allowed
    assert limits.take(False, "a").allowed
    assert not limits.take(True, "a").allowed


def test_the_headers_tell_what_is_left() -> None:
    limits = Limits(Clock(), private=Rate(30.0, 30))
    grants = [limits.take(False, "portfolio") for _ in range(30)]
    assert (grants[0].limit, grants[0].remaining, grants[-1].remaining) == (30, 29, 0)


def test_limits_switched_off_let_everything_through() -> None:
    limits = Limits(Clock(), Rate(1.0, 1), enabled=False)
    assert all(limits.take(True, "a").allowed for _ in range(100))


def test_a_key_has_so_many_requests_in_any_hour_however_slowly_they_come() -> None:
    clock = Clock()
    limits = Limits(clock)
    for _ in range(HOURLY):
        assert limits.take(False, "a").allowed
        clock.now += 0.1
    assert not limits.take(False, "a").allowed
    assert limits.take(False, "b").allowed
    assert limits.take(True, "a").allowed
    clock.now = 3600.0
    assert limits.take(False, "a").allowed
    assert not limits.take(False, "a").allowed


def test_the_busiest_second_and_hour_are_remembered() -> None:
    clock = Clock()
    limits = Limits(clock, enabled=False)
    for moment in (0.0, 0.5, 0.9, 1.4, 5.0):
        clock.now = moment
        limits.take(True, "a")
    limits.take(False, "a")
    assert limits.seconds[True].most == 3
    assert limits.seconds[False].most == 1
    assert limits.hour.most == 6
