"""The observe move: read the account and the markets, bring the books up to date, and make one Snapshot."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from bot.domain.event import BreakerChanged, FillBooked, LatchSet, Payload, QuarantineBegan
from bot.domain.order import Fill, OrderReport
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import Halt, Snapshot, Valuation
from bot.domain.value import Value, replace
from bot.execution.engine import ExecutionEngine
from bot.execution.identity import is_ours
from bot.execution.report import NOTHING, ActReport, combined
from bot.loop import upkeep
from bot.loop.world import Identity, World
from bot.observe import coldstart, ledger
from bot.observe.observer import Metadata, Observer, Reading
from bot.observe.reconcile import Truth, foreign_orders
from bot.observe.valuation import Mark
from bot.record.store import StateStore
from bot.risk import breakers, stops
from bot.settings.config import Config
from bot.triggers import regime
from bot.triggers.check import needed_bars
from bot.universe import bans, flagfile
from bot.universe.candidates import candidates

REREAD_AFTER: Final = timedelta(milliseconds=500)
"""A difference that a fill between two reads explains is gone this much later."""


RECONCILE_GOOD_FOR: Final = timedelta(seconds=90)
"""How long a complete read of the account lets what is ours be sold while newer reads fail."""
_PRODUCT: Final = attrgetter("product")


class Observed(Value):
    """One finished observation."""

    reading: Reading
    metadata: Metadata
    report: ActReport


class Observation:
    """Reads through Observer, applies what it read to the books through ExecutionEngine and StateStore."""

    def __init__(
        self, config: Config, identity: Identity, world: World, observer: Observer, store: StateStore, tag: str
    ) -> None:
        self._config = config
        self._identity = identity
        self._world = world
        self._observer = observer
        self._store = store
        self._tag = tag
        self.markets: Mapping[ProductId, ProductId] = {}
        self.truth: Truth | None = None
        self.valuation: Valuation | None = None
        self.key_problems: tuple[str, ...] = ()
        self.needs_opening = False
        self.asked: frozenset[ProductId] | None = None
        self._others: tuple[OrderReport, ...] = ()
        self._doubted_at: datetime | None = None
        self._needed: tuple[int, int] | None = None
        self._listed: tuple[Mapping[ProductId, Product], set[ProductId], Mapping[ProductId, Product]] | None = None
        self._limited: frozenset[ProductId] = frozenset()

    @property
    def marks(self) -> Mapping[ProductId, Mark]:
        return self._observer.marks

    def bad_ticks(self) -> Mapping[str, int]:
        """Ticks held back or rejected so far, by fault."""
        return self._observer.bad_ticks()

    def clock_problem(self) -> str:
        """That our clock is off, in words, asked of the exchange now; empty when it is not."""
        return self._observer.clock_problem()

    def doubt_products(self) -> None:
        """The venue refused an order: what we know of its products may be old."""
        self._doubted_at = self._world.clock.now()

    def doubt_fees(self) -> None:
        """An order cost more than the tier said."""
        self._observer.doubt_fees()

    def configure(self, config: Config) -> None:
        self._config = config
        self._observer.configure(config)
        self._needed = self._listed = None

    def observe(self, cycle_id: str, engine: ExecutionEngine) -> Observed:
        """Read everything and record what it means for the books.

        Raises: CriticalDataUnavailable, ExchangeError, StorageFailed.
        """
        metadata = self._observer.metadata(doubtful=self._doubted_at is not None or self._restricted())
        if self._doubted_at is not None and metadata.at > self._doubted_at:
            self._doubted_at = None
        self.markets, self._limited = metadata.markets, metadata.limited
        watched = self._watched(metadata)
        self._follow(watched)
        self._observer.measure_skew()
        self.key_problems = self._observer.key_problems()
        truth = self._observer.account(self._store.state)
        booked, resolved = self._applied(truth, engine), engine.resolve_unknown()
        views = self._observer.views(watched, self.asked)
        self._open_books(truth, metadata, cycle_id)
        truth, late = self._reread_when_unbalanced(truth, engine)
        report = combined((booked, resolved, late))
        self.truth, self._others = truth, self._of_others(truth)
        if self._others or self._store.state.foreign_orders:
            self._record(foreign_orders(self._store.state, self._others), cycle_id)
        if report.fills:
            self._record(self._strangers(report.fills), cycle_id)
        now, policy = self._world.clock.now(), self._config.policy
        valuation = self.valuation = self._observer.valuation(truth, metadata, now)
        self._check_ledgers(truth, metadata, valuation, cycle_id)
        period_now = self._observer.trusted(now)
        due = upkeep.due(self._store.state, valuation, views, report.fills, policy, period_now)
        for payload in (*self._flags(now), *due):
            self._store.record(payload, cycle_id)
        performance = stops.performance(self._store.state, valuation)
        for latch in stops.breaches(performance, self._store.state, policy.risk, period_now):
            self._store.record(LatchSet(latch), cycle_id)
        return Observed(Reading(truth, self._others, views, valuation, performance), metadata, report)

    def _check_ledgers(self, truth: Truth, metadata: Metadata, valuation: Valuation, cycle_id: str) -> None:
        state = self._store.state
        if not ledger.balanced(state, truth.balances, self._observer.residuals(state, truth.balances)):
            sweep = self._observer.sweep(truth, metadata, state, valuation)
            self._record(ledger.check(state, sweep, self._config.policy.state), cycle_id)

    def last_known(self, cycle_id: str) -> Observed | None:
        """The account as last read completely beside the markets of now; None once that is too long ago.

        Raises: CriticalDataUnavailable, StorageFailed.
        """
        truth, now = self.truth, self._world.clock.now()
        if truth is None or now - truth.at > RECONCILE_GOOD_FOR:
            return None
        metadata = self._observer.metadata()
        views = self._observer.views(self._watched(metadata))
        self._record(upkeep.high_marks(self._store.state, views), cycle_id)
        valuation = self._observer.valuation(truth, metadata, now)
        performance = stops.performance(self._store.state, valuation)
        reading = Reading(truth, self._of_others(truth), views, valuation, performance)
        return Observed(reading, metadata, NOTHING)

    def snapshot(
        self, cycle_id: str, observed: Observed, halts: tuple[Halt, ...], *, service: bool, canary: bool
    ) -> Snapshot:
        """The input of the decision, breakers brought up to date with it."""
        state = self._store.state
        snap = self._observer.snapshot(
            cycle_id, observed.reading, halts, state, service=service, canary=canary, asked=self.asked
        )
        for breaker in breakers.observed(snap, self._config.policy):
            self._store.record(BreakerChanged(breaker), cycle_id)
        return snap if self._store.state is state else replace(snap, state=self._store.state)

    def _of_others(self, truth: Truth) -> tuple[OrderReport, ...]:
        """What works on the account and is not ours."""
        orders = self._store.state.orders
        unknown = [report for report in truth.reports if report.client_order_id not in orders]
        if not unknown:
            return ()
        return tuple([one for one in unknown if not (one.status.is_terminal or self._is_ours(one))])

    def _is_ours(self, report: OrderReport) -> bool:
        """Whether an order whose name is none of ours is one of ours all the same, as attached children are."""
        ids = {order.order_id for order in self._store.state.orders.values()} - {""}  # what was never accepted has none
        return report.order_id in ids or report.parent_id in ids

    def strange_siblings(self) -> tuple[str, ...]:
        """Working orders with our prefix that the journal does not know: another instance trades this account."""
        if not self._others:
            return ()
        return tuple([o.client_order_id for o in self._others if is_ours(o.client_order_id, self._tag)])

    def _restricted(self) -> bool:
        """Whether something we manage may not be traded freely: then its release must be noticed soon."""
        if not self._limited:
            return False
        positions = self._store.state.positions
        return any(positions[market].managed for market in self._limited.intersection(positions))

    def _watched(self, metadata: Metadata) -> Mapping[ProductId, Product]:
        """Market -> the listing traded on it: the universe's candidates, and whatever is held, on order or to be."""
        state = self._store.state
        parts, pricing = self.valuation.parts if self.valuation is not None else (), metadata.pricing
        held = {
            *state.positions,
            *map(_PRODUCT, state.working),
            *map(_PRODUCT, state.open_intents),
            *[pricing[part.currency] for part in parts if part.currency in pricing],
        }
        # What the universe lists is watched wherever it is, held or not.
        beside = held.difference(self._config.universe.places)
        known = self._listed
        if known is None or known[0] is not metadata.products or known[1] != beside:
            known = self._listed = metadata.products, beside, self._candidates(metadata.products, beside)
        if self.asked is None:
            return known[2]
        wanted = {metadata.markets.get(name, name) for name in self.asked | held}
        return {market: product for market, product in known[2].items() if market in wanted}

    def _candidates(
        self, products: Mapping[ProductId, Product], beside: Collection[ProductId]
    ) -> Mapping[ProductId, Product]:
        """What the universe lists and these beside it, and the market that leads."""
        listed = candidates(tuple(products.values()), self._config.universe, beside)
        found = {product.market: product for product in listed}
        regime = self._config.policy.regime
        if regime.enabled and regime.product in products:
            found.setdefault(products[regime.product].market, products[regime.product])
        return found

    def ask(self, about: Collection[ProductId] | None) -> None:
        """Judge these markets in the next cycle, by the name of the market or of its listing, and the one that leads;
        only price what is held beside them. None: judge all."""
        self.asked = None if about is None else frozenset((*about, self._config.policy.regime.product))

    def _follow(self, watched: Mapping[ProductId, Product]) -> None:
        policy = self._config.policy
        if self._needed is None:
            usual = needed_bars(policy, policy.data.bar_granularity)
            self._needed = usual, max(usual, regime.needed_bars(policy.regime, policy.data.bar_granularity))
        usual, leading = self._needed
        bars = dict.fromkeys(watched, usual)
        if policy.regime.enabled and policy.regime.product in bars:
            bars[policy.regime.product] = leading
        self._world.market.watch(bars)
        self._world.market.refresh(self._world.clock.now())

    def _applied(self, truth: Truth, engine: ExecutionEngine) -> ActReport:
        if self.needs_opening:
            return NOTHING
        return engine.observe_orders(truth.reports, truth.fills, truth.began_at, truth.missing)

    def _open_books(self, truth: Truth, metadata: Metadata, cycle_id: str) -> None:
        """The first complete read of an account anchors its books; later ones adopt what had no price then."""
        if self.needs_opening:
            markets = self._bases(truth.balances, metadata)
            events = coldstart.opening(self._past(), truth.balances, markets, self._observer.marks, truth.began_at)
            self._record(events, cycle_id)
            self.needs_opening = False
            return
        state = self._store.state
        if not state.unmoved:
            return
        still, marks = sorted(truth.balances.keys() & state.unmoved), self._observer.marks
        late = coldstart.unopened(state, self._bases(still, metadata))
        if any(market in marks for market in late.values()):
            self._record(coldstart.holdings(self._past(), truth.balances, late, marks, truth.began_at), cycle_id)

    def _past(self) -> Sequence[Fill]:
        """Fills that may tell what the holdings of a new account have cost."""
        days = timedelta(days=self._config.policy.state.rebuild_days)
        return self._world.exchange.fills_since(self._world.clock.now() - days)

    def _bases(self, currencies: Iterable[str], metadata: Metadata) -> Mapping[str, ProductId]:
        portfolio, pricing = self._config.policy.portfolio, metadata.pricing
        cash = {portfolio.quote_currency, *portfolio.stable_values}
        return {currency: pricing[currency] for currency in currencies if currency in pricing and currency not in cash}

    def _reread_when_unbalanced(self, truth: Truth, engine: ExecutionEngine) -> tuple[Truth, ActReport]:
        """Books and balances are read one after the other: a second look explains what a fill in between did."""
        state = self._store.state
        if not state.ledgers or self._observer.residuals(state, truth.balances) == state.pending:
            return truth, NOTHING
        self._world.clock.wait_until(self._world.clock.now() + REREAD_AFTER)
        again = self._observer.account(self._store.state)
        return again, engine.observe_orders(again.reports, again.fills, again.began_at, again.missing)

    def _flags(self, now: datetime) -> Sequence[Payload]:
        """Bans that flags in universe.yaml or the watched file begin, and bans that are over."""
        exclusions = self._config.universe.exclusions
        content = self._world.storage.read(exclusions.watch_file) if exclusions.watch_file else None
        watched = flagfile.read(content) if content else ()
        known = self._store.state.bans
        if not (known or watched or exclusions.flagged):
            return ()
        standing = {flag.product for flag in (*exclusions.flagged, *watched)}
        begun = (
            *bans.begun(known, exclusions.flagged, bans.CONFIG, now, exclusions),
            *bans.begun(known, watched, exclusions.watch_file or "", now, exclusions),
        )
        return (*begun, *bans.ended(known, standing, now))

    def _strangers(self, fills: Iterable[FillBooked]) -> Sequence[Payload]:
        """A trade on the account that was not ours: its product waits for `bot adopt` or `bot ignore`."""
        state = self._store.state
        found = []
        for fill in fills:
            market = fill.market or fill.product
            if fill.foreign and market not in state.quarantined and market not in state.ignored:
                detail = f"somebody else's {fill.side.value} of {fill.size} {market.base} at {fill.price}"
                found.append(QuarantineBegan(market, detail))
        return found

    def _record(self, payloads: Iterable[Payload], cycle_id: str) -> None:
        for payload in payloads:
            self._store.record(payload, cycle_id)
