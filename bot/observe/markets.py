"""From what MarketData knows to what a decision may use: staleness and bad ticks are judged here, with reasons."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal

from bot.domain.decision import Reason
from bot.domain.market import Quote
from bot.domain.money import ZERO, Price
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import MarketView, Problem
from bot.ports import MarketFacts
from bot.settings.policy import DataPolicy


def quote_problem(facts: MarketFacts, now: datetime, policy: DataPolicy) -> Problem | None:
    """Why the quote may not be used, judged by its age alone."""
    if facts.quote is None:
        return Problem(Reason.QUOTE_MISSING, facts.quote_error or "no quote yet")
    age, limit = facts.quote.age_s(now), float(policy.max_quote_staleness_seconds)
    if age > limit:
        return Problem(Reason.QUOTE_STALE, f"quote is {age:.1f} s old, limit {limit:g} s")
    return None


def bars_problem(facts: MarketFacts, now: datetime, policy: DataPolicy) -> Problem | None:
    """Why the bars may not be used: none, or the newest closed too long ago."""
    windows = facts.windows
    if windows is None or windows.length == 0:
        return Problem(Reason.BARS_MISSING, facts.windows_error or "no bars yet")
    age, limit = now.timestamp() - windows.end, float(policy.max_bar_staleness_seconds) + windows.granularity
    if age > limit:
        return Problem(Reason.BARS_STALE, f"newest bar closed {age:.0f} s ago, limit {timedelta(seconds=limit)}")
    if age < 0:
        return Problem(Reason.BARS_STALE, f"newest bar closes {-age:.0f} s in the future")
    return None


def view(
    product: Product, facts: MarketFacts, quote: Problem | None, bars: Problem | None, bids: tuple[Price, ...] = ()
) -> MarketView:
    """One market as a decision sees it: parts with a problem are taken out."""
    return MarketView(
        product=product,
        quote=facts.quote if quote is None else None,
        book=facts.book if quote is None else None,
        windows=facts.windows if bars is None else None,
        quote_problem=quote,
        bars_problem=bars,
        last_trade=facts.last_trade,
        bids=bids if quote is None else (),
    )


def stale_fraction(views: Collection[MarketView]) -> Decimal:
    """Share of the watched markets without a usable quote, 0 to 1."""
    stale = 0
    for item in views:
        stale += item.quote is None
    return Decimal(stale) / Decimal(len(views)) if stale else ZERO


class RecentBids:
    """The best bids of each market's newest accepted quotes; the same quote seen twice counts once."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._seen: dict[ProductId, tuple[datetime, tuple[Price, ...]]] = {}

    def keep(self, count: int) -> None:
        """Remember so many from now on, the newest of those that are known among them."""
        if count != self._kept:
            self._kept = count
            self._seen = {market: (at, bids[-count:]) for market, (at, bids) in self._seen.items()}

    def add(self, market: ProductId, quote: Quote) -> tuple[Price, ...]:
        """Take notice of a quote; answers the bids known now, oldest first."""
        newest, bids = self._seen.get(market, (None, ()))
        if newest is None or quote.at > newest:
            bids = (*bids, quote.bid)[-self._kept :]
            self._seen[market] = quote.at, bids
        return bids
