"""State that cannot be used is told apart from state that can, and the way back loses no original."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.adapters.memory import MemoryStorage
from bot.domain.event import JournalAnchored
from bot.errors import StateCorrupt
from bot.record.recovery import examine
from bot.record.replay import verify
from bot.record.restore import restore
from bot.record.statefile import load
from bot.record.store import RENEW
from tests.cli.desk import Desk, bot_of, desk_at, running

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def journal_of(desk: Desk):
    return next((desk.state_dir / "journal").iterdir())


def test_whole_state_verifies_and_so_do_its_permissions(copied):
    assert copied.run("state", "verify") == 0
    rows = {row["what"]: row for row in copied.json("state", "verify")}
    assert rows.keys() == {"state.json", "state.json.1", "state.json.2", "journal", "start", "permissions"}
    (copied.state_dir / "state.json").chmod(0o666)
    assert copied.run("state", "verify") == 1
    assert "chmod go-w" in copied.out


def test_a_snapshot_with_one_changed_digit_is_found(copied):
    file = copied.state_dir / "state.json"
    file.write_bytes(file.read_bytes().replace(b'"average"', b'"fifo"', 1))
    assert copied.run("state", "verify", "--json") == 1
    rows = {row["what"]: row for row in json.loads(copied.out)}
    assert rows["state.json"]["detail"] == "its checksum does not match its content"
    assert rows["start"]["ok"], "the generation before and the journal still tell everything"


def test_restoring_goes_back_to_a_good_generation_and_loses_no_event_that_is_whole(copied):
    file = copied.state_dir / "state.json"
    before = load(file.read_bytes())
    file.write_text("{}")
    assert copied.run("state", "restore") == 0
    assert "is used as it is" in copied.out
    (kept,) = copied.state_dir.glob("restored-*")
    assert (kept / "state.0.json").read_text() == "{}"
    positions = {row["product"] for row in copied.json("positions")}
    assert positions == set(before.positions), "the journal after the older snapshot is folded again"
    assert copied.run("journal", "verify") == 0


def test_a_journal_damaged_in_the_middle_is_cut_there_and_ids_cannot_repeat(copied):
    """A start refuses this: events that had been safe stand behind the damage."""
    journal = journal_of(copied)
    whole = journal.read_bytes()
    newest = load((copied.state_dir / "state.json").read_bytes())
    (copied.state_dir / "state.json").write_bytes((copied.state_dir / "state.json.2").read_bytes())
    old = load((copied.state_dir / "state.json").read_bytes())
    lines = whole.splitlines(keepends=True)
    hurt = next(n for n, text in enumerate(lines) if json.loads(text)["seq"] == old.seq + 1)
    lines[hurt] = lines[hurt].replace(b'"version":1', b'"version":9')
    journal.write_bytes(b"".join(lines))
    for name in ("state.json.1", "state.json.2"):
        (copied.state_dir / name).unlink()
    assert copied.run("state", "verify") == 1
    assert copied.run("state", "restore") == 0
    assert "was cut in" in copied.out
    assert copied.run("state", "verify") == 0, copied.out
    assert (copied.state_dir / RENEW).exists()
    (kept,) = copied.state_dir.glob("restored-*")
    assert next(kept.glob("*.jsonl")).read_bytes() == b"".join(lines)
    assert old.seq < newest.seq


def test_a_journal_that_does_not_reach_the_state_begins_anew_behind_it(copied):
    journal = journal_of(copied)
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
    assert copied.run("state", "verify") == 1
    held = {row["product"] for row in copied.json("status")["positions"]}
    assert held == set(), "a state that is not proven shows nothing as held"
    assert copied.run("state", "restore") == 0
    assert "begins anew" in copied.out
    assert copied.run("state", "verify") == 0, copied.out
    assert len(copied.json("positions")) > 1


def test_a_restored_account_starts_and_reconciles_with_the_venue(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    with bot_of(desk) as app:
        app.loop.run_cycle()
    held = {row["product"] for row in desk.json("positions")}
    journal_of(desk).unlink()
    assert desk.run("state", "restore") == 0
    with bot_of(desk) as app:
        assert app.loop.guard.flags.start == ""
        app.loop.run_cycle()
        assert held <= set(app.loop.store.state.positions)
        assert app.loop.store.state.latches == {}, "the orders at the venue are still known as ours"


def test_nothing_is_restored_under_a_running_daemon(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    with running(desk):
        assert desk.run("state", "restore") == 4
        assert "another instance holds the lock: pid" in desk.err


def test_restoring_what_is_not_there_says_what_to_do(copied, tmp_path):
    elsewhere = replace(copied, environ={**copied.environ, "BOT_DATA_DIR": str(tmp_path / "elsewhere")})
    assert elsewhere.run("state", "restore") == 1
    assert "check --mode, ENV and --data-dir" in elsewhere.err
    for name in ("state.json", "state.json.1", "state.json.2"):
        (copied.state_dir / name).write_text("{}")
    assert copied.run("state", "restore") == 1
    assert "put a backup" in copied.err
    assert copied.run("state", "restore", "--generation", "1") == 1
    assert "state.json.1 cannot be used" in copied.err


def test_an_anchored_journal_folds_to_the_restored_state(copied):
    """The new journal stands on its own: any machine can prove it."""
    content = (copied.state_dir / "state.json").read_bytes()
    storage = MemoryStorage()
    storage.save_state(content)
    done = restore(storage, 0, NOW, "1.2.3")
    assert verify(storage, storage.state_generations()).problem == ""
    assert examine(storage, done.state.account).state.positions == done.state.positions
    assert JournalAnchored.topic.encode() in storage.journal("2026-11-21")
    with pytest.raises(StateCorrupt, match="there is no generation 2"):
        restore(storage, 2, NOW, "1.2.3")
