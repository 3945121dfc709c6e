"""price_move: the price moved further than a threshold within 15 or 60 minutes."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from bot.domain.bars import Windows
from bot.domain.decision import Direction, Told, Trigger, TriggerKind
from bot.domain.value import Value
from bot.settings.triggers import PriceMove
from bot.triggers.exact import graded, limit_text, more_than, percent_text, times, volume_confirmation

_WAYS: Final = {way.value: way for way in Direction}


class _Move(Value):
    minutes: int
    limit: Decimal
    change: int
    start: int

    @property
    def direction(self) -> Direction:
        return Direction.DOWN if self.change < 0 else Direction.UP

    @property
    def beyond(self) -> bool:
        return more_than(abs(self.change) * 100, self.start, self.limit)

    @property
    def ratio(self) -> float:
        return times(abs(self.change) * 100, self.start, self.limit)


class _Facts(Value):
    moves: tuple[_Move, ...]

    def told(self) -> Mapping[str, str]:
        return {
            f"r_{move.minutes}m": f"{percent_text(move.change, move.start)} (limit {limit_text(move.limit)})"
            for move in self.moves
        }


def lookbacks(params: PriceMove) -> tuple[int, ...]:
    """Minutes looked back, the volume that confirms included."""
    return (*(minutes for minutes, limit in _limits(params) if limit is not None), 60, 1440)


def fire(windows: Windows, params: PriceMove) -> Trigger | None:
    """r(m) = c(t) / c(t - m) - 1 in percent; fires when |r(15m)| > pct_15m or |r(60m)| > pct_60m.

    A threshold of None is off. `direction` counts only moves that way. Strictly beyond: a move of exactly the threshold
    does not fire. Without the history of every threshold in use it does not fire.
    direction: that of the move with the larger |r| / threshold; on a tie the 60-minute one.
    score: min(1, larger |r| / threshold / 2). confidence: `volume_confirmation`.
    """
    moves = moves_of(windows, params)
    wanted = _WAYS.get(params.direction)  # none for `any`
    counted = moves if wanted is None else [move for move in moves if move.direction is wanted]
    if not [move for move in counted if move.beyond]:
        return None
    ratio, _, largest = max([(move.ratio, move.minutes, move) for move in counted])
    return Trigger(
        windows.product,
        TriggerKind.PRICE_MOVE,
        largest.direction,
        graded(ratio / 2),
        volume_confirmation(windows),
        Told(_Facts(tuple(moves))),
    )


def moves_of(windows: Windows, params: PriceMove) -> list[_Move]:
    """One for every threshold in use; none while the history of any is too short."""
    now, moves = windows.close(), []
    for minutes, limit in _limits(params):
        if limit is None:
            continue
        start = windows.close(windows.granularity.bars_in(minutes))
        if now is None or start is None:
            return []
        moves.append(_Move(minutes, limit, now - start, start))
    return moves


def _limits(params: PriceMove) -> tuple[tuple[int, Decimal | None], ...]:
    return ((15, params.pct_15m), (60, params.pct_60m))
