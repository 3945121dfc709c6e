"""Token buckets: how many requests a second each surface takes before it answers 429."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Rate:
    """Sustained requests a second, and how many may come at once."""

    per_second: float
    burst: int


PUBLIC: Final = Rate(10.0, 15)
PRIVATE: Final = Rate(30.0, 30)


@dataclass(frozen=True, slots=True)
class Grant:
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


class Limits:
    """A bucket for each client and surface; `enabled=False` lets everything through and still fills the headers."""

    def __init__(
        self, clock: Callable[[], float], public: Rate = PUBLIC, private: Rate = PRIVATE, enabled: bool = True
    ) -> None:
        self._clock = clock
        self._rates = {True: public, False: private}
        self._buckets: dict[tuple[bool, str], Bucket] = {}
        self.enabled = enabled

    def take(self, public: bool, who: str) -> Grant:
        """One request of `who`: an address on public paths, a portfolio on private ones."""
        bucket = self._buckets.get((public, who))
        if bucket is None:
            bucket = self._buckets[public, who] = Bucket(self._rates[public], self._clock)
        if not self.enabled:
            rate = self._rates[public]
            return Grant(True, rate.burst, rate.burst - 1, 1)
        return bucket.take()
