"""Alerts: said once, kept until delivered, escalated while unresolved, resolved when over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.adapters.clock import ManualClock
from bot.adapters.memory import MemoryStorage
from bot.domain.event import AlertRaised
from bot.ops.alerts import AlertService, Severity
from bot.ops.metrics import Metrics
from bot.settings.policy import AlertsPolicy

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Desk:
    """An AlertService with everything around it in memory."""

    def __init__(self, **policy: Any) -> None:
        self.clock = ManualClock(T0)
        self.storage = MemoryStorage()
        self.journal: list[AlertRaised] = []
        self.metrics = Metrics("c", "v")
        self.service = AlertService(
            self.storage, self.clock.now, AlertsPolicy(**policy), "staging", "paper", self.journal.append
        )
        self.service.heard, self.service.lost = self.metrics.heard, self.metrics.lost_alerts.inc

    def counted(self, severity: Severity) -> float:
        return self.metrics.registry.get_sample_value("bot_alerts_total", {"severity": severity.value}) or 0

    def later(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def said(self) -> list[dict[str, Any]]:
        names = self.storage.names("outbox")
        return [json.loads(self.storage.read(f"outbox/{name}") or b"") for name in names]


def test_an_alert_is_on_disk_and_in_the_journal_before_anything_is_sent():
    desk = Desk()
    assert desk.service.fire("kill", Severity.CRITICAL, "halted", "KILL_SWITCH exists")
    (body,) = desk.said()
    assert set(body) == {"id", "fingerprint", "severity", "state", "title", "detail", "ts", "env", "mode"}
    assert (body["severity"], body["state"], body["env"], body["mode"]) == ("CRITICAL", "firing", "staging", "paper")
    assert [event.id for event in desk.journal] == [body["id"]]
    assert desk.service.undelivered() == 1


def test_the_same_alert_is_said_once_a_minute():
    desk = Desk()
    for _ in range(5):
        desk.service.fire("stale", Severity.WARNING, "stale", "quotes are old")
        desk.later(10)
    assert len(desk.said()) == 1
    desk.later(10)
    desk.service.fire("stale", Severity.WARNING, "stale", "quotes are old")
    assert len(desk.said()) == 2


def test_different_alerts_are_not_folded_into_each_other():
    desk = Desk()
    desk.service.fire("a", Severity.WARNING, "a", "")
    desk.service.fire("b", Severity.WARNING, "b", "")
    assert {body["fingerprint"] for body in desk.said()} == {"a", "b"}


def test_an_unresolved_alert_escalates_once():
    desk = Desk()
    desk.service.fire("stale", Severity.WARNING, "stale", "quotes are old")
    desk.later(119)
    desk.service.tick()
    assert len(desk.said()) == 1
    desk.later(1)
    desk.service.tick()
    desk.later(500)
    desk.service.tick()
    bodies = desk.said()
    assert [body["severity"] for body in bodies] == ["WARNING", "CRITICAL"]
    assert bodies[1]["title"].startswith("STILL UNRESOLVED")


def test_resolving_says_so_and_only_what_was_said():
    desk = Desk()
    desk.service.resolve("never", "gone")
    desk.service.fire("stale", Severity.WARNING, "stale", "quotes are old")
    desk.service.resolve("stale", "fresh again")
    assert [body["state"] for body in desk.said()] == ["firing", "resolved"]
    assert desk.service.firing == ()


def test_what_is_over_already_never_escalates():
    desk = Desk()
    desk.service.notice("shutdown", Severity.WARNING, "stopped", "")
    desk.later(1000)
    desk.service.tick()
    assert len(desk.said()) == 1


def test_what_escalates_is_counted_as_critical_and_what_is_folded_or_over_is_not():
    """A watcher of the figure must ring for a warning that nobody answered."""
    desk = Desk()
    for _ in range(3):
        desk.service.fire("stale", Severity.WARNING, "stale", "quotes are old")
        desk.service.notice("slow", Severity.WARNING, "slow", "50 s")
    assert (desk.counted(Severity.WARNING), desk.counted(Severity.CRITICAL)) == (2, 0)
    desk.later(120)
    desk.service.tick()
    desk.service.resolve("stale", "fresh again")
    assert (desk.counted(Severity.WARNING), desk.counted(Severity.CRITICAL)) == (2, 1)


def test_a_full_outbox_drops_the_oldest_and_counts_it():
    desk = Desk(outbox_limit=3)
    for number in range(5):
        desk.service.fire(f"f{number}", Severity.WARNING, "t", "")
        desk.later(1)
    assert [body["fingerprint"] for body in desk.said()] == ["f2", "f3", "f4"]
    assert desk.service.unwritten == 2
    assert desk.metrics.registry.get_sample_value("bot_alerts_lost_total") == 2


def test_a_full_outbox_keeps_what_is_critical_however_old_it_is():
    desk = Desk(outbox_limit=3)
    desk.service.fire("disk", Severity.CRITICAL, "t", "")
    for number in range(5):
        desk.later(1)
        desk.service.fire(f"f{number}", Severity.WARNING, "t", "")
    assert [body["fingerprint"] for body in desk.said()] == ["disk", "f3", "f4"]


def test_an_outbox_full_of_critical_alerts_grows_rather_than_lose_one():
    desk = Desk(outbox_limit=2)
    for number in range(4):
        desk.service.fire(f"f{number}", Severity.CRITICAL, "t", "")
    assert len(desk.said()) == 4
    assert desk.service.unwritten == 0


@pytest.mark.parametrize("count", [1, 3])
def test_ids_are_unique_and_sort_by_time(count):
    desk = Desk()
    for number in range(count):
        desk.service.fire(f"f{number}", Severity.INFO, "t", "")
    ids = [body["id"] for body in desk.said()]
    assert ids == sorted(set(ids))


def test_no_secret_and_no_line_break_leaves_with_an_alert():
    desk = Desk()
    desk.service.fire(
        "x", Severity.WARNING, "refused\nBearer abcdefgh12345678", "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJrIn0.c2ln"
    )
    (body,) = desk.said()
    assert (body["title"], body["detail"]) == ("refused [redacted]", "[redacted]")
    assert (desk.journal[0].title, desk.journal[0].detail) == (body["title"], body["detail"])
