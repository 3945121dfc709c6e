"""Requests never exceed the configured budget in any rolling window, and cancels never queue behind reads."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.coinbase.budget import Access, Budget, Priority, pausing
from bot.errors import RateLimited, Transient
from bot.settings.policy import RateLimitsPolicy


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, wait_s: float) -> None:
        self.now += wait_s


def budget(time: Time, jitter: Callable[[float, float], float] = lambda low, _: low, **policy: object) -> Budget:
    return Budget(RateLimitsPolicy.model_validate(policy), time.sleep, jitter, time)


@given(st.lists(st.tuples(st.sampled_from(Priority), st.floats(0, 0.7)), min_size=1, max_size=60))
def test_no_rolling_second_ever_holds_more_than_the_rate(calls: list[tuple[Priority, float]]) -> None:
    time = Time()
    limiter = budget(time, public_per_second="5")
    sent: list[tuple[float, Priority]] = []
    for priority, pause in calls:
        time.now += pause
        limiter.take("/time", Access.PUBLIC, priority)
        sent.append((time.now, priority))
    for at, priority in sent:
        window = [other for other, _ in sent if at - 1.0 < other <= at - 1e-9 or other == at]
        assert len(window) <= 5
        if priority is Priority.NORMAL:
            earlier = [other for other, _ in sent[: sent.index((at, priority)) + 1] if at - other < 1.0 - 1e-9]
            assert len(earlier) <= 4


def test_a_tighter_rate_binds_at_once_and_counts_what_was_sent_before() -> None:
    time = Time()
    limiter = budget(time, private_per_second="10", reserve_pct="20", hourly=100, max_wait_seconds="0.1")
    for _ in range(4):
        limiter.take("/accounts", Access.PRIVATE, Priority.URGENT)
    tight = RateLimitsPolicy.model_validate({"private_per_second": "5", "hourly": 50, "max_wait_seconds": "0.1"})
    limiter.configure(tight)
    assert (limiter.left()["private"], limiter.left()["hourly"]) == (1, 46)
    with pytest.raises(RateLimited):
        limiter.take("/accounts", Access.PRIVATE, Priority.NORMAL)
    limiter.take("/accounts", Access.PRIVATE, Priority.URGENT)
    with pytest.raises(RateLimited):
        limiter.take("/accounts", Access.PRIVATE, Priority.URGENT)


def test_reads_leave_the_reserve_to_cancels() -> None:
    time = Time()
    limiter = budget(time, private_per_second="10", reserve_pct="20")
    for _ in range(8):
        limiter.take("/accounts", Access.PRIVATE, Priority.NORMAL)
    assert not limiter.ready("/accounts", Access.PRIVATE, Priority.NORMAL)
    began = time.now
    limiter.take("/orders/batch_cancel", Access.PRIVATE, Priority.URGENT)
    limiter.take("/accounts", Access.PRIVATE, Priority.RECONCILE)
    assert time.now == began
    assert limiter.left()["private"] == 0


def test_the_hourly_budget_binds_both_classes() -> None:
    time = Time()
    limiter = budget(time, hourly=10, reserve_pct="20", max_wait_seconds="5")
    for access in (Access.PUBLIC, Access.PRIVATE) * 4:
        limiter.take("/x", access, Priority.NORMAL)
    with pytest.raises(RateLimited) as limited:
        limiter.take("/x", Access.PUBLIC, Priority.NORMAL)
    assert 3500 < limited.value.retry_after_s <= 3600
    limiter.take("/x", Access.PRIVATE, Priority.URGENT)
    assert limiter.left()["hourly"] == 1


def test_an_endpoint_can_have_a_tighter_budget() -> None:
    time = Time()
    limiter = budget(time, endpoints=({"path": "/products", "per_second": "0.5"},))
    limiter.take("/products", Access.PRIVATE, Priority.NORMAL)
    began = time.now
    limiter.take("/products", Access.PRIVATE, Priority.NORMAL)
    assert time.now - began == pytest.approx(2.0)
    limiter.take("/accounts", Access.PRIVATE, Priority.NORMAL)
    assert time.now - began == pytest.approx(2.0)


def test_after_a_429_nothing_of_that_class_is_sent_before_the_wait() -> None:
    time = Time()
    limiter = budget(time, max_wait_seconds="8")
    limiter.throttled(Access.PRIVATE, Priority.NORMAL, 10.0)
    with pytest.raises(RateLimited) as limited:
        limiter.take("/accounts", Access.PRIVATE, Priority.NORMAL)
    assert limited.value.retry_after_s == pytest.approx(10.0)
    time.now += 9.99
    assert not limiter.ready("/accounts", Access.PRIVATE, Priority.NORMAL)
    time.now += 0.02
    assert limiter.ready("/accounts", Access.PRIVATE, Priority.NORMAL)
    assert limiter.ready("/time", Access.PUBLIC, Priority.NORMAL)


def test_throttled_reads_do_not_stop_cancels_but_throttled_cancels_stop_everything_for_two_seconds() -> None:
    time = Time()
    limiter = budget(time)
    limiter.throttled(Access.PRIVATE, Priority.RECONCILE, 30.0)
    assert limiter.ready("/orders/batch_cancel", Access.PRIVATE, Priority.URGENT)
    limiter.throttled(Access.PRIVATE, Priority.URGENT, 30.0)
    assert not limiter.ready("/orders/batch_cancel", Access.PRIVATE, Priority.URGENT)
    assert not limiter.ready("/accounts", Access.PRIVATE, Priority.RECONCILE)
    time.now += 2.01
    assert limiter.ready("/orders/batch_cancel", Access.PRIVATE, Priority.URGENT)
    assert not limiter.ready("/accounts", Access.PRIVATE, Priority.RECONCILE)


def test_an_absurd_retry_after_is_capped() -> None:
    time = Time()
    limiter = budget(time)
    assert limiter.throttled(Access.PUBLIC, Priority.NORMAL, 86_400.0) == 60.0


def test_without_a_retry_after_the_wait_grows_by_attempt() -> None:
    limiter = budget(Time())
    waits = [limiter.throttled(Access.PUBLIC, Priority.NORMAL, None, attempt) for attempt in (1, 2, 3, 9)]
    assert waits == [2.0, 4.0, 8.0, 60.0]


def test_waiting_for_the_budget_ends_when_a_stop_is_asked_for() -> None:
    counts = iter([0, 0, 1, 1, 1])
    with pytest.raises(Transient, match="interrupted"):
        pausing(lambda: next(counts))(5.0)


def test_a_pause_lasts_as_long_as_asked() -> None:
    time = Time()

    def moving() -> float:
        time.now += 0.5
        return time.now

    pausing(lambda: 0, moving)(2.0)
    assert time.now >= 1002.0


def test_rates_are_decimals_of_the_policy() -> None:
    assert budget(Time(), public_per_second=Decimal("2.9")).left()["public"] == 2
