"""What each mode is given to talk to the exchange with: only live gets hands."""

from __future__ import annotations

import pytest

from bot.adapters.coinbase.build import World
from bot.adapters.coinbase.exchange import CoinbaseExchange
from bot.app import _reader
from bot.domain.snapshot import Mode
from bot.errors import GateRefused
from bot.settings.config import Config
from bot.settings.environment import Settings
from bot.settings.policy import Policy
from bot.settings.universe import Universe
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
