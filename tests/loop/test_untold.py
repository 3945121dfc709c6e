"""What began is said once, also when the process that recorded it was killed before it could say so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from bot.domain.event import BreakerChanged, HaltBegan, HaltEnded, LatchCleared, LatchSet, Payload
from bot.domain.state import BreakerState, HaltCause, Latch
from bot.ports import KillProbe, KillState
from simulator.server import START
from tests.loop.markets import RISE
from tests.loop.stage import Stage

OVER = START + timedelta(seconds=65)
BEGUN: dict[str, tuple[Payload, ...]] = {
    "halt.kill_switch": (HaltBegan("kill_switch", "pulled for a moment"),),
    "halt.nlv_unknown": (HaltBegan("nlv_unknown", "no price"), HaltEnded("nlv_unknown", "no price")),
    "halt.breaker.api_errors": (BreakerChanged(BreakerState("api_errors", open=True, since=START, until=OVER)),),
    "halt.governor": (
        LatchSet(Latch("governor", HaltCause.GOVERNOR, "too many orders", START)),
        HaltBegan("governor", "too many orders"),
        LatchCleared("governor", "an operator"),
    ),
}
"""Fingerprint -> what a process had recorded when it was killed; its cause is gone at the next start."""


def said(stage: Stage, fingerprint: str) -> list[Mapping[str, Any]]:
    return [alert for alert in stage.events("alert.raised") if alert["fingerprint"] == fingerprint]


@pytest.mark.parametrize("fingerprint", BEGUN)
def test_what_a_killed_process_recorded_is_told_by_the_next_one_though_it_is_over(fingerprint: str) -> None:
    stage = Stage(RISE)
    stage.cycle()
    for event in BEGUN[fingerprint]:
        stage.loop.store.record(event)
    assert not said(stage, fingerprint)
    stage.idle(70)
    stage.boot()
    stage.cycle()
    assert [alert["state"] for alert in said(stage, fingerprint)] == ["firing", "resolved"]
    assert "nobody was told" in said(stage, fingerprint)[0]["detail"]
    stage.boot()
    stage.run_for(130)
    assert len(said(stage, fingerprint)) == 2
    assert not stage.state.untold


def test_a_halt_that_was_told_and_ends_while_nobody_runs_is_not_told_again() -> None:
    stage = Stage(RISE)
    stage.throw_the_switch()
    stage.cycle()
    assert len(said(stage, "halt.kill_switch")) == 1
    stage.disk.kill = KillState(KillProbe.ABSENT)
    stage.boot()
    stage.run_for(70)
    assert len(said(stage, "halt.kill_switch")) == 1


def test_while_the_disk_is_full_it_waits_and_is_told_once_afterwards() -> None:
    stage = Stage(RISE)
    stage.cycle()
    stage.loop.store.record(HaltBegan("kill_switch", "pulled for a moment"))
    stage.boot()
    stage.disk.full = True
    for _ in range(5):
        stage.cycle()
    told = sum(b"nobody was told" in body for body in stage.courier.carried)
    assert told <= 1
    stage.disk.full = False
    stage.run_for(130)
    assert [alert["state"] for alert in said(stage, "halt.kill_switch")] == ["firing", "resolved"]
