"""Mistakes in what may be done: caps, stops, cooldowns, breakers and the gates."""

from __future__ import annotations

from typing import Final

from tests.sabotage.mistakes import Mistake, pytest

MISTAKES: Final = (
    Mistake(
        "unknown-order-is-free",
        "a timed-out order is left out of exposure, and the next cycle buys the same again on top",
        "pending exposure caps",
        "bot/risk/exposure.py",
        "if order.side is Side.BUY and order.state.is_working)",
        "if order.side is Side.BUY and order.state.is_working and order.state is not OrderState.UNKNOWN)",
        pytest("tests/risk/test_exposure.py"),
    ),
)
