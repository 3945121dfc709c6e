"""Compact builders of domain values for tests: everything has a sensible default, a test names only what it is about.

Numbers may be given as text, int or Decimal; ids as text. The world is USD, noon UTC, one minute bars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

import numpy as np

from bot.domain.bars import BarSeries, Granularity, Scale, Windows
from bot.domain.decision import Direction, TradeProposal, Trigger, TriggerKind
from bot.domain.market import Book, Level, Quote
from bot.domain.money import ZERO, Money, Price, Size, total
from bot.domain.order import OrderKind, OrderReport, OrderState, OrderType, VenueStatus
from bot.domain.position import Exits, Lot, Origin, Position
from bot.domain.product import Product, ProductId, Side, TradingMode
from bot.domain.snapshot import (
    Balance,
    ClockSkew,
    Environment,
    ExchangeStatus,
    MarketView,
    Mode,
    Performance,
    Snapshot,
    StatusLevel,
    Valuation,
    ValuePart,
)
from bot.domain.state import FeeTier, Intent, Order, State
from bot.domain.value import Value, field_names, replace
from bot.rules.conditions import Seen
from bot.settings.config import Config
from bot.settings.policy import Policy
from bot.settings.universe import Universe

NOW: Final = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)
Number = str | int | Decimal


def d(value: Number) -> Decimal:
    return Decimal(value)


def price(value: Number) -> Price:
    return Price(Decimal(value))


def size(value: Number) -> Size:
    return Size(Decimal(value))


def usd(value: Number) -> Money:
    return Money(Decimal(value), "USD")


def pid(text: str) -> ProductId:
    return ProductId(text)


def product(name: str = "BTC-USD", **changes: Any) -> Product:
    """A listing with BTC-like steps."""
    base, quote = name.split("-")
    made = Product(
        id=ProductId(name), base=base, quote=quote, price_step=d("0.01"), size_step=d("0.00000001"),
        quote_step=d("0.01"), base_min=d("0.00000001"), base_max=d("1000000"), quote_min=d(1), quote_max=d(10_000_000),
        mode=TradingMode.NORMAL, mode_reason="", as_of=NOW, quote_volume_24h=d(500_000_000),
    )  # fmt: skip
    return replace(made, **changes)


def quote(name: str = "BTC-USD", bid: Number = "100", ask: Number = "100.02", **changes: Any) -> Quote:
    made = Quote(ProductId(name), price(bid), price(ask), size(1000), size(1000), NOW)
    return replace(made, **changes)


def book(name: str = "BTC-USD", bid: Number = "100", ask: Number = "100.02", depth: Number = 1000) -> Book:
    """Ten levels a side (as far as prices go), one cent apart, each `depth` of base."""
    cents = [d("0.01") * step for step in range(10)]
    bids = tuple(Level(price(d(bid) - cent), size(depth)) for cent in cents if cent < d(bid))
    asks = tuple(Level(price(d(ask) + cent), size(depth)) for cent in cents)
    return Book(ProductId(name), bids, asks, NOW)


def market(
    name: str = "BTC-USD",
    bid: Number | None = "100",
    ask: Number | None = None,
    windows: Windows | Literal["flat"] | None = "flat",
    quote_at: datetime = NOW,
    **changes: Any,
) -> MarketView:
    """A market with a fresh quote (ask: two cents above the bid) and a deep book. bid None: no quote.

    windows: two quiet minutes unless given; too short for any trigger. None: no bars.
    `changes` go to the product; `listing` names another id under which the bot would trade this book.
    """
    alias = {"alias": ProductId(name)} if "listing" in changes else {}
    listing = product(changes.pop("listing", name), **alias, **changes)
    bars = ListWindows(ProductId(name), [1, 1], [1, 1], [1, 1], [0, 0]) if windows == "flat" else windows
    if bid is None:
        return MarketView(listing, None, None, bars)
    top = d(bid) + d("0.02") if ask is None else d(ask)
    held = quote(name, bid, top, at=quote_at)
    standing = (price(bid),) * 5  # a bid that has stood long enough to confirm anything
    return MarketView(listing, held, book(name, bid, top), bars, last_trade=price(bid), bids=standing)


def position(
    name: str = "BTC-USD",
    amount: Number = 1,
    at: Number = 100,
    fees: Number = 0,
    opened: datetime = NOW,
    **changes: Any,
) -> Position:
    """`amount` of base bought at the average fill price `at`; `fees` are in its cost."""
    exits = {key: changes.pop(key) for key in list(changes) if key in field_names(Exits)}
    cost = d(amount) * d(at) + d(fees)
    lots = (Lot(size(amount), cost, opened, Origin.BOUGHT),)
    hold = exits.pop("max_hold_minutes", None)
    asked = Exits(**{key: d(value) for key, value in exits.items()}, max_hold_minutes=hold)
    return replace(Position(ProductId(name), lots, opened, fees=d(fees), exits=asked), **changes)


def order(
    name: str = "BTC-USD",
    side: Side = Side.BUY,
    amount: Number = 1,
    limit: Number | None = 100,
    state: OrderState = OrderState.OPEN,
    kind: OrderKind | None = None,
    cid: str = "cid-1",
    **changes: Any,
) -> Order:
    """One of our orders; a buy is an entry and a sell an exit unless told otherwise."""
    made = Order(
        client_order_id=cid, intent=1, attempt=1, product=ProductId(name), side=side,
        kind=kind or (OrderKind.ENTRY if side is Side.BUY else OrderKind.EXIT), type=OrderType.LIMIT_POST_ONLY,
        size=size(amount), limit_price=None if limit is None else price(limit), state=state, created_at=NOW,
        changed_at=NOW, expected_price=price(100 if limit is None else limit), expected_fee_rate=d("0.006"),
    )  # fmt: skip
    return replace(made, **changes)


def intent(number: int = 1, name: str = "BTC-USD", amount: Number = 1, limit: Number = 100, **changes: Any) -> Intent:
    """An open entry intent of rule `dip`."""
    made = Intent(
        number=number, cycle_id="c0", product=ProductId(name), side=Side.BUY, kind=OrderKind.ENTRY, size=size(amount),
        worst_price=price(limit), worst_quote=d(amount) * d(limit), reference=price(limit), rule="dip", why="", at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def report(
    name: str = "BTC-USD",
    side: Side = Side.BUY,
    amount: Number | None = 1,
    limit: Number | None = 100,
    status: VenueStatus = VenueStatus.OPEN,
    **changes: Any,
) -> OrderReport:
    """A working order on the account that is not ours."""
    made = OrderReport(
        order_id="ext-1", client_order_id="someone-else", product=ProductId(name), side=side,
        type=OrderType.LIMIT_GTC, status=status, size=None if amount is None else size(amount),
        limit_price=None if limit is None else price(limit), stop_price=None, filled=Size.zero(), filled_value=ZERO,
        fees=ZERO, average_price=None, created_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def state(
    positions: Iterable[Position] = (), orders: Iterable[Order] = (), intents: Iterable[Intent] = (), **changes: Any
) -> State:
    return State(
        positions={item.product: item for item in positions},
        orders={item.client_order_id: item for item in orders},
        intents={item.number: item for item in intents},
        **changes,
    )


def fee_tier(maker: Number = "0.006", taker: Number = "0.012") -> FeeTier:
    return FeeTier(d(maker), d(taker), "test", NOW)


def balance(currency: str, available: Number, hold: Number = 0) -> Balance:
    return Balance(currency, d(available), d(hold))


def valued(balances: Mapping[str, Balance], markets: Mapping[ProductId, MarketView]) -> Valuation:
    """Everything at the bid of its market; USD and USDC at one dollar; unknown while a price is missing."""
    bids = {view.product.base: view.quote.bid for view in markets.values() if view.quote is not None}
    parts = tuple(_part(item, bids.get(item.currency)) for item in balances.values() if item.total != 0)
    missing = [part.currency for part in parts if part.source == "unpriced"]
    nlv = None if missing else Money(total(part.value for part in parts), "USD")
    return Valuation(nlv, parts, ", ".join(f"{currency}: no price" for currency in missing))


def _part(item: Balance, bid: Price | None) -> ValuePart:
    if item.currency in {"USD", "USDC"}:
        source = "cash" if item.currency == "USD" else "stable"
        return ValuePart(item.currency, item.total, price(1), item.total, source, NOW)
    if bid is None:
        return ValuePart(item.currency, item.total, None, ZERO, "unpriced", NOW)
    return ValuePart(item.currency, item.total, bid, item.total * bid.value, "quote", NOW)


def snapshot(
    markets: Iterable[MarketView] = (),
    cash: Number = 10_000,
    balances: Iterable[Balance] = (),
    account: State | None = None,
    **changes: Any,
) -> Snapshot:
    """A calm, reconciled cycle. Positions in `account` are held in full and free unless `balances` say otherwise."""
    books = account if account is not None else State()
    views = {view.product.market: view for view in markets}
    wallets = {"USD": balance("USD", cash)}
    for item in books.positions.values():
        wallets[item.product.base] = Balance(item.product.base, item.size.value, ZERO)
    wallets |= {item.currency: item for item in balances}
    made = Snapshot(
        cycle_id="c1", now=NOW, env=Environment.STAGING, mode=Mode.PAPER, markets=views, balances=wallets,
        valuation=valued(wallets, views), performance=Performance(ZERO, ZERO, ZERO), fees=fee_tier(), state=books,
        external_orders=(), halts=(), exchange_status=ExchangeStatus(StatusLevel.OPERATIONAL, "", NOW),
        skew=ClockSkew(0.0, 5), reconciled_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)


def trigger(
    name: str = "BTC-USD",
    kind: TriggerKind = TriggerKind.BREAKOUT,
    score: Number = "0.8",
    confidence: Number = "0.8",
    direction: Direction = Direction.UP,
) -> Trigger:
    return Trigger(ProductId(name), kind, direction, d(score), d(confidence))


def seen(view: MarketView, tier: int | None = 1) -> Seen:
    """A market as a rule looks at it; it must have a quote and bars."""
    assert view.quote is not None
    assert view.windows is not None
    return Seen(view.product.market, view.product, view.quote, view.windows, tier)


def proposal(name: str = "BTC-USD", amount: Number = 200, rule: str = "dip", **changes: Any) -> TradeProposal:
    """An entry of `amount` quote currency."""
    made = TradeProposal(
        product=ProductId(name), side=Side.BUY, kind=OrderKind.ENTRY, size_quote=Money(d(amount), name.split("-")[1]),
        size_base=None, reference=price("100.01"), rule=rule, conviction=d("0.8"),
        exits=Exits(stop_loss_pct=d(5), take_profit_pct=d(10)),
    )  # fmt: skip
    return replace(made, **changes)


def policy(**sections: Any) -> Policy:
    """The default policy with whole sections or nested values replaced, written as the YAML file would."""
    return Policy.model_validate(sections)


def universe(tier1: Sequence[str] = ("BTC-USD", "ETH-USD"), **changes: Any) -> Universe:
    """Tier 1 with these products, no hysteresis, low bars."""
    tier = {"products": list(tier1), "base_size_pct": 2, "min_volume_24h": 0, "min_depth": 0, "max_spread_bps": 50}
    settled = {"enter_after": 1, "leave_after": 1}
    return Universe.model_validate({"tiers": {1: tier}, "hysteresis": settled, **changes})


def rule(name: str = "dip", when: Any = None, **changes: Any) -> dict[str, Any]:
    """A rule as the YAML file would write it; it holds when a breakout fires."""
    return {"name": name, "when": when or {"any": ["breakout"]}, "stop_loss_pct": 5, "take_profit_pct": 10, **changes}


def config(tier1: Sequence[str] = ("BTC-USD", "ETH-USD"), themes: Any = None, **sections: Any) -> Config:
    """The default policy with rule `dip`, and tier 1 with these products."""
    return Config(policy(**{"rules": [rule()], **sections}), universe(tier1, themes=themes or {}))


class ListWindows(Value):
    """Window statistics straight from their definitions, over plain lists of ints (oldest first): slow and obvious."""

    product: ProductId
    closes: Sequence[int]
    highs: Sequence[int]
    lows: Sequence[int]
    volumes: Sequence[int]
    granularity: Granularity = Granularity.ONE_MINUTE
    scale: Scale = Scale(Decimal("0.01"), Decimal("0.00000001"))
    end: int = int(NOW.timestamp())

    @property
    def length(self) -> int:
        return len(self.closes)

    def close(self, ago: int = 0) -> int | None:
        return self._at(self.closes, ago)

    def high(self, ago: int = 0) -> int | None:
        return self._at(self.highs, ago)

    def low(self, ago: int = 0) -> int | None:
        return self._at(self.lows, ago)

    def volume_sum(self, count: int) -> int | None:
        return sum(self.volumes[-count:]) if count <= self.length else None

    def highest_before(self, count: int) -> int | None:
        return max(self.highs[-count - 1 : -1]) if count < self.length else None

    def steady_before(self, count: int, percent: Decimal) -> bool | None:
        if count + 1 > self.length - 1:
            return None
        bars = range(self.length - 1 - count, self.length - 1)
        return all(
            self.highs[i] * 100 <= self.closes[i - 1] * (100 + percent)
            and self.lows[i] * 100 >= self.closes[i - 1] * (100 - percent)
            for i in bars
        )

    def lowest(self, count: int) -> int | None:
        return min(self.lows[-count:]) if count <= self.length else None

    def lowest_ago(self, count: int) -> int | None:
        lowest = self.lowest(count)
        return None if lowest is None else list(reversed(self.lows[-count:])).index(lowest)

    def close_sum(self, count: int) -> int | None:
        return sum(self.closes[-count:]) if count <= self.length else None

    def close_square_sum(self, count: int) -> int | None:
        return sum(c * c for c in self.closes[-count:]) if count <= self.length else None

    def value_sum(self, count: int) -> int | None:
        if count > self.length:
            return None
        return sum(c * v for c, v in zip(self.closes[-count:], self.volumes[-count:], strict=True))

    def gains_and_losses(self, count: int, step: int = 1) -> tuple[int, int] | None:
        moves = self._moves(count, step)
        if moves is None:
            return None
        return sum(max(0, new - old) for old, new in moves), sum(max(0, old - new) for old, new in moves)

    def rises(self, count: int, step: int = 1) -> int | None:
        moves = self._moves(count, step)
        return None if moves is None else sum(new > old for old, new in moves)

    def slope_sum(self, count: int, step: int = 1) -> int | None:
        if (count - 1) * step >= self.length:
            return None
        return sum((2 * k - count + 1) * self.closes[-1 - (count - 1 - k) * step] for k in range(count))

    def return_square_sum(self, count: int, step: int = 1) -> int | None:
        moves = self._moves(count, step)
        return None if moves is None else sum(((new - old) * 10**7 // old) ** 2 for old, new in moves)

    def _at(self, values: Sequence[int], ago: int) -> int | None:
        return values[-1 - ago] if ago < len(values) else None

    def _moves(self, count: int, step: int) -> list[tuple[int, int]] | None:
        if count * step >= self.length:
            return None
        ends = [self.closes[-1 - k * step] for k in range(count + 1)]
        return [(ends[k + 1], ends[k]) for k in range(count)]


def windows(
    closes: Sequence[int],
    name: str = "BTC-USD",
    highs: Sequence[int] | None = None,
    lows: Sequence[int] | None = None,
    volumes: Sequence[int] | None = None,
) -> ListWindows:
    """Bars given by their closes in ticks of a cent; highs and lows equal them, volumes are 100 lots."""
    filled = volumes if volumes is not None else [100] * len(closes)
    return ListWindows(ProductId(name), closes, highs or closes, lows or closes, filled)


def series(closes: Sequence[int], name: str = "BTC-USD", volumes: Sequence[int] | None = None) -> BarSeries:
    """One minute bars that end at NOW, closes in ticks of a cent; open, high and low equal the close."""
    ints = np.asarray(closes, dtype=np.int64)
    lots = np.asarray(volumes if volumes is not None else [100] * len(closes), dtype=np.int64)
    start = int(NOW.timestamp()) - 60 * len(closes)
    quiet = np.zeros(len(closes), dtype=np.bool_)
    scale = Scale(Decimal("0.01"), Decimal("0.00000001"))
    return BarSeries(
        ProductId(name), Granularity.ONE_MINUTE, scale, start, ints, ints, ints, ints, lots, quiet
    )  # fmt: skip


def minutes(count: Number) -> timedelta:
    return timedelta(seconds=int(Decimal(count) * 60))
