"""What else could have happened: daily returns drawn anew in blocks, so that good and bad spells stay together.

A circular block bootstrap (D. N. Politis, J. P. Romano, 1992): every path is as long as the run and made of blocks of
days that follow each other; the last day is followed by the first. The draws hang on SEED alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from backtest.candles import Floats
from backtest.chance import below
from backtest.metrics import LEAST_DAYS, NOT_ENOUGH, rounded
from bot.domain.bars import Ints
from bot.domain.value import Value

SEED: Final = 20_240_101
PATHS: Final = 2000
BLOCK_DAYS: Final = 5
LEVELS: Final = (5, 25, 50, 75, 95)


class Fan(Value):
    """Percentiles of equity over all paths, by level, at the end of each day, the opening first.

    returns_pct, drawdowns_pct: one a path.
    """

    lines: dict[int, Floats]
    returns_pct: Floats
    drawdowns_pct: Floats


def fan(returns: Floats, opening: float, *, paths: int = PATHS, block: int = BLOCK_DAYS) -> Fan | None:
    """Paths drawn from daily returns; None when there are fewer than LEAST_DAYS."""
    days = len(returns)
    if days < LEAST_DAYS:
        return None
    picked = drawn(days, paths, block)
    growth = np.concatenate((np.ones((paths, 1)), np.cumprod(1 + returns[picked], axis=1)), axis=1)
    falls = (growth / np.maximum.accumulate(growth, axis=1) - 1).min(axis=1) * 100
    lines = {level: np.percentile(growth, level, axis=0) * opening for level in LEVELS}
    return Fan(lines, (growth[:, -1] - 1) * 100, falls)


def drawn(days: int, paths: int, block: int) -> Ints:
    """Which day stands where in each path; shape (paths, days). Blocks begin anywhere, and the last one is cut."""
    blocks = -(-days // block)
    heads = below(SEED, paths * blocks, days).reshape(paths, blocks, 1)
    return ((heads + np.arange(block)) % days).reshape(paths, blocks * block)[:, :days]


def told(found: Fan | None) -> dict[str, Any] | str:
    """The figures of a fan, for a summary."""
    if found is None:
        return NOT_ENOUGH
    return {
        "paths": len(found.returns_pct),
        "block_days": BLOCK_DAYS,
        "return_pct": _levels(found.returns_pct),
        "max_drawdown_pct": _levels(found.drawdowns_pct),
        "chance_of_loss_pct": rounded(float(np.mean(found.returns_pct < 0)) * 100),
    }


def _levels(values: Floats) -> dict[str, float]:
    found: Sequence[float] = np.percentile(values, LEVELS).tolist()
    return {f"p{level}": rounded(value) for level, value in zip(LEVELS, found, strict=True)}
