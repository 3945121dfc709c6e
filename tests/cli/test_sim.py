"""The exchange alone: what it prints is all a bot needs to trade on it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bot.cli.sim import environment
from bot.cli.verb import Exit
from tests.cli.desk import Desk
from tests.configs import LOCAL_VENUE, write_config

PATIENCE_S = 60.0
LAST_LINE = "Ctrl-C ends it"


@contextmanager
def exchange(*arguments: str) -> Iterator[tuple[dict[str, str], subprocess.Popen[str]]]:
    """A simulated exchange in a process of its own, and the environment it prints for copying."""
    command = [sys.executable, "-m", "bot", "sim", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield copied(process), process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Ask first, so that it can clear its temporary files away."""
    process.terminate()
    try:
        process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


def copied(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    found = {}
    for line in process.stdout:
        if line.startswith("export "):
            name, value = shlex.split(line)[1].split("=", 1)
            found[name] = value
        if LAST_LINE in line:
            break
    return found


def test_a_bot_runs_with_nothing_but_what_the_exchange_prints(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config", LOCAL_VENUE)
    with exchange("--products", "3", "--seed", "4") as (environ, process):
        assert Path(environ["COINBASE_CA_FILE"]).is_file()
        told = {"PATH": os.environ["PATH"], **environ, "BOT_CONFIG_DIR": str(config), "BOT_HTTP_PORT": "0"}
        bot = [sys.executable, "-m", "bot", "run", "--once", "--data-dir", str(tmp_path / "data")]
        done = subprocess.run(bot, env=told, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == Exit.FINE, done.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == Exit.FINE
    heartbeat = json.loads((tmp_path / "data" / "staging-live" / "heartbeat.json").read_text())
    assert heartbeat["outcome"] == "NO_TRADE"
    assert heartbeat["cycle_id"].startswith("20261102T1400")
    assert not Path(environ["COINBASE_CA_FILE"]).exists()


def test_a_wanted_port_is_served_and_a_taken_one_refused(tmp_path: Path) -> None:
    port = free_port()
    with exchange("--products", "1", "--port", str(port)) as (environ, _):
        assert environ["COINBASE_REST_URL"] == f"https://127.0.0.1:{port}"
        assert environ["COINBASE_WS_URL"] == f"wss://127.0.0.1:{port + 1}"
        assert environ["COINBASE_WS_USER_URL"] == f"wss://127.0.0.1:{port + 2}"
        desk = Desk({}, tmp_path)
        assert desk.run("sim", "--products", "1", "--port", str(port)) == Exit.USAGE
        assert f"{port} to {port + 2} must be free on 127.0.0.1" in desk.err


def free_port() -> int:
    """The first of three free ports in a row."""
    for port in range(21_000, 29_000, 7):
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            try:
                for number, probe in enumerate((one, two, three)):
                    probe.bind(("127.0.0.1", port + number))
            except OSError:
                continue
            return port
    raise AssertionError("no three ports in a row are free")


def test_a_clock_that_runs_by_itself_is_not_given_to_the_bot_to_step() -> None:
    told = {
        "BOT_TEST_CLOCK_URL": "https://127.0.0.1:1/clock",
        "COINBASE_API_SECRET": "one\ntwo",
        "COINBASE_CA_FILE": "/tmp-of-it/ca-7f/ca.pem",
    }
    assert "BOT_TEST_CLOCK_URL" not in environment(told, free_running=True)
    assert environment(told, free_running=False) == {
        "ENV": "staging", "BOT_MODE": "live", **told, "COINBASE_API_SECRET": "one\\ntwo",
        "BOT_DATA_DIR": "/tmp-of-it/bulwark-at-ca-7f",
    }  # fmt: skip


def test_a_free_running_exchange_begins_now(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config", LOCAL_VENUE)
    with exchange("--products", "1", "--free-running") as (environ, _):
        told = {"PATH": os.environ["PATH"], **environ, "BOT_CONFIG_DIR": str(config), "BOT_HTTP_PORT": "0"}
        bot = [sys.executable, "-m", "bot", "run", "--once", "--data-dir", str(tmp_path / "data")]
        done = subprocess.run(bot, env=told, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == Exit.FINE, done.stderr
    heartbeat = json.loads((tmp_path / "data" / "staging-live" / "heartbeat.json").read_text())
    assert heartbeat["reason"] != "data_unavailable"
    assert not heartbeat["cycle_id"].startswith("20261102T")


def test_a_folder_without_candles_is_refused(tmp_path: Path) -> None:
    desk = Desk({}, tmp_path)
    assert desk.run("sim", "--replay", str(tmp_path)) == Exit.USAGE
    assert "holds no PRODUCT_1m.csv" in desk.err


def test_a_port_beyond_the_last_is_refused(tmp_path: Path) -> None:
    assert Desk({}, tmp_path).run("sim", "--port", "65534") == Exit.USAGE
