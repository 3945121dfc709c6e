"""A running venue for each test file, and the official SDK pointed at it, unmodified."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from coinbase.rest import RESTClient

from bot.domain.product import TradingMode
from simulator.faults import Conditions
from simulator.keys import ApiKey
from simulator.server import Simulator, SimulatorConfig


def sdk(sim: Simulator, key: ApiKey | None = None, **options: object) -> RESTClient:
    """The official client, told where the venue is and whose certificate to believe."""
    key = key or sim.key
    client = RESTClient(api_key=key.name, api_secret=key.secret, base_url=sim.host, timeout=10, **options)
    client.session.verify = sim.ca_file
    client.session.trust_env = False
    return client


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    config = SimulatorConfig(products=6, empty_wallets=("COMP", "DASH", "ZRX"))
    with Simulator(config) as running:
        yield running


@pytest.fixture
def calm(sim: Simulator) -> Iterator[Simulator]:
    """The venue without faults and with open markets after the test, whatever the test does to it."""
    yield sim
    fresh = Conditions()

    def restore(controls) -> None:
        controls.rules.clear()
        for market in controls.world.tapes:
            controls.world.set_mode(market, TradingMode.NORMAL)
        for name in Conditions.__slots__:
            setattr(controls.conditions, name, getattr(fresh, name))

    sim.do(restore)


@pytest.fixture
def client(calm: Simulator) -> RESTClient:
    return sdk(calm)
