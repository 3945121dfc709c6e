"""Exits: what is to be sold now, and why. They come first in every cycle and are proposals like any other.

Price exits are measured from the position's average fill price and judged by the best bid, which is what a sale would
fetch; a stop needs `exits.stop_confirmations` quotes in a row beyond it, so that one odd print sells nothing.
Protective orders resting at the venue do not stop an exit of the bot: execution releases them before it sells. Only
positions the bot manages are sold, and only what is not already on offer; dust is left alone.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import ExitReason, TradeProposal
from bot.domain.exit_levels import ExitLevels
from bot.domain.fees import largest_sale
from bot.domain.holdings import sellable, view_of
from bot.domain.money import EXACT, HUNDRED, ONE, ZERO, Price, Size
from bot.domain.order import EXIT, OrderType
from bot.domain.position import Position
from bot.domain.product import SELL, Product, TradingMode
from bot.domain.snapshot import Snapshot
from bot.domain.value import Value
from bot.settings.policy import Policy

MINUTE: Final = timedelta(minutes=1)
_RESTRICTED: Final = frozenset(TradingMode) - {TradingMode.NORMAL}


class Holding(Value):
    """One position with what is needed to judge it.

    bid: the best one now; confirmed: the highest of as many in a row as a stop needs, None when there are fewer.
    """

    position: Position
    product: Product
    bid: Price
    confirmed: Price | None
    levels: ExitLevels
    snap: Snapshot
    policy: Policy

    @property
    def free(self) -> Size | None:
        """Base that may be sold now; None when that is too little for the venue."""
        return largest_sale(self.product, sellable(self.snap, self.position), self.bid)

    def fell_to(self, level: Price | None) -> bool:
        """Whether enough quotes in a row were at or below `level`."""
        return level is not None and self.confirmed is not None and self.confirmed <= level


def proposals(snap: Snapshot, policy: Policy, flatten: bool = False) -> tuple[TradeProposal, ...]:
    """One exit for each position that is due, in the order of the products' ids. flatten: sell everything managed."""
    wanted = []
    positions = snap.state.positions
    for market in sorted(positions):
        holding = _holding(snap, policy, positions[market])
        if holding is not None and (proposal := _due(holding, flatten)) is not None:
            wanted.append(proposal)
    return tuple(wanted)


def _holding(snap: Snapshot, policy: Policy, position: Position) -> Holding | None:
    """None for what the bot may not sell; without a bid nothing can be judged."""
    view = view_of(snap, position.product)
    if not position.managed or view is None or view.quote is None:
        return None
    bids, needed = view.bids or (view.quote.bid,), policy.exits.stop_confirmations
    confirmed = max(bids[-needed:]) if len(bids) >= needed else None
    return Holding(position, view.product, view.quote.bid, confirmed, position.exit_levels, snap, policy)


def _due(holding: Holding, flatten: bool) -> TradeProposal | None:
    """The sale that is due; None when nothing is, or when nothing of it may be sold now."""
    reason = ExitReason.FLATTEN if flatten else _reason(holding)
    if reason is None:
        excess = _above_cap(holding) if holding.policy.exits.trim_to_cap else None
        return None if excess is None else _sell(holding, ExitReason.TRIM_TO_CAP, excess)
    free = holding.free
    return None if free is None else _sell(holding, reason, free)


def _reason(holding: Holding) -> ExitReason | None:
    """Why the whole position is to be sold: the first that holds."""
    levels, snap, product = holding.levels, holding.snap, holding.product
    if holding.fell_to(levels.highest_stop):
        return ExitReason.STOP_LOSS if holding.fell_to(levels.stop) else ExitReason.TRAILING_STOP
    if levels.target is not None and holding.bid >= levels.target and not _resting_target(holding):
        return ExitReason.TAKE_PROFIT
    if snap.state.bans and _banned(holding):
        return ExitReason.BANNED
    if product.mode in _RESTRICTED and _delisting(product):
        return ExitReason.DELISTING
    limit = holding.position.exits.max_hold_minutes
    if limit is not None and snap.now - holding.position.opened_at >= limit * MINUTE:
        return ExitReason.MAX_HOLD
    return None


def _resting_target(holding: Holding) -> bool:
    """A resting take profit at or below the bid is being filled by the venue: crossing the spread would only cost."""
    base = holding.position.product.base
    return any(
        order.type is OrderType.BRACKET and order.product.base == base
        and order.limit_price is not None and order.limit_price <= holding.bid
        for order in holding.snap.state.working
    )  # fmt: skip


def _banned(holding: Holding) -> bool:
    bans, base, now = holding.snap.state.bans, holding.position.product.base, holding.snap.now
    return any(ban.product.base == base and now < ban.until for ban in bans.values())


def _delisting(product: Product) -> bool:
    """Closed by the venue, or restricted on the way out. The gates refuse what cannot be sent, and say so."""
    return product.mode is TradingMode.CLOSED or "delist" in product.mode_reason.lower()


def _above_cap(holding: Holding) -> Size | None:
    """What lies above the cap per asset, once it is above it by more than the tolerance; None when nothing legal is."""
    nlv, policy = holding.snap.valuation.nlv, holding.policy
    if nlv is None or not nlv.is_positive:
        return None
    rate = holding.snap.valuation.marks.get(holding.product.quote)
    if rate is None:
        return None
    cap = policy.risk.max_per_asset_pct.of(nlv).amount
    unit = EXACT.multiply(holding.bid.value, rate)
    worth = EXACT.multiply(holding.position.size.value, unit)
    tolerated = EXACT.multiply(cap, EXACT.add(ONE, EXACT.divide(policy.exits.trim_tolerance_pct.value, HUNDRED)))
    free = holding.free if worth > tolerated else None
    if free is None:
        return None
    excess = EXACT.divide(EXACT.subtract(worth, cap), unit)
    return largest_sale(holding.product, Size(min(_up(excess, holding.product), free.value)), holding.bid)


def _up(amount: Decimal, product: Product) -> Decimal:
    """One increment more than a whole number of them, so that the trim ends below the cap."""
    return EXACT.add(amount, product.size_step) if amount > ZERO else ZERO


def _sell(holding: Holding, reason: ExitReason, size: Size) -> TradeProposal:
    position = holding.position
    return TradeProposal(
        product=holding.product.id,
        side=SELL,
        kind=EXIT,
        size_quote=holding.product.notional(holding.bid, size),
        size_base=size,
        reference=holding.bid,
        rule=position.rule,
        conviction=ONE,
        exits=position.exits,
        exit_reason=reason,
    )
