"""A halt is proven: by the daemon that confirms it, or by orders that are gone from the venue."""

from __future__ import annotations

import stat

import pytest

from bot.adapters.disk import Disk
from bot.adapters.killfile import switch_off, switch_on
from bot.adapters.killpath import look
from bot.errors import StorageFailed
from bot.ports import KillProbe
from simulator.faults import Answer, Rule, When
from tests.cli.desk import EAGER, PATIENT, UNIVERSE, bot_of, desk_at, running, working_at
from tests.configs import write_config

KILL = "KILL_SWITCH"


@pytest.fixture
def left_behind(tmp_path, sim):
    """A bot that died with entries resting at the venue."""
    desk = desk_at(tmp_path, sim, **PATIENT)
    with bot_of(desk) as app:
        app.loop.run_cycle()
    assert set(working_at(sim).values()) == {"BUY"}
    return desk


def test_a_halt_without_a_daemon_takes_every_entry_back_and_records_it(left_behind, sim):
    assert left_behind.run("halt", "--reason", "drill of the day") == 0
    assert working_at(sim) == {}
    assert "2 orders cancelled" in left_behind.out
    assert {row["status"] for row in left_behind.json("orders")} == {"CANCELED"}
    assert left_behind.run("journal", "tail", "--topic", "command.") == 0
    assert "drill of the day" in left_behind.out
    assert left_behind.run("journal", "verify") == 0, "the books are whole afterwards"
    file = left_behind.data_dir / KILL
    assert file.read_text() == "drill of the day\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_halt_leaves_resting_stops_where_they_are(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    with bot_of(desk) as app:
        app.loop.run_cycle()
    stops = working_at(sim)
    assert set(stops.values()) == {"SELL"}
    assert desk.run("halt") == 0
    assert working_at(sim) == stops


def test_under_hold_naked_a_halt_takes_the_stops_back_too(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    with bot_of(desk) as app:
        app.loop.run_cycle()
    write_config(tmp_path / "config", {**EAGER, "kill_switch": {"on_halt": "hold_naked"}}, UNIVERSE)
    assert desk.run("halt") == 0
    assert working_at(sim) == {}


def test_a_broken_configuration_does_not_keep_orders_working(left_behind, sim, tmp_path):
    (tmp_path / "config" / "policy.yaml").write_text("riks: {}\n")
    assert left_behind.run("halt") == 0
    assert "cancelling by the defaults" in left_behind.err
    assert working_at(sim) == {}


def test_an_unreachable_venue_is_exit_7_with_every_order_named(left_behind, sim):
    ids = set(working_at(sim))
    sim.fault(Rule(Answer(503, when=When.BEFORE), times=None))
    assert left_behind.run("halt") == 7
    assert all(client_order_id in left_behind.err for client_order_id in ids)
    assert (left_behind.data_dir / KILL).exists(), "the switch is on all the same"


def test_orders_are_found_by_their_ids_when_the_books_cannot_be_read(left_behind, sim):
    for name in ("state.json", "state.json.1", "state.json.2"):
        (left_behind.state_dir / name).write_text("garbage")
    journal = next((left_behind.state_dir / "journal").iterdir())
    journal.write_bytes(journal.read_bytes().replace(b'"BUY"', b'"BUX"', 1))
    code = left_behind.run("halt")
    assert working_at(sim) == {}
    assert "orders were found by their ids" in left_behind.err
    assert code == 0


def test_a_running_daemon_confirms_the_halt_and_goes_on_when_resumed(tmp_path, sim):
    desk = desk_at(tmp_path, sim, **PATIENT)
    with running(desk) as app:
        assert desk.run("halt", "--reason", "wide spreads") == 0, desk.err
        assert "staging live: confirmed halted in cycle" in desk.out
        assert working_at(sim) == {}
        status = desk.json("status")
        assert (status["running"], status["halted"]) == (True, True)
        assert "wide spreads" in status["halt_reason"]
        assert status["pid"] is not None
        assert desk.run("resume") == 0
        assert "it said: wide spreads" in desk.out
        assert desk.json("status")["halted"] is False, desk.out
        assert app.loop.guard.flags.killed is False


def test_resuming_says_what_still_halts(copied):
    (copied.data_dir / KILL).write_text("x")
    assert copied.run("resume") == 0
    assert not (copied.data_dir / KILL).exists()
    assert "is not running" in copied.out
    assert copied.run("resume") == 0
    assert "was not on" in copied.out


def test_a_halt_in_a_folder_no_bot_knows_says_that_nobody_is_halted(tmp_path, copied):
    lost = desk_at(tmp_path / "typo")
    assert lost.run("halt", "--reason", "first") == 0
    assert "is NOT halted; check --data-dir" in lost.err
    assert lost.run("halt", "--reason", "second") == 0
    assert "was on already: first" in lost.out
    copied.run("halt", "--reason", "drill")
    assert "NOT halted" not in copied.err


def test_a_second_halt_keeps_the_first_reason(tmp_path):
    switch_on(tmp_path / "data", "the first")
    assert switch_on(tmp_path / "data", "the second").reason == "the first"


def test_a_directory_in_place_of_the_file_halts_and_is_not_taken_away_silently(tmp_path):
    (tmp_path / KILL).mkdir()
    assert switch_on(tmp_path, "reason").active
    with pytest.raises(StorageFailed, match="cannot be removed"):
        switch_off(tmp_path)


class _FullDisk(Disk):
    """Makes files but has no room for a byte."""

    def write(self, descriptor: int, content: bytes) -> None:
        raise OSError(28, "No space left on device")


class _ReadOnlyDisk(Disk):
    def create(self, path):
        raise OSError(30, "Read-only file system")


def test_a_full_disk_halts_without_a_reason(tmp_path):
    assert switch_on(tmp_path, "reason", _FullDisk()).probe is KillProbe.PRESENT
    assert look(tmp_path / KILL).active


def test_a_disk_that_takes_no_file_is_told_as_not_halted(tmp_path):
    with pytest.raises(StorageFailed, match="nothing is halted: stop the process instead"):
        switch_on(tmp_path, "reason", _ReadOnlyDisk())
