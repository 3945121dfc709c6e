"""No two cycles of an account share a name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from bot.loop.naming import CycleNames
from tests.loop.markets import RISE
from tests.loop.stage import Stage

NOON = datetime(2026, 11, 2, 12, 0, 0, 123_999, tzinfo=UTC)


def test_a_cycle_is_named_after_its_start():
    names = CycleNames()
    assert names.next(NOON, "") == "20261102T120000.123-1"
    assert names.next(NOON, "") == "20261102T120000.123-2"
    assert names.next(NOON + timedelta(milliseconds=1), "20261102T120000.123-2") == "20261102T120000.124-1"


def test_a_process_goes_on_where_the_journal_ends():
    assert CycleNames().next(NOON, "20261102T120000.123-7") == "20261102T120000.123-8"


def test_a_restart_at_a_standing_clock_names_its_cycle_anew():
    stage = Stage(RISE)
    stage.idle(62)
    first = stage.cycle().cycle_id
    stage.boot()
    assert stage.cycle().cycle_id != first
