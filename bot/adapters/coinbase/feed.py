"""The live feed: books, trades and order hints, kept on one thread and read by the loop at its own pace.

Nothing is decided here. What the loop reads is bounded by construction: the newest state of each watched market and
whether orders may have changed, however many frames came in between.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout

from bot.adapters.coinbase.link import Link, LinkState, LinkTiming
from bot.adapters.coinbase.market_link import Band, MarketLink
from bot.adapters.coinbase.user_link import UserLink
from bot.adapters.coinbase.wire.frame import Trade
from bot.domain.market import Book, Quote
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.ports import Clock, WakeReason


class FeedConfig(Value):
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
        """Wake the loop (`WakeReason.PRICE`) once a market trades or quotes outside its band; what then, it decides.

        Each call arms every market anew, so that the loop is woken as often as it looks and no more.
        """
        with self._lock:
            self._market.guard(bands)

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

    def complaints(self) -> Mapping[str, str]:
        """Link -> why it has been down for longer than a blip; empty when all is well."""
        return {name: state.complaint for name, state in self.states().items() if state.complaint}

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
