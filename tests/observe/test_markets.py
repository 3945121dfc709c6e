"""How old a quote or a bar may be, to the very second."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.decision import Reason
from bot.domain.snapshot import Problem
from bot.observe.markets import RecentBids, bars_problem, quote_problem, stale_fraction
from bot.ports import MarketFacts
from bot.settings.policy import DataPolicy
from tests.builders import NOW, ListWindows, market, pid, price, quote

POLICY = DataPolicy()  # quotes at most 5 s old, bars at most 180 s


def facts(*, bars: bool = True) -> MarketFacts:
    """A quote of noon, and one minute bars of which the newest closed at noon."""
    windows = ListWindows(pid("BTC-USD"), [1, 1], [1, 1], [1, 1], [0, 0], end=int(NOW.timestamp())) if bars else None
    return MarketFacts(quote(), None, windows)


def reason(problem: Problem | None) -> Reason | None:
    return None if problem is None else problem.reason


@pytest.mark.parametrize(
    ("seconds", "found"), [(0, None), (5, None), (5.1, Reason.QUOTE_STALE), (60, Reason.QUOTE_STALE)]
)
def test_a_quote_is_used_up_to_its_limit_and_not_a_moment_longer(seconds, found):
    assert reason(quote_problem(facts(), NOW + timedelta(seconds=seconds), POLICY)) is found


@pytest.mark.parametrize(
    ("seconds", "found"),
    [(0, None), (240, None), (241, Reason.BARS_STALE), (3600, Reason.BARS_STALE), (-1, Reason.BARS_STALE)],
)
def test_bars_are_used_up_to_their_limit_after_the_next_should_have_closed(seconds, found):
    """The newest bar is always up to one bar old: the limit counts from when the next one was due."""
    assert reason(bars_problem(facts(), NOW + timedelta(seconds=seconds), POLICY)) is found


def test_what_never_came_is_told_as_missing():
    nothing = MarketFacts(None, None, None, quote_error="not watched", windows_error="warming up")
    assert quote_problem(nothing, NOW, POLICY) == Problem(Reason.QUOTE_MISSING, "not watched")
    assert bars_problem(nothing, NOW, POLICY) == Problem(Reason.BARS_MISSING, "warming up")


def test_a_market_without_a_usable_quote_counts_as_stale():
    assert stale_fraction([]) == 0
    assert stale_fraction([market(), market(bid=None)]) * 2 == 1


def test_a_price_exit_is_confirmed_by_quotes_of_different_times_alone():
    seen = RecentBids(2)
    first, later = quote(bid="99"), quote(bid="98", at=NOW + timedelta(seconds=1))
    assert seen.add(first.product, first) == seen.add(first.product, first) == (price(99),)
    assert seen.add(later.product, later) == (price(99), price(98))
    assert seen.add(first.product, quote(bid="1")) == (price(99), price(98)), "older than what is known"
    newest = quote(bid="97", at=NOW + timedelta(seconds=2))
    assert seen.add(newest.product, newest) == (price(98), price(97))
    assert seen.add(pid("ETH-USD"), first) == (price(99),)


def test_a_changed_number_of_confirmations_keeps_the_newest_bids():
    seen, market_id = RecentBids(3), pid("BTC-USD")
    for second in range(4):
        seen.add(market_id, quote(bid=str(90 + second), at=NOW + timedelta(seconds=second)))
    seen.keep(2)
    newest = quote(bid="93", at=NOW + timedelta(seconds=3))
    assert seen.add(market_id, newest) == (price(92), price(93))
    seen.keep(3)
    assert seen.add(market_id, quote(bid="94", at=NOW + timedelta(seconds=4))) == (price(92), price(93), price(94))
