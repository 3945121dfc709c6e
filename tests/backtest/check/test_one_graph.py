"""`bot run` and `backtest run` build the same bot: walked object by object, only what stands for the world differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from backtest import engine
from backtest.run import Stage, build
from bot.loop import TradingLoop
from bot.settings.load import load_config
from simulator.server import Simulator, SimulatorConfig
from tests.backtest.check.graph import Walk
from tests.backtest.markets import write_markets
from tests.cli.desk import EAGER, bot_of, desk_at

PORTS = ("clock", "exchange", "market", "storage", "rng")
OUTPUTS = ("log", "metrics", "publish", "courier", "heart", "inbox", "tend", "follow", "clean", "complaints",
           "configured")  # fmt: skip
POLICY = {**EAGER, "execution": {**EAGER["execution"], "post_only_ttl_seconds": 60}}

WHO = {"mode", "_mode", "portfolio", "venue", "pid", "genesis", "code_version", "_code_version", "account", "_account",
       "_tag", "order_prefix"}  # fmt: skip
"""Who trades, where and since when the journal runs: Identity, and what is derived from it."""
AUDIENCE = {"audience", "keeps_files", "keeps_inputs", "_journalled", "head", "_day"}
"""Nobody reads a backtest's journal: its events are folded and not sealed, so it has no hash and no day of a file."""
START = {"_looked_at", "_created"}
"""When it, or a counter of its own, was built: by its own clock, or the machine's."""


def ends(loop: TradingLoop) -> Mapping[int, frozenset[str]]:
    """Every object that stands for the world, with the names of the ports it fills."""
    found: dict[int, set[str]] = {}
    for names, holder in ((PORTS, loop._world), (OUTPUTS, loop._operator)):
        for name in names:
            found.setdefault(id(getattr(holder, name)), set()).add(name)
    return {key: frozenset(names) for key, names in found.items()}


@contextmanager
def both(folder: Path) -> Iterator[tuple[TradingLoop, Stage]]:
    """The loop of a live daemon on a simulated venue, and that of a backtest, under one configuration."""
    write_markets(folder / "candles", {"BTC-USD": 1}, 2000)
    with Simulator(SimulatorConfig()) as sim:
        desk = desk_at(folder, sim, **POLICY)
        config = load_config(folder / "config")
        assert engine.adapted(config, None) == config, "the backtest trades with the very same configuration"
        data = engine.read(engine.wish(config, folder / "candles"))
        with bot_of(desk) as app:
            yield app.loop, build(config, data, "code", lambda _: None)


def walked(live: TradingLoop, stage: Stage) -> Walk:
    walk = Walk(ends(live), ends(stage.loop))
    walk.compare(live, stage.loop, "loop")
    return walk


def test_live_and_backtest_differ_in_the_five_ports_and_the_operators_outputs_alone(tmp_path):
    with both(tmp_path) as (live, stage):
        walk = walked(live, stage)
    unexplained = {
        path: pair for path, pair in walk.found.items() if path.rpartition(".")[2] not in WHO | AUDIENCE | START
    }
    assert unexplained == {}
    assert walk.crossed == {*PORTS, *OUTPUTS}
    parts = {kind.__name__ for kind in walk.classes}
    assert parts >= {
        "TradingLoop", "Observer", "Observation", "Guard", "RiskEngine", "ExecutionEngine", "LastHop", "SellSide",
        "Resolver", "Canceller", "StateStore", "Schedule", "AlertService", "Config", "Policy", "Universe", "Rule",
    }  # fmt: skip


class OtherGuard:
    """A part that only one of the two has."""


@pytest.mark.parametrize("where", ["class", "value", "part"])
def test_a_bot_that_was_built_otherwise_is_noticed(tmp_path, where):
    with both(tmp_path) as (live, stage):
        observer = stage.loop._observation._observer
        if where == "class":
            vars(observer)["_guard"] = OtherGuard()
        elif where == "value":
            stage.loop._fruitless = 1
        else:
            vars(observer)["extra"] = OtherGuard()
        paths = walked(live, stage).found.keys()
    wanted = {"class": "._guard", "value": "._fruitless", "part": ".extra"}[where]
    assert any(path.endswith(wanted) for path in paths)
