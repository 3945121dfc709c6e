"""Class process: killed, stopped, started twice, hung, grown, and heard by nobody."""

from __future__ import annotations

import gc
import json
import math
import os
import random
import re
import signal
import socket
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bot.adapters.memory import MemoryStorage
from bot.adapters.webhook import WebhookCourier
from bot.ops.alerts import AlertService, Severity
from bot.settings.load import load_config
from bot.settings.policy import AlertsPolicy
from simulator.faults import Hang, Rule, When
from simulator.markets.listing import default_listings
from simulator.markets.script import ScriptMarket, Step
from simulator.server import START, Simulator, SimulatorConfig
from tests.adapters.test_webhook import Receiver
from tests.faults.lives import HABITS, RESTLESS_S, UNDAUNTED, UNGOVERNED, Mortal, restless
from tests.faults.manager import manager
from tests.faults.trial import Fault, Trial
from tests.faults.venues import QUOTING
from tests.faults.wired import Wired
from tests.loop.markets import RISE
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
from tests.simulation import audit
from tests.simulation.daemon import Daemon
from tests.simulation.findings import Findings
from tests.simulation.oracle import Oracle

ROOT = Path(__file__).resolve().parents[2]
SHARE, MANY = 0.05, 150
"""Share of the instants at which a life in process is killed, and how many deaths meet every seam."""
SEAMS = ("before place", "after place", "before cancel", "after cancel")
STARTS = 5
WEEK_S = 8 * 86_400
ACCEPTED_S, GONE_S, PROOF_S = 1.0, 30.0, 10.0
"""Real seconds to take up no new work, to be gone, and at most after the second word; one waits 18 for proof."""
TRIES = 3
LOOKS = 28
"""How often a week the real process is measured."""
ANY_RISE = {"all": [{"price_move": {"pct_15m": "0.1", "pct_60m": None, "direction": "up"}}]}


def killed_at_any_instant(trial: Trial) -> None:
    """In process: lives in restless markets; killed at each word about an order, and at random anywhere else."""
    wanted, lives = trial.times(200), 0
    killed: list[str] = []
    while len(killed) < wanted:
        killed += _killed(trial, random.Random(9300 + lives), wanted - len(killed))
        lives += 1
    met = Counter(what.split(",")[0] for what in killed)
    trial.stimulus(f"killed {len(killed)} times in {lives} lives in process, one in three twice", killed)
    if wanted >= MANY:
        trial.stimulus("among them " + ", ".join(f"{met[seam]} {seam}" for seam in SEAMS), all(map(met.get, SEAMS)))


def _killed(trial: Trial, chance: random.Random, most: int) -> list[str]:
    """The instants at which a life was killed."""
    killed: list[str] = []

    def kill(_number: int, what: str) -> bool:
        due = len(killed) < most and (what.startswith(SEAMS) or chance.random() < SHARE)
        killed.extend([what] * due)
        return due

    life = Mortal(trial, restless(chance), chance.choice(HABITS), kill, chance)
    if chance.random() < 0.5:
        life.stage.at(60, partial(setattr, life.stage.wire, "lost_answers", 1))
    life.stage.run_for(RESTLESS_S)
    return killed


def killed_at_random(trial: Trial) -> None:
    """The real process, by SIGKILL, at random instants of a restless market."""
    folder, chance = trial.new_folder(), random.Random(93)
    kills, struck, agreed = trial.times(10), 0, 0
    config = plain_config(folder / "config", {"cooldown_minutes": 1}, risk=UNDAUNTED, execution=UNGOVERNED)
    market = [step for begins_s in range(0, 400 * RESTLESS_S, RESTLESS_S) for step in restless(chance, begins_s)]
    with venue(market) as sim, running(sim, folder, config) as daemon:
        rules, known = load_config(config), partial(_journalled, daemon)
        oracle = sim.do(lambda c: Oracle(c.world, rules, journalled=known, findings=trial.findings).watch())
        eventually(lambda: sim.do(lambda c: len(c.world.venue.orders())), 90, daemon)
        for _ in range(kills):
            daemon.wait_for_cycle(daemon.heartbeat().get("cycle_id", ""))
            time.sleep(chance.uniform(0.0, 0.5))
            daemon.kill()
            struck += not daemon.running()
            at_speed(sim, 1.0)
            last = daemon.heartbeat()["cycle_id"]
            daemon.start()
            daemon.wait_for_cycle(last)
            agreed += eventually(lambda: not _differences(sim, daemon, oracle), 60, daemon)
            at_speed(sim, 0.0)
        trial.require("I33 and it stops as always", daemon.terminate() == 0)
        sent = sim.do(lambda c: len(c.world.venue.orders()))
        trial.stimulus(f"{kills} times SIGKILL at random instants", struck == kills)
        trial.stimulus(f"{sent} orders meanwhile", sent)
        trial.require("I6/I40 after each of them the books are the venue's", agreed == kills)
        trial.findings.found("I2/I4/I10", sim.do(lambda _: oracle.audit(daemon.state_dir)))


def _journalled(daemon: Daemon) -> set[str]:
    return {row["client_order_id"] for row in journal(daemon, "intent.recorded")}


def _differences(sim: Simulator, daemon: Daemon, oracle: Oracle) -> list[str]:
    """Where state.json and the venue's ledger differ."""
    state = json.loads((daemon.state_dir / "state.json").read_text())
    ours = {o["client_order_id"]: o["state"] for o in state["orders"].values() if o["state"] not in audit.ENDED}
    theirs = sim.do(lambda c: {o.client_order_id for o in c.world.working() if o.order_id in oracle.own})
    held = sim.do(lambda c: {b.currency: b.total for b in c.world.venue.balances() if b.total and b.currency != "USD"})
    books = {name.split("-")[0]: audit.size_of(position) for name, position in state["positions"].items()}
    sure = {name for name, known in ours.items() if known != "UNKNOWN"}
    return [*(sure - theirs), *(theirs - ours.keys()), *([] if held == books else [f"{held} held, {books} booked"])]


def dies(trial: Trial) -> None:
    killed_at_any_instant(trial)
    killed_at_random(trial)


def stopped_at_bad_moments(trial: Trial) -> None:
    for moment, reached in MOMENTS.items():
        fastest = min(_accepted(trial, moment, reached))
        trial.require(f"I33 accepted {1000 * fastest:.0f} ms after the signal: {moment}", fastest <= ACCEPTED_S)
    _told_to_reload_before(trial)
    _told_twice(trial)


def _accepted(trial: Trial, moment: str, reached: Callable[[Simulator, Daemon], object]) -> Iterator[float]:
    """Real seconds from SIGTERM to the word that nothing new is begun. A slow machine may try again."""
    for _ in range(TRIES):
        folder = trial.new_folder()
        config = plain_config(folder / "config")
        with (
            venue([*RISE, *steady(62, 3600, "65500", 20)]) as sim,
            manager(folder / "notify") as heard,
            running(sim, folder, config, **heard.environ) as daemon,
        ):
            reached(sim, daemon)
            sent, began = posts(sim), time.monotonic()
            daemon.send(signal.SIGTERM)
            code = daemon.wait(60)
            said = heard.stopping()
            trial.stimulus(f"told to stop {moment}", said is not None)
            trial.require(f"I33/I2 its entry is gone and nothing new was sent: {moment}",
                          code == 0 and not working_entries(sim) and posts(sim) == sent)  # fmt: skip
            trial.require("I33 within half a minute", time.monotonic() - began <= GONE_S)
            trial.require("I33 the journal is closed", journal(daemon, "run.stopped")[-1]["still_working"] == [])
        took = (said or math.inf) - began
        yield took
        if took <= ACCEPTED_S:
            return


def _asleep(sim: Simulator, daemon: Daemon) -> None:
    """A minute of real time lies before the next cycle."""
    eventually(lambda: working_entries(sim), daemon=daemon)
    at_speed(sim, 1.0)
    seen = len(outcomes(daemon))
    eventually(lambda: len(outcomes(daemon)) > seen or _quiet(daemon), daemon=daemon)


def _quiet(daemon: Daemon) -> bool:
    """Whether no line was logged for a while."""
    before = daemon.log.stat().st_size
    time.sleep(0.5)
    return daemon.log.stat().st_size == before


def _posting(sim: Simulator, daemon: Daemon) -> None:
    """The venue has the order and never answers."""
    sim.fault(Rule(Hang(When.AFTER), "POST", "/orders"))
    eventually(lambda: working_entries(sim), daemon=daemon)
    at_speed(sim, 1.0)


def _cancelling(sim: Simulator, daemon: Daemon) -> None:
    """The kill switch has the entry taken back, and the venue never answers to that."""
    eventually(lambda: working_entries(sim), daemon=daemon)
    at_speed(sim, 1.0)
    sim.fault(Rule(Hang(When.BEFORE), "POST", "/orders/batch_cancel"))
    (daemon.data_dir / "KILL_SWITCH").write_text("looks wrong")
    eventually(lambda: _cancels(sim), daemon=daemon)


def _cancels(sim: Simulator) -> int:
    return sim.do(lambda c: len(c.world.record.entries("fault")))


MOMENTS: Mapping[str, Callable[[Simulator, Daemon], object]] = {
    "in its sleep": _asleep, "while an order is on its way": _posting, "while a cancel is on its way": _cancelling,
}  # fmt: skip


def _told_to_reload_before(trial: Trial) -> None:
    folder = trial.new_folder()
    with venue(QUOTING) as sim, running(sim, folder, plain_config(folder / "config")) as daemon:
        eventually(lambda: working_entries(sim), daemon=daemon)
        at_speed(sim, 1.0)
        sent, began = posts(sim), time.monotonic()
        for number in (signal.SIGHUP, signal.SIGINT):
            daemon.send(number)
        code = daemon.wait(40)
        trial.stimulus("told to stop with SIGHUP before", code is not None)
        trial.require("I33 it leaves with 0, quickly", code == 0 and time.monotonic() - began <= GONE_S)
        trial.require("I33 its entry is gone and nothing new was sent", not working_entries(sim) and posts(sim) == sent)


def _told_twice(trial: Trial) -> None:
    folder = trial.new_folder()
    with venue(QUOTING) as sim, running(sim, folder, plain_config(folder / "config")) as daemon:
        eventually(lambda: working_entries(sim), daemon=daemon)
        at_speed(sim, 1.0)
        sim.conditions(cancels="lost")
        daemon.send(signal.SIGTERM)
        eventually(lambda: _cancels_asked(sim), daemon=daemon)
        time.sleep(1.0)
        trial.stimulus("told twice, with cancels that have no effect", daemon.running())
        again = time.monotonic()
        daemon.send(signal.SIGINT)
        code = daemon.wait(20)
        took = time.monotonic() - again
        left = journal(daemon, "run.stopped")[-1]["still_working"]
        trial.require("I33 the second word ends the wait, with 7 and a list", code == 7 and left)
        trial.require("I33 long before the first one would have", took < PROOF_S)
        saved = json.loads((daemon.state_dir / "state.json").read_text())["orders"]
        trial.require("I33 and the state is saved with them", set(left) <= saved.keys())


def _cancels_asked(sim: Simulator) -> int:
    return sim.do(lambda c: len(c.world.record.requests("POST", "batch_cancel")))


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
    _a_week_in_process(trial)
    _a_week_over_the_wire(trial)


def _a_week_in_process(trial: Trial) -> None:
    config = config_of(loop={"interval_seconds": 1800}, data={"max_quote_staleness_seconds": 60})
    stage = trial.stage(steady(10, WEEK_S, "65000", 1800), config)
    counts = []
    for _ in range(7):
        stage.run_for(86_400)
        gc.collect()
        counts.append(sum(str(type(item).__module__).startswith("bot.") for item in gc.get_objects()))
        stage.cycles.clear()
    trial.stimulus("7 days of trading time in process", stage.clock.now() >= START + timedelta(days=7))
    growth = (counts[-1] - counts[1]) / 5
    trial.require("I35 objects of ours do not grow from day to day", growth < 0.02 * counts[1] + 50)


def _a_week_over_the_wire(trial: Trial) -> None:
    """The real process, looked at from outside each quarter of a day; the first two days fill its caches."""
    folder = trial.new_folder()
    interval = {"interval_seconds": max(60, round(1200 / trial.effort))}
    config = plain_config(folder / "config", {"cooldown_minutes": 1, "when": ANY_RISE}, loop=interval, risk=UNDAUNTED)
    market = ScriptMarket(default_listings(2), START, [*_wandering(random.Random(100))])
    looks: list[tuple[float, int, int]] = []
    options = SimulatorConfig(market=market, step=timedelta(seconds=60))
    with Simulator(options) as sim, running(sim, folder, config) as daemon:
        while len(looks) < LOOKS:
            due = START + timedelta(days=7) * (len(looks) + 1) / LOOKS
            eventually(lambda due=due: sim.now() >= due, 300 * max(1.0, trial.effort), daemon)  # type: ignore[misc]
            looks.append(_size_of(daemon.pid))
        cycles, sent = len(outcomes(daemon)), posts(sim)
        trial.require("I33 it stops as always", daemon.terminate() == 0)
    warm, later = looks[: LOOKS * 2 // 7], looks[LOOKS * 2 // 7 :]
    slope, highest = _per_day([rss for rss, _, _ in later]), max(rss for rss, _, _ in looks)
    written = sum(path.stat().st_size for path in daemon.state_dir.rglob("*") if path.is_file()) / 1e6
    trial.stimulus(f"7 days, {cycles} cycles and {sent} orders over the wire", cycles >= 500 and sent > 0)
    trial.require(f"I35 resident memory at most {highest:.0f} MB, growing by {slope:+.2f} MB a day after two days",
                  highest < 256 and slope < 1)  # fmt: skip
    fds, threads = (max(look[kind] for look in later) for kind in (1, 2))
    before = [max(look[kind] for look in warm) for kind in (1, 2)]
    trial.require(f"I35 {fds} handles and {threads} threads, no more than before",
                  fds <= min(64, before[0] + 2) and threads <= min(8, before[1] + 1))  # fmt: skip
    trial.require(f"I35 {written:.1f} MB on disk", written < 50 * 7 / 30)


def _wandering(chance: random.Random) -> Iterator[Step]:
    """A week in which the price goes a little up or down every ten minutes."""
    price = 65_000
    for at in range(10, WEEK_S, 600):
        price += chance.choice([-150, 0, 150])
        yield from steady(at, at + 40, str(price), 20)


def _per_day(values: Sequence[float]) -> float:
    """Slope of a straight line through values taken LOOKS times a week (least squares)."""
    days = [7 * number / LOOKS for number in range(len(values))]
    middle, mean = statistics.fmean(days), statistics.fmean(values)
    rise = sum((day - middle) * (value - mean) for day, value in zip(days, values, strict=True))
    return rise / sum((day - middle) ** 2 for day in days)


def _size_of(pid: int) -> tuple[float, int, int]:
    """Resident MB, open handles, threads; of several looks the least, since a look at the switch has a short thread."""
    looks = []
    for _ in range(5):
        looks.append(_seen(pid))
        time.sleep(0.02)
    rss, handles, threads = zip(*looks, strict=True)
    return min(rss), min(handles), min(threads)


def _seen(pid: int) -> tuple[float, int, int]:
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
    Fault("F093", "the process dies hundreds of times: at every word about an order, at random instants, by SIGKILL",
          "after the restart its books are the venue's within one cycle; nothing twice, nothing lost",
          "I6 I2 I10 I24", dies, quick=True, longest_s=600),
    Fault("F094", "told to stop in its sleep, during a POST, during a cancel, twice, with SIGHUP before SIGINT",
          "stops within a second, takes its entries back and proves it, or leaves with 7 and a list", "I33",
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
    Fault("F100", "seven days of trading time, in process and over the wire as a process, with orders",
          "memory grows by less than a megabyte a day, handles and threads not at all", "I35", a_week, longest_s=600),
    Fault("F101", "a crash at every start", "no order from any of them; the unit gives up and tells", "I19 I22 I29",
          crashing_for_ever),
    Fault("F102", "an alert receiver that hangs or answers 500", "never in the way of trading, and nothing is lost",
          "I29 I27", receiver_that_is_ill),
)  # fmt: skip
