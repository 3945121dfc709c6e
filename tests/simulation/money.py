"""What the exchange's own ledger says an account is worth, has at risk, and has won or lost by the bot's orders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from bot.domain.product import ProductId, Side
from bot.domain.state import day_id
from bot.venue.orders import VenueFill
from simulator.world import World

ZERO = Decimal(0)
STABLE = frozenset({"USD", "USDC"})


@dataclass
class Money:
    """Holdings and marks of one account at a venue. fee_rate: worst rate in force."""

    world: World
    fee_rate: Decimal

    def held(self) -> dict[str, Decimal]:
        """Coins by currency, what is on hold included."""
        return {b.currency: b.total for b in self.world.venue.balances() if b.currency not in STABLE and b.total}

    def cash(self) -> Decimal:
        return sum((b.total for b in self.world.venue.balances() if b.currency in STABLE), ZERO)

    def equity(self) -> Decimal:
        return self.cash() + sum((amount * self.mark(base) for base, amount in self.held().items()), ZERO)

    def mark(self, base: str) -> Decimal:
        """Best bid; without one, what last traded."""
        product = ProductId(f"{base}-USD")
        quote = self.world.venue.quote(product)
        if quote is not None:
            return quote.bid.value
        tape = self.world.tapes.get(product)
        return tape.listing.scale.price(tape.last.ticks).value if tape is not None else ZERO

    def exposure(self) -> dict[str, Decimal]:
        """Worst case per base currency: held at the bid, plus open buys at their limit with fees; own and foreign."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for base, amount in self.held().items():
            found[base] += amount * self.mark(base)
        for order in self.world.venue.working():
            if order.side is Side.BUY:
                left = (order.terms.base_size or ZERO) - order.filled_size
                price = order.live_limit or self.mark(order.product.base)
                value = left * price if order.terms.base_size is not None else order.unfilled
                found[order.product.base] += value * (1 + self.fee_rate)
        return found


@dataclass
class DayLoss:
    """Profit and loss of the bot's own fills since the start of each UTC day, from the venue's ledger.

    lost_since: day -> when its loss first passed the limit.
    """

    money: Money
    limit_pct: Decimal | None
    flow: Decimal = ZERO
    coins: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    lost_since: dict[str, datetime] = field(default_factory=dict)
    _day: str = ""
    _start: Decimal = ZERO
    _equity: Decimal = ZERO

    def booked(self, fill: VenueFill) -> None:
        sign = 1 if fill.side is Side.BUY else -1
        self.coins[fill.product.base] += sign * fill.size
        self.flow -= sign * fill.value + fill.fee

    def passed(self, now: datetime) -> None:
        """Time passed: note a new day, and a loss beyond the limit."""
        today = day_id(now)
        profit = self.flow + sum((size * self.money.mark(base) for base, size in self.coins.items() if size), ZERO)
        if today != self._day:
            self._day, self._start, self._equity = today, profit, self.money.equity()
        if self.limit_pct is not None and profit - self._start < -self._equity * self.limit_pct / 100:
            self.lost_since.setdefault(today, now)

    def is_lost(self, now: datetime, patience: timedelta) -> bool:
        """Whether the loss of this day has passed the limit, longer ago than `patience`."""
        since = self.lost_since.get(day_id(now))
        return since is not None and now - since > patience


def offered(world: World, base: str, ids: Collection[str] | None = None) -> Decimal:
    """Base in open sell orders; of some orders, or of all."""
    return sum(
        (
            (order.terms.base_size or ZERO) - order.filled_size
            for order in world.venue.working()
            if order.side is Side.SELL and order.product.base == base and (ids is None or order.order_id in ids)
        ),
        ZERO,
    )
