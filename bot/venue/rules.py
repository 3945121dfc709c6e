"""FillRules: every number and switch of the fill rules that stand at the top of matching.py."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal, Self

from bot.domain.money import Percent
from bot.domain.product import Product
from bot.domain.value import Value, cached_property, field
from bot.errors import UnitError
from bot.settings.policy import FillModelPolicy
from bot.venue.fees import FeeSchedule
from bot.venue.market import DepthModel, Worse

STABLE: Final = frozenset({"USD", "USDC", "USDT", "DAI", "PYUSD", "EURC", "EUR", "GBP"})
MAJOR: Final = frozenset({"BTC", "ETH"})
_NEAR, _MIDDLING, _FAR = (Percent(Decimal(number)) for number in (1, 2, 3))


class FillRules(Value, dict=True):
    """How this venue fills, delays and refuses. Percentages are 0-100; rates in `fees` are fractions.

    latency_bars: 0 is tick mode (an order meets the book `latency` after it was placed); from 1 on is bar mode (it
        meets the opening of the n-th slice that begins at or after its placement).
    cancel_delay, edit_delay: how long CANCEL_QUEUED and EDIT_QUEUED last; fills go on meanwhile.
    hold_release_delay: how long a cancelled order's money stays on hold.
    depth: liquidity where a slice brings none; None means a share of the slice's volume (see matching.py).
    refuse_duplicates: a known client id is refused by name instead of answered with the old order.
    post_only_race: a crossing post-only order passes create and fails afterwards.
    bracket_shortfall: a sell that lacks base because brackets hold it is refused with OPEN_BRACKET_ORDERS.
    protect: market orders and aggressive limits stop at a distance from the mid; band_pct: a limit further through the
        mid than this is refused; far_pct: so is one this far on its passive side (None: no such bound).
    """

    model: Literal["pessimistic", "touch"] = "pessimistic"
    participation_pct: Percent = Percent(Decimal(10))
    half_spread_bps: Decimal = Decimal(2)
    slippage_bps: Decimal = Decimal(3)
    fees: FeeSchedule = field(default_factory=FeeSchedule)
    latency_bars: int = 1
    latency: timedelta = timedelta(0)
    cancel_delay: timedelta = timedelta(0)
    edit_delay: timedelta = timedelta(0)
    hold_release_delay: timedelta = timedelta(0)
    depth: DepthModel | None = None
    refuse_duplicates: bool = False
    post_only_race: bool = False
    bracket_shortfall: bool = False
    protect: bool = True
    band_pct: Percent = Percent(Decimal(10))
    far_pct: Percent | None = None
    stop_limit_beyond_pct: Percent = Percent(Decimal(5))
    open_orders_max: int = 500
    end_time_max: timedelta = timedelta(days=365)

    def __post_init__(self) -> None:
        if not 0 <= self.participation_pct.value <= 100:
            raise UnitError(f"participation must be 0 to 100 %, was {self.participation_pct}")
        if self.half_spread_bps < 0 or self.slippage_bps < 0 or self.latency_bars < 0 or self.latency < timedelta(0):
            raise UnitError("spread, slippage and latency must be >= 0")

    @classmethod
    def for_bars(cls, policy: FillModelPolicy) -> Self:
        """Rules for recorded bars: at least one bar of latency, liquidity as a share of each bar's volume."""
        return cls(
            policy.fill_model, policy.participation_pct, policy.half_spread_bps, policy.slippage_bps,
            _schedule(policy), latency_bars=policy.latency_bars,
        )  # fmt: skip

    @classmethod
    def for_ticks(cls, policy: FillModelPolicy, latency: timedelta, depth: DepthModel | None = None) -> Self:
        """Rules for live or simulated ticks; `depth` where a slice brings no book."""
        return cls(
            policy.fill_model, policy.participation_pct, policy.half_spread_bps, policy.slippage_bps,
            _schedule(policy), latency_bars=0, latency=latency, depth=depth,
        )  # fmt: skip

    @cached_property
    def by_bars(self) -> bool:
        return self.latency_bars > 0

    @cached_property
    def spread(self) -> Worse | None:
        """Half the spread to either side of the mid; None where there is none."""
        return Worse.by(self.half_spread_bps) if self.half_spread_bps else None

    @cached_property
    def slippage(self) -> Worse:
        return Worse.by(self.slippage_bps)

    @cached_property
    def pessimistic(self) -> bool:
        return self.model == "pessimistic"

    def protection_pct(self, product: Product) -> Percent:
        """How far from the mid an aggressive order may fill: 1 % stables, 2 % BTC and ETH, 3 % the rest."""
        if product.base in STABLE:
            return _NEAR
        return _MIDDLING if product.base in MAJOR else _FAR


def _schedule(policy: FillModelPolicy) -> FeeSchedule:
    made = FeeSchedule.fixed if policy.fees == "fixed" else FeeSchedule.entering_at
    return made(policy.maker_pct, policy.taker_pct)
