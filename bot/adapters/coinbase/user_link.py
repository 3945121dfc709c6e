"""The user channel: that something happened to our orders, never what."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

from websockets.asyncio.client import ClientConnection

from bot.adapters.coinbase.link import Link, LinkTiming
from bot.adapters.coinbase.wire.frame import Frame, request

USER: Final = "user"


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
