"""Observer: gathers what a decision needs through the ports, and answers one complete Snapshot or a refusal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final

from bot.domain.money import ONE
from bot.domain.order import RESTING, OrderReport
from bot.domain.product import BUY, Product, ProductId, TradingMode
from bot.domain.snapshot import (
    Balance,
    ClockSkew,
    Environment,
    ExchangeStatus,
    Halt,
    MarketView,
    Mode,
    Performance,
    Snapshot,
    StatusLevel,
    Valuation,
)
from bot.domain.state import FeeTier, Ledger, Order, State
from bot.domain.value import Value, replace
from bot.errors import CriticalDataUnavailable, ExchangeError
from bot.observe.keywatch import KeyWatch
from bot.observe.ledger import Comparison, Sweep
from bot.observe.markets import RecentBids, bars_problem, quote_problem, stale_fraction, view
from bot.observe.reconcile import Truth, read_account
from bot.observe.skew import SkewMeter
from bot.observe.tickguard import TickGuard
from bot.observe.valuation import Mark, pricing, value
from bot.ports import AccountReader, Clock, MarketData
from bot.settings.config import Config
from bot.settings.policy import DataPolicy, Policy

_DOUBT_EVERY: Final = timedelta(seconds=15)
"""Between two reads of the product list while it is in doubt."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Slot(Value):
    """A stretch of time; `ends` is not of it."""

    begins: datetime
    ends: datetime


class Metadata(Value, dict=True):
    """The product list and when it was read. pricing: currency -> the market that prices it. slot: it is good for."""

    products: Mapping[ProductId, Product]
    at: datetime
    pricing: Mapping[str, ProductId]
    slot: Slot

    @cached_property
    def markets(self) -> Mapping[ProductId, ProductId]:
        """The market of every product."""
        return {product.id: product.market for product in self.products.values()}

    @cached_property
    def limited(self) -> frozenset[ProductId]:
        """Products on which the venue does not take every kind of order."""
        return frozenset([item.id for item in self.products.values() if item.mode is not TradingMode.NORMAL])


class Reading(Value):
    """What one cycle read, before it becomes a Snapshot. others: orders that work on the account and are not ours."""

    truth: Truth
    others: tuple[OrderReport, ...]
    views: Mapping[ProductId, MarketView]
    valuation: Valuation
    performance: Performance


class Observer:
    """Reads the world for one cycle; holds only caches that may be lost (metadata, fees, last good marks, guards).

    marks: the newest acceptable price of every market seen so far (the bid: what a holding would fetch), kept to value
        holdings while a price is missing for a moment.
    residuals: where balances that were read differ from the books, by currency.
    """

    def __init__(
        self, exchange: AccountReader, market: MarketData, clock: Clock, config: Config, env: Environment, mode: Mode
    ) -> None:
        self._exchange = exchange
        self._market = market
        self._clock = clock
        self._config = config
        self._spans = _spans(config.policy)
        self._env, self._mode = env, mode
        self._metadata: Metadata | None = None
        self._fees: FeeTier | None = None
        self._fees_hour = 0
        self._fees_doubted = False
        self._status: ExchangeStatus | None = None
        self._skew = SkewMeter(config.policy.clock)
        self._guard = TickGuard(config.policy.data)
        self._bids = RecentBids(config.policy.exits.stop_confirmations)
        self.marks: dict[ProductId, Mark] = {}
        self.residuals = Comparison()
        self._wallets: Mapping[str, Balance] = {}
        self._key = KeyWatch(config.policy.governance, clock.now())

    def configure(self, config: Config) -> None:
        """Judge by these limits from the next look on; what is remembered of the market stays."""
        self._config = config
        if self._metadata is not None:
            self._metadata = _metadata(self._metadata.products, self._metadata.at, config.policy)
        self._spans = _spans(config.policy)
        self._skew.configure(config.policy.clock)
        self._guard.configure(config.policy.data)
        self._bids.keep(config.policy.exits.stop_confirmations)
        self._key.configure(config.policy.governance)

    def metadata(self, *, doubtful: bool = False) -> Metadata:
        """The product list, at most `product_max_age_minutes` old.

        doubtful: the venue has just shown that ours is old, or one of our products may not be traded freely; it is then
        read again, though not at every look.

        Raises: CriticalDataUnavailable when it is empty or older and cannot be read.
        """
        now = self._clock.now()
        known = self._metadata
        fresh = known is not None and known.slot.begins <= now < known.slot.ends
        if known is not None and fresh and (not doubtful or now - known.at < _DOUBT_EVERY):
            return known
        try:
            products = self._exchange.products()
        except ExchangeError as error:
            if known is not None and now - known.at < 2 * metadata_slot(self._config.policy.data):
                return known
            raise CriticalDataUnavailable("products", str(error)) from error
        if not products:
            raise CriticalDataUnavailable("products", "the product list is empty")
        self._metadata = _metadata({product.id: product for product in products}, now, self._config.policy)
        return self._metadata

    def account(self, state: State) -> Truth:
        """One complete read of the account. Raises CriticalDataUnavailable or ExchangeError."""
        truth = read_account(self._exchange, state, self._clock.now, self._wallets)
        self._wallets = truth.balances
        return truth

    def fee_tier(self, now: datetime) -> FeeTier:
        """The account's rates, read once an hour of the clock.

        The policy's worst case until they are known, the higher of both when a re-read fails.
        """
        known = self._fees
        if known is not None and not self._fees_doubted and self._fees_hour == _hour(now):
            return known
        try:
            found = self._exchange.fee_tier()
        except (ExchangeError, CriticalDataUnavailable):
            worst = self._worst_fees(now)
            return worst if known is None else _higher(known, worst)
        self._fees, self._fees_doubted, self._fees_hour = found, False, _hour(found.as_of)
        return found

    def doubt_fees(self) -> None:
        """The venue took more than it said: its rates are read again at the next look."""
        self._fees_doubted = True

    def exchange_status(self, now: datetime) -> ExchangeStatus:
        """The status page, read at most every `poll_seconds`."""
        every = self._spans.status_poll
        if every is None:
            return ExchangeStatus(StatusLevel.UNKNOWN, "the status page is not read (poll_seconds is off)", now)
        if self._status is None or now - self._status.as_of >= every:
            self._status = replace(self._exchange.status(), as_of=now)
        return self._status

    def measure_skew(self) -> None:
        """Measure our clock against the exchange's when that is due. A failed measurement leaves the last figure."""
        self._skew.measure_when_due(self._exchange, self._clock)

    def skew(self) -> ClockSkew:
        """Our clock against the exchange's, measured when due."""
        self.measure_skew()
        return self._skew.figure()

    def trusted(self, now: datetime) -> datetime:
        """The time by which periods and their stops begin and end: a clock that is off ends none of them."""
        return self._skew.trusted(now)

    def clock_problem(self) -> str:
        """How far our clock is from the exchange's right now, when that is further than entries allow; else empty.

        For the word that goes with a refused key: a clock that is off makes every token look expired.
        """
        newest = self._skew.measured_now_ms(self._exchange, self._clock)
        off = abs(newest) > float(self._config.policy.clock.no_entries_ms)
        return f"our clock is {newest:+.0f} ms from the exchange's: set it before you doubt the key" if off else ""

    def key_problems(self) -> tuple[str, ...]:
        """What forbids to enter with this key; looked up now and then, in live only."""
        return self._key.problems(self._exchange, self._clock) if self._mode is Mode.LIVE else ()

    def views(
        self, markets: Mapping[ProductId, Product], asked: Collection[ProductId] | None = None
    ) -> Mapping[ProductId, MarketView]:
        """Every watched market with its problems; fresh quotes become the marks of holdings.

        asked: look for problems in these alone, the others are known to have none; None: in all.
        """
        now, policy = self._clock.now(), self._config.policy.data
        found = {}
        for market, product in markets.items():
            facts = self._market.facts(market)
            seen, quote, bars = facts.quote, None, None
            if asked is None or market in asked or seen is None:
                bars = bars_problem(facts, now, policy) or self._guard.bars_problem(market, facts, now)
                quote = quote_problem(facts, now, policy) or self._guard.quote_problem(market, facts, now)
            if seen is None or quote is not None:
                found[market] = view(product, facts, quote, bars)
                continue
            found[market] = view(product, facts, None, bars, self._bids.add(market, seen))
            self.marks[market] = Mark(seen.bid, seen.at)
        return found

    def bad_ticks(self) -> Mapping[str, int]:
        """Ticks held back or rejected so far, by fault."""
        return self._guard.counts()

    def valuation(self, truth: Truth, metadata: Metadata, now: datetime) -> Valuation:
        """What the wallets of this read are worth."""
        portfolio, unpriced_after = self._config.policy.portfolio, self._spans.unpriced_after
        return value(truth.balances, self.marks, metadata.pricing, portfolio, now, unpriced_after)

    def sweep(self, truth: Truth, metadata: Metadata, state: State, valuation: Valuation) -> Sweep:
        """What the ledger check needs of this read."""
        portfolio = self._config.policy.portfolio
        rates: dict[str, Decimal] = {portfolio.quote_currency: ONE, **portfolio.stable_values}
        markets: dict[str, ProductId] = {}
        for currency in truth.balances:
            market = metadata.pricing.get(currency)
            if market is None or currency in rates:
                continue
            markets[currency] = market
            if (mark := self.marks.get(market)) is not None:
                rates[currency] = mark.price.value
        equity = valuation.nlv.amount if valuation.nlv is not None else None
        settled_after = timedelta(seconds=float(self._config.policy.state.transfer_after_seconds))
        return Sweep(truth.balances, _busy(state, truth.at - settled_after), rates, markets, truth.at, equity)

    def snapshot(
        self,
        cycle_id: str,
        reading: Reading,
        halts: tuple[Halt, ...],
        state: State,
        *,
        service: bool,
        canary: bool,
        asked: frozenset[ProductId] | None = None,
    ) -> Snapshot:
        """The one immutable input of the decision."""
        truth, others, valuation, now = reading.truth, reading.others, reading.valuation, self._clock.now()
        return Snapshot(
            cycle_id=cycle_id,
            now=now,
            env=self._env,
            mode=self._mode,
            markets=reading.views,
            balances=truth.balances,
            valuation=valuation,
            performance=reading.performance,
            fees=self.fee_tier(now),
            state=state,
            external_orders=tuple([order for order in others if order.order_id in truth.working_ids]) if others else (),
            halts=halts,
            exchange_status=self.exchange_status(now),
            skew=self._skew.figure(),
            reconciled_at=truth.at,
            unpriced=tuple([part.currency for part in valuation.parts if part.source == "unpriced"]),
            stale_fraction=stale_fraction(reading.views.values()),
            residuals=self.residuals(state, truth.balances),
            service=service,
            canary=canary,
            asked=asked,
        )

    def _worst_fees(self, now: datetime) -> FeeTier:
        fees = self._config.policy.fees
        return FeeTier(fees.worst_maker_pct.fraction, fees.worst_taker_pct.fraction, "worst case of the policy", now)


class _Spans(Value):
    """Lengths of time that the policy gives: looked up many times a day, worked out once."""

    unpriced_after: timedelta
    status_poll: timedelta | None


def _spans(policy: Policy) -> _Spans:
    poll = policy.exchange_status.poll_seconds
    return _Spans(
        timedelta(seconds=float(policy.data.unpriced_after_seconds)),
        None if poll is None else timedelta(seconds=float(poll)),
    )


def _metadata(products: Mapping[ProductId, Product], at: datetime, policy: Policy) -> Metadata:
    return Metadata(products, at, pricing(products.values(), policy.portfolio), _slot(at, metadata_slot(policy.data)))


def metadata_slot(policy: DataPolicy) -> timedelta:
    """The product list is read once in each slot of this length, counted from 1970."""
    return timedelta(minutes=float(policy.product_max_age_minutes)) / 2


def _slot(at: datetime, length: timedelta) -> Slot:
    """The slot, counted from 1970, that holds `at`: what is read once a slot does not hang on when reading began."""
    begins = at - (at - _EPOCH) % length
    return Slot(begins, begins + length)


def _hour(at: datetime) -> int:
    """Full hours since 1970."""
    return int(at.timestamp() // 3600)


def _higher(known: FeeTier, worst: FeeTier) -> FeeTier:
    """What to assume while the tier cannot be read again: the higher of known and configured rates."""
    return replace(known, maker=max(known.maker, worst.maker), taker=max(known.taker, worst.taker))


def _busy(state: State, settled: datetime) -> frozenset[str]:
    """Currencies whose difference an order of ours may still explain: one that is in doubt, or has changed since.

    settled: whatever changed before then is known by now. One that only rests takes away what it offers when it fills,
    and brings what it asks for: it explains no surplus of the former, and of the latter none without a shortage of it.
    """
    busy: set[str] = set()
    for order in state.orders.values():
        for currency in (order.product.base, order.product.quote):
            if _may_explain(order, currency, state.ledgers.get(currency), settled):
                busy.add(currency)
    return frozenset(busy)


def _may_explain(order: Order, currency: str, ledger: Ledger | None, settled: datetime) -> bool:
    since = ledger.pending_since if ledger is not None else None
    # What changed at that very instant was known when the difference was found.
    if since is not None and order.changed_at > max(since, settled):
        return True
    if not order.state.is_working:
        return False
    if ledger is None or since is None or order.state not in RESTING or order.booked < order.filled:
        return True
    offered = order.product.quote if order.side is BUY else order.product.base
    return currency == offered and ledger.pending < 0
