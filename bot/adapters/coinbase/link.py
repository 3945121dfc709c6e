"""One WebSocket connection that stays up by itself: connect, subscribe, watch the heartbeat, reconnect with jitter."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from bot.adapters.coinbase.resolver import Resolver
from bot.adapters.coinbase.silence import Silence
from bot.adapters.coinbase.strict_json import NotStrictJson, parse_document
from bot.adapters.coinbase.wire.frame import FeedRefused, Frame, frame, request
from bot.domain.value import Value
from bot.errors import CriticalDataUnavailable

HEARTBEATS: Final = "heartbeats"
FRAME_MAX_BYTES: Final = 32 * 2**20
TROUBLED_AFTER: Final = 3
"""So many connections in a row that did not last are worth a word to the operator."""
_PROOF_BEATS: Final = 2
_WATCH_S: Final = 0.25


class LinkTiming(Value):
    """Limits of one connection, in wall seconds. retry_min_s keeps two links far below 8 connects a second.

    heartbeat_s: heartbeats come each second; without one for so long a connection is dead, at most half a second later:
    before its quotes are too old to trade on.
    """

    open_s: float = 8.0
    heartbeat_s: float = 4.0
    retry_min_s: float = 0.5
    retry_max_s: float = 30.0
    refused_retry_s: float = 30.0
    healthy_s: float = 30.0


class LinkState(Value):
    """How a connection fares. gaps, reconnects: since start; why_down: what ended the last connection.

    up: connected and believed; after a silence only once a heartbeat has come. complaint: what the operator must hear,
    because the venue refused us or connections did not last; empty as long as all is well or just a blip.
    """

    up: bool
    reconnects: int
    gaps: int
    why_down: str
    complaint: str = ""


class Dropped(Exception):
    """The connection is not worth keeping; the message says why."""


class Link(ABC):
    """A connection on the feed's loop. Subclasses say what to subscribe and what frames mean.

    jitter: uniform in [low, high]. trading_s: seconds of trading time, which stand still at a stepped test venue.
    """

    def __init__(
        self,
        name: str,
        urls: tuple[str, ...],
        context: ssl.SSLContext,
        timing: LinkTiming,
        jitter: Callable[[float, float], float],
        trading_s: Callable[[], float],
    ) -> None:
        self.name = name
        self._urls = urls
        self._context = context
        self._timing = timing
        self._jitter = jitter
        self._trading_s = trading_s
        self._resolver = Resolver()
        self._socket: ClientConnection | None = None
        self._expected: int | None = None
        self._silent = False
        self._doubted = False
        self._troubled = False
        self._beats = 0
        self._beats_before = 0
        self._failures = 0
        self._reconnects = -1
        self._gaps = 0
        self._why_down = "not connected yet"
        self.evidence_at: datetime | None = None

    @abstractmethod
    async def subscribe(self, socket: ClientConnection) -> None:
        """Send every subscription; the venue hangs up on whoever waits five seconds."""

    @abstractmethod
    def take(self, found: Frame) -> None:
        """One frame in sequence. May raise CriticalDataUnavailable, which drops the connection."""

    @abstractmethod
    def missed(self) -> None:
        """Frames were lost; what was built from them is void."""

    @abstractmethod
    async def recover(self, socket: ClientConnection) -> None:
        """After frames were taken: ask again for what is void. Raises Dropped when that was tried just now."""

    @property
    def state(self) -> LinkState:
        complaint = self._why_down if self._troubled else ""
        return LinkState(self.believed, max(0, self._reconnects), self._gaps, self._why_down, complaint)

    @property
    def believed(self) -> bool:
        """Connected, and since the last silence the heart was heard: data alone does not prove that it is all of it."""
        return self._socket is not None and not self._doubted

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            began = time.monotonic()
            wait = await self._once()
            self._failures = 0 if time.monotonic() - began > self._timing.healthy_s else self._failures + 1
            self._troubled |= wait is not None or self._failures >= TROUBLED_AFTER
            await asyncio.sleep(wait if wait is not None else self._retry_s())

    async def barrier(self) -> bool:
        """Whether every frame sent before this call has been taken: a ping overtakes nothing."""
        socket = self._socket
        if socket is None:
            return False
        with contextlib.suppress(WebSocketException, OSError):
            await (await socket.ping())
            await asyncio.sleep(0)  # the reader, woken before us, drains its queue without yielding
            return self._socket is socket
        return False

    async def _once(self) -> float | None:
        """One connection from start to end; the seconds to wait when the end says so."""
        self._reconnects += 1
        try:
            async with asyncio.timeout(self._timing.open_s):
                socket = await self._open()
            async with socket:
                await self._session(socket)
        except FeedRefused as refused:
            self._why_down = f"refused: {refused}"
            return self._jitter(self._timing.refused_retry_s / 2, self._timing.refused_retry_s)
        except (OSError, TimeoutError, WebSocketException, Dropped, NotStrictJson, CriticalDataUnavailable) as error:
            silence = f"no heartbeat for {self._timing.heartbeat_s:g} s"
            self._why_down = silence if self._silent else f"{type(error).__name__}: {error}"[:200]
        finally:
            self._socket = None
            self.evidence_at = None
            self.missed()
        return None

    async def _open(self) -> ClientConnection:
        url = self._urls[max(0, self._failures - 2) % len(self._urls)] if self._failures > 2 else self._urls[0]
        parts = urlsplit(url)
        secure = parts.scheme == "wss"  # plain ws is let through the environment only for a venue on this machine
        port = parts.port or (443 if secure else 80)
        address = await self._resolver.resolve(parts.hostname or "", port, self._timing.open_s)
        # Resolved by us, verified against the name.
        return await connect(
            url,
            host=address,
            port=port,
            ssl=self._context if secure else None,
            server_hostname=parts.hostname if secure else None,
            open_timeout=self._timing.open_s,
            close_timeout=1.0,
            max_size=FRAME_MAX_BYTES,
            user_agent_header=None,
        )

    async def _session(self, socket: ClientConnection) -> None:
        self._expected = None
        self._silent = False
        self._beats_before = self._beats
        self._socket = socket
        watch = asyncio.create_task(self._watch(socket))
        try:
            await socket.send(request("subscribe", HEARTBEATS))
            await self.subscribe(socket)
            while True:
                self._frame(await socket.recv())
                await self.recover(socket)
        finally:
            watch.cancel()

    async def _watch(self, socket: ClientConnection) -> None:
        """Cut a connection whose heart has stopped: TCP alone may take minutes to notice."""
        silence = Silence(self._beats, time.monotonic(), self._trading_s())
        while silence.look(self._beats, time.monotonic(), self._trading_s()) < self._timing.heartbeat_s:
            await asyncio.sleep(_WATCH_S)
        self._silent = self._doubted = True
        self._socket = None
        socket.transport.abort()

    def _frame(self, content: str | bytes) -> None:
        found = frame(parse_document(content.encode() if isinstance(content, str) else content))
        expected, self._expected = self._expected, found.sequence + 1
        if expected is not None and found.sequence < expected:
            self._expected = expected  # late or repeated: its content is old
            return
        if expected is not None and found.sequence > expected:
            self._gaps += 1
            self.missed()
        if found.channel == HEARTBEATS:
            self._beats += 1
            self._doubted = False
            self._troubled &= self._beats - self._beats_before < _PROOF_BEATS
            self.evidence_at = found.at
        else:
            self.take(found)

    def _retry_s(self) -> float:
        low = self._timing.retry_min_s
        return self._jitter(low, min(self._timing.retry_max_s, low * 2 ** min(self._failures, 10)))
