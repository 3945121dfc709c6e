"""The fill rules: who fills, when, at what price. One set for bars (backtest) and ticks (paper, simulator).

R1  Time comes in slices (market.py). An order never meets a slice that began before the order arrived.
    Bar mode (`latency_bars` n >= 1): it arrives at the opening of the n-th slice that begins at or after its placement
    and lives through the whole of that slice. Tick mode (n = 0): it arrives `latency` after its placement, meets the
    book as it then stands (the end of the newest slice), and rests from the next slice on.
R2  Takers walk the book. A slice's recorded book is taken as it stands; a depth model (the slice's, else the rules') is
    laid around the touch. Without either, a taker gets one price: the touch, made worse by `slippage_bps` and rounded
    to the tick against it, but never beyond its own limit; the touch is mid -+ `half_spread_bps`, the mid being the
    opening in bar mode and the close in tick mode unless the slice records bid and ask.
R3  Resting orders fill as makers. `pessimistic`: only when the price trades strictly through the limit (a touch is not
    a fill), at the limit. `touch`: when the price reaches the limit; in bar mode a bar that opens beyond it fills at
    the opening. Beyond the volume of R4, a recorded book that stands strictly through the limit fills what it shows.
R4  `pessimistic`: all fills of R3, and those takers of R2 that find no book, together get at most `participation_pct`
    of the slice's volume, in whole size steps. `touch`: no such bound. What one order takes the
    next cannot take, and a slice given twice brings nothing new.
R5  Within a slice: what takes at its start, in order of placement; then stops; then resting buys, then resting sells,
    the better price first, then the older. An edit that moves the price or enlarges the size loses its place.
R6  Our orders never match each other. When one of two crossing orders must go, it is the newer: an incoming order is
    cancelled at the price of an older resting one, a newer resting one is cancelled for an older order going live.
R7  IOC and market: what does not fill at once is CANCELLED. FOK: all at once, else CANCELLED without a fill. Post-only:
    refused at create when it would cross; FAILED when it would cross only on arrival. GTD: EXPIRED at `end_time`, and
    in a slice that outlasts it, it no longer fills.
R8  A stop triggers when the slice trades at or beyond the stop; from then on it is a limit order. It fills at once as
    taker from min(start, stop) (falling) or max(start, stop) (rising), where start is the opening, or for an order born
    inside the slice its birth price; made worse by `slippage_bps`, never beyond its limit. A recorded book or depth
    model is walked instead. A gap beyond the limit does not fill: the limit rests, in bar mode at once (only the close
    can then fill it in this bar), in tick mode from the next slice on.
R9  A bracket rests as a take profit and watches its stop. The stop drops the take profit and leaves a stop-limit 5 %
    beyond the trigger. In a slice that holds both prices the stop wins.
R10 An attached bracket is born with its parent's first fill, for exactly what has filled, and grows with it. Born at
    the opening it sees the whole slice. Born inside it, its stop assumes the worst extreme came afterwards, while its
    target fills only if the close proves it.
R11 Market orders and aggressive limits do not fill further from the mid than the protection distance (1, 2 or 3 %); the
    rest is CANCELLED. A triggered stop is bound by its own limit instead.
R12 An order that ran out of liquidity before it ran out of limit goes on taking at the start of the next slices, as
    long as its limit crosses the touch; after that it rests.
R13 No matching while the product's mode is auction, post-only, cancel-only or closed; expiry goes on.
R14 Money: a fill costs price x size and a fee of price x size x rate, exact, the rate being the tier's at placement.
    A quote-sized remainder below one quote step is dust: the order is FILLED. A market buy sized in base holds its cost
    at the protection distance, again on arrival; what the wallet cannot pay for is CANCELLED.

This file holds the rules as functions of values; engine.py applies them to the orders.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from typing import Final

from bot.domain.money import ONE, ZERO, floor_to
from bot.domain.product import BUY, SELL, Product, Side, TradingMode
from bot.domain.value import Value
from bot.venue.exact import add, cut, div, mul, sub, worse_buy, worse_sell
from bot.venue.market import MarketSlice, Offer, Touch, View, touch_around, touch_at_end
from bot.venue.orders import DOWN, StopDirection
from bot.venue.rules import FillRules


def reaches(side: Side, limit: Decimal | None, price: Decimal) -> bool:
    """Whether an order of `side` accepts `price`; without a limit it accepts any."""
    return limit is None or (price <= limit if side is BUY else price >= limit)


_MATCHING: Final = frozenset({TradingMode.NORMAL, TradingMode.LIMIT_ONLY})


def matches_now(mode: TradingMode) -> bool:
    """Whether the venue matches at all while a product is in this mode (R13)."""
    return mode in _MATCHING


def starting_touch(piece: MarketSlice, product: Product, rules: FillRules) -> Touch:
    """The touch met by orders that take at the start of a slice (R2)."""
    if rules.by_bars:
        return touch_around(piece.open, rules.spread, product.price_step)
    return touch_at_end(piece, rules.spread, product.price_step)


def share_of(volume: Decimal, product: Product, rules: FillRules) -> Decimal:
    """Base that fills of one slice may take in total without a book, whole size steps (R4)."""
    return floor_to(mul(volume, rules.participation_pct.fraction), product.size_step)


def single_offer(
    side: Side, limit: Decimal | None, touch: Touch, product: Product, rules: FillRules, size: Decimal | None
) -> Offer | None:
    """The one price a taker gets where no book is known (R2); None when its limit does not cross the touch."""
    first = touch.cross(side)
    if not reaches(side, limit, first):
        return None
    if side is BUY:
        price = worse_buy(mul(first, rules.slippage.buy), product.price_step)
        return Offer(price if limit is None else min(price, limit), size)
    price = worse_sell(mul(first, rules.slippage.sell), product.price_step)
    return Offer(price if limit is None else max(price, limit), size)


def passive_price(side: Side, limit: Decimal, view: View, rules: FillRules) -> Decimal | None:
    """The price at which a resting order fills in what it saw of the slice, or None (R3)."""
    extreme = view.sure_low if side is BUY else view.sure_high
    if extreme is None:
        return None
    if rules.pessimistic:
        return limit if extreme != limit and reaches(side, limit, extreme) else None
    if not reaches(side, limit, extreme):
        return None
    if not rules.by_bars:
        return limit
    return min(view.reference, limit) if side is BUY else max(view.reference, limit)


def trigger_price(direction: StopDirection, stop: Decimal, view: View) -> Decimal | None:
    """The price from which a triggered stop trades (R8), or None when the slice did not reach it."""
    if direction == DOWN:
        return min(view.reference, stop) if view.low <= stop else None
    return max(view.reference, stop) if view.high >= stop else None


def bracket_stop_limit(side: Side, trigger: Decimal, product: Product, rules: FillRules) -> Decimal:
    """Limit left in place of a bracket whose stop triggered (R9), rounded to the tick away from the trigger."""
    beyond = rules.stop_limit_beyond_pct.fraction
    if side is SELL:
        return worse_sell(mul(trigger, sub(ONE, beyond)), product.price_step)
    return worse_buy(mul(trigger, add(ONE, beyond)), product.price_step)


def protection_bound(side: Side, touch: Touch, product: Product, rules: FillRules) -> Decimal | None:
    """Worst price an aggressive order may fill at (R11); None when the rules protect nothing."""
    if not rules.protect:
        return None
    distance = rules.protection_pct(product).fraction
    return mul(touch.mid, add(ONE, distance) if side is BUY else sub(ONE, distance))


class Want(Value):
    """What an order may still take. base: most base; spend: most quote, counting `factor` per unit of value (1 + fee
    rate where the fee comes out of it). step: sizes are multiples of it; None for quote-sized orders."""

    base: Decimal | None
    spend: Decimal | None
    factor: Decimal
    step: Decimal | None

    def room(self, price: Decimal) -> Decimal:
        """Largest size it may take at `price`."""
        if self.spend is None:
            return self.base or ZERO
        paid = div(self.spend, mul(price, self.factor))
        paid = cut(paid) if self.step is None else floor_to(paid, self.step)
        return paid if self.base is None else min(paid, self.base)

    def less(self, take: Take) -> Want:
        spent = None if self.spend is None else sub(self.spend, mul(mul(take.price, take.size), self.factor))
        return Want(None if self.base is None else sub(self.base, take.size), spent, self.factor, self.step)


class Take(Value):
    """What is taken at one price. spread, slippage: in quote, what of its value is the price of taking at once."""

    price: Decimal
    size: Decimal
    spread: Decimal = ZERO
    slippage: Decimal = ZERO


def priced(take: Take, side: Side, mid: Decimal, touch: Touch) -> Take:
    """The same with what it paid from `mid` to the touch it crossed, and from there to its price."""
    first = touch.cross(side)
    steps = (sub(first, mid), sub(take.price, first)) if side is BUY else (sub(mid, first), sub(first, take.price))
    return Take(take.price, take.size, mul(steps[0], take.size), mul(steps[1], take.size))


class End(Enum):
    """Why a taker stopped taking."""

    FILLED = "filled"
    FUNDS = "funds"
    LIMIT = "limit"
    LIQUIDITY = "liquidity"
    PROTECTED = "protected"
    OWN_ORDER = "own_order"


class Swept(Value):
    takes: tuple[Take, ...]
    end: End


class Bounds(Value):
    """Prices a taker does not go beyond: its limit, the protection distance, and our own opposite order."""

    limit: Decimal | None
    protection: Decimal | None = None
    own: Decimal | None = None


def sweep(side: Side, want: Want, offers: Iterable[Offer], bounds: Bounds) -> Swept:
    """Take from `offers`, best first, until the order is filled, out of money, or at one of its bounds."""
    takes: list[Take] = []
    for offer in offers:
        end = _halted(side, offer.price, bounds)
        if end is not None:
            return Swept(tuple(takes), end)
        size = _taken(want, offer)
        if size > 0:
            takes.append(Take(offer.price, size))
            want = want.less(takes[-1])
        if want.room(offer.price) <= 0:
            return Swept(tuple(takes), _exhausted(want))
    own = bounds.own is not None and reaches(side, bounds.limit, bounds.own)
    return Swept(tuple(takes), End.OWN_ORDER if own and bounds.limit is not None else End.LIQUIDITY)


def _halted(side: Side, price: Decimal, bounds: Bounds) -> End | None:
    # Our own order stands in the way even where the market's next offer lies beyond the limit.
    if bounds.own is not None and reaches(side, bounds.limit, bounds.own) and reaches(side, price, bounds.own):
        return End.OWN_ORDER
    if not reaches(side, bounds.limit, price):
        return End.LIMIT
    if bounds.protection is not None and not reaches(side, bounds.protection, price):
        return End.PROTECTED
    return None


def _taken(want: Want, offer: Offer) -> Decimal:
    room = want.room(offer.price)
    if offer.size is None or offer.size >= room:
        return room
    return offer.size if want.step is None else floor_to(offer.size, want.step)


def _exhausted(want: Want) -> End:
    """Nothing more can be taken at this price: done, unless base was wanted and only the money ran out."""
    return End.FILLED if want.base is None or want.base <= 0 else End.FUNDS
