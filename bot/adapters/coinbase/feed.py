"""The live feed: books, trades and order hints, kept on one thread and read by the loop at its own pace.

Nothing is decided here. What the loop reads is bounded by construction: the newest state of each watched market and
whether orders may have changed, however many frames came in between.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from websockets.asyncio.client import ClientConnection

from bot.adapters.coinbase.books import LiveBook
from bot.adapters.coinbase.link import Dropped, Link, LinkState, LinkTiming
from bot.adapters.coinbase.wire.frame import Frame, Trade, level_changes, request, trades
from bot.domain.market import Book, Quote
from bot.domain.money import Price
from bot.domain.product import ProductId
from bot.ports import Clock, WakeReason

RESYNC_S: Final = 10.0
"""A book is asked for again at most this often; a connection that needs it more often is replaced."""

WAKE_S: Final = 0.25
_NO_ALIAS: Final = frozenset({"USDT-USDC", "EURC-USDC"})

LEVEL2: Final = "level2"
TRADES: Final = "market_trades"
USER: Final = "user"


@dataclass(frozen=True, slots=True)
class Band:
    """Prices between which a market may move without waking the loop; None: no limit on that side."""

    low: Price | None
    high: Price | None


@dataclass(frozen=True, slots=True)
class FeedConfig:
    """Addresses, trust and timing. token: makes a fresh JWT for one user subscription; None without a key."""

    ws_url: str
    ws_user_url: str
    context: ssl.SSLContext
    token: Callable[[], str] | None = None
    timing: LinkTiming = LinkTiming()


class Feed:
    """Port-neutral live data. Start once, close once; every read is safe from any thread."""

    def __init__(self, config: FeedConfig, clock: Clock, jitter: Callable[[float, float], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._hinted = False
        shared = (config.context, config.timing, jitter, clock.monotonic)
        self._market = MarketLink(self._lock, clock.wake, (config.ws_url,), *shared)
        self._links: tuple[Link, ...] = (self._market,)
        if config.token is not None:
            urls = (config.ws_user_url, config.ws_url)  # the market host takes the user channel too, as a fallback
            self._links += (UserLink(self._hint, config.token, urls, *shared),)
        self._thread = threading.Thread(target=self._main, name="coinbase-feed", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(5)

    def close(self) -> None:
        """Hang up and wait a moment for the thread."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
            self._thread.join(3)

    def watch(self, markets: Sequence[ProductId]) -> None:
        """Follow exactly these markets from now on."""
        loop = self._loop
        if loop is None or loop.is_closed():
            self._market.watch(markets)
        else:
            loop.call_soon_threadsafe(self._market.watch, tuple(markets))

    def guard(self, bands: Mapping[ProductId, Band]) -> None:
        """Wake the loop (`WakeReason.PRICE`) while a market trades or quotes outside its band. It decides, not we."""
        with self._lock:
            self._market.bands = dict(bands)

    def quote(self, market: ProductId) -> Quote | None:
        """The touch, its `at` the last evidence that it holds; None without a gapless book. UnitError when crossed."""
        now = self._clock.now()
        with self._lock:
            book, at = self._market.evidence(market)
            return book.quote(min(at, now)) if book is not None and at is not None else None

    def book(self, market: ProductId) -> Book | None:
        now = self._clock.now()
        with self._lock:
            book, at = self._market.evidence(market)
            return book.book(min(at, now)) if book is not None and at is not None else None

    def last_trade(self, market: ProductId) -> Trade | None:
        with self._lock:
            return self._market.last_trades.get(market)

    def user_hint(self) -> bool:
        """Whether orders may have changed since the last call."""
        with self._lock:
            hinted, self._hinted = self._hinted, False
            return hinted

    def states(self) -> Mapping[str, LinkState]:
        return {link.name: link.state for link in self._links}

    def barrier(self, timeout_s: float = 5.0) -> bool:
        """Whether every frame the venue sent before this call has been taken, on every connection."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return False
        waiting = asyncio.run_coroutine_threadsafe(self._barrier(), loop)
        try:
            return waiting.result(timeout_s)
        except FutureTimeout:
            waiting.cancel()
            return False

    async def _barrier(self) -> bool:
        return all(await asyncio.gather(*(link.barrier() for link in self._links)))

    def _hint(self) -> None:
        with self._lock:
            self._hinted = True
        self._clock.wake(WakeReason.USER_EVENT)

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        tasks = [asyncio.create_task(link.run()) for link in self._links]
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class MarketLink(Link):
    """Books and trades of the watched markets. `lock` guards everything the loop reads."""

    def __init__(
        self,
        lock: threading.Lock,
        wake: Callable[[WakeReason], None],
        urls: tuple[str, ...],
        context: ssl.SSLContext,
        timing: LinkTiming,
        jitter: Callable[[float, float], float],
        trading_s: Callable[[], float],
    ) -> None:
        super().__init__("market", urls, context, timing, jitter, trading_s)
        self._lock = lock
        self._wake = wake
        self._woken_at = 0.0
        self._books: dict[ProductId, LiveBook] = {}
        self._subscribed: set[ProductId] = set()
        self._asked_at: dict[ProductId, float] = {}
        self._dirty = False
        self.bands: dict[ProductId, Band] = {}
        self.last_trades: dict[ProductId, Trade] = {}

    def watch(self, markets: Sequence[ProductId]) -> None:
        with self._lock:
            self._books = {market: self._books.get(market) or LiveBook(market) for market in markets}
            self.last_trades = {market: trade for market, trade in self.last_trades.items() if market in self._books}
        self._dirty = True
        socket = self._socket
        if socket is not None:
            task = asyncio.ensure_future(self.recover(socket))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def evidence(self, market: ProductId) -> tuple[LiveBook | None, datetime | None]:
        """The book of a market and the newest proof that it holds, by the venue's clock. Needs the lock.

        Not compared with ours on arrival: while a stepped venue moves, its frames come before our clock has followed.
        """
        book = self._books.get(market)
        if book is None or book.updated_at is None or self._socket is None:
            return None, None
        return book, max(book.updated_at, self.evidence_at or book.updated_at)

    async def subscribe(self, socket: ClientConnection) -> None:
        self._subscribed = set()
        self._asked_at = {}
        self._dirty = True
        await self.recover(socket)

    def take(self, found: Frame) -> None:
        if found.channel == "l2_data":
            self._books_changed(found)
        elif found.channel == TRADES:
            with self._lock:
                for trade in (trade for event in found.events for trade in trades(event)):
                    self._traded(trade)

    def missed(self) -> None:
        with self._lock:
            for book in self._books.values():
                book.invalidate()
        self._dirty = True

    async def recover(self, socket: ClientConnection) -> None:
        """Subscribe what is new, drop what is gone, and ask again for books that are void or have drifted away."""
        if not self._dirty:
            return
        self._dirty = False
        wanted = set(self._books)
        gone, new = self._subscribed - wanted, wanted - self._subscribed
        void = {market for market in wanted & self._subscribed if self._books[market].needs_snapshot}
        again = {market for market in void if time.monotonic() - self._asked_at[market] > RESYNC_S}
        if any(self._lost_again(market) for market in void - again):
            raise Dropped("a book was lost twice within seconds")
        self._dirty = bool(void - again)
        self._subscribed = wanted
        for market in new | again:
            self._asked_at[market] = time.monotonic()
            self._books[market].updated_at = None
        await self._send(socket, "unsubscribe", gone, (LEVEL2, TRADES))
        await self._send(socket, "unsubscribe", again, (LEVEL2,))
        await self._send(socket, "subscribe", new | again, (LEVEL2,))
        await self._send(socket, "subscribe", new, (TRADES,))

    def _lost_again(self, market: ProductId) -> bool:
        """Whether a snapshot came since the book was last asked for, and a gap voided it."""
        book = self._books[market]
        return book.updated_at is not None and not book.valid

    async def _send(
        self, socket: ClientConnection, kind: str, markets: set[ProductId], channels: tuple[str, ...]
    ) -> None:
        for channel in channels if markets else ():
            await socket.send(request(kind, channel, markets))

    def _books_changed(self, found: Frame) -> None:
        with self._lock:
            for event in found.events:
                market = self._market_of(event.product())
                book = self._books.get(market) if market is not None else None
                if book is None:
                    continue
                if event.text("type") == "snapshot":
                    book.snapshot(level_changes(event), found.at)
                else:
                    book.apply(level_changes(event), found.at)
                self._dirty = self._dirty or book.needs_snapshot
                self._watch_price(book)

    def _traded(self, trade: Trade) -> None:
        market = self._market_of(trade.product)
        if market is None:
            return
        last = self.last_trades.get(market)
        if last is None or trade.at >= last.at:
            self.last_trades[market] = Trade(market, trade.price, trade.at)
            self._outside(market, trade.price, trade.price)

    def _market_of(self, listed: ProductId) -> ProductId | None:
        """The watched market behind an id of the feed, which names `-USDC` books by their `-USD` id."""
        if listed in self._books:
            return listed
        twin = ProductId(f"{listed.base}-USDC") if listed.quote == "USD" else listed
        return twin if twin in self._books and twin not in _NO_ALIAS else None

    def _watch_price(self, book: LiveBook) -> None:
        best = book.best()
        if best is not None and book.product in self.bands:
            self._outside(book.product, Price(best[0]), Price(best[1]))

    def _outside(self, market: ProductId, low: Price, high: Price) -> None:
        band = self.bands.get(market)
        if band is None or time.monotonic() - self._woken_at < WAKE_S:
            return
        below = band.low is not None and low <= band.low
        if below or (band.high is not None and high >= band.high):
            self._woken_at = time.monotonic()
            self._wake(WakeReason.PRICE)


class UserLink(Link):
    """Our own orders, as hints only: what changed is read over REST, which alone is complete."""

    def __init__(
        self,
        hint: Callable[[], None],
        token: Callable[[], str],
        urls: tuple[str, ...],
        context: ssl.SSLContext,
        timing: LinkTiming,
        jitter: Callable[[float, float], float],
        trading_s: Callable[[], float],
    ) -> None:
        super().__init__("user", urls, context, timing, jitter, trading_s)
        self._hint = hint
        self._token = token
        self._was_up = False

    async def subscribe(self, socket: ClientConnection) -> None:
        self._was_up = True
        await socket.send(request("subscribe", USER, token=self._token()))

    def take(self, found: Frame) -> None:
        if found.channel == USER:
            self._hint()

    def missed(self) -> None:
        """A lost message may have been about our order."""
        if self._was_up:
            self._was_up = self.state.up
            self._hint()

    async def recover(self, socket: ClientConnection) -> None:
        """Nothing is built from hints, so nothing is void."""
