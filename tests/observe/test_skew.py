"""Clock skew: the round trip and the resolution explain what they can, the rest is skew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import Transient
from bot.observe.skew import SkewMeter, offset_ms
from bot.settings.policy import ClockPolicy

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def ms(value: float) -> timedelta:
    return timedelta(milliseconds=value)


@given(st.floats(0, 2000), st.floats(0, 1))
def test_a_slow_answer_alone_is_never_skew(round_trip, share):
    """However the delay is split between the two ways, equal clocks show no skew."""
    assert offset_ms(T0, T0 + ms(round_trip * share), T0 + ms(round_trip)) == 0.0


@pytest.mark.parametrize(("ahead", "sign"), [(1500, 1), (-1500, -1)])
def test_a_real_offset_shows_with_its_sign(ahead, sign):
    found = offset_ms(T0 + ms(ahead), T0 + ms(10), T0 + ms(ahead + 20))
    assert found * sign == pytest.approx(1500 - 10 - 1, abs=0.5)


@dataclass
class Venue:
    """A clock and a venue whose time runs `behind` it."""

    behind: timedelta
    fails: bool = False
    asked: int = 0
    time: datetime = T0
    passed_s: float = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.passed_s

    def wait(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.passed_s += seconds

    def server_time(self) -> datetime:
        self.asked += 1
        if self.fails:
            raise Transient("no answer")
        return self.time - self.behind


def test_samples_are_taken_at_once_and_then_only_when_due():
    venue = Venue(timedelta(seconds=3))
    meter = SkewMeter(ClockPolicy())
    meter.measure_when_due(venue, venue)  # type: ignore[arg-type]
    assert meter.figure().samples == 3
    assert meter.figure().ms == pytest.approx(2999)
    meter.measure_when_due(venue, venue)  # type: ignore[arg-type]
    assert venue.asked == 3
    venue.wait(61)
    meter.measure_when_due(venue, venue)  # type: ignore[arg-type]
    assert venue.asked == 4


def test_a_failed_measurement_is_no_sample():
    venue = Venue(timedelta(0), fails=True)
    meter = SkewMeter(ClockPolicy())
    meter.measure_when_due(venue, venue)  # type: ignore[arg-type]
    assert meter.figure().samples == 0


def test_a_clock_that_was_set_is_measured_at_once():
    """With old samples in the median it would be trusted for minutes, across midnight and back."""
    venue = Venue(timedelta(0))
    meter = SkewMeter(ClockPolicy())
    meter.measure_when_due(venue, venue)  # type: ignore[arg-type]
    venue.wait(61)
    meter.measure_when_due(venue, venue)  # type: ignore[arg-type]
    assert venue.asked == 4
    venue.time += timedelta(hours=2)
    venue.behind = timedelta(hours=2)
    meter.measure_when_due(venue, venue)  # type: ignore[arg-type]
    assert meter.figure().ms == pytest.approx(7_200_000, abs=2)


@pytest.mark.parametrize(("behind_s", "trusted"), [(0.9, "ours"), (7200, "theirs")])
def test_a_clock_that_is_off_ends_no_period(behind_s, trusted):
    venue = Venue(timedelta(seconds=behind_s))
    meter = SkewMeter(ClockPolicy())
    meter.measure_when_due(venue, venue)  # type: ignore[arg-type]
    wanted = venue.time if trusted == "ours" else venue.time - venue.behind
    assert abs(meter.trusted(venue.time) - wanted) <= timedelta(milliseconds=2)
