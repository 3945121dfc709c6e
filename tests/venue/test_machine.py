"""Whatever is sent and whatever the market does: no money appears or vanishes, and no order gets more than it asked."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.domain.money import EXACT, Percent
from bot.domain.order import VenueStatus
from bot.domain.product import ProductId, Side, TradingMode
from bot.venue.fees import FeeSchedule, Tier
from bot.venue.market import DepthModel, MarketSlice
from bot.venue.orders import (
    DOWN,
    UP,
    Accepted,
    BracketConfig,
    LimitFok,
    LimitGtc,
    LimitGtd,
    LimitIoc,
    MarketIoc,
    OrderRecord,
    OrderRequest,
    StopLimit,
)
from bot.venue.rules import FillRules
from bot.venue.venue import Venue
from tests.venue.kit import BTC, MINUTE, SECOND, START, USDC, bracket, d, product

CENT = d("0.01")
FEES = FeeSchedule((Tier("A", d("0"), d("0.005"), d("0.009")), Tier("B", d("5000"), d("0.0033"), d("0.0071"))))
OPENING = {"USD": d("5000"), "USDC": d("700"), "BTC": d("20")}

prices = st.integers(8500, 11500).map(lambda ticks: Decimal(ticks) * CENT)
near = st.integers(9800, 10200).map(lambda ticks: Decimal(ticks) * CENT)
sizes = st.integers(1, 6000).map(lambda lots: Decimal(lots) * d("0.001"))
amounts = st.integers(100, 60000).map(lambda cents: Decimal(cents) * CENT)
sides = st.sampled_from(Side)
products = st.sampled_from([BTC, BTC, USDC])


@st.composite
def limits(draw, kind):
    """A limit configuration, now and then sized in quote."""
    base = None if draw(st.integers(0, 5)) == 0 else draw(sizes)
    return kind(base, draw(prices), quote_size=draw(amounts) if base is None else None)


market_orders = st.one_of(st.builds(MarketIoc, sizes), st.builds(MarketIoc, st.none(), amounts))
stops = st.builds(StopLimit, sizes, prices, prices, st.sampled_from([UP, DOWN]))
sell_brackets = st.builds(lambda size, a, b: BracketConfig(size, max(a, b), min(a, b)), sizes, prices, prices)
configs = st.one_of(
    limits(LimitGtc), limits(LimitIoc), limits(LimitFok), market_orders, stops, sell_brackets,
    st.builds(lambda size, price: LimitGtc(size, price, True), sizes, prices),
)  # fmt: skip

fill_rules = st.builds(
    FillRules,
    model=st.sampled_from(["pessimistic", "touch"]),
    participation_pct=st.sampled_from([Percent(d("100")), Percent(d("10"))]),
    half_spread_bps=st.sampled_from([d("0"), d("2"), d("25")]),
    slippage_bps=st.sampled_from([d("0"), d("3"), d("60")]),
    fees=st.just(FEES),
    latency_bars=st.sampled_from([0, 0, 1, 2]),
    latency=st.sampled_from([timedelta(0), SECOND, 70 * SECOND]),
    cancel_delay=st.sampled_from([timedelta(0), 30 * SECOND, MINUTE]),
    edit_delay=st.sampled_from([timedelta(0), 30 * SECOND]),
    hold_release_delay=st.sampled_from([timedelta(0), MINUTE]),
    depth=st.sampled_from([None, DepthModel(d("150"), step_bps=d("15"), levels=6)]),
    post_only_race=st.booleans(),
    protect=st.booleans(),
    open_orders_max=st.sampled_from([500, 4]),
)


class Trading(RuleBasedStateMachine):
    """Random clients on a random market under random rules."""

    @initialize(rules=fill_rules, seed=st.integers(0, 3))
    def open(self, rules: FillRules, seed: int) -> None:
        listed = [product(), product("BTC-USDC", alias="BTC-USD")]
        self.venue = Venue(listed, OPENING, rules, START, seed)
        self.sent = 0
        self.close = d("100")
        self.transfers: dict[str, Decimal] = defaultdict(Decimal)
        self.seen: dict[str, OrderRecord] = {}
        self.events = 0
        self.was_closed = False
        self._minute(d("100"), d("100"), d("100"), d("100"), d("10"))

    def _minute(self, open_, high, low, close, volume) -> None:
        start, self.close = self.venue.now, close
        piece = MarketSlice(BTC, start, start + MINUTE, open_, high, low, close, volume)
        for event in self.venue.advance(start + MINUTE, {BTC: piece}):
            assert event.seq == self.events + 1
            self.events = event.seq

    @rule(
        moves=st.lists(st.integers(-900, 900), min_size=3, max_size=3), volume=st.sampled_from(["0", "0.5", "7", "300"])
    )
    def trade(self, moves, volume) -> None:
        """A minute of market: a gap at the opening, two extremes and a close."""
        path = [max(CENT, self.close + Decimal(move) * CENT) for move in moves]
        self._minute(path[0], max(path), min(path), path[2], d(volume))

    @rule(product_id=products, side=sides, config=configs)
    def send(self, product_id, side, config) -> None:
        self._place(product_id, side, config)

    @rule(config=st.one_of(limits(LimitGtc), market_orders), profit=st.integers(1, 900), stop=st.integers(1, 900))
    def send_with_bracket(self, config, profit, stop) -> None:
        price = getattr(config, "limit_price", self.close)
        legs = bracket(str(price + profit * CENT), str(max(CENT, price - stop * CENT)))
        self._place(BTC, Side.BUY, config, legs)

    @rule(size=sizes, price=near, seconds=st.integers(1, 200))
    def send_until(self, size, price, seconds) -> None:
        self._place(BTC, Side.BUY, LimitGtd(size, price, False, self.venue.now + seconds * SECOND))

    def _place(self, product_id: ProductId, side, config, attached=None) -> None:
        self.sent += 1
        request = OrderRequest(f"id-{self.sent}", product_id, side, config, attached)
        errors = self.venue.preview(request, self.venue.now).errors
        answer = self.venue.place(request, self.venue.now)
        assert isinstance(answer, Accepted) == (not errors)
        again = self.venue.place(request, self.venue.now)
        assert not isinstance(answer, Accepted) or again == Accepted(answer.order_id, duplicate=True)

    @rule(data=st.data())
    @precondition(lambda self: self.venue.working())
    def cancel(self, data) -> None:
        order = data.draw(st.sampled_from(self.venue.working()))
        self.venue.cancel([order.order_id], self.venue.now)

    @rule(data=st.data(), price=prices, size=sizes)
    @precondition(lambda self: self.venue.working())
    def edit(self, data, price, size) -> None:
        order = data.draw(st.sampled_from(self.venue.working()))
        self.venue.edit(order.order_id, price, size, self.venue.now)

    @rule(currency=st.sampled_from(["USD", "USDC", "BTC", "EUR"]), share=st.integers(-100, 100))
    def move_money(self, currency, share) -> None:
        free = {balance.currency: balance.available for balance in self.venue.balances()}.get(currency, d("0"))
        amount = EXACT.multiply(free, Decimal(share) / 100) if share < 0 else Decimal(share)
        self.venue.transfer(currency, amount, self.venue.now)
        self.transfers[currency] = EXACT.add(self.transfers[currency], amount)

    @rule(mode=st.sampled_from([TradingMode.NORMAL, TradingMode.NORMAL, TradingMode.AUCTION, TradingMode.CANCEL_ONLY]))
    def change_mode(self, mode) -> None:
        self.venue.set_product(product(mode=mode))
        self.was_closed |= mode is not TradingMode.NORMAL

    # ------------------------------------------------------------------------------------------------ what always holds

    @invariant()
    def no_money_appears_or_vanishes(self) -> None:
        wallets = {balance.currency: balance for balance in self.venue.balances()}
        expected: dict[str, Decimal] = defaultdict(Decimal, OPENING)
        for currency, amount in self.transfers.items():
            expected[currency] = EXACT.add(expected[currency], amount)
        for fill in self.venue.fills():
            base, quote = fill.product.split("-")
            value, sign = EXACT.multiply(fill.price, fill.size), Decimal(1 if fill.side is Side.BUY else -1)
            expected[base] = EXACT.add(expected[base], EXACT.multiply(sign, fill.size))
            expected[quote] = EXACT.subtract(EXACT.subtract(expected[quote], EXACT.multiply(sign, value)), fill.fee)
        assert {name: balance.total for name, balance in wallets.items()} == {n: expected[n] for n in wallets}
        assert set(self.venue.residuals().values()) == {Decimal(0)}

    @invariant()
    def no_wallet_is_ever_negative_and_holds_are_those_of_the_orders(self) -> None:
        held: dict[str, Decimal] = defaultdict(Decimal)
        for order in self.venue.orders():
            assert order.is_working or order.hold == 0
            held[order.hold_currency] = EXACT.add(held[order.hold_currency], order.hold)
        for balance in self.venue.balances():
            assert balance.available >= 0
            assert balance.hold == EXACT.add(held[balance.currency], self.venue.pending_releases(balance.currency))

    @invariant()
    def no_order_gets_more_than_it_asked_for_or_pays_more_than_its_limit(self) -> None:
        limits_of = {order.order_id: order for order in self.venue.orders()}
        for order in limits_of.values():
            if order.terms.base_size is not None:
                assert order.filled_size <= order.terms.base_size
            else:
                assert order.quote_done <= (order.terms.quote_size or 0)
        for fill in self.venue.fills():
            limit = _loosest_limit(limits_of[fill.order_id])
            assert limit is None or (fill.price <= limit if fill.side is Side.BUY else fill.price >= limit)

    @invariant()
    def orders_only_move_forward(self) -> None:
        for order in self.venue.orders():
            before = self.seen.get(order.order_id)
            if before is not None:
                assert order.filled_size >= before.filled_size
                assert order.fees >= before.fees
                if before.status.is_terminal:
                    assert (order.status, order.filled_size) == (before.status, before.filled_size)
            if order.status is VenueStatus.FAILED:
                assert order.filled_size == 0 or order.edits
            self.seen[order.order_id] = order

    @invariant()
    def records_agree_with_their_fills(self) -> None:
        sums: dict[str, tuple[Decimal, Decimal, Decimal, int]] = {}
        for fill in self.venue.fills():
            size, value, fee, number = sums.get(fill.order_id, (Decimal(0), Decimal(0), Decimal(0), 0))
            sums[fill.order_id] = (
                EXACT.add(size, fill.size), EXACT.add(value, fill.value), EXACT.add(fee, fill.fee), number + 1,
            )  # fmt: skip
        for order in self.venue.orders():
            found = (order.filled_size, order.filled_value, order.fees, order.number_of_fills)
            assert found == sums.get(order.order_id, (0, 0, 0, 0))

    @invariant()
    def children_cover_what_their_parents_bought(self) -> None:
        children: dict[str, list[OrderRecord]] = defaultdict(list)
        for order in self.venue.orders():
            children[order.originating_order_id].append(order)
        for order in self.venue.orders():
            brood = children.get(order.order_id, [])
            if order.request.attached is None or any(c.status is VenueStatus.CANCELLED for c in brood):
                continue
            covered = sum((child.terms.base_size or Decimal(0) for child in brood), Decimal(0))
            assert 0 <= order.filled_size - covered < d("0.001")
            assert sum(child.is_working for child in brood) <= 1

    @invariant()
    def our_orders_never_rest_across_each_other(self) -> None:
        if self.was_closed:
            return  # what was placed while nothing matched may cross, and waits
        open_ = [o for o in self.venue.working() if o.status is VenueStatus.OPEN and o.trigger.value != "STOP_PENDING"]
        bids = [o.live_limit for o in open_ if o.side is Side.BUY and o.live_limit is not None]
        asks = [o.live_limit for o in open_ if o.side is Side.SELL and o.live_limit is not None]
        if bids and asks:
            assert max(bids) < min(asks)


def _loosest_limit(order: OrderRecord) -> Decimal | None:
    """The loosest limit the order ever had: an edit or a triggered bracket may have moved it."""
    first = order.request.config.terms(order.side).limit_price
    if order.live_limit is None or first is None:
        return None
    known = [order.live_limit, *(edit.price for edit in order.edits), first]
    return max(known) if order.side is Side.BUY else min(known)


Trading.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestTrading = Trading.TestCase
