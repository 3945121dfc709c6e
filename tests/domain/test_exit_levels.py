"""Stops and targets are measured from the fill price without fees, trails from the highest mark."""

from __future__ import annotations

from tests.builders import position, price


def test_fees_do_not_move_the_stop():
    levels = position(amount=2, at=100, fees=5, stop_loss_pct=5, take_profit_pct=10).exit_levels
    assert levels.stop == price(95)
    assert levels.target == price(110)
    assert levels.trail is None


def test_the_trail_follows_the_highest_mark_and_never_starts_below_entry():
    risen = position(at=100, trailing_stop_pct=10, high_mark=price(120))
    fallen = position(at=100, trailing_stop_pct=10, high_mark=price(80))
    assert risen.exit_levels.trail == price(108)
    assert fallen.exit_levels.trail == price(90)


def test_the_highest_stop_is_met_first():
    held = position(at=100, stop_loss_pct=5, trailing_stop_pct=10, high_mark=price(120))
    assert held.exit_levels.highest_stop == price(108)
    assert position(at=100).exit_levels.highest_stop is None


def test_a_stop_at_zero_is_no_stop_and_an_unknown_cost_has_no_levels():
    assert position(stop_loss_pct=100).exit_levels.stop is None
    assert position(at=0, stop_loss_pct=5).exit_levels.stop is None
