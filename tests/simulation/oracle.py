"""The oracle: watches the exchange's own ledger after every event and writes down each broken invariant.

It looks at the venue, never at the bot's claims; the bot's books are compared with it where a method says so.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.domain.money import Price, Size, is_multiple
from bot.domain.product import ProductId, Side
from bot.execution.identity import is_bot
from bot.settings.config import Config
from bot.venue.orders import FillBooked, OrderChanged, OrderRecord, VenueEvent
from simulator.world import World

TOLERANCE = Decimal("1.01")
"""A cap may be passed by the move of a mark within the allowed quote age, and by rounding."""
MINUTE = timedelta(minutes=1)


@dataclass
class Oracle:
    """Attach with `world.on_event(oracle.saw)`; `broken` lists what was violated, in words, with the trading time.

    fee_rate: worst rate in force. Own orders carry the bot's marker, or are children of one that does.
    """

    world: World
    config: Config
    fee_rate: Decimal = Decimal("0.012")
    broken: list[str] = field(default_factory=list)
    events: int = 0
    accepted: dict[str, OrderRecord] = field(default_factory=dict)
    filled: dict[str, Decimal] = field(default_factory=dict)
    accepted_at: list[datetime] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    fills: int = 0
    refused: int = 0

    def saw(self, event: VenueEvent) -> None:
        """One event of the venue."""
        self.events += 1
        if isinstance(event, OrderChanged):
            self._order(event)
        elif isinstance(event, FillBooked):
            self._fill(event)
        for currency, amount in self.world.venue.residuals().items():
            self._check(amount == 0, event.at, f"the venue's own ledger is off by {amount} {currency}")

    # ---------------------------------------------------------------------------------------------- while running

    def _order(self, event: OrderChanged) -> None:
        order = event.order
        if not self._is_own(order):
            return
        new = order.order_id not in self.accepted
        self.accepted[order.order_id] = order
        self._check(order.filled_size >= self.filled.get(order.order_id, Decimal(0)), event.at,
                    f"I15 filled size of {order.order_id} fell")  # fmt: skip
        self.filled[order.order_id] = order.filled_size
        size = order.terms.base_size
        if size is not None:
            self._check(order.filled_size <= size, event.at, f"I15 {order.order_id} filled more than {size}")
        if new and not order.originating_order_id:
            self._accepted(order, event.at)

    def _accepted(self, order: OrderRecord, at: datetime) -> None:
        self.accepted_at.append(at)
        limits = self.config.policy.execution.governors
        last_minute = sum(1 for moment in self.accepted_at if at - moment < MINUTE)
        self._check(last_minute <= limits.orders_per_minute, at, f"I19 {last_minute} orders in a minute")
        self._check(order.terms.quote_size is None, at, f"{order.order_id} is sized in quote")
        self._legal(order, at)
        self._priced(order, at)
        if order.side is Side.BUY:
            self._within_caps(order, at)
        else:
            self._not_oversold(order, at)

    def _legal(self, order: OrderRecord, at: datetime) -> None:
        product = self.world.product(order.product)
        size, limit = order.terms.base_size, order.terms.limit_price
        if product is None or size is None:
            self._check(False, at, f"I8 {order.order_id}: unknown product or no size")
            return
        self._check(is_multiple(size, product.size_step), at, f"I8 size {size} of {order.product}")
        self._check(limit is not None, at, f"{order.order_id} is a naked market order")
        if limit is not None:
            self._check(product.illegal(Price(limit), Size(size)) is None, at, f"I8 {order.product} {size} at {limit}")

    def _priced(self, order: OrderRecord, at: datetime) -> None:
        quote, limit = self.world.venue.quote(order.product), order.terms.limit_price
        if quote is None or limit is None or order.terms.stop_price is not None:
            return
        collar = self.config.policy.execution.governors.price_collar_pct.fraction * TOLERANCE
        if order.side is Side.BUY:
            self._check(limit <= quote.ask.value * (1 + collar), at, f"I20 buy limit {limit} over ask {quote.ask}")
        else:
            self._check(limit >= quote.bid.value * (1 - collar), at, f"I20 sell limit {limit} under bid {quote.bid}")

    def _within_caps(self, order: OrderRecord, at: datetime) -> None:
        risk, exposure = self.config.policy.risk, self._exposure()
        equity = self._equity()
        scopes = {
            "total": (sum(exposure.values(), Decimal(0)), risk.max_total_pct),
            order.product.base: (exposure[order.product.base], risk.max_per_asset_pct),
        }
        for theme in self.config.universe.themes_of(self.world.market_of(order.product)):
            members = {member.base for member in self.config.universe.themes[theme]}
            scopes[f"theme {theme}"] = (
                sum((v for base, v in exposure.items() if base in members), Decimal(0)), risk.max_per_theme_pct,
            )  # fmt: skip
        for scope, (value, cap) in scopes.items():
            allowed = equity * cap.fraction * TOLERANCE
            self._check(value <= allowed, at, f"I1 {scope}: worst case {value:.2f} over {allowed:.2f}")

    def _not_oversold(self, order: OrderRecord, at: datetime) -> None:
        base = order.product.base
        offered = sum(
            (o.terms.base_size or Decimal(0)) - o.filled_size
            for o in self.world.venue.working()
            if o.side is Side.SELL and o.product.base == base
        )
        held = self._held().get(base, Decimal(0))
        self._check(offered <= held, at, f"I5 {offered} {base} on offer, {held} held")

    def _fill(self, event: FillBooked) -> None:
        order = self.accepted.get(event.fill.order_id)
        if order is None:
            return
        self.fills += 1
        limit = order.live_limit if order.live_limit is not None else order.terms.limit_price
        if limit is not None:
            good = event.fill.price <= limit if order.side is Side.BUY else event.fill.price >= limit
            self._check(good, event.at, f"I15 {order.side.value} filled at {event.fill.price}, limit {limit}")

    def _exposure(self) -> dict[str, Decimal]:
        """Worst-case exposure per base currency: held at the bid, plus open buys at their limit with fees."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for base, amount in self._held().items():
            found[base] += amount * self._mark(base)
        for order in self.world.venue.working():
            if order.side is Side.BUY:
                left = (order.terms.base_size or Decimal(0)) - order.filled_size
                price = order.live_limit or self._mark(order.product.base)
                found[order.product.base] += left * price * (1 + self.fee_rate)
        return found

    def _held(self) -> dict[str, Decimal]:
        cash = {"USD", "USDC"}
        return {b.currency: b.total for b in self.world.venue.balances() if b.currency not in cash and b.total}

    def _equity(self) -> Decimal:
        total = Decimal(0)
        for balance in self.world.venue.balances():
            stable = balance.currency in {"USD", "USDC"}
            total += balance.total * (Decimal(1) if stable else self._mark(balance.currency))
        return total

    def _mark(self, base: str) -> Decimal:
        quote = self.world.venue.quote(ProductId(f"{base}-USD"))
        return quote.bid.value if quote is not None else Decimal(0)

    def _is_own(self, order: OrderRecord) -> bool:
        own = is_bot(order.client_order_id) or order.originating_order_id in self.own
        if own:
            self.own.add(order.order_id)
        return own

    def _check(self, holds: bool, at: datetime, what: str) -> None:
        if not holds:
            self.broken.append(f"{at:%Y-%m-%d %H:%M:%S} {what}")

    # ------------------------------------------------------------------------------------------- against the bot

    def audit(self, state_dir: Path) -> list[str]:
        """Orders at the venue against the journal (I2, I10, I37), books against balances (I4). Problems in words."""
        rows = list(journal(state_dir))
        return [*self._bijection(rows), *self._intents(rows), *self._books(state_dir)]

    def _bijection(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        recorded = {r["payload"]["client_order_id"] for r in rows if r["topic"] == "intent.recorded"}
        for order in self.accepted.values():
            if not order.originating_order_id and order.client_order_id not in recorded:
                yield f"I10/I37 {order.client_order_id} is at the venue and not in the journal"

    def _intents(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        intents = [r["payload"] for r in rows if r["topic"] == "intent.recorded"]
        by_client = {order.client_order_id: order for order in self.accepted.values()}
        sums: dict[int, Decimal] = defaultdict(Decimal)
        sizes: dict[int, Decimal] = {}
        attempts: dict[int, int] = defaultdict(int)
        for intent in intents:
            order = by_client.get(intent["client_order_id"])
            sizes[intent["intent_id"]] = Decimal(intent["intent_size"])
            if order is None:
                continue
            attempts[intent["intent_id"]] += 1
            open_left = Decimal(0) if order.status.is_terminal else order.unfilled
            sums[intent["intent_id"]] += order.filled_size + open_left
        for number, total in sums.items():
            if total > sizes[number]:
                yield f"I2 intent {number}: {total} filled or open, {sizes[number]} approved"
        most = 2 + self.config.policy.execution.maker_max_reprices
        yield from (f"I2 intent {number}: {count} orders" for number, count in attempts.items() if count > most)

    def _books(self, state_dir: Path) -> Iterator[str]:
        state = json.loads((state_dir / "state.json").read_text())
        held = self._held()
        positions = {name.split("-")[0]: _size(position) for name, position in state["positions"].items()}
        for base in held.keys() | positions.keys():
            if held.get(base, Decimal(0)) != positions.get(base, Decimal(0)):
                yield f"I4 {base}: the venue holds {held.get(base, 0)}, the books {positions.get(base, 0)}"
        for balance in self.world.venue.balances():
            ledger = state["ledgers"].get(balance.currency)
            if ledger is None and balance.total:
                yield f"I4 {balance.currency}: {balance.total} at the venue, no ledger"
            elif ledger is not None and Decimal(ledger["anchor"]) + Decimal(ledger["flows"]) != balance.total:
                yield f"I4 {balance.currency}: ledger residual"
        yield from self._orders(state["orders"])

    def _orders(self, orders: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
        ended = {"FILLED", "CANCELED", "EXPIRED", "REJECTED"}
        ours = {order["order_id"] for order in orders.values() if order["state"] not in ended}
        theirs = {o.order_id for o in self.world.venue.working() if o.order_id in self.own}
        if ours != theirs:
            yield f"orders: books {sorted(ours)}, venue {sorted(theirs)}"

    def open_orders(self, *, protective: bool = False) -> list[OrderRecord]:
        """Our working orders at the venue, the protective ones only when asked for."""
        found = [o for o in self.world.venue.working() if o.order_id in self.own]
        return [o for o in found if protective or o.terms.stop_price is None]


def journal(state_dir: Path) -> Iterator[Mapping[str, Any]]:
    """Every plain journal line below a state folder, in order."""
    for path in sorted((state_dir / "journal").glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            yield json.loads(line)


def _size(position: Mapping[str, Any]) -> Decimal:
    return sum((Decimal(lot["size"]) for lot in position["lots"]), Decimal(0))
