"""Entries: rest at the touch, time out, be quoted again under risk's eye, and never exceed what was approved."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.order import OrderType
from tests.builders import NOW, price, size
from tests.execution.world import World, buy


def test_an_entry_rests_at_the_bid_and_dies_by_itself_a_minute_after_its_time():
    world = World()
    world.cycle(buy("1"))
    _, sent = world.exchange.posts[0]
    assert (sent.type, sent.limit_price, sent.size) == (OrderType.LIMIT_POST_ONLY, price("100"), size(1))
    assert sent.end_time == NOW + timedelta(seconds=45 + 60)
    assert world.states() == ["OPEN"]


def test_a_fill_becomes_a_position_and_closes_the_intent():
    world = World()
    world.cycle(buy("1"))
    world.exchange.fill("order-1", "1")
    world.cycle()
    assert world.states() == ["FILLED"]
    assert world.held == 1
    world.clock.pass_(2)
    world.cycle()
    assert world.state.intents[1].closed
    world.check()
