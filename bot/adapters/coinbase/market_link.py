"""Books and trades of the watched markets, from one connection: whole, or not shown."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from websockets.asyncio.client import ClientConnection

from bot.adapters.coinbase.books import LiveBook
from bot.adapters.coinbase.link import Dropped, Link, LinkTiming
from bot.adapters.coinbase.wire.frame import Frame, Trade, level_changes, request, trades
from bot.domain.money import Price
from bot.domain.product import ProductId
from bot.domain.value import Value
from bot.ports import WakeReason

RESYNC_S: Final = 10.0
"""A book is asked for again at most this often; a connection that needs it more often is replaced."""

_NO_ALIAS: Final = frozenset({"USDT-USDC", "EURC-USDC"})

LEVEL2: Final = "level2"
LEVEL2_DATA: Final = "l2_data"
"""What the venue calls the channel in its own messages."""
TRADES: Final = "market_trades"


class Band(Value):
    """Prices between which a market may move without waking the loop; None: no limit on that side."""

    low: Price | None
    high: Price | None


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
        self._books: dict[ProductId, LiveBook] = {}
        self._subscribed: set[ProductId] = set()
        self._asked_at: dict[ProductId, float] = {}
        self._dirty = False
        self._bands: dict[ProductId, Band] = {}
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

    def guard(self, bands: Mapping[ProductId, Band]) -> None:
        """Needs the lock."""
        self._bands = dict(bands)
        for book in self._books.values():
            self._watch_price(book)

    def evidence(self, market: ProductId) -> tuple[LiveBook | None, datetime | None]:
        """The book of a market and the newest proof that it holds, by the venue's clock. Needs the lock.

        Not compared with ours on arrival: while a stepped venue moves, its frames come before our clock has followed.
        """
        book = self._books.get(market)
        if book is None or book.updated_at is None or not self.believed:
            return None, None
        return book, max(book.updated_at, self.evidence_at or book.updated_at)

    async def subscribe(self, socket: ClientConnection) -> None:
        self._subscribed = set()
        self._asked_at = {}
        self._dirty = True
        await self.recover(socket)

    def take(self, found: Frame) -> None:
        if found.channel in (LEVEL2, LEVEL2_DATA):
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
        if best is not None and book.product in self._bands:
            self._outside(book.product, Price(best[0]), Price(best[1]))

    def _outside(self, market: ProductId, low: Price, high: Price) -> None:
        band = self._bands.get(market)
        if band is None:
            return
        below = band.low is not None and low <= band.low
        if below or (band.high is not None and high >= band.high):
            del self._bands[market]
            self._wake(WakeReason.PRICE)
