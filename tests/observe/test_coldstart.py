"""What a first start takes into the books: each holding as it stands, with a cost only when its fills explain it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.domain.event import CursorMoved, FillsKnown, PositionAdopted
from bot.domain.order import Fill, Liquidity
from bot.domain.position import Origin, Position
from bot.domain.product import Side
from bot.domain.snapshot import Balance
from bot.domain.state import Ledger, State
from bot.observe.coldstart import holdings, opening, unopened
from bot.observe.valuation import Mark
from tests.builders import NOW, d, pid, price, size

BTC = pid("BTC-USD")
MARKETS = {"BTC": BTC}
MARKS = {BTC: Mark(price(200), NOW)}


def fill(number: int, side: Side, amount: str, at: str = "100", fee: str = "1", **changes: str) -> Fill:
    """One past trade, a minute after the one before."""
    return Fill(
        f"e{number}", f"t{number}", f"o{number}", BTC, side, price(at), size(amount), d(amount) * d(at), d(fee),
        NOW - timedelta(days=1) + timedelta(minutes=number), Liquidity.TAKER, **changes,
    )  # fmt: skip


def adopted(*fills: Fill, held: str = "2", marks: dict = MARKS) -> list[Position]:
    wallets = {"BTC": Balance("BTC", d(held), d(0)), "USD": Balance("USD", d(500), d(0))}
    return [event.position for event in holdings(fills, wallets, MARKETS, marks, NOW)]


def test_a_holding_its_fills_explain_exactly_has_their_cost_fees_in():
    """Two bought at 100 and one at 130, one sold: first in, first out."""
    (position,) = adopted(fill(1, Side.BUY, "2"), fill(2, Side.BUY, "1", "130"), fill(3, Side.SELL, "1", "150"))
    assert [lot.origin for lot in position.lots] == [Origin.REBUILT, Origin.REBUILT]
    assert position.size == size(2)
    assert position.cost == Decimal("100.5") + 131
    assert position.opened_at == NOW - timedelta(days=1) + timedelta(minutes=1)


@pytest.mark.parametrize(
    "fills",
    [
        (),
        (fill(1, Side.BUY, "1"),),
        (fill(1, Side.BUY, "3"),),
        (fill(1, Side.SELL, "1"), fill(2, Side.BUY, "2")),
        (fill(1, Side.BUY, "2", adjustment="CORRECTION"),),
    ],
    ids=["none", "half of it", "more than it", "sold before it was bought", "corrected afterwards"],
)
def test_a_holding_its_fills_do_not_explain_starts_at_the_first_mark_and_says_so(fills):
    """A cost made of half a history would be a profit nobody made."""
    (position,) = adopted(*fills)
    (lot,) = position.lots
    assert (lot.origin, lot.cost, lot.at) == (Origin.ADOPTED, d(400), NOW)
    assert position.size == size(2)


def test_what_was_there_before_is_nobodys_to_sell():
    for position in (*adopted(), *adopted(fill(1, Side.BUY, "2"))):
        assert not position.managed
        assert position.exits.stop_loss_pct is None


def test_a_holding_without_a_price_waits_for_one_and_an_empty_wallet_is_none():
    assert adopted(marks={}) == []
    assert adopted(held="0") == []


def test_the_opening_knows_every_past_fill_so_that_none_is_booked_again():
    past = (fill(1, Side.BUY, "2"), fill(2, Side.BUY, "1", adjustment="CORRECTION"))
    wallets = {"BTC": Balance("BTC", d(3), d(0))}
    known, cursor, adoption = opening(past, wallets, MARKETS, MARKS, NOW)
    assert isinstance(known, FillsKnown)
    assert known.rows == {"e1": ("o1", "t1", past[0].at), "e2": ("o2", "", past[1].at)}
    assert cursor == CursorMoved(NOW)
    assert isinstance(adoption, PositionAdopted)


@pytest.mark.parametrize(
    ("ledger", "waits"),
    [
        (Ledger(d(2), NOW), True),
        (Ledger(d(0), NOW), False),
        (Ledger(d(2), NOW, d(1)), False),
    ],
    ids=["held and still", "never held", "moved since"],
)
def test_only_what_was_held_at_the_opening_and_has_not_moved_is_adopted_later(ledger, waits):
    assert bool(unopened(State(ledgers={"BTC": ledger}), MARKETS)) is waits
    known = State(ledgers={"BTC": ledger}, ignored=(BTC,))
    assert unopened(known, MARKETS) == {}
