"""The paper account: real quotes, the embedded matching core, and books of its own that survive a restart."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.adapters.venue_exchange import Surroundings, VenueExchange
from bot.domain.money import ZERO
from bot.domain.product import ProductId
from bot.errors import ExchangeError
from bot.ports import AccountReader, Clock, MarketData, MarketFacts, Storage
from bot.settings.config import Config
from bot.venue.market import MarketSlice
from bot.venue.memento import dump, restore
from bot.venue.rules import FillRules
from bot.venue.venue import Venue

PAPER: Final = "paper.json"
LATENCY: Final = timedelta(milliseconds=250)
"""How long a paper order is on its way: about what a real one needs."""


class PaperMarket:
    """Feeds the core with what the real market shows, for the markets in which something of ours works."""

    def __init__(self, venue: Venue, market: MarketData, clock: Clock, storage: Storage) -> None:
        self._venue = venue
        self._market = market
        self._clock = clock
        self._storage = storage
        self._saved = -1

    def catch_up(self) -> None:
        """Let the core live through what happened since the last time, and keep its books on disk."""
        now = self._clock.now()
        pieces = {}
        for product in self._venue.products():
            facts = self._market.facts(product.market)
            piece = slice_of(product.market, facts)
            if piece is not None:
                pieces[product.market] = piece
        self._venue.advance(now, pieces)
        self.save()

    def save(self) -> None:
        """Keep the books; nothing is written while nothing changed."""
        if self._venue.revision != self._saved:
            self._storage.write(PAPER, dump(self._venue))
            self._saved = self._venue.revision


def slice_of(market: ProductId, facts: MarketFacts) -> MarketSlice | None:
    """One instant of a market as a slice: the book as it stands, the newest trade as its price.

    A passive order fills when the touch has moved through it: the far side then trades at our price or better, so the
    slice's extremes include bid and ask, and its volume is what rests at the touch.
    """
    quote = facts.quote
    if quote is None:
        return None
    last = facts.last_trade.value if facts.last_trade is not None else quote.mid.value
    low, high = min(last, quote.ask.value), max(last, quote.bid.value)
    volume = max(quote.bid_size.value, quote.ask_size.value)
    return MarketSlice(
        market, quote.at, quote.at, last, high, low, last, volume, quote.bid.value, quote.ask.value, facts.book
    )


def paper_exchange(
    reader: AccountReader, market: MarketData, clock: Clock, config: Config, storage: Storage, *, shadow: bool
) -> VenueExchange:
    """The embedded account of paper and dry-run: what was kept, else opened with cash.

    shadow: dry-run, opened with the real account's balances when a key can read them.
    """
    rules = FillRules.for_ticks(config.policy.backtest, LATENCY)
    kept = storage.read(PAPER)
    if kept is not None:
        venue = restore(kept, rules)
    else:
        venue = Venue((), _opening(reader, config, shadow=shadow), rules, clock.now())
    live = PaperMarket(venue, market, clock, storage)
    return VenueExchange(venue, clock, Surroundings(live.catch_up, reader.products, reader.status))


def _opening(reader: AccountReader, config: Config, *, shadow: bool) -> Mapping[str, Decimal]:
    starting = dict(config.policy.paper.starting_cash)
    if not shadow:
        return starting
    try:
        real = {balance.currency: balance.total for balance in reader.balances()}
    except ExchangeError:
        return starting
    return {currency: amount for currency, amount in real.items() if amount > ZERO} or starting
