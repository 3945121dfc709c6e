"""A book around the last trade: a spread and a ladder of depth that stays put while the price stays."""

from __future__ import annotations

from typing import Final

from bot.domain.value import Value
from simulator.markets.listing import Listing

_MIX: Final = 0x9E3779B97F4A7C15
_WORD: Final = (1 << 64) - 1
_MOST_LEVELS: Final = 1000
_REMEMBERED: Final = 50_000
_GRIDS: Final = 500
_STEP: Final = 5

Side = list[tuple[int, int]]
"""Levels as (ticks, lots), best first."""


class Depth(Value):
    """How deep the ladders are: levels a side, and their distance and growth."""

    levels: int = 20
    gap_bp: float = 4.0
    growth: float = 0.25


USUAL_DEPTH: Final = Depth()


class Ladder:
    """Books of one listing. Equal arguments give the equal book; sizes depend on the level's price, not on the mid."""

    def __init__(self, listing: Listing, seed: int, depth: Depth = USUAL_DEPTH) -> None:
        self._seed = seed
        self._depth = depth
        self._sizes: dict[int, int] = {}
        self._grids: dict[int, Side] = {}
        character = listing.character
        opening = float(listing.opening)
        tick = float(listing.product.price_step)
        self._spread = max(1, round(opening * character.spread_bp * 1e-4 / tick))
        self._gap = max(1, round(opening * depth.gap_bp * 1e-4 / tick))
        self._lots = max(1, round(character.value * 0.6 / opening / float(listing.product.size_step)))

    def around(self, ticks: int, taker_buys: bool, minute: int) -> tuple[Side, Side]:
        """(bids, asks) after a trade at `ticks`: a buy leaves it at the ask, a sell at the bid."""
        spread = max(1, self._spread * (50 + self._hash(minute, 1) % 101) // 100)
        bid = max(1, ticks - spread if taker_buys else ticks)
        ask = max(bid + 1, ticks if taker_buys else ticks + spread)
        return self._side(bid, -1), self._side(ask, 1)

    def _side(self, touch: int, direction: int) -> Side:
        """The touch, then every `gap` ticks of a fixed grid beyond it."""
        gap = self._gap
        level = touch // gap * gap if direction < 0 else -(-touch // gap) * gap
        if level == touch:
            level += direction * gap
        return [(touch, self._size(touch, 0)), *self._beyond(level, direction)]

    def _beyond(self, first: int, direction: int) -> Side:
        """The grid from `first` on; the same for every touch before it."""
        known = self._grids.get(first * direction)
        if known is None:
            if len(self._grids) >= _GRIDS:
                self._grids.clear()
            stop = first + direction * self._gap * (self._depth.levels - 1)
            levels = range(first, max(0, stop) if direction < 0 else stop, direction * self._gap)
            known = [(level, self._size(level, number)) for number, level in enumerate(levels, 1)]
            self._grids[first * direction] = known
        return known

    def _size(self, ticks: int, number: int) -> int:
        """Between a quarter and twice the usual, more further out: in steps, so that a grid that moves on by one level
        changes few of the others."""
        key = ticks * _MOST_LEVELS + number
        known = self._sizes.get(key)
        if known is None:
            if len(self._sizes) >= _REMEMBERED:
                self._sizes.clear()
            steps = (number + _STEP // 2) // _STEP * _STEP
            usual = int(self._lots * (1.0 + self._depth.growth * steps))
            known = self._sizes[key] = max(1, usual * (25 + self._hash(ticks, 2) % 176) // 100)
        return known

    def _hash(self, value: int, salt: int) -> int:
        mixed = ((value * 8 + salt) ^ self._seed) * _MIX & _WORD
        return (mixed ^ mixed >> 29) * _MIX >> 32 & 0xFFFFFFFF
