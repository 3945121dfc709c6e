"""Every way a start can be refused: the exit code, and the words a person reads."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from simulator.faults import Gate
from simulator.keys import Scope
from simulator.server import Simulator
from tests.process.bots import Start, environ, eventually, plain_config, posts, running, venue

WITHIN_S = 2.0
INTERPRETER_S = 2.0
"""What a busy machine may need to load the program before it can look at the lock."""
TRIES = 3
"""A machine that was busy with something else for a moment is asked again, and its best answer counts."""
SECRET = "-----BEGIN EC PRIVATE KEY-----\\nbm90IGEga2V5\\n-----END EC PRIVATE KEY-----\\n"


@pytest.fixture(scope="module")
def quiet() -> Iterator[Simulator]:
    """A venue on which nothing happens."""
    with venue(()) as sim:
        yield sim


@pytest.fixture(scope="module")
def starts(quiet: Simulator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Start]:
    """All refused starts, side by side: each with data of its own."""
    folder = tmp_path_factory.mktemp("starts")
    good = plain_config(folder / "good")
    bad = plain_config(folder / "bad", risk={"max_total_pct": 3, "max_per_asset_pct": 5, "nonsense": 1})
    text = (bad / "universe.yaml").read_text()
    (bad / "universe.yaml").write_text(text + "hysteresis: {}\n")
    poor = quiet.new_key(frozenset({Scope.VIEW}))
    rich = quiet.new_key(frozenset({Scope.VIEW, Scope.TRADE, Scope.TRANSFER}))

    def start(name: str, config: Path, *without: str, **extra: str) -> Start:
        data = str(folder / name)
        told = {"ENV": "staging", "BOT_MODE": "live", "BOT_DATA_DIR": data, "BOT_CONFIG_DIR": str(config), **extra}
        return Start(environ(quiet, *without, **told))

    coinbase = ("COINBASE_REST_URL", "COINBASE_WS_URL", "COINBASE_WS_USER_URL", "COINBASE_STATUS_URL",
                "COINBASE_CA_FILE", "BOT_ALLOW_TEST_VENUE", "BOT_TEST_CLOCK_URL", "ALERT_WEBHOOK_URL")  # fmt: skip
    return {
        "config": start("config", bad),
        "env": start("env", good, ENV="prod"),
        "mode": start("mode", good, BOT_MODE="real"),
        "secrets": start("secrets", good, "COINBASE_API_KEY", "COINBASE_API_SECRET"),
        "half": start("half", good, "COINBASE_API_SECRET"),
        "garbage": start("garbage", good, COINBASE_API_SECRET=SECRET),
        "coinbase": start("coinbase", good, *coinbase),
        "production": start("production", good, ENV="production"),
        "view": start("view", good, COINBASE_API_KEY=poor.name, COINBASE_API_SECRET=poor.secret),
        "transfer": start("transfer", good, COINBASE_API_KEY=rich.name, COINBASE_API_SECRET=rich.secret),
    }


REFUSED = {
    "config": (2, ["policy.yaml", "risk.nonsense", "universe.yaml", "hysteresis"]),
    "env": (2, ["ENV", "prod", "staging"]),
    "mode": (2, ["BOT_MODE", "real", "dry_run"]),
    "secrets": (3, ["COINBASE_API_KEY", "COINBASE_API_SECRET"]),
    "half": (3, ["COINBASE_API_SECRET"]),
    "garbage": (3, ["COINBASE_API_SECRET"]),
    "coinbase": (3, ["staging never trades live on Coinbase"]),
    "production": (3, ["launch.json"]),
    "view": (3, ["may not trade"]),
    "transfer": (3, ["may transfer money out"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_start_says_why_in_plain_lines(name, starts):
    wanted, words = REFUSED[name]
    code, said = starts[name].ended()
    assert code == wanted, said
    assert [word for word in words if word not in said] == [], said
    assert "Traceback" not in said
    assert all(line.startswith(("bot: ", "20")) for line in said.splitlines()), said


def test_none_of_the_refused_starts_sent_anything(starts, quiet):
    for start in starts.values():
        start.ended()
    assert posts(quiet) == 0
    calls = quiet.do(lambda c: {e.path for e in c.world.record.requests()})
    assert {path for path in calls if "/orders" in path and "historical" not in path} == set()


def test_a_key_the_exchange_refuses_is_exit_five(tmp_path):
    with venue(()) as sim:
        sim.do(lambda c: c.conditions.change({"gate": Gate.UNAUTHORIZED.value}))
        told = {"BOT_DATA_DIR": str(tmp_path / "data"), "BOT_CONFIG_DIR": str(plain_config(tmp_path / "c"))}
        code, said = Start(environ(sim, BOT_MODE="live", **told)).ended()
    assert code == 5, said
    assert "401" in said
    assert "Traceback" not in said


def test_of_two_starts_in_one_moment_one_runs_and_the_other_names_it(tmp_path, config):
    with venue(()) as sim:
        told = {"BOT_MODE": "live", "BOT_DATA_DIR": str(tmp_path / "data"), "BOT_CONFIG_DIR": str(config)}
        twins = [Start(environ(sim, **told)) for _ in range(2)]
        (loser,) = eventually(lambda: [twin for twin in twins if not twin.running])
        code, said = loser.ended()
        (winner,) = (twin for twin in twins if twin is not loser)
        assert code == 4, said
        assert str(winner.pid) in said, said
        assert re.search(r"another instance holds the lock", said)
        winner.terminate()
        assert winner.ended()[0] == 0


def test_a_locked_directory_is_exit_four_within_two_seconds_of_the_program_start(tmp_path, config, sim):
    with running(sim, tmp_path, config) as daemon:
        eventually((daemon.state_dir / "bot.lock").exists)
        tries = [_timed(daemon.environ) for _ in range(TRIES)]
        took, (_, said) = min(tries)
        assert {ended[0] for _, ended in tries} == {4}, said
        assert took < WITHIN_S + INTERPRETER_S
        holder = json.loads((daemon.state_dir / "bot.lock").read_text())
        assert str(holder["pid"]) in said
        assert "live" in said


def _timed(told: Mapping[str, str]) -> tuple[float, tuple[int, str]]:
    """Seconds that a start took, and how it ended."""
    began = time.monotonic()
    ended = Start(told).ended()
    return time.monotonic() - began, ended


def test_corrupt_state_falls_back_a_generation_and_then_starts_halted(tmp_path, config, sim):
    with running(sim, tmp_path, config) as daemon:
        eventually((daemon.state_dir / "state.json.2").exists)
        daemon.kill()
        newest = daemon.state_dir / "state.json"
        newest.write_bytes(newest.read_bytes()[:-40])
        last = daemon.heartbeat()["cycle_id"]
        daemon.start()
        assert daemon.wait_for_cycle(last)["outcome"] != "HALTED"
        assert "state.recovered" in daemon.log.read_text()
        daemon.kill()
        broken = dict.fromkeys(daemon.state_dir.glob("state.json*"), b"\x00" * 100)
        for path, content in broken.items():
            path.write_bytes(content)
        last, sent = daemon.heartbeat()["cycle_id"], posts(sim)
        daemon.start()
        assert daemon.wait_for_cycle(last)["outcome"] == "HALTED"
        assert "state.corrupt" in daemon.log.read_text()
        assert {path: path.read_bytes() for path in broken} == broken, "the originals are kept"
        assert posts(sim) == sent
        assert daemon.terminate() == 0
