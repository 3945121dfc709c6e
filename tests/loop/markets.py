"""Markets that several tests tell: a rise that is bought, a dip that fills it, and what comes after."""

from __future__ import annotations

from simulator.markets.script import Step
from tests.loop.stage import down, steady, up

RISE: tuple[Step, ...] = (up(30), *steady(31, 62, "65500", 5))
"""BTC-USD goes from 65 000 to 65 500 within the first minute: the bot quotes at the bid at 14:01:02."""

DIP: tuple[Step, ...] = (down(80, "65300"),)
"""Somebody sells through the bot's bid: it is filled at 14:01:20."""

BOUGHT: tuple[Step, ...] = (*RISE, *DIP)
"""The bot holds BTC-USD from 14:01:20 on, bought just under 65 500; its stop lies at 62 878.29."""


def then(*steps: Step) -> list[Step]:
    """The bot buys, and then this happens."""
    return [*BOUGHT, *steps]


def calm(first_s: int, last_s: int, price: str = "65300") -> list[Step]:
    """Nothing happens, at a price."""
    return steady(first_s, last_s, price, 60)


def slide(first_s: int, prices: list[str], every_s: int = 60) -> list[Step]:
    """The price falls from one level to the next, each traded for a while."""
    found: list[Step] = []
    for number, price in enumerate(prices):
        at = first_s + number * every_s
        found += [down(at, price), *steady(at + 2, at + every_s - 1, price, 5)]
    return found
