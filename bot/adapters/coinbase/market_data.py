"""Port MarketData on Coinbase: quotes from the feed with REST behind it, bars from REST with the disk behind it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.coinbase.budget import Access, Priority
from bot.adapters.coinbase.client import Endpoint, ReadClient
from bot.adapters.coinbase.market_link import Band
from bot.adapters.coinbase.planner import CANDLES_PER_CALL
from bot.adapters.coinbase.tape import (
    Tape,
    anchored,
    cut,
    doubtful,
    empty,
    extended,
    first_change,
    fitting_scale,
    prepended,
    rescaled,
)
from bot.adapters.coinbase.transport import Interruptions
from bot.adapters.coinbase.units import seconds
from bot.adapters.coinbase.wire import product as listings
from bot.adapters.coinbase.wire.frame import Trade
from bot.adapters.coinbase.wire.read import Fields
from bot.domain.bars import Bar, BarSeries, Scale, Windows
from bot.domain.market import Book, Quote
from bot.domain.money import Price
from bot.domain.product import Product, ProductId
from bot.domain.value import Value
from bot.errors import AuthRefused, CriticalDataUnavailable, ExchangeError, NotFound, UnitError
from bot.ports import Clock, MarketFacts
from bot.settings.policy import DataPolicy

OVERLAP_BARS: Final = 5
"""Every top-up asks again for this many bars: one published late mends a minute taken for quiet."""

EMPTY_PAGES_MAX: Final = 4
"""After so many empty pages in a row the market is taken to have had no earlier trade."""

EMPTY_SAID: Final = 3
"""How often a page must come empty before silence is believed, where no bar that is known shows it to be complete."""

BOOK_LEVELS: Final = 250
UNKNOWN_MARKET_PAUSE_S: Final = 600.0
FAILURES_MAX: Final = 2
_SHARES: Final = (0.5, 0.7, 1.0)


class LiveFeed(Protocol):
    """What is read from the feed; `bot.adapters.coinbase.feed.Feed` is one."""

    def watch(self, markets: Sequence[ProductId]) -> None: ...
    def quote(self, market: ProductId) -> Quote | None: ...
    def book(self, market: ProductId) -> Book | None: ...
    def last_trade(self, market: ProductId) -> Trade | None: ...
    def user_hint(self) -> bool: ...
    def guard(self, bands: Mapping[ProductId, Band]) -> None: ...


class Sources(Value):
    """Where data comes from. product_of: the listing of a market, None while unknown; windows: statistics of a series.

    feed None: REST alone.
    """

    client: ReadClient
    feed: LiveFeed | None
    store: BarStore
    product_of: Callable[[ProductId], Product | None]
    windows: Callable[[BarSeries], Windows]


class _Market:
    """What is held of one market between refreshes."""

    def __init__(self) -> None:
        self.tape: Tape | None = None
        self.windows: Windows | None = None
        self.windows_error = "no bars were fetched yet"
        self.book: Book | None = None
        self.quote_error = "no quote was fetched yet"
        self.loaded = False
        self.needed = 0
        self.empty_pages = 0
        self.silences = 0
        self.paused_until = -math.inf

    def need(self, count: int) -> None:
        """`count` closed bars from now on; 0: quotes only."""
        if count > self.needed:
            self.empty_pages = 0
        self.needed = count


class CoinbaseMarketData:
    """Port MarketData. Bars first for every market (newest), then older ones, then quotes the feed cannot give.

    refresh_s: most wall seconds one refresh may take; what is left out then is said in `facts` and done next time.
    """

    def __init__(
        self,
        sources: Sources,
        policy: DataPolicy,
        clock: Clock,
        interruptions: Interruptions = lambda: 0,
        refresh_s: float = 20.0,
    ) -> None:
        self._from = sources
        self._policy = policy
        self._step = policy.bar_granularity.value
        self._lag_s = seconds(policy.bar_close_lag_seconds)
        self._fresh_s = seconds(policy.max_quote_staleness_seconds)
        self._clock = clock
        self._interruptions = interruptions
        self._refresh_s = refresh_s
        self._markets: dict[ProductId, _Market] = {}
        self._turn = 0
        self.store_error = ""

    def configure(self, policy: DataPolicy) -> None:
        """Ask for what is older than this by a request, from now on; bars stay what a start made of them."""
        self._fresh_s = seconds(policy.max_quote_staleness_seconds)

    def watch(self, needed_bars: Mapping[ProductId, int]) -> None:
        self._markets = {market: self._markets.get(market) or _Market() for market in needed_bars}
        for market, count in needed_bars.items():
            self._markets[market].need(count)
        if self._from.feed is not None:
            self._from.feed.watch(tuple(needed_bars))

    def refresh(self, now: datetime) -> None:
        """Raises AuthRefused only; a stop, a dead venue or a spent budget leave the rest for the next time."""
        closed = int(now.timestamp() - self._lag_s) // self._step * self._step
        newest, older, quotes = self._runs()
        self._for_each(newest, lambda market, held: self._top_up(market, held, closed, newest), _note_bars)
        self._for_each(older, lambda market, held: self._backfill(market, held, older), _note_bars)
        self._for_each(quotes, lambda market, held: self._fetch_book(market, held, now), _note_quote)
        self._turn += 1

    def facts(self, market: ProductId) -> MarketFacts:
        held = self._markets.get(market)
        if held is None:
            return MarketFacts(None, None, None, quote_error="not watched", windows_error="not watched")
        quote, book, quote_error = self._best(market, held)
        trade = self._from.feed.last_trade(market) if self._from.feed is not None else None
        return MarketFacts(
            quote=quote,
            book=book,
            windows=held.windows,
            last_trade=trade.price if trade is not None else None,
            last_trade_at=trade.at if trade is not None else None,
            quote_error=quote_error,
            windows_error="" if held.windows is not None else held.windows_error,
        )

    def requote(self, market: ProductId) -> Quote | None:
        """From the feed while its evidence is fresh, else one REST book; whichever is newer."""
        held = self._markets.get(market)
        if held is None:
            return None
        now = self._clock.now()
        try:
            self._fetch_book(market, held, now)
        except (ExchangeError, CriticalDataUnavailable, UnitError) as error:
            held.quote_error = str(error)
        return self._best(market, held)[0]

    def guard(self, levels: Mapping[ProductId, tuple[Price | None, Price | None]]) -> None:
        """Wake the loop when a market leaves (low, high); each call arms all anew. Without a feed nothing wakes it."""
        if self._from.feed is not None:
            self._from.feed.guard({market: Band(low, high) for market, (low, high) in levels.items()})

    def user_events(self) -> bool:
        return self._from.feed is not None and self._from.feed.user_hint()

    def _runs(self) -> tuple[_Run, _Run, _Run]:
        """The parts of a refresh, each with its own end: a long warm-up leaves time for quotes."""
        began, seen = time.monotonic(), self._interruptions()
        ends = (began + share * self._refresh_s for share in _SHARES)
        newest, older, quotes = (_Run(end, lambda: self._interruptions() > seen) for end in ends)
        return newest, older, quotes

    def _for_each(
        self, run: _Run, work: Callable[[ProductId, _Market], None], note: Callable[[_Market, str], None]
    ) -> None:
        for market, held in self._in_turn():
            if run.over:
                return
            if self._clock.monotonic() < held.paused_until:
                continue
            try:
                work(market, held)
                run.failures = 0
            except AuthRefused:
                raise
            except NotFound as error:
                held.paused_until = self._clock.monotonic() + UNKNOWN_MARKET_PAUSE_S
                note(held, str(error))
            except (ExchangeError, CriticalDataUnavailable, UnitError) as error:
                run.failures += isinstance(error, ExchangeError)
                note(held, str(error))

    def _in_turn(self) -> list[tuple[ProductId, _Market]]:
        """Another market first each time, so that a short budget starves none."""
        rows = list(self._markets.items())
        cut = self._turn % len(rows) if rows else 0
        return rows[cut:] + rows[:cut]

    def _top_up(self, market: ProductId, held: _Market, closed: int, run: _Run) -> None:
        """Newest bars: from where the tape ends, or the newest page when there is none to go on from."""
        if not held.needed:
            return
        product = self._product(market)
        self._load(market, held)
        tape = held.tape
        if tape is None or tape.ceiling > closed or closed - tape.ceiling > held.needed * self._step:
            first = closed - min(CANDLES_PER_CALL, max(1, held.needed)) * self._step
            tape = empty(market, self._policy.bar_granularity, _first_scale(product), first)
        while tape.ceiling < closed and not run.over:
            start = max(tape.floor, tape.ceiling - OVERLAP_BARS * self._step)
            end = min(closed, start + CANDLES_PER_CALL * self._step)
            bars = self._candles(market, start, end)
            _believe_silence(held, tape, bars)
            if (wrong := doubtful(tape, bars, start)) is not None:
                tape = cut(tape, wrong)
                self._publish(held, tape)
                continue
            tape = extended(_fitted(product, tape, bars), bars, start, end)
            tape = tape.trimmed(held.needed + CANDLES_PER_CALL)
            self._adopt(held, tape)

    def _backfill(self, market: ProductId, held: _Market, run: _Run) -> None:
        """Older bars, page by page, until there are as many as needed or the market's history ends."""
        if not held.needed:
            return
        product = self._product(market)
        while (tape := held.tape) is not None and not run.over and held.empty_pages < EMPTY_PAGES_MAX:
            wanted = tape.ceiling - held.needed * self._step
            if tape.floor <= wanted:
                return
            start = max(wanted, tape.floor - (CANDLES_PER_CALL - anchored(tape)) * self._step)
            bars = self._older(market, tape, start)
            held.empty_pages = 0 if bars else held.empty_pages + 1
            self._adopt(held, prepended(_fitted(product, tape, bars), bars, start))

    def _older(self, market: ProductId, tape: Tape, start: int) -> list[Bar]:
        """The bars of [start, floor). A known bar just after them proves the answer; else silence is asked for again.

        Raises: CriticalDataUnavailable when the known bar is left out: then the answer is not complete.
        """
        if anchored(tape):
            bars = self._candles(market, start, tape.floor + self._step)
            if not bars or int(bars[-1].start.timestamp()) != tape.floor:
                raise CriticalDataUnavailable(f"candles {market}", f"the answer leaves out the bar of {tape.floor}")
            return bars[:-1]
        bars = []
        for _ in range(EMPTY_SAID):
            bars = bars or self._candles(market, start, tape.floor)
        return bars

    def _candles(self, market: ProductId, start: int, end: int) -> list[Bar]:
        """A complete answer for [start, end), asked with a bar more at both ends: it is open which one is left out."""
        endpoint = Endpoint(f"/market/products/{market}/candles", "candles", Access.PUBLIC)
        params = {
            "start": str(start - self._step),
            "end": str(end + self._step),
            "granularity": self._policy.bar_granularity.name,
        }
        what = f"candles {market}"
        answer = Fields(self._from.client.get(endpoint, params, what), what)
        return listings.candles(answer, self._policy.bar_granularity, start, end)

    def _adopt(self, held: _Market, tape: Tape) -> None:
        before = held.tape
        self._publish(held, tape)
        try:
            self._from.store.put(tape, first_change(before, tape) if before is not None else tape.start)
            self.store_error = ""
        except OSError as error:
            self.store_error = f"bars of {tape.product} are not kept: {error}"

    def _publish(self, held: _Market, tape: Tape) -> None:
        held.tape = tape
        series = tape.series
        held.windows = self._from.windows(series.last(held.needed)) if series is not None else None
        held.windows_error = "" if series is not None else "the market has not traded in the time fetched"

    def _load(self, market: ProductId, held: _Market) -> None:
        if held.loaded:
            return
        held.loaded = True
        try:
            found = self._from.store.load(market, self._policy.bar_granularity)
        except OSError as error:
            self.store_error = f"bars of {market} cannot be read: {error}"
            return
        if found is not None:
            self._publish(held, found)

    def _product(self, market: ProductId) -> Product:
        product = self._from.product_of(market)
        if product is None:
            raise CriticalDataUnavailable(f"candles {market}", "the venue's steps for this market are not known")
        return product

    def _fetch_book(self, market: ProductId, held: _Market, now: datetime) -> None:
        """One REST book, unless the feed's quote is fresh."""
        quote, _ = self._live_quote(market)
        if quote is not None and quote.age_s(now) <= self._fresh_s:
            return
        endpoint = Endpoint("/market/product_book", "product_book", Access.PUBLIC, Priority.NORMAL)
        what = f"book {market}"
        answer = self._from.client.get(endpoint, {"product_id": str(market), "limit": BOOK_LEVELS}, what)
        held.book = listings.book(Fields(answer, what), market, self._clock.now())
        held.quote_error = ""

    def _best(self, market: ProductId, held: _Market) -> tuple[Quote | None, Book | None, str]:
        """The source with the newer evidence."""
        live = self._live(market)
        rest = _touch(held.book, held.quote_error)
        if live[0] is None or (rest[0] is not None and rest[0].at > live[0].at):
            return (*rest[:2], rest[2] or live[2])
        return live

    def _live(self, market: ProductId) -> tuple[Quote | None, Book | None, str]:
        quote, why = self._live_quote(market)
        feed = self._from.feed
        return quote, feed.book(market) if feed is not None and quote is not None else None, why

    def _live_quote(self, market: ProductId) -> tuple[Quote | None, str]:
        """The feed's touch; None without one, and why when it is crossed."""
        try:
            return (self._from.feed.quote(market) if self._from.feed is not None else None), ""
        except UnitError as error:
            return None, str(error)


class _Run:
    """Part of a refresh: over when its time is up, a stop was asked for, or the venue fails market after market."""

    def __init__(self, limit: float, stopped: Callable[[], bool]) -> None:
        self._limit = limit
        self._stopped = stopped
        self.failures = 0

    @property
    def over(self) -> bool:
        late = time.monotonic() > self._limit
        return late or self.failures >= FAILURES_MAX or self._stopped()


def _believe_silence(held: _Market, tape: Tape, bars: Sequence[Bar]) -> None:
    """Where no bar is known yet, a market is silent only once its newest page came empty several times.

    Raises: CriticalDataUnavailable until then.
    """
    held.silences = 0 if bars or len(tape.rows) else held.silences + 1
    if 0 < held.silences < EMPTY_SAID:
        raise CriticalDataUnavailable(f"candles {tape.product}", "the newest page is empty and is asked for again")


def _note_bars(held: _Market, why: str) -> None:
    held.windows_error = why


def _note_quote(held: _Market, why: str) -> None:
    held.quote_error = why


def _touch(book: Book | None, error: str) -> tuple[Quote | None, Book | None, str]:
    if book is None:
        return None, None, error
    try:
        quote = book.quote()
    except UnitError as crossed:
        return None, None, str(crossed)
    return quote, book, "" if quote is not None else f"{book.product}: one side of the book is empty"


def _first_scale(product: Product) -> Scale:
    return Scale(product.price_step, product.size_step)


def _fitted(product: Product, tape: Tape, bars: Sequence[Bar]) -> Tape:
    """The tape in a scale that also holds `bars`."""
    return rescaled(tape, fitting_scale(product, tape, bars))
