"""The table of faults is whole, its page is current, and a row that proves nothing fails."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tests.faults.document import PAGE, text
from tests.faults.table import GROUPS, KNOWN, ROWS
from tests.faults.trial import Trial
from tests.loop.markets import RISE, calm
from tests.loop.stage import steady


def test_every_known_fault_has_a_row() -> None:
    assert [row_id for row_id in KNOWN if row_id not in ROWS] == []


def test_no_two_rows_share_an_id() -> None:
    ids = [row.id for row in chain.from_iterable(GROUPS.values())]
    assert sorted(ids) == sorted(set(ids))


def test_every_row_names_what_it_judges() -> None:
    assert [row.id for row in ROWS.values() if not row.invariants or not row.required] == []


def test_the_page_of_faults_is_current() -> None:
    assert PAGE.read_text() == text(), "python -m tests.faults.document writes it anew"


def test_a_stimulus_that_never_fired_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="never fired"):
        Trial(tmp_path).stimulus("a fault", happened=False)


def test_an_invariant_that_was_never_judged_fails(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    trial.stimulus("a fault", happened=True)
    trial.require("I5 something holds", holds=True)
    assert trial.finish("I5 I7") == ["I7 was never judged"]


def test_an_order_in_a_forbidden_time_is_found(tmp_path: Path) -> None:
    """The oracle itself: a bot that trades where it should not is told on."""
    trial = Trial(tmp_path)
    stage = trial.stage([*RISE, *steady(62, 300, "65500", 20)])
    with stage.oracle.closed("a test", "I22"):
        stage.run_for(120)
    trial.stimulus("the bot was let to trade", stage.wire.placed)
    assert [problem for problem in trial.finish("I22") if "I22 BUY sent: a test" in problem]


def test_books_that_differ_from_the_venue_are_found(tmp_path: Path) -> None:
    trial = Trial(tmp_path)
    stage = trial.stage(calm(10, 600))
    stage.run_for(120)
    trial.stimulus("the venue's own ledger", stage.held("USD"))
    stage.disk.snapshots[0] = stage.disk.snapshots[0].replace(b'"anchor":"10000"', b'"anchor":"10001"')
    assert [problem for problem in trial.finish("I4") if "ledger residual" in problem]
