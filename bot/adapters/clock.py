"""Trading time: the system's, a stepped test venue's, or set by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import httpx

from bot.adapters.loopback import loopback_client
from bot.adapters.manual_clock import ManualClock
from bot.adapters.wake import Waker
from bot.domain.codec import time_text
from bot.errors import Transient
from bot.ports import WakeReason

__all__ = ["ManualClock", "SteppedClock", "SystemClock"]

LONGEST_SELECT_S: Final = 3600.0
UNREACHABLE_S: Final = 5.0
STEP_MS: Final = 250


class SystemClock:
    """The machine's UTC clock. Waits run on the monotonic clock: a step of the wall clock cannot move them."""

    def __init__(self) -> None:
        self._waker = Waker()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def stopwatch(self) -> float:
        return time.monotonic()

    def wait_until(self, when: datetime) -> WakeReason | None:
        end = time.monotonic() + (when - self.now()).total_seconds()
        while True:
            left = end - time.monotonic()
            reason = self._waker.wait(min(left, LONGEST_SELECT_S))
            if reason is not None or left <= 0:
                return reason

    def wake(self, reason: WakeReason) -> None:
        self._waker.wake(reason)

    def close(self) -> None:
        self._waker.close()


class SteppedClock:
    """The trading time of a stepped test venue: it stands still but for this bot's waits, at any speed.

    `GET url` answers {"now", "speed"}; `POST url` with {"until", "max_wall_ms"} moves the venue towards `until` and
    answers {"now", "event"}, where `event` says that something happened on the account and the wait should end.
    After each step `barrier` is called, so that the feed's messages of the step are in before anyone decides.
    """

    def __init__(
        self, url: str, ca_file: str | None, barrier: Callable[[], None], patience_s: float = UNREACHABLE_S
    ) -> None:
        """patience_s: real seconds the venue's clock may stay away before a wait gives up.

        Raises: ConfigError when `url` is not https on this machine; Transient when the venue does not answer."""
        self._url = url
        self._client = loopback_client(url, ca_file)
        self._barrier = barrier
        self._patience_s = patience_s
        self._waker = Waker()
        self._start = self._now = self._time(self._asked("GET", None))

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def stopwatch(self) -> float:
        return time.monotonic()

    def wait_until(self, when: datetime) -> WakeReason | None:
        """Raises Transient when the venue's clock stays away."""
        while (reason := self._waker.wait(0)) is None and self._now < when:
            answer = self._asked("POST", {"until": time_text(when), "max_wall_ms": STEP_MS})
            self._now = max(self._now, self._time(answer))
            self._barrier()
            if answer.get("event") is True:
                self._waker.wake(WakeReason.USER_EVENT)
        return reason

    def wake(self, reason: WakeReason) -> None:
        self._waker.wake(reason)

    def close(self) -> None:
        self._client.close()
        self._waker.close()

    def _asked(self, method: str, body: dict[str, object] | None) -> dict[str, object]:
        give_up = time.monotonic() + self._patience_s
        while True:
            try:
                answer = self._client.request(method, self._url, json=body).raise_for_status().json()
            except (httpx.HTTPError, ValueError) as error:
                if time.monotonic() >= give_up:
                    raise Transient(f"the test venue's clock at {self._url} does not answer: {error}") from error
                time.sleep(STEP_MS / 1000)
            else:
                return self._mapping(answer)

    def _mapping(self, answer: object) -> dict[str, object]:
        if not isinstance(answer, dict):
            raise Transient(f"the test venue's clock at {self._url} answered {str(answer)[:80]!r}")
        return answer

    def _time(self, answer: dict[str, object]) -> datetime:
        try:
            at = datetime.fromisoformat(str(answer["now"]))
        except (KeyError, ValueError) as error:
            raise Transient(f"the test venue's clock at {self._url} gave no time: {str(answer)[:80]!r}") from error
        if at.tzinfo is None:
            raise Transient(f"the test venue's clock at {self._url} gave a time without a zone: {answer['now']!r}")
        return at.astimezone(UTC)
