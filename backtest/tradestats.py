"""Figures of round trips: how many won, by how much, how long they took, and the same for every way to group them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any, Final

from backtest.metrics import NOT_ENOUGH, rounded, wilson
from backtest.trades import Trade

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

GROUPS: Final[Mapping[str, Callable[[Trade], Iterable[str]]]] = {
    "rule": lambda trade: (trade.rule,),
    "trigger": lambda trade: trade.triggers,
    "tier": lambda trade: (str(trade.tier),),
    "theme": lambda trade: trade.themes,
    "product": lambda trade: (trade.product,),
    "exit_reason": lambda trade: (trade.exit_reason,),
    "regime": lambda trade: (trade.regime,),
    "hour": lambda trade: (f"{trade.opened_at.hour:02d}",),
    "weekday": lambda trade: (_DAYS[trade.opened_at.weekday()],),
}


def statistics(trades: Sequence[Trade], bar_minutes: int) -> dict[str, Any]:
    """Everything about the closed trades; open ones are only counted."""
    closed = [trade for trade in trades if trade.closed]
    found: dict[str, Any] = {"closed": len(closed), "open": len(trades) - len(closed)}
    if not closed:
        return found
    return found | _profits(closed) | _paths(closed, bar_minutes) | {"by": _grouped(closed)}


def _profits(closed: Sequence[Trade]) -> dict[str, Any]:
    gains = [float(trade.pnl) for trade in closed]
    won, lost = [gain for gain in gains if gain > 0], [-gain for gain in gains if gain <= 0]
    multiples = [float(r) for trade in closed if (r := trade.pnl_r) is not None]
    return {
        "hit_rate_pct": rounded(len(won) / len(closed) * 100),
        "hit_rate_interval_pct": list(wilson(len(won), len(closed))),
        "average_win": rounded(fmean(won)) if won else NOT_ENOUGH,
        "average_loss": rounded(-fmean(lost)) if lost else NOT_ENOUGH,
        "payoff": rounded(fmean(won) / fmean(lost)) if won and lost and fmean(lost) > 0 else NOT_ENOUGH,
        "profit_factor": rounded(sum(won) / sum(lost)) if sum(lost) > 0 else NOT_ENOUGH,
        "expectancy": rounded(fmean(gains)),
        "expectancy_bps": rounded(fmean(float(trade.pnl_bps) for trade in closed)),
        "expectancy_r": rounded(fmean(multiples)) if multiples else NOT_ENOUGH,
        "won": rounded(sum(won)),
        "lost": rounded(sum(lost)),
        "net": rounded(sum(gains)),
        "best": rounded(max(gains)),
        "worst": rounded(min(gains)),
        "longest_losing_streak": _streak(gains),
    }


def _paths(closed: Sequence[Trade], bar_minutes: int) -> dict[str, Any]:
    minutes = [trade.bars * bar_minutes for trade in closed]
    worst, best = [float(trade.worst_pct) for trade in closed], [float(trade.best_pct) for trade in closed]
    return {
        "holding_minutes": {"mean": rounded(fmean(minutes)), "median": rounded(median(minutes)), "max": max(minutes)},
        "adverse_excursion_pct": {"mean": rounded(fmean(worst)), "worst": rounded(min(worst))},
        "favourable_excursion_pct": {"mean": rounded(fmean(best)), "best": rounded(max(best))},
    }


def _grouped(closed: Sequence[Trade]) -> dict[str, Any]:
    gains = [float(trade.pnl) for trade in closed]
    return {name: _group(closed, gains, keys) for name, keys in GROUPS.items()}


def _group(closed: Sequence[Trade], gains: Sequence[float], keys: Callable[[Trade], Iterable[str]]) -> dict[str, Any]:
    buckets: dict[str, list[float]] = {}
    for trade, gain in zip(closed, gains, strict=True):
        for key in keys(trade):
            buckets.setdefault(key, []).append(gain)
    return {key: _brief(bucket) for key, bucket in sorted(buckets.items())}


def _brief(gains: Sequence[float]) -> dict[str, Any]:
    return {
        "trades": len(gains),
        "hit_rate_pct": rounded(sum(gain > 0 for gain in gains) / len(gains) * 100, 3),
        "net": rounded(sum(gains)),
        "expectancy": rounded(fmean(gains)),
    }


def _streak(gains: Iterable[float]) -> int:
    longest = running = 0
    for gain in gains:
        running = running + 1 if gain <= 0 else 0
        longest = max(longest, running)
    return longest
