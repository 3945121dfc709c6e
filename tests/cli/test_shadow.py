"""`bot shadow` reads the journals of dry run and live side by side."""

from __future__ import annotations

import shutil

from tests.cli.desk import Desk


def test_a_shadow_that_did_just_the_same_costs_nothing(copied: Desk) -> None:
    """The files of a bot that traded, once as live and once as its dry run."""
    shutil.copytree(copied.state_dir, copied.data_dir / "staging-dry_run")
    found = copied.json("shadow")
    bought = next(row for row in found["trades"] if row["side"] == "BUY")
    assert bought["would"] == bought["actual"]
    assert bought["would"]["price"] is not None
    assert bought["cost_bps"] == "0"
    assert found["totals"]["shortfall"] == "0"
    assert found["totals"]["both"] == found["totals"]["trades"] > 0


def test_without_a_dry_run_every_trade_is_lives_alone(copied: Desk) -> None:
    found = copied.json("shadow")
    assert found["totals"]["only_live"] == found["totals"]["trades"] > 0
    assert {row["would"] for row in found["trades"]} == {None}
    assert copied.run("shadow", "--product", "ETH-USD", "--since", "2100-01-01") == 0
    assert "neither the dry run nor live has traded" in copied.out


def test_the_table_tells_both_prices(copied: Desk) -> None:
    shutil.copytree(copied.state_dir, copied.data_dir / "staging-dry_run")
    assert copied.run("shadow") == 0
    assert "@" in copied.out
    assert "shortfall" in copied.out
