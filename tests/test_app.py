"""What each mode is given to talk to the exchange with: only live gets hands."""

from __future__ import annotations

import pytest

from bot.adapters.coinbase.bar_store import BarStore
from bot.adapters.coinbase.build import World
from bot.adapters.coinbase.exchange import CoinbaseExchange
from bot.adapters.coinbase.market_data import CoinbaseMarketData, Sources
from bot.adapters.memory import MemoryStorage
from bot.adapters.webhook import WebhookCourier
from bot.app import Limited, _reader
from bot.domain.snapshot import Mode
from bot.errors import GateRefused
from bot.settings.config import Config
from bot.settings.environment import Settings
from bot.settings.policy import DataPolicy, Policy
from bot.settings.universe import Universe
from bot.triggers.indicators import LiveWindows
from tests.adapters.coinbase.keys import credentials
from tests.adapters.coinbase.venue import FixedClock, LowRng

CONFIG = Config(Policy(), Universe())
WORLD = World(FixedClock(), LowRng())


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize("mode", [Mode.DRY_RUN, Mode.PAPER])
def test_a_mode_that_sends_nothing_holds_nothing_that_could(mode, with_key):
    reader = _reader(Settings(mode=mode), credentials() if with_key else None, CONFIG, WORLD)
    assert not isinstance(reader, CoinbaseExchange)
    assert not any(hasattr(reader, name) for name in ("place", "cancel", "preview"))
    assert reader.client.has_key is with_key


def test_only_live_gets_the_adapter_that_trades_and_never_without_a_key():
    assert isinstance(_reader(Settings(mode=Mode.LIVE), credentials(), CONFIG, WORLD), CoinbaseExchange)
    with pytest.raises(GateRefused, match="live needs an API key"):
        _reader(Settings(mode=Mode.LIVE), None, CONFIG, WORLD)


def test_a_reload_reaches_what_lies_outside_the_loop(tmp_path):
    """Rates, the age of a quote, addresses of alerts and retention: tightened means tightened here too."""
    reader = _reader(Settings(mode=Mode.PAPER), None, CONFIG, WORLD)
    sources = Sources(reader.client, None, BarStore(tmp_path), reader.known_product, LiveWindows)
    refused: list[str] = []
    market, storage = CoinbaseMarketData(sources, DataPolicy(), FixedClock()), MemoryStorage()
    storage.write("outbox/a.json", b"{}")
    courier = WebhookCourier(
        storage, ["https://hooks.example/x"], timeout_s=1, on_failure=refused.append,
        look_up=lambda _host, _port: ["10.0.0.1"] if refused else ["8.8.8.8"],
    )  # fmt: skip
    limited = Limited(reader.client.budget, market, courier, test_venue=False, retention_days=400)
    changed = {
        "rate_limits": {"private_per_second": 2, "hourly": 50},
        "data": {"max_quote_staleness_seconds": 1},
        "alerts": {"allowed_hosts": ["alerts.example"]},
        "state": {"retention_days": 500},
    }
    limited.configure(Config(Policy.model_validate(changed), Universe()))
    assert limited.budget.left() == {"public": CONFIG.policy.rate_limits.public_per_second, "private": 2, "hourly": 50}
    assert not courier.deliver()
    assert refused == ["UnsafeAddress"]
    assert limited.retention_days == 500
