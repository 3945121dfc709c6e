"""Applies the fill rules of matching.py to the working orders of a market, one slice at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from bot.domain.market import Book
from bot.domain.money import ZERO, floor_to
from bot.domain.order import Liquidity, VenueStatus
from bot.domain.product import BUY, Product, Side
from bot.domain.value import replace
from bot.venue.books import Books
from bot.venue.desk import Desk, Working, better
from bot.venue.exact import add, sub
from bot.venue.holds import Rates, need_of, want_of
from bot.venue.market import (
    DepthModel,
    MarketSlice,
    Offer,
    Touch,
    View,
    from_price,
    levels,
    only_close,
    spent,
    whole,
)
from bot.venue.matching import (
    Bounds,
    End,
    Swept,
    Take,
    bracket_stop_limit,
    matches_now,
    passive_price,
    priced,
    protection_bound,
    reaches,
    single_offer,
    starting_touch,
    sweep,
    trigger_price,
)
from bot.venue.orders import TriggerStatus

SELF_TRADE = "Self trade prevented"
PROTECTED = "Price protection reached"
NO_FUNDS = "Insufficient funds"
NO_MATCH = "No matching liquidity"


class Engine:
    """Moves orders along: arrival, taking, triggering, resting."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._rules = books.rules

    def live_through(self, desk: Desk, piece: MarketSlice) -> None:
        """Let every order of the market live through one slice."""
        desk.see(piece, self._product_of(desk), self._rules)
        desk.newborn.clear()
        self._opening(desk, piece)
        if not desk.orders:
            return
        for order in tuple(desk.orders.values()):
            self._watch(desk, order, piece)
        desk.newborn.clear()
        # What is bought in this slice is not sold by its bracket as if it had been there all along: `_newborn` judges.
        self._rest(desk, piece)
        for child, price in tuple(desk.newborn):
            self._newborn(desk, child, from_price(piece, price), piece)

    def arrive(self, desk: Desk, order: Working, piece: MarketSlice | None, at: datetime) -> None:
        """An order reaches the book: refused late, filled at once as far as it crosses, then at rest or ended.

        piece: the slice at whose start it arrives (bar mode), or the newest one (tick mode); None when this market has
        shown nothing yet. at: time of the match.
        """
        record, product = order.record, self._product(order)
        # The order that arrives is one of the desk's.
        if len(desk.orders) > self._rules.open_orders_max and self._too_many(order, desk):
            self._books.fail(order, "TOO_MANY_OPEN_ORDERS", "Too many open orders")
            return
        order.live, order.bars_left = True, 0
        if record.status is VenueStatus.PENDING:
            self._books.put(order, replace(record, status=VenueStatus.OPEN))
        if record.terms.stop_price is not None:
            return
        touch = None if piece is None else starting_touch(piece, product, self._rules)
        if record.terms.post_only and matches_now(product.mode) and self._crosses(order, touch):
            self._books.fail(order, "REJECT_REASON_UNSPECIFIED", "Post only order would have crossed")
            return
        bound = None if touch is None else protection_bound(record.side, touch, product, self._rules)
        if record.terms.is_market and record.side is BUY and not record.size_in_quote:
            rates = Rates(record.maker_rate, record.taker_rate)
            self._books.top_up(order, need_of(record.terms, record.side, product, touch, rates, self._rules).wanted)
        self._take(desk, order, touch, bound, at)
        if order.record.is_working and not record.terms.rests:
            self._books.finish(order, VenueStatus.CANCELLED, message=NO_MATCH)

    def arrive_at_book(self, order: Working) -> None:
        """An order reaches the book as it stands now, between slices (tick mode)."""
        desk = self._books.desks[order.record.market]
        piece = self._books.newest(desk.market)
        if piece is not None:
            desk.see(piece, self._product(order), self._rules)
            order.since = self._books.now
        self.arrive(desk, order, piece, self._books.now)

    # ------------------------------------------------------------------------------------------- the parts of a slice

    def _opening(self, desk: Desk, piece: MarketSlice) -> None:
        """What happens at the start of the slice: arrivals (bar mode), and orders that go on taking."""
        for order in tuple(desk.orders.values()):
            if order.taking:
                self._go_on(desk, order, piece)
            elif order.bars_left > 0 and piece.start >= order.since:
                order.bars_left -= 1
                if order.bars_left == 0:
                    self.arrive(desk, order, piece, piece.start)

    def _go_on(self, desk: Desk, order: Working, piece: MarketSlice) -> None:
        """Let an order that ran out of liquidity take again while its limit still crosses (R12)."""
        record, product = order.record, self._product(order)
        touch = starting_touch(piece, product, self._rules)
        order.taking = reaches(record.side, record.live_limit, touch.cross(record.side))
        if order.taking:
            triggered = record.trigger is TriggerStatus.TRIGGERED
            bound = None if triggered else protection_bound(record.side, touch, product, self._rules)
            self._take(desk, order, touch, bound, piece.start if self._rules.by_bars else self._books.now)

    def _watch(self, desk: Desk, order: Working, piece: MarketSlice) -> None:
        """Trigger the order's stop if the slice traded there (R8, R9)."""
        terms = order.record.terms
        if not order.is_armed or terms.stop_price is None or terms.stop_direction is None:
            return
        price = trigger_price(terms.stop_direction, terms.stop_price, _view(desk, order, piece))
        if price is None or not self._matching(order):
            return
        self._go_live(order, terms.stop_price)
        desk.views[order.record.order_id] = (from_price if self._rules.by_bars else spent)(piece, price)
        self._take(desk, order, Touch(price, price), None, self._books.now)

    def _go_live(self, order: Working, stop: Decimal) -> None:
        record = order.record
        limit = record.live_limit
        if record.terms.is_bracket:
            limit = bracket_stop_limit(record.side, stop, self._product(order), self._rules)
        changed = replace(record, trigger=TriggerStatus.TRIGGERED, live_limit=limit, updated_at=self._books.now)
        self._books.put(order, changed)

    def _rest(self, desk: Desk, piece: MarketSlice) -> None:
        """Fill what rests to sell, then what rests to buy, the better price first."""
        resting = [order for order in desk.orders.values() if order.resting is not None and not order.taking]
        if len(resting) > 1:
            resting.sort(key=lambda order: (order.record.side is BUY, better(order)))
        for order in resting:
            if order.record.is_working:
                self._fill_resting(desk, order, piece)

    def _newborn(self, desk: Desk, child: Working, view: View, piece: MarketSlice) -> None:
        """A child born of a resting parent's fill: it saw the slice from that price on (R10)."""
        desk.views[child.record.order_id] = view
        self._watch(desk, child, piece)
        if child.record.is_working and not child.taking:
            self._fill_resting(desk, child, piece)

    # ------------------------------------------------------------------------------------------------------- fills

    def _fill_resting(self, desk: Desk, order: Working, piece: MarketSlice) -> None:
        """Fill a resting order by what traded through it, then by a recorded book that stands through it (R3, R4)."""
        record, limit = order.record, order.resting
        if limit is None or not self._matching(order):
            return
        price = passive_price(record.side, limit, _view(desk, order, piece), self._rules)
        if price is not None:
            self._fill_at(desk, order, price)
        if order.record.is_working and isinstance(piece.depth, Book):
            self._fill_from_book(desk, order, limit, piece.depth)

    def _fill_at(self, desk: Desk, order: Working, price: Decimal) -> None:
        """Fill a resting order at a price, as far as the slice's volume goes where that is a bound (R4)."""
        room = want_of(order.record, self._product(order)).room(price)
        size = min(room, desk.share) if self._rules.pessimistic else room
        if size > 0:
            if self._rules.pessimistic:
                desk.share = sub(desk.share, size)
            self._books.fill(order, Take(price, size), Liquidity.MAKER, self._books.now)

    def _fill_from_book(self, desk: Desk, order: Working, limit: Decimal, book: Book) -> None:
        side, product = order.record.side, self._product(order)
        shown = ZERO
        for level in book.side(side):
            if level.price.value == limit or not reaches(side, limit, level.price.value):
                break
            shown = add(shown, level.size.value)
        free = floor_to(max(ZERO, sub(shown, desk.taken[side])), product.size_step)
        size = min(free, want_of(order.record, product).room(limit))
        if size > 0:
            desk.taken[side] = add(desk.taken[side], size)
            self._books.fill(order, Take(limit, size), Liquidity.MAKER, self._books.now)

    def _take(self, desk: Desk, order: Working, touch: Touch | None, bound: Decimal | None, at: datetime) -> None:
        """Fill the order as a taker as far as liquidity and its bounds go; then end it or leave it on the book."""
        if not self._matching(order):
            return
        while True:
            swept, own = self._sweep(desk, order, touch, bound)
            if order.record.terms.all_or_none and swept.end is not End.FILLED:
                return
            for take in swept.takes:
                self._consume(desk, order.record.side, take.size)
                self._books.fill(order, self._priced(desk, order, take, touch), Liquidity.TAKER, at)
            if swept.end is not End.OWN_ORDER or own is None or own.number < order.number:
                break
            self._books.finish(own, VenueStatus.CANCELLED, message=SELF_TRADE)
        self._after_taking(order, swept.end, touch)

    def _priced(self, desk: Desk, order: Working, take: Take, touch: Touch | None) -> Take:
        """With what it paid for taking. The mid of a bar is its opening, wherever the ticks around it lie; a stop takes
        from one price, and crosses no spread."""
        if touch is None:
            return take
        piece = desk.piece if self._rules.by_bars and touch.bid != touch.ask else None
        mid = touch.mid if piece is None else piece.open
        return priced(take, order.record.side, mid, touch)

    def _sweep(
        self, desk: Desk, order: Working, touch: Touch | None, bound: Decimal | None
    ) -> tuple[Swept, Working | None]:
        record, product = order.record, self._product(order)
        own = desk.opposite(record.side)
        bounds = Bounds(record.live_limit, bound, own.resting if own is not None else None)
        return sweep(record.side, want_of(record, product), self._offers(desk, order, touch), bounds), own

    def _after_taking(self, order: Working, end: End, touch: Touch | None) -> None:
        record = order.record
        if not record.is_working:
            return
        if end in {End.OWN_ORDER, End.PROTECTED, End.FUNDS}:
            message = {End.OWN_ORDER: SELF_TRADE, End.PROTECTED: PROTECTED, End.FUNDS: NO_FUNDS}[end]
            self._books.finish(order, VenueStatus.CANCELLED, message=message)
            return
        order.taking = record.terms.rests and end is End.LIQUIDITY and self._crosses(order, touch)

    def _offers(self, desk: Desk, order: Working, touch: Touch | None) -> Iterator[Offer]:
        """What the order may take now: the book less what ours took of it, or the one price of R2."""
        if touch is None:
            return
        record, product, depth = order.record, self._product(order), self._depth(desk)
        if depth is not None:
            yield from _after(levels(depth, record.side, touch, product), desk.taken[record.side])
            return
        size = desk.share if self._rules.pessimistic else None
        offer = single_offer(record.side, record.live_limit, touch, product, self._rules, size)
        if offer is not None and offer.size != 0:
            yield offer

    def _consume(self, desk: Desk, taker: Side, size: Decimal) -> None:
        if self._depth(desk) is not None:
            desk.taken[taker] = add(desk.taken[taker], size)
        elif self._rules.pessimistic:
            desk.share = max(ZERO, sub(desk.share, size))

    def _depth(self, desk: Desk) -> Book | DepthModel | None:
        own = desk.piece.depth if desk.piece is not None else None
        return own if own is not None else self._rules.depth

    # ------------------------------------------------------------------------------------------------------ questions

    def _product(self, order: Working) -> Product:
        return self._books.products[order.record.request.product]

    def _product_of(self, desk: Desk) -> Product:
        """The product whose steps the market's volume is cut to: its own listing, else that of an order on it."""
        return self._books.products.get(desk.market) or self._product(next(iter(desk.orders.values())))

    def _matching(self, order: Working) -> bool:
        return matches_now(self._books.products[order.record.request.product].mode)

    def _crosses(self, order: Working, touch: Touch | None) -> bool:
        side = order.record.side
        return touch is not None and reaches(side, order.record.live_limit, touch.cross(side))

    def _too_many(self, order: Working, desk: Desk) -> bool:
        most, product = self._rules.open_orders_max, order.record.product
        return sum(1 for other in desk.orders.values() if other.live and other.record.product == product) >= most


def _view(desk: Desk, order: Working, piece: MarketSlice) -> View:
    """What the order saw of the slice (R1)."""
    known = desk.views.get(order.record.order_id)
    if known is not None:
        return known
    return whole(piece) if piece.start >= order.since else only_close(piece)


def _after(offers: Iterator[Offer], taken: Decimal) -> Iterator[Offer]:
    """The offers left once `taken` has been consumed from the front."""
    for offer in offers:
        if offer.size is None or taken <= 0:
            yield offer
        elif taken >= offer.size:
            taken = sub(taken, offer.size)
        else:
            yield Offer(offer.price, sub(offer.size, taken))
            taken = ZERO
