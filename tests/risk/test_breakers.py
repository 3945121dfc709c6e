"""Breakers count, trip, cool off and latch; a lasting condition keeps them open."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.product import TradingMode
from bot.domain.snapshot import ExchangeStatus, StatusLevel
from bot.domain.state import BreakerState, is_open
from bot.domain.value import replace
from bot.risk.breakers import (
    NAMES,
    breaker_name,
    breaker_policy,
    closed,
    hit,
    measured,
    moved_pct,
    observed,
    reset,
    scope_of,
    tick,
)
from bot.settings.policy import BreakerPolicy
from tests.builders import NOW, d, market, pid, policy, snapshot, state, windows

THREE = BreakerPolicy.model_validate({"threshold": 3, "window_seconds": 60, "cooloff_seconds": 100})


def after(seconds: float):
    return NOW + timedelta(seconds=seconds)


def struck(*seconds: float, rules: BreakerPolicy = THREE) -> BreakerState:
    breaker = closed("api_errors")
    for second in seconds:
        breaker = hit(breaker, after(second), rules, "boom")
    return breaker


def test_it_trips_at_the_threshold_and_not_before():
    assert not is_open(struck(0, 1), after(1))
    tripped = struck(0, 1, 2)
    assert is_open(tripped, after(2))
    assert tripped.detail == "3 hits in 60 s: boom"


def test_hits_outside_the_window_are_forgotten():
    assert not is_open(struck(0, 1, 61), after(61))
    assert is_open(struck(0, 2, 3, 61), after(61))


def test_it_closes_by_itself_after_its_cool_off():
    tripped = struck(0, 1, 2)
    assert is_open(tripped, after(101.9))
    assert not is_open(tripped, after(102))
    assert tick(tripped, after(102), THREE) == closed("api_errors")


def test_a_hit_while_open_keeps_it_open_for_another_cool_off():
    longer = hit(struck(0, 1, 2), after(50), THREE)
    assert is_open(longer, after(150))
    assert longer.since == after(2)


def test_a_lasting_condition_does_not_write_an_event_each_second():
    longer = hit(struck(0, 1, 2), after(50), THREE)
    assert hit(longer, after(51), THREE) == longer


def test_after_the_cool_off_it_takes_a_new_burst_to_trip():
    tripped = struck(0, 1, 2)
    assert not is_open(hit(tripped, after(200), THREE), after(200))


def test_one_that_latches_stays_open_until_an_operator_resets_it():
    latching = THREE.model_copy(update={"reset": "latch"})
    tripped = struck(0, 1, 2, rules=latching)
    assert is_open(tripped, NOW + timedelta(days=400))
    assert tick(tripped, NOW + timedelta(days=400), latching) == tripped
    assert not is_open(reset(tripped), NOW)


def test_one_that_is_off_never_trips():
    off = THREE.model_copy(update={"enabled": False})
    assert struck(0, 1, 2, rules=off) == closed("api_errors")
    assert measured(closed("volatility"), NOW, off, d(99), "") == closed("volatility")


@given(st.lists(st.floats(0, 1000), max_size=40))
def test_its_memory_is_bounded_and_a_burst_always_trips(seconds):
    ordered = sorted(seconds)
    breaker = struck(*ordered)
    assert len(breaker.hits) <= 3
    assert len(struck(*ordered, rules=THREE.model_copy(update={"window_seconds": d(9999)})).hits) <= 3
    burst = hit(hit(hit(breaker, after(1001), THREE), after(1002), THREE), after(1003), THREE)
    assert is_open(burst, after(1003))


def test_a_measurement_trips_at_its_limit():
    at_five = BreakerPolicy.model_validate({"threshold": 5, "cooloff_seconds": 100})
    assert not measured(closed("volatility"), NOW, at_five, d("4.99"), "").open
    tripped = measured(closed("volatility"), NOW, at_five, d(5), "moved")
    assert is_open(tripped, after(99))
    held = measured(tripped, after(50), at_five, d(6), "moved")
    assert is_open(held, after(149))
    assert is_open(measured(tripped, after(50), at_five, d(1), ""), after(99)), "calm does not shorten the cool-off"


def test_a_market_move_spans_its_highest_high_and_lowest_low():
    bars = windows([100, 110, 105], highs=[100, 120, 106], lows=[100, 100, 96])
    assert moved_pct(bars, d(180)) == d(25)
    assert moved_pct(bars, d(60)) == d("10.416667")
    assert moved_pct(bars, d(240)) is None


def test_every_breaker_of_the_policy_has_a_name_and_a_policy():
    assert len(NAMES) == 11
    assert all(breaker_policy(policy().risk.breakers, name).threshold > 0 for name in NAMES)
    assert breaker_name("volatility", pid("SOL-USD")) == "volatility:SOL-USD"
    assert scope_of("volatility:SOL-USD") == "SOL-USD"
    assert scope_of("volatility") is None


def names_opened(snap, rules=None) -> set[str]:
    return {b.name for b in observed(snap, rules or policy()) if b.open}


def crashed(name: str):
    return market(name, windows=windows([100] * 14 + [80], name))


def test_a_crash_of_one_coin_stops_that_coin_and_one_of_the_leader_stops_everything():
    assert names_opened(snapshot([crashed("SOL-USD")])) == {"volatility:SOL-USD"}
    assert names_opened(snapshot([crashed("BTC-USD")])) == {"volatility:BTC-USD", "volatility"}


@pytest.mark.parametrize(
    ("low", "high", "opens"),
    [
        (10**6, 1_119_999, False),
        (10**6, 1_120_000, True),
        (10**9, 1_119_999_999, True),  # 11.9999999 %, which is 12 as it is told
        (10**6, 1_110_000, False),
        (10**6, 1_110_001, False),
    ],
)
def test_a_move_trips_at_its_limit_as_it_is_told(low, high, opens):
    rules = policy(risk={"breakers": {"volatility": {"threshold": 12}}})
    moved = market("SOL-USD", windows=windows([low] * 14 + [high], "SOL-USD"))
    assert bool(names_opened(snapshot([moved]), rules)) is opens


@pytest.mark.parametrize(
    ("level", "opens"), [("minor", False), ("major", True), ("critical", True), ("unknown", False)]
)
def test_only_a_stated_outage_opens_the_status_breaker(level, opens):
    status = ExchangeStatus(StatusLevel(level), "API", NOW)
    assert ("exchange_status" in names_opened(snapshot(exchange_status=status))) is opens


def test_a_restricted_product_opens_its_own_breaker_and_stays_shut_a_while_after():
    shut = snapshot([market("SOL-USD", mode=TradingMode.CANCEL_ONLY, mode_reason="cancel_only")])
    (breaker,) = observed(shut, policy())
    assert breaker.name == "product_status:SOL-USD"
    normal = snapshot([market("SOL-USD")], account=state(breakers={breaker.name: breaker}), now=after(599))
    assert observed(normal, policy()) == ()
    healed = observed(replace(normal, now=after(600)), policy())
    assert [b.open for b in healed] == [False]


def test_too_many_stale_markets_count_towards_the_stale_breaker():
    half = snapshot(stale_fraction=d("0.51"))
    (breaker,) = observed(half, policy())
    assert (breaker.name, breaker.open, breaker.hits) == ("stale_data", False, (NOW,))
    assert observed(snapshot(stale_fraction=d("0.5")), policy()) == ()


def test_a_calm_market_changes_nothing():
    assert observed(snapshot([market()]), policy()) == ()
