"""The arrows of the design hold in every file, and each rule is seen to fail on a planted line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import ARROWS, LINES_MAX, RULES, Source, check

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("bot", "backtest", "simulator")

PLANTED = [
    # the arrows inside bot
    ("bot/domain/money.py", "from bot.settings.policy import Policy", "bot.domain must not import bot.settings"),
    ("bot/errors.py", "from bot.domain.order import OrderId", "bot.errors must not import bot.domain"),
    ("bot/settings/policy.py", "from bot.ports import Clock", "bot.settings must not import bot.ports"),
    ("bot/ports.py", "import bot.settings.policy", "bot.ports must not import bot.settings"),
    ("bot/universe/manager.py", "from bot.triggers import engine", "bot.universe must not import bot.triggers"),
    ("bot/rules/entry.py", "from bot.risk.gates import GATES", "bot.rules must not import bot.risk"),
    ("bot/risk/engine.py", "from bot.ports import Exchange", "bot.risk must not import bot.ports"),
    (
        "bot/observe/snapshot.py",
        "from bot.adapters.clock import SystemClock",
        "bot.observe must not import bot.adapters",
    ),
    ("bot/execution/engine.py", "from bot.risk.engine import RiskEngine", "bot.execution must not import bot.risk"),
    ("bot/record/state.py", "from bot.execution import identity", "bot.record must not import bot.execution"),
    ("bot/venue/venue.py", "from bot.record.journal import Journal", "bot.venue must not import bot.record"),
    ("bot/decide.py", "from bot.execution.engine import ExecutionEngine", "bot.decide must not import bot.execution"),
    ("bot/decide.py", "from bot.ports import Clock", "bot.decide must not import bot.ports"),
    ("bot/loop.py", "from bot.adapters.coinbase.rest import CoinbaseExchange", "bot.loop must not import bot.adapters"),
    ("bot/adapters/paper.py", "from bot.risk import engine", "bot.adapters must not import bot.risk"),
    ("bot/ops/alerts.py", "from bot.loop import TradingLoop", "bot.ops must not import bot.loop"),
    ("bot/app.py", "from bot.cli import main", "bot.app must not import bot.cli"),
    (
        "bot/risk/gates.py",
        "if TYPE_CHECKING:\n    from bot.loop import TradingLoop",
        "bot.risk must not import bot.loop",
    ),
    ("bot/risk/gates.py", "from .. import loop", "bot.risk must not import bot.loop"),
    ("bot/risk/gates.py", "from ..rules.entry import propose", "bot.risk must not import bot.rules"),
    ("bot/risk/gates.py", "from bot import *", "bot.risk must not import bot.*"),
    ("bot/risk/gates.py", "import bot", "bot.risk must not import bot"),
    ("bot/martingale.py", "", "bot.martingale has no row in ARROWS"),
    # the arrows between packages
    ("bot/cli/run.py", "from simulator.http import serve", "bot must not import simulator"),
    ("bot/app.py", "import simulator", "bot must not import simulator"),
    ("bot/cli/check.py", "from backtest.gate import run", "bot must not import backtest"),
    ("bot/cli/demo.py", "import backtest.run", "bot must not import backtest"),
    ("bot/adapters/storage.py", "from tests.fakes import MemoryStorage", "bot must not import tests"),
    ("bot/cli/export.py", "import pandas as pd", "bot must not import pandas"),
    ("simulator/replay.py", "from pandas import read_csv", "simulator must not import pandas"),
    ("simulator/replay.py", "from backtest.candles import load", "simulator must not import backtest"),
    ("backtest/run.py", "from simulator.faults import Faults", "backtest must not import simulator"),
    ("backtest/check/bias.py", "from simulator.server import Simulator", "backtest must not import simulator"),
    # what a pure package may not know
    *[
        (f"bot/{unit}", f"import {module}", f"is pure and must not import {module}")
        for unit in (
            "domain/a.py",
            "universe/a.py",
            "triggers/a.py",
            "rules/a.py",
            "risk/a.py",
            "venue/a.py",
            "decide.py",
        )
        for module in (
            "time",
            "os",
            "random",
            "socket",
            "threading",
            "requests",
            "httpx",
            "logging",
            "structlog",
            "pathlib",
        )
    ],
    ("bot/rules/exits.py", "def late():\n    from os import environ", "is pure and must not import os.environ"),
    # imports nobody can read
    ("bot/loop.py", "import importlib\nimportlib.import_module('bot.adapters')", "a dynamic import hides an arrow"),
    ("bot/loop.py", "__import__('simulator')", "a dynamic import hides an arrow"),
    # clock, chance, environment and files
    ("bot/loop.py", "import time\ntime.time()", "time belongs behind a port"),
    ("bot/loop.py", "import time as t\nt.sleep(1)", "time belongs behind a port"),
    ("bot/loop.py", "from time import monotonic\nmonotonic()", "time belongs behind a port"),
    ("bot/loop.py", "from time import monotonic\ndef age(clock=monotonic): ...", "time belongs behind a port"),
    ("bot/risk/stops.py", "from datetime import UTC, datetime\ndatetime.now(UTC)", "datetime.datetime.now belongs"),
    ("bot/risk/stops.py", "import datetime as dt\ndt.datetime.utcnow()", "datetime.datetime.utcnow belongs"),
    ("bot/risk/stops.py", "from datetime import date\ndate.today()", "datetime.date.today belongs"),
    ("bot/execution/engine.py", "import random\nrandom.random()", "random belongs behind a port"),
    ("bot/execution/engine.py", "from random import Random\nRandom(7)", "random belongs behind a port"),
    ("bot/venue/venue.py", "import numpy as np\nnp.random.default_rng()", "numpy.random belongs behind a port"),
    ("bot/execution/identity.py", "from uuid import uuid4\nuuid4()", "uuid.uuid4 belongs behind a port"),
    ("bot/execution/identity.py", "import uuid\nuuid.uuid4()", "uuid.uuid4 belongs behind a port"),
    ("bot/execution/identity.py", "import secrets\nsecrets.token_hex()", "secrets belongs behind a port"),
    ("bot/settings/policy.py", "import os\nos.environ['ENV']", "os.environ belongs behind a port"),
    ("bot/settings/policy.py", "from os import environ\nenviron.get('ENV')", "os.environ belongs behind a port"),
    ("bot/settings/policy.py", "import os\nos.getenv('ENV')", "os.getenv belongs behind a port"),
    ("bot/record/journal.py", "with open('j') as f: ...", "builtins.open belongs behind a port"),
    ("bot/record/journal.py", "import io\nio.open('j')", "io.open belongs behind a port"),
    ("bot/record/journal.py", "import os\nos.open('j', 0)", "os.open belongs behind a port"),
    (
        "bot/record/journal.py",
        "def load(path):\n    return path.read_text()",
        ".read_text belongs behind the Storage port",
    ),
    ("backtest/run.py", "import time\ntime.perf_counter()", "time belongs behind a port"),
    ("backtest/run.py", "import random\nrandom.seed()", "random belongs behind a port"),
    # floats near money
    *[
        (f"bot/{unit}/a.py", "limit = float('0.1')", "float( near money")
        for unit in ("domain", "risk", "execution", "rules", "record", "venue", "adapters")
    ],
    # the state is a fold over events
    ("bot/loop/guard.py", "store.state = store.state.changed(halts={})", ".state is set by bot/record/store.py alone"),
    ("bot/loop/guard.py", "self._store.state, held = state, True", ".state is set by bot/record/store.py alone"),
    ("bot/loop/guard.py", "store.broken = False", ".broken is set by bot/record/store.py alone"),
    # syntax
    ("bot/risk/gates.py", "def fold[T](gates: list[T]) -> T: ...", "not Python 3.11"),
    ("bot/risk/gates.py", "def evaluate(:", "not Python 3.11"),
    # length
    ("bot/ops/metrics.py", "\n" * 601, "601 lines"),
    ("simulator/http.py", "\n" * 601, "601 lines"),
]

INNOCENT = [
    ("bot/domain/money.py", "from bot.errors import UnitError\nfrom bot.domain.product import Product"),
    ("bot/risk/engine.py", "from bot.domain.order import Side\nfrom bot.settings.policy import RiskPolicy"),
    ("bot/risk/engine.py", "from datetime import UTC, datetime\ndatetime(2024, 1, 1, tzinfo=UTC)"),
    ("bot/risk/engine.py", "def age(snap, opened):\n    return snap.now - opened"),
    ("bot/venue/venue.py", "from bot.ports import Rng\ndef slip(rng: Rng):\n    return rng.random()"),
    ("bot/decide.py", "from bot import risk, rules, triggers, universe\nfrom bot.domain.decision import Decision"),
    ("bot/loop.py", "from bot.decide import decide\nfrom bot.execution.engine import ExecutionEngine"),
    ("bot/record/state.py", "def restore(storage):\n    return storage.open('state.json')"),
    ("bot/execution/engine.py", "def wait(timeout_s: float) -> bool:\n    return isinstance(timeout_s, float)"),
    ("bot/triggers/engine.py", "score = float(1)"),
    ("bot/domain/bars.py", "class Bar:\n    open: Price\n    def rose(self):\n        return self.close > self.open"),
    ("bot/app.py", "from bot.adapters.clock import SystemClock\nimport os\nos.environ"),
    ("bot/adapters/clock.py", "import time\ntime.time()"),
    ("bot/settings/environment.py", "import os\nos.environ.get('ENV')"),
    ("bot/cli/demo.py", "from simulator.http import serve"),
    ("bot/cli/sim.py", "import simulator"),
    ("backtest/check/rehearsal.py", "from simulator.server import Simulator"),
    ("backtest/candles.py", "import pandas as pd\nfrom bot.domain.bars import Bars\nopen('x')"),
    ("backtest/cli.py", "import time\ntime.perf_counter()"),
    ("simulator/ws.py", "import random\nfrom bot.venue.venue import Venue\nrandom.Random(7)"),
    ("bot/record/store.py", "self.state = apply(self.state, envelope)"),
    ("bot/loop/guard.py", "state = self._store.state"),
    ("bot/ops/metrics.py", "\n" * 600),
]


def test_every_file_keeps_the_rules() -> None:
    files = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    assert {path.relative_to(ROOT).parts[0] for path in files} == set(PACKAGES)
    broken = [
        violation for path in files for violation in check(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
    ]
    assert not broken, "\n" + "\n".join(map(str, broken))


def test_no_test_file_outgrows_one_idea() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in (ROOT / "tests").rglob("*.py")}
    assert lengths
    assert [f"{path}: {lines} lines" for path, lines in lengths.items() if lines > LINES_MAX] == []


@pytest.mark.parametrize(("path", "text", "rule"), PLANTED)
def test_a_planted_line_breaks_exactly_its_rule(path: str, text: str, rule: str) -> None:
    """The rule is named with file and line, and no unrelated rule hides behind it."""
    said = [str(violation) for violation in check(path, text) if rule in violation.rule]
    assert len(said) == 1, [str(violation) for violation in check(path, text)]
    line = len(text.splitlines()) or 1
    assert said[0].startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(("path", "text"), INNOCENT)
def test_a_lawful_line_breaks_nothing(path: str, text: str) -> None:
    assert check(path, text) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_rule_goes_without_a_planted_line(rule) -> None:
    assert any(list(rule(Source(path, text))) for path, text, _ in PLANTED)


def test_arrows_have_no_cycle() -> None:
    """Two folders that may import each other are one folder with two names."""
    below = {unit: set(allowed) for unit, allowed in ARROWS.items()}
    while free := {unit for unit, allowed in below.items() if not allowed & below.keys()}:
        below = {unit: allowed for unit, allowed in below.items() if unit not in free}
    assert below == {}
