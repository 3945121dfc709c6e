"""Live over the wire and the backtest trade the same candles alike; what differs without a reason is red."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backtest.check.parity import Comparison, compared
from backtest.check.parity_run import Parity
from backtest.check.rehearsal import Replayed
from backtest.cli import main
from backtest.dataset import Dataset
from bot.domain.decision import Decision, Evaluated, Exclusion, GateResult, Reason, Reject
from bot.domain.value import replace
from tests.backtest import runs
from tests.backtest.check.deeds import BTC, POLICY, answer, decision, entry, flat_market, run, settings, sold
from tests.backtest.markets import write_markets
from tests.builders import pid, proposal, trigger
from tests.configs import write_config

ROOT = Path(__file__).resolve().parents[3]


# ------------------------------------------------------------------------------------------------------- over the wire


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, dict[str, Any]]:
    """`backtest check parity` over two hours with a purchase and a sale in them: exit code, text and JSON."""
    folder = tmp_path_factory.mktemp("parity")
    write_config(folder / "config", POLICY, runs.UNIVERSE)
    write_markets(folder / "candles", {"BTC-USD": 31, "ETH-USD": 12}, 2 * 1440)
    out, err = io.StringIO(), io.StringIO()
    arguments = [
        "check", "parity", "--data", str(folder / "candles"), "--config-dir", str(folder / "config"),
        "--from", "2024-01-02T05:00", "--to", "2024-01-02T06:40", "--out", str(folder / "parity.json"),
    ]  # fmt: skip
    code = main(arguments, out, err)
    return code, out.getvalue() + err.getvalue(), json.loads((folder / "parity.json").read_text())


def test_the_same_market_live_and_in_the_backtest_gives_the_same_entries_and_exits(checked):
    code, text, found = checked
    assert code == 0, text
    assert found["passed"]
    deeds = [(row["kind"], row["side"], row["product"], row["reason"], row["same"]) for row in found["rows"]]
    assert sum(kind == "entry" for kind, *_ in deeds) >= 2
    assert sum(kind == "exit" for kind, *_ in deeds) >= 1
    assert all(row["same"] for row in found["rows"]), text
    assert found["cycles"] >= 98
    assert found["cycles_with_the_same_triggers"] == found["cycles"], "the wire brings the recorded bars to the digit"


def test_every_difference_between_two_fills_is_told_with_its_reason(checked):
    _, text, found = checked
    for row in found["rows"]:
        live, backtest = row["live"], row["backtest"]
        told = " | ".join(row["because"])
        assert ("price" in told) == (live["price"] != backtest["price"])
        assert ("fee " in told) == (live["fee_rate"] != backtest["fee_rate"])
        assert ("after " in told) == (live["seconds"] != backtest["seconds"])
        assert (" filled " in told) == (live["size"] != live["asked"] or backtest["size"] != backtest["asked"])
        assert all(line in text for line in row["because"])
    assert any(row["because"] for row in found["rows"])


def test_what_was_decided_over_the_wire_is_decided_again_to_the_same_bytes(checked):
    _, text, found = checked
    assert found["decided_again"] >= 20
    assert "0 otherwise" in text


def test_a_backtest_that_looks_one_bar_ahead_no_longer_trades_as_live_does(tmp_path):
    """Its columns are its own and the daemon has windows of another make: the two part, and the verb exits 3."""
    for package in ("bot", "backtest", "simulator"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    source, right = tmp_path / "bot/triggers/columns.py", "self._columns.close[self._t - ago] if 0 <= ago"
    assert source.read_text().count(right) == 1, "the plant no longer fits the source"
    ahead = "self._columns.close[min(self._t - ago + 1, len(self._columns.close) - 1)] if 0 <= ago"
    source.write_text(source.read_text().replace(right, ahead))
    write_config(tmp_path / "config", POLICY, runs.UNIVERSE)
    write_markets(tmp_path / "candles", {"BTC-USD": 31}, 2 * 1440)
    done = subprocess.run(
        [sys.executable, "-m", "backtest", "check", "parity", "--data", "candles", "--config-dir", "config",
         "--from", "2024-01-02T05:00", "--to", "2024-01-02T05:40"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, text=True, capture_output=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    assert "FAILED     entry BUY BTC-USD" in done.stdout


def test_bars_the_exchange_cannot_replay_are_bad_usage(tmp_path):
    write_config(tmp_path / "config", POLICY, runs.UNIVERSE)
    write_markets(tmp_path / "candles", {"BTC-USD": 31}, 600)
    out, err = io.StringIO(), io.StringIO()
    arguments = ["--data", str(tmp_path / "candles"), "--config-dir", str(tmp_path / "config"), "--bar", "5m"]
    assert main(["check", "parity", *arguments], out, err) == 2
    assert "one-minute candles, not FIVE_MINUTE" in err.getvalue()


# --------------------------------------------------------------------------------------------------------- made by hand


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return flat_market(tmp_path_factory.mktemp("bars"))


def refused(reason: Reason) -> Decision:
    return decision(Evaluated(proposal(), (GateResult("gate", Reject(reason, "no")),), None))


def test_an_entry_that_only_one_side_made_is_red_without_a_reason(data):
    found = answer(run("live", entry(), exits=(sold(60),)), run("backtest"), data)
    assert not found.passed
    assert "backtest decided NO_TRADE here: no trigger fired" in found.problems[0]
    assert any("FAILED" in line for line in found.text())


@pytest.mark.parametrize(
    ("said", "explained"),
    [
        (refused(Reason.COOLDOWN), True),
        (refused(Reason.POSITION_COUNT), True),
        (refused(Reason.SPREAD_WIDE), True),
        (refused(Reason.BELOW_MIN_CONVICTION), False),
        (refused(Reason.BANNED), False),
        (decision(excluded=(Exclusion(BTC, Reason.DEPTH_THIN, "thin"),)), True),
        (decision(excluded=(Exclusion(BTC, Reason.BARS_MISSING, "gap"),)), False),
    ],
)
def test_only_the_account_and_the_book_excuse_an_entry(data, said, explained):
    shared = entry(10)
    live, backtest = run("live", shared, entry()), run("backtest", shared, said=said)
    assert answer(live, backtest, data).passed is explained
    assert answer(replace(backtest, name="live"), replace(live, name="backtest"), data).passed is explained


def test_a_trigger_that_only_one_side_saw_is_red(data):
    seen = replace(decision(), eligible=(BTC,), triggers=(trigger(),))
    live, backtest = run("live", entry(10), said=seen), run("backtest", entry(10), said=replace(seen, triggers=()))
    assert any("fired other triggers" in problem for problem in answer(live, backtest, data).problems)
    assert answer(live, replace(backtest, decisions={50: replace(seen, triggers=(), eligible=())}), data).passed
    assert answer(live, replace(backtest, decisions=live.decisions), data).passed


def test_a_trigger_that_found_no_room_among_other_markets_is_no_difference_of_the_bot(data):
    many = tuple(trigger(f"A{number}-USD") for number in range(20))
    full = replace(decision(), eligible=(BTC, pid("ETH-USD")), triggers=many)
    live = run("live", entry(10), entry(), said=replace(full, eligible=(BTC,), triggers=(trigger(),)))
    assert answer(live, run("backtest", entry(10), said=full), data).passed
    alone = replace(full, eligible=(BTC,))
    assert not answer(live, run("backtest", entry(10), said=alone), data).passed


def test_a_quote_that_was_held_back_excuses_live_and_never_the_backtest(data):
    held = decision(excluded=(Exclusion(BTC, Reason.QUOTE_HELD_BACK, "a jump"),))
    assert answer(run("live", entry(10), said=held), run("backtest", entry(10), entry()), data).passed
    assert not answer(run("live", entry(10), entry()), run("backtest", entry(10), said=held), data).passed


def test_a_cycle_that_one_side_never_ran_is_no_excuse(data):
    shared = entry(10)
    found = answer(run("live", shared, entry(70)), run("backtest", shared), data)
    assert "ran no scheduled cycle" in found.problems[0]


@pytest.mark.parametrize(
    ("live", "backtest", "passed", "same"),
    [
        (sold(60), sold(60), True, True),
        (sold(60), sold(61), True, True),
        # bought 0.5 % lower: its stop lies so much lower that the bar's low of 99.8 does not reach it
        (sold(60), sold(90, price="99.37", paid="99.56"), True, False),
        # bought at the same price: the low at minute 60 passed its stop of 100 by 20 bps
        (sold(60, price="99.97"), sold(90, price="99.97"), False, False),
        (sold(60, "take_profit", "100"), sold(90, "stop_loss", "99.37"), False, False),
        (sold(60, "max_hold", "99.95"), sold(90, "max_hold", "99.95"), False, False),
        (sold(60, "max_hold", "99.95"), sold(62, "max_hold", "99.95", opened=51), True, False),
        (sold(60, "banned", "99.95"), sold(90, "stop_loss", "99.37"), False, False),
    ],
)
def test_an_exit_at_another_time_needs_a_level_of_its_own(data, live, backtest, passed, same):
    both = run("live", entry(), exits=(live,)), run("backtest", entry(backtest.opened), exits=(backtest,))
    found = answer(*both, data)
    assert found.passed is passed, list(found.text())
    assert passed or "nothing accounts for it" in found.problems[0] or "yet it was passed" in found.problems[0]
    (row,) = (row for row in found.comparison.rows if row.kind == "exit")
    assert row.same is same


def test_nothing_on_both_sides_and_no_kept_cycle_prove_nothing(data):
    assert not answer(run("live"), run("backtest"), data).passed
    assert not Parity(
        compared(run("live", entry()), run("backtest", entry()), data, settings()), Replayed(0, ()), data
    ).passed
    changed = Parity(Comparison((), 1, 1), Replayed(3, ("c7",)), data)
    assert any(problem.startswith("c7: decided over the wire") for problem in changed.problems)
