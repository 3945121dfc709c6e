"""How many requests a second each surface takes, and how many an hour a key has, before the answer is 429."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from bot.domain.value import Value


class Rate(Value):
    """Sustained requests a second, and how many may come at once."""

    per_second: float
    burst: int


PUBLIC: Final = Rate(10.0, 15)
PRIVATE: Final = Rate(30.0, 30)
HOURLY: Final = 10_000
"""Requests a key has in any hour."""
HOUR_S: Final = 3600.0


class Grant(Value):
    """The bucket's answer to one request; `remaining` and `reset_s` fill the x-ratelimit headers."""

    allowed: bool
    limit: int
    remaining: int
    reset_s: int


class Bucket:
    """One token bucket on the clock it is given (seconds, any origin)."""

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = float(rate.burst)
        self._at = clock()

    def take(self) -> Grant:
        now = self._clock()
        self._tokens = min(float(self._rate.burst), self._tokens + (now - self._at) * self._rate.per_second)
        self._at = now
        allowed = self._tokens >= 1.0
        if allowed:
            self._tokens -= 1.0
        missing = self._rate.burst - self._tokens
        return Grant(allowed, self._rate.burst, int(self._tokens), int(missing / self._rate.per_second) + 1)


class Rolling:
    """Requests within any span. most: the largest number there ever was."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._times: deque[float] = deque()
        self.most = 0

    def count(self, now: float) -> int:
        while self._times and now - self._times[0] >= self._span_s:
            self._times.popleft()
        return len(self._times)

    def add(self, now: float) -> None:
        self._times.append(now)
        self.most = max(self.most, self.count(now))


class Limits:
    """A bucket for each client and surface, and an hour for each key.

    `enabled=False` lets everything through and still fills the headers. seconds: requests within a second by surface,
    True for public; hour: within an hour, all clients together.
    """

    def __init__(
        self, clock: Callable[[], float], public: Rate = PUBLIC, private: Rate = PRIVATE, enabled: bool = True
    ) -> None:
        self._clock = clock
        self._rates = {True: public, False: private}
        self._buckets: dict[tuple[bool, str], Bucket] = {}
        self.enabled = enabled
        self._hours: dict[str, Rolling] = {}
        self.seconds = {True: Rolling(1.0), False: Rolling(1.0)}
        self.hour = Rolling(HOUR_S)

    def take(self, public: bool, who: str) -> Grant:
        """One request of `who`: an address on public paths, a portfolio on private ones."""
        now = self._clock()
        self.seconds[public].add(now)
        self.hour.add(now)
        bucket = self._buckets.get((public, who))
        if bucket is None:
            bucket = self._buckets[public, who] = Bucket(self._rates[public], self._clock)
        if not self.enabled:
            rate = self._rates[public]
            return Grant(True, rate.burst, rate.burst - 1, 1)
        if not public and not self._has_hour(who, now):
            return Grant(False, HOURLY, 0, int(HOUR_S))
        return bucket.take()

    def _has_hour(self, key: str, now: float) -> bool:
        """Whether a key has a request left in this hour; if so it is spent."""
        hour = self._hours.setdefault(key, Rolling(HOUR_S))
        if hour.count(now) >= HOURLY:
            return False
        hour.add(now)
        return True
