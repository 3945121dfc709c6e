"""Products, slices and a small venue to trade on; one minute of a market in one line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

from bot.domain.market import Book, Level
from bot.domain.money import Percent, Price, Size
from bot.domain.order import Bracket
from bot.domain.product import Product, ProductId, Side, TradingMode
from bot.domain.value import replace
from bot.venue.fees import FeeSchedule, Tier
from bot.venue.market import DepthModel, MarketSlice
from bot.venue.orders import Accepted, Configuration, OrderRecord, OrderRequest, Refused, VenueEvent, VenueFill
from bot.venue.rules import FillRules
from bot.venue.venue import Venue

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
BTC = ProductId("BTC-USD")
USDC = ProductId("BTC-USDC")
BUY, SELL = Side.BUY, Side.SELL
FEES = FeeSchedule((Tier("Test", Decimal(0), Decimal("0.005"), Decimal("0.009")),))


def d(text: str) -> Decimal:
    return Decimal(text)


def product(id_: str = "BTC-USD", alias: str | None = None, mode: TradingMode = TradingMode.NORMAL) -> Product:
    """Prices in cents, sizes in thousandths, orders from one dollar."""
    base, quote = id_.split("-")
    return Product(
        ProductId(id_), base, quote, price_step=d("0.01"), size_step=d("0.001"), quote_step=d("0.01"),
        base_min=d("0.001"), base_max=d("1000"), quote_min=d("1"), quote_max=d("1000000"), mode=mode, mode_reason="",
        as_of=START, alias=ProductId(alias) if alias else None,
    )  # fmt: skip


def bars(**changes) -> FillRules:
    """Bar mode, no spread, no slippage, all of the volume: prices are those of the bar."""
    rules = FillRules(fees=FEES, half_spread_bps=d("0"), slippage_bps=d("0"), participation_pct=Percent(d("100")))
    return replace(rules, **changes)


def ticks(**changes) -> FillRules:
    """Tick mode without latency; a thousand dollars on every level, ten basis points apart."""
    depth = DepthModel(d("1000"), step_bps=d("10"), levels=5)
    return replace(bars(latency_bars=0, depth=depth), **changes)


def bracket(profit: str, stop: str) -> Bracket:
    return Bracket(Price(d(profit)), Price(d(stop)))


def book(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> Book:
    def side(levels: Sequence[tuple[str, str]]) -> tuple[Level, ...]:
        return tuple(Level(Price(d(price)), Size(d(size))) for price, size in levels)

    return Book(BTC, side(bids), side(asks), START)


class World:
    """A venue that one test drives; amounts as text."""

    def __init__(self, rules: FillRules, products: Sequence[Product] | None = None, **opening: str) -> None:
        funds = opening or {"USD": "10000", "BTC": "10"}
        listed = products or [product()]
        self.venue = Venue(listed, {name: d(amount) for name, amount in funds.items()}, rules, START, seed=7)
        self.events: list[VenueEvent] = []
        self._ids = count(1)

    @property
    def now(self) -> datetime:
        return self.venue.now

    def bar(self, open_: str, high: str, low: str, close: str, volume: str = "100", market: ProductId = BTC) -> None:
        """The next minute."""
        self.slice(MarketSlice(market, self.now, self.now + MINUTE, d(open_), d(high), d(low), d(close), d(volume)))

    def flat(self, price: str, volume: str = "100") -> None:
        self.bar(price, price, price, price, volume)

    def tick(self, price: str, volume: str = "100", depth: Book | None = None, market: ProductId = BTC) -> None:
        """One second later, one trade."""
        at = self.now + SECOND
        self.slice(MarketSlice(market, at, at, d(price), d(price), d(price), d(price), d(volume), depth=depth))

    def slice(self, piece: MarketSlice) -> None:
        self.events += self.venue.advance(piece.end, {piece.product: piece})

    def send(self, side: Side, config: Configuration, **more) -> Accepted | Refused:
        request = OrderRequest(f"id-{next(self._ids)}", more.pop("product", BTC), side, config, **more)
        return self.venue.place(request, self.now)

    def placed(self, side: Side, config: Configuration, **more) -> str:
        """Send an order that must be accepted; its id."""
        answer = self.send(side, config, **more)
        assert isinstance(answer, Accepted), answer
        return answer.order_id

    def refused(self, side: Side, config: Configuration, **more) -> Refused:
        """Send an order that must be refused; the refusal."""
        answer = self.send(side, config, **more)
        assert isinstance(answer, Refused), answer
        return answer

    def order(self, order_id: str) -> OrderRecord:
        return self.venue.order(order_id)

    def status(self, order_id: str) -> str:
        return self.order(order_id).status.value

    def fills_of(self, order_id: str) -> list[VenueFill]:
        return [fill for fill in self.venue.fills() if fill.order_id == order_id]

    def traded(self, order_id: str) -> list[tuple[str, str]]:
        """(price, size) of each fill as plain text."""
        return [(f"{fill.price.normalize():f}", f"{fill.size.normalize():f}") for fill in self.fills_of(order_id)]

    def wallet(self, currency: str) -> tuple[Decimal, Decimal]:
        """(available, on hold)."""
        for balance in self.venue.balances():
            if balance.currency == currency:
                return balance.available, balance.hold
        return d("0"), d("0")

    def child_of(self, order_id: str) -> OrderRecord:
        return self.order(self.order(order_id).attached_order_id)
