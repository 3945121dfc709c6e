"""Files nobody else can read, change or put in our way."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.adapters.disk import Disk
from bot.adapters.lock import InstanceLock
from bot.adapters.storage import LARGEST, FileStorage
from bot.domain.snapshot import Environment, Mode
from bot.errors import GateRefused, StateCorrupt, StorageFailed
from tests.record.world import NOON

DAY = "2026-11-18"


def storage_in(data: Path, production: bool = True) -> FileStorage:
    storage = FileStorage(data, Environment.PRODUCTION, Mode.LIVE, production=production)
    storage.prepare()
    return storage


def filled(data: Path, production: bool = True) -> FileStorage:
    storage = storage_in(data, production)
    storage.append(DAY, b"line\n", durable=True)
    storage.save_state(b"one")
    storage.save_state(b"two")
    storage.write("inbox/a.json", b"{}")
    storage.compress_journal("2026-11-17")
    return storage


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_are_private_under_any_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        filled(tmp_path / "data").close()
    finally:
        os.umask(before)
    for path in (tmp_path / "data").rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_the_folder_is_named_by_environment_and_mode(tmp_path: Path) -> None:
    filled(tmp_path).close()
    folder = tmp_path / "production-live"
    assert sorted(path.name for path in folder.iterdir()) == ["inbox", "journal", "state.json", "state.json.1"]
    assert (folder / "journal" / f"{DAY}.jsonl").read_bytes() == b"line\n"


def link_data(data: Path) -> None:
    data.rename(data.with_name("elsewhere"))
    data.symlink_to(data.with_name("elsewhere"))


def link_state(data: Path) -> None:
    state = data / "production-live" / "state.json"
    state.rename(data / "elsewhere.json")
    state.symlink_to(data / "elsewhere.json")


def dangling_journal(data: Path) -> None:
    (data / "production-live" / "journal" / "2026-11-20.jsonl").symlink_to(data / "nowhere")


def fifo_state(data: Path) -> None:
    (data / "production-live" / "state.json.2").unlink(missing_ok=True)
    os.mkfifo(data / "production-live" / "state.json.2", 0o600)


TAMPERED: list[tuple[Callable[[Path], None], str]] = [
    (link_data, "data is a symbolic link"),
    (lambda data: data.chmod(0o770), "data can be written by others"),
    (lambda data: data.chmod(0o702), "chmod go-w"),
    (lambda data: (data / "production-live").chmod(0o720), "production-live can be written by others"),
    (lambda data: (data / "production-live" / "state.json").chmod(0o622), "state.json can be written by others"),
    (lambda data: (data / "production-live" / "inbox").chmod(0o777), "inbox can be written by others"),
    (link_state, "state.json is a symbolic link"),
    (dangling_journal, "2026-11-20.jsonl is a symbolic link"),
    (fifo_state, "state.json.2 is a fifo"),
]


@pytest.mark.parametrize(("tamper", "told"), TAMPERED, ids=[told for _, told in TAMPERED])
def test_production_refuses_to_start_on_what_others_can_change(tmp_path: Path, tamper, told: str) -> None:
    data = tmp_path / "data"
    filled(data).close()
    tamper(data)
    with pytest.raises(GateRefused) as refused:
        storage_in(data)
    assert any(told in reason for reason in refused.value.reasons), refused.value.reasons


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    filled(tmp_path).close()
    for name in ("state.json", "state.json.1", "journal"):
        (tmp_path / "production-live" / name).chmod(0o777)
    with pytest.raises(GateRefused) as refused:
        storage_in(tmp_path)
    assert len(refused.value.reasons) == 3


def test_staging_starts_but_never_reads_or_writes_through_a_link(tmp_path: Path) -> None:
    storage = filled(tmp_path, production=False)
    link_state(tmp_path)
    with pytest.raises(StateCorrupt, match=r"state\.json cannot be read"):
        storage.state_generations()
    dangling_journal(tmp_path)
    with pytest.raises(StorageFailed, match="2026-11-20"):
        storage.append("2026-11-20", b"x\n", durable=True)
    assert not (tmp_path / "nowhere").exists()
    storage.close()


def test_a_fifo_in_the_place_of_a_journal_is_refused_without_waiting(tmp_path: Path) -> None:
    storage = filled(tmp_path, production=False)
    os.mkfifo(tmp_path / "production-live" / "journal" / "2026-11-20.jsonl")
    with pytest.raises(StorageFailed):
        storage.append("2026-11-20", b"x\n", durable=True)
    fifo_state(tmp_path)
    with pytest.raises(StateCorrupt, match="not a regular file"):
        storage.state_generations()
    storage.close()


def test_a_link_planted_where_the_next_version_is_written_is_replaced_not_followed(tmp_path: Path) -> None:
    storage = filled(tmp_path, production=False)
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "production-live" / ".state.json.new").symlink_to(victim)
    (tmp_path / "production-live" / ".heartbeat.json.new").symlink_to(victim)
    storage.save_state(b"three")
    storage.write("heartbeat.json", b"{}")
    assert victim.read_bytes() == b"precious"
    assert storage.state_generations()[0] == b"three"
    storage.close()


def test_only_what_must_survive_a_power_cut_waits_for_the_disk(tmp_path: Path) -> None:
    class Waiting(Disk):
        times = 0

        def sync(self, descriptor: int) -> None:
            self.times += 1
            super().sync(descriptor)

        def sync_folder(self, folder: Path) -> None:
            self.times += 1
            super().sync_folder(folder)

    disk = Waiting()
    storage = FileStorage(tmp_path, Environment.STAGING, Mode.PAPER, production=False, disk=disk)
    storage.prepare()
    before = disk.times
    storage.post("heartbeat.json", b"{}")
    storage.drop("heartbeat.json")
    assert disk.times == before
    storage.write("account.json", b"{}")
    assert disk.times == before + 2
    storage.remove("account.json")
    assert disk.times == before + 3
    storage.close()


def test_a_state_too_large_to_be_ours_is_refused_unread(tmp_path: Path) -> None:
    storage = filled(tmp_path)
    with (tmp_path / "production-live" / "state.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(StateCorrupt, match="larger"):
        storage.state_generations()
    storage.close()


def test_a_packed_day_that_is_damaged_is_refused(tmp_path: Path) -> None:
    storage = filled(tmp_path)
    storage.close()
    storage.compress_journal(DAY)
    packed = tmp_path / "production-live" / "journal" / f"{DAY}.jsonl.gz"
    packed.write_bytes(packed.read_bytes()[:-6])
    with pytest.raises(StateCorrupt, match="cannot be unpacked"):
        storage.journal(DAY)


@pytest.mark.parametrize("name", ["../KILL_SWITCH", "/etc/passwd", "", ".hidden", "inbox/../../x", "inbox/.x", "a b"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    storage = storage_in(tmp_path)
    for act in (lambda: storage.write(name, b""), lambda: storage.remove(name), lambda: storage.read(name)):
        with pytest.raises(StorageFailed, match="no name"):
            act()
    with pytest.raises(StorageFailed, match="no day"):
        storage.journal(f"../{DAY}")


def test_a_folder_that_cannot_be_made_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"a file")
    with pytest.raises(StorageFailed, match=str(tmp_path / "data")):
        storage_in(tmp_path / "data", production=False)


def test_a_storage_that_only_looks_makes_nothing_and_holds_no_lock(tmp_path: Path) -> None:
    storage = FileStorage(tmp_path / "none", Environment.STAGING, Mode.PAPER, production=False)
    assert (storage.state_generations(), storage.journal_days(), storage.names("inbox")) == ((), [], ())
    assert not storage.lock_held()
    assert not (tmp_path / "none").exists()


def test_the_lock_counts_only_while_it_is_held(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path / "staging-paper", "paper")
    storage = FileStorage(tmp_path, Environment.STAGING, Mode.PAPER, production=False, lock=lock)
    assert not storage.lock_held()
    lock.acquire(NOON)
    assert storage.lock_held()
    lock.release()
    assert not storage.lock_held()
