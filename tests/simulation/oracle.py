"""The oracle: watches the exchange's own ledger after every event and writes down each broken invariant.

It looks at the venue, never at the bot's claims; the bot's books are compared with it where a method says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.domain.money import Price, Size, is_multiple
from bot.domain.product import Side, TradingMode
from bot.domain.value import Value
from bot.execution.identity import is_bot
from bot.settings.config import Config
from bot.venue.orders import FillBooked, OrderChanged, OrderRecord, Transferred, VenueEvent
from bot.venue.venue import USER_CANCEL
from simulator.markets.tape import Tape, Tick
from simulator.world import World
from tests.simulation import audit
from tests.simulation.findings import Findings
from tests.simulation.money import DayLoss, Money, offered

TOLERANCE = Decimal("1.01")
"""A cap may be passed by the move of a mark within the allowed quote age, and by rounding."""
MINUTE, DAY, SECOND = timedelta(minutes=1), timedelta(days=1), timedelta(seconds=1)
KILLED_WITHIN = timedelta(seconds=10)
NOTICED_WITHIN = timedelta(seconds=75)
"""A loss is noticed by the next cycle at the latest."""


class Closed(Value):
    """While this is in force no own order of these sides may be accepted. invariants: as `I12/I22`."""

    sides: Collection[Side]
    invariants: str
    why: str


@dataclass
class Oracle:
    """Attach with `watch`; `broken` lists what was violated, in words, with the trading time.

    fee_rate: worst rate in force. Own orders carry the bot's marker, or are children of one that does.
    journalled: client order ids whose intents are in the journal at this moment; None when that cannot be seen.
    history: every change of an own order as the venue made it, oldest first.
    """

    world: World
    config: Config
    fee_rate: Decimal = Decimal("0.012")
    journalled: Callable[[], Collection[str]] | None = None
    findings: Findings = field(default_factory=Findings)
    events: int = 0
    accepted: dict[str, OrderRecord] = field(default_factory=dict)
    filled: dict[str, Decimal] = field(default_factory=dict)
    accepted_at: list[tuple[datetime, OrderRecord]] = field(default_factory=list)
    history: list[OrderChanged] = field(default_factory=list)
    own: set[str] = field(default_factory=set)
    fills: list[FillBooked] = field(default_factory=list)
    transfers: list[Transferred] = field(default_factory=list)
    by_hand: set[str] = field(default_factory=set)
    killed_at: datetime | None = None
    pardoned: bool = False
    money: Money = field(init=False)
    day: DayLoss = field(init=False)
    _closed: list[Closed] = field(default_factory=list)
    _late: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.money = Money(self.world, self.fee_rate)
        stop = self.config.policy.risk.daily_stop_pct
        self.day = DayLoss(self.money, stop.value * TOLERANCE if stop is not None else None)

    @property
    def broken(self) -> list[str]:
        return self.findings.broken

    def watch(self) -> Oracle:
        """Be told of every event of the world, and of time that passes."""
        self.world.on_event(self.saw)
        self.world.attach(self)
        return self

    def saw(self, event: VenueEvent) -> None:
        """One event of the venue."""
        self.events += 1
        if isinstance(event, OrderChanged):
            self._order(event)
        elif isinstance(event, FillBooked):
            self._fill(event)
        else:
            self.transfers.append(event)
        for currency, amount in self.world.venue.residuals().items():
            self._check(amount == 0, event.at, f"the venue's own ledger is off by {amount} {currency}")

    # ------------------------------------------------------------------------------------------ as an audience

    def ticked(self, tape: Tape, tick: Tick, now: datetime) -> None: ...

    def happened(self, events: Sequence[VenueEvent], now: datetime) -> None: ...

    def stepped(self, now: datetime) -> None:
        self.day.passed(now)
        if self.killed_at is not None and now > self.killed_at + KILLED_WITHIN:
            late = {o.order_id for o in self.open_orders() if o.created_at <= self.killed_at} - self._late
            self._late |= late
            self._check(not late, now, f"I3 still working {KILLED_WITHIN} after the kill switch: {sorted(late)}")

    # ------------------------------------------------------------------------------------------------- told by a test

    @contextmanager
    def closed(self, why: str, invariants: str = "I12/I22", sides: Collection[Side] = tuple(Side)) -> Iterator[None]:
        """Nothing of these sides may be accepted meanwhile."""
        rule = Closed(sides, invariants, why)
        self._closed.append(rule)
        self.findings.found(invariants, ())
        try:
            yield
        finally:
            self._closed.remove(rule)

    def killed(self) -> None:
        """The kill switch goes on now; for `released` to end."""
        self.killed_at = self.world.now

    def released(self) -> None:
        self.killed_at = None

    # ---------------------------------------------------------------------------------------------- while running

    def _order(self, event: OrderChanged) -> None:
        order = event.order
        if not self._is_own(order):
            if order.status.is_terminal and order.cancel_message == USER_CANCEL and order.order_id not in self.by_hand:
                self._check(False, event.at, f"I16 somebody else's order {order.order_id} was cancelled")
            return
        self.history.append(event)
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
        self.accepted_at.append((at, order))
        self._allowed(order, at)
        self._governed(order, at)
        self._check(order.terms.quote_size is None, at, f"I30 {order.order_id} is sized in quote")
        self._legal(order, at)
        self._priced(order, at)
        if order.side is Side.BUY:
            self._within_caps(order, at)
            lost = self.day.is_lost(at, NOTICED_WITHIN) and not self.pardoned
            self._check(not lost, at, f"I9/I22 {order.order_id} was bought though the day's loss was past its stop")
        else:
            self._not_oversold(order, at)

    def _allowed(self, order: OrderRecord, at: datetime) -> None:
        for rule in self._closed:
            self._check(order.side not in rule.sides, at, f"{rule.invariants} {order.side.value} sent: {rule.why}")
        if self.killed_at is not None:
            on_time = at <= self.killed_at + SECOND or self.config.policy.kill_switch.on_halt == "flatten"
            self._check(on_time, at, f"I3 {order.side.value} accepted after the kill switch")
        if self.journalled is not None:
            known = order.client_order_id in self.journalled()
            self._check(known, at, f"I10 {order.client_order_id} reached the venue before its intent was durable")

    def _governed(self, order: OrderRecord, at: datetime) -> None:
        limits = self.config.policy.execution.governors
        minute = [o for then, o in self.accepted_at if at - then < MINUTE]
        today = [o for then, o in self.accepted_at if at - then < DAY]
        window = timedelta(minutes=float(limits.same_side_window_minutes))
        same = [o for then, o in self.accepted_at
                if at - then < window and o.side is order.side and o.product.base == order.product.base]  # fmt: skip
        value = sum(
            ((o.terms.base_size or Decimal(0)) * (o.terms.limit_price or Decimal(0)) for o in today), Decimal(0)
        )
        self._check(len(minute) <= limits.orders_per_minute, at, f"I19 {len(minute)} orders in a minute")
        self._check(len(today) <= limits.orders_per_day, at, f"I19 {len(today)} orders in a day")
        self._check(len(same) <= limits.same_side_repeats, at, f"I19 {len(same)} orders on one side of {order.product}")
        allowed = limits.notional_per_day_usd * TOLERANCE
        self._check(value <= allowed, at, f"I19 {value:.2f} of notional in a day, allowed {allowed:.2f}")

    def _legal(self, order: OrderRecord, at: datetime) -> None:
        product = self.world.product(order.product)
        size, limit = order.terms.base_size, order.terms.limit_price
        if product is None or size is None:
            self._check(False, at, f"I8 {order.order_id}: unknown product or no size")
            return
        self._check(product.mode in (TradingMode.NORMAL, TradingMode.LIMIT_ONLY, TradingMode.POST_ONLY), at,
                    f"I8 {order.order_id} while {order.product} is {product.mode.value}")  # fmt: skip
        self._check(is_multiple(size, product.size_step), at, f"I8 size {size} of {order.product}")
        self._check(limit is not None, at, f"I20 {order.order_id} is a naked market order")
        if limit is not None:
            self._check(product.illegal(Price(limit), Size(size)) is None, at, f"I8 {order.product} {size} at {limit}")
        numbers = [n for n in (size, limit, order.terms.stop_price) if n is not None]
        self._check(all(n.is_finite() and n > 0 for n in numbers), at, f"I30 {order.order_id}: {numbers}")

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
        risk, exposure = self.config.policy.risk, self.money.exposure()
        equity = self.money.equity()
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
        on_offer, held = offered(self.world, base), self.money.held().get(base, Decimal(0))
        self._check(on_offer <= held, at, f"I5 {on_offer} {base} on offer, {held} held")

    def _fill(self, event: FillBooked) -> None:
        fill = event.fill
        order = self.accepted.get(fill.order_id)
        if order is None:
            return
        self.fills.append(event)
        self.day.booked(fill)
        limit = order.live_limit if order.live_limit is not None else order.terms.limit_price
        if limit is not None:
            good = fill.price <= limit if order.side is Side.BUY else fill.price >= limit
            self._check(good, event.at, f"I15 {order.side.value} filled at {fill.price}, limit {limit}")
        self._check(abs(fill.value - fill.price * fill.size) <= 1, event.at, f"I15 value {fill.value} of {fill.size}")

    def _is_own(self, order: OrderRecord) -> bool:
        own = order.request.owner == "bot" and (is_bot(order.client_order_id) or order.originating_order_id in self.own)
        if own:
            self.own.add(order.order_id)
        return own

    def _check(self, holds: bool, at: datetime, what: str) -> None:
        self.findings.check(holds, at, what)

    # ------------------------------------------------------------------------------------------- against the bot

    def seen(self) -> audit.Truth:
        """What the venue knows, for comparing it with books."""
        return audit.Truth(
            self.world, self.config, self.accepted, tuple(self.history), tuple(self.fills), tuple(self.transfers),
            frozenset(self.own), self.money,
        )  # fmt: skip

    def audit(self, state_dir: Path) -> list[str]:
        """Orders at the venue against the journal, and the books at rest against balances. Problems in words."""
        findings = Findings()
        rows, state = list(journal(state_dir)), json.loads((state_dir / "state.json").read_text())
        audit.compare(findings, self.seen(), rows, state)
        self.findings.looked.update(findings.looked)
        return findings.broken

    def believed(self, state: Mapping[str, Any], at: datetime) -> None:
        """Books right after a complete cycle: nothing that works at the venue may be missing in them."""
        audit.nothing_lost(self.findings, self.seen(), state, at)

    def open_orders(self, *, protective: bool = False) -> list[OrderRecord]:
        """Our working orders at the venue, the protective ones only when asked for."""
        found = [o for o in self.world.venue.working() if o.order_id in self.own]
        return [o for o in found if protective or o.terms.stop_price is None]


def journal(state_dir: Path) -> Iterator[Mapping[str, Any]]:
    """Every whole plain journal line below a state folder, in order."""
    for path in sorted((state_dir / "journal").glob("*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                yield json.loads(line)
