"""Name lookups that cannot stop the feed's loop: getaddrinfo knows no timeout, so it runs on a thread one may leave."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable

LookUp = Callable[[str, int], str]


class Resolver:
    """One lookup at a time; while one hangs, later callers wait for the same one instead of adding threads."""

    def __init__(self, look_up: LookUp | None = None) -> None:
        self._look_up = look_up or system_look_up
        self._pending: asyncio.Future[str] | None = None

    async def resolve(self, host: str, port: int, timeout_s: float) -> str:
        """An IP address. Raises OSError (not found) or TimeoutError."""
        if self._pending is None or self._pending.done():
            self._pending = self._start(host, port)
        async with asyncio.timeout(timeout_s):
            # Shielded: whoever stops waiting must not cancel the lookup another waits for.
            return await asyncio.shield(self._pending)

    def _start(self, host: str, port: int) -> asyncio.Future[str]:
        loop = asyncio.get_running_loop()
        found: asyncio.Future[str] = loop.create_future()
        found.add_done_callback(_retrieve)

        def look_up() -> None:
            try:
                address = self._look_up(host, port)
            except OSError as error:
                _post(loop, found, error)
            else:
                _post(loop, found, address)

        threading.Thread(target=look_up, name="coinbase-feed-dns", daemon=True).start()
        return found


def system_look_up(host: str, port: int) -> str:
    """The system's first address. Raises OSError."""
    return str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])


def _post(loop: asyncio.AbstractEventLoop, found: asyncio.Future[str], outcome: str | OSError) -> None:
    with contextlib.suppress(RuntimeError):  # the loop ended while the lookup hung
        loop.call_soon_threadsafe(_settle, found, outcome)


def _settle(found: asyncio.Future[str], outcome: str | OSError) -> None:
    if found.done():
        return
    if isinstance(outcome, OSError):
        found.set_exception(outcome)
    else:
        found.set_result(outcome)


def _retrieve(found: asyncio.Future[str]) -> None:
    """A failure nobody waits for any more is no news."""
    if not found.cancelled():
        found.exception()
