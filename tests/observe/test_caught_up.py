"""Bars that closed while nobody looked are judged when somebody looks again, as if each had been seen."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.market import Quote
from bot.domain.money import Price, Size
from bot.observe.tickguard import TickGuard
from bot.ports import MarketFacts
from bot.settings.policy import DataPolicy
from bot.triggers.indicators import LiveWindows
from tests.builders import NOW, series

POLICY = DataPolicy()
NAME = series([1]).product


def facts(closes: list[int], upto: int) -> tuple[MarketFacts, datetime]:
    made = series(closes).slice(0, upto)
    at = NOW - timedelta(minutes=len(closes) - upto)
    bid = Decimal(closes[upto - 1]) / 100
    quote = Quote(NAME, Price(bid), Price(bid + Decimal("0.01")), Size(Decimal(1)), Size(Decimal(1)), at)
    return MarketFacts(quote, None, LiveWindows(made)), at


def problems(closes: list[int], looks: list[int]) -> list[bool]:
    """Whether the newest bar and quote were held back at each look, by how many bars had closed."""
    guard, found = TickGuard(POLICY), []
    for upto in looks:
        seen, at = facts(closes, upto)
        found.append((guard.bars_problem(NAME, seen, at), guard.quote_problem(NAME, seen, at)) != (None, None))
    return found


def test_a_market_that_drifted_away_while_nobody_looked_is_believed():
    drift = [10_000 - 90 * minute for minute in range(40)]
    assert drift[-1] < drift[0] * 0.8
    assert problems(drift, [2, 40]) == [False, False]


def test_a_leap_among_the_bars_nobody_saw_is_still_doubted():
    leap = [10_000] * 20 + [13_000] * 20
    assert problems(leap, [2, 40]) == [False, True]


@given(st.lists(st.integers(-300, 300), min_size=10, max_size=40), st.data())
def test_looking_seldom_and_looking_always_end_alike_in_a_steady_market(moves, data):
    closes = [20_000]
    for move in moves:
        closes.append(max(5_000, closes[-1] + move))
    assert all(abs(after - before) <= before / 10 for before, after in pairwise(closes))
    skipped = data.draw(st.integers(3, len(closes)))
    always = problems(closes, list(range(2, len(closes) + 1)))
    seldom = problems(closes, [2, skipped, len(closes)])
    assert always[-1] is seldom[-1] is False
