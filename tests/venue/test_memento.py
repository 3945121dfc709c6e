"""An embedded account that restarts goes on exactly where it stopped."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bot.domain.money import Percent
from bot.errors import StateCorrupt
from bot.venue.memento import dump, restore
from bot.venue.orders import DOWN, BracketConfig, LimitGtc, LimitGtd, MarketIoc, StopLimit
from tests.venue.kit import BUY, MINUTE, SECOND, SELL, World, bars, book, bracket, d, ticks

RULES = [
    ticks(cancel_delay=3 * SECOND, edit_delay=2 * SECOND, hold_release_delay=5 * SECOND, latency=1.5 * SECOND),
    ticks(),
    bars(latency_bars=2, participation_pct=Percent(d("10"))),
]


def busy_world(rules) -> World:
    """Orders in every stage of life."""
    world = World(rules)
    world.tick("100", depth=book([("99.90", "5")], [("100.10", "5")]))
    world.placed(BUY, LimitGtc(d("3"), d("99"), True), attached=bracket("110", "95"))
    world.placed(BUY, LimitGtd(d("1"), d("98"), True, world.now + 30 * SECOND))
    world.placed(SELL, StopLimit(d("1"), d("90"), d("97"), DOWN))
    world.placed(SELL, BracketConfig(d("1"), d("104"), d("96")))
    edited, cancelled = world.placed(BUY, LimitGtc(d("1"), d("97"))), world.placed(BUY, LimitGtc(d("1"), d("96")))
    world.tick("100", volume="20")
    world.tick("98.50", volume="20")
    world.venue.edit(edited, d("97.50"), d("2"), world.now)
    world.venue.cancel([cancelled], world.now)
    world.placed(BUY, MarketIoc(quote_size=d("100")), attached=bracket("120", "90"))
    world.venue.transfer("EUR", d("5"), world.now)
    world.events += world.venue.drain()
    return world


def play_on(world: World) -> World:
    """The same future for everybody."""
    for price in ("99", "97.20", "104.50", "95", "94", "111"):
        world.tick(price, volume="30")
        world.send(BUY, LimitGtc(d("1"), d("90"), True))
    world.venue.advance(world.now + MINUTE, {})
    return world


@pytest.mark.parametrize("rules", RULES)
def test_a_restart_changes_nothing_that_happens_afterwards(rules) -> None:
    stayed, restarted = busy_world(rules), busy_world(rules)
    assert restarted.venue.working()
    restarted.venue = restore(dump(restarted.venue), rules)
    assert dump(stayed.venue) == dump(restarted.venue)
    for world in (stayed, restarted):
        # Market data is not kept: the next slice brings it, before anything else is asked.
        world.tick("100", volume="0", depth=book([("99.90", "5")], [("100.10", "5")]))
        play_on(world)
    assert restarted.events == stayed.events
    assert restarted.venue.orders() == stayed.venue.orders()
    assert restarted.venue.balances() == stayed.venue.balances()
    assert restarted.venue.fee_tier() == stayed.venue.fee_tier()
    assert len(stayed.venue.fills()) > 3
    assert set(restarted.venue.residuals().values()) == {0}


def test_a_client_id_stays_taken_over_a_restart() -> None:
    world = busy_world(ticks())
    taken = world.venue.orders()[0]
    again = restore(dump(world.venue), ticks())
    found = again.by_client_id(taken.client_order_id)
    assert found == taken


def test_the_bytes_stay_the_same_while_nothing_happens() -> None:
    world = busy_world(ticks())
    before, revision = dump(world.venue), world.venue.revision
    world.venue.advance(world.now + timedelta(seconds=1), {})
    assert (dump(world.venue), world.venue.revision) == (before, revision)
    world.venue.transfer("USD", d("1"), world.now)
    assert dump(world.venue) != before
    assert world.venue.revision == revision + 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.update(version=2),
        lambda data: data.pop("wallets"),
        lambda data: data["wallets"][0].update(available="99999"),
        lambda data: data["wallets"][0].update(available="-1"),
        lambda data: data["orders"][2]["record"]["config"].update(direction="SIDEWAYS"),
        lambda data: data.update(surprise=1),
    ],
)
def test_kept_bytes_that_cannot_be_trusted_are_refused(spoil) -> None:
    data = json.loads(dump(busy_world(ticks()).venue))
    spoil(data)
    with pytest.raises(StateCorrupt):
        restore(json.dumps(data).encode(), ticks())


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null"])
def test_bytes_that_are_no_account_are_refused(content: bytes) -> None:
    with pytest.raises(StateCorrupt):
        restore(content, ticks())
