"""What stands between the bot and normal trading right now, as alerts: each fires once and resolves when it is over."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from bot.domain.decision import Decision, Reason
from bot.domain.event import HALT_ALERT
from bot.domain.order import OrderState
from bot.domain.product import ProductId
from bot.domain.snapshot import Halt, Snapshot
from bot.domain.state import HaltCause, State, is_open
from bot.ops.alerts import Severity
from bot.risk.halts import Protective, halts_in_force, latch_active, permission
from bot.settings.config import Config

Standing = tuple[str, Severity, str, str]
"""Fingerprint, severity, title, detail."""

_SEVERITY: Final[Mapping[HaltCause, Severity]] = {
    HaltCause.RECONCILE_PENDING: Severity.WARNING,
    HaltCause.STALE_DATA: Severity.WARNING,
    HaltCause.BREAKER: Severity.WARNING,
    HaltCause.SHUTDOWN: Severity.INFO,
}
"""Every other cause is CRITICAL."""
NAKED_AFTER: Final = timedelta(minutes=1)
"""How long a position may be without a sell at the exchange before somebody is told."""
GHOST_AFTER: Final = timedelta(minutes=1)
"""How long a list may show an order that was cancelled before somebody is told."""


def standing(
    halts: tuple[Halt, ...], state: State, snapshot: Snapshot | None, decision: Decision | None,
    unprotected: Mapping[ProductId, datetime], config: Config, now: datetime,
) -> Iterator[Standing]:  # fmt: skip
    """Everything that holds after a cycle. snapshot, decision: of this cycle, None when it refused.

    unprotected: markets in which nothing of ours is on sale, each with since when.
    """
    yield from (_halt(halt.cause.value, halt.cause, halt.detail) for halt in halts)
    in_force = (latch for latch in state.latches.values() if latch_active(latch, now))
    yield from (_halt(latch.name, latch.cause, latch.detail) for latch in in_force)
    for breaker in state.open_breakers:
        if is_open(breaker, now):
            yield _halt(f"breaker.{breaker.name}", HaltCause.BREAKER, f"{breaker.name}: {breaker.detail}")
    for market, why in state.quarantined.items():
        detail = f"{why}; `bot adopt {market}` or `bot ignore {market}`"
        yield f"quarantine.{market}", Severity.WARNING, f"{market} is quarantined", detail
    yield from _paused(state, now)
    yield from _ghosts(state, now)
    if snapshot is not None:
        yield from _naked(unprotected, snapshot, state, config, now)
        yield from _drift(snapshot, config)
        yield from _universe(snapshot, decision, config)


def missed(state: State, in_force: Container[str]) -> Iterator[Standing]:
    """What began and is over without an alert in the journal: whoever recorded it was killed, or the disk was full."""
    for name, item in state.untold.items():
        detail = f"it began at {item.since:%Y-%m-%d %H:%M:%S} UTC and is over; nobody was told: {item.detail}"
        told = _halt(name, HaltCause(item.cause), detail, "was")
        if told[0] not in in_force:
            yield told


def feeds_down(complaints: Mapping[str, str]) -> Iterator[Standing]:
    """Live connections that are down for longer than a blip; their data is read by requests meanwhile."""
    for name, why in complaints.items():
        detail = f"{why}; what it told is read by requests until it is back"
        yield f"feed.{name}", Severity.WARNING, f"the {name} feed is down", detail


def _paused(state: State, now: datetime) -> Iterator[Standing]:
    """A pause of everything, as after a losing streak; one of a single product is everyday business."""
    for item in state.cooldowns:
        if item.product is None and now < item.until:
            detail = (
                f"{item.reason}: {state.loss_streak} closed trades in a row lost; nothing is entered before "
                f"{item.until:%Y-%m-%d %H:%M:%S} UTC, exits go on"
            )
            yield f"pause.{item.reason}", Severity.INFO, "every entry is paused", detail


def _ghosts(state: State, now: datetime) -> Iterator[Standing]:
    """Orders that were cancelled and are still listed: whether they can trade, nobody but the exchange knows."""
    for order in state.working:
        first = order.cancel_first_asked_at
        if order.state is OrderState.CANCEL_PENDING and first is not None and now - first > GHOST_AFTER:
            detail = (
                f"{order.side.value} {order.size} {order.product}, {order.order_id}: its cancel was asked at "
                f"{first:%H:%M:%S} UTC; it counts in full until its end is shown, look at the exchange's own order list"
            )
            yield f"ghost.{order.client_order_id}", Severity.CRITICAL, "a cancelled order is still listed", detail


def _naked(
    unprotected: Mapping[ProductId, datetime], snapshot: Snapshot, state: State, config: Config, now: datetime
) -> Iterator[Standing]:
    """Positions whose stop does not rest at the exchange, though the policy wants it to and no halt takes it away."""
    if not (unprotected and config.policy.exits.resting_on_exchange):
        return
    if permission(halts_in_force(state, now, snapshot.halts), config.policy).protective is not Protective.STAY:
        return
    for market, since in unprotected.items():
        if now - since > NAKED_AFTER:
            detail = (
                f"{state.positions[market].size} {market.base} held, none of our sells at the exchange since "
                f"{since:%H:%M:%S} UTC; the bot watches the stop itself and tries again, a dead bot would not"
            )
            yield f"unprotected.{market}", Severity.CRITICAL, f"{market}: no stop rests at the exchange", detail


def _halt(name: str, cause: HaltCause, detail: str, tense: str = "is") -> Standing:
    severity = _SEVERITY.get(cause, Severity.CRITICAL)
    return f"{HALT_ALERT}{name}", severity, f"trading {tense} restricted: {name}", detail


def _drift(snapshot: Snapshot, config: Config) -> Iterator[Standing]:
    skew, limit = snapshot.skew, config.policy.clock.warn_ms
    if skew.samples >= config.policy.clock.min_samples and abs(skew.ms) > float(limit):
        detail = f"our clock is {skew.ms:+.0f} ms from the exchange's, warned from {limit} ms"
        yield "clock.drift", Severity.WARNING, "the clock of this machine drifts", detail


def _universe(snapshot: Snapshot, decision: Decision | None, config: Config) -> Iterator[Standing]:
    """Too few products fit. Those that only wait for more good cycles in a row, as after a start, are not missing."""
    if decision is None:
        return
    waiting = sum(item.reason is Reason.HYSTERESIS for item in decision.excluded)
    if len(decision.eligible) + waiting >= config.universe.min_eligible_assets:
        return
    detail = f"{len(decision.eligible)} of {len(snapshot.markets)} products may be traded"
    yield "universe.empty", Severity.WARNING, "too few products fit to trade", detail
