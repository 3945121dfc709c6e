"""What a launch certificate takes for proof, and what it does not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from bot.adapters.clock import ManualClock
from bot.adapters.memory import MemoryStorage
from bot.cli import proofs
from bot.cli.alert_test import RECORD, channel_of
from bot.cli.place import look
from bot.cli.rehearsal import VIOLATIONS, Rehearsed, rehearsed
from bot.domain.codec import canonical, time_text
from bot.domain.decision import Outcome, Reason
from bot.domain.event import (
    AlertRaised,
    BreakerChanged,
    DecisionRepeated,
    HaltBegan,
    HaltEnded,
    LatchSet,
    Mismatch,
    Payload,
)
from bot.domain.state import BreakerState, HaltCause, Latch
from bot.domain.value import replace
from bot.loop.words import undecided
from bot.record.store import StateStore
from bot.settings.config import Config
from bot.settings.environment import Settings
from bot.settings.policy import Policy
from bot.settings.secrets import Secrets
from bot.settings.universe import Universe
from tests.docs import spoken
from tests.record.world import NOON, nothing_done

CONFIG = Config(Policy(), Universe())
CODE = "1.0+abc"
NIGHT = DecisionRepeated("NO_TRADE", "no_signal", "c2", "c1500", 1499)
DRILL = (HaltBegan("kill_switch", "drill"), HaltEnded("kill_switch", "drill"))


# ----------------------------------------------------------------------------------------------------------- tests


@pytest.mark.parametrize(
    ("report", "met"),
    [
        ('<testsuites><testsuite tests="9" failures="0" errors="0"/></testsuites>', True),
        ('<testsuite tests="9" failures="1" errors="0"/>', False),
        ('<testsuite tests="9" failures="0" errors="1"/>', False),
        ('<testsuites><testsuite tests="9"/><testsuite tests="1" errors="2"/></testsuites>', False),
        ('<testsuite tests="0" failures="0" errors="0"/>', False),
        ("<testsuite", False),
        ('<!DOCTYPE x [<!ENTITY a "9">]><testsuite tests="&a;"/>', False),
    ],
)
def test_a_report_proves_something_only_when_tests_ran_and_none_failed_or_broke(tmp_path, report, met):
    (tmp_path / "tests.xml").write_text(report)
    assert proofs._tests(tmp_path / "tests.xml").met is met


def test_a_report_that_is_not_there_proves_nothing(tmp_path):
    found = proofs._tests(tmp_path / "no.xml")
    assert not found.met
    assert "--junitxml" in found.detail


# ----------------------------------------------------------------------------------------------------------- alerts


def acknowledged(folder: Path, secrets: Secrets, days_ago: float) -> proofs.Proof:
    """The proof of an alert that was acknowledged so long ago on the channel of `secrets`."""
    settings = Settings(data_dir=folder)
    storage = look(settings)
    storage.prepare()
    at = datetime.now(UTC) - timedelta(days=days_ago)
    storage.write(RECORD, canonical({"channel": channel_of(secrets), "acknowledged_at": time_text(at)}))
    return proofs._alert(settings, Secrets(webhooks=("https://pager.example/one",)), CONFIG)


@pytest.mark.parametrize(
    ("address", "days", "met", "words"),
    [
        ("https://pager.example/one", 1, True, "acknowledged"),
        ("https://pager.example/two", 1, False, "went to other addresses"),
        ("https://pager.example/one", 31.5, False, "31 days old"),
    ],
)
def test_an_alert_proves_the_channel_it_went_through_and_not_for_ever(tmp_path, address, days, met, words):
    found = acknowledged(tmp_path, Secrets(webhooks=(address,)), days)
    assert found.met is met
    assert words in found.detail


# ------------------------------------------------------------------------------------------------------- rehearsal


def after(*payloads: Payload, config_hash: str | None = None, code: str = CODE) -> Rehearsed:
    """What a journal with these events proves."""
    storage = MemoryStorage()
    store = StateStore(storage, ManualClock(NOON), config_hash or CONFIG.config_hash, code, "account")
    store.open("g1")
    for payload in payloads:
        store.record(payload, "c1")
    return rehearsed(storage, CONFIG, CODE)


REFUSED = undecided(Outcome.NO_TRADE, Reason.DATA_UNAVAILABLE, "balances: HTTP 503")


def test_cycles_that_could_not_look_rehearse_nothing():
    """A day without a venue is a day of records and of no decision."""
    assert after(REFUSED, replace(NIGHT, reason="data_unavailable")).cycles == 0
    assert after(nothing_done(), REFUSED, NIGHT, nothing_done()).cycles == 2
    assert after(REFUSED, nothing_done(), NIGHT).cycles == 1500


def test_cycles_of_another_configuration_count_for_none_though_they_were_written_down_later():
    storage = MemoryStorage()
    for config_hash, payload in (("f" * 64, nothing_done()), (CONFIG.config_hash, NIGHT)):
        store = StateStore(storage, ManualClock(NOON), config_hash, CODE, "account")
        store.open("g1")
        store.record(payload, "c1")
    assert rehearsed(storage, CONFIG, CODE).cycles == 0


def test_hours_are_those_of_the_cycles_repeated_ones_included():
    found = after(nothing_done(), NIGHT)
    assert found.cycles == 1500
    assert found.hours(CONFIG) == Decimal(25)
    assert after(nothing_done(), NIGHT, config_hash="other").cycles == 0
    assert after(nothing_done(), NIGHT, code="1.0+def").cycles == 0


def test_every_alert_that_spoils_a_rehearsal_is_one_that_can_be_raised():
    assert set(VIOLATIONS) <= spoken.fingerprints()


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (Mismatch("order c1", "OPEN", "absent"), "books and exchange differed on order c1"),
        (BreakerChanged(BreakerState("exceptions", open=True, detail="3 hits")), "breaker exceptions: 3 hits"),
        (BreakerChanged(BreakerState("reconcile_mismatch", open=True)), "breaker reconcile_mismatch"),
        (
            LatchSet(Latch("governor.orders_per_minute", HaltCause.GOVERNOR, "21 sent", NOON)),
            "orders_per_minute latched",
        ),
        (undecided(Outcome.ERROR, None, "ZeroDivisionError: a bug"), "a cycle failed: ZeroDivisionError"),
        (AlertRaised("1", "state.corrupt", "CRITICAL", "firing", "t", ""), "state.corrupt"),
        (AlertRaised("1", "storage.failed", "CRITICAL", "firing", "t", ""), "storage.failed"),
    ],
)
def test_whatever_must_never_happen_spoils_a_rehearsal(payload, words):
    found = after(nothing_done(), NIGHT, *DRILL, payload)
    [violation] = found.violations
    assert words in violation


@pytest.mark.parametrize(
    "payload",
    [
        BreakerChanged(BreakerState("exceptions", open=False)),
        BreakerChanged(BreakerState("api_errors", open=True)),
        AlertRaised("1", "halt.kill_switch", "CRITICAL", "firing", "t", "drill"),
    ],
)
def test_the_exchanges_own_troubles_and_drills_do_not(payload):
    assert after(nothing_done(), *DRILL, payload).violations == []


def test_a_drill_is_a_halt_and_its_end_in_this_order():
    began, ended = DRILL
    assert after(began, ended).drilled
    assert not after(began).drilled
    assert not after(ended).drilled
    assert not after(replace(began, cause="daily_stop"), replace(ended, cause="daily_stop")).drilled
