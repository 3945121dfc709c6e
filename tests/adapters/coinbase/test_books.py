"""A book is shown only whole, near the mid, and never across a gap."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.coinbase.books import LiveBook
from bot.adapters.coinbase.wire.frame import LevelChange
from bot.domain.product import ProductId, Side
from bot.errors import UnitError

AT = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
BTC = ProductId("BTC-USD")


def change(side: Side, price: str | int, size: str | int = 1) -> LevelChange:
    return LevelChange(side, Decimal(price), Decimal(size))


def bid(price: str | int, size: str | int = 1) -> LevelChange:
    return change(Side.BUY, price, size)


def ask(price: str | int, size: str | int = 1) -> LevelChange:
    return change(Side.SELL, price, size)


def book(*changes: LevelChange) -> LiveBook:
    made = LiveBook(BTC)
    made.snapshot(changes or (bid(99), bid(98), ask(101), ask(102)), AT)
    return made


def shown(live: LiveBook) -> tuple[list[str], list[str]]:
    view = live.book(AT)
    assert view is not None
    return [str(row.price) for row in view.bids], [str(row.price) for row in view.asks]


def test_a_snapshot_is_shown_best_first() -> None:
    live = book(bid("99.5"), bid(99), ask("100.5"), ask(101))
    assert shown(live) == (["99.5", "99"], ["100.5", "101"])


def test_updates_set_absolute_sizes_and_zero_removes() -> None:
    live = book(bid("99.5"), bid(99), ask("100.5"), ask(101))
    live.apply([bid("99.5", 0), bid("99.2", 7), ask("100.5", 3), ask("100.9", 0)], AT)
    quote = live.quote(AT)
    assert quote is not None
    assert (str(quote.bid), str(quote.bid_size), str(quote.ask_size)) == ("99.2", "7", "3")


def test_levels_beyond_two_percent_of_the_mid_are_not_shown() -> None:
    live = book(bid("99.5"), bid(97), ask("100.5"), ask(103))
    assert shown(live) == (["99.5"], ["100.5"])


def test_nothing_is_shown_after_a_gap_until_the_next_snapshot() -> None:
    live = book()
    live.invalidate()
    live.apply([bid("99.9")], AT)
    assert (live.quote(AT), live.book(AT), live.needs_snapshot) == (None, None, True)
    live.snapshot([bid(99), ask(101)], AT)
    assert live.quote(AT) is not None


def test_a_one_sided_book_gives_no_quote_and_asks_again() -> None:
    live = book(bid(99))
    assert live.quote(AT) is None
    assert live.needs_snapshot


def test_a_crossed_book_raises_and_asks_again_when_it_stays_so() -> None:
    live = book()
    live.apply([bid(101, 2)], AT)
    with pytest.raises(UnitError, match="crossed"):
        live.quote(AT)
    assert not live.needs_snapshot
    for _ in range(25):
        live.apply([bid(98, 3)], AT)
    assert live.needs_snapshot


def test_a_level_far_from_the_snapshots_mid_is_never_the_touch() -> None:
    """Levels out there were not kept at the snapshot, so a lone update would pose as the best of them."""
    live = book()
    live.apply([bid(90), bid(99, 0), bid(98, 0)], AT)
    assert live.quote(AT) is None


def test_a_mid_that_drifts_asks_for_the_book_again_before_the_kept_levels_end() -> None:
    live = book(*(bid(price) for price in range(96, 100)), *(ask(price) for price in range(101, 106)))
    live.apply([bid(99, 0), bid(98, 0), bid(97, 0), ask(97)], AT)
    assert live.needs_snapshot


@given(st.lists(st.tuples(st.sampled_from(Side), st.integers(9800, 10200), st.integers(0, 3)), max_size=60))
def test_the_kept_book_equals_a_plain_dictionary(updates: list[tuple[Side, int, int]]) -> None:
    live = book(bid(90), ask(110), bid(99), ask(101))
    plain = {(Side.BUY, Decimal(99)): Decimal(1), (Side.SELL, Decimal(101)): Decimal(1)}
    for side, cents, size in updates:
        price = Decimal(cents) / 100
        live.apply([LevelChange(side, price, Decimal(size))], AT)
        plain[side, price] = Decimal(size)
    bids = [price for (side, price), size in plain.items() if side is Side.BUY and size]
    asks = [price for (side, price), size in plain.items() if side is Side.SELL and size]
    expected = (max(bids), min(asks)) if bids and asks else None
    assert live.best() == expected
