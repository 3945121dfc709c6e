"""Daily and weekly loss stops and the drawdown stop: how far away they are, when they trip, when their period ends.

Profit of a period = realised since it began (exchange fills, fees in) + change of unrealised since then, in percent of
the equity it began with. Drawdown = distance of equity from its persisted peak. Deposits and withdrawals are taken out
of both: the fold scales the peak when a transfer is recognised, and until then the unexplained difference of the ledger
is taken off equity here. Period ids are UTC: `2026-11-21`, `2026-W47`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.event import LatchCleared, Payload, PeakMoved, PeriodBegan
from bot.domain.money import EXACT, HUNDRED, ZERO, Percent, decimal_text, quantised, total
from bot.domain.snapshot import Performance, Valuation
from bot.domain.state import HaltCause, Latch, Period, State, day_id, week_id
from bot.risk.halts import latch_active
from bot.settings.policy import RiskPolicy

DAILY, WEEKLY, DRAWDOWN = "daily_stop", "weekly_stop", "drawdown_stop"
_STOPS: Final = (
    (DAILY, HaltCause.DAILY_STOP),
    (WEEKLY, HaltCause.WEEKLY_STOP),
    (DRAWDOWN, HaltCause.DRAWDOWN_STOP),
)
_PLACES: Final = 6


def day_end(now: datetime) -> datetime:
    """The next UTC midnight."""
    return _midnight(now) + timedelta(days=1)


def week_end(now: datetime) -> datetime:
    """The next Monday, UTC midnight."""
    return _midnight(now) + timedelta(days=7 - now.astimezone(UTC).weekday())


def performance(state: State, valuation: Valuation) -> Performance:
    """Where the loss stops stand; a part is None while equity, a mark or its start is unknown or not positive."""
    open_profit, equity = unrealised(state, valuation), corrected_equity(state, valuation)
    return Performance(
        _period_pct(state.day, open_profit), _period_pct(state.week, open_profit), _drawdown_pct(state, equity)
    )


def unrealised(state: State, valuation: Valuation) -> Decimal | None:
    """Value less cost of every position, in the equity currency; None while anything in it has no mark."""
    if valuation.nlv is None:
        return None
    marks, profit = valuation.marks, ZERO
    for position in state.positions.values():
        mark, rate = marks.get(position.product.base), marks.get(position.product.quote)
        if mark is None or rate is None:
            return None
        profit = EXACT.subtract(profit, EXACT.multiply(position.whole_cost, rate))
        profit = EXACT.fma(mark, position.whole.value, profit)
    return profit


def corrected_equity(state: State, valuation: Valuation) -> Decimal | None:
    """Equity without the ledger differences that are not yet explained: a transfer in the making is no gain or loss."""
    if valuation.nlv is None:
        return None
    if not state.pending:
        return valuation.nlv.amount
    marks, parts = valuation.marks, []
    for currency, pending in state.pending.items():
        mark = marks.get(currency)
        if mark is None:
            return None
        parts.append(EXACT.multiply(pending, mark))
    return EXACT.subtract(valuation.nlv.amount, total(parts))


def breaches(performance: Performance, state: State, policy: RiskPolicy, now: datetime) -> tuple[Latch, ...]:
    """The latches to set now: each stop that is reached and not latched already. An unknown figure trips nothing."""
    found = []
    figures = performance.daily_pnl_pct, performance.weekly_pnl_pct, performance.drawdown_pct
    limits = policy.daily_stop_pct, policy.weekly_stop_pct, policy.max_drawdown_pct
    for (name, cause), figure, limit in zip(_STOPS, figures, limits, strict=True):
        if figure is None or limit is None or figure > -limit.value:
            continue
        known = state.latches.get(name)
        if known is None or not latch_active(known, now):
            found.append(_latch(name, cause, figure, limit, now))
    return tuple(found)


def rolled(state: State, valuation: Valuation, now: datetime) -> tuple[PeriodBegan, ...]:
    """The periods that begin now, day first. None while equity is unknown: the old period is measured on until then.

    Periods only move forward: a clock that was set back does not forget a loss.
    """
    if _lasts(state.day, now) and _lasts(state.week, now):
        return ()
    periods = ("day", state.day, day_id), ("week", state.week, week_id)
    due = [(kind, current, id_of(now)) for kind, current, id_of in periods if not _lasts(current, now)]
    equity, open_profit = corrected_equity(state, valuation), unrealised(state, valuation)
    if equity is None or open_profit is None or equity <= ZERO:
        return ()
    return tuple(PeriodBegan(kind, _opening(old, fresh, equity, open_profit)) for kind, old, fresh in due)


def _lasts(period: Period | None, now: datetime) -> bool:
    return period is not None and now < period.ends_at


def _opening(before: Period | None, fresh: str, equity: Decimal, open_profit: Decimal) -> Period:
    """The new period, with the profit of its fills that are booked already: equity holds it, so it began without."""
    made = ZERO if before is None else before.later.get(fresh, ZERO)
    return Period(fresh, EXACT.subtract(equity, made), open_profit, realised=made)


def peak(state: State, valuation: Valuation) -> tuple[PeakMoved, ...]:
    """The new peak when equity is above the old one; never while a difference of the ledger is unexplained."""
    if valuation.nlv is None or state.pending:
        return ()
    equity = valuation.nlv.amount
    return (PeakMoved(equity),) if equity > ZERO and (state.peak_equity is None or equity > state.peak_equity) else ()


def ended(state: State, now: datetime) -> tuple[LatchCleared, ...]:
    """The latches whose period is over."""
    over = (latch for latch in state.latches.values() if not latch_active(latch, now))
    return tuple(LatchCleared(latch.name, f"its period {latch.period} ended") for latch in over)


def rearmed(name: str, state: State, valuation: Valuation, by: str) -> tuple[Payload, ...]:
    """What `resume --latch` records: the latch cleared, and its stop measured anew from here.

    Without the fresh start a resumed stop would trip again in the next cycle. () when equity is unknown, or nothing of
    that name is latched: what cannot be measured is not re-armed.
    """
    equity, open_profit = corrected_equity(state, valuation), unrealised(state, valuation)
    if name not in state.latches or equity is None or open_profit is None:
        return ()
    fresh: dict[str, tuple[Payload, ...]] = {
        DAILY: _restarted("day", state.day, equity, open_profit),
        WEEKLY: _restarted("week", state.week, equity, open_profit),
        DRAWDOWN: (PeakMoved(equity),),
    }
    return (LatchCleared(name, by), *fresh.get(name, ()))


def _restarted(kind: str, current: Period | None, equity: Decimal, open_profit: Decimal) -> tuple[Payload, ...]:
    return () if current is None else (PeriodBegan(kind, Period(current.id, equity, open_profit)),)


def _period_pct(period: Period | None, open_profit: Decimal | None) -> Decimal | None:
    if period is None or open_profit is None or period.start_equity <= ZERO:
        return None
    profit = EXACT.add(period.realised, EXACT.subtract(open_profit, period.start_unrealised))
    return quantised(EXACT.divide(EXACT.multiply(profit, HUNDRED), period.start_equity), _PLACES)


def _drawdown_pct(state: State, equity: Decimal | None) -> Decimal | None:
    """Percent below the peak, as a negative number; zero at a new high."""
    if state.peak_equity is None or equity is None or state.peak_equity <= ZERO:
        return None
    below = EXACT.subtract(min(equity, state.peak_equity), state.peak_equity)
    return quantised(EXACT.divide(EXACT.multiply(below, HUNDRED), state.peak_equity), _PLACES)


def _latch(name: str, cause: HaltCause, figure: Decimal, limit: Percent, now: datetime) -> Latch:
    period, end = _PERIODS[cause]
    detail = f"{decimal_text(figure)} % reached the limit of -{limit}"
    return Latch(name, cause, detail, now, period(now), end(now))


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


_PERIODS: Final[dict[HaltCause, tuple[Callable[[datetime], str], Callable[[datetime], datetime | None]]]] = {
    HaltCause.DAILY_STOP: (day_id, day_end),
    HaltCause.WEEKLY_STOP: (week_id, week_end),
    HaltCause.DRAWDOWN_STOP: (lambda _: "", lambda _: None),
}
