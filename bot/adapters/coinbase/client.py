"""One door to the REST API: budget, lane, retries of reads, and what each failure means to the bot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from bot.adapters.coinbase.budget import Access, Budget, Priority
from bot.adapters.coinbase.failures import CallFailed, HttpRefused, NotSent, Torn, Unreadable
from bot.adapters.coinbase.lanes import INTERRUPTED, Lane
from bot.adapters.coinbase.sdk import Wire
from bot.adapters.coinbase.strict_json import Document
from bot.adapters.coinbase.transport import Call
from bot.domain.value import Value
from bot.errors import AuthRefused, CriticalDataUnavailable, NotFound, RateLimited, Rejected, Transient

TOO_MANY_ERRORS: Final = "too many errors"
"""A 403 with this text is throttling, and lasts minutes."""
TOO_MANY_ERRORS_WAIT_S: Final = 60.0
BACKOFF_S: Final = 0.25
BACKOFF_MAX_S: Final = 2.0

T = TypeVar("T")
Params = Mapping[str, object]
Job = Callable[[Wire, Call], Document]
OnCall = Callable[[str, str, float], None]
"""Told of every request: endpoint, status or kind of failure, seconds."""


class Endpoint(Value):
    """Where a request goes. name: the metric's label, free of ids.

    attempt_s: how long the n-th attempt may take is n times this, so that a hung one is soon followed by the next;
    None: as long as the whole call.
    """

    path: str
    name: str
    access: Access
    priority: Priority = Priority.NORMAL
    attempt_s: float | None = None


class Patience(Value):
    """How long one read may be tried. total_s covers all attempts and the waits between.

    sleep: waits the given seconds, and may end the wait by raising. jitter: uniform in [low, high].
    """

    total_s: float
    attempts: int
    sleep: Callable[[float], None]
    jitter: Callable[[float, float], float]


class Timed(Value):
    """An answer with what its own attempt took, waiting for budgets and earlier attempts left out."""

    document: Document
    round_trip_s: float
    received_at: datetime


class ReadClient:
    """Reads with bounded retries. Every call ends within `patience.total_s`."""

    def __init__(
        self,
        normal: Lane[Wire],
        urgent: Lane[Wire],
        budget: Budget,
        patience: Patience,
        has_key: bool,
        on_call: OnCall = lambda _endpoint, _status, _seconds: None,
    ) -> None:
        self._normal = normal
        self._urgent = urgent
        self._patience = patience
        self._on_call = on_call
        self.budget = budget
        self.has_key = has_key

    def get(self, endpoint: Endpoint, params: Params, what: str) -> Document:
        """One read, retried while that may help. `what` names the data in errors.

        Raises: Transient, RateLimited, AuthRefused, NotFound; Rejected for a question the venue refuses (4xx);
        CriticalDataUnavailable when the answers stayed unreadable.
        """
        return self._retrying(endpoint, what, lambda wire, call: wire.get(call, endpoint.path, params))

    def get_timed(self, endpoint: Endpoint, params: Params, what: str, now: Callable[[], datetime]) -> Timed:
        """One read with its round trip; `now` is asked as soon as the answer is there. Raises as `get`."""
        last: list[Timed] = []

        def job(wire: Wire, call: Call) -> Document:
            began = time.monotonic()
            document = wire.get(call, endpoint.path, params)
            last.append(Timed(document, time.monotonic() - began, now()))
            return document

        self._retrying(endpoint, what, job)
        return last[-1]

    def beside(self, job: Callable[[], T], deadline_s: float) -> T:
        """Run another blocking read (the status page) on the normal worker. Raises NotSent or Torn when it is late."""

        def run(_: Wire, call: Call) -> T:
            call.begin()
            return job()

        return self._normal.run(run, deadline_s)

    def close(self) -> None:
        self._normal.close()
        self._urgent.close()

    def _retrying(self, endpoint: Endpoint, what: str, job: Job) -> Document:
        self._need_key(endpoint)
        attempts = _Attempts(
            what,
            self._patience,
            lambda: self.budget.take(endpoint.path, endpoint.access, endpoint.priority),
            lambda left_s, number: self._send(endpoint, job, _attempt_s(endpoint, left_s, number)),
            lambda refused, number: self._note_throttling(endpoint, refused, number),
        )
        return attempts.run()

    def _need_key(self, endpoint: Endpoint) -> None:
        if endpoint.access is Access.PRIVATE and not self.has_key:
            raise AuthRefused(f"{endpoint.name} needs an API key and none is configured")

    def _send(self, endpoint: Endpoint, job: Job, deadline_s: float) -> Document:
        lane = self._urgent if endpoint.priority is Priority.URGENT else self._normal
        began, status = time.monotonic(), "failed"
        try:
            document = lane.run(job, deadline_s)
            status = "200"
            return document
        except CallFailed as failed:
            status = _status(failed)
            raise
        finally:
            self._on_call(endpoint.name, status, time.monotonic() - began)

    def _note_throttling(self, endpoint: Endpoint, refused: HttpRefused, attempt: int) -> float | None:
        """Seconds to keep silent when this refusal is throttling, else None."""
        if refused.status == 429:
            asked = _retry_after_s(refused.retry_after)
            return self.budget.throttled(endpoint.access, endpoint.priority, asked, attempt)
        if refused.status == 403 and TOO_MANY_ERRORS in refused.text.lower():
            return self.budget.throttled(endpoint.access, endpoint.priority, TOO_MANY_ERRORS_WAIT_S, attempt)
        return None


class TradeClient(ReadClient):
    """A client that may also post."""

    def post_again(self, endpoint: Endpoint, body: Params, what: str) -> Document:
        """A POST that may safely be repeated (preview, cancel): retried and translated like a read."""
        return self._retrying(endpoint, what, lambda wire, call: wire.post(call, endpoint.path, body))

    def post_once(self, endpoint: Endpoint, body: Params) -> Document:
        """One POST, sent at most once.

        Raises: RateLimited or Transient (own budget; not sent), AuthRefused without a key (not sent), raw CallFailed.
        """
        self._need_key(endpoint)
        self.budget.take(endpoint.path, endpoint.access, endpoint.priority)
        try:
            return self._send(endpoint, lambda wire, call: wire.post(call, endpoint.path, body), self._patience.total_s)
        except HttpRefused as refused:
            self._note_throttling(endpoint, refused, 1)
            raise


class _Again(Exception):
    """This attempt failed in a way that another may mend; `error` is what to raise when none does."""

    def __init__(self, error: Exception, wait_s: float | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


class _Attempts:
    """The attempts of one read: how often the key was refused, and when it must be over."""

    def __init__(
        self,
        what: str,
        patience: Patience,
        take: Callable[[], None],
        send: Callable[[float, int], Document],
        throttling: Callable[[HttpRefused, int], float | None],
    ) -> None:
        self._what = what
        self._patience = patience
        self._take = take
        self._send = send
        self._throttling = throttling
        self._limit = time.monotonic() + patience.total_s
        self._auth_refusals = 0
        self._number = 0

    def run(self) -> Document:
        retrying = Retrying(
            stop=stop_after_attempt(self._patience.attempts),
            retry=retry_if_exception_type(_Again),
            wait=self._wait_s,
            sleep=self._patience.sleep,
            reraise=True,
        )
        try:
            return retrying(self._once)
        except _Again as last:
            raise last.error from last.__cause__

    def _once(self) -> Document:
        self._number += 1
        self._take()
        left = self._limit - time.monotonic()
        if left <= 0:
            raise Transient(f"{self._what}: no time left for attempt {self._number}")
        try:
            return self._send(left, self._number)
        except CallFailed as failed:
            raise self._meaning(failed) from failed

    def _wait_s(self, state: RetryCallState) -> float:
        """What the venue asked for, else full jitter under a doubling cap."""
        again = state.outcome.exception() if state.outcome is not None else None
        if isinstance(again, _Again) and again.wait_s is not None:
            return again.wait_s
        return self._patience.jitter(0.0, min(BACKOFF_MAX_S, BACKOFF_S * 2 ** (self._number - 1)))

    def _meaning(self, failed: CallFailed) -> Exception:
        if isinstance(failed, HttpRefused):
            return self._refusal(failed)
        if isinstance(failed, Unreadable):
            return self._again(CriticalDataUnavailable(self._what, str(failed)))
        kind = "not sent" if isinstance(failed, NotSent) else "no complete answer"
        error = Transient(f"{self._what}: {kind}: {failed}")
        return error if INTERRUPTED in str(failed) else self._again(error)

    def _refusal(self, refused: HttpRefused) -> Exception:
        silence = self._throttling(refused, self._number)
        if silence is not None:
            return self._again(RateLimited(f"{self._what}: {refused}", silence), silence)
        if refused.status in {401, 403}:
            return self._auth_refusal(AuthRefused(f"{self._what}: {refused}"))
        if refused.status == 404:
            return NotFound(f"{self._what}: {refused.details}")
        if refused.status >= 500 or refused.status in {408, 425}:
            return self._again(Transient(f"{self._what}: {refused}"))
        if refused.status < 400:
            return Transient(f"{self._what}: redirected (HTTP {refused.status}), which is never followed")
        return Rejected(refused.reason, f"{self._what}: {refused.details}")

    def _auth_refusal(self, error: AuthRefused) -> Exception:
        """A good token is refused now and then: signed anew, once."""
        self._auth_refusals += 1
        return self._again(error, 0.0) if self._auth_refusals == 1 else error

    def _again(self, error: Exception, wait_s: float | None = None) -> Exception:
        """Worth another attempt, unless its wait outlives the call."""
        enough = time.monotonic() + (wait_s or 0.0) < self._limit
        return _Again(error, wait_s) if enough else error


def _attempt_s(endpoint: Endpoint, left_s: float, number: int) -> float:
    return left_s if endpoint.attempt_s is None else min(left_s, number * endpoint.attempt_s)


def _status(failed: CallFailed) -> str:
    if isinstance(failed, HttpRefused):
        return str(failed.status)
    return {NotSent: "not_sent", Torn: "torn", Unreadable: "unreadable"}[type(failed)]


def _retry_after_s(text: str | None) -> float | None:
    """Seconds of a Retry-After header; a date or nonsense is None (the cap then rules)."""
    digits = (text or "").strip()
    return int(digits) * 1.0 if digits.isascii() and digits.isdigit() and len(digits) < 8 else None
