"""What the operator sees while the exchange cannot be reached for the very first time: up, not ready, no trade."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, Protocol

from bot.domain.codec import canonical
from bot.domain.decision import Outcome, Reason
from bot.errors import StorageFailed
from bot.loop.naming import compact
from bot.loop.report import HEARTBEAT
from bot.ops.alerts import AlertService, Severity
from bot.ops.status import CycleRecord
from bot.ports import Storage

FINGERPRINT: Final = "venue.unreachable"


class Board(Protocol):
    """The health page."""

    def publish(self, report: dict[str, Any], *, ready: bool, why: str) -> None: ...


class Doorstep:
    """Told of each attempt to reach the exchange. nudge: wakes the courier of alerts."""

    def __init__(
        self, storage: Storage, board: Board, alerts: AlertService, nudge: Callable[[], None], config_hash: str
    ) -> None:
        self._storage = storage
        self._board = board
        self._alerts = alerts
        self._nudge = nudge
        self._config_hash = config_hash
        self._count = 0

    def refused(self, began: datetime, now: datetime, why: str) -> None:
        """One attempt failed: it counts as a cycle without a trade."""
        self._count += 1
        number = f"{compact(began)}-start{self._count}"
        reason = Reason.DATA_UNAVAILABLE.value
        record = CycleRecord(number, began, now, Outcome.NO_TRADE.value, reason, self._config_hash, why)
        self._board.publish({"running": True, "cycle": record.as_json()}, ready=False, why=why)
        if self._count == 1:
            self._alerts.fire(FINGERPRINT, Severity.WARNING, "the exchange cannot be reached", why)
        self._alerts.tick()
        try:
            self._storage.write(HEARTBEAT, canonical(record.as_json()))
        except StorageFailed:
            self._alerts.notice("storage.failed", Severity.CRITICAL, "durable state cannot be written", HEARTBEAT)
        self._nudge()

    def opened(self) -> None:
        """The exchange answered."""
        self._alerts.resolve(FINGERPRINT, "the exchange answers")
