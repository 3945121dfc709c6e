"""Gates that ask whether anything may be done at all: halts, environment, data, venue, clock, breakers, loss stops."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Allow, Measure, Reason, Reject, Verdict
from bot.domain.money import EXACT, Percent, decimal_text, quantised
from bot.domain.order import OrderType
from bot.domain.product import TradingMode
from bot.domain.snapshot import Environment, Halt, Mode, StatusLevel
from bot.domain.state import HaltCause, is_open
from bot.risk.breakers import STATUS, breaker_policy, scope_of
from bot.risk.context import Candidate, RiskContext
from bot.risk.exposure import ExposureBook
from bot.risk.halts import REASONS, TABLE

NO_KILL: Final = Allow(note="the kill switch is off")
FLATTENS: Final = Allow(note="the kill switch is on, kill_switch.on_halt sells what is held")
NO_HALT: Final = Allow(note="no halt and no latch is in force")
EXITS_GO_ON: Final = Allow(note="what is halted lets exits go on")
NO_BREAKER: Final = Allow(note="no breaker is open for it")
RUNS_HERE: Final[Mapping[tuple[Environment, Mode], Allow]] = {
    (env, mode): Allow(note=f"{mode.value} may run in {env.value}") for env in Environment for mode in Mode
}
STATUS_SAYS: Final[Mapping[StatusLevel, Allow]] = {
    level: Allow(note=f"the status page says {level.value}, which stops nothing") for level in StatusLevel
}
MODE_IS: Final[Mapping[TradingMode, Allow]] = {mode: Allow(note=f"trading mode {mode.value}") for mode in TradingMode}

EXIT_TYPES: Final[Mapping[TradingMode, tuple[OrderType, ...]]] = {
    TradingMode.NORMAL: (OrderType.LIMIT_IOC, OrderType.LIMIT_POST_ONLY, OrderType.MARKET),
    TradingMode.LIMIT_ONLY: (OrderType.LIMIT_IOC, OrderType.LIMIT_POST_ONLY),
    TradingMode.POST_ONLY: (OrderType.LIMIT_POST_ONLY,),
    TradingMode.AUCTION: (),  # nothing matches, and what rests may fill at the auction's price
    TradingMode.CANCEL_ONLY: (),
    TradingMode.CLOSED: (),
}
"""How a position may be left in each mode of its product, best first."""

TENTH_OF_SECOND, TENTH_OF_MINUTE = timedelta(milliseconds=100), timedelta(seconds=6)
_TENTH: Final = Decimal("0.1")

# Each has its own row further up or down, which knows more about it.
_ELSEWHERE: Final = frozenset({HaltCause.KILL_SWITCH, HaltCause.BREAKER})


def kill_switch(want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    killed = next((halt for halt in ctx.halts if halt.cause is HaltCause.KILL_SWITCH), None)
    if killed is None:
        return NO_KILL
    if not want.is_entry and _permits_exit(killed, ctx):
        return FLATTENS
    rule = f"on_halt is {ctx.policy.kill_switch.on_halt}"
    return Reject(
        Reason.KILL_SWITCH, f"kill switch since {killed.since:%H:%M:%S} ({killed.detail}), {rule}; remove the file"
    )


def halts(want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    """Halts and latches other than the kill switch and breakers."""
    for halt in ctx.halts:
        if halt.cause in _ELSEWHERE or (not want.is_entry and _permits_exit(halt, ctx)):
            continue
        ends = TABLE[halt.cause](halt, ctx.policy).ends
        latched = halt.name in ctx.snap.state.latches
        reason = Reason.LATCHED if latched else REASONS[halt.cause]
        return Reject(
            reason, f"{halt.cause.value} since {halt.since:%Y-%m-%d %H:%M:%S}: {halt.detail}; ends with {ends}"
        )
    return EXITS_GO_ON if any(halt.cause not in _ELSEWHERE for halt in ctx.halts) else NO_HALT


def environment(_want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    """What may run where is refused at the start already; this is its last line."""
    if ctx.snap.env is Environment.PRODUCTION and ctx.snap.mode is Mode.PAPER:
        return Reject(Reason.ENVIRONMENT, "paper does not run in production; use dry_run there, or ENV=staging")
    return RUNS_HERE[ctx.snap.env, ctx.snap.mode]


def data_freshness(want: Candidate, book: ExposureBook, ctx: RiskContext) -> Verdict:
    """Equity, the market's quote, its bars and its metadata must all be known and young."""
    refused = _account_unknown(book, ctx) or _market_unknown(want, ctx) or _metadata_old(want, ctx)
    return refused or Allow(_ages(want, ctx))


def exchange_status(_want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    """Only a stated outage of a matched component counts; an unreachable page is no statement."""
    status = ctx.snap.exchange_status
    if STATUS[status.level] not in ctx.policy.exchange_status.levels:
        return STATUS_SAYS[status.level]
    return Reject(
        Reason.EXCHANGE_STATUS, f"status page says {status.level.value}: {status.detail}; ends when the page clears"
    )


def product_status(want: Candidate, _book: ExposureBook, _ctx: RiskContext) -> Verdict:
    product = want.product
    if product is None:
        return Reject(
            Reason.PRODUCT_STATUS, f"{want.proposal.product} is not among the markets known; wait for its metadata"
        )
    if product.mode is TradingMode.NORMAL or (not want.is_entry and EXIT_TYPES[product.mode]):
        return MODE_IS[product.mode]
    what = "an entry needs normal trading" if want.is_entry else "no order that could close it is taken"
    return Reject(
        Reason.PRODUCT_STATUS,
        f"{product.id} is {product.mode.value} ({product.mode_reason}): {what}; wait for the venue",
    )


def clock(_want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    skew, policy = ctx.snap.skew, ctx.policy.clock
    if skew.samples < policy.min_samples:
        count, least = Decimal(skew.samples), Decimal(policy.min_samples)
        return Allow(
            (Measure("measurements", count, least, key="clock.min_samples", floor=True),),
            "too few to judge the clock by",
        )
    off = abs(skew.ms)
    if math.isfinite(off) and off <= policy.no_entries_ms:
        told = quantised(Decimal(off), 1)
        return Allow((Measure("clock off by", told, policy.no_entries_ms, "ms", "clock.no_entries_ms"),))
    limit = decimal_text(policy.no_entries_ms)
    return Reject(
        Reason.CLOCK_SKEW, f"clock is {skew.ms} ms off exchange time, limit {limit} ms; synchronise the clock"
    )


def circuit_breakers(want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    """Open breakers of the account, and those of this product."""
    for state in ctx.snap.state.breakers.values():
        scope = scope_of(state.name)
        if not is_open(state, ctx.snap.now) or (scope is not None and scope.base != want.base):
            continue
        if not want.is_entry and breaker_policy(ctx.policy.risk.breakers, state.name).exits_allowed:
            continue
        until = "an operator resets it" if state.until is None else f"{state.until:%H:%M:%S}"
        return Reject(Reason.CIRCUIT_BREAKER, f"{state.name} is open ({state.detail}) until {until}")
    return _halted_breaker(want, ctx)


def loss_stops(_want: Candidate, _book: ExposureBook, ctx: RiskContext) -> Verdict:
    """The figures themselves, in case a breach is not latched yet; an unknown figure permits nothing."""
    figures, limits = ctx.snap.performance, ctx.policy.risk
    rows = (
        ("drawdown", figures.drawdown_pct, limits.max_drawdown_pct, Reason.DRAWDOWN_STOP, "risk.max_drawdown_pct"),
        ("daily result", figures.daily_pnl_pct, limits.daily_stop_pct, Reason.DAILY_STOP, "risk.daily_stop_pct"),
        ("weekly result", figures.weekly_pnl_pct, limits.weekly_stop_pct, Reason.WEEKLY_STOP, "risk.weekly_stop_pct"),
    )
    measured = []
    for name, figure, limit, reason, key in rows:
        if limit is None:
            continue
        refused = _stopped(name, figure, limit, reason)
        if refused is not None:
            return refused
        if figure is not None:
            measured.append(Measure(name, figure, EXACT.minus(limit.value), "%", key, floor=True))
    return Allow(tuple(measured))


def _permits_exit(halt: Halt, ctx: RiskContext) -> bool:
    return TABLE[halt.cause](halt, ctx.policy).exits


def _account_unknown(book: ExposureBook, ctx: RiskContext) -> Reject | None:
    snap = ctx.snap
    if snap.unread:
        return Reject(Reason.DATA_FRESHNESS, f"the account could not be read in this cycle: {snap.unread}")
    if ctx.equity is None:
        value = snap.valuation.problem or f"it is {snap.valuation.nlv}"
        return Reject(
            Reason.NLV_UNKNOWN, f"equity is not known: {value}; nothing is sized until every part has a price"
        )
    if book.unknown:
        return Reject(Reason.NLV_UNKNOWN, f"exposure is not known: {book.unknown[0]}")
    if snap.stale_fraction > ctx.policy.data.max_stale_fraction:
        share, limit = decimal_text(snap.stale_fraction), decimal_text(ctx.policy.data.max_stale_fraction)
        return Reject(Reason.TOO_MANY_STALE, f"{share} of the markets have no fresh quote, limit {limit}")
    return None


def _market_unknown(want: Candidate, ctx: RiskContext) -> Reject | None:
    view, limit = want.view, ctx.policy.data.max_quote_staleness_seconds
    if view is None:
        return Reject(Reason.DATA_FRESHNESS, f"nothing is known of {want.proposal.product} in this cycle")
    if view.quote is None or view.windows is None:
        problem = view.quote_problem if view.quote is None else view.bars_problem
        what = "quote" if view.quote is None else "bars"
        why = problem.detail if problem is not None else "none came"
        return Reject(Reason.DATA_FRESHNESS, f"{view.product.id} has no usable {what}: {why}")
    age = view.quote.age_s(ctx.snap.now)
    if age > limit:
        return Reject(Reason.DATA_FRESHNESS, f"quote of {view.product.id} is {age:.1f} s old, limit {limit} s")
    return None


def _metadata_old(want: Candidate, ctx: RiskContext) -> Reject | None:
    if want.product is None:
        return None
    age, minutes = ctx.snap.now - want.product.as_of, ctx.policy.data.product_max_age_minutes
    if age <= timedelta(seconds=int(minutes * 60)):
        return None
    return Reject(
        Reason.METADATA_STALE, f"steps and status of {want.product.id} are {age} old, limit {minutes} min; refresh them"
    )


def _ages(want: Candidate, ctx: RiskContext) -> tuple[Measure, ...]:
    """How old the data is that was found young enough."""
    data, now, found = ctx.policy.data, ctx.snap.now, []
    if want.quote is not None:
        age, most = _tenths(now - want.quote.at, TENTH_OF_SECOND), data.max_quote_staleness_seconds
        found.append(Measure("quote age", age, most, "s", "data.max_quote_staleness_seconds"))
    share, most = ctx.snap.stale_fraction, data.max_stale_fraction
    found.append(Measure("share of stale markets", share, most, "", "data.max_stale_fraction"))
    if want.product is not None:
        age, most = _tenths(now - want.product.as_of, TENTH_OF_MINUTE), data.product_max_age_minutes
        found.append(Measure("metadata age", age, most, "min", "data.product_max_age_minutes"))
    return tuple(found)


def _tenths(age: timedelta, tenth: timedelta) -> Decimal:
    """An age in units, in whole tenths of one; never negative."""
    return EXACT.multiply(max(0, age // tenth), _TENTH)


def _halted_breaker(want: Candidate, ctx: RiskContext) -> Verdict:
    """A breaker the observer reported open although the state does not hold it."""
    for halt in ctx.halts:
        if halt.cause is HaltCause.BREAKER and (want.is_entry or not _permits_exit(halt, ctx)):
            return Reject(Reason.CIRCUIT_BREAKER, f"{halt.name or 'a breaker'} is open: {halt.detail}")
    return NO_BREAKER


def _stopped(name: str, figure: Decimal | None, limit: Percent, reason: Reason) -> Reject | None:
    if figure is None or not figure.is_finite():
        return Reject(reason, f"{name} is not known, limit -{limit}; wait until every holding has a price")
    if figure <= -limit.value:
        return Reject(reason, f"{name} is {decimal_text(figure)} %, limit -{limit}")
    return None
