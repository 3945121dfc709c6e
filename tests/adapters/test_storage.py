"""What every Storage promises, on the disk and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.adapters.memory import MemoryStorage
from bot.adapters.storage import FileStorage
from bot.domain.snapshot import Environment, Mode
from bot.errors import StateCorrupt
from bot.ports import KillProbe
from bot.record.retention import JournalFiles

DAYS = ("2026-11-18", "2026-11-19")


@pytest.fixture(params=["files", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JournalFiles]:
    if request.param == "memory":
        yield MemoryStorage()
        return
    files = FileStorage(tmp_path, Environment.STAGING, Mode.PAPER, production=False)
    files.prepare()
    yield files
    files.close()


def test_lines_stand_in_their_day_in_the_order_they_came(storage: JournalFiles) -> None:
    for day in DAYS:
        for durable in (False, True, False):
            storage.append(day, f"{day} {durable}\n".encode(), durable)
    assert storage.journal_days() == list(DAYS)
    assert storage.journal(DAYS[1]) == b"2026-11-19 False\n2026-11-19 True\n2026-11-19 False\n"


def test_an_older_day_can_still_be_appended_to(storage: JournalFiles) -> None:
    for day in (*DAYS, DAYS[0]):
        storage.append(day, b"x\n", durable=True)
    assert storage.journal(DAYS[0]) == b"x\nx\n"


def test_a_day_without_a_file_is_empty(storage: JournalFiles) -> None:
    assert (storage.journal_days(), storage.journal(DAYS[0])) == ([], b"")


def test_a_cut_journal_keeps_its_beginning_and_the_cut_part_stays_beside_it(storage: JournalFiles) -> None:
    storage.append(DAYS[0], b"whole\ntorn", durable=True)
    storage.cut_journal(DAYS[0], 6)
    assert storage.journal(DAYS[0]) == b"whole\n"
    assert storage.read(f"cut/{DAYS[0]}.6") == b"torn"
    storage.append(DAYS[0], b"next\n", durable=True)
    assert storage.journal(DAYS[0]) == b"whole\nnext\n"


def test_a_packed_day_reads_as_before_and_cannot_be_cut(storage: JournalFiles) -> None:
    storage.append(DAYS[0], b"x\n" * 100, durable=False)
    for _ in range(2):
        storage.compress_journal(DAYS[0])
        assert storage.journal(DAYS[0]) == b"x\n" * 100
    assert storage.journal_days() == [DAYS[0]]
    with pytest.raises(StateCorrupt, match="packed"):
        storage.cut_journal(DAYS[0], 1)


def test_a_removed_day_is_gone_packed_or_not(storage: JournalFiles) -> None:
    for day in DAYS:
        storage.append(day, b"x\n", durable=True)
    storage.compress_journal(DAYS[0])
    for day in (*DAYS, *DAYS):
        storage.remove_journal(day)
    assert storage.journal_days() == []


def test_three_generations_of_the_state_are_kept_newest_first(storage: JournalFiles) -> None:
    assert storage.state_generations() == ()
    for n in range(1, 6):
        storage.save_state(b"state %d" % n)
        assert storage.state_generations()[0] == b"state %d" % n
    assert storage.state_generations() == (b"state 5", b"state 4", b"state 3")


def test_small_files_are_replaced_listed_and_removed(storage: JournalFiles) -> None:
    for name, content in (
        ("heartbeat.json", b"1"),
        ("inbox/b.json", b"2"),
        ("inbox/a.json", b"3"),
        ("inbox/a.json", b"4"),
    ):
        storage.write(name, content)
    assert storage.read("inbox/a.json") == b"4"
    assert storage.read("inbox/c.json") is None
    assert list(storage.names("inbox")) == ["a.json", "b.json"]
    assert list(storage.names("outbox")) == []
    for _ in range(2):
        storage.remove("inbox/a.json")
    assert list(storage.names("inbox")) == ["b.json"]


def test_what_is_posted_is_replaced_as_a_whole_and_dropped_when_it_is_no_news(storage: JournalFiles) -> None:
    for content in (b"old", b"new"):
        storage.post("cycles/a.json", content)
        assert storage.read("cycles/a.json") == content
    assert list(storage.names("cycles")) == ["a.json"]
    for _ in range(2):
        storage.drop("cycles/a.json")
    assert storage.read("cycles/a.json") is None
    assert list(storage.names("cycles")) == []


def test_the_kill_switch_is_absent_at_first(storage: JournalFiles) -> None:
    assert storage.kill_state().probe is KillProbe.ABSENT
