"""A heart that has stopped is noticed in time; a clock that stands still or jumps, or a machine asleep, is not."""

from __future__ import annotations

import pytest

from bot.adapters.coinbase.silence import Silence

LOOK_S = 0.25


def test_on_one_clock_silence_is_the_time_since_the_last_heartbeat():
    silence = Silence(0, 100.0, 7.0)
    assert [silence.look(0, 100 + n * LOOK_S, 7 + n * LOOK_S) for n in range(1, 17)] == [
        n * LOOK_S for n in range(1, 17)
    ]
    assert silence.look(1, 104.25, 11.25) == 0


@pytest.mark.parametrize("looks", [1, 2, 3, 4])
def test_time_that_moves_in_lumps_hides_no_silence(looks: int):
    """A venue that steps only at every so-manieth look, at the pace of real time."""
    silence = Silence(0, 0.0, 0.0)
    heard = [silence.look(0, n * LOOK_S, n // looks * looks * LOOK_S) for n in range(1, 41)]
    assert heard == [n // looks * looks * LOOK_S for n in range(1, 41)]


def test_a_venue_that_stands_still_has_nothing_to_say():
    silence = Silence(0, 0.0, 5.0)
    assert [silence.look(0, float(n), 5.0) for n in range(60)] == [0.0] * 60


def test_a_venue_that_jumps_after_a_long_stand_is_given_time_to_be_heard():
    silence = Silence(0, 0.0, 5.0)
    silence.look(0, 300.0, 5.0)
    assert silence.look(0, 300.25, 605.0) == 1.0


def test_a_machine_that_slept_reads_what_waits_before_it_judges():
    silence = Silence(0, 0.0, 0.0)
    assert silence.look(0, 3600.0, 3600.0) == 1.0


def test_many_small_moves_within_one_second_of_trading_are_no_silence():
    silence = Silence(0, 0.0, 0.0)
    assert max(silence.look(0, 5.0 * n, 0.1 * n) for n in range(1, 10)) < 1
