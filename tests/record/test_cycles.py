"""What is kept of a cycle is enough to judge its markets as they were judged."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.market import Book, Level
from bot.domain.money import Price, Size
from bot.domain.product import ProductId, Side
from bot.domain.state import State
from bot.errors import StateCorrupt, UnitError
from bot.record.cycles import cycle_of, inputs_of, near, read_config, read_inputs, state_at
from tests import builders

MARKET = ProductId("BTC-USD")
AT = datetime(2026, 11, 21, tzinfo=UTC)
WITHIN = Decimal(20)

sizes = st.lists(st.integers(1, 400), min_size=1, max_size=12)
gaps = st.lists(st.integers(1, 15), min_size=12, max_size=12)


def book(bids: list[int], asks: list[int], gap: list[int]) -> Book:
    """A book around 10 000 with whole sizes; levels `gap` apart."""

    def side(amounts: list[int], start: int, way: int) -> tuple[Level, ...]:
        prices = [start + way * sum(gap[:number]) for number in range(len(amounts))]
        return tuple(Level(Price(Decimal(p)), Size(Decimal(a))) for p, a in zip(prices, amounts, strict=True))

    return Book(MARKET, side(bids, 9_999, -1), side(asks, 10_001, 1), AT)


@given(sizes, sizes, gaps, st.integers(0, 3_000_000))
def test_a_cut_book_shows_the_depth_that_decides(bids, asks, gap, enough):
    """Less than enough is told exactly; enough stays enough."""
    whole = book(bids, asks, gap)
    cut = near(whole, WITHIN, Decimal(enough))
    assert (cut.bids[0], cut.asks[0]) == (whole.bids[0], whole.asks[0]), "the touch, and so the mid, is never cut"
    for taker in Side:
        full, left = whole.depth(taker, WITHIN, "USD").amount, cut.depth(taker, WITHIN, "USD").amount
        assert left == full if full < enough else left >= enough


def test_a_one_sided_book_is_kept_as_it_is():
    lonely = Book(MARKET, (), (Level(Price(Decimal(1)), Size(Decimal(1))),), AT)
    assert near(lonely, WITHIN, Decimal(1)) is lonely


def test_files_of_a_cycle_know_their_cycle():
    assert {cycle_of("20261121T140000.123-7.json"), cycle_of("20261121T140000.123-7.inputs.json")} == {
        "20261121T140000.123-7"
    }


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"snapshot": 1}'])
def test_damaged_inputs_are_an_error_and_no_guess(content):
    with pytest.raises(UnitError):
        read_inputs(content)
    with pytest.raises(UnitError):
        read_config(content)


def test_another_journal_is_not_taken_for_the_one_the_cycle_saw():
    inputs = inputs_of(builders.snapshot(state=State(seq=7, head="abc")), builders.config(), "1.2.3")
    assert state_at([State(seq=6, head="x"), State(seq=7, head="abc")], inputs).seq == 7
    with pytest.raises(StateCorrupt, match="another journal"):
        state_at([State(seq=7, head="other")], inputs)
    with pytest.raises(StateCorrupt, match="does not reach back to event 7"):
        state_at([State(seq=6, head="x")], inputs)
