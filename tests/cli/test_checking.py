"""Whatever would refuse a start is listed, and a start is refused for exactly that."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from bot.adapters.codeversion import code_version
from bot.cli.verb import Exit
from bot.errors import GateRefused
from simulator.faults import Answer, Rule, When
from simulator.keys import Scope
from tests.cli.desk import EAGER, UNIVERSE, Desk, bot_of, desk_at, running
from tests.configs import write_config

CONTROLS = Path(__file__).parents[2] / "docs" / "CONTROLS.md"


def failures(desk: Desk, *arguments: str) -> dict[str, str]:
    code = desk.run("check", "--json", *arguments)
    rows = [row for row in json.loads(desk.out) if row["result"] == "FAIL"]
    assert code == (Exit.REFUSED if rows else Exit.FINE)
    return {row["check"]: row["detail"] for row in rows}


def test_a_rehearsal_that_may_start_passes_every_check_and_times_its_reads(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    assert failures(desk, "--smoke") == {}
    rows = json.loads(desk.out)
    assert {row["detail"].split(":")[0] for row in rows if row["check"] == "smoke"} == {
        "balances", "working orders", "fills",
    }  # fmt: skip
    assert {"configuration", "lock", "clock", "API key", "feasibility", "certificate"} <= {r["check"] for r in rows}
    assert sim.do(lambda controls: list(controls.world.venue.orders())) == [], "no order was sent"


def test_paper_without_a_key_is_checked_on_public_data(tmp_path, sim):
    desk = desk_at(tmp_path, sim, mode="paper")
    del desk.environ["COINBASE_API_KEY"], desk.environ["COINBASE_API_SECRET"]
    assert failures(desk, "--smoke") == {}
    assert "10000 USD" in desk.out


def test_everything_wrong_is_listed_at_once(tmp_path, sim):
    desk = desk_at(tmp_path, sim, **{**EAGER, "risk": {"max_total_pct": 2}})
    desk.environ["COINBASE_API_SECRET"] = "no key"
    desk.data_dir.mkdir()
    (desk.data_dir / "KILL_SWITCH").write_text("stop")
    found = failures(desk)
    assert found.keys() == {"configuration", "secrets", "kill switch"}
    assert "risk.max_total_pct" in found["configuration"]
    assert found["kill switch"] == "on: stop; `bot resume`"


def test_a_key_that_may_transfer_or_not_trade_is_refused_live(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    key = sim.new_key(frozenset({Scope.VIEW, Scope.TRANSFER}))
    desk.environ |= {"COINBASE_API_KEY": key.name, "COINBASE_API_SECRET": key.secret}
    code = desk.run("check")
    assert code == Exit.REFUSED
    assert "may not trade: give it the trade permission" in desk.out
    assert "may transfer money out" in desk.out


def test_a_running_daemon_and_a_taken_port_are_named(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    with running(desk), socket.create_server(("127.0.0.1", 0)) as server:
        desk.environ["BOT_HTTP_PORT"] = str(server.getsockname()[1])
        found = failures(desk)
        assert f"pid {os.getpid()}" in found["lock"]
        assert "is taken: set BOT_HTTP_PORT" in desk.out


def test_a_dead_venue_is_a_failure_and_the_rest_is_still_looked_at(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    sim.fault(Rule(Answer(503, when=When.BEFORE), times=None))
    found = failures(desk)
    assert found.keys() == {"venue"}
    assert sim.rest_url in found["venue"]
    assert "certificate" in desk.out


def test_a_clock_seconds_away_from_the_venues_is_a_failure(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    sim.conditions(skew_s=5.0)
    assert "set the clock by NTP" in failures(desk)["clock"]


def test_equity_too_small_for_a_legal_order_is_a_failure(tmp_path, sim):
    rules = [{**EAGER["rules"][0], "size": "tier"}]
    desk = desk_at(tmp_path, sim, mode="paper", **{**EAGER, "rules": rules, "paper": {"starting_cash": {"USD": 5}}})
    assert "the largest order is" in failures(desk)["feasibility"]


def test_state_that_cannot_be_read_is_a_failure(copied, sim):
    for name in ("state.json", "state.json.1", "state.json.2"):
        (copied.state_dir / name).write_text("{}")
    journal = next((copied.state_dir / "journal").iterdir())
    journal.write_bytes(b"not a line\n" + journal.read_bytes())
    copied.environ |= sim.env()
    assert "`bot state verify`" in failures(copied)["state"]


# ------------------------------------------------------------------------------------------------------- certificates


def production(folder: Path, sim: Any, **policy: Any) -> Desk:
    desk = desk_at(folder, sim, **(policy or EAGER))
    desk.environ["ENV"] = "production"
    return desk


def test_live_in_production_refuses_without_a_certificate_and_lists_what_certify_misses(tmp_path, sim):
    desk = production(tmp_path, sim)
    with pytest.raises(GateRefused, match="there is no launch certificate"), bot_of(desk):
        pass
    assert desk.run("certify", "--controls", str(tmp_path / "no.md"), "--json") == Exit.REFUSED
    unmet = {row["item"] for row in json.loads(desk.out) if not row["met"]}
    assert unmet == {
        "tests", "control table", "backtest gate", "API key", "alert channel", "rehearsal", "invariants",
        "kill-switch drill",
    }  # fmt: skip
    assert "not certified: 8 of 12 items" in desk.err
    assert not (desk.state_dir / "launch.json").exists()


def test_a_complete_set_of_proofs_certifies_and_production_starts_until_a_limit_is_loosened(tmp_path, sim):
    policy = {**EAGER, "governance": {"portfolio_id": sim.holder.portfolio, "rehearsal_hours": 0.03}}
    desk = production(tmp_path, sim, **policy)
    _rehearse(tmp_path, sim, policy)
    assert desk.run("alert-test") == 0, desk.out
    sent = sim.do(lambda controls: [body for _, body in controls.alerts.received])[-1]
    code = sent["detail"].rpartition(" ")[2]
    assert desk.run("alert-test", "--acknowledge", "000000") == 1
    assert desk.run("alert-test", "--acknowledge", code) == 0

    config_hash = _hash(desk)
    (tmp_path / "tests.xml").write_text('<testsuites><testsuite tests="9" failures="0" errors="0"/></testsuites>')
    (tmp_path / "gate.json").write_text(
        json.dumps({"passed": True, "config_hash": config_hash, "code_version": code_version()})
    )
    files = [f"--tests={tmp_path / 'tests.xml'}", f"--gate={tmp_path / 'gate.json'}", f"--controls={CONTROLS}"]
    assert desk.run("certify", *files) == 0, desk.out
    with bot_of(desk) as app:
        careful = app.loop.guard.flags.canary_until
        assert careful is not None, "the first live hours have only a share of every cap"
        assert app.loop.run_cycle().outcome == "TRADED"
    with bot_of(desk) as app:
        assert app.loop.guard.flags.canary_until == careful, "a restart does not begin them again"

    write_config(tmp_path / "config", {**policy, "risk": {"cooldown_minutes": 0, "max_total_pct": 30}}, UNIVERSE)
    with bot_of(desk) as app:
        assert "risk.max_total_pct: 25 -> 30" in app.loop.guard.flags.exit_only[0]
        assert app.loop.run_cycle().outcome == "EXIT_ONLY", "what is held is not left unattended, nothing is entered"


def test_another_table_of_controls_certifies_nothing(tmp_path, sim):
    desk = production(tmp_path, sim)
    (tmp_path / "controls.md").write_bytes(CONTROLS.read_bytes().replace(b"kill switch", b"wishes", 1))
    desk.run("certify", f"--controls={tmp_path / 'controls.md'}", "--json")
    [row] = [row for row in json.loads(desk.out) if row["item"] == "control table"]
    assert not row["met"]
    assert "is not the table of this code" in row["detail"]


def test_hours_rehearsed_with_another_configuration_count_for_nothing(tmp_path, sim):
    policy = {**EAGER, "governance": {"rehearsal_hours": 0.03}}
    _rehearse(tmp_path, sim, policy)
    desk = production(tmp_path, sim, **policy)
    assert _met(desk, "rehearsal", "kill-switch drill") == {True}
    write_config(tmp_path / "config", {**policy, "risk": {"cooldown_minutes": 1}}, UNIVERSE)
    assert _met(desk, "rehearsal", "kill-switch drill") == {False}


def test_a_failed_gate_or_test_certifies_nothing(tmp_path, sim):
    desk = production(tmp_path, sim)
    (tmp_path / "tests.xml").write_text('<testsuite tests="9" failures="1" errors="0"/>')
    (tmp_path / "gate.json").write_text('{"passed": true, "config_hash": "other", "code_version": "0.1.0"}')
    desk.run("certify", f"--tests={tmp_path / 'tests.xml'}", f"--gate={tmp_path / 'gate.json'}", "--json")
    rows = {row["item"]: row for row in json.loads(desk.out)}
    assert rows["tests"]["met"] is False
    assert "1 failures" in rows["tests"]["detail"]
    assert "another configuration or code" in rows["backtest gate"]["detail"]


def test_staging_needs_no_certificate(tmp_path, sim):
    assert desk_at(tmp_path, sim).run("certify") == Exit.REFUSED


def _rehearse(folder: Path, sim: Any, policy: dict[str, Any]) -> None:
    """Two paper cycles and a drill of the kill switch."""
    paper = desk_at(folder, sim, mode="paper", **policy)
    with bot_of(paper) as app:
        app.loop.run_cycle()
        (paper.data_dir / "KILL_SWITCH").write_text("drill")
        app.loop.run_cycle()
        (paper.data_dir / "KILL_SWITCH").unlink()
        app.loop.run_cycle()
        app.loop.run_cycle()
        app.loop.store.flush()
        app.loop.store.save()


def _met(desk: Desk, *items: str) -> set[bool]:
    desk.run("certify", "--json")
    return {row["met"] for row in json.loads(desk.out) if row["item"] in items}


def _hash(desk: Desk) -> str:
    assert desk.run("config", "hash") == 0
    return desk.out.strip()
