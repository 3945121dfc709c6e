"""What one cycle knows: one immutable Snapshot, complete or not made at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum

from bot.domain.bars import Windows
from bot.domain.decision import Reason
from bot.domain.market import Book, Quote
from bot.domain.money import EXACT, ONE, Money, Price, Size
from bot.domain.order import OrderReport
from bot.domain.product import Product, ProductId
from bot.domain.state import FeeTier, HaltCause, State
from bot.domain.value import Value, cached_property, field


class Environment(Enum):
    STAGING = "staging"
    PRODUCTION = "production"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


class Mode(Enum):
    DRY_RUN = "dry_run"
    PAPER = "paper"
    LIVE = "live"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


class Balance(Value, dict=True):
    """One currency on the account; total = available + hold."""

    currency: str
    available: Decimal
    hold: Decimal

    @cached_property
    def total(self) -> Decimal:
        return EXACT.add(self.available, self.hold)


class StatusLevel(Enum):
    """Status page, worst matched component. UNKNOWN (page unreachable or unreadable) decides nothing by itself."""

    OPERATIONAL = "operational"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"
    UNKNOWN = "unknown"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


class ExchangeStatus(Value):
    level: StatusLevel
    detail: str
    as_of: datetime


class ClockSkew(Value):
    """Our clock minus the exchange's, in ms, after half the round trip and the resolution are taken off.

    samples: how many measurements the figure rests on; fewer than three decide nothing.
    """

    ms: float
    samples: int


class Problem(Value):
    """Why a piece of market data may not be used."""

    reason: Reason
    detail: str


class MarketView(Value):
    """Everything known of one market (one order book) now.

    product: the listing this bot would trade on that book. quote: None when `quote_problem` says why.
    last_trade: newest trade price; windows: exact bars, None when `bars_problem` says why.
    bids: best bids of the newest accepted quotes with different times, oldest first: what confirms a price exit.
    """

    product: Product
    quote: Quote | None
    book: Book | None
    windows: Windows | None
    quote_problem: Problem | None = None
    bars_problem: Problem | None = None
    last_trade: Price | None = None
    bids: tuple[Price, ...] = ()


class ValuePart(Value):
    """One currency's contribution to the net liquidation value, with its provenance.

    mark: price in the quote currency (None for cash); source: quote, last_good, cash, stable, unpriced.
    """

    currency: str
    amount: Decimal
    mark: Price | None
    value: Decimal
    source: str
    at: datetime


class Valuation(Value, dict=True):
    """Net liquidation value, or why it is unknown (then nothing is sized). Never defaulted."""

    nlv: Money | None
    parts: tuple[ValuePart, ...]
    problem: str = ""

    @cached_property
    def marks(self) -> Mapping[str, Decimal]:
        """Value of one unit of each currency in the equity currency, where it is known."""
        known = {part.currency: part.mark.value for part in self.parts if part.mark is not None}
        if self.nlv is not None:
            known[self.nlv.currency] = ONE
        return known


class Halt(Value):
    """One active reason not to trade freely; the halt table says what it permits.

    name: which breaker or latch, where the cause alone does not tell.
    """

    cause: HaltCause
    detail: str
    since: datetime
    name: str = ""


class Performance(Value):
    """Distances to the loss stops: percent of the period's start equity and of the peak; negative is a loss.

    None while the valuation is unknown: an unknown figure trips nothing and permits nothing.
    """

    daily_pnl_pct: Decimal | None
    weekly_pnl_pct: Decimal | None
    drawdown_pct: Decimal | None


class Snapshot(Value):
    """Input of `decide`. markets is keyed by the market id (alias pairs once); balances by currency.

    external_orders: working orders on the account that are not ours, always counted, never touched.
    available_base: base free to be sold per market, as the venue shows it.
    reconciled_at: when the newest complete reconcile ended. service: an extra cycle between two scheduled ones
        (order timer, fill, crossed stop): orders and exits are served, nothing is entered.
    unread: why the account could not be read in this cycle: what is known of it is that of `reconciled_at`, good
        enough to sell what is ours and for nothing else.
    canary: the first live hours, when only `governance.canary_scale_pct` of every cap is in force.
    asked: the markets that are judged and may be entered; None: all. The others are held, and only priced: whoever
        leaves one out knows that judging it would change nothing.
    """

    cycle_id: str
    now: datetime
    env: Environment
    mode: Mode
    markets: Mapping[ProductId, MarketView]
    balances: Mapping[str, Balance]
    valuation: Valuation
    performance: Performance
    fees: FeeTier
    state: State
    external_orders: tuple[OrderReport, ...]
    halts: tuple[Halt, ...]
    exchange_status: ExchangeStatus
    skew: ClockSkew
    reconciled_at: datetime
    unpriced: tuple[str, ...] = ()
    stale_fraction: Decimal = Decimal(0)
    residuals: Mapping[str, Decimal] = field(default_factory=dict)
    service: bool = False
    canary: bool = False
    unread: str = ""
    asked: frozenset[ProductId] | None = None

    @property
    def judged(self) -> Collection[tuple[ProductId, MarketView]]:
        """The markets that are more than priced, each with its view."""
        asked, known = self.asked, self.markets.items()
        return known if asked is None else [item for item in known if item[0] in asked]

    def available(self, currency: str) -> Decimal:
        """What is free of `currency`; zero when the account has no such wallet."""
        balance = self.balances.get(currency)
        return balance.available if balance is not None else Decimal(0)

    def free_base(self, market: ProductId) -> Size:
        """Base that is held and not on offer."""
        return Size(max(Decimal(0), self.available(market.base)))
