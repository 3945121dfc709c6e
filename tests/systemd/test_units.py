"""The unit files keep the walls up, the money safe over a crash, and the secrets out of the environment."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bot.cli import guard, run
from bot.cli.verb import Exit, Verb
from bot.settings.environment import read_settings
from bot.settings.load import load_config
from bot.settings.secrets import CREDENTIALS
from tests.systemd.units import ALERT, DAEMON, FOLDER, GUARD, STAGING, UNITS, arguments, environment, service, unit

WALLS = {
    "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "PrivateUsers": "yes",
    "PrivateDevices": "yes", "PrivateMounts": "yes", "PrivateTmp": "yes", "ProtectSystem": "strict",
    "ProtectHome": "yes", "ProtectProc": "invisible", "ProcSubset": "pid", "ProtectClock": "yes",
    "ProtectControlGroups": "yes", "ProtectHostname": "yes", "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "DevicePolicy": "closed",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "RestrictNamespaces": "yes", "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes", "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes", "RemoveIPC": "yes",
    "KeyringMode": "private", "SystemCallArchitectures": "native", "SystemCallErrorNumber": "EPERM", "UMask": "0077",
    "LimitCORE": "0", "StateDirectoryMode": "0700", "MemoryMax": "512M", "MemorySwapMax": "0", "TasksMax": "64",
}  # fmt: skip
EXPOSURE_MAX = 12
"""Tenths, as `systemd-analyze security --threshold` counts them."""
ANALYZE = shutil.which("systemd-analyze")
CONFIG = load_config(FOLDER.parent / "config").policy


@pytest.mark.parametrize("name", UNITS)
def test_every_wall_stands_around_every_process(name: str) -> None:
    found = service(name)
    assert {key: found[key] for key in WALLS} == {key: [value] for key, value in WALLS.items()}
    assert found["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]


@pytest.mark.parametrize("name", UNITS)
def test_nothing_runs_as_root_but_the_one_line_that_starts_the_guard(name: str) -> None:
    found = service(name)
    assert found["User"] == found["Group"] == ["bulwark"]
    commands = {key: value for key, values in found.items() if key.startswith("Exec") for value in values}
    privileged = [key for key, value in commands.items() if value.startswith(("+", "!"))]
    assert privileged == (["ExecStopPost"] if name == DAEMON else [])


@pytest.mark.parametrize("name", UNITS)
def test_systemd_itself_finds_the_units_sound_and_barely_exposed(name: str) -> None:
    """Where systemd is not installed its verdict cannot be had, and the directives above speak for themselves."""
    path = FOLDER / name.replace("@.", "@bulwark.service.")
    judged = [["verify", str(path)]]
    if "@" not in name:
        judged.append(["security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", str(path)])
    for command in judged if ANALYZE is not None else ():
        done = subprocess.run([str(ANALYZE), *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{done.stdout[-500:]}\n{done.stderr[-2000:]}"
        if command[0] == "verify":
            assert done.stderr.strip() == ""
    assert service(name)["ExecStart"]


def test_a_hang_is_ended_by_a_watchdog_that_waits_longer_than_a_healthy_loop_ever_does() -> None:
    """Between two feeds lies at most one wait for the next cycle, or one stage whose requests all take their limit."""
    found = service(DAEMON)
    assert (found["Type"], found["NotifyAccess"]) == (["notify"], ["main"])
    interval, jitter = float(CONFIG.loop.interval_seconds), float(CONFIG.loop.jitter_pct.fraction)
    wait = interval * (1 + 2 * jitter)
    reads = 20  # of one observation: five lists of orders, wallets, fills and metadata, most of them twice
    stage = reads * float(CONFIG.transport.total_deadline_seconds)
    assert int(found["WatchdogSec"][0]) > wait + stage


def test_a_stop_is_given_the_time_to_cancel_and_prove_it() -> None:
    assert int(service(DAEMON)["TimeoutStopSec"][0]) > 30
    assert service(DAEMON)["KillMode"] == ["mixed"]


def test_a_start_waits_for_the_venue_as_long_as_it_takes() -> None:
    assert service(DAEMON)["TimeoutStartSec"] == ["infinity"]


def test_only_what_a_restart_may_mend_is_restarted_and_not_for_ever() -> None:
    found = service(DAEMON)
    assert found["Restart"] == ["on-failure"]
    hopeless = {Exit.USAGE, Exit.REFUSED, Exit.LOCKED, Exit.EXCHANGE_REFUSES}
    assert {int(code) for code in found["RestartPreventExitStatus"][0].split()} == hopeless
    limits, pause = unit(DAEMON)["Unit"], int(found["RestartSec"][0])
    assert int(limits["StartLimitIntervalSec"][0]) > int(limits["StartLimitBurst"][0]) * pause
    assert limits["OnFailure"] == ["bulwark-alert@%n.service"]


@pytest.mark.parametrize("name", [DAEMON, GUARD, ALERT])
def test_every_secret_comes_as_a_credential_and_none_as_a_variable(name: str) -> None:
    loaded = dict(value.split(":", 1) for value in service(name)["LoadCredential"])
    assert loaded == {credential: f"/etc/bulwark/credentials/{credential}" for credential in CREDENTIALS.values()}
    assert not set(environment(name)) & set(CREDENTIALS)


def test_the_rehearsal_holds_no_secret_and_rehearses_what_goes_live() -> None:
    """`bot certify` looks for it in the data directory of production, under the same configuration."""
    assert "LoadCredential" not in service(STAGING)
    ours, theirs = environment(STAGING), environment(DAEMON)
    assert (ours["ENV"], ours["BOT_MODE"]) == ("staging", "paper")
    for variable in ("BOT_CONFIG_DIR", "BOT_DATA_DIR", "PATH"):
        assert ours[variable] == theirs[variable]
    assert ours["BOT_HTTP_PORT"] != theirs.get("BOT_HTTP_PORT", "9109")
    assert read_settings(ours).state_dir != read_settings(theirs).state_dir
    assert service(STAGING)["EnvironmentFile"] != service(DAEMON)["EnvironmentFile"]


@pytest.mark.parametrize("name", [GUARD, ALERT])
def test_the_guard_acts_for_the_very_bot_that_crashed(name: str) -> None:
    shared = ("Environment", "EnvironmentFile", "User", "StateDirectory", "WorkingDirectory")
    assert {key: service(name)[key] for key in shared} == {key: service(DAEMON)[key] for key in shared}


@pytest.mark.parametrize("name", UNITS)
def test_the_units_set_variables_the_bot_accepts(name: str) -> None:
    settings = read_settings(environment(name))
    assert settings.environment.value == environment(name)["ENV"]
    known = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "OPENBLAS_NUM_THREADS"}
    assert set(environment(name)) - known <= {"ENV", "BOT_MODE", "BOT_CONFIG_DIR", "BOT_DATA_DIR", "BOT_HTTP_PORT"}


def test_the_daemon_starts_out_as_a_shadow_that_sends_nothing() -> None:
    """An operator makes it live by hand, in /etc/bulwark/bulwark.env, once it is certified."""
    assert environment(DAEMON)["BOT_MODE"] == "dry_run"


@pytest.mark.parametrize(
    ("name", "verb"), [(DAEMON, run.VERB), (STAGING, run.VERB), (GUARD, guard.VERB), (ALERT, guard.VERB)]
)
def test_every_command_line_is_one_the_program_understands(name: str, verb: Verb) -> None:
    first, *rest = arguments(name)
    assert first == verb.name
    parser = argparse.ArgumentParser(exit_on_error=False)
    verb.arguments(parser)
    parser.parse_args(rest)


def test_the_alert_unit_says_which_unit_failed_and_how() -> None:
    [text] = arguments(ALERT)[2:]
    assert text == (
        "%i has failed and is not restarted: result ${MONITOR_SERVICE_RESULT}, exit status ${MONITOR_EXIT_STATUS}"
    )


@pytest.mark.parametrize(("result", "called"), [
    ("success", ""), ("watchdog", "start --no-block bulwark-guard.service\n"),
    ("signal", "start --no-block bulwark-guard.service\n"), ("exit-code", "start --no-block bulwark-guard.service\n"),
    ("oom-kill", "start --no-block bulwark-guard.service\n"), ("timeout", "start --no-block bulwark-guard.service\n"),
])  # fmt: skip
def test_the_guard_is_called_after_every_end_but_a_clean_one(result: str, called: str, tmp_path: Path) -> None:
    heard, fake = tmp_path / "heard", tmp_path / "systemctl"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {heard}\n')
    fake.chmod(0o755)
    [command] = service(DAEMON)["ExecStopPost"]
    found = re.fullmatch(r"\+/bin/sh -c '(.*)'", command)
    assert found is not None
    script = found[1].replace("$$", "$")
    path = f"{tmp_path}:{os.environ['PATH']}"
    subprocess.run(["/bin/sh", "-c", script], env={"SERVICE_RESULT": result, "PATH": path}, check=True, timeout=10)
    assert (heard.read_text() if heard.exists() else "") == called


def test_a_restart_waits_for_the_guard_which_holds_the_lock() -> None:
    """Else the restarted daemon would find the lock taken, exit 4, and stay down."""
    assert GUARD in unit(DAEMON)["Unit"]["After"][0].split()
    assert service(GUARD)["Type"] == ["oneshot"]


def test_no_part_of_the_bot_starts_another_program() -> None:
    """A child would inherit what the daemon holds; the limits on tasks and system calls count on there being none."""
    sources = {path: path.read_text() for path in (FOLDER.parent / "bot").rglob("*.py")}
    assert len(sources) > 100
    starting = re.compile(r"\b(subprocess|multiprocessing|os\.(fork|system|popen|spawn\w*|exec\w*|posix_spawn\w*))\b")
    assert [str(path) for path, text in sources.items() if starting.search(text)] == []
