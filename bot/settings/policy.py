"""policy.yaml as frozen models. Every default is written here, once; `None` means off."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from bot.domain.bars import Granularity
from bot.domain.decision import Regime
from bot.domain.money import Percent
from bot.domain.position import CostMethod
from bot.domain.product import ProductId
from bot.settings import spellings
from bot.settings.rules import Rule
from bot.settings.triggers import TriggersPolicy
from bot.settings.types import (
    AtLeastOne,
    Bps,
    Count,
    Flag,
    Fraction,
    NotNegative,
    Number,
    Part,
    Pct,
    Positive,
    Section,
    Symbol,
)


def _granularity(value: object) -> Granularity:
    if isinstance(value, Granularity):
        return value
    value = spellings.granularity(value)
    if isinstance(value, str) and value in Granularity.__members__:
        return Granularity[value]
    raise ValueError(f"must be one of {', '.join(Granularity.__members__)}, was {value!r}")


BarLength = Annotated[
    Granularity,
    PlainValidator(_granularity),
    PlainSerializer(lambda value: value.name, return_type=str),
    WithJsonSchema({"type": "string", "enum": list(Granularity.__members__)}),
]


class LoopPolicy(Section):
    """When cycles run."""

    interval_seconds: Positive = Decimal(60)
    jitter_pct: Pct = Percent(Decimal(10))
    cycle_budget_seconds: Positive = Decimal(45)


class DataPolicy(Section):
    """What market data must look like before it is believed. warmup_minutes: history kept ready before deciding."""

    bar_granularity: BarLength = Granularity.ONE_MINUTE
    warmup_minutes: AtLeastOne = 11520
    bar_close_lag_seconds: NotNegative = Decimal(2)
    max_quote_staleness_seconds: Positive = Decimal(5)
    max_stale_fraction: Fraction = Decimal("0.5")
    max_bar_staleness_seconds: Positive = Decimal(180)
    product_max_age_minutes: Positive = Decimal(15)
    max_price_deviation_pct: Pct = Percent(Decimal(10))
    confirm_updates: AtLeastOne = 3
    confirm_window_ms: Count = 300
    confirm_bars: AtLeastOne = 2
    min_volume_ratio: Positive = Decimal(2)
    unpriced_after_seconds: Positive = Decimal(300)


class RegimePolicy(Section):
    """Market regime from one leading product; `enabled: false` means always chop."""

    enabled: Flag = True
    product: Symbol = Field(default=ProductId("BTC-USD"))
    return_days: AtLeastOne = 7
    bull_return_pct: Positive = Decimal(5)
    bear_return_pct: Positive = Decimal(5)
    crash_return_pct: Positive = Decimal(15)
    crash_volatility_pct: Positive = Decimal(150)
    crash_drop_60m_pct: Positive = Decimal(6)
    size_multipliers: Mapping[Regime, NotNegative] = Field(
        default={
            Regime.BULL: Decimal("1.2"),
            Regime.CHOP: Decimal(1),
            Regime.BEAR: Decimal("0.6"),
            Regime.CRASH: Decimal(0),
        }
    )


class ConvictionPolicy(Section):
    """conviction = w_score x score + w_confidence x confidence + boosts; below `min_conviction` nothing."""

    w_score: Fraction = Decimal("0.6")
    w_confidence: Fraction = Decimal("0.4")
    min_conviction: Fraction = Decimal("0.3")
    boost_per_extra_trigger: Fraction = Decimal("0.05")
    boost_by_regime: Mapping[Regime, Number] = Field(
        default={Regime.BULL: Decimal("0.05"), Regime.BEAR: Decimal("-0.05")}
    )


class SizingPolicy(Section):
    """Volatility scaling of entry sizes: target / realised, clamped. target None: no scaling."""

    target_volatility_pct: Positive | None = Decimal(80)
    volatility_lookback_minutes: AtLeastOne = 1440
    min_scale: Positive = Decimal("0.5")
    max_scale: Positive = Decimal("1.5")


class ProtectiveStyle(Enum):
    """How a position's protective sell rests at the venue."""

    BRACKET = "bracket"
    ATTACHED_BRACKET = "attached_bracket"
    STOP_LIMIT = "stop_limit"


class ExitsPolicy(Section):
    """Exits beyond what each rule asks for."""

    resting_on_exchange: Flag = True
    style: ProtectiveStyle = ProtectiveStyle.BRACKET
    stop_limit_offset_pct: Part = Percent(Decimal(3))
    bracket_without_target_pct: Pct = Percent(Decimal(50))
    stop_confirmations: AtLeastOne = 2
    trim_to_cap: Flag = True
    trim_tolerance_pct: Pct = Percent(Decimal(10))
    max_slippage_bps: Bps = Decimal(150)


class BreakerPolicy(Section):
    """One circuit breaker: `threshold` hits inside `window_seconds` open it for `cooloff_seconds`."""

    enabled: Flag = True
    threshold: Positive = Decimal(3)
    window_seconds: Positive = Decimal(300)
    cooloff_seconds: Positive = Decimal(300)
    reset: Literal["automatic", "latch"] = "automatic"
    exits_allowed: Flag = True
    cancel_entries: Flag = False


def _breaker(**values: object) -> BreakerPolicy:
    return BreakerPolicy.model_validate(values)


class BreakersPolicy(Section):
    """The circuit breakers, by what trips them. volatility: threshold in percent moved inside the window."""

    stale_data: BreakerPolicy = Field(default_factory=lambda: _breaker(threshold="3", cooloff_seconds="120"))
    api_errors: BreakerPolicy = Field(default_factory=lambda: _breaker(threshold="5", cancel_entries=True))
    rate_limited: BreakerPolicy = Field(default_factory=lambda: _breaker(threshold="3"))
    exchange_status: BreakerPolicy = Field(default_factory=lambda: _breaker(threshold="1", cooloff_seconds="300"))
    product_status: BreakerPolicy = Field(default_factory=lambda: _breaker(threshold="1", cooloff_seconds="600"))
    volatility: BreakerPolicy = Field(
        default_factory=lambda: _breaker(
            threshold="8", window_seconds="900", cooloff_seconds="1800", cancel_entries=True
        )
    )
    rejections: BreakerPolicy = Field(default_factory=lambda: _breaker(threshold="5", cooloff_seconds="600"))
    exceptions: BreakerPolicy = Field(
        default_factory=lambda: _breaker(threshold="3", cooloff_seconds="600", cancel_entries=True)
    )
    slippage: BreakerPolicy = Field(
        default_factory=lambda: _breaker(threshold="3", window_seconds="3600", cooloff_seconds="3600")
    )
    reconcile_mismatch: BreakerPolicy = Field(
        default_factory=lambda: _breaker(threshold="3", window_seconds="3600", cooloff_seconds="900")
    )
    fee_above_assumed: BreakerPolicy = Field(default_factory=lambda: _breaker(threshold="1", cooloff_seconds="900"))


class RiskPolicy(Section):
    """Caps in percent of net liquidation value, loss stops, pacing and cooldowns."""

    max_total_pct: Pct = Percent(Decimal(25))
    max_per_asset_pct: Pct = Percent(Decimal(5))
    max_per_theme_pct: Pct = Percent(Decimal(15))
    max_open_positions: AtLeastOne = 5
    cash_reserve_pct: Pct = Percent(Decimal(5))
    daily_stop_pct: Pct | None = Percent(Decimal(3))
    weekly_stop_pct: Pct | None = Percent(Decimal(6))
    max_drawdown_pct: Pct | None = Percent(Decimal(12))
    approval_above_usd: Positive | None = None
    approval_expires_minutes: Positive = Decimal(15)
    cooldown_minutes: NotNegative = Decimal(30)
    cooldown_after_stop_minutes: NotNegative = Decimal(240)
    loss_streak: AtLeastOne | None = 4
    loss_streak_cooldown_minutes: NotNegative = Decimal(240)
    max_entries_per_hour: AtLeastOne | None = 6
    max_entries_per_day: AtLeastOne | None = 30
    min_exit_margin_pct: Pct = Percent(Decimal(20))
    cost_method: CostMethod = CostMethod.AVERAGE
    breakers: BreakersPolicy = Field(default_factory=BreakersPolicy)


class FeesPolicy(Section):
    """Worst rates assumed until the account's tier is known, and the ceiling of what is believed. In percent."""

    worst_maker_pct: Pct = Percent(Decimal("0.60"))
    worst_taker_pct: Pct = Percent(Decimal("1.20"))


class GovernorsPolicy(Section):
    """Ceilings in the last function before the socket, independent of every decision; a breach latches."""

    price_collar_pct: Pct = Percent(Decimal(3))
    orders_per_minute: AtLeastOne = 20
    orders_per_day: AtLeastOne = 500
    notional_per_day_usd: Positive = Decimal(50000)
    same_side_repeats: AtLeastOne = 6
    same_side_window_minutes: Positive = Decimal(10)


class ExecutionPolicy(Section):
    """How approved trades become orders."""

    default_order_type: Literal["limit_post_only", "limit_ioc"] = "limit_post_only"
    post_only_ttl_seconds: Positive = Decimal(45)
    maker_max_reprices: Count = 2
    taker_fallback: Annotated[Flag, BeforeValidator(spellings.taker_fallback)] = False
    max_slippage_bps: Bps = Decimal(25)
    depth_within_bps: Positive = Decimal(20)
    max_depth_share_pct: Pct = Percent(Decimal(25))
    use_preview: Flag = True
    allow_market_orders: Flag = False
    gtd_margin_seconds: Positive = Decimal(60)
    post_trade_reconcile_wait_seconds: NotNegative = Decimal(1)
    on_shutdown: Literal["cancel", "leave"] = "cancel"
    unknown_min_listings: AtLeastOne = 3
    unknown_min_seconds: Positive = Decimal(60)
    submitted_timeout_seconds: Positive = Decimal(10)
    cancel_timeout_seconds: Positive = Decimal(10)
    hold_release_seconds: Positive = Decimal(2)
    governors: GovernorsPolicy = Field(default_factory=GovernorsPolicy)


class KillSwitchPolicy(Section):
    """What a kill leaves behind at the venue."""

    on_halt: Literal["hold_protected", "hold_naked", "flatten"] = "hold_protected"


class PortfolioPolicy(Section):
    """Currencies: what equity is counted in, and stable coins valued at a fixed rate."""

    quote_currency: str = Field(default="USD", pattern=r"^[A-Z0-9]{2,12}$")
    stable_values: Mapping[str, Positive] = Field(default={"USDC": Decimal(1)})


class AlertsPolicy(Section):
    """Alert folding and delivery. allowed_hosts empty: any public https host named in the environment."""

    dedupe_seconds: NotNegative = Decimal(60)
    escalate_after_seconds: Positive = Decimal(120)
    allowed_hosts: tuple[str, ...] = ()
    timeout_seconds: Positive = Decimal(5)
    outbox_limit: AtLeastOne = 1000


class EndpointBudget(Section):
    """A tighter budget for one endpoint (path prefix after /api/v3/brokerage)."""

    path: str
    per_second: Positive


class RateLimitsPolicy(Section):
    """Request budgets, below Coinbase's limits; `reserve_pct` of each is for cancels, exits and reconcile only."""

    public_per_second: Positive = Decimal(5)
    private_per_second: Positive = Decimal(10)
    hourly: AtLeastOne = 9000
    reserve_pct: Pct = Percent(Decimal(20))
    max_wait_seconds: Positive = Decimal(8)
    endpoints: tuple[EndpointBudget, ...] = ()


class TransportPolicy(Section):
    """Deadlines of one REST call."""

    connect_timeout_seconds: Positive = Decimal(3)
    read_timeout_seconds: Positive = Decimal(5)
    total_deadline_seconds: Positive = Decimal(9)
    max_body_bytes: AtLeastOne = 32_000_000
    read_attempts: AtLeastOne = 3


class ExchangeStatusPolicy(Section):
    """Which components of the status page may stop entries, and how often it is read. poll_seconds None: never."""

    poll_seconds: Positive | None = Decimal(60)
    stop_entries: tuple[str, ...] = ("Advanced Trade", "Coinbase Exchange", "Trading", "API")
    levels: tuple[Literal["minor", "major", "critical"], ...] = ("major", "critical")


class ClockPolicy(Section):
    """Skew against exchange time, in ms, over at least `min_samples`."""

    warn_ms: Positive = Decimal(150)
    no_entries_ms: Positive = Decimal(1000)
    refuse_ms: Positive = Decimal(2000)
    min_samples: AtLeastOne = 3
    check_seconds: Positive = Decimal(60)


class GovernancePolicy(Section):
    """Launch gates and the first live hours. portfolio_id: the one the key must see in live; None: any."""

    rehearsal_hours: NotNegative = Decimal(24)
    certificate_days: Positive = Decimal(30)
    canary_hours: NotNegative = Decimal(24)
    canary_scale_pct: Pct = Percent(Decimal(25))
    key_check_minutes: Positive = Decimal(60)
    portfolio_id: str | None = Field(default=None, pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


class StatePolicy(Section):
    """How much history is kept."""

    retention_days: AtLeastOne = 90
    cycles_kept: AtLeastOne = 200
    rebuild_days: AtLeastOne = 90
    fill_overlap_minutes: Positive = Decimal(10)
    transfer_after_seconds: NotNegative = Decimal(120)
    transfer_after_sweeps: AtLeastOne = 3


class PaperPolicy(Section):
    """The paper account's opening balances."""

    starting_cash: Mapping[str, Positive] = Field(default={"USD": Decimal(10000)})


class FillModelPolicy(Section):
    """How the embedded venue fills orders on recorded or paper data; the rules stand at the top of matching.py.

    latency_bars: of recorded bars; an order meets the opening of the n-th bar that begins after it was decided on.
    """

    fill_model: Literal["pessimistic", "touch"] = "pessimistic"
    participation_pct: Pct = Percent(Decimal(10))
    latency_bars: AtLeastOne = 1
    half_spread_bps: NotNegative = Decimal(2)
    slippage_bps: NotNegative = Decimal(3)
    fees: Literal["tiers", "fixed"] = "tiers"
    maker_pct: Pct = Percent(Decimal("0.50"))
    taker_pct: Pct = Percent(Decimal("0.90"))


class Policy(Section):
    """The whole of policy.yaml."""

    loop: LoopPolicy = Field(default_factory=LoopPolicy)
    data: DataPolicy = Field(default_factory=DataPolicy)
    portfolio: PortfolioPolicy = Field(default_factory=PortfolioPolicy)
    regime: RegimePolicy = Field(default_factory=RegimePolicy)
    triggers: TriggersPolicy = Field(default_factory=TriggersPolicy)
    conviction: ConvictionPolicy = Field(default_factory=ConvictionPolicy)
    sizing: SizingPolicy = Field(default_factory=SizingPolicy)
    rules: tuple[Rule, ...] = ()
    exits: ExitsPolicy = Field(default_factory=ExitsPolicy)
    risk: RiskPolicy = Field(default_factory=RiskPolicy)
    fees: FeesPolicy = Field(default_factory=FeesPolicy)
    execution: ExecutionPolicy = Field(default_factory=ExecutionPolicy)
    kill_switch: KillSwitchPolicy = Field(default_factory=KillSwitchPolicy)
    rate_limits: RateLimitsPolicy = Field(default_factory=RateLimitsPolicy)
    transport: TransportPolicy = Field(default_factory=TransportPolicy)
    exchange_status: ExchangeStatusPolicy = Field(default_factory=ExchangeStatusPolicy)
    clock: ClockPolicy = Field(default_factory=ClockPolicy)
    alerts: AlertsPolicy = Field(default_factory=AlertsPolicy)
    governance: GovernancePolicy = Field(default_factory=GovernancePolicy)
    state: StatePolicy = Field(default_factory=StatePolicy)
    paper: PaperPolicy = Field(default_factory=PaperPolicy)
    backtest: FillModelPolicy = Field(default_factory=FillModelPolicy)

    def rule(self, name: str) -> Rule | None:
        """The rule of that name, enabled or not."""
        for rule in self.rules:
            if rule.name == name:
                return rule
        return None
