"""Worst-case exposure: what is held, what every open or unresolved buy could still become, what this cycle approved.

Keyed by base currency, so that an alias pair (BTC-USD, BTC-USDC) and every other listing of a coin count once and
together. All amounts are in the equity currency (that of the net liquidation value).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from bot.domain.holdings import is_dust
from bot.domain.money import EXACT, ONE, ZERO, total
from bot.domain.order import OrderReport, OrderState
from bot.domain.product import BUY
from bot.domain.snapshot import Snapshot
from bot.domain.state import Order, State
from bot.domain.value import Value, field, replace

# Not shown in the venue's holds yet, so the money they take is not off `available`.
_NOT_HELD_YET = frozenset({OrderState.NEW, OrderState.SUBMITTED, OrderState.UNKNOWN})


class ExposureBook(Value):
    """Everything the caps count, at one point of a cycle.

    assets, rules: worst case by base currency and by rule. unknown: why a part of it could not be valued; then no entry
    is allowed. positions: base currencies that take one of the allowed places. working: base currencies with an entry
    at work. promised: quote currency already spoken for but still shown as available. entries: approved this cycle, by
    rule. sold: base approved for sale this cycle.
    """

    assets: Mapping[str, Decimal]
    rules: Mapping[str, Decimal]
    unknown: tuple[str, ...] = ()
    positions: frozenset[str] = frozenset()
    working: Mapping[str, OrderState] = field(default_factory=dict)
    promised: Mapping[str, Decimal] = field(default_factory=dict)
    entries: Mapping[str, int] = field(default_factory=dict)
    sold: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        return total(self.assets.values())

    def asset(self, base: str) -> Decimal:
        return self.assets.get(base, ZERO)

    def group(self, bases: Iterable[str]) -> Decimal:
        """Exposure of several assets together, each counted once."""
        return total(self.asset(base) for base in set(bases))

    def rule(self, name: str) -> Decimal:
        return self.rules.get(name, ZERO)

    @property
    def entries_approved(self) -> int:
        return sum(self.entries.values())

    def with_buy(self, base: str, rule: str, value: Decimal, currency: str, cost: Decimal) -> ExposureBook:
        """After one more approved entry: `value` in the equity currency, `cost` of it in its quote currency."""
        return replace(
            self,
            assets=_plus(self.assets, base, value),
            rules=_plus(self.rules, rule, value),
            positions=self.positions | {base},
            working={**self.working, base: OrderState.NEW},
            promised=_plus(self.promised, currency, cost),
            entries={**self.entries, rule: self.entries.get(rule, 0) + 1},
        )

    def with_sale(self, base: str, amount: Decimal) -> ExposureBook:
        """After one more approved exit. Exposure stays: a sell is not a sale until it fills."""
        return replace(self, sold=_plus(self.sold, base, amount))


def exposure(snap: Snapshot, rate: Decimal) -> ExposureBook:
    """The exposure a snapshot shows. rate: worst fee, as a fraction, on top of every buy that is still open."""
    valued, buys = _Valued(snap, rate), _our_buys(snap.state)
    claims = tuple(valued.claims(buys))
    assets = valued.held()
    for claim in claims:
        _count(assets, claim.base, claim.value)
    return ExposureBook(
        assets=assets,
        rules=_by_rule(valued, claims),
        unknown=tuple(valued.unknown),
        positions=_places(snap, claims),
        working={order.product.base: order.state for order in buys},
        promised=_promised(snap, buys, rate),
    )


class _Claim(Value):
    """One open buy at its worst case."""

    base: str
    rule: str
    value: Decimal
    ours: bool


class _Valued(Value):
    """Reads a snapshot in the equity currency and notes what it cannot value."""

    snap: Snapshot
    rate: Decimal
    unknown: list[str] = field(default_factory=list)

    def held(self) -> dict[str, Decimal]:
        """Worst case of what is held per base currency, at its mark."""
        cash = {part.currency for part in self.snap.valuation.parts if part.source in {"cash", "stable"}}
        books = _booked(self.snap.state)
        amounts = {currency: balance.total for currency, balance in self.snap.balances.items() if balance.total}
        for base, booked in books.items():
            amounts[base] = max(booked, amounts.get(base, ZERO))
        found: dict[str, Decimal] = {}
        for base, amount in sorted(amounts.items()):
            if amount <= ZERO or base in cash:
                continue
            mark = self.mark(base)
            if mark is None:
                self._note_unmarked(base, amount, base in books)
            else:
                found[base] = EXACT.multiply(amount, mark)
        return found

    def mark(self, base: str) -> Decimal | None:
        if (mark := self.snap.valuation.marks.get(base)) is not None:
            return mark
        quotes = (v.quote for v in self.snap.markets.values() if v.product.base == base and v.quote is not None)
        return next((quote.bid.value for quote in quotes), None)

    def _note_unmarked(self, base: str, amount: Decimal, in_books: bool) -> None:
        """A coin with no market at all cannot be sold and was left out of equity too; any other is a hole."""
        tradable = any(view.product.base == base for view in self.snap.markets.values())
        if in_books or tradable:
            self.unknown.append(f"{amount} {base} held without a price")

    def claims(self, buys: Iterable[Order]) -> Iterator[_Claim]:
        """buys: ours."""
        for order in buys:
            intent = self.snap.state.intents.get(order.intent)
            value = self._in_equity(order.product.quote, order_cost(order, self.snap.state, self.rate))
            yield _Claim(order.product.base, intent.rule if intent else "", value, True)
        for report in self.snap.external_orders:
            if report.side is BUY and not report.status.is_terminal:
                yield _Claim(report.product.base, "", self._foreign(report), False)

    def _foreign(self, report: OrderReport) -> Decimal:
        cost = external_cost(report, self.rate)
        if cost is None:
            self.unknown.append(
                f"buy {report.order_id} of {report.product}, not ours, has no price and no size in quote"
            )
            return ZERO
        return self._in_equity(report.product.quote, cost)

    def _in_equity(self, currency: str, amount: Decimal) -> Decimal:
        rate = self.snap.valuation.marks.get(currency)
        if rate is None:
            self.unknown.append(f"no value of {currency} is known")
            return ZERO
        return EXACT.multiply(amount, rate)


def order_cost(order: Order, state: State, rate: Decimal) -> Decimal:
    """The most quote currency the rest of one of our buys may still take: limit x remaining, and the worst fee."""
    limit = order.limit_price
    if limit is None:
        intent = state.intents.get(order.intent)
        limit = intent.worst_price if intent is not None else order.expected_price
    return _with_fee(EXACT.multiply(limit.value, order.remaining.value), rate)


def external_cost(report: OrderReport, rate: Decimal) -> Decimal | None:
    """The same for a buy that is not ours; None when neither price, quote size nor hold tells."""
    if report.quote_size is not None:
        return _with_fee(max(ZERO, EXACT.subtract(report.quote_size, report.filled_value)), rate)
    price = report.limit_price or report.stop_price
    if report.remaining is not None and price is not None:
        return _with_fee(EXACT.multiply(price.value, report.remaining.value), rate)
    return report.hold


def _our_buys(state: State) -> list[Order]:
    return [order for order in state.working if order.side is BUY]


def _booked(state: State) -> Mapping[str, Decimal]:
    """Base by the books: positions, and bought base that the venue reported but no fill has booked yet."""
    result: dict[str, Decimal] = {}
    for position in state.positions.values():
        _count(result, position.product.base, position.whole.value)
    for order in state.orders.values():
        if order.side is BUY and order.filled > order.booked:
            _count(result, order.product.base, EXACT.subtract(order.filled.value, order.booked.value))
    return result


def _by_rule(valued: _Valued, claims: Iterable[_Claim]) -> Mapping[str, Decimal]:
    result: dict[str, Decimal] = {}
    for position in valued.snap.state.positions.values():
        mark = valued.mark(position.product.base)
        if mark is not None:
            _count(result, position.rule, EXACT.multiply(mark, position.size.value))
    for claim in claims:
        _count(result, claim.rule, claim.value)
    return result


def _places(snap: Snapshot, claims: Iterable[_Claim]) -> frozenset[str]:
    """Base currencies the bot holds or is buying. Dust takes no place: it could never be given up."""
    held = (p for p in snap.state.positions.values() if p.managed and not is_dust(snap, p))
    return frozenset({p.product.base for p in held} | {claim.base for claim in claims if claim.ours})


def _promised(snap: Snapshot, buys: Iterable[Order], rate: Decimal) -> Mapping[str, Decimal]:
    """Money of our buys that the balances of this snapshot do not show as held: too young, or not known to be there."""
    result: dict[str, Decimal] = {}
    for order in buys:
        if order.state in _NOT_HELD_YET or order.created_at > snap.reconciled_at:
            _count(result, order.product.quote, order_cost(order, snap.state, rate))
    return result


def _with_fee(amount: Decimal, rate: Decimal) -> Decimal:
    return EXACT.multiply(amount, EXACT.add(ONE, rate))


def _count(values: dict[str, Decimal], key: str, more: Decimal) -> None:
    values[key] = EXACT.add(values.get(key, ZERO), more)


def _plus(values: Mapping[str, Decimal], key: str, more: Decimal) -> dict[str, Decimal]:
    return {**values, key: EXACT.add(values.get(key, ZERO), more)}
