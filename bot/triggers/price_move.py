"""price_move: the price moved further than a threshold within 15 or 60 minutes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from bot.domain.bars import Windows
from bot.domain.decision import Direction, Trigger, TriggerKind
from bot.settings.triggers import PriceMove
from bot.triggers.exact import graded, limit_text, more_than, percent_text, times, volume_confirmation


class _Move(NamedTuple):
    minutes: int
    limit: Decimal
    change: int
    start: int

    @property
    def beyond(self) -> bool:
        return more_than(abs(self.change) * 100, self.start, self.limit)

    @property
    def ratio(self) -> float:
        return times(abs(self.change) * 100, self.start, self.limit)


def lookbacks(params: PriceMove) -> tuple[int, ...]:
    """Minutes looked back, the volume that confirms included."""
    return (*(minutes for minutes, _ in _limits(params)), 60, 1440)


def fire(windows: Windows, params: PriceMove) -> Trigger | None:
    """r(m) = c(t) / c(t - m) - 1 in percent; fires when |r(15m)| > pct_15m or |r(60m)| > pct_60m.

    A threshold of None is off. `direction` counts only moves that way. Strictly beyond: a move of exactly the threshold
    does not fire. Without the history of every threshold in use it does not fire.
    direction: that of the move with the larger |r| / threshold; on a tie the 60-minute one.
    score: min(1, larger |r| / threshold / 2). confidence: `volume_confirmation`.
    """
    moves = []
    for minutes, limit in _limits(params):
        now, start = windows.close(), windows.close(windows.granularity.bars_in(minutes))
        if now is None or start is None:
            return None
        moves.append(_Move(minutes, limit, now - start, start))
    counted = [move for move in moves if _direction(move).value == params.direction or params.direction == "any"]
    if not any(move.beyond for move in counted):
        return None
    largest = max(counted, key=lambda move: (move.ratio, move.minutes))
    features = {f"r_{move.minutes}m": _said(move) for move in moves}
    return Trigger(
        windows.product,
        TriggerKind.PRICE_MOVE,
        _direction(largest),
        graded(largest.ratio / 2),
        volume_confirmation(windows),
        features,
    )


def _limits(params: PriceMove) -> Iterator[tuple[int, Decimal]]:
    for minutes, limit in ((15, params.pct_15m), (60, params.pct_60m)):
        if limit is not None:
            yield minutes, limit


def _direction(move: _Move) -> Direction:
    return Direction.DOWN if move.change < 0 else Direction.UP


def _said(move: _Move) -> str:
    return f"{percent_text(move.change, move.start)} (limit {limit_text(move.limit)})"
