"""The venue's status page (Statuspage v2) and a receiver of alerts."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from simulator.keys import named_uuid

DESCRIPTIONS: Final = {
    "none": "All Systems Operational",
    "minor": "Minor Service Outage",
    "major": "Partial System Outage",
    "critical": "Major Service Outage",
    "maintenance": "Service Under Maintenance",
}
COMPONENTS: Final = (
    "Coinbase - Website",
    "Coinbase - API",
    "Advanced Trade",
    "Advanced Trade API",
    "Trading - USD",
    "Bitcoin (BTC)",
    "Ethereum (ETH)",
)


@dataclass(slots=True)
class StatusPage:
    """What the page says. broken: a status code to answer with instead, 0 for none; html: answer with a web page.

    components: name -> status (`operational`, `degraded_performance`, `partial_outage`, `major_outage`,
    `under_maintenance`).
    """

    indicator: str = "none"
    components: dict[str, str] = field(default_factory=lambda: dict.fromkeys(COMPONENTS, "operational"))
    incidents: list[dict[str, Any]] = field(default_factory=list)
    broken: int = 0
    html: bool = False

    def summary(self, now: datetime) -> dict[str, Any]:
        stamp = now.isoformat(timespec="milliseconds")
        return {
            "page": {
                "id": "kr0djjh0jyy9",
                "name": "Coinbase",
                "url": "https://status.coinbase.com",
                "time_zone": "America/Los_Angeles",
                "updated_at": stamp,
            },
            "components": [self._component(n, name, status, stamp) for n, (name, status) in enumerate(self._rows())],
            "incidents": self.incidents,
            "scheduled_maintenances": [],
            "status": {"indicator": self.indicator, "description": DESCRIPTIONS.get(self.indicator, "")},
        }

    def change(self, data: Mapping[str, Any]) -> None:
        """Set indicator, single components, incidents, or how the page is broken."""
        self.indicator = str(data.get("indicator", self.indicator))
        self.components |= {str(name): str(status) for name, status in data.get("components", {}).items()}
        self.incidents = list(data.get("incidents", self.incidents))
        self.broken = int(data.get("broken", self.broken))
        self.html = bool(data.get("html", self.html))

    def _rows(self) -> Sequence[tuple[str, str]]:
        return list(self.components.items())

    def _component(self, position: int, name: str, status: str, stamp: str) -> dict[str, Any]:
        return {
            "id": named_uuid("component", name)[:12].replace("-", ""),
            "name": name,
            "status": status,
            "created_at": stamp,
            "updated_at": stamp,
            "position": position,
            "description": None,
            "showcase": False,
            "start_date": None,
            "group_id": None,
            "page_id": "kr0djjh0jyy9",
            "group": False,
            "only_show_if_degraded": False,
        }


@dataclass(slots=True)
class AlertSink:
    """Keeps what is posted to it. status: what it answers; hang: takes the request and never answers.

    delay_s: real seconds before the answer; size: bytes of padding in the answer.
    """

    status: int = 200
    hang: bool = False
    delay_s: float = 0.0
    size: int = 0
    received: deque[tuple[datetime, Any]] = field(default_factory=lambda: deque(maxlen=10_000))

    def change(self, data: Mapping[str, Any]) -> None:
        self.status = int(data.get("status", self.status))
        self.hang = bool(data.get("hang", self.hang))
        self.delay_s = float(data.get("delay_s", self.delay_s))
        self.size = int(data.get("size", self.size))
