"""A small run gives the artifacts that are kept of it, byte for byte."""

from __future__ import annotations

import json

from tests.backtest.golden import FOLDER, KEPT, artifacts


def test_a_small_run_gives_the_artifacts_that_are_kept(tmp_path):
    """When the change is meant: python -m tests.backtest.golden, and read the difference."""
    for name, content in artifacts(tmp_path).items():
        assert content.decode() == (FOLDER / name).read_text(), f"{name} differs"


def test_what_is_kept_is_worth_keeping():
    assert {path.name for path in FOLDER.iterdir()} == set(KEPT)
    told = json.loads((FOLDER / "summary.json").read_text())
    reasons = told["trades"]["by"]["exit_reason"]
    assert told["trades"]["closed"] >= 5
    assert len(reasons) >= 2
    assert told["costs"]["fees"] > 0
    assert told["integrity"]["balanced"]
