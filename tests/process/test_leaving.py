"""SIGTERM at any moment, once and twice, with the exchange there and away; SIGHUP."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from simulator.faults import Delay, Rule, When
from tests.process.bots import (
    alerted,
    at_speed,
    eventually,
    journal,
    plain_config,
    posts,
    running,
    venue,
    working_entries,
)
from tests.process.ports import free_port


def quote(sim: Any, daemon: Any) -> None:
    """Wait until the bot's bid rests at the venue, then let time pass as slowly as it does."""
    eventually(lambda: working_entries(sim), daemon=daemon)
    at_speed(sim, 1.0)


@pytest.fixture(scope="module", autouse=True)
def outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[threading.Thread]:
    """A shutdown without an exchange takes its time: it runs beside the other tests."""
    thread = Outage(tmp_path_factory.mktemp("outage"))
    thread.start()
    yield thread
    thread.join(60)


class Outage(threading.Thread):
    """A bot with a bid at the venue is told to stop while the venue is away; afterwards it starts again."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name="outage", daemon=True)
        self._folder = folder
        self.code, self.took_s = -1, 0.0
        self.left: list[str] = []
        self.stopped: dict[str, Any] = {}
        self.alerts: list[dict[str, Any]] = []
        self.after: list[str] = ["never looked"]
        self.problem = ""

    def run(self) -> None:
        try:
            self._live()
        except BaseException as problem:  # told by the test that looks at it
            self.problem = repr(problem)

    def _live(self) -> None:
        with venue() as sim, running(sim, self._folder, plain_config(self._folder / "config")) as daemon:
            quote(sim, daemon)
            self.left = [order["client_order_id"] for order in journal(daemon, "intent.recorded")]
            sim.conditions(outage=True)
            began = time.monotonic()
            self.code = daemon.terminate(within_s=40)
            self.took_s = time.monotonic() - began
            self.stopped = journal(daemon, "run.stopped")[-1]
            self.alerts = alerted(sim, "shutdown")
            sim.conditions(outage=False)
            at_speed(sim, 0.0)
            last = daemon.heartbeat()["cycle_id"]
            daemon.start()
            daemon.wait_for_cycle(last)
            eventually(lambda: not set(self._working(daemon)) & set(self.left))
            self.after = [cid for cid in self.left if cid in self._working(daemon)]
            daemon.terminate()

    def _working(self, daemon: Any) -> list[str]:
        return [order["client_order_id"] for order in daemon.status().get("orders", [])]


def test_a_stop_during_sleep_takes_the_entry_back_and_answers_zero_at_once(tmp_path, config, sim):
    with running(sim, tmp_path, config) as daemon:
        quote(sim, daemon)
        began = time.monotonic()
        assert daemon.terminate() == 0
        assert time.monotonic() - began < 5
        assert working_entries(sim) == []
        assert journal(daemon, "run.stopped")[-1] == {"exit_code": 0, "still_working": [], "why": "SIGTERM"}
        assert alerted(sim, "shutdown")[0]["severity"] == "INFO"


def test_a_stop_while_a_request_hangs_finds_the_order_and_takes_it_back(tmp_path, config, sim):
    """SIGTERM with the POST on its way: the answer is not waited for, the order is looked up, then cancelled."""
    sim.fault(Rule(Delay(6.0, When.AFTER), "POST", "/orders"))
    with running(sim, tmp_path, config) as daemon:
        eventually(lambda: working_entries(sim), daemon=daemon)
        at_speed(sim, 1.0)
        began = time.monotonic()
        code = daemon.terminate()
        assert time.monotonic() - began < 20
        assert code == 0, daemon.tail()
        assert working_entries(sim) == []
        assert posts(sim) == 1
        states = [row["to"] for row in journal(daemon, "order.changed")]
        assert states[0] == "UNKNOWN"
        assert states[-1] == "CANCELED"


def test_a_second_signal_does_not_wait_for_proof(tmp_path, config, sim):
    with running(sim, tmp_path, config) as daemon:
        quote(sim, daemon)
        sim.conditions(cancels="lost")
        began = time.monotonic()
        daemon.send(signal.SIGTERM)
        time.sleep(1.0)
        assert daemon.running(), "the first signal waits for proof"
        daemon.send(signal.SIGINT)
        assert daemon.wait(10) == 7
        assert time.monotonic() - began < 6
        assert journal(daemon, "run.stopped")[-1]["still_working"]
        assert json.loads((daemon.state_dir / "state.json").read_text())["seq"] > 0


def test_a_stop_before_the_exchange_was_ever_reached_is_prompt(tmp_path, config, sim):
    """Up, not ready, no trade; and gone as soon as it is told to go."""
    sim.conditions(outage=True)
    with running(sim, tmp_path, config, BOT_HTTP_PORT="0") as daemon:
        beat = eventually(daemon.heartbeat, daemon=daemon)
        assert (beat["outcome"], beat["reason"]) == ("NO_TRADE", "data_unavailable")
        began = time.monotonic()
        assert daemon.terminate() == 0
        assert time.monotonic() - began < 3
    assert alerted(sim, "venue.unreachable")


def test_an_exchange_that_comes_late_is_waited_for_and_then_traded_on(tmp_path, config, sim):
    port = free_port()
    sim.conditions(outage=True)
    with running(sim, tmp_path, config, BOT_HTTP_PORT=str(port)) as daemon:
        eventually(daemon.heartbeat, daemon=daemon)
        assert answers(port, "/healthz") == 200
        assert answers(port, "/readyz") == 503
        assert posts(sim) == 0
        sim.conditions(outage=False)
        eventually(lambda: working_entries(sim), daemon=daemon)
        assert answers(port, "/readyz") == 200
        told = [body["state"] for body in alerted(sim, "venue.unreachable")]
        assert told == ["firing", "resolved"]
        assert daemon.terminate() == 0


def answers(port: int, path: str) -> int:
    """Status code of a page of the bot."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as page:
            return int(page.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_a_reload_may_tighten_never_loosen_and_survives_nonsense(tmp_path, sim):
    config = plain_config(tmp_path / "config")
    with running(sim, tmp_path, config) as daemon:
        running_hash = daemon.wait_for_cycle()["config_hash"]
        policy = config / "policy.yaml"
        good = policy.read_text()
        for text, fingerprint in (
            ("risk: [", "config.invalid"),
            (good.replace("max_open_positions: 5", "max_open_positions: 9"), "config.looser"),
        ):
            policy.write_text(text)
            daemon.send(signal.SIGHUP)
            eventually(partial(alerted, sim, fingerprint), daemon=daemon)
            assert alerted(sim, fingerprint)[0]["severity"] == "CRITICAL"
            assert daemon.heartbeat()["config_hash"] == running_hash
        policy.write_text(good.replace("max_open_positions: 5", "max_open_positions: 4"))
        daemon.send(signal.SIGHUP)
        eventually(lambda: daemon.heartbeat()["config_hash"] != running_hash, daemon=daemon)
        assert daemon.terminate() == 0


def test_a_stop_without_the_exchange_lists_what_may_still_work(outage):
    outage.join(60)
    assert outage.problem == ""
    assert outage.code == 7
    assert outage.took_s <= 30
    assert outage.left != []
    assert outage.stopped["exit_code"] == 7
    assert set(outage.stopped["still_working"]) <= set(outage.left)
    assert outage.stopped["still_working"] != []
    assert outage.alerts[0]["severity"] == "CRITICAL"
    assert outage.stopped["still_working"][0] in outage.alerts[0]["detail"]
    assert outage.after == [], "the next start takes them back or sees them gone"
