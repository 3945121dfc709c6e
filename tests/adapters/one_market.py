"""Market data of one market whose touch a test moves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.domain.market import Quote
from bot.domain.product import ProductId
from bot.domain.value import replace
from bot.ports import Clock, MarketFacts
from tests.builders import book, quote


@dataclass
class OneMarket:
    """Always fresh, always deep, never any bars."""

    clock: Clock
    bid: str = "100"
    ask: str = "100.02"

    def facts(self, market: ProductId) -> MarketFacts:
        levels = replace(book(bid=self.bid, ask=self.ask), at=self.clock.now())
        return MarketFacts(quote(bid=self.bid, ask=self.ask, at=self.clock.now()), levels, None)

    def requote(self, market: ProductId) -> Quote | None:
        return self.facts(market).quote

    def watch(self, needed_bars: object) -> None: ...

    def refresh(self, now: datetime) -> None: ...

    def guard(self, levels: object) -> None: ...

    def user_events(self) -> bool:
        return False
