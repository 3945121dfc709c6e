"""Venues that several tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.server import Simulator
from tests.process.bots import plain_config, venue


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain configuration."""
    return plain_config(tmp_path_factory.mktemp("config"))


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A venue of this test's own, on which a rise is about to be bought."""
    with venue() as running:
        yield running
