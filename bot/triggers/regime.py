"""Market regime of one leading product: bull, chop, bear or crash, or why it is unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Final

from bot.domain.bars import Granularity, Windows
from bot.domain.decision import Reason, Regime
from bot.domain.snapshot import Problem
from bot.domain.value import Value, field
from bot.errors import UnitError
from bot.settings.policy import RegimePolicy
from bot.triggers.exact import at_least, limit_text, percent_text
from bot.triggers.indicators import RETURN_UNIT

_HOUR = 60
_DAY = 1440
_YEAR = 365 * _DAY


LEAST_HOURS: Final = 24
"""History of the leading product without which the regime stays unknown."""


class RegimeReading(Value):
    """The regime and the numbers behind it. regime None: unknown, `problem` says why, and nothing may be opened."""

    regime: Regime | None
    problem: Problem | None = None
    features: Mapping[str, str] = field(default_factory=dict)


NOT_READ: Final = RegimeReading(Regime.CHOP)
"""What the market counts as where nobody reads it."""


def read(windows: Windows | None, policy: RegimePolicy) -> RegimeReading:
    """Classify the market from the leading product's bars; `enabled: false` is always chop.

    drop(60m) = 1 - c(t) / highest high of the 60 minutes before bar t; r = c(t) / c(t - return_days) - 1;
    volatility = sqrt(mean of squared hourly returns over return_days x hours in 365 days), mean return taken as 0.
    In this order, every limit included: crash when drop(60m) >= crash_drop_60m_pct, r <= -crash_return_pct or
    volatility >= crash_volatility_pct; bull when r >= bull_return_pct; bear when r <= -bear_return_pct; else chop.
    The fast rule needs an hour of bars only. A market younger than return_days is read over the whole hours there are,
    with the same limits; with less than LEAST_HOURS the regime is unknown, never a guess.
    """
    if not policy.enabled:
        return NOT_READ
    if windows is None:
        return _unknown(Reason.BARS_MISSING, f"regime unknown: no bars of {policy.product}")
    close, peak = windows.close(), windows.highest_before(windows.granularity.bars_in(_HOUR))
    if close is not None and peak is not None and at_least((peak - close) * 100, peak, policy.crash_drop_60m_pct):
        limit = limit_text(policy.crash_drop_60m_pct)
        return RegimeReading(Regime.CRASH, None, {"drop_60m": f"{percent_text(peak - close, peak)} (limit {limit})"})
    return _slow(windows, policy)


def needed_bars(policy: RegimePolicy, granularity: Granularity) -> int:
    """Bars of the leading product before the regime is known; 1 when it is never read. Raises UnitError as bars_in."""
    return granularity.bars_in(policy.return_days * _DAY) + 1 if policy.enabled else 1


def check(policy: RegimePolicy, granularity: Granularity) -> Iterator[str]:
    """Why the regime cannot be read from bars of this length, in plain words."""
    if not policy.enabled:
        return
    try:
        granularity.bars_in(_HOUR)
    except UnitError:
        yield (
            f"regime: its 60-minute drop is no whole number of {granularity.name} bars; "
            "use bars of an hour or less, or set regime.enabled: false"
        )
    if policy.bear_return_pct > policy.crash_return_pct:
        yield (
            f"regime: bear_return_pct {policy.bear_return_pct} must not exceed "
            f"crash_return_pct {policy.crash_return_pct}, or bear can never be"
        )


def _slow(windows: Windows, policy: RegimePolicy) -> RegimeReading:
    hour = windows.granularity.bars_in(_HOUR)
    hours = min(policy.return_days * _DAY // _HOUR, (windows.length - 1) // hour)
    span = hours * hour
    if hours < LEAST_HOURS:
        return _unknown(
            Reason.DATA_UNAVAILABLE,
            f"regime unknown: {windows.product} has {windows.length} bars, "
            f"{LEAST_HOURS * hour + 1} are needed for the least history of {LEAST_HOURS} hours",
        )
    close, start, squares = windows.close(), windows.close(span), windows.return_square_sum(hours, hour)
    if close is None or start is None or squares is None:
        return _unknown(
            Reason.DATA_UNAVAILABLE,
            f"regime unknown: the bars of {windows.product} end before {span + 1} of {windows.length}",
        )
    change = (close - start) * 100
    features = {
        "return": f"{percent_text(close - start, start)} in {hours} h",
        "volatility": f"{sqrt(squares * (_YEAR // _HOUR) / hours) * 100 / RETURN_UNIT:.1f} % a year",
    }
    if at_least(-change, start, policy.crash_return_pct) or _wild(squares, hours, policy):
        return RegimeReading(Regime.CRASH, None, features)
    if at_least(change, start, policy.bull_return_pct):
        return RegimeReading(Regime.BULL, None, features)
    bear = at_least(-change, start, policy.bear_return_pct)
    return RegimeReading(Regime.BEAR if bear else Regime.CHOP, None, features)


def _wild(squares: int, hours: int, policy: RegimePolicy) -> bool:
    """Annualised volatility >= limit, both squared: squares / hours x 8760 / unit^2 >= (limit / 100)^2."""
    top, bottom = policy.crash_volatility_pct.as_integer_ratio()
    return squares * (_YEAR // _HOUR) * (100 * bottom) ** 2 >= top**2 * hours * RETURN_UNIT**2


def _unknown(reason: Reason, detail: str) -> RegimeReading:
    return RegimeReading(None, Problem(reason, detail))
