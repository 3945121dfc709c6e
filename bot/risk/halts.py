"""The halt table: what each cause permits, as data; several causes together permit what the strictest does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import IntEnum
from typing import Final

from bot.domain.decision import Reason
from bot.domain.snapshot import Halt, Snapshot
from bot.domain.state import BreakerState, HaltCause, Latch, State, is_open
from bot.domain.value import Value, replace
from bot.risk.breakers import NAMES, breaker_kind, breaker_policy, scope_of
from bot.settings.policy import BreakerPolicy, Policy


class Protective(IntEnum):
    """What becomes of the protective sells resting at the venue, mildest first."""

    STAY = 0
    CANCEL = 1
    FLATTEN = 2  # replaced by selling everything the bot manages


class Permission(Value):
    """What may be done while some halts are in force.

    entries: new buys. cancel_entries: our working entries are cancelled. exits: sells decided by the bot.
    ends: what ends the halt, for people. exit_code: of the process, when the cause ends it (kill: only with --once).
    """

    entries: bool
    cancel_entries: bool
    protective: Protective
    exits: bool
    ends: str
    exit_code: int | None = None


FREE: Final = Permission(entries=True, cancel_entries=False, protective=Protective.STAY, exits=True, ends="")

Row = Callable[[Halt, Policy], Permission]


def _always(permission: Permission) -> Row:
    return lambda _halt, _policy: permission


def _exits_go_on(ends: str) -> Row:
    """No entries, ours are cancelled, everything that protects or closes goes on."""
    return _always(Permission(False, True, Protective.STAY, True, ends))


def _nothing_sent(ends: str) -> Row:
    """No entries, ours are cancelled, and no sell either: books or journal cannot carry one."""
    return _always(Permission(False, True, Protective.STAY, False, ends))


def _kill(_halt: Halt, policy: Policy) -> Permission:
    protective = {
        "hold_protected": Protective.STAY,
        "hold_naked": Protective.CANCEL,
        "flatten": Protective.FLATTEN,
    }[policy.kill_switch.on_halt]
    exits = protective is Protective.FLATTEN
    return Permission(False, True, protective, exits, "kill file gone and one clean reconcile", 6)


def _by_breaker(policy: BreakerPolicy, ends: str) -> Permission:
    return Permission(False, policy.cancel_entries, Protective.STAY, policy.exits_allowed, ends)


def _breaker(halt: Halt, policy: Policy) -> Permission:
    known = breaker_kind(halt.name) in NAMES
    declared = breaker_policy(policy.risk.breakers, halt.name) if known else BreakerPolicy()
    return _by_breaker(declared, "cool-off over, or reset when it latches")


def _stale(_halt: Halt, policy: Policy) -> Permission:
    return _by_breaker(policy.risk.breakers.stale_data, "quotes fresh again")


def _pending(_halt: Halt, policy: Policy) -> Permission:
    return _by_breaker(policy.risk.breakers.reconcile_mismatch, "books and exchange agree again")


def _shutdown(_halt: Halt, policy: Policy) -> Permission:
    cancel = policy.execution.on_shutdown == "cancel"
    return Permission(False, cancel, Protective.STAY, False, "the process ends (7 when orders may still work)", 0)


TABLE: Final[Mapping[HaltCause, Row]] = {
    HaltCause.KILL_SWITCH: _kill,
    HaltCause.DAILY_STOP: _exits_go_on("the UTC day, or resume --latch"),
    HaltCause.WEEKLY_STOP: _exits_go_on("the ISO week, or resume --latch"),
    HaltCause.DRAWDOWN_STOP: _exits_go_on("resume --latch"),
    HaltCause.GOVERNOR: _exits_go_on("resume --latch"),
    HaltCause.BREAKER: _breaker,
    HaltCause.STALE_DATA: _stale,
    HaltCause.RECONCILE_PENDING: _pending,
    HaltCause.EXIT_ONLY: _exits_go_on("the cause gone"),
    HaltCause.AUTH_DEGRADED: _exits_go_on("the key accepted again"),
    HaltCause.NLV_UNKNOWN: _exits_go_on("every holding priced again"),
    HaltCause.CLOCK_SKEW: _exits_go_on("clock within limits of exchange time"),
    # No age of a quote, no expiry and no signature can be believed any more; resting stops need no clock of ours.
    HaltCause.CLOCK_REFUSED: _nothing_sent("clock within limits of exchange time"),
    # Whose positions these are is not known, so nothing is sold until a person says so; resting stops go on.
    HaltCause.START_HALTED: _nothing_sent("an operator repaired or restored the state"),
    HaltCause.FOREIGN_INSTANCE: _nothing_sent("the other instance gone and an operator's word"),
    # An exit needs a durable intent first; without a journal none may leave.
    HaltCause.STORAGE: _nothing_sent("writes work again"),
    HaltCause.SHUTDOWN: _shutdown,
}  # fmt: skip

REASONS: Final[Mapping[HaltCause, Reason]] = {
    HaltCause.KILL_SWITCH: Reason.KILL_SWITCH,
    HaltCause.DAILY_STOP: Reason.DAILY_STOP,
    HaltCause.WEEKLY_STOP: Reason.WEEKLY_STOP,
    HaltCause.DRAWDOWN_STOP: Reason.DRAWDOWN_STOP,
    HaltCause.GOVERNOR: Reason.LATCHED,
    HaltCause.BREAKER: Reason.CIRCUIT_BREAKER,
    HaltCause.STALE_DATA: Reason.TOO_MANY_STALE,
    HaltCause.RECONCILE_PENDING: Reason.RECONCILE_PENDING,
    HaltCause.EXIT_ONLY: Reason.EXIT_ONLY,
    HaltCause.AUTH_DEGRADED: Reason.EXIT_ONLY,
    HaltCause.NLV_UNKNOWN: Reason.NLV_UNKNOWN,
    HaltCause.CLOCK_SKEW: Reason.CLOCK_SKEW,
    HaltCause.CLOCK_REFUSED: Reason.CLOCK_SKEW,
    HaltCause.START_HALTED: Reason.HALTED,
    HaltCause.FOREIGN_INSTANCE: Reason.HALTED,
    HaltCause.STORAGE: Reason.STORAGE_FAILED,
    HaltCause.SHUTDOWN: Reason.SHUTTING_DOWN,
}
"""The reason a cycle gives when this cause decided it."""


def permission(halts: Iterable[Halt], policy: Policy) -> Permission:
    """What all `halts` together permit: the strictest of each column."""
    result = FREE
    for halt in halts:
        result = strictest(result, TABLE[halt.cause](halt, policy))
    if result.protective is Protective.FLATTEN and not result.exits:
        # Taking the stops away while nothing may be sold would leave the position naked.
        return replace(result, protective=Protective.STAY)
    return result


def strictest(one: Permission, other: Permission) -> Permission:
    """The combination that forbids whatever either forbids."""
    codes = [code for code in (one.exit_code, other.exit_code) if code is not None]
    ends = [text for text in (one.ends, other.ends) if text]
    return Permission(
        entries=one.entries and other.entries,
        cancel_entries=one.cancel_entries or other.cancel_entries,
        protective=max(one.protective, other.protective),
        exits=one.exits and other.exits,
        ends="; ".join(dict.fromkeys(ends)),
        exit_code=max(codes, default=None),
    )


def active_halts(snap: Snapshot) -> tuple[Halt, ...]:
    """Every halt in force: those observed, the latches that have not ended, the open breakers of the whole market.

    A breaker of one product is no halt: the gate for circuit breakers stops that product alone.
    """
    return halts_in_force(snap.state, snap.now, snap.halts)


def halts_in_force(state: State, now: datetime, observed: tuple[Halt, ...]) -> tuple[Halt, ...]:
    """`active_halts` of a state at a time, under what was observed."""
    if not (observed or state.latches or state.open_breakers):
        return ()
    found = {(h.cause, h.name): h for h in (*latch_halts(state, now), *breaker_halts(state, now))}
    if not found:
        return tuple({(halt.cause, halt.name): halt for halt in observed}.values())
    seen = {halt.cause for halt in found.values()}
    kept = {(h.cause, h.name): h for h in observed if h.name or h.cause not in seen}
    return tuple((kept | found).values())


def latch_halts(state: State, now: datetime) -> tuple[Halt, ...]:
    """One halt for each latch whose period has not ended."""
    return tuple(
        Halt(latch.cause, latch.detail, latch.since, latch.name)
        for latch in state.latches.values()
        if latch_active(latch, now)
    )


def latch_active(latch: Latch, now: datetime) -> bool:
    """Whether it holds at `now`; without an end only an operator ends it."""
    return latch.ends_at is None or now < latch.ends_at


def breaker_halts(state: State, now: datetime) -> tuple[Halt, ...]:
    """One halt for each open breaker that is not about a single product."""
    return tuple(
        Halt(HaltCause.BREAKER, f"{breaker.name}: {breaker.detail}", breaker.since or now, breaker.name)
        for breaker in state.open_breakers
        if _market_wide(breaker, now)
    )


def _market_wide(state: BreakerState, now: datetime) -> bool:
    return is_open(state, now) and scope_of(state.name) is None
