"""One bot that traded, for every test that only reads."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.server import Simulator, SimulatorConfig
from tests.cli.desk import Desk, bot_of, desk_at


@pytest.fixture(scope="session")
def traded(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A live rehearsal that bought, was protected, and stopped cleanly. Its venue is gone: only its files are left."""
    with Simulator(SimulatorConfig()) as sim:
        desk = desk_at(tmp_path_factory.mktemp("traded"), sim)
        with bot_of(desk) as app:
            for _ in range(3):
                app.loop.run_cycle()
                sim.run_for(60)
            app.loop.stop("the test has seen enough")
            assert app.loop.run() == 0
    return desk


@pytest.fixture
def copied(traded: Desk, tmp_path: Path) -> Desk:
    """The same files, to be changed."""
    shutil.copytree(traded.data_dir, tmp_path / "data")
    return replace(
        traded, environ={**traded.environ, "BOT_DATA_DIR": str(tmp_path / "data")}, data_dir=tmp_path / "data"
    )


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(SimulatorConfig()) as venue:
        yield venue
