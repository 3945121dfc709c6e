"""The journal's words: one frozen payload per topic, and the envelope that chains them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Final

from bot.domain.decision import HysteresisCount
from bot.domain.money import Price, Size
from bot.domain.order import Bracket, OrderKind, OrderState, OrderType
from bot.domain.position import CostMethod, Exits, Position
from bot.domain.product import ProductId, Side
from bot.domain.state import Approval, Ban, BreakerState, Cooldown, FeeTier, Latch, Period, State
from bot.domain.value import Value, field


class Payload(Value):
    """Base of all payloads. durable: fsync before going on (intents, fills, halts). version: of the payload's shape."""

    topic: ClassVar[str] = ""
    durable: ClassVar[bool] = False
    version: ClassVar[int] = 1


class JournalOpened(Payload):
    """First event of a journal: names its genesis. account: fingerprint of portfolio, env and mode."""

    topic: ClassVar[str] = "journal.opened"
    durable: ClassVar[bool] = True
    genesis: str
    account: str
    schema: int


class GenesisRenewed(Payload):
    """The journal was cut or restored: later order ids hang on a new genesis, so none of them can repeat a lost one."""

    topic: ClassVar[str] = "journal.genesis_renewed"
    durable: ClassVar[bool] = True
    genesis: str
    why: str


class JournalAnchored(Payload):
    """Stands in for the events up to `through_seq`, whose files may then go: their folded state and last hash."""

    topic: ClassVar[str] = "journal.anchored"
    durable: ClassVar[bool] = True
    through_seq: int
    head: str
    state: State


class RunStarted(Payload):
    topic: ClassVar[str] = "run.started"
    durable: ClassVar[bool] = True
    env: str
    mode: str
    venue: str


class RunStopped(Payload):
    topic: ClassVar[str] = "run.stopped"
    durable: ClassVar[bool] = True
    why: str
    exit_code: int
    still_working: tuple[str, ...] = ()


class IntentRecorded(Payload):
    """Written and fsynced before the order's request leaves. One per attempt; `intent_id` is shared by re-quotes."""

    topic: ClassVar[str] = "intent.recorded"
    durable: ClassVar[bool] = True
    intent_id: int
    attempt: int
    client_order_id: str
    product: ProductId
    side: Side
    size: Size
    limit_price: Price | None
    kind: OrderKind
    quote: str
    type: OrderType
    intent_size: Size
    worst_price: Price
    worst_quote: Decimal
    reference: Price
    expected_fee_rate: Decimal
    rule: str
    why: str
    stop_price: Price | None = None
    end_time: datetime | None = None
    attached: Bracket | None = None
    exits: Exits = Exits()


class IntentClosed(Payload):
    """No further attempt will be made for this intent."""

    topic: ClassVar[str] = "intent.closed"
    intent_id: int
    why: str


class OrderRefused(Payload):
    """What was approved was not sent: refused before the intent was written, or in the last function of all."""

    topic: ClassVar[str] = "order.refused"
    product: ProductId
    side: Side
    kind: OrderKind
    reason: str
    detail: str


class OrderChanged(Payload):
    """`from_state` is written as `from`, `to_state` as `to`. filled, value, fees: cumulative as the venue says.

    cancel_asked: a cancel left for the venue with this event, whatever the state (an UNKNOWN order stays UNKNOWN).
    unsent: not one byte of the request left this machine, so that there never was an order.
    """

    topic: ClassVar[str] = "order.changed"
    client_order_id: str
    order_id: str
    from_state: OrderState
    to_state: OrderState
    why: str
    filled: Size
    filled_value: Decimal
    fees: Decimal
    absent_listings: int = 0
    cancel_asked: bool = False
    unsent: bool = False


class ChildAdopted(Payload):
    """The venue opened an attached bracket for one of our entries; from now on it is one of our orders."""

    topic: ClassVar[str] = "order.adopted"
    durable: ClassVar[bool] = True
    client_order_id: str
    order_id: str
    parent_order_id: str
    intent_id: int
    product: ProductId
    size: Size
    limit_price: Price | None
    stop_price: Price | None
    type: OrderType


class FillBooked(Payload):
    """One fill applied to positions and ledgers, exactly once. size: base. realised: profit of a sale, fees in.

    market: key of the position when the product is an alias (BTC-USDC is held as BTC-USD); None: the product itself.
    """

    topic: ClassVar[str] = "fill.booked"
    durable: ClassVar[bool] = True
    entry_id: str
    trade_id: str
    order_id: str
    client_order_id: str
    product: ProductId
    side: Side
    price: Price
    size: Size
    value: Decimal
    fee: Decimal
    at: datetime
    liquidity: str
    foreign: bool
    realised: Decimal | None = None
    adjustment: str = ""
    market: ProductId | None = None


class CursorMoved(Payload):
    """Fills up to `at` are booked; later reads reach `overlap` further back."""

    topic: ClassVar[str] = "fills.cursor_moved"
    at: datetime
    overlap: timedelta = timedelta(minutes=10)


class FillsKnown(Payload):
    """Fills from before the books were opened: the opening balances hold them, so they must never be booked.

    rows: entry id -> (order id, trade id, time).
    """

    topic: ClassVar[str] = "fills.known"
    rows: Mapping[str, tuple[str, str, datetime]]


class ForeignOrderSeen(Payload):
    """A working order on the account that we did not place; counted, never touched."""

    topic: ClassVar[str] = "order.foreign_seen"
    order_id: str
    product: ProductId
    detail: str


class ForeignOrderGone(Payload):
    topic: ClassVar[str] = "order.foreign_gone"
    order_id: str


class LedgerAnchored(Payload):
    topic: ClassVar[str] = "ledger.anchored"
    durable: ClassVar[bool] = True
    currency: str
    amount: Decimal


class LedgerPending(Payload):
    """Difference between books and venue not yet explained (zero: it vanished). sweeps: complete ones it survived."""

    topic: ClassVar[str] = "ledger.pending"
    currency: str
    amount: Decimal
    sweeps: int


class TransferRecognised(Payload):
    """A deposit (positive) or withdrawal (negative). value: in the equity currency at the mark of the moment.

    equity: equity without this transfer, which keeps the drawdown percentage unchanged; None when it is unknown.
    market: of the coins that came or went; None for cash.
    """

    topic: ClassVar[str] = "transfer.recognised"
    durable: ClassVar[bool] = True
    currency: str
    amount: Decimal
    value: Decimal
    equity: Decimal | None = None
    market: ProductId | None = None


class PositionAdopted(Payload):
    """A holding taken into the books as it stands (cold start, `bot adopt`)."""

    topic: ClassVar[str] = "position.adopted"
    durable: ClassVar[bool] = True
    position: Position


class PositionMarked(Payload):
    """New highest mark of a position, for its trailing stop."""

    topic: ClassVar[str] = "position.marked"
    product: ProductId
    high_mark: Price


class Mismatch(Payload):
    """Exchange and books differed; the exchange was believed."""

    topic: ClassVar[str] = "reconcile.mismatch"
    what: str
    ours: str
    theirs: str


class DecisionMade(Payload):
    """The one record of a cycle's decision. proposals and verdicts: plain texts and numbers for people and tools."""

    topic: ClassVar[str] = "decision.made"
    outcome: str
    reason: str
    detail: str
    regime: str
    proposals: tuple[Mapping[str, str], ...]
    verdicts: tuple[Mapping[str, str], ...]
    eligible: int
    triggers: tuple[Mapping[str, str], ...] = ()
    excluded: Mapping[str, int] = field(default_factory=dict)


class DecisionRepeated(Payload):
    """Consecutive further cycles that ended with the same NO_TRADE reason, folded into one record."""

    topic: ClassVar[str] = "decision.repeated"
    outcome: str
    reason: str
    first_cycle: str
    last_cycle: str
    count: int


class HysteresisMoved(Payload):
    topic: ClassVar[str] = "universe.hysteresis_moved"
    counts: Mapping[ProductId, HysteresisCount]


class CooldownBegan(Payload):
    topic: ClassVar[str] = "cooldown.began"
    cooldown: Cooldown


class BanBegan(Payload):
    topic: ClassVar[str] = "ban.began"
    durable: ClassVar[bool] = True
    ban: Ban


class BanEnded(Payload):
    topic: ClassVar[str] = "ban.ended"
    product: ProductId
    why: str


class QuarantineBegan(Payload):
    topic: ClassVar[str] = "quarantine.began"
    durable: ClassVar[bool] = True
    product: ProductId
    why: str


class QuarantineEnded(Payload):
    """`ignored` True: the holding stays in the account but is never managed by the bot."""

    topic: ClassVar[str] = "quarantine.ended"
    durable: ClassVar[bool] = True
    product: ProductId
    ignored: bool
    by: str


class HaltBegan(Payload):
    topic: ClassVar[str] = "halt.began"
    durable: ClassVar[bool] = True
    cause: str
    detail: str


class HaltEnded(Payload):
    topic: ClassVar[str] = "halt.ended"
    durable: ClassVar[bool] = True
    cause: str
    detail: str


class LatchSet(Payload):
    topic: ClassVar[str] = "latch.set"
    durable: ClassVar[bool] = True
    latch: Latch


class LatchCleared(Payload):
    topic: ClassVar[str] = "latch.cleared"
    durable: ClassVar[bool] = True
    name: str
    by: str


class BreakerChanged(Payload):
    topic: ClassVar[str] = "breaker.changed"
    breaker: BreakerState


class PeriodBegan(Payload):
    """A new UTC day or ISO week; `kind` is day or week."""

    topic: ClassVar[str] = "period.began"
    durable: ClassVar[bool] = True
    kind: str
    period: Period


class PeakMoved(Payload):
    """New highest equity, transfers corrected."""

    topic: ClassVar[str] = "equity.peak_moved"
    equity: Decimal


class FeeTierSeen(Payload):
    topic: ClassVar[str] = "fees.tier_seen"
    tier: FeeTier


class ApprovalAsked(Payload):
    topic: ClassVar[str] = "approval.asked"
    durable: ClassVar[bool] = True
    approval: Approval


class ApprovalAnswered(Payload):
    """answer: granted, rejected, expired or used."""

    topic: ClassVar[str] = "approval.answered"
    durable: ClassVar[bool] = True
    id: str
    answer: str
    by: str


class ExecutionMeasured(Payload):
    """Expected against actual, once an order with fills is terminal. slippage_bps: positive is worse than expected."""

    topic: ClassVar[str] = "execution.measured"
    client_order_id: str
    expected_price: Price
    actual_price: Price
    slippage_bps: Decimal
    expected_fee: Decimal
    actual_fee: Decimal


class SettleObserved(Payload):
    """How long after a submission its fills and balances were complete at the venue, rounded up to a bucket."""

    topic: ClassVar[str] = "execution.settled"
    bucket_ms: int


HALT_ALERT: Final = "halt."
"""How the fingerprint of the alert about a halt, a latch or a breaker begins; its name follows."""


class AlertRaised(Payload):
    """state: firing or resolved."""

    topic: ClassVar[str] = "alert.raised"
    id: str
    fingerprint: str
    severity: str
    state: str
    title: str
    detail: str


class CommandApplied(Payload):
    topic: ClassVar[str] = "command.applied"
    durable: ClassVar[bool] = True
    id: str
    verb: str
    arguments: tuple[str, ...]
    result: str


class ConfigLoaded(Payload):
    topic: ClassVar[str] = "config.loaded"
    durable: ClassVar[bool] = True
    config_hash: str
    previous: str
    cost_method: CostMethod = CostMethod.AVERAGE


class Envelope(Value):
    """One journal line: a payload with its place in the chain.

    seq: 1, 2, 3, ...; ts: trading time, UTC, microseconds; causation: seq of the event that led to this one, 0 if none;
    hash: SHA-256 over the canonical JSON of everything else, prev_hash included; empty where no journal is written.
    """

    seq: int
    ts: datetime
    topic: str
    cycle_id: str
    causation: int
    payload: Payload
    version: int
    config_hash: str
    code_version: str
    prev_hash: str
    hash: str = ""
