"""The rows that are quick, each a test."""

from __future__ import annotations

import pytest

from tests.faults.table import QUICK, ROWS, run


@pytest.mark.parametrize("row_id", QUICK)
def test_the_bot_holds_through(row_id: str) -> None:
    result = run(row_id, effort=0.1)
    assert not result.problems, f"{ROWS[row_id].stimulus}: {'; '.join(result.problems)}"
    assert result.fired
