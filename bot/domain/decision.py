"""What a cycle concluded: triggers, proposals, verdicts and reasons. `NO_TRADE` is a value with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Protocol

from bot.domain.money import Money, Price, Size
from bot.domain.order import OrderKind
from bot.domain.position import Exits
from bot.domain.product import ProductId, Side
from bot.domain.value import Value, field


class Outcome(Enum):
    """How a cycle ended, as heartbeat and metrics name it."""

    TRADED = "TRADED"
    NO_TRADE = "NO_TRADE"
    HALTED = "HALTED"
    EXIT_ONLY = "EXIT_ONLY"
    ERROR = "ERROR"


class Reason(Enum):
    """Why something was not done, or done smaller: log field, metric label, test and `bot explain` all use it."""

    # nothing to do
    NO_SIGNAL = "no_signal"
    NO_RULE_HOLDS = "no_rule_holds"
    BELOW_MIN_CONVICTION = "below_min_conviction"
    REGIME_CRASH = "regime_crash"
    ALL_REJECTED = "all_rejected"
    NO_LEGAL_SIZE = "no_legal_size"
    # universe
    TOO_FEW_ELIGIBLE = "too_few_eligible"
    NEVER_TRADE = "never_trade"
    NOT_IN_TIER = "not_in_tier"
    WRONG_QUOTE_CURRENCY = "wrong_quote_currency"
    NOT_ONLINE = "not_online"
    PRODUCT_MODE = "product_mode"
    BANNED = "banned"
    TOO_NEW = "too_new"
    VOLUME_LOW = "volume_low"
    VOLUME_UNKNOWN = "volume_unknown"
    SPREAD_WIDE = "spread_wide"
    DEPTH_THIN = "depth_thin"
    QUOTE_MISSING = "quote_missing"
    QUOTE_STALE = "quote_stale"
    QUOTE_HELD_BACK = "quote_held_back"
    BARS_MISSING = "bars_missing"
    BARS_STALE = "bars_stale"
    HYSTERESIS = "hysteresis"
    ALIAS_DUPLICATE = "alias_duplicate"
    # data
    DATA_UNAVAILABLE = "data_unavailable"
    TOO_MANY_STALE = "too_many_stale"
    NLV_UNKNOWN = "nlv_unknown"
    METADATA_STALE = "metadata_stale"
    # gates, in the order of the table
    KILL_SWITCH = "kill_switch"
    HALTED = "halted"
    LATCHED = "latched"
    ENVIRONMENT = "environment"
    DATA_FRESHNESS = "data_freshness"
    EXCHANGE_STATUS = "exchange_status"
    PRODUCT_STATUS = "product_status"
    CLOCK_SKEW = "clock_skew"
    CIRCUIT_BREAKER = "circuit_breaker"
    DRAWDOWN_STOP = "drawdown_stop"
    DAILY_STOP = "daily_stop"
    WEEKLY_STOP = "weekly_stop"
    TRADE_PACING = "trade_pacing"
    COOLDOWN = "cooldown"
    QUARANTINED = "quarantined"
    ORDER_UNRESOLVED = "order_unresolved"
    ALREADY_WORKING = "already_working"
    ALREADY_HELD = "already_held"
    RULE_BUDGET = "rule_budget"
    POSITION_COUNT = "position_count"
    PER_ASSET_CAP = "per_asset_cap"
    THEME_CAP = "theme_cap"
    TOTAL_CAP = "total_cap"
    CASH = "cash"
    MIN_NOTIONAL = "min_notional"
    EXIT_GUARANTEE = "exit_guarantee"
    APPROVAL_PENDING = "approval_pending"
    # last hop and execution
    RECONCILE_PENDING = "reconcile_pending"
    PRICE_COLLAR = "price_collar"
    ORDERS_PER_MINUTE = "orders_per_minute"
    ORDERS_PER_DAY = "orders_per_day"
    NOTIONAL_PER_DAY = "notional_per_day"
    SAME_SIDE_REPEATS = "same_side_repeats"
    SLIPPAGE = "slippage"
    PREVIEW_REFUSED = "preview_refused"
    ILLEGAL_ORDER = "illegal_order"
    NOTHING_TO_SELL = "nothing_to_sell"
    STORAGE_FAILED = "storage_failed"
    SHUTTING_DOWN = "shutting_down"
    RATE_BUDGET = "rate_budget"
    EXCHANGE_REJECTED = "exchange_rejected"
    OUTCOME_UNKNOWN = "outcome_unknown"
    EXIT_ONLY = "exit_only"


class Regime(Enum):
    BULL = "bull"
    CHOP = "chop"
    BEAR = "bear"
    CRASH = "crash"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


class TriggerKind(Enum):
    PRICE_MOVE = "price_move"
    VOLUME_SPIKE = "volume_spike"
    BREAKOUT = "breakout"
    MOMENTUM = "momentum"
    REVERSAL = "reversal"
    MEAN_REVERSION = "mean_reversion"

    __hash__ = object.__hash__  # of the member itself: Enum hashes the name, in Python, and this is hot


class Direction(Enum):
    UP = "up"
    DOWN = "down"


class Facts(Protocol):
    """The numbers a trigger was found by."""

    def told(self) -> Mapping[str, str]:
        """Each in words, by its name."""


class Told(Mapping[str, str]):
    """What facts tell, put into words only where somebody reads it: most triggers are read by nobody."""

    __slots__ = ("_facts",)

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def __getitem__(self, name: str) -> str:
        return self._facts.told()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts.told())

    def __len__(self) -> int:
        return len(self._facts.told())

    def __repr__(self) -> str:
        return repr(self._facts.told())


class Trigger(Value):
    """One fired trigger. score, confidence in [0, 1], quantised to 1e-6; features: its numbers, for people."""

    product: ProductId
    kind: TriggerKind
    direction: Direction
    score: Decimal
    confidence: Decimal
    features: Mapping[str, str] = field(default_factory=dict)


class ExitReason(Enum):
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"
    MAX_HOLD = "max_hold"
    BANNED = "banned"
    DELISTING = "delisting"
    TRIM_TO_CAP = "trim_to_cap"
    FLATTEN = "flatten"


class TradeProposal(Value):
    """What a rule would like, before risk.

    size_quote: wanted notional of an entry, fees not included. size_base: an exit's size (at most what is held).
    reference: the price the proposal reasons from (mid for entries, bid for exits). exits: the stops of an entry.
    """

    product: ProductId
    side: Side
    kind: OrderKind
    size_quote: Money
    size_base: Size | None
    reference: Price
    rule: str
    conviction: Decimal
    exits: Exits = Exits()
    triggers: tuple[Trigger, ...] = ()
    exit_reason: ExitReason | None = None


class Measure(Value):
    """One comparison of a gate that allowed: `value` of `what` against `limit`, in `unit`; only people's pages word it.

    limit: None when nothing bounds it. key: of the policy, where the limit comes from; empty when from the venue.
    floor: the limit is the least, not the most. whole: what both are shares of (equity), if percents say more.
    """

    what: str
    value: Decimal
    limit: Decimal | None = None
    unit: str = ""
    key: str = ""
    floor: bool = False
    whole: Decimal | None = None


class Allow(Value):
    """The gate has nothing against it. measured: what it compared; note: what it saw where nothing has a number."""

    measured: tuple[Measure, ...] = ()
    note: str = ""


class Clamp(Value):
    """The gate allows at most `size_quote`."""

    size_quote: Money
    reason: Reason
    detail: str


class Reject(Value):
    """The gate forbids it. `detail` says what, with which number, against which limit, and what would change it."""

    reason: Reason
    detail: str


Verdict = Allow | Clamp | Reject


class GateResult(Value):
    """What one gate said of one proposal, kept for `bot explain`."""

    gate: str
    verdict: Verdict


class Approved(Value):
    """Permission to trade: only `RiskEngine.evaluate` makes one, and it is all that ExecutionEngine takes.

    size: base, legal under the product's steps at `limit` (the worst price still allowed).
    worst_quote: most quote currency an entry may cost, fees included; least an exit is expected to return.
    """

    proposal: TradeProposal
    size: Size
    worst_price: Price
    worst_quote: Money


class Evaluated(Value):
    """A proposal with every verdict it met, in gate order, and the permission when none rejected it."""

    proposal: TradeProposal
    results: tuple[GateResult, ...]
    approved: Approved | None

    @property
    def refusal(self) -> Reject | None:
        """The rejection that ended it, if any."""
        verdict = self.results[-1].verdict if self.results else None
        return verdict if isinstance(verdict, Reject) else None


class Exclusion(Value):
    """A product that may not be entered this cycle, and why."""

    product: ProductId
    reason: Reason
    detail: str


class HysteresisCount(Value):
    """Memory of one product's eligibility: whether it is in, and for how many consecutive cycles it disagreed."""

    eligible: bool
    streak: int


class Decision(Value):
    """Everything one cycle decided. Same Snapshot and Policy give the same Decision, byte for byte.

    hysteresis: only the products whose memory changed; it goes out as an event and comes back in the next snapshot.
    """

    cycle_id: str
    at: datetime
    outcome: Outcome
    reason: Reason | None
    detail: str
    regime: Regime
    eligible: tuple[ProductId, ...]
    excluded: tuple[Exclusion, ...]
    triggers: tuple[Trigger, ...]
    evaluated: tuple[Evaluated, ...]
    hysteresis: Mapping[ProductId, HysteresisCount]
    config_hash: str

    @property
    def approved(self) -> tuple[Approved, ...]:
        return tuple(item.approved for item in self.evaluated if item.approved is not None)
