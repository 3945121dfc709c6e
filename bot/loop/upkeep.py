"""What time and observation make due in the books: periods, peaks, stops, expiries, breakers, cooldowns, marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from bot.domain.event import (
    ApprovalAnswered,
    BreakerChanged,
    CooldownBegan,
    FillBooked,
    Payload,
    PositionMarked,
)
from bot.domain.money import ZERO
from bot.domain.order import PROTECTIVE
from bot.domain.product import SELL, ProductId
from bot.domain.snapshot import MarketView, Valuation
from bot.domain.state import State
from bot.risk import breakers, cooldowns, stops
from bot.settings.policy import Policy

Record = Callable[[Payload], object]


def due(
    state: State, valuation: Valuation, views: Mapping[ProductId, MarketView], fills: Iterable[FillBooked],
    policy: Policy, now: datetime,
) -> list[Payload]:  # fmt: skip
    """What an observation makes due in the books as it found them: none of it hangs on what the others change.

    fills: those that this observation booked. now: the time by which periods end.
    """
    return [
        *_expiries(state, now),
        *stops.rolled(state, valuation, now),
        *stops.peak(state, valuation),
        *high_marks(state, views),
        *pauses_after(fills, state, policy),
    ]


def _expiries(state: State, now: datetime) -> Sequence[Payload]:
    """Approvals and period latches whose time is over."""
    if not (state.approvals or state.latches):
        return ()
    over = [item for item in state.approvals.values() if item.expires_at <= now]
    return (*[ApprovalAnswered(item.id, "expired", "time") for item in over], *stops.ended(state, now))


def high_marks(state: State, views: Mapping[ProductId, MarketView]) -> Iterator[PositionMarked]:
    """New highest bids of positions with a trailing stop."""
    for market, position in state.positions.items():
        if position.exits.trailing_stop_pct is None:
            continue
        view = views.get(market)
        if view is None or view.quote is None:
            continue
        if position.high_mark is None or view.quote.bid > position.high_mark:
            yield PositionMarked(market, view.quote.bid)


def breaker_hit(kind: str, state: State, policy: Policy, now: datetime, detail: str) -> BreakerChanged | None:
    """The breaker `kind` after one more counted event; None when nothing changed."""
    before = state.breakers.get(kind) or breakers.closed(kind)
    after = breakers.hit(before, now, breakers.breaker_policy(policy.risk.breakers, kind), detail)
    return BreakerChanged(after) if after != before else None


def pauses_after(fills: Iterable[FillBooked], state: State, policy: Policy) -> Iterator[CooldownBegan]:
    """Cooldowns that booked fills of ours begin, the loss streak included.

    state: after the fills were booked. A sale at a loss by a protective order, or by an exit whose reason was a stop,
    is a stop-out.
    """
    for fill in fills:
        if fill.foreign:
            continue
        market = fill.market or fill.product
        pause = cooldowns.after_fill(market, fill.at, stopped_out(fill, state), policy.risk)
        if pause is not None:
            yield CooldownBegan(pause)
        if fill.side is SELL and _lost(fill):
            streak = cooldowns.after_streak(state.loss_streak, fill.at, policy.risk)
            held = state.positions.get(market)
            if streak is not None and (held is None or not held.managed):
                yield CooldownBegan(streak)


def stopped_out(fill: FillBooked, state: State) -> bool:
    """Whether a fill of ours sold at a loss because a stop was hit, at the venue or by the bot."""
    if fill.side is not SELL or not _lost(fill):
        return False
    order = state.orders.get(fill.client_order_id)
    if order is None:
        return False
    intent = state.intents.get(order.intent)
    stopped = intent is not None and "stop" in intent.why
    return order.kind is PROTECTIVE or stopped


def _lost(fill: FillBooked) -> bool:
    return fill.realised is not None and fill.realised < ZERO
