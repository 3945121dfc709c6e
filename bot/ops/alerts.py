"""AlertService: says once what an operator must know, keeps it on disk until it is delivered, says when it is over."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from bot.domain.codec import canonical, time_text
from bot.domain.event import AlertRaised
from bot.errors import StorageFailed
from bot.ops.redact import without_secrets
from bot.ports import Storage
from bot.settings.policy import AlertsPolicy

OUTBOX: Final = "outbox"
FIRING: Final = "firing"


class Severity(Enum):
    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


@dataclass(slots=True)
class _Firing:
    severity: Severity
    title: str
    detail: str
    since: datetime
    said_at: datetime
    escalated: bool = False
    folded: int = 0


class AlertService:
    """Alerts by fingerprint: firing, folded for `dedupe_seconds`, escalated when unresolved, resolved.

    Every message is journalled and written to the outbox before anything is sent; delivery happens elsewhere, on its
    own thread, so a hanging receiver never delays trading, and nothing CRITICAL is lost over a restart.

    heard: told of everything that was said, whatever became of it. lost: called for each message that the disk did not
    keep, or that had to give way there. unwritten: how many those were.
    """

    def __init__(
        self,
        storage: Storage,
        now: Callable[[], datetime],
        policy: AlertsPolicy,
        env: str,
        mode: str,
        record: Callable[[AlertRaised], object],
        carry: Callable[[str, bytes], object] = lambda _id, _body: None,
        clean: Callable[[str], str] = without_secrets,
    ) -> None:
        """record: journals an alert. carry: takes an alert that the disk would not, so that it is sent all the same.

        clean: takes secrets and line breaks out of every text, before it is kept anywhere.
        """
        self._storage = storage
        self._now = now
        self._policy = policy
        self._env, self._mode = env, mode
        self._record = record
        self._carry = carry
        self._clean = clean
        self.heard: Callable[[AlertRaised], object] = lambda _said: None
        self.lost: Callable[[], object] = lambda: None
        self._firing: dict[str, _Firing] = {}
        self._count = 0
        self.unwritten = 0

    def configure(self, policy: AlertsPolicy) -> None:
        """What is folded, escalated and kept from now on."""
        self._policy = policy

    def fire(self, fingerprint: str, severity: Severity, title: str, detail: str) -> bool:
        """Raise an alert; False when it was folded into one already said."""
        now = self._now()
        known = self._firing.get(fingerprint)
        if known is not None and now - known.said_at < timedelta(seconds=float(self._policy.dedupe_seconds)):
            known.folded += 1
            known.detail = detail
            return False
        since = known.since if known is not None else now
        escalated = known.escalated if known is not None else False
        self._firing[fingerprint] = _Firing(severity, title, detail, since, now, escalated)
        self._say(fingerprint, severity, FIRING, title, detail)
        return True

    def notice(self, fingerprint: str, severity: Severity, title: str, detail: str) -> None:
        """An alert about something that happened and is over: said (folded like any other), never escalated."""
        if self.fire(fingerprint, severity, title, detail):
            self._firing[fingerprint].escalated = True

    def resolve(self, fingerprint: str, detail: str) -> None:
        """The condition is gone; says so when it had been said."""
        known = self._firing.pop(fingerprint, None)
        if known is not None:
            self._say(fingerprint, known.severity, "resolved", known.title, detail)

    def tick(self) -> None:
        """Repeat, one step more severe, what is still unresolved after `escalate_after_seconds`."""
        now, limit = self._now(), timedelta(seconds=float(self._policy.escalate_after_seconds))
        for fingerprint, firing in self._firing.items():
            if not firing.escalated and firing.severity is not Severity.INFO and now - firing.since >= limit:
                firing.escalated, firing.severity, firing.said_at = True, Severity.CRITICAL, now
                title = f"STILL UNRESOLVED: {firing.title}"
                self._say(fingerprint, Severity.CRITICAL, FIRING, title, firing.detail)

    @property
    def firing(self) -> tuple[str, ...]:
        return tuple(sorted(self._firing))

    def undelivered(self) -> int:
        """Messages that still wait in the outbox."""
        return len(self._storage.names(OUTBOX))

    def _say(self, fingerprint: str, severity: Severity, state: str, title: str, detail: str) -> None:
        now, title, detail = self._now(), self._clean(title), self._clean(detail)
        self._count += 1
        seed = f"{time_text(now)}|{fingerprint}|{state}|{self._count}"
        alert_id = f"{now:%Y%m%dT%H%M%S}-{self._count:06d}-{hashlib.sha256(seed.encode()).hexdigest()[:8]}"
        body = {
            "id": alert_id, "fingerprint": fingerprint, "severity": severity.value, "state": state, "title": title,
            "detail": detail, "ts": time_text(now), "env": self._env, "mode": self._mode,
        }  # fmt: skip
        self._keep(alert_id, canonical(body))
        raised = AlertRaised(alert_id, fingerprint, severity.value, state, title, detail)
        self.heard(raised)
        try:
            self._record(raised)
        except StorageFailed:
            self._count_lost()

    def _count_lost(self) -> None:
        self.unwritten += 1
        self.lost()

    def _keep(self, alert_id: str, body: bytes) -> None:
        """The outbox is bounded: the oldest message that is not CRITICAL gives way, which is counted, never silent."""
        try:
            self._make_room()
            self._storage.write(f"{OUTBOX}/{alert_id}.json", body)
        except StorageFailed:
            self._count_lost()
            self._carry(alert_id, body)

    def _make_room(self) -> None:
        waiting = self._storage.names(OUTBOX)
        excess = len(waiting) - self._policy.outbox_limit + 1
        for name in waiting if excess > 0 else ():
            if excess > 0 and not self._is_critical(name):
                self._storage.remove(f"{OUTBOX}/{name}")
                self._count_lost()
                excess -= 1

    def _is_critical(self, name: str) -> bool:
        return b'"severity":"CRITICAL"' in (self._storage.read(f"{OUTBOX}/{name}") or b"")
