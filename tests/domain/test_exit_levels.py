"""Stops and targets are measured from the fill price without fees, trails from the highest mark."""

from __future__ import annotations

from bot.domain.exit_levels import exit_levels
from tests.builders import position, price


def test_fees_do_not_move_the_stop():
    levels = exit_levels(position(amount=2, at=100, fees=5, stop_loss_pct=5, take_profit_pct=10))
    assert levels.stop == price(95)
    assert levels.target == price(110)
    assert levels.trail is None


def test_the_trail_follows_the_highest_mark_and_never_starts_below_entry():
    risen = position(at=100, trailing_stop_pct=10, high_mark=price(120))
    fallen = position(at=100, trailing_stop_pct=10, high_mark=price(80))
    assert exit_levels(risen).trail == price(108)
    assert exit_levels(fallen).trail == price(90)


def test_the_highest_stop_is_met_first():
    held = position(at=100, stop_loss_pct=5, trailing_stop_pct=10, high_mark=price(120))
    assert exit_levels(held).highest_stop == price(108)
    assert exit_levels(position(at=100)).highest_stop is None


def test_a_stop_at_zero_is_no_stop_and_an_unknown_cost_has_no_levels():
    assert exit_levels(position(stop_loss_pct=100)).stop is None
    assert exit_levels(position(at=0, stop_loss_pct=5)).stop is None
