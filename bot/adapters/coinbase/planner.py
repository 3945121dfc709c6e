"""Whether the configured universe fits the request budgets, as arithmetic: checked once at start."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Final

from bot.domain.bars import Granularity
from bot.domain.money import EXACT
from bot.domain.value import Value
from bot.settings.policy import RateLimitsPolicy

CANDLES_PER_CALL: Final = 300
_HOUR_S: Final = 3600
_MINUTE_S: Final = 60


class Load(Value):
    """What causes calls. markets: watched; quotes_by_rest: markets without a feed; orders: most open at once.

    account_pages: pages of wallets; cycle_s, product_s, status lists and bar length set the rhythm.
    """

    markets: int
    cycle_s: Decimal
    granularity: Granularity
    product_s: Decimal
    clock_s: Decimal
    quotes_by_rest: int
    orders_per_cycle: int = 2
    account_pages: int = 2
    status_lists: int = 5


class Plan(Value):
    """Calls the load makes against what NORMAL work may spend. `problems` empty: it fits."""

    public_per_minute: Decimal
    private_per_minute: Decimal
    per_hour: Decimal
    problems: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return not self.problems


def plan(load: Load, budget: RateLimitsPolicy) -> Plan:
    """Calls a minute and an hour by class, feed up; and with every quote by REST, since feeds fall.

    Formula: candles once a bar or cycle, whichever is rarer; books once a cycle for `quotes_by_rest`; wallets, order
    lists, fills once a cycle plus once after trading; create, preview and read of each order; metadata, fees, key and
    time by their own rhythm.
    """
    cycles = EXACT.divide(Decimal(_MINUTE_S), load.cycle_s)
    candle_s = max(load.cycle_s, Decimal(load.granularity.value))
    candles = EXACT.divide(Decimal(load.markets * _MINUTE_S), candle_s)
    public = candles + load.quotes_by_rest * cycles + EXACT.divide(Decimal(_MINUTE_S), load.clock_s)
    sweeps = 2 * (load.account_pages + load.status_lists + 1)
    private = (sweeps + 4 * load.orders_per_cycle) * cycles + EXACT.divide(Decimal(3 * _MINUTE_S), load.product_s)
    hourly = (public + private) * _MINUTE_S
    return Plan(public, private, hourly, tuple(_problems(public, private, hourly, budget)))


def warm_up_calls(markets: int, bars: int) -> int:
    """Candle calls until every market has `bars` bars, nothing being on disk."""
    return markets * int(EXACT.divide(Decimal(bars), Decimal(CANDLES_PER_CALL)).to_integral_value(ROUND_CEILING))


def _problems(public: Decimal, private: Decimal, hourly: Decimal, budget: RateLimitsPolicy) -> list[str]:
    usable = 1 - budget.reserve_pct.fraction
    allowed = {
        "public requests a minute": (public, budget.public_per_second * _MINUTE_S * usable),
        "private requests a minute": (private, budget.private_per_second * _MINUTE_S * usable),
        "requests an hour": (hourly, budget.hourly * usable),
    }
    return [
        f"{need:.0f} {what} are needed, rate_limits leaves {limit:.0f}: watch fewer products or lengthen the interval"
        for what, (need, limit) in allowed.items()
        if need > limit
    ]
