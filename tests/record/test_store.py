"""StateStore: what was recorded is there after any restart, and a failed write has not happened."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from bot.adapters.memory import MemoryStorage
from bot.domain import event as ev
from bot.domain.position import CostMethod
from bot.domain.value import replace
from bot.errors import StateCorrupt, StorageFailed, UnitError
from bot.record.journal import read_days
from bot.record.replay import verify
from bot.record.statefile import dump
from bot.record.store import REPEATED, StateStore
from tests.record.world import ACCOUNT, NOON, SAMPLES, TickingClock, filled_store, intent, nothing_done, store_on

NIGHT = NOON + timedelta(hours=11, minutes=59)


class FailingStorage(MemoryStorage):
    """Every write fails while `failing` is set, as on a full disk."""

    failing = False

    def append(self, day: str, line: bytes, durable: bool) -> None:
        self._check()
        super().append(day, line, durable)

    def save_state(self, content: bytes) -> None:
        self._check()
        super().save_state(content)

    def write(self, name: str, content: bytes) -> None:
        self._check()
        super().write(name, content)

    def _check(self) -> None:
        if self.failing:
            raise StorageFailed("no space left on device")


def written(storage: MemoryStorage) -> dict[str, bytes]:
    return {day: bytes(content) for day, content in storage.days.items()}


def lines(storage: MemoryStorage) -> list[ev.Envelope]:
    return list(read_days(storage, storage.journal_days()))


def test_the_first_start_opens_a_journal_that_names_its_genesis() -> None:
    storage = MemoryStorage()
    store = store_on(storage)
    assert store.recovered is not None
    assert store.recovered.fresh
    assert lines(storage)[0].payload == ev.JournalOpened("g1", ACCOUNT, 1)
    assert (store.state.genesis, store.state.account, store.state.seq) == ("g1", ACCOUNT, 1)


def test_a_later_start_keeps_the_genesis_and_writes_nothing() -> None:
    storage = MemoryStorage()
    filled_store(storage)
    before = (written(storage), list(storage.snapshots))
    store = store_on(storage, genesis="g-other")
    assert store.state.genesis == "g1"
    assert (written(storage), storage.snapshots) == before


def test_a_restart_after_any_event_gives_the_same_state_to_the_byte() -> None:
    storage = MemoryStorage()
    store = store_on(storage)
    for count, payload in enumerate(SAMPLES[3:]):
        store.record(payload, "cycle", 1)
        if count % 7 == 3:
            store.save()
        again = StateStore(storage, TickingClock(NOON), "cfg", "1.0", ACCOUNT)
        again.open("unused")
        assert dump(again.state) == dump(store.state)


def test_a_restart_without_any_snapshot_folds_the_whole_journal() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    storage.snapshots.clear()
    again = store_on(storage)
    assert again.state == store.state
    assert again.recovered is not None
    assert again.recovered.generation is None


def test_saving_writes_only_what_is_new() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    assert (store.save(), len(storage.snapshots)) == (False, 1)
    store.record(SAMPLES[3])
    assert (store.save(), len(storage.snapshots)) == (True, 2)
    assert not store_on(storage).save()


def test_folding_the_journal_reproduces_the_snapshot_byte_for_byte() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    store.record(SAMPLES[3])
    proof = verify(storage, storage.state_generations())
    assert (proof.problem, proof.events, proof.last) == ("", store.state.seq, store.state)


def test_verify_names_a_snapshot_that_the_journal_does_not_give() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    length = store.state.seq
    tampered = dump(replace(store.state, realised_total=Decimal(10**6)))
    assert "does not give state.json" in verify(storage, [tampered]).problem
    store.record(SAMPLES[3])
    later = dump(store.state)
    del storage.days["2026-11-18"][storage.days["2026-11-18"].rindex(b"\n", 0, -1) + 1 :]
    assert f"the journal ends at {length}" in verify(storage, [later]).problem
    assert "JSON" in verify(storage, [later[:-9], later]).problem
    storage.days["2026-11-18"][40] ^= 1
    assert "byte 0" in verify(storage, ()).problem


def test_a_failed_write_has_not_happened() -> None:
    storage = FailingStorage()
    store = filled_store(storage)
    before = store.state
    storage.failing = True
    with pytest.raises(StorageFailed):
        store.record(intent(9))
    assert store.state is before
    assert store.broken
    assert not store.probe()
    assert store.broken
    storage.failing = False
    assert store.probe()
    assert not store.broken
    store.record(intent(9))
    store.save()
    assert verify(storage, storage.state_generations()).problem == ""
    assert "probe" not in storage.files


def test_a_snapshot_that_could_not_be_written_is_written_later() -> None:
    storage = FailingStorage()
    store = store_on(storage)
    storage.failing = True
    with pytest.raises(StorageFailed):
        store.save()
    assert store.broken
    storage.failing = False
    assert store.save()


def test_what_cannot_be_written_is_refused_before_it_is_written() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    before = written(storage)
    with pytest.raises(UnitError):
        store.record(ev.PeakMoved(Decimal("NaN")))
    assert written(storage) == before


def test_nothing_is_recorded_before_the_journal_is_open() -> None:
    with pytest.raises(StateCorrupt, match=r"open\(\)"):
        StateStore(MemoryStorage(), TickingClock(NOON), "cfg", "1.0", ACCOUNT).record(SAMPLES[3])


def test_a_journal_that_could_not_be_begun_takes_no_event() -> None:
    """Its first event would stand without a genesis, and the ids of its orders would hang on nothing."""
    storage = FailingStorage()
    storage.failing = True
    store = StateStore(storage, TickingClock(NOON), "cfg", "1.0", ACCOUNT)
    with pytest.raises(StorageFailed):
        store.open("g1")
    storage.failing = False
    with pytest.raises(StateCorrupt, match=r"open\(\)"):
        store.record(SAMPLES[3])


def test_a_clock_that_steps_back_over_midnight_keeps_the_files_in_order() -> None:
    storage = MemoryStorage()
    store_on(storage, NOON + timedelta(hours=13)).record(SAMPLES[3])
    back = store_on(storage, NOON)
    back.record(SAMPLES[4])
    assert storage.journal_days() == ["2026-11-19"]
    assert [envelope.seq for envelope in lines(storage)] == [1, 2, 3]


def test_an_idle_night_is_one_record() -> None:
    storage = MemoryStorage()
    store = store_on(storage)
    for n in range(1, 11):
        store.record_decision(nothing_done(detail=f"cycle {n}"), f"c{n}")
    assert [envelope.topic for envelope in lines(storage)] == ["journal.opened", "decision.made"]
    store.record_decision(nothing_done("spread_wide"), "c11")
    repeated, made = lines(storage)[2:]
    assert repeated.payload == ev.DecisionRepeated("NO_TRADE", "no_signal", "c2", "c10", 9)
    assert made.cycle_id == "c11"
    assert store.state.counters == {"cycles.NO_TRADE": 11}
    assert REPEATED not in storage.files


def test_cycles_that_traded_or_were_refused_otherwise_are_records_of_their_own() -> None:
    storage = MemoryStorage()
    store = store_on(storage)
    refused = nothing_done("all_rejected", verdicts=({"gate": "cash", "reason": "cash", "detail": "12.1"},))
    other = nothing_done("all_rejected", verdicts=({"gate": "fees", "reason": "min_notional", "detail": "12.1"},))
    traded = nothing_done(outcome="TRADED", reason="")
    made = [store.record_decision(d, "c") for d in (refused, refused, other, traded, traded)]
    assert [envelope is not None for envelope in made] == [True, False, True, True, True]


def test_a_kill_loses_no_repeated_cycle() -> None:
    storage = MemoryStorage()
    store = store_on(storage)
    for n in range(1, 6):
        store.record_decision(nothing_done(), f"c{n}")
    again = store_on(storage)
    assert again.state.counters == {"cycles.NO_TRADE": 5}
    assert store_on(storage).state.counters == {"cycles.NO_TRADE": 5}


def test_a_kill_between_record_and_removal_counts_no_cycle_twice() -> None:
    storage = MemoryStorage()
    store = store_on(storage)
    for n in range(1, 6):
        store.record_decision(nothing_done(), f"c{n}")
    counted = storage.files[REPEATED]
    store.flush()
    storage.files[REPEATED] = counted
    again = store_on(storage)
    assert again.state.counters == {"cycles.NO_TRADE": 5}
    assert REPEATED not in storage.files


def test_every_day_tells_its_own_idle_cycles() -> None:
    storage = MemoryStorage()
    store = store_on(storage, NIGHT)
    for n in range(1, 80):
        store.record_decision(nothing_done(), f"c{n}")
    assert storage.journal_days() == ["2026-11-18", "2026-11-19"]
    first = [envelope.topic for envelope in read_days(storage, ["2026-11-18"])]
    assert first == ["journal.opened", "decision.made"]
    assert [e.topic for e in read_days(storage, ["2026-11-19"])] == ["decision.repeated", "decision.made"]


def test_repeats_that_cannot_be_read_are_kept_aside() -> None:
    storage = MemoryStorage()
    store_on(storage)
    storage.files[REPEATED] = b'{"count":'
    store_on(storage)
    assert storage.files == {f"corrupt/{REPEATED}": b'{"count":'}


def test_a_changed_configuration_is_recorded_once_and_stands_on_every_later_event() -> None:
    storage = MemoryStorage()
    store = store_on(storage)
    store.use_config("new", CostMethod.FIFO)
    assert store.use_config("new", CostMethod.FIFO) is None
    store.record(SAMPLES[3])
    loaded, after = lines(storage)[1:]
    assert loaded.payload == ev.ConfigLoaded("new", "", CostMethod.FIFO)
    assert (loaded.config_hash, after.config_hash) == ("new", "new")
    assert store.state.cost_method is CostMethod.FIFO
