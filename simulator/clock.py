"""Trading time on demand: it moves while somebody asks for it, or by itself as fast as real time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

from simulator.feed import Feed
from simulator.world import World
from simulator.ws import Sockets

FLUSH_WITHIN_S: Final = 5.0
_BACKLOG_BYTES: Final = 1 << 20


class WorldClock:
    """Moves the world in steps on a fixed grid, whose points do not depend on who asks; only a wait that ends between
    two of them adds one.

    step: trading time between two looks at the market. speed: trading seconds per real second; 0 is as fast as it goes.
    """

    def __init__(self, world: World, feed: Feed, sockets: Sockets, step: timedelta, speed: float = 0.0) -> None:
        self._world = world
        self._feed = feed
        self._sockets = sockets
        self._step = step
        self._lock = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self._turn_at = 0.0
        self.speed = speed

    async def advance(self, until: datetime, max_wall_s: float | None = None) -> bool:
        """Move towards `until`; stop early after `max_wall_s` of real time or when the account's orders changed.

        Returns whether they did. Everything the feeds had to say of the span has been sent when this returns.
        """
        await self.hold()
        async with self._lock:
            happened = await self._advance(until, max_wall_s)
            await self._sockets.sent(FLUSH_WITHIN_S)
        return happened

    def run(self) -> None:
        """Let trading time run by itself, in step with real time, until somebody asks for `advance`."""
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def hold(self) -> None:
        """Stop running freely."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _advance(self, until: datetime, max_wall_s: float | None) -> bool:
        loop = asyncio.get_running_loop()
        deadline = None if max_wall_s is None else loop.time() + max_wall_s
        while self._world.now < until:
            if not await self._may_step(deadline):
                return False
            happened = self._take_step(until)
            await asyncio.sleep(0)  # requests and socket writes have their turn
            if self._sockets.backlog() > _BACKLOG_BYTES:
                await self._sockets.sent(FLUSH_WITHIN_S)
            if happened:
                return True
            if deadline is not None and loop.time() >= deadline:
                return False
        return False

    async def _may_step(self, deadline: float | None) -> bool:
        """Wait until the speed allows the next step; False when `deadline` comes first.

        The turn is kept from one call to the next, so short waits are as fast as long ones.
        """
        loop = asyncio.get_running_loop()
        if self.speed <= 0 or self._turn_at <= loop.time():
            return True
        turn_first = deadline is None or self._turn_at <= deadline
        await asyncio.sleep(max(0.0, (self._turn_at if turn_first or deadline is None else deadline) - loop.time()))
        return turn_first

    def _take_step(self, until: datetime) -> bool:
        before = self._world.now
        happened = self._world.step(min(until, self._next()))
        if self.speed > 0:
            now = asyncio.get_running_loop().time()
            self._turn_at = max(self._turn_at, now) + (self._world.now - before).total_seconds() / self.speed
        self._feed.flush()
        self._sockets.sweep()
        return happened

    def _next(self) -> datetime:
        """The next point of the grid, which begins at midnight."""
        now = self._world.now
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + ((now - midnight) // self._step + 1) * self._step

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        began, first = loop.time(), self._world.now
        while True:
            await asyncio.sleep(self._step.total_seconds() / 2)
            due = first + timedelta(seconds=loop.time() - began)
            async with self._lock:
                while self._next() <= due:
                    self._take_step(self._next())
