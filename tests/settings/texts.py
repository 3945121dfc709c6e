"""Small configurations as text, and what is said of them."""

from __future__ import annotations

import pytest

from bot.errors import ConfigError
from bot.settings.load import parse_config

UNIVERSE = b"tiers: {1: {products: [BTC-USD]}}\n"
POLICY = b"rules: []\n"


def refused(policy: bytes = POLICY, universe: bytes = UNIVERSE) -> list[str]:
    """Every problem of two files that must be refused."""
    with pytest.raises(ConfigError) as caught:
        parse_config(policy, universe)
    return list(caught.value.problems)


def problems(policy: str) -> list[str]:
    """Every problem of a policy beside a sound universe; its last line is ended."""
    return refused(policy.removesuffix("\n").encode() + b"\n")
