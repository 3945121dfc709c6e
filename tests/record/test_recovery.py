"""What a start makes of damaged state: the old or the new version, or a refusal; never something else."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from bot.adapters.memory import MemoryStorage
from bot.domain.codec import canonical
from bot.domain.event import Envelope, GenesisRenewed
from bot.domain.state import State
from bot.errors import StateCorrupt
from bot.record.journal import read_days
from bot.record.recovery import examine
from bot.record.replay import replayed, verify
from bot.record.statefile import dump
from bot.record.store import RENEW, StateStore
from tests.record.world import ACCOUNT, NOON, SAMPLES, TickingClock, filled_store, intent, nothing_done, store_on

DAY = "2026-11-18"


def copy_of(storage: MemoryStorage) -> MemoryStorage:
    copied = MemoryStorage()
    copied.days = {day: bytearray(content) for day, content in storage.days.items()}
    copied.snapshots, copied.files = list(storage.snapshots), dict(storage.files)
    return copied


def prefixes(storage: MemoryStorage) -> list[State]:
    """The state after every event of a whole journal."""
    return list(replayed(State(), read_days(storage, storage.journal_days())))


def contents(storage: MemoryStorage) -> tuple[Any, ...]:
    return ({day: bytes(c) for day, c in storage.days.items()}, tuple(storage.snapshots), dict(storage.files))


@pytest.mark.parametrize("last", [intent(7), nothing_done()], ids=["durable", "ordinary"])
def test_a_line_torn_at_any_byte_is_cut_and_everything_before_it_stands(last: Any) -> None:
    whole = MemoryStorage()
    store = filled_store(whole)
    before, length = store.state, len(whole.days[DAY])
    store.record(last)
    for torn_at in range(length + 1, len(whole.days[DAY])):
        storage = copy_of(whole)
        del storage.days[DAY][torn_at:]
        found = examine(storage, ACCOUNT)
        assert dump(found.state) == dump(before)
        assert found.cut is not None
        assert found.cut.offset == length
        assert "torn" in found.problems[0]


def test_after_a_cut_the_chain_goes_on_under_a_new_genesis_and_the_cut_part_is_kept() -> None:
    """A lost line may have held an intent whose id the exchange knows: no later id may repeat it."""
    storage = MemoryStorage()
    store = filled_store(storage)
    store.record(intent(7))
    length = len(storage.days[DAY])
    store.record(intent(8))
    torn = bytes(storage.days[DAY][length : length + 50])
    del storage.days[DAY][length + 50 :]
    again = store_on(storage, genesis="g-new")
    assert again.state.genesis == "g-new"
    assert storage.files[f"cut/{DAY}.{length}"] == torn
    again.record(intent(8))
    again.save()
    assert verify(storage, storage.state_generations()).problem == ""


def test_a_kill_right_after_the_cut_still_renews_the_genesis() -> None:
    storage = MemoryStorage()
    filled_store(storage)
    storage.files[RENEW] = b"torn"
    again = store_on(storage, genesis="g-new")
    assert again.state.genesis == "g-new"
    assert RENEW not in storage.files
    last = list(read_days(storage, [DAY]))[-1]
    assert last.payload == GenesisRenewed("g-new", "torn")


def test_any_flipped_bit_behind_the_snapshot_gives_a_true_prefix_or_a_refusal() -> None:
    whole = MemoryStorage()
    store = filled_store(whole)
    start = len(whole.days[DAY])
    for payload in (nothing_done(), intent(7), nothing_done("spread_wide"), SAMPLES[38]):
        store.record(payload)
    known = [dump(state) for state in prefixes(whole)]
    refused = 0
    for position in range(start, len(whole.days[DAY]), 3):
        storage = copy_of(whole)
        storage.days[DAY][position] ^= 1 << position % 8
        untouched = contents(storage)
        try:
            found = examine(storage, ACCOUNT)
        except StateCorrupt:
            refused += 1
            assert contents(storage) == untouched
        else:
            assert dump(found.state) in known
            assert found.cut is not None
    assert refused > 0


def test_damage_in_front_of_a_durable_event_is_no_torn_end() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    position = len(storage.days[DAY]) + 30
    store.record(nothing_done())
    store.record(intent(7))
    store.record(nothing_done("spread_wide"))
    storage.days[DAY][position] ^= 1
    untouched = contents(storage)
    with pytest.raises(StateCorrupt, match="had been safe"):
        store_on(storage)
    assert contents(storage) == untouched


def test_events_lost_together_before_they_were_synced_are_cut_together() -> None:
    """A power cut keeps a later sector and drops an earlier one: nothing behind the hole can be linked."""
    storage = MemoryStorage()
    store = filled_store(storage)
    before, length = store.state, len(storage.days[DAY])
    for _ in range(3):
        store.record(nothing_done())
    storage.days[DAY][length + 10 : length + 60] = bytes(50)
    found = examine(storage, ACCOUNT)
    assert (dump(found.state), found.cut and found.cut.offset) == (dump(before), length)


def test_damage_the_snapshot_already_covers_is_told_and_stops_nothing() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    storage.days[DAY][40] ^= 1
    again = store_on(storage)
    assert again.state == store.state
    assert again.recovered is not None
    assert "the snapshot holds what it said" in again.recovered.problems[0]


def test_a_damaged_snapshot_falls_back_a_generation_and_nothing_is_lost() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    store.record(intent(7))
    store.save()
    damaged = storage.snapshots[0][:-20] + b"x" * 20
    storage.snapshots[0] = damaged
    again = store_on(storage)
    assert again.state == store.state
    assert again.recovered is not None
    assert (again.recovered.generation, again.recovered.replayed) == (1, 1)
    assert "the newest" in again.recovered.problems[0]
    assert [c for name, c in storage.files.items() if name.startswith("corrupt/")] == [damaged]
    assert again.save()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"null", b"\xff" * 64, b'{"schema":1,"checksum":"0"}'],
    ids=["empty", "{}", "null", "ff", "x"],
)
def test_without_one_readable_snapshot_nothing_starts_and_nothing_changes(content: bytes) -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    store.record(SAMPLES[3])
    store.save()
    storage.snapshots[:] = [content] * len(storage.snapshots)
    untouched = contents(storage)
    with pytest.raises(StateCorrupt, match="no snapshot can be read"):
        store_on(storage)
    assert contents(storage) == untouched


def resealed(content: bytes, **changes: Any) -> bytes:
    data = {key: value for key, value in json.loads(content).items() if key != "checksum"} | changes
    return canonical({**data, "checksum": sha256(canonical(data) + b"\n").hexdigest()}) + b"\n"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schema": 2}, "schema 2"),
        ({"wings": 3}, "wings"),
        ({"account": "portfolio-1/staging/live"}, "another account"),
    ],
)
def test_state_of_newer_code_or_another_account_is_refused_even_with_an_older_one_at_hand(changes, told) -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    store.record(SAMPLES[3])
    store.save()
    storage.snapshots[0] = resealed(storage.snapshots[0], **changes)
    untouched = contents(storage)
    with pytest.raises(StateCorrupt, match=told):
        store_on(storage)
    assert contents(storage) == untouched


def test_a_journal_of_another_account_is_refused() -> None:
    storage = MemoryStorage()
    filled_store(storage)
    storage.snapshots.clear()
    with pytest.raises(StateCorrupt, match="another account"):
        store_on(storage, account="portfolio-2/staging/paper")


def test_a_snapshot_without_its_journal_is_refused() -> None:
    """Events that were safe on the disk are gone: an intent may be among them."""
    storage = MemoryStorage()
    filled_store(storage)
    storage.days.clear()
    with pytest.raises(StateCorrupt, match="events were lost"):
        store_on(storage)


def test_a_journal_that_ends_before_the_snapshot_is_refused() -> None:
    storage = MemoryStorage()
    filled_store(storage)
    content = storage.days[DAY]
    del content[content.rindex(b"\n", 0, -1) + 1 :]
    with pytest.raises(StateCorrupt, match="events were lost"):
        store_on(storage)


def test_a_snapshot_beside_the_journal_of_a_different_run_is_refused() -> None:
    storage, other = MemoryStorage(), MemoryStorage()
    filled_store(storage)
    filled_store(other).record(SAMPLES[3])
    strange = StateStore(MemoryStorage(), TickingClock(NOON), "other", "1.0", ACCOUNT)
    strange.open("g-strange")
    for payload in SAMPLES[3:]:
        strange.record(payload)
    storage.snapshots[0] = dump(strange.state)
    with pytest.raises(StateCorrupt, match="not the one"):
        store_on(storage)


def test_a_first_start_killed_inside_its_first_line_starts_afresh() -> None:
    storage = MemoryStorage()
    store_on(storage)
    del storage.days[DAY][20:]
    again = store_on(storage, genesis="g-second")
    assert again.state.genesis == "g-second"
    assert verify(storage, ()).problem == ""


def test_a_tail_over_midnight_is_read_from_both_days() -> None:
    storage = MemoryStorage()
    store = filled_store(storage)
    late = StateStore(storage, TickingClock(NOON.replace(hour=23, minute=59, second=57)), "cfg", "1.0", ACCOUNT)
    late.open("unused")
    for _ in range(5):
        late.record(SAMPLES[38])
    assert storage.journal_days() == [DAY, "2026-11-19"]
    again = store_on(storage)
    assert again.state == late.state
    assert again.state.seq == store.state.seq + 5
    storage.days["2026-11-19"][:] = b"\0" * 40
    del storage.days[DAY][-30:]
    cut = store_on(storage, genesis="g-cut")
    assert cut.state.genesis == "g-cut"
    assert verify(storage, storage.state_generations()).problem == ""
    assert all(isinstance(item, Envelope) for item in read_days(storage, storage.journal_days()))
