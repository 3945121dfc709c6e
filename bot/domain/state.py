"""Durable state: what survives between runs. Frozen values; only the fold of events in `bot.record` makes new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import ClassVar, Final

from bot.domain.decision import HysteresisCount
from bot.domain.evolving import Evolving
from bot.domain.money import EXACT, ZERO, Price, Size
from bot.domain.order import EXIT, Bracket, OrderKind, OrderState, OrderType
from bot.domain.position import CostMethod, Exits, Position
from bot.domain.product import ProductId, Side
from bot.domain.value import Value, cached_property, field

SCHEMA_VERSION: Final = 1
_BY_NUMBER: Final = attrgetter("number")
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(weeks=1)


class Intent(Value):
    """One approved wish to trade; its orders (attempts) may never sum to more than `size`.

    worst_quote: most quote an entry may cost with fees. reference: mid (entry) or bid (exit) at decision time.
    rule_entered_at: when the rule last entered before this entry; its pause counts from there should none come of it.
    """

    number: int
    cycle_id: str
    product: ProductId
    side: Side
    kind: OrderKind
    size: Size
    worst_price: Price
    worst_quote: Decimal
    reference: Price
    rule: str
    why: str
    at: datetime
    exits: Exits = Exits()
    attempts: int = 0
    closed: bool = False
    rule_entered_at: datetime | None = None


class Order(Value, dict=True):
    """One of our orders as we believe it to be.

    booked: base size of the fills already applied to positions (exactly once each); filled: cumulative by the venue.
    expected_price: what the decision assumed; expected_fee_rate likewise, for slippage and fee accounting.
    cancel_asked_at: when a cancel last left; cancel_first_asked_at: the first one of those that had no effect yet.
    absent_listings, absent_since: progress of the not-placed proof while UNKNOWN.
    at_target: of a bracket, the base that its target has traded; its stop has traded the rest of what is filled.
    """

    client_order_id: str
    intent: int
    attempt: int
    product: ProductId
    side: Side
    kind: OrderKind
    type: OrderType
    size: Size
    limit_price: Price | None
    state: OrderState
    created_at: datetime
    changed_at: datetime
    expected_price: Price
    expected_fee_rate: Decimal
    order_id: str = ""
    stop_price: Price | None = None
    end_time: datetime | None = None
    attached: Bracket | None = None
    parent_order_id: str = ""
    filled: Size = Size.zero()
    filled_value: Decimal = ZERO
    fees: Decimal = ZERO
    booked: Size = Size.zero()
    cancel_asked_at: datetime | None = None
    cancel_first_asked_at: datetime | None = None
    absent_listings: int = 0
    absent_since: datetime | None = None
    why: str = ""
    at_target: Size = Size.zero()

    @cached_property
    def remaining(self) -> Size:
        """Base that may still fill; zero once terminal."""
        if self.state.is_terminal:
            return Size.zero()
        done = max(self.filled.value, self.booked.value)
        return Size(max(ZERO, EXACT.subtract(self.size.value, done))) if done else self.size


class PastOrder(Value):
    """What is remembered of an order of ours that is over and forgotten otherwise: whose a late fill of it is."""

    order_id: str
    product: ProductId
    rule: str
    exits: Exits
    ended_at: datetime


class Ban(Value):
    product: ProductId
    kind: str
    source: str
    since: datetime
    until: datetime


class Cooldown(Value):
    """No entry before `until`. product None: every product (after a loss streak)."""

    product: ProductId | None
    reason: str
    until: datetime


class HaltCause(Enum):
    """Causes of the halt table; `Permission` of each is in bot.risk."""

    KILL_SWITCH = "kill_switch"
    DAILY_STOP = "daily_stop"
    WEEKLY_STOP = "weekly_stop"
    DRAWDOWN_STOP = "drawdown_stop"
    GOVERNOR = "governor"
    BREAKER = "breaker"
    STALE_DATA = "stale_data"
    RECONCILE_PENDING = "reconcile_pending"
    EXIT_ONLY = "exit_only"
    AUTH_DEGRADED = "auth_degraded"
    NLV_UNKNOWN = "nlv_unknown"
    START_HALTED = "start_halted"
    FOREIGN_INSTANCE = "foreign_instance"
    STORAGE = "storage"
    CLOCK_SKEW = "clock_skew"
    CLOCK_REFUSED = "clock_refused"
    SHUTDOWN = "shutdown"


class Latch(Value):
    """A halt that stays until its period ends or an operator resumes it. ends_at None: only the operator ends it."""

    name: str
    cause: HaltCause
    detail: str
    since: datetime
    period: str = ""
    ends_at: datetime | None = None


class Untold(Value):
    """A halt, a latch or an open breaker of which no alert is in the journal yet. cause: of the halt table."""

    cause: str
    since: datetime
    detail: str


class BreakerState(Value):
    """One circuit breaker's memory. hits: times of the counted events inside its window."""

    name: str
    open: bool
    hits: tuple[datetime, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    detail: str = ""


def is_open(breaker: BreakerState, now: datetime) -> bool:
    """Whether it stops trading at `now`; one that latched stays open until an operator resets it."""
    return breaker.open and (breaker.until is None or now < breaker.until)


class Period(Value, dict=True):
    """Profit and loss since the start of a UTC day (`2026-11-21`) or ISO week (`2026-W47`).

    start_equity: equity when the period began; start_unrealised likewise; realised: booked since, fees in;
    transfers: net deposits since. All in the quote currency. later: id -> profit of fills that were booked while this
    period was still measured and that belong to a later one.
    """

    id: str
    start_equity: Decimal
    start_unrealised: Decimal
    realised: Decimal = ZERO
    transfers: Decimal = ZERO
    later: Mapping[str, Decimal] = field(default_factory=dict)

    @cached_property
    def ends_at(self) -> datetime:
        """When the next one begins."""
        return datetime.fromisoformat(f"{self.id}T00Z") + (_WEEK if "W" in self.id else _DAY)


def day_id(at: datetime) -> str:
    """Id of the UTC day of `at`: `2026-11-21`."""
    return at.astimezone(UTC).date().isoformat()


def week_id(at: datetime) -> str:
    """Id of the ISO week of `at` in UTC: `2026-W47`."""
    year, week, _ = at.astimezone(UTC).isocalendar()
    return f"{year:04d}-W{week:02d}"


class Ledger(Value, dict=True):
    """The ledger equation of one currency: anchor + flows = available + hold, cumulatively.

    flows: net effect of booked fills and recognised transfers since the anchor.
    pending: the unexplained difference (venue minus books), since when, and over how many complete sweeps.
    """

    anchor: Decimal
    anchored_at: datetime
    flows: Decimal = ZERO
    pending: Decimal = ZERO
    pending_since: datetime | None = None
    sweeps: int = 0

    @cached_property
    def expected(self) -> Decimal:
        return EXACT.add(self.anchor, self.flows)

    def after(self, flow: Decimal) -> Ledger:
        """The account once `flow` has come (or gone, when negative)."""
        flows = EXACT.add(self.flows, flow)
        return Ledger(self.anchor, self.anchored_at, flows, self.pending, self.pending_since, self.sweeps)


class Approval(Value):
    """A proposal above the approval threshold, waiting for `bot approve` until `expires_at`."""

    id: str
    product: ProductId
    side: Side
    rule: str
    size_quote: Decimal
    asked_at: datetime
    expires_at: datetime
    granted: bool = False


class FeeTier(Value):
    """The account's fee rates as fractions (0.006 = 0.6 %), and where they come from."""

    maker: Decimal
    taker: Decimal
    name: str
    as_of: datetime


class SentOrder(Value):
    """One order POST, for the governors: when, how much, which side."""

    at: datetime
    product: ProductId
    side: Side
    notional: Decimal


class FillCursor(Value):
    """Fills up to `at` are booked; reads overlap it and entries are deduplicated by the ids kept in State.fill_ids."""

    at: datetime
    overlap: timedelta = timedelta(minutes=10)


class Oversold(Value):
    """Sales booked before the purchases they sold: base `size` still owed to the books, and its net quote proceeds."""

    size: Size
    proceeds: Decimal


class State(Evolving):
    """The whole durable state. Mappings are never mutated: the fold builds new ones.

    fill_ids: entry id -> (order id, trade id, time) of fills inside the cursor's reach or of a kept order; others
    cannot come again. The trade id of an adjustment is kept as "", since it may repeat that of the fill it adjusts.
    last_cycle: the newest cycle whose decision is in the journal.
    oversold: by orders of ours; oversold_by_others: by anybody else, which a purchase of ours never makes up for.
    past_orders: client order id -> the newest orders that are over and no longer among `orders`.
    halts: cause -> (since, detail) of every halt in force; halted_since and halt_reason tell the oldest.
    untold: name -> what began and was not said, be it over by now: a process may be killed between the two.
    commands: ids of the newest operator commands that were applied, so that none is applied twice.
    settle_ms: histogram of observed settle times after submissions, upper bound in ms -> count.
    """

    genesis: str = ""
    account: str = ""
    config_hash: str = ""
    cost_method: CostMethod = CostMethod.AVERAGE
    seq: int = 0
    head: str = ""
    next_intent: int = 1
    positions: Mapping[ProductId, Position] = field(default_factory=dict)
    oversold: Mapping[ProductId, Oversold] = field(default_factory=dict)
    oversold_by_others: Mapping[ProductId, Oversold] = field(default_factory=dict)
    intents: Mapping[int, Intent] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    past_orders: Mapping[str, PastOrder] = field(default_factory=dict)
    foreign_orders: Mapping[str, str] = field(default_factory=dict)
    ledgers: Mapping[str, Ledger] = field(default_factory=dict)
    fill_cursor: FillCursor | None = None
    fill_ids: Mapping[str, tuple[str, str, datetime]] = field(default_factory=dict)
    bans: Mapping[ProductId, Ban] = field(default_factory=dict)
    cooldowns: tuple[Cooldown, ...] = ()
    quarantined: Mapping[ProductId, str] = field(default_factory=dict)
    ignored: tuple[ProductId, ...] = ()
    hysteresis: Mapping[ProductId, HysteresisCount] = field(default_factory=dict)
    latches: Mapping[str, Latch] = field(default_factory=dict)
    breakers: Mapping[str, BreakerState] = field(default_factory=dict)
    approvals: Mapping[str, Approval] = field(default_factory=dict)
    fee_tier: FeeTier | None = None
    day: Period | None = None
    week: Period | None = None
    peak_equity: Decimal | None = None
    realised_total: Decimal = ZERO
    fees_total: Decimal = ZERO
    transfers_total: Decimal = ZERO
    rule_realised: Mapping[str, Decimal] = field(default_factory=dict)
    rule_last_entry: Mapping[str, datetime] = field(default_factory=dict)
    loss_streak: int = 0
    sent: tuple[SentOrder, ...] = ()
    settle_ms: Mapping[int, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    halts: Mapping[str, tuple[datetime, str]] = field(default_factory=dict)
    halted_since: datetime | None = None
    halt_reason: str = ""
    untold: Mapping[str, Untold] = field(default_factory=dict)
    last_cycle: str = ""
    commands: tuple[str, ...] = ()

    leads_to: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "orders": ("working", "unsettled", "of_base"), "intents": ("open_intents", "exiting"),
        "breakers": ("open_breakers",), "ledgers": ("pending", "unmoved"),
    }  # fmt: skip

    def past_order(self, order_id: str) -> tuple[str, PastOrder] | None:
        """Client id and memory of a forgotten order of ours with this id of the venue."""
        return next((item for item in self.past_orders.items() if item[1].order_id == order_id), None)

    def order_of(self, order_id: str) -> Order | None:
        """Our order with this id of the venue; none has the empty one."""
        if order_id:
            for order in self.orders.values():
                if order.order_id == order_id:
                    return order
        return None

    def unexplained(self, base: str) -> Size:
        """Coins the account showed beyond the books at the last look: come from outside, not yet classified."""
        return Size(max(ZERO, self.pending.get(base, ZERO)))

    @cached_property
    def working(self) -> tuple[Order, ...]:
        """Our orders that the venue may still hold or match."""
        return tuple([order for order in self.orders.values() if order.state.is_working])

    @cached_property
    def unsettled(self) -> tuple[Order, ...]:
        """Our orders that the venue knows by an id, and that work or have filled more than is booked."""
        orders = self.orders.values()
        return tuple([o for o in orders if o.order_id and (o.state.is_working or o.booked.value < o.filled.value)])

    @cached_property
    def open_breakers(self) -> tuple[BreakerState, ...]:
        """Breakers that have tripped; the cool-off of some may be over by now."""
        return tuple([breaker for breaker in self.breakers.values() if breaker.open])

    @cached_property
    def pending(self) -> Mapping[str, Decimal]:
        """Differences that are neither gone nor classified, by currency: while there is one, nothing may be entered."""
        found = [(currency, ledger.pending) for currency, ledger in self.ledgers.items() if ledger.pending]
        return dict(sorted(found)) if found else {}

    @cached_property
    def unmoved(self) -> frozenset[str]:
        """Currencies that were held when their books were opened and have not moved since."""
        ledgers = self.ledgers.items()
        return frozenset([currency for currency, ledger in ledgers if not ledger.flows and ledger.anchor > ZERO])

    @cached_property
    def exiting(self) -> frozenset[str]:
        """Base currencies of which an exit of ours owns the sell side."""
        return frozenset([intent.product.base for intent in self.open_intents if intent.kind is EXIT])

    @cached_property
    def open_intents(self) -> tuple[Intent, ...]:
        """Intents that may still get an order, oldest first."""
        return tuple(sorted([intent for intent in self.intents.values() if not intent.closed], key=_BY_NUMBER))

    @cached_property
    def of_base(self) -> Mapping[str, Sequence[Order]]:
        """Our orders by the base currency they trade, oldest first."""
        found: dict[str, list[Order]] = {}
        for order in self.orders.values():
            found.setdefault(order.product.base, []).append(order)
        return found

    def has_fill(self, entry_id: str, order_id: str, trade_id: str, adjustment: str = "") -> bool:
        """Whether this row is booked: its entry id is, or (for a plain fill) its trade is under another entry id."""
        if entry_id in self.fill_ids:
            return True
        if adjustment or not trade_id:
            return False
        return order_id in [known_order for known_order, known, _ in self.fill_ids.values() if known == trade_id]
