"""Request budgets below Coinbase's limits, kept exactly: no rolling window ever holds more than its allowance.

A share of every allowance is kept for what must not wait: cancels, exits, reconcile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from enum import Enum, IntEnum
from typing import Final

from bot.adapters.coinbase.units import seconds
from bot.errors import RateLimited, Transient
from bot.settings.policy import RateLimitsPolicy

RETRY_AFTER_MAX_S: Final = 60.0
"""Longest wait believed; `Retry-After: 86400` must not stop a bot for a day."""

URGENT_WAIT_MAX_S: Final = 2.0
"""Cancels are asked again at least this often while the venue throttles."""


class Access(Enum):
    """Which limit a request counts against."""

    PUBLIC = "public"
    PRIVATE = "private"


class Priority(IntEnum):
    """Who may use the reserve, and whose throttling stops whom: a 429 stops its own priority and those below."""

    NORMAL = 0
    RECONCILE = 1
    URGENT = 2


HOURLY: Final = "hourly"


class _Window:
    """At most `limit` requests in any `span_s`; all but `reserved` of them open to NORMAL."""

    def __init__(self, limit: int, span_s: float, reserve: Decimal) -> None:
        self.limit = limit
        self.span_s = span_s
        self.open_limit = max(1, limit - int((limit * reserve).to_integral_value(ROUND_CEILING)))
        self._sent: deque[float] = deque()

    @classmethod
    def per_second(cls, rate: Decimal, reserve: Decimal) -> _Window:
        """A rate below one a second becomes one request in a longer window."""
        limit = max(1, int(rate))
        return cls(limit, 1.0 if rate >= 1 else seconds(1 / rate), reserve)

    def wait_s(self, now: float, priority: Priority) -> float:
        """Seconds until one more request fits; 0 now."""
        self._forget(now)
        limit = self.open_limit if priority is Priority.NORMAL else self.limit
        if len(self._sent) < limit:
            return 0.0
        return max(0.0, self._sent[len(self._sent) - limit] + self.span_s - now)

    def follow(self, other: _Window) -> None:
        """Count what `other` remembers of what was sent."""
        self._sent = deque(other._sent)

    def take(self, now: float) -> None:
        self._sent.append(now)

    def left(self, now: float) -> int:
        self._forget(now)
        return max(0, self.limit - len(self._sent))

    def _forget(self, now: float) -> None:
        while self._sent and now - self._sent[0] >= self.span_s:
            self._sent.popleft()


class Budget:
    """The allowances of one process. Safe to use from several threads.

    sleep: waits the given seconds, and may end the wait by raising. jitter: uniform in [low, high].
    """

    def __init__(
        self,
        policy: RateLimitsPolicy,
        sleep: Callable[[float], None],
        jitter: Callable[[float, float], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_wait_s = seconds(policy.max_wait_seconds)
        self._sleep = sleep
        self._jitter = jitter
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._windows, self._endpoints = _windows(policy), _of_endpoints(policy)
        self._closed_until: dict[tuple[Access, Priority], float] = {}

    def configure(self, policy: RateLimitsPolicy) -> None:
        """Keep to these allowances from now on; what was sent already counts against them."""
        with self._lock:
            before = {**self._windows, **dict(self._endpoints)}
            self._max_wait_s = seconds(policy.max_wait_seconds)
            self._windows, self._endpoints = _windows(policy), _of_endpoints(policy)
            for name, window in (*self._windows.items(), *self._endpoints):
                if name in before:
                    window.follow(before[name])

    def take(self, path: str, access: Access, priority: Priority) -> None:
        """Spend one request, after waiting for its turn.

        Raises: RateLimited when the turn is further away than the policy's longest wait; nothing was spent.
        """
        limit = self._monotonic() + self._max_wait_s
        while (wait := self._try(path, access, priority)) > 0:
            if self._monotonic() + wait > limit:
                raise RateLimited(f"no {access.value} request fits the budget for {wait:.1f} s", wait)
            self._sleep(wait)

    def ready(self, path: str, access: Access, priority: Priority) -> bool:
        """Whether a request could go out now without waiting."""
        with self._lock:
            return self._wait_s(path, access, priority, self._monotonic()) <= 0

    def throttled(self, access: Access, priority: Priority, asked_s: float | None, attempt: int = 1) -> float:
        """The venue throttled us: nothing of this class and priority or below before the returned wait in seconds.

        asked_s: its Retry-After, believed up to a cap; without one the wait doubles by attempt, with full jitter.
        """
        base = asked_s if asked_s is not None else min(RETRY_AFTER_MAX_S, 2.0 ** min(attempt, 6))
        wait = min(RETRY_AFTER_MAX_S, max(0.5, base)) * self._jitter(1.0, 1.25)
        with self._lock:
            now = self._monotonic()
            for other in Priority:
                if other <= priority:
                    pause = min(wait, URGENT_WAIT_MAX_S) if other is Priority.URGENT else wait
                    key = (access, other)
                    self._closed_until[key] = max(self._closed_until.get(key, 0.0), now + pause)
        return min(wait, URGENT_WAIT_MAX_S) if priority is Priority.URGENT else wait

    def left(self) -> Mapping[str, int]:
        """Requests that would fit now, by class: the metric."""
        with self._lock:
            now = self._monotonic()
            return {name: window.left(now) for name, window in self._windows.items()}

    def _try(self, path: str, access: Access, priority: Priority) -> float:
        """Spend one and return 0, or return the seconds to wait and spend nothing."""
        with self._lock:
            now = self._monotonic()
            wait = self._wait_s(path, access, priority, now)
            if wait <= 0:
                for window in self._of(path, access):
                    window.take(now)
            return wait

    def _wait_s(self, path: str, access: Access, priority: Priority, now: float) -> float:
        closed = self._closed_until.get((access, priority), 0.0) - now
        return max(0.0, closed, *(window.wait_s(now, priority) for window in self._of(path, access)))

    def _of(self, path: str, access: Access) -> Iterable[_Window]:
        yield self._windows[access.value]
        yield self._windows[HOURLY]
        for prefix, window in self._endpoints:
            if path.startswith(prefix):
                yield window


def _windows(policy: RateLimitsPolicy) -> Mapping[str, _Window]:
    reserve = policy.reserve_pct.fraction
    return {
        Access.PUBLIC.value: _Window.per_second(policy.public_per_second, reserve),
        Access.PRIVATE.value: _Window.per_second(policy.private_per_second, reserve),
        HOURLY: _Window(policy.hourly, 3600.0, reserve),
    }


def _of_endpoints(policy: RateLimitsPolicy) -> tuple[tuple[str, _Window], ...]:
    """Paths with an allowance of their own."""
    reserve = policy.reserve_pct.fraction
    return tuple((endpoint.path, _Window.per_second(endpoint.per_second, reserve)) for endpoint in policy.endpoints)


def pausing(
    interruptions: Callable[[], int], monotonic: Callable[[], float] = time.monotonic
) -> Callable[[float], None]:
    """A sleeper for `Budget` that ends with Transient as soon as a stop is asked for."""
    tick = threading.Event()

    def pause(wait_s: float) -> None:
        seen = interruptions()
        end = monotonic() + wait_s
        while (left := end - monotonic()) > 0:
            if interruptions() > seen:
                raise Transient("interrupted while waiting for the request budget")
            tick.wait(min(left, 0.05))

    return pause
