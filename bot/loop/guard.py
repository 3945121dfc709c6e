"""What may be done right now: the kill switch, the halts in force, and the answers execution asks for while it acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from bot.domain.decision import Approved, Reason, Reject
from bot.domain.event import HaltBegan, HaltEnded, LatchSet
from bot.domain.market import Quote
from bot.domain.money import EXACT, ZERO, Size, total
from bot.domain.order import ENTRY, EXIT, PROTECTIVE, OrderKind
from bot.domain.product import BUY, ProductId, Side
from bot.domain.snapshot import Halt, Snapshot
from bot.domain.state import HaltCause, Intent, Latch, Order
from bot.domain.value import replace
from bot.execution.controls import Permits
from bot.loop.conditions import Conditions, causes, halts
from bot.loop.observation import Observation
from bot.loop.world import World
from bot.observe import ledger
from bot.observe.killswitch import kill_reason
from bot.ports import KillProbe, KillState
from bot.record.store import StateStore
from bot.risk.engine import RiskEngine
from bot.risk.halts import FREE, Permission, Protective, halts_in_force, latch_halts, permission
from bot.settings.config import Config

KILL_CLEAR: Final = "the kill switch is gone; one clean reconcile is awaited"
FOREIGN_LATCH: Final = "foreign_instance"


@dataclass(slots=True)
class Flags:
    """Conditions the loop learns while it runs; texts are empty while they do not hold.

    killed: the kill switch was on and no clean reconcile has followed yet. exit_only: unmet gates of this start.
    canary_until: end of the first live hours.
    glimpses: how often somebody saw the kill switch on; written by the watcher's thread.
    """

    killed: bool = False
    glimpses: int = 0
    auth: str = ""
    start: str = ""
    shutdown: str = ""
    exit_only: tuple[str, ...] = ()
    canary_until: datetime | None = None


class Guard:
    """Collects conditions into halts, records their beginnings and ends, and answers execution's questions.

    snapshot: the newest one. halts: the observed ones, as last settled.
    """

    def __init__(self, config: Config, world: World, store: StateStore, observation: Observation) -> None:
        self._config = config
        self._world = world
        self._store = store
        self._observation = observation
        self._risk = RiskEngine(config)
        self.flags = Flags()
        self.snapshot: Snapshot | None = None
        self.halts: tuple[Halt, ...] = ()
        self._glimpses_known = 0

    def configure(self, config: Config) -> None:
        self._config = config
        self._risk = RiskEngine(config)

    # ------------------------------------------------------------------------------------------------------ halts

    def look_at_kill(self) -> KillState:
        """The kill switch now; remembers that it was on until one clean reconcile has followed.

        A switch that came and went between two looks halts all the same: somebody wanted it.
        """
        glimpses, seen = self.flags.glimpses, self._world.storage.kill_state()
        if seen.active or glimpses != self._glimpses_known:
            self.flags.killed = True
        self._glimpses_known = glimpses
        return seen

    @property
    def canary(self) -> bool:
        """Whether these are the first live hours."""
        until = self.flags.canary_until
        return until is not None and self._world.clock.now() < until

    def conditions(self, kill: KillState) -> Conditions:
        """What holds now besides the durable state; valuation and skew as last observed."""
        flags, snap = self.flags, self.snapshot
        waiting = KILL_CLEAR if flags.killed else ""
        return Conditions(
            kill=kill_reason(kill) if kill.probe is not KillProbe.ABSENT else waiting,
            storage="the journal cannot be written" if self._store.broken else "",
            auth=flags.auth,
            start=flags.start,
            shutdown=flags.shutdown,
            exit_only=(*flags.exit_only, *self._observation.key_problems),
            pending=self._store.state.pending,
            valuation=snap.valuation if snap is not None else None,
            skew=snap.skew if snap is not None else None,
        )

    def settle_halts(self, facts: Conditions, cycle_id: str) -> tuple[Halt, ...]:
        """The halts of these conditions, with HaltBegan and HaltEnded recorded for what changed.

        Raises: StorageFailed.
        """
        state, found = self._store.state, causes(facts, self._config.policy.clock)
        if not (found or state.halts or state.latches):
            self.halts = ()
            return ()
        now = self._world.clock.now()
        settled = self.halts = halts(found, now, state.halts)
        if self._store.broken:
            return settled
        in_force = {halt.cause.value: halt.detail for halt in (*settled, *latch_halts(state, now))}
        for cause, detail in in_force.items():
            if cause not in state.halts:
                self._store.record(HaltBegan(cause, detail), cycle_id)
        for cause, (_, detail) in state.halts.items():
            if cause not in in_force:
                self._store.record(HaltEnded(cause, detail), cycle_id)
        return settled

    def latch_foreign_instance(self, cycle_id: str) -> None:
        """Another instance trades this account: halt until an operator says otherwise."""
        siblings = self._observation.strange_siblings()
        if siblings and FOREIGN_LATCH not in self._store.state.latches:
            detail = f"working orders with our prefix that the journal does not know: {', '.join(siblings[:5])}"
            latch = Latch(FOREIGN_LATCH, HaltCause.FOREIGN_INSTANCE, detail, self._world.clock.now())
            self._store.record(LatchSet(latch), cycle_id)

    def permission(self) -> Permission:
        """What all halts in force permit at this moment; a stop that was asked for counts from that moment on."""
        observed, state = self.halts, self._store.state
        if not (observed or self.flags.shutdown or state.latches or state.open_breakers):
            return FREE
        now = self._world.clock.now()
        if self.flags.shutdown and not any(halt.cause is HaltCause.SHUTDOWN for halt in observed):
            observed = (*observed, Halt(HaltCause.SHUTDOWN, self.flags.shutdown, now))
        if self.snapshot is not None:
            found: Sequence[Halt] = halts_in_force(state, now, observed)
        else:
            found = (*observed, *latch_halts(state, now))
        return permission(found, self._config.policy)

    def cancel_kinds(self) -> tuple[OrderKind, ...]:
        """Which of our orders the halts in force want gone."""
        found = self.permission()
        if found is FREE:
            return ()
        kinds = [ENTRY] if found.cancel_entries else []
        if not found.exits:
            kinds.append(EXIT)
        if found.protective is not Protective.STAY:
            kinds.append(PROTECTIVE)
        return tuple(kinds)

    def kinds_under_kill(self) -> tuple[OrderKind, ...]:
        """Which of our orders the kill switch alone takes off the venue; selling needs books that can be trusted."""
        naked = self._config.policy.kill_switch.on_halt == "hold_naked"
        return (ENTRY, EXIT, *([PROTECTIVE] if naked else []))

    def without_disk(self) -> None:
        """The halts while nothing can be written: shown and alerted, recorded once the disk is back."""
        facts, now = self.conditions(self.look_at_kill()), self._world.clock.now()
        self.halts = halts(causes(facts, self._config.policy.clock), now, self._known())

    def start_halted(self, kill: KillState) -> None:
        """The halts of a start without trusted books: shown and alerted, never recorded."""
        facts, now = Conditions(kill=kill_reason(kill), start=self.flags.start), self._world.clock.now()
        self.halts = halts(causes(facts, self._config.policy.clock), now, self._known())

    def _known(self) -> Mapping[str, tuple[datetime, str]]:
        """The observed halts as durable state keeps them."""
        return {halt.cause.value: (halt.since, halt.detail) for halt in self.halts}

    # ------------------------------------------------------------------------------------ what execution asks for

    def permits(self) -> Permits:
        found = self.permission()
        if found is FREE:
            return _EVERYTHING
        return Permits(
            entries=found.entries,
            exits=found.exits,
            cancel_entries=found.cancel_entries,
            cancel_protective=found.protective is not Protective.STAY,
            flatten=found.protective is Protective.FLATTEN,
            why="; ".join(f"{halt.cause.value}: {halt.detail}" for halt in self.halts) or found.ends,
        )

    def reapprove(self, intent: Intent, remaining: Size, quote: Quote) -> Approved | Reject:
        """One more attempt of an intent, judged by every gate on the newest quote."""
        if self.snapshot is None:
            return Reject(Reason.DATA_UNAVAILABLE, "nothing has been observed yet")
        view = self.snapshot.markets.get(self.market_of(intent.product))
        if view is None:
            return Reject(Reason.DATA_UNAVAILABLE, f"{intent.product} is not among the watched markets")
        markets = {**self.snapshot.markets, self.market_of(intent.product): replace(view, quote=quote)}
        snap = replace(
            self.snapshot, markets=markets, state=self._store.state, now=self._world.clock.now(), halts=self.halts
        )
        found = self._risk.continuation(intent, snap)
        if found.approved is None:
            return found.refusal or Reject(Reason.ALL_REJECTED, f"{remaining} {intent.product} may not be tried again")
        return found.approved

    def agrees(self, order: Order) -> bool:
        """Whether balances and holds fit `order` not existing: nothing unexplained in its two currencies."""
        truth = self._observation.truth
        if truth is None:
            return False
        differing = ledger.residuals(self._store.state, truth.balances)
        if order.product.base in differing or order.product.quote in differing:
            return False
        currency = order.product.quote if order.side is BUY else order.product.base
        balance = truth.balances.get(currency)
        held = balance.hold if balance is not None else ZERO
        explained = total(
            report.hold if report.hold is not None else ZERO
            for report in truth.reports
            if report.order_id in truth.working_ids and _holds(report.side, report.product, currency)
        )
        wanted = order.size.value
        if order.side is BUY and order.limit_price is not None:
            wanted = EXACT.multiply(order.size.value, order.limit_price.value)
        return EXACT.subtract(held, explained) < EXACT.divide(wanted, Decimal(2))

    def market_of(self, product: ProductId) -> ProductId:
        return self._observation.markets.get(product, product)

    def spread_limit(self, product: ProductId) -> Decimal | None:
        """Widest spread of the product's tier, in basis points."""
        tiers = self._config.universe.tiers
        number = self._config.universe.tier_of(product) or self._config.universe.tier_of(self.market_of(product))
        tier = tiers.get(number) if number is not None else tiers.get(self._config.universe.discovery.tier)
        return tier.max_spread_bps if tier is not None else None

    def storage_healthy(self) -> bool:
        return not self._store.broken


def _holds(side: Side, product: ProductId, currency: str) -> bool:
    return currency == (product.quote if side is BUY else product.base)


_EVERYTHING: Final = Permits()
KILL_RECHECK: Final = timedelta(seconds=1)
"""How soon a halted loop looks again while orders of ours may still work."""
