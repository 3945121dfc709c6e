"""Class process: killed, stopped, started twice, hung, grown, and heard by nobody."""

from __future__ import annotations

import gc
import json
import os
import random
import re
import signal
import socket
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.adapters.memory import MemoryStorage
from bot.adapters.webhook import WebhookCourier
from bot.ops.alerts import AlertService, Severity
from bot.settings.policy import AlertsPolicy
from simulator.faults import Delay, Hang, Rule, When
from simulator.server import START, Simulator
from tests.adapters.test_webhook import Receiver
from tests.faults.trial import Fault, JudgedStage, Trial
from tests.faults.venues import QUOTING
from tests.faults.wired import Wired
from tests.loop.markets import BOUGHT, RISE, calm
from tests.loop.stage import config_of, steady
from tests.process.bots import (
    Start,
    alerted,
    at_speed,
    environ,
    eventually,
    journal,
    outcomes,
    plain_config,
    posts,
    running,
    venue,
    working_entries,
)
from tests.simulation.findings import Findings

ROOT = Path(__file__).resolve().parents[2]
KILLS = 6
STARTS = 5
WEEK_S = 8 * 86_400


class Killed(BaseException):
    """The process is gone at this very instant."""


def killed_at_every_call(trial: Trial) -> None:
    """At each call to the venue and each write of the cycle that enters, before it happens and after."""
    seams = _seams(trial)
    for at in range(seams):
        stage = trial.stage([*RISE, *steady(62, 1200, "65500", 20)])
        stage.cycle()
        stage.idle(62)
        _die_at(stage, at)
        try:
            stage.cycle()
            raise AssertionError(f"it lived through call {at + 1}")
        except Killed:
            pass
        _undisturbed(stage)
        trial.stimulus(f"killed at each of {seams} calls of a cycle that enters", seams > 0)
        sent = len(stage.wire.placed)
        stage.idle(2)
        stage.boot()
        stage.cycle()
        trial.require("I6 one cycle later orders and positions are the venue's", _agrees(stage))
        stage.run_for(300)
        ids = [order.client_order_id for order in stage.world.venue.orders()]
        trial.require("I2 no order twice at the venue", len(ids) == len(set(ids)))
        trial.require("I6 no order is sent before the books are known", len(stage.wire.placed) >= sent)


def _seams(trial: Trial) -> int:
    stage = trial.stage([*RISE, *steady(62, 300, "65500", 20)])
    stage.cycle()
    stage.idle(62)
    count = [0]

    def seen(_: object) -> None:
        count[0] += 1

    _each_call(stage, seen)
    stage.cycle()
    _undisturbed(stage)
    return count[0]


def _die_at(stage: JudgedStage, at: int) -> None:
    left = [at]

    def die(_: object) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1

    _each_call(stage, die)


def _undisturbed(stage: JudgedStage) -> None:
    _each_call(stage, lambda _: None)


def _each_call(stage: JudgedStage, told: Callable[[object], object]) -> None:
    stage.wire.on_call = told
    stage.disk.before_append = told


def _agrees(stage: JudgedStage) -> bool:
    believed = {o.client_order_id for o in stage.orders() if o.state.is_working and o.state.value != "UNKNOWN"}
    doubted = {o.client_order_id for o in stage.orders() if o.state.value == "UNKNOWN"}
    true = {o.client_order_id for o in stage.working()}
    held = {product.base: position.size.value for product, position in stage.state.positions.items()}
    return believed <= true <= believed | doubted and all(stage.held(base) == size for base, size in held.items())


def killed_at_random(trial: Trial) -> None:
    """The real process, by SIGKILL, at random instants."""
    folder, chance = trial.new_folder(), random.Random(93)
    with venue([*BOUGHT, *calm(90, 7200)]) as sim:
        with running(sim, folder, plain_config(folder / "config")) as daemon:
            for number in range(KILLS):
                last = daemon.wait_for_cycle()["cycle_id"]
                time.sleep(chance.uniform(0.0, 0.4))
                daemon.kill()
                trial.stimulus(f"SIGKILL at {KILLS} random instants", not daemon.running())
                daemon.start()
                daemon.wait_for_cycle(last)
                same = eventually(lambda: _same(sim, daemon), 60, daemon)
                trial.require(f"I6 after kill {number + 1} the books are the venue's", same)
            daemon.terminate()
        ids = [row["client_order_id"] for row in journal(daemon, "intent.recorded")]
        true = sim.do(lambda c: [o.client_order_id for o in c.world.venue.orders()])
        trial.require("I2 no order twice", len(true) == len(set(true)))
        trial.require("I10/I37 and each was written down first", set(true) <= set(ids))


def _same(sim: object, daemon: object) -> bool:
    state = json.loads((daemon.state_dir / "state.json").read_text())  # type: ignore[attr-defined]
    held = sim.do(lambda c: {b.currency: str(b.total.normalize()) for b in c.world.venue.balances()})  # type: ignore[attr-defined]
    text = json.dumps(state)
    return held.get("BTC", "0") in ("0", "0E+1") or held["BTC"] in text


def dies(trial: Trial) -> None:
    killed_at_every_call(trial)
    killed_at_random(trial)


def stopped_at_bad_moments(trial: Trial) -> None:
    for name, numbers in (("in its sleep", [signal.SIGTERM]), ("with SIGHUP before", [signal.SIGHUP, signal.SIGINT])):
        folder = trial.new_folder()
        with venue(QUOTING) as sim, running(sim, folder, plain_config(folder / "config")) as daemon:
            eventually(lambda s=sim: working_entries(s), daemon=daemon)  # type: ignore[misc]
            at_speed(sim, 1.0)
            sent, began = posts(sim), time.monotonic()
            for number in numbers:
                daemon.send(number)
            code = daemon.wait(40)
            trial.stimulus(f"told to stop {name}", code is not None)
            trial.require(f"I33 it leaves with 0, quickly: {name}", code == 0 and time.monotonic() - began <= 30)
            trial.require(
                "I33 its entry is gone and nothing new was sent", not working_entries(sim) and posts(sim) == sent
            )
            trial.require("I33 the journal is closed", journal(daemon, "run.stopped")[-1]["still_working"] == [])
    folder = trial.new_folder()
    with venue(QUOTING) as sim:
        sim.fault(Rule(Delay(6.0, When.AFTER), "POST", "/orders"))
        with running(sim, folder, plain_config(folder / "config")) as daemon:
            eventually(lambda: working_entries(sim), daemon=daemon)
            at_speed(sim, 1.0)
            code = daemon.terminate(40)
            trial.stimulus("told to stop while an order is on its way", posts(sim) == 1)
            trial.require("I33/I2 found, taken back, never sent again", code == 0 and not working_entries(sim))
    folder = trial.new_folder()
    with venue(QUOTING) as sim, running(sim, folder, plain_config(folder / "config")) as daemon:
        eventually(lambda: working_entries(sim), daemon=daemon)
        at_speed(sim, 1.0)
        sim.conditions(cancels="lost")
        daemon.send(signal.SIGTERM)
        time.sleep(1.0)
        trial.stimulus("told twice, with cancels that have no effect", daemon.running())
        daemon.send(signal.SIGINT)
        code = daemon.wait(20)
        left = journal(daemon, "run.stopped")[-1]["still_working"]
        trial.require("I33 the second word ends the wait, with 7 and a list", code == 7 and left)


def stopped_without_the_venue(trial: Trial) -> None:
    folder = trial.new_folder()
    with venue(QUOTING) as sim, running(sim, folder, plain_config(folder / "config")) as daemon:
        eventually(lambda: working_entries(sim), daemon=daemon)
        at_speed(sim, 1.0)
        sim.conditions(outage=True)
        began = time.monotonic()
        code = daemon.terminate(60)
        took = time.monotonic() - began
        left = journal(daemon, "run.stopped")[-1]["still_working"]
        trial.stimulus("the venue is gone when the bot is told to stop", working_entries(sim))
        trial.require("I33 bounded effort, then 7", code == 7 and took <= 30)
        trial.require("I33/I40 what may still work is written down", left)
        sim.conditions(outage=False)
        at_speed(sim, 0.0)
        eventually(lambda: alerted(sim, "shutdown"))
        trial.require("I29 and told", alerted(sim, "shutdown")[0]["severity"] == "CRITICAL")
        last = daemon.heartbeat()["cycle_id"]
        daemon.start()
        daemon.wait_for_cycle(last)
        gone = eventually(lambda: not set(left) & {o["client_order_id"] for o in daemon.status().get("orders", [])})
        trial.require("I40 the next start takes them back", gone)
        daemon.terminate()


def started_twice(trial: Trial) -> None:
    folder = trial.new_folder()
    config = plain_config(folder / "config")
    with venue(QUOTING) as sim:
        told = {
            "ENV": "staging",
            "BOT_MODE": "live",
            "BOT_DATA_DIR": str(folder / "data"),
            "BOT_CONFIG_DIR": str(config),
        }
        twins = [Start(environ(sim, **told)) for _ in range(3)]
        losers = eventually(lambda: [t for t in twins if not t.running] if sum(t.running for t in twins) == 1 else [])
        codes = [twin.ended() for twin in losers]
        trial.stimulus("three starts in the same moment on one folder", len(twins) == 3)
        trial.require("I23 exactly one runs, the others leave with 4", [code for code, _ in codes] == [4, 4])
        trial.require("I23 and name the one that does", all("pid" in said for _, said in codes))
        (winner,) = [twin for twin in twins if twin.running]
        eventually(lambda: working_entries(sim))
        winner.terminate()
        trial.require("I33 which leaves as always", winner.ended(60)[0] == 0)


def second_host(trial: Trial) -> None:
    """Another machine, with the same key and a folder of its own: orders with our prefix that nobody here placed."""
    with trial.wired(QUOTING, audited=False) as bot:
        bot.run_until(bot.working, 120)
        twin = Wired(bot.sim, trial.new_folder(), Findings(), {}, {})  # its oracle takes the other's orders for its own
        try:
            twin.boot()
            twin.run_for(130)
            trial.stimulus("a second bot with a folder of its own on the same account", twin.cycles)
            trial.require("I23/I22 it sees orders that are not its own and halts", twin.last.outcome == "HALTED")
            trial.require("I23 with a CRITICAL alert", twin.told("halt.") == "CRITICAL")
            trial.require("I2 and sends nothing", not twin.events("intent.recorded"))
        finally:
            twin.crash()


def twins(trial: Trial) -> None:
    started_twice(trial)
    second_host(trial)


def fed_by_stages_only(trial: Trial) -> None:
    stage = trial.stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.cycle()
    fed: list[int] = []
    stage.wire.on_call = lambda name: fed.append(stage.heart.heard) if name == "balances" else None
    before = stage.heart.heard
    stage.idle(62)
    stage.cycle()
    stage.wire.on_call = lambda _: None
    trial.stimulus("a cycle that hangs in a read", fed)
    trial.require("I27 the watchdog is not fed while a stage hangs", fed[0] - before <= 1)
    trial.require("I27 and is fed when stages end", stage.heart.heard >= fed[0] + 3)
    folder = trial.new_folder()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, venue(QUOTING) as sim:
        address = folder / "notify"
        manager.bind(str(address))
        manager.settimeout(60)
        told = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "20000000"}
        with running(sim, folder, plain_config(folder / "config"), **told) as daemon:
            heard = {manager.recv(4096).split(b"=")[0] for _ in range(12)}
            trial.require("I27 the service manager hears READY and WATCHDOG", {b"READY", b"WATCHDOG"} <= heard)
            os.kill(daemon.pid, signal.SIGSTOP)
            time.sleep(0.3)
            manager.settimeout(1.0)
            _drain(manager)
            trial.stimulus("the process is frozen", daemon.running())
            trial.require("I27/I28 and hears nothing of a process that hangs", not _drain(manager))
            os.kill(daemon.pid, signal.SIGCONT)
            daemon.terminate()


def _drain(manager: socket.socket) -> int:
    """How many messages come until there is none for a second."""
    count = 0
    try:
        while manager.recv(4096):
            count += 1
    except TimeoutError:
        return count
    return count


def slow_answers(trial: Trial) -> None:
    unit = (ROOT / "systemd" / "bulwark.service").read_text()
    found = re.search(r"^WatchdogSec=(\d+)", unit, re.MULTILINE)
    assert found is not None
    with trial.wired(QUOTING) as bot:
        bot.cycle()
        bot.fault(Rule(Hang(When.BEFORE), "GET", times=None))
        began = time.monotonic()
        bot.cycle()
        took = time.monotonic() - began
        trial.stimulus("every answer takes longer than its deadline", bot.struck("Hang"))
        budget = float(bot.config.policy.loop.cycle_budget_seconds)
        trial.require("I27 the cycle ends by its budget", took <= budget + 5)
        trial.require("I12 as NO_TRADE with a reason", bot.last.reason == "data_unavailable")
        trial.require("I27 budgets lie far below WatchdogSec", 3 * budget < float(found[1]))
        bot.heal()
        bot.heals()


def a_week(trial: Trial) -> None:
    config = config_of(loop={"interval_seconds": 900}, data={"max_quote_staleness_seconds": 60})
    stage = trial.stage(steady(10, WEEK_S, "65000", 1800), config)
    counts = []
    for _ in range(7):
        stage.run_for(86_400)
        gc.collect()
        counts.append(sum(str(type(item).__module__).startswith("bot.") for item in gc.get_objects()))
        stage.cycles.clear()
    trial.stimulus("7 days of trading time", stage.clock.now() >= START + timedelta(days=7))
    growth = (counts[-1] - counts[1]) / 5
    trial.require("I35 objects of ours do not grow from day to day", growth < 0.02 * counts[1] + 50)
    folder = trial.new_folder()
    with venue([*BOUGHT, *calm(90, 40_000)]) as sim, running(sim, folder, plain_config(folder / "config")) as daemon:
        seen = []
        for cycles in (50, 150):
            eventually(lambda n=cycles: len(outcomes(daemon)) >= n, daemon=daemon)  # type: ignore[misc]
            seen.append(_size_of(daemon.pid))
        (_, fds, threads), (rss, later_fds, later_threads) = seen
        trial.stimulus("150 cycles over the wire", len(outcomes(daemon)) >= 150)
        trial.require(
            "I35 resident memory below 256 MB, and hardly more than before", rss < 256 and rss - seen[0][0] < 8
        )
        trial.require(
            "I35 handles and threads as many as before", later_fds <= max(fds, 64) and later_threads <= threads
        )
        daemon.terminate()


def _size_of(pid: int) -> tuple[float, int, int]:
    """Resident MB, open handles, threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    rss = re.search(r"VmRSS:\s+(\d+)", status)
    threads = re.search(r"Threads:\s+(\d+)", status)
    assert rss is not None
    assert threads is not None
    return int(rss[1]) / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir())), int(threads[1])


def crashing_for_ever(trial: Trial) -> None:
    unit = (ROOT / "systemd" / "bulwark.service").read_text()
    trial.require("I29 the unit gives up in the end, and says so",
                  all(word in unit for word in ("StartLimitBurst=", "OnFailure=bulwark-alert@")))  # fmt: skip
    folder = trial.new_folder()
    with venue(QUOTING) as sim, running(sim, folder, plain_config(folder / "config")) as daemon:
        for number in range(STARTS):
            if number:
                daemon.start()
            eventually(lambda n=number: _reads(sim) > n or daemon.heartbeat(), daemon=daemon)  # type: ignore[misc]
            daemon.kill()
        trial.stimulus(f"{STARTS} starts, each killed before its first cycle ended", _reads(sim) >= STARTS)
        trial.require("I19/I22 no order came of them", posts(sim) == 0)
        daemon.start()
        eventually(lambda: working_entries(sim), daemon=daemon)
        trial.require("I6 a start that lives trades, once", posts(sim) == 1)
        daemon.terminate()


def _reads(sim: Simulator) -> int:
    return sim.do(lambda c: len(c.world.record.requests("GET", "/key_permissions")))


def receiver_that_is_ill(trial: Trial) -> None:
    for name, status, hang_s in (("hangs", 204, 0.4), ("answers 500", 500, 0.0)):
        receiver = Receiver()
        receiver.status, receiver.hang_s = status, hang_s
        storage = MemoryStorage()
        failures: list[str] = []
        courier = WebhookCourier(
            storage, [receiver.url], timeout_s=0.2, allow_test_venue=True, on_failure=failures.append
        )
        service = AlertService(storage, lambda: datetime.now(UTC), AlertsPolicy(), "staging", "paper", lambda _: None)
        courier.start()
        began = time.monotonic()
        for number in range(20):
            service.fire(f"drill-{number}", Severity.CRITICAL, "drill", "drill")
        took = (time.monotonic() - began) / 20
        eventually(failures.copy)
        trial.stimulus(f"the receiver {name}", failures)
        trial.require(f"I29 raising an alert takes no longer: {name}", took < 0.05)
        trial.require("I29 all are kept", service.undelivered() == 20)
        receiver.status, receiver.hang_s = 204, 0.0
        courier.stop(grace_s=30)
        trial.require("I29 and arrive once it can take them", service.undelivered() == 0)
        receiver.close()
    with trial.wired(QUOTING) as bot:
        bot.sim.do(lambda c: c.alerts.change({"status": 500}))
        began = time.monotonic()
        bot.run_until(bot.working, 120)
        trial.stimulus("the receiver of a trading bot answers 500", bot.sim.do(lambda c: c.alerts.status) == 500)
        trial.require("I27/I21 it trades all the same", time.monotonic() - began < 60)


ROWS: Sequence[Fault] = (
    Fault("F093", "the process dies at every call of a cycle that enters, and by SIGKILL at random instants",
          "after the restart its books are the venue's within one cycle; nothing twice, nothing lost", "I6 I2 I10",
          dies, quick=True),
    Fault("F094", "told to stop in its sleep, during a POST, during a cancel, twice, with SIGHUP before SIGINT",
          "stops at once, takes its entries back and proves it, or leaves with 7 and a list", "I33",
          stopped_at_bad_moments),
    Fault("F095", "told to stop while the venue cannot be reached",
          "bounded effort, a list on disk and in an alert, 7; the next start takes them back", "I33 I29 I40",
          stopped_without_the_venue),
    Fault("F096", "three starts in one moment on one folder; a second host with the same key",
          "exactly one trades", "I23", twins),
    Fault("F098", "a stage that hangs, a process that is frozen", "the watchdog is fed by completed stages only",
          "I27", fed_by_stages_only, quick=True),
    Fault("F099", "every answer takes longer than its deadline", "deadlines end calls, the budget ends the cycle, "
          "and both lie below the watchdog's patience", "I27 I28", slow_answers),
    Fault("F100", "seven days of trading time; hundreds of cycles over the wire",
          "memory, handles and threads do not grow", "I35", a_week),
    Fault("F101", "a crash at every start", "no order from any of them; the unit gives up and tells", "I19 I22 I29",
          crashing_for_ever),
    Fault("F102", "an alert receiver that hangs or answers 500", "never in the way of trading, and nothing is lost",
          "I29 I27", receiver_that_is_ill),
)  # fmt: skip
