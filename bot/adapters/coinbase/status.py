"""The venue's status page: the worst of the components the policy names, or UNKNOWN. Never an error."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeVar

import httpx

from bot.adapters.coinbase.failures import CallFailed
from bot.adapters.coinbase.strict_json import NotStrictJson, parse_document
from bot.adapters.coinbase.units import seconds
from bot.adapters.coinbase.wire.read import Fields
from bot.domain.snapshot import ExchangeStatus, StatusLevel
from bot.errors import CriticalDataUnavailable
from bot.settings.policy import ExchangeStatusPolicy

PAGE_MAX_BYTES: Final = 2_000_000
PAGE_DEADLINE_S: Final = 4.0

T = TypeVar("T")

_LEVELS: Final = {
    "operational": StatusLevel.OPERATIONAL,
    "degraded_performance": StatusLevel.MINOR,
    "partial_outage": StatusLevel.MAJOR,
    "under_maintenance": StatusLevel.MAJOR,
    "major_outage": StatusLevel.CRITICAL,
}
_ORDER: Final = (StatusLevel.OPERATIONAL, StatusLevel.MINOR, StatusLevel.MAJOR, StatusLevel.CRITICAL)


class Runner(Protocol):
    """Runs a blocking read elsewhere and stops waiting at a deadline; `ReadClient.beside` is one."""

    def __call__(self, job: Callable[[], T], deadline_s: float) -> T: ...


class StatusPage:
    """Asked at most once every `poll_seconds` of `monotonic` (trading time); between, the last answer stands."""

    def __init__(
        self,
        url: str,
        policy: ExchangeStatusPolicy,
        context: ssl.SSLContext,
        run: Runner,
        monotonic: Callable[[], float],
    ) -> None:
        self._url = url
        self._policy = policy
        self._context = context
        self._run = run
        self._monotonic = monotonic
        self._last: ExchangeStatus | None = None
        self._asked_at = 0.0

    def read(self, now: datetime) -> ExchangeStatus:
        poll = self._policy.poll_seconds
        if poll is None:
            return ExchangeStatus(StatusLevel.UNKNOWN, "the policy never asks the status page", now)
        if self._last is None or self._monotonic() - self._asked_at >= seconds(poll):
            self._asked_at = self._monotonic()
            self._last = self._fetch(now)
        return self._last

    def _fetch(self, now: datetime) -> ExchangeStatus:
        try:
            content = self._run(self._download, PAGE_DEADLINE_S)
            return summary(content, self._policy.stop_entries, now)
        except (CallFailed, NotStrictJson, CriticalDataUnavailable, httpx.HTTPError, OSError) as error:
            return ExchangeStatus(StatusLevel.UNKNOWN, f"unreadable: {type(error).__name__}: {error}"[:200], now)

    def _download(self) -> bytes:
        limit = time.monotonic() + PAGE_DEADLINE_S
        parts: list[bytes] = []
        with (
            httpx.Client(verify=self._context, trust_env=False, timeout=PAGE_DEADLINE_S / 2) as client,
            client.stream("GET", self._url, headers={"Accept": "application/json"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise NotStrictJson(f"HTTP {response.status_code}")
            for part in response.iter_bytes():
                parts.append(part)
                if time.monotonic() > limit or sum(map(len, parts)) > PAGE_MAX_BYTES:
                    raise NotStrictJson("the page is too slow or too large")
        return b"".join(parts)


def summary(content: bytes, patterns: Sequence[str], now: datetime) -> ExchangeStatus:
    """The worst component whose name holds one of `patterns` as whole words, letter case aside.

    The page's own indicator is not used: it is often `minor` for a payment method or a single coin.

    Raises: NotStrictJson, CriticalDataUnavailable when the page is not a summary.
    """
    wanted = re.compile("|".join(rf"\b{re.escape(pattern)}\b" for pattern in patterns), re.IGNORECASE)
    matched = []
    for row in Fields(parse_document(content), "status page").rows("components"):
        name = row.text("name")
        if patterns and wanted.search(name):
            matched.append((_LEVELS.get(row.text("status"), StatusLevel.UNKNOWN), name))
    if not matched:
        return ExchangeStatus(StatusLevel.UNKNOWN, "no component matches the policy", now)
    known = [(level, name) for level, name in matched if level is not StatusLevel.UNKNOWN]
    if not known:
        return ExchangeStatus(StatusLevel.UNKNOWN, "no matched component has a known status", now)
    worst = max((level for level, _ in known), key=_ORDER.index)
    names = ", ".join(sorted(name for level, name in known if level is worst))
    return ExchangeStatus(worst, "" if worst is StatusLevel.OPERATIONAL else names[:200], now)
