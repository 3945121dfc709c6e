"""The one protective sell that rests at the venue for each position, so that a dead bot still has its stop.

Pure planning: what should rest there, and the step from what does rest to that. The stop lies where the position's own
exits put it; a bracket also needs a target, and takes a far one when the rule named none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.exit_levels import ExitLevels
from bot.domain.fees import largest_sale
from bot.domain.market import Quote
from bot.domain.money import Percent, Price, Size
from bot.domain.order import PROTECTIVE, Bracket, OrderState, OrderType
from bot.domain.position import Exits, Position
from bot.domain.product import SELL, Product
from bot.domain.state import Order
from bot.domain.value import Value
from bot.settings.policy import ExitsPolicy, ProtectiveStyle

RATCHET_SHARE: Final = Decimal("0.25")
"""A trailing stop at the venue follows when it lags by this share of the trailing distance: not on every tick."""

UNSUPPORTED_FOR: Final = timedelta(minutes=30)
"""A kind of order the venue said it does not offer is not sent again for so long: the answer would be the same."""

_UNSUPPORTED: Final = ("UNSUPPORTED_ORDER_CONFIGURATION", "ORDER_NOT_SUPPORTED", "INVALID_ORDER_CONFIG")
_BPS_PER_PERCENT: Final = Decimal(100)
_SETTLING: Final = frozenset({OrderState.NEW, OrderState.SUBMITTED, OrderState.UNKNOWN, OrderState.CANCEL_PENDING})


class Cover(Value):
    """A protective sell: BRACKET (limit_price is the target) or STOP_LIMIT (limit_price lies below the stop)."""

    type: OrderType
    size: Size
    limit_price: Price
    stop_price: Price


class Keep(Value):
    why: str


class Place(Value):
    cover: Cover


class Replace(Value):
    """Cancel `orders`, see them gone, then place `cover`."""

    orders: tuple[Order, ...]
    cover: Cover
    why: str


class CancelFirst(Value):
    """Cancel `orders`; nothing may be placed before they are gone."""

    orders: tuple[Order, ...]
    why: str


class ExitNow(Value):
    """The price is already beyond a leg: the venue would refuse the order, and the position is due to be sold."""

    why: str


IN_STEP: Final = Keep("in step")
"""What rests is what should rest, whatever the price does."""

Plan = Keep | Place | Replace | CancelFirst | ExitNow


class Scene(Value):
    """What the plan depends on besides the position.

    sellable: base that may be sold, our own protective orders not counted as an offer. last_trade: stops trigger on it.
    lagging: the wallet shows less than the books; while an order of ours holds coins there, that is the wallet's delay.
    buying: an entry of ours may still add to the position; selling: an exit of ours owns the sell side.
    """

    product: Product
    quote: Quote | None
    last_trade: Price | None
    sellable: Size
    buying: bool = False
    selling: bool = False
    lagging: bool = False


def offered(orders: Iterable[Order], policy: ExitsPolicy, now: datetime) -> ExitsPolicy | None:
    """The exits with a kind of protective order the venue takes for a base: the policy's, else a stop-limit.

    orders: all of ours for it, with the refused ones. None while it takes neither: the bot watches the stop alone.
    """
    rejected = [o for o in orders if o.kind is PROTECTIVE and o.state is OrderState.REJECTED]
    if not rejected:
        return policy
    refused = {order.type for order in rejected if _unsupported(order, now)}
    if OrderType.STOP_LIMIT in refused:
        return None
    return policy.model_copy(update={"style": ProtectiveStyle.STOP_LIMIT}) if refused else policy


def _unsupported(order: Order, now: datetime) -> bool:
    recent = now - order.changed_at < UNSUPPORTED_FOR
    return recent and any(name in order.why.upper() for name in _UNSUPPORTED)


def protective_plan(position: Position, working: Sequence[Order], scene: Scene, policy: ExitsPolicy) -> Plan:
    """The next step for one position. working: our protective sells of it that the venue may still hold."""
    held = tuple(working)
    if [order for order in held if order.state in _SETTLING]:
        return Keep("a protective order is not settled yet")
    if scene.selling:
        return Keep("an exit owns the sell side")
    if not (policy.resting_on_exchange and position.managed) or position.size.is_zero:
        return CancelFirst(held, "nothing to protect") if held else Keep("nothing to protect")
    if len(held) > 1:
        return CancelFirst(held[1:], "one protective order a position")
    if scene.lagging and held and scene.sellable < held[0].remaining <= position.size:
        return Keep("the wallet has not caught up with the books")
    cover = wanted_cover(position, scene, policy)
    if cover is None:
        return CancelFirst(held, "no stop asked, or dust") if held else Keep("no stop asked, or dust")
    return _adjust(position, held[0], cover, scene) if held else _start(cover, scene)


def wanted_cover(position: Position, scene: Scene, policy: ExitsPolicy) -> Cover | None:
    """What should rest at the venue; None when the exits name no stop or the size cannot be sold at it."""
    levels = position.exit_levels
    if levels.highest_stop is None or scene.sellable.is_zero:
        return None
    stop = scene.product.passive(levels.highest_stop, SELL)
    limit = _limit_leg(position, levels, stop, scene.product, policy)
    kind = OrderType.STOP_LIMIT if policy.style is ProtectiveStyle.STOP_LIMIT else OrderType.BRACKET
    if limit is None:
        return None
    size = largest_sale(scene.product, min(position.size, scene.sellable), min(limit, stop))
    return None if size is None else Cover(kind, size, limit, stop)


def bracket_legs(price: Price, exits: Exits, policy: ExitsPolicy) -> Bracket | None:
    """Legs for an entry at `price` that carries its bracket; not rounded. None when no stop is asked for."""
    downs = [pct for pct in (exits.stop_loss_pct, exits.trailing_stop_pct) if pct is not None]
    up = exits.take_profit_pct if exits.take_profit_pct is not None else policy.bracket_without_target_pct.value
    if not downs or up <= 0 or not 0 < min(downs) < 100:
        return None
    return Bracket(_moved(price, up), _moved(price, -min(downs)))


def _moved(price: Price, percent: Decimal) -> Price:
    return price.shifted(percent * _BPS_PER_PERCENT)


def _limit_leg(
    position: Position, levels: ExitLevels, stop: Price, product: Product, policy: ExitsPolicy
) -> Price | None:
    if policy.style is ProtectiveStyle.STOP_LIMIT:
        return _below(stop, policy.stop_limit_offset_pct, product)
    target = levels.target
    if target is None and (entry := position.entry_price) is not None:
        target = _moved(entry, policy.bracket_without_target_pct.value)
    rounded = None if target is None else product.passive(target, SELL)
    return rounded if rounded is not None and rounded > stop else None


def _below(stop: Price, offset: Percent, product: Product) -> Price | None:
    """The limit of a stop-limit: far enough below the stop to be filled in a falling market."""
    if offset.value >= 100:
        return None
    return product.passive(_moved(stop, -offset.value), SELL)


def _start(cover: Cover, scene: Scene) -> Plan:
    if scene.quote is None:
        return Keep("no usable quote to place a stop against")
    low = scene.quote.bid if scene.last_trade is None else min(scene.quote.bid, scene.last_trade)
    if cover.stop_price >= low:
        return ExitNow(f"the stop {cover.stop_price} is not below the market at {low}")
    if cover.type is OrderType.BRACKET and cover.limit_price <= scene.quote.bid:
        return ExitNow(f"the target {cover.limit_price} is not above the bid {scene.quote.bid}")
    return Place(cover)


def _adjust(position: Position, resting: Order, cover: Cover, scene: Scene) -> Plan:
    if resting.remaining.value > cover.size.value and resting.remaining > scene.sellable:
        return Replace((resting,), cover, f"{resting.remaining} on offer, {scene.sellable} held")
    if resting.remaining != cover.size:
        if scene.buying:
            return Keep("the entry is still filling")
        return _replaced(resting, cover, scene, f"the position is {cover.size}, {resting.remaining} protected")
    if _lags(position, resting, cover):
        return _replaced(resting, cover, scene, f"the stop trails to {cover.stop_price}")
    return IN_STEP


def _replaced(resting: Order, cover: Cover, scene: Scene, why: str) -> Plan:
    """A replacement the venue would refuse is not begun: the order that rests is better than none."""
    start = _start(cover, scene)
    return Replace((resting,), cover, why) if isinstance(start, Place) else Keep("the market is beyond the new legs")


def _lags(position: Position, resting: Order, cover: Cover) -> bool:
    trailing = position.exits.trailing_stop_pct
    if trailing is None or resting.stop_price is None:
        return False
    return cover.stop_price > _moved(resting.stop_price, trailing * RATCHET_SHARE)
