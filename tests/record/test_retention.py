"""Years of running on a bounded disk, with every figure still provable."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from bot.adapters.clock import ManualClock
from bot.adapters.memory import MemoryStorage
from bot.domain.event import JournalAnchored
from bot.errors import StateCorrupt
from bot.record.journal import read_days
from bot.record.replay import base_of, verify
from bot.record.retention import tend
from bot.record.statefile import dump
from bot.record.store import StateStore
from tests.record.world import ACCOUNT, NOON, SAMPLES, fill, nothing_done, store_on

RETENTION = 5


class Running:
    """One fill and a few decisions a day."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.clock = ManualClock(NOON)
        self.store = StateStore(self.storage, self.clock, "cfg", "1.0", ACCOUNT)
        self.store.open("g1")
        self.count = 0

    def day(self) -> None:
        self.count += 1
        self.store.record(fill(f"e{self.count}", fee="0.01", at=self.clock.now()))
        self.store.record_decision(nothing_done(), f"c{self.count}")
        self.store.save()
        tend(self.store, self.storage, self.clock.now(), RETENTION)
        self.store.save()
        self.clock.advance(timedelta(days=1))


def running(days: int) -> Running:
    made = Running()
    for _ in range(days):
        made.day()
    return made


def test_old_days_go_and_everything_left_is_still_proven_to_the_byte() -> None:
    run = running(20)
    assert len(run.storage.journal_days()) == RETENTION + 1
    run.store.flush()
    run.store.save()
    assert verify(run.storage, run.storage.state_generations()).problem == ""
    run.storage.snapshots.clear()
    assert dump(store_on(run.storage).state) == dump(run.store.state)


def test_money_events_of_removed_days_are_kept_for_good() -> None:
    run = running(20)
    kept = list(run.storage.names("ledger"))
    left = set(run.storage.journal_days())
    assert len(kept) == 20 - len(left)
    rows = [json.loads(line) for name in kept for line in run.storage.files[f"ledger/{name}"].splitlines()]
    assert [row["payload"]["entry_id"] for row in rows] == [f"e{n}" for n in range(1, len(kept) + 1)]
    assert {row["topic"] for row in rows} == {"fill.booked"}
    assert all(row["hash"] for row in rows)


def test_days_are_packed_once_they_are_over_for_a_day() -> None:
    run = running(4)
    assert sorted(run.storage.days) == ["2026-11-20", "2026-11-21"]
    assert len(run.storage.journal_days()) == 4


def test_the_anchor_carries_state_and_hash_of_what_was_removed() -> None:
    whole = Running()
    hashes: dict[int, str] = {}
    for _ in range(20):
        whole.day()
        hashes |= {e.seq: e.hash for e in read_days(whole.storage, whole.storage.journal_days())}
    base = base_of(read_days(whole.storage, whole.storage.journal_days()))
    assert base.head == hashes[base.seq]
    assert base.fees_total == Decimal("0.01") * (20 - RETENTION - 1)


def test_a_kill_between_anchor_and_removal_is_made_good_without_a_second_anchor() -> None:
    class Killed(BaseException):
        pass

    class Dying(MemoryStorage):
        left = -1

        def remove_journal(self, day: str) -> None:
            if self.left == 0:
                raise Killed
            self.left -= 1
            super().remove_journal(day)

    for left in range(3):
        run = Running()
        storage = Dying()
        run.storage = storage
        run.store = StateStore(storage, run.clock, "cfg", "1.0", ACCOUNT)
        run.store.open("g1")
        for _ in range(3):
            run.store.record(fill(f"e{run.count}", fee="0.01"))
            run.count += 1
            run.clock.advance(timedelta(days=1))
        run.clock.advance(timedelta(days=30))
        run.store.record(SAMPLES[3])
        storage.left = left
        with pytest.raises(Killed):
            tend(run.store, storage, run.clock.now(), RETENTION)
        assert verify(storage, ()).problem == ""
        storage.left = -1
        again = StateStore(storage, run.clock, "cfg", "1.0", ACCOUNT)
        again.open("unused")
        assert again.state == run.store.state
        tend(again, storage, run.clock.now(), RETENTION)
        topics = [e.topic for e in read_days(storage, storage.journal_days())]
        assert topics == ["run.started", JournalAnchored.topic]
        assert verify(storage, ()).problem == ""


def test_a_broken_chain_is_kept_for_people_to_look_at() -> None:
    run = running(3)
    run.clock.advance(timedelta(days=30))
    run.store.record(SAMPLES[3])
    days = run.storage.journal_days()
    run.storage.remove_journal(days[1])
    with pytest.raises(StateCorrupt, match="missing"):
        tend(run.store, run.storage, run.clock.now(), RETENTION)
    assert len(run.storage.journal_days()) == len(days) - 1


def test_a_journal_whose_beginning_is_gone_without_an_anchor_proves_nothing() -> None:
    run = running(3)
    run.storage.remove_journal(run.storage.journal_days()[0])
    assert "no anchor" in verify(run.storage, run.storage.state_generations()).problem
    run.storage.snapshots.clear()
    with pytest.raises(StateCorrupt, match="no anchor"):
        store_on(run.storage)


def test_the_newest_day_is_never_packed_or_removed_even_after_a_year_of_silence() -> None:
    run = running(1)
    run.clock.advance(timedelta(days=365))
    assert tend(run.store, run.storage, run.clock.now(), RETENTION) == ()
    assert list(run.storage.days) == ["2026-11-18"]
