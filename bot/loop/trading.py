"""TradingLoop: observe, decide, act, record; one cycle at a time, on time, and out again without leaving a mess."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Final

from bot.decide import decide
from bot.domain.decision import Decision, Outcome, Reason
from bot.domain.event import (
    ApprovalAnswered,
    ApprovalAsked,
    HysteresisMoved,
    RunStarted,
    RunStopped,
)
from bot.domain.order import ENTRY
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import Snapshot
from bot.domain.state import HaltCause
from bot.domain.value import replace
from bot.errors import (
    AuthRefused,
    BotError,
    CriticalDataUnavailable,
    ExchangeError,
    LockHeld,
    RateLimited,
    StateCorrupt,
    StorageFailed,
)
from bot.execution.controls import Controls, Venue
from bot.execution.engine import ExecutionEngine
from bot.execution.identity import account_tag
from bot.execution.report import NOTHING, ActReport, combined
from bot.loop import levels, strays, upkeep
from bot.loop.desk import CommandDesk
from bot.loop.finished import Finished
from bot.loop.guard import KILL_RECHECK, Guard
from bot.loop.naming import CycleNames
from bot.loop.observation import Observation, Observed
from bot.loop.report import Reporter
from bot.loop.schedule import SERVICE_GAP, Schedule, service_gap
from bot.loop.stages import Stages
from bot.loop.words import decision_made, key_refused, told, undecided
from bot.loop.world import Identity, Mind, Operator, World
from bot.observe.observer import Observer
from bot.ops.alerts import Severity
from bot.ops.status import CycleRecord
from bot.ports import KillState, WakeReason
from bot.record.store import StateStore
from bot.risk import approval
from bot.risk.halts import Protective
from bot.settings.config import Config

SHUTDOWN_S: Final = timedelta(seconds=18)
"""Of trading time for cancels to be proven at a shutdown; the process has 20 s to be gone."""
FEE_UNIT: Final = Decimal("0.01")
"""Rounding that a fee may show above what was assumed, in quote currency."""
KILL_SWEEP: Final = timedelta(seconds=2)

_NEWS: Final = (WakeReason.USER_EVENT, WakeReason.COMMAND)


class Wanted(Enum):
    """What the process around the loop asked for."""

    RUN = "run"
    STOP = "stop"
    STOP_NOW = "stop_now"


class TradingLoop:
    """The one long-running loop. Everything that differs between live, paper and backtest comes in through `world`.

    bad_ticks: answers how many ticks were held back or rejected so far, by fault.
    """

    def __init__(
        self, config: Config, identity: Identity, world: World, operator: Operator, mind: Mind = decide
    ) -> None:
        self._config = config
        self._mind = mind
        self._identity = identity
        self._world = world
        self._operator = operator
        self._tag = account_tag(identity.portfolio, identity.env, identity.mode)
        self.store = StateStore(
            world.storage, world.clock, config.config_hash, identity.code_version, identity.account,
            journalled=operator.audience,
        )  # fmt: skip
        observer = Observer(world.exchange, world.market, world.clock, config, identity.env, identity.mode)
        self._observation = Observation(config, identity, world, observer, self.store, self._tag)
        self.guard = Guard(config, world, self.store, self._observation)
        self._engine = ExecutionEngine(
            Venue(world.exchange, world.market, world.clock), self._controls(), self.store, config.policy, self._tag
        )
        self.bad_ticks = self._observation.bad_ticks
        self._reporter = Reporter(config, identity, world, operator, self.store, self._tag, self.bad_ticks)
        self._desk = CommandDesk(operator.inbox, self.store, self._observation, world.clock, operator.metrics.commanded)
        self._schedule = Schedule(world.clock, world.rng)
        self._wanted = Wanted.RUN
        self._stop_why = ""
        self._new_config: Callable[[Config], Config | None] = _unchanged
        self._names = CycleNames()
        self._stages = Stages(world.clock, operator)
        self._look_again = False
        self._decided_in = ""
        self._fruitless = 0
        self.last: CycleRecord | None = None

    # ------------------------------------------------------------------------------------------------ from outside

    def open(self) -> None:
        """Recover durable state and take up the configuration. State that cannot be trusted starts the loop halted.

        Raises: StorageFailed.
        """
        try:
            found = self.store.open(self._identity.genesis)
        except StateCorrupt as error:
            self.guard.flags.start = f"{error}; nothing was changed, see `bot state verify`"
            self._reporter.notice("state.corrupt", Severity.CRITICAL, "durable state cannot be trusted", str(error))
            return
        for problem in found.problems:
            self._reporter.notice("state.recovered", Severity.WARNING, "state was recovered with losses", problem)
        self._record_config()
        self.store.record(RunStarted(self._identity.env.value, self._identity.mode.value, self._identity.venue))
        self._observation.needs_opening = self.store.state.fill_cursor is None

    def stop(self, why: str) -> None:
        """End the loop; a second call stops waiting for proof. Callable from a signal handler."""
        self._wanted = Wanted.STOP if self._wanted is Wanted.RUN else Wanted.STOP_NOW
        self._stop_why = self._stop_why or why
        self.guard.flags.shutdown = self._stop_why
        self._world.clock.wake(WakeReason.SIGNAL)

    def saw_kill(self) -> None:
        """The watcher saw the kill switch on, were it for a moment only. Callable from any thread."""
        self.guard.flags.glimpses += 1

    def reload(self, load: Callable[[Config], Config | None]) -> None:
        """Before the next cycle take up what `load` makes of the running configuration; None keeps it."""
        self._new_config = load
        self._world.clock.wake(WakeReason.SIGNAL)

    def tell(self, fingerprint: str, severity: Severity, title: str, detail: str) -> None:
        """Raise an alert about something that happened around the loop."""
        self._reporter.notice(fingerprint, severity, title, detail)

    @property
    def stopping(self) -> bool:
        return self._wanted is not Wanted.RUN

    def run(self, *, once: bool = False) -> int:
        """Cycle until stopped (or once); answers the exit code. Raises LockHeld when the lock was lost."""
        self._operator.heart.ready("observing")
        while not self.stopping:
            self._reconfigure()
            self.run_cycle()
            if once:
                return self._leave_after_one()
            try:
                self._wait()
            except ExchangeError as error:  # only a test venue's clock can stay away
                self._operator.log.critical("clock.stood_still", exc_info=error)
                self.stop(f"time cannot pass: {error}")
        return self._shut_down()

    def next_service(self) -> datetime | None:
        """When an order, a kill or a stop in doubt asks for a cycle of its own; None: nothing does."""
        timer, recheck = self._engine.next_timer(), self._recheck()
        return min(timer, recheck) if timer is not None and recheck is not None else timer or recheck

    # ------------------------------------------------------------------------------------------------------- a cycle

    def run_cycle(self, *, service: bool = False, about: Collection[ProductId] | None = None) -> CycleRecord:
        """One whole cycle; every refusal and failure ends it with a recorded outcome and reason.

        about: judge these markets alone, and price what is held: for a caller who knows that nothing can come of the
            others.
        """
        started = self._world.clock.now()
        self._observation.ask(about)
        cycle_id = self._names.next(started, self.store.state.last_cycle)
        if not self._world.storage.lock_held():
            raise LockHeld("the lock file was taken away from this process; another instance may run")
        finished = self._guarded(cycle_id, started, service)
        self.last = finished.record
        done = finished.report
        worked = bool(done.placed or done.cancelled or done.fills or done.changed)
        self._fruitless = self._fruitless + 1 if service and not worked else 0
        try:
            if self._operator.audience:
                self._reporter.finished(finished)
            self._operator.follow(finished)
        except Exception as error:  # a report that cannot be made must not stop trading's own clean-up
            self._operator.log.critical("cycle.not_reported", cycle_id=cycle_id, exc_info=error)
        return finished.record

    def _guarded(self, cycle_id: str, started: datetime, service: bool) -> Finished:
        """The edge at which every error becomes a cycle's outcome, also one that comes up while another is served."""
        try:
            return self._attempted(cycle_id, started, service)
        except Exception as error:
            self._operator.log.critical("cycle.failed", cycle_id=cycle_id, exc_info=error)
            return self._ended(cycle_id, started, Outcome.ERROR, None, f"{type(error).__name__}: {error}")

    def _attempted(self, cycle_id: str, started: datetime, service: bool) -> Finished:
        try:
            if self.guard.flags.start:
                return self._without_books(cycle_id, started)
            return self._cycle(cycle_id, started, service)
        except CriticalDataUnavailable as error:
            return self._refused(cycle_id, started, Reason.DATA_UNAVAILABLE, str(error), "api_errors")
        except AuthRefused as error:
            self.guard.flags.auth = key_refused(str(error), self._observation.clock_problem(), self.store.state)
            return self._refused(cycle_id, started, Reason.EXIT_ONLY, str(error), "api_errors")
        except RateLimited as error:
            return self._refused(cycle_id, started, Reason.RATE_BUDGET, str(error), "rate_limited")
        except ExchangeError as error:
            return self._refused(cycle_id, started, Reason.DATA_UNAVAILABLE, str(error), "api_errors")
        except StorageFailed as error:
            return self._without_disk(cycle_id, started, error)
        except Exception as error:
            self._operator.log.critical("cycle.failed", cycle_id=cycle_id, exc_info=error)
            return self._refused(cycle_id, started, None, f"{type(error).__name__}: {error}", "exceptions")

    def _cycle(self, cycle_id: str, started: datetime, service: bool) -> Finished:
        kill = self.guard.look_at_kill()
        facts = self.guard.conditions(kill)
        if self.store.broken:
            self._write_again()
        self._reporter.halted(self.guard.settle_halts(facts, cycle_id))
        self._engine.begin(cycle_id)
        first = self._cancel_what_halts_forbid(kill)
        self._stages.enter("commands")
        self._desk.carry_out(cycle_id, self._config)
        self._stages.enter("observe")
        try:
            observed = self._observation.observe(cycle_id, self._engine)
        except AuthRefused:
            raise
        except (CriticalDataUnavailable, ExchangeError) as error:
            sold = self._sell_unread(cycle_id, started, kill, first, error)
            if sold is None:
                raise
            return sold
        self._hit_breakers(observed.report, cycle_id)
        snapshot = self._concluded(cycle_id, observed, service)
        self._stages.enter("decide")
        decision = self._mind(snapshot, self._config)
        self._note(decision, cycle_id, service)
        acted = self._act(decision, snapshot, observed, kill)
        self._hit_breakers(acted, cycle_id)
        report = combined((first, observed.report, acted))
        self._reporter.acted(report, cycle_id)
        seen = levels.crossed(snapshot)
        self._look_again = seen.unconfirmed or bool(report.exit_now)
        self._world.market.guard(levels.waking(self.store.state, seen.dust))
        self._stages.enter("record")
        self._save()
        self._operator.tend(self.store, self._world.clock.now())
        outcome, reason, detail = told(decision, acted, self._reporter.sent(acted))
        return self._finish(cycle_id, started, outcome, reason, detail, decision, snapshot, report)

    def _sell_unread(
        self, cycle_id: str, started: datetime, kill: KillState, first: ActReport, error: BotError
    ) -> Finished | None:
        """The account cannot be read: what is ours and due is sold all the same, by the newest complete read of it.

        None when that is too old, or nothing is due: then the cycle ends as any other that could not read.
        """
        managed = any(position.managed for position in self.store.state.positions.values())
        observed = self._observation.last_known(cycle_id) if managed else None
        if observed is None:
            return None
        halts = self.guard.settle_halts(self.guard.conditions(self.guard.look_at_kill()), cycle_id)
        probe = self._observation.snapshot(cycle_id, observed, halts, service=True, canary=self.guard.canary)
        snapshot = replace(probe, unread=str(error))
        self._look_again = levels.crossed(snapshot).unconfirmed
        decision = self._mind(snapshot, self._config)
        if not decision.approved:
            return None
        self.guard.snapshot = snapshot
        self._note(decision, cycle_id, service=True)
        acted = self._act(decision, snapshot, observed, kill)
        report = combined((first, ActReport(errors=(str(error),)), acted))
        self._hit_breakers(report, cycle_id)
        self._reporter.acted(report, cycle_id)
        self._save()
        outcome, reason, detail = told(decision, acted, self._reporter.sent(acted))
        detail = f"{detail}; the account was last read at {snapshot.reconciled_at:%H:%M:%S}: {error}"
        return self._finish(cycle_id, started, outcome, reason, detail, decision, None, report)

    def _concluded(self, cycle_id: str, observed: Observed, service: bool) -> Snapshot:
        """The snapshot under the halts that hold after everything was read."""
        self.guard.flags.auth = ""
        probe = self._observation.snapshot(cycle_id, observed, (), service=service, canary=self.guard.canary)
        self.guard.snapshot = probe
        self.guard.latch_foreign_instance(cycle_id)
        kill = self.guard.look_at_kill()
        halts = self.guard.settle_halts(self.guard.conditions(kill), cycle_id)
        if self.guard.flags.killed and not (kill.active or probe.residuals):
            self.guard.flags.killed = False
        if not halts and self.store.state is probe.state:
            return probe
        snapshot = self.guard.snapshot = replace(probe, halts=halts, state=self.store.state)
        return snapshot

    def _note(self, decision: Decision, cycle_id: str, service: bool) -> None:
        """The decision's record and its memory. A service cycle that decided nothing leaves the idle streak alone."""
        if self._operator.audience and (not service or decision.evaluated):
            self.store.record_decision(decision_made(decision), cycle_id)
            self._decided_in = cycle_id
        if decision.hysteresis:
            self.store.record(HysteresisMoved(decision.hysteresis), cycle_id)
        if not decision.evaluated:
            return
        for wanted in approval.requests(decision, self.store.state, self._config.policy.risk):
            self.store.record(ApprovalAsked(wanted), cycle_id)
            self._reporter.notice(
                f"approval.{wanted.id}", Severity.WARNING, "a trade waits for your word",
                f"`bot approve {wanted.id}`: {wanted.side.value} {wanted.product} for {wanted.size_quote}",
            )  # fmt: skip
        for granted in approval.used(decision.evaluated, self.store.state, decision.at):
            self.store.record(ApprovalAnswered(granted.id, "used", cycle_id), cycle_id)

    def _act(self, decision: Decision, snapshot: Snapshot, observed: Observed, kill: KillState) -> ActReport:
        self._stages.enter("act")
        second = self._cancel_what_halts_forbid(kill)
        if self.guard.permission().protective is Protective.FLATTEN:
            listed = observed.metadata.products.values()
            products: dict[str, Product] = {item.market: item for item in listed if item.alias is None}
            done = self._engine.flatten(products, snapshot.fees)
        else:
            done = self._engine.execute(decision, snapshot)
        self._stages.enter("settle")
        settled = self._engine.settle(snapshot)
        for payload in upkeep.pauses_after(settled.fills, self.store.state, self._config.policy):
            self.store.record(payload)
        return combined((second, done, settled))

    def _cancel_what_halts_forbid(self, kill: KillState) -> ActReport:
        """Working orders that the halts do not allow are asked to go, again and again until they are gone."""
        kinds = self.guard.cancel_kinds()
        if not kinds or not (kill.active or any(order.kind in kinds for order in self.store.state.working)):
            return NOTHING
        patience = timedelta(seconds=10) if kill.active else KILL_SWEEP
        why = "kill switch" if kill.active else "halted"
        deadline = self._world.clock.now() + patience
        cleared = self._engine.cancel_all(kinds, deadline, why, self._leaving, pressing=kill.active)
        return cleared.report

    # ------------------------------------------------------------------------------------------- cycles that refuse

    def _refused(self, cycle_id: str, started: datetime, reason: Reason | None, detail: str, breaker: str) -> Finished:
        """A cycle that could not decide: counted, orders still served as far as reads allow."""
        outcome = Outcome.ERROR if reason is None else Outcome.NO_TRADE
        self._stages.enter("act")
        try:
            now = self._world.clock.now()
            changed = upkeep.breaker_hit(breaker, self.store.state, self._config.policy, now, detail[:120])
            if changed is not None:
                self.store.record(changed, cycle_id)
            self.guard.settle_halts(self.guard.conditions(self.guard.look_at_kill()), cycle_id)
            if any(halt.cause is HaltCause.KILL_SWITCH for halt in self.guard.halts):
                outcome, reason = Outcome.HALTED, Reason.KILL_SWITCH
            report = self._engine.manage_open_orders(None)
            self._reporter.acted(report, cycle_id)
            if self._operator.audience and self._decided_in != cycle_id:
                self.store.record_decision(undecided(outcome, reason, detail), cycle_id)
            self._save()
        except (StorageFailed, StateCorrupt) as error:
            return self._without_disk(cycle_id, started, error)
        return self._ended(cycle_id, started, outcome, reason, detail, report)

    def _without_disk(self, cycle_id: str, started: datetime, error: BotError) -> Finished:
        """The journal cannot be written: nothing is entered, our entries are cancelled, exits wait for the disk."""
        report = NOTHING
        try:
            deadline = self._world.clock.now() + KILL_SWEEP
            report = self._engine.cancel_all((ENTRY,), deadline, "storage failed", self._hurried).report
        except StorageFailed as again:
            self._operator.log.critical("cancel.not_recorded", detail=str(again))
        self._reporter.notice("storage.failed", Severity.CRITICAL, "durable state cannot be written", str(error))
        self.guard.without_disk()
        return self._ended(cycle_id, started, Outcome.HALTED, Reason.STORAGE_FAILED, str(error), report)

    def _without_books(self, cycle_id: str, started: datetime) -> Finished:
        """State that cannot be trusted: nothing is written, nothing is sent but cancels under the kill switch."""
        kill, report = self.guard.look_at_kill(), NOTHING
        if kill.active:
            kinds = self.guard.kinds_under_kill()
            report = strays.cancel_ours(self._world.exchange, self._tag, kinds)
        self.guard.start_halted(kill)
        reason = Reason.KILL_SWITCH if kill.active else Reason.HALTED
        return self._ended(cycle_id, started, Outcome.HALTED, reason, self.guard.flags.start, report)

    def _ended(
        self, cycle_id: str, started: datetime, outcome: Outcome, reason: Reason | None, detail: str,
        report: ActReport | None = None,
    ) -> Finished:  # fmt: skip
        return self._finish(cycle_id, started, outcome, reason, detail, None, None, report or NOTHING)

    def _finish(
        self, cycle_id: str, started: datetime, outcome: Outcome, reason: Reason | None, detail: str,
        decision: Decision | None, snapshot: Snapshot | None, report: ActReport,
    ) -> Finished:  # fmt: skip
        record = CycleRecord(
            cycle_id, started, self._world.clock.now(), outcome.value, reason.value if reason is not None else "",
            self._config.config_hash, detail,
        )  # fmt: skip
        return Finished(
            record, decision, snapshot or self.guard.snapshot, self.guard.halts, report, snapshot is not None, detail,
            self._stages.end(),
        )  # fmt: skip

    def _hit_breakers(self, report: ActReport, cycle_id: str) -> None:
        """Count what one round of acting says about the venue and our own assumptions."""
        complaints = report.errors or report.rejections or report.mismatches or report.rate_limited
        if not (complaints or report.measured or report.auth_refused):
            return
        policy, hits = self._config.policy, []
        if complaints:
            hits += [("api_errors", error) for error in report.errors]
            hits += [("rate_limited", "429")] * report.rate_limited
            hits += [("rejections", f"{item.product} {item.reason}") for item in report.rejections]
            hits += [("reconcile_mismatch", item.what) for item in report.mismatches]
        for item in report.measured:
            if item.slippage_bps > policy.execution.max_slippage_bps:
                hits.append(("slippage", f"{item.client_order_id} {item.slippage_bps:.1f} bps"))
            if item.actual_fee > item.expected_fee + FEE_UNIT:
                hits.append(("fee_above_assumed", f"{item.client_order_id} {item.actual_fee}"))
                self._observation.doubt_fees()
        for kind, detail in hits:
            changed = upkeep.breaker_hit(kind, self.store.state, policy, self._world.clock.now(), detail[:120])
            if changed is not None:
                self.store.record(changed, cycle_id)
        if report.rejections:
            self._observation.doubt_products()
        if report.auth_refused:
            self.guard.flags.auth = key_refused("the exchange refused the key for an order", "", self.store.state)

    # ------------------------------------------------------------------------------------------------------- waiting

    def _wait(self) -> None:
        """Until the next scheduled cycle; wakes serve orders and fills in between."""
        skipped = self._schedule.overruns
        due = self._schedule.next_cycle(self._config.policy)
        self._reporter.overran(self._schedule.overruns - skipped)
        while not self.stopping and not self._reload_waits:
            now = self._world.clock.now()
            if now >= due:
                return
            soonest = min(due, self.next_service() or due)
            woken = self._sleep(soonest) if soonest > now else None
            if self.stopping or self._reload_waits:
                return
            if woken is not WakeReason.KILL_SWITCH:
                self._catch_breath(due, news=woken in _NEWS)
            if self._world.clock.now() < due:
                self.run_cycle(service=True)

    def _sleep(self, until: datetime) -> WakeReason | None:
        """Wait, and tell the service manager meanwhile, three times as often as it asks for."""
        clock, heart = self._world.clock, self._operator.heart
        pulse = timedelta(seconds=heart.watchdog_s / 3) if heart.watchdog_s else None
        while True:
            step = min(until, clock.now() + pulse) if pulse else until
            woken = clock.wait_until(step)
            heart.alive()
            if woken is not None or step >= until:
                return woken

    def _catch_breath(self, due: datetime, *, news: bool) -> None:
        """Service cycles keep a distance, so that a storm of events cannot use up the request budget.

        The distance grows while they change nothing, as when a price lies beyond a stop that nobody may sell at; news
        of the account shortens it again.
        """
        clock = self._world.clock
        last = self.last.finished_at if self.last is not None else clock.now()
        usual = min(due, last + SERVICE_GAP)
        until = usual if news or self.guard.flags.killed else min(due, last + service_gap(self._fruitless))
        while clock.now() < until and not self._reload_waits:
            woken = clock.wait_until(until)
            if woken in (WakeReason.KILL_SWITCH, WakeReason.SIGNAL):
                return
            until = usual if woken in _NEWS else until

    @property
    def _reload_waits(self) -> bool:
        return self._new_config is not _unchanged

    def _recheck(self) -> datetime | None:
        """When to look again: killed or diskless while orders of ours may work, to resume, to confirm a stop."""
        working = bool(self.store.state.working)
        if self.store.broken and working:
            return self._world.clock.now() + KILL_SWEEP
        if not self.guard.flags.killed:
            soon = self._look_again or any(halt.cause is HaltCause.KILL_SWITCH for halt in self.guard.halts)
            return self._world.clock.now() + SERVICE_GAP if soon else None
        return self._world.clock.now() + (KILL_RECHECK if working else KILL_SWEEP)

    def _reconfigure(self) -> None:
        load, self._new_config = self._new_config, _unchanged
        config = load(self._config)
        if config is None:
            return
        self._config = config
        for part in (self._observation, self.guard, self._reporter):
            part.configure(config)
        self._engine.configure(config.policy)
        self._operator.configured(config)
        if self.guard.flags.start:
            return  # nothing is written to books that cannot be trusted
        try:
            self._record_config()
        except StorageFailed as error:
            self._operator.log.critical("config.not_recorded", detail=str(error))

    def _record_config(self) -> None:
        self.store.use_config(self._config.config_hash, self._config.policy.risk.cost_method)

    def _write_again(self) -> None:
        """The disk was gone: try it, and record the configuration that was read meanwhile. Raises StorageFailed."""
        if not self.store.probe():
            raise StorageFailed("the data directory still cannot be written")
        self._record_config()

    # -------------------------------------------------------------------------------------------------------- leaving

    def _leave_after_one(self) -> int:
        """`--once`: GTD orders stay to their expiry; a kill is exit 6."""
        code = 6 if self.guard.flags.killed else 0
        self._close("--once", code, ())
        return code

    def _shut_down(self) -> int:
        """Cancel as the policy says and see it gone, take late fills, save. 7 when orders may still work."""
        self._operator.heart.stopping(self._stop_why)
        left: tuple[str, ...] = ()
        try:
            if not self.guard.flags.start:
                deadline = self._world.clock.now() + SHUTDOWN_S
                cleared = self._engine.shutdown(deadline, self._hurried)
                left = cleared.left
                self._reporter.acted(cleared.report, "")
        except Exception as error:  # whatever it is: what may still work has to be told and saved
            self._operator.log.critical("shutdown.incomplete", exc_info=error)
            left = tuple(order.client_order_id for order in self.store.state.working)
        code = 7 if left else 0
        severity = Severity.CRITICAL if left else Severity.INFO
        detail = f"orders that may still work: {', '.join(left)}" if left else "no order of ours is working"
        self._reporter.notice("shutdown", severity, f"the bot stopped ({self._stop_why})", detail)
        self._close(self._stop_why, code, left)
        return code

    def _close(self, why: str, code: int, left: tuple[str, ...]) -> None:
        try:
            if not self.guard.flags.start:
                self.store.flush()
                self.store.record(RunStopped(why, code, left))
                self._save()
        except StorageFailed as error:
            self._operator.log.critical("state.not_saved", detail=str(error))
        self._operator.log.info("run.stopped", why=why, exit_code=code, still_working=list(left))

    def _save(self) -> None:
        if self._operator.keeps_files:
            self.store.save()

    def _hurried(self) -> bool:
        return self._wanted is Wanted.STOP_NOW

    def _leaving(self) -> bool:
        """Whether the way out sees to our orders: it would wait for their end once more, beyond the time it has."""
        return self._hurried() or (self.stopping and self._config.policy.execution.on_shutdown == "cancel")

    def _controls(self) -> Controls:
        guard = self.guard
        return Controls(
            kill=self._world.storage.kill_state,
            permits=guard.permits,
            storage_healthy=guard.storage_healthy,
            reapprove=guard.reapprove,
            agrees=guard.agrees,
            market_of=guard.market_of,
            spread_limit=guard.spread_limit,
        )


def _unchanged(_running: Config) -> Config | None:
    return None
