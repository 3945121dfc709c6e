"""Class config and operator: files edited at a bad moment or made to hurt, and the kill switch in every form."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import stat
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from bot.adapters.killpath import BoundedLook
from bot.domain.product import Side
from bot.errors import ConfigError
from bot.ports import KillProbe, KillState
from bot.settings.load import load_config
from tests.configs import write_config
from tests.faults.trial import Fault, Trial
from tests.faults.venues import QUOTING
from tests.loop.markets import RISE
from tests.loop.stage import steady
from tests.process.bots import Start, alerted, environ, eventually, outcomes, plain_config, running, venue
from tests.settings.test_sanity import CONTRADICTIONS, TIERS
from tests.settings.test_strict_yaml import bomb
from tests.settings.texts import refused as said_of

NOTICED_S = 1.0
CLEARED_S = 10.0
NOBODY = 65534


def edited_while_running(trial: Trial) -> None:
    folder = trial.new_folder()
    config = plain_config(folder / "config")
    policy = config / "policy.yaml"
    good = policy.read_text()
    with venue(QUOTING) as sim, running(sim, folder, config) as daemon:
        first = daemon.wait_for_cycle()["config_hash"]
        edits = {
            "invalid": "risk: [", "half-written": good[: len(good) // 2], "deleted": None,
            "looser": good.replace("max_open_positions: 5", "max_open_positions: 9"),
        }  # fmt: skip
        for name, text in edits.items():
            policy.unlink(missing_ok=True)
            if text is not None:
                policy.write_text(text)
            before = len(outcomes(daemon))
            eventually(lambda seen=before: len(outcomes(daemon)) >= seen + 2, daemon=daemon)  # type: ignore[misc]
            trial.stimulus(f"policy.yaml {name} under a running bot", not policy.exists() or policy.read_text() != good)
            trial.require("I31 nobody reads it unasked", daemon.heartbeat()["config_hash"] == first)
            said = len(alerted(sim, "config.looser")) + len(alerted(sim, "config.invalid"))
            daemon.send(signal.SIGHUP)
            told = partial(_heard, sim, said)
            if name in ("looser", "invalid"):
                eventually(told, daemon=daemon)
                trial.require(f"I31 a reload of it is refused aloud ({name})", told())
            before = len(outcomes(daemon))
            eventually(lambda seen=before: len(outcomes(daemon)) >= seen + 2, daemon=daemon)  # type: ignore[misc]
            trial.require(f"I31 and changes nothing ({name})", daemon.heartbeat()["config_hash"] == first)
        policy.write_text(good)
        trial.require("I33 it leaves as always", daemon.terminate() == 0)


def _heard(sim: object, before: int) -> bool:
    found = alerted(sim, "config.looser") + alerted(sim, "config.invalid")  # type: ignore[arg-type]
    return len(found) > before


def files_made_to_hurt(trial: Trial) -> None:
    hostile = {
        "a bomb of aliases": bomb(), "an anchor": "a: &x 1\n", "a tag": "a: !!python/object/apply:os.system [id]\n",
        "ten megabytes": "#" * 10_000_000, "a key twice": "risk: {}\nrisk: {max_total_pct: 50}\n",
        "a hundred thousand levels": "[" * 100_000,
    }  # fmt: skip
    for name, text in hostile.items():
        config = write_config(trial.new_folder())
        (config / "policy.yaml").write_text(text)
        began, refused = time.monotonic(), ""
        tracemalloc.start()
        try:
            load_config(config)
        except ConfigError as error:
            refused = str(error)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        trial.stimulus(f"a policy with {name}", (config / "policy.yaml").stat().st_size == len(text))
        trial.require(f"I31 refused, and the line named: {name}", "policy.yaml" in refused)
        trial.require(f"I35 in little memory: {name}", peak < 64_000_000 and time.monotonic() - began < 10)


def limits_that_contradict(trial: Trial) -> None:
    for number, (policy, universe, said) in enumerate(CONTRADICTIONS):
        refused = said_of(f"{policy}\n".encode(), f"{TIERS}{universe}\n".encode())
        if number == 0:
            trial.stimulus(f"{len(CONTRADICTIONS)} contradictions, each in files of its own", refused)
        trial.require(f"I31 refused with its numbers: {said[:60]}", any(said in text for text in refused))
    folder = trial.new_folder()
    start = plain_config(folder / "config", risk={"max_total_pct": 3, "max_per_asset_pct": 5})
    with venue(QUOTING) as sim:
        told = {"ENV": "staging", "BOT_MODE": "live", "BOT_DATA_DIR": str(folder / "data")}
        code, text = Start(environ(sim, BOT_CONFIG_DIR=str(start), **told)).ended(60)
        trial.require(
            "I31 the program ends with 2 and the numbers", code == 2 and "is more than risk.max_total_pct 3 %" in text
        )
        trial.require("I31 and never spoke to the venue", not sim.do(lambda c: c.world.record.requests("POST")))


def killed_at_each_point(trial: Trial) -> None:
    looks = _looks(trial)
    for number in range(looks):
        stage = trial.stage(RISE)
        stage.idle(62)
        stage.disk.kill_after = stage.disk.looks + number
        sent: list[str] = []
        stage.wire.before_place = lambda order, s=stage, found=sent: (  # type: ignore[misc]
            found.append(order.client_order_id) if s.disk.kill.active else None
        )
        stage.cycle()
        thrown = stage.clock.now()
        stage.oracle.killed()
        trial.stimulus(
            f"the switch goes on at look {number + 1} of {looks} of a cycle that enters", stage.disk.kill.active
        )
        stage.run_until(lambda s=stage: not s.working(), 20)  # type: ignore[misc]
        took = (stage.clock.now() - thrown).total_seconds()
        stage.run_for(120)
        trial.require("I3 nothing begins after the look that saw it", not sent)
        trial.require("I3 entries gone within 10 s", took <= CLEARED_S)
        trial.require("I22 halted from then on", stage.last.reason == "kill_switch")
        trial.require("I29 a CRITICAL alert", stage.told("halt.kill_switch") == "CRITICAL")
    _killed_after_the_decision(trial)
    stage = trial.stage([*RISE, *QUOTING[-100:]])
    stage.at(75, stage.throw_the_switch)
    stage.run_until(lambda: stage.cycles and stage.last.reason == "kill_switch", 120)
    asleep = stage.clock.now() - stage.cycles[-1].started_at
    trial.require("I3 a sleeping loop wakes at once", asleep <= timedelta(seconds=NOTICED_S + CLEARED_S))
    _switched_off(trial)


def _killed_after_the_decision(trial: Trial) -> None:
    """It goes on while the approval is written down, whether the bot looks at that moment or not."""
    stage = trial.stage(RISE)
    stage.idle(62)

    def strike(line: bytes) -> None:
        if b'"decision.made"' in line and not stage.disk.kill.active:
            stage.disk.kill = KillState(KillProbe.PRESENT, "looks wrong")

    stage.disk.before_append = strike
    with stage.oracle.closed("the switch is on", "I3/I22"):
        stage.cycle()
        decided = stage.events("decision.made")[-1]["outcome"]
        trial.stimulus("the switch goes on between an approval and its request", decided == "TRADED")
        trial.require("I3 what was approved is not sent", not stage.wire.placed)
        stage.run_for(10)


def _switched_off(trial: Trial) -> None:
    """Gone by itself: nothing is sent in the cycle that first finds the books clean, and the operator hears of it."""
    stage = trial.stage([*RISE, *steady(62, 900, "65500", 10)])
    stage.throw_the_switch()
    stage.run_for(70)
    stage.wire.wallets["USD"] = Decimal("12.50")
    stage.disk.kill = KillState(KillProbe.ABSENT)
    trial.stimulus("the switch disappears while the books do not agree", stage.last.reason == "kill_switch")
    with stage.oracle.closed("no clean reconcile since the switch", "I22/I3"):
        for _ in range(3):
            trial.require("I3 it stays halted until the books agree", stage.cycle().reason == "kill_switch")
        stage.wire.wallets.clear()
        trial.require("I22 the cycle of the clean reconcile sends nothing", stage.cycle().outcome == "HALTED")
    stage.run_until(lambda: stage.working(Side.BUY), 200)
    told = [a["state"] for a in stage.events("alert.raised") if a["fingerprint"] == "halt.kill_switch"]
    trial.require("I29 its end is told", "resolved" in told)


def _looks(trial: Trial) -> int:
    """How often a cycle that enters looks at the switch."""
    stage = trial.stage(RISE)
    stage.idle(62)
    before = stage.disk.looks
    stage.cycle()
    return stage.disk.looks - before


def _directory(path: Path) -> None:
    path.mkdir()


def _dangling(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    path.write_text("not mine")
    path.chmod(0)


def _device(path: Path) -> None:
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))  # the one device that anybody may make


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _of_another(path: Path) -> None:
    path.write_text("theirs")
    path.chmod(0o600)
    os.chown(path, NOBODY, NOBODY)


FORMS: dict[str, Callable[[Path], None]] = {
    "a directory": _directory, "a dangling link": _dangling, "a fifo": _fifo, "an empty file": _empty,
    "a file nobody may read": _foreign, "a device": _device, "a socket": _socket,
    **({"a file of another user": _of_another} if os.geteuid() == 0 else {}),  # nobody else can give a file away
}  # fmt: skip


def a_mount_that_died(trial: Trial) -> None:
    """From one moment on no look at the kill path returns: the thread that looks is stuck, the bot is not."""
    with trial.wired([*RISE, *steady(62, 900, "65500", 10)]) as bot:
        bot.run_until(bot.working, 120)
        back, stuck = threading.Event(), threading.Event()

        def hanging() -> KillState:
            stuck.set()
            back.wait()
            return KillState(KillProbe.ABSENT)

        storage: Any = bot.app.loop._world.storage
        alive, storage._kill = storage._kill, BoundedLook(hanging)
        bot.sim.do(bot.oracle_killed)
        since, thrown = bot.mark(), bot.sim.now()
        bot.run_until(lambda: not bot.working(), CLEARED_S + 5)
        took = (bot.sim.now() - thrown).total_seconds()
        bot.run_for(5)
        looks = [thread.name for thread in threading.enumerate()].count("kill-look")
        trial.stimulus("the file system under the kill path stops to answer", stuck.is_set() and not back.is_set())
        trial.require("I3 no answer halts", (bot.last.outcome, bot.last.reason) == ("HALTED", "kill_switch"))
        trial.require(
            "I3 our entry is gone within 10 s, nothing new was sent", took <= CLEARED_S and not bot.posts(since)
        )
        trial.require("I27 one thread waits for it, not one a look", looks == 1)
        back.set()
        storage._kill = alive
        bot.sim.do(lambda _: bot.oracle.released())
        bot.heals()


def _may_be_read(folder: Path) -> bool:
    try:
        return bool(list(folder.iterdir()))
    except PermissionError:
        return False


def a_folder_that_may_not_be_read(trial: Trial) -> None:
    """Nobody can say what is in it; `os.path.exists` would call the file absent."""
    with _no_ones_master(), trial.wired([*RISE, *steady(62, 900, "65500", 10)]) as bot:
        bot.run_until(bot.working, 120)
        bot.data_dir.chmod(0o300)
        try:
            bot.sim.do(bot.oracle_killed)
            since, thrown = bot.mark(), bot.sim.now()
            bot.run_until(lambda: not bot.working(), CLEARED_S + 5)
            took = (bot.sim.now() - thrown).total_seconds()
            bot.run_for(5)
            trial.stimulus("the folder of the kill path may not be read", not _may_be_read(bot.data_dir))
            trial.require("I3 not to know halts", (bot.last.outcome, bot.last.reason) == ("HALTED", "kill_switch"))
            trial.require("I3 our entry is gone within 10 s, nothing new was sent",
                          took <= CLEARED_S and not bot.posts(since))  # fmt: skip
        finally:
            bot.data_dir.chmod(0o700)
        bot.sim.do(lambda _: bot.oracle.released())
        bot.heals()


@contextmanager
def _no_ones_master() -> Iterator[None]:
    """Root may read any folder; without two of its powers it is turned away like anybody (capabilities(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, powers = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, powers) == 0
    before = powers[0]
    powers[0] = before & ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, powers) == 0
    try:
        yield
    finally:
        powers[0] = before
        assert libc.capset(header, powers) == 0


def killed_in_any_form(trial: Trial) -> None:
    a_mount_that_died(trial)
    a_folder_that_may_not_be_read(trial)
    for name, make in FORMS.items():
        with trial.wired(QUOTING) as bot:
            make(bot.data_dir / "KILL_SWITCH")
            bot.run_for(70)
            trial.stimulus(f"KILL_SWITCH is {name}", os.path.lexists(bot.data_dir / "KILL_SWITCH"))
            trial.require(f"I3 {name} halts", (bot.last.outcome, bot.last.reason) == ("HALTED", "kill_switch"))
            trial.require(f"I3 and nothing was sent: {name}", bot.posts() == [])
    folder = trial.new_folder()
    config = plain_config(folder / "config")
    with venue(QUOTING) as sim:
        for env, mode, why in (("production", "live", "launch.json"), ("staging", "live", "never trades live")):
            known = (
                ()
                if env == "production"
                else tuple(n for n in sim.env() if n.startswith(("COINBASE_", "BOT_", "ALERT_")))
            )
            kept = {n: v for n, v in sim.env().items() if n in ("COINBASE_API_KEY", "COINBASE_API_SECRET")}
            told = {"ENV": env, "BOT_MODE": mode, "BOT_DATA_DIR": str(folder / env), "BOT_CONFIG_DIR": str(config)}
            clean = {**environ(sim, *known), **kept, **told}
            code, text = Start(clean).ended(60)
            trial.stimulus(f"{env} {mode} with a key that does not belong there", text)
            trial.require(f"I32 refused with its reason: {env}", code == 3 and why in text)
        trial.require("I32 nothing was sent", not sim.do(lambda c: c.world.record.requests("POST", "/orders")))


ROWS: Sequence[Fault] = (
    Fault("F107", "policy.yaml invalid, half-written, deleted and looser under a running bot, then SIGHUP",
          "the running configuration stands; a reload is all or nothing and never loosens", "I31 I33",
          edited_while_running),
    Fault("F108", "a YAML bomb, anchors, tags, ten megabytes, a key twice, endless depth",
          "refused quickly, in little memory, with the line", "I31 I35", files_made_to_hurt, quick=True),
    Fault("F110", "limits that contradict each other", "refused at the start, with the numbers", "I31",
          limits_that_contradict),
    Fault("F111", "the kill file appears at every point of a cycle and in the sleep between two, and disappears",
          "no request begins once it was seen, entries go within 10 s; on again after a clean reconcile, which is told",
          "I3 I22 I29", killed_at_each_point,
          quick=True),
    Fault("F112", "a kill path that is a directory, a link to nowhere, a fifo, a device, a socket, empty, unreadable, "
          "another user's, in a folder nobody may read, on a mount that died; keys in the wrong environment",
          "anything but a clean absence halts; a start that does not fit is refused", "I3 I32 I27",
          killed_in_any_form),
)  # fmt: skip
