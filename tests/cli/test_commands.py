"""Commands reach the daemon, are answered within seconds, and wait when there is none."""

from __future__ import annotations

import json
import time
from datetime import timedelta

from bot.adapters.clock import ManualClock
from bot.adapters.inboxwatch import InboxWatcher
from bot.domain.event import LatchSet, QuarantineBegan
from bot.domain.product import ProductId
from bot.domain.state import HaltCause, Latch
from bot.ports import WakeReason
from simulator.server import START
from tests.cli.desk import EAGER, Desk, bot_of, desk_at, running


def test_a_running_daemon_bans_and_unbans_within_seconds(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    with running(desk):
        began = time.monotonic()
        assert desk.run("flag", "sol/usd", "recent_exploit", "--hours", "48") == 0
        assert desk.out.startswith("applied: SOL-USD is banned for recent_exploit until")
        assert time.monotonic() - began < 5
        ban = desk.json("bans")[0]
        assert (ban["product"], ban["red_flag"]) == ("SOL-USD", "recent_exploit")
        assert desk.run("unflag", "SOL-USD") == 0
        assert "applied: the ban of SOL-USD is lifted" in desk.out
        assert desk.json("bans") == []


def test_a_command_does_not_wait_for_the_next_scheduled_cycle(tmp_path, sim):
    """Here that is eleven days away, and there is no order or position whose events could wake the loop."""
    desk = desk_at(tmp_path, sim, **{**EAGER, "rules": [], "loop": {"interval_seconds": 1_000_000, "jitter_pct": 0}})
    with running(desk):
        while sim.now() < START + timedelta(minutes=1):
            time.sleep(0.02)
        assert desk.run("flag", "SOL-USD", "team_rug") == 0
        assert desk.out.startswith("applied: ")


def test_what_makes_no_sense_is_refused_with_the_way_out(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    with running(desk):
        assert desk.run("flag", "SOL-USD", "bad_vibes") == 1
        assert "'bad_vibes' is no red flag of universe.yaml; known: recent_exploit" in desk.err
        assert desk.run("approve", "3f9a01bc") == 1
        assert "no approval '3f9a01bc' waits; waiting: none" in desk.err
        assert desk.run("resume", "--latch", "daily_stop") == 1
        assert "no latch 'daily_stop' is set" in desk.err


def test_a_ban_of_a_product_nobody_trades_asks_whether_it_is_misspelled(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    assert desk.run("flag", "BTC-USD", "team_rug") == 0
    assert "spelled" not in desk.err
    assert desk.run("flag", "BTCC-USD", "team_rug") == 0
    assert "BTCC-USD is in no tier of universe.yaml: is that how it is spelled?" in desk.err


def test_without_a_daemon_a_command_waits_and_is_carried_out_at_the_next_start(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    assert desk.run("flag", "ETH-USD", "regulatory_action") == 0
    assert desk.out.startswith("queued: no bot runs as staging live")
    waiting = list((desk.state_dir / "inbox").iterdir())
    assert [json.loads(file.read_text())["verb"] for file in waiting] == ["flag"]
    assert waiting[0].stat().st_mode & 0o777 == 0o600
    with bot_of(desk) as app:
        app.loop.run_cycle()
    assert [ban["product"] for ban in desk.json("bans")] == ["ETH-USD"]
    assert list((desk.state_dir / "inbox").iterdir()) == []


def test_a_latch_and_a_quarantine_end_on_an_operators_word(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    eth = ProductId("ETH-USD")
    with bot_of(desk) as app:
        app.loop.run_cycle()
        app.loop.store.record(LatchSet(Latch("daily_stop", HaltCause.DAILY_STOP, "lost 3.1 %", sim.now())))
        app.loop.store.record(QuarantineBegan(eth, "somebody else sold"))
        app.loop.store.save()
    assert desk.run("status") == 0
    assert "bot resume --latch daily_stop" in desk.out
    assert "bot adopt ETH-USD" in desk.out
    desk.run("resume", "--latch", "daily_stop")
    desk.run("ignore", "ETH-USD")
    with bot_of(desk) as app:
        app.loop.run_cycle()
        assert (app.loop.store.state.latches, app.loop.store.state.quarantined) == ({}, {})
        assert app.loop.store.state.ignored == (eth,)


def test_a_trade_above_the_limit_waits_for_a_person_and_happens_after_a_yes(tmp_path, sim):
    desk = desk_at(tmp_path, sim, **{**EAGER, "risk": {"approval_above_usd": 50, "cooldown_minutes": 0}})
    with bot_of(desk) as app:
        app.loop.run_cycle()
        assert desk.json("orders") == []
        waiting = desk.json("status")["approvals"]
        assert waiting
        assert desk.run("status") == 0
        assert f"approve? {waiting[0]['id']}" in desk.out
    desk.run("approve", waiting[0]["id"])
    desk.run("reject", waiting[1]["id"])
    with bot_of(desk) as app:
        app.loop.run_cycle()
    bought = {row["product"] for row in desk.json("orders") if row["kind"] == "entry"}
    assert bought == {waiting[0]["product"]}


def test_a_command_wakes_the_loop_once(tmp_path):
    clock = ManualClock(START)
    watcher = InboxWatcher(tmp_path / "inbox", clock)
    assert watcher.look() is False, "an inbox that does not exist yet is empty"
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "one.json").write_text("{}")
    (tmp_path / "inbox" / ".two.json.new").write_text("{}")
    assert watcher.look() is True
    assert watcher.look() is False
    assert clock.wait_until(START + timedelta(hours=1)) is WakeReason.COMMAND
    assert clock.wait_until(START + timedelta(hours=1)) is None


def test_with_several_bots_a_command_must_say_whom_it_is_for_but_a_resume_reaches_all(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    shadow = Desk({**desk.environ, "BOT_MODE": "dry_run"}, desk.data_dir)
    other = Desk({**desk.environ, "BOT_MODE": "paper"}, desk.data_dir)
    with bot_of(desk), bot_of(shadow):
        assert other.run("unflag", "SOL-USD") == 2
        assert "several bots run here (dry_run, live): say which one with --mode" in other.err
        assert other.run("status", "--mode", "live") == 0
        assert "staging live: running" in other.out
        assert desk.run("status") == 0, "BOT_MODE names one of them"
        (desk.data_dir / "KILL_SWITCH").write_text("both")
        assert other.run("resume") == 0
        assert not (desk.data_dir / "KILL_SWITCH").exists()


def test_with_one_bot_a_command_finds_it_whatever_the_mode_is_set_to(tmp_path, sim):
    desk = desk_at(tmp_path, sim)
    other = Desk({**desk.environ, "BOT_MODE": "paper"}, desk.data_dir)
    with bot_of(desk):
        assert other.json("status")["mode"] == "live"
    assert other.json("status")["mode"] == "paper"
