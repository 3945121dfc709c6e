"""What each cycle tells the operator: metrics, alerts, one wide log line, heartbeat and status report."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from bot.domain.codec import canonical
from bot.domain.decision import Outcome, Reason
from bot.domain.event import HALT_ALERT, AlertRaised, FillBooked, OrderRefused
from bot.domain.holdings import unprotected
from bot.domain.money import EXACT, HUNDRED, ZERO, decimal_text
from bot.domain.order import EXIT, OrderState
from bot.domain.product import ProductId
from bot.domain.snapshot import Halt, Snapshot
from bot.domain.state import HaltCause, State, is_open
from bot.domain.value import replace
from bot.errors import StateCorrupt, StorageFailed
from bot.execution.report import ActReport, Refusal
from bot.loop.finished import Finished
from bot.loop.standing import Standing, feeds_down, missed, standing
from bot.loop.upkeep import stopped_out
from bot.loop.words import sent
from bot.loop.world import Identity, Operator, World
from bot.ops.alerts import FIRING, AlertService, Severity
from bot.ops.status import RunFacts, limits_of, status_report
from bot.record.cycles import inputs_of, keep
from bot.record.store import StateStore
from bot.risk.halts import halts_in_force
from bot.risk.scopes import exposure_by_scope
from bot.settings.config import Config

HEARTBEAT: Final = "heartbeat.json"
STATUS: Final = "status.json"


class Reporter:
    """Turns finished cycles into everything an operator sees."""

    def __init__(
        self, config: Config, identity: Identity, world: World, operator: Operator, store: StateStore, prefix: str,
        bad_ticks: Callable[[], Mapping[str, int]],
    ) -> None:  # fmt: skip
        """bad_ticks: how many were held back or rejected so far, by fault."""
        self._config = config
        self._world = world
        self._operator = operator
        self._store = store
        self._facts = RunFacts(
            identity.env.value, identity.mode.value, identity.pid, config.config_hash, identity.code_version, prefix,
            limits_of(config.policy.risk),
        )  # fmt: skip
        self._alerted: set[str] = set()
        self._bad_ticks = bad_ticks
        self._bad_ticks_told: Mapping[str, int] = {}
        self.alerts = AlertService(
            world.storage, world.clock.now, config.policy.alerts, identity.env.value, identity.mode.value, self._record,
            operator.courier.carry, operator.clean,
        )  # fmt: skip
        self.alerts.heard, self.alerts.lost = self._heard, operator.metrics.lost_alerts.inc

    def configure(self, config: Config) -> None:
        self._config = config
        limits = limits_of(config.policy.risk)
        self._facts = replace(self._facts, config_hash=config.config_hash, limits=limits)
        self._operator.metrics.runs(config.config_hash, self._facts.code_version)
        self.alerts.configure(config.policy.alerts)

    def _stands(self, cycle: Finished, naked: Mapping[ProductId, datetime]) -> None:
        """Fire an alert for everything that restricts trading, resolve what ended. A refused cycle ends nothing."""
        state, seen, now = self._store.state, cycle.snapshot if cycle.complete else None, cycle.record.finished_at
        found = standing(cycle.halts, state, seen, cycle.decision, naked, self._config, now)
        in_force = {item[0]: item for item in (*found, *feeds_down(self._operator.complaints()))}
        self._raise_new(in_force.values())
        for fingerprint in sorted(self._alerted - in_force.keys()):
            if cycle.complete or fingerprint.startswith(HALT_ALERT):
                self.alerts.resolve(fingerprint, "no longer in force")
                self._alerted.discard(fingerprint)
        self._make_up_for(in_force)
        self._operator.courier.nudge()

    def _make_up_for(self, in_force: Container[str]) -> None:
        """Say what was missed; not while the journal could not keep that it was said, or it would be said for ever."""
        for item in missed(self._store.state, in_force):
            if not self._store.broken:
                self.alerts.fire(*item)
                self.alerts.resolve(item[0], "no longer in force")

    def halted(self, halts: tuple[Halt, ...]) -> None:
        """Fire the alert of every halt that is new, before what it takes to carry it out: that may take its time."""
        if not self._operator.audience:
            return
        self._raise_new(standing(halts, self._store.state, None, None, {}, self._config, self._world.clock.now()))
        self._operator.courier.nudge()

    def _raise_new(self, found: Iterable[Standing]) -> None:
        for item in found:
            if item[0] not in self._alerted:
                self.alerts.fire(*item)
                self._alerted.add(item[0])

    def overran(self, skipped: int) -> None:
        """Scheduled cycles that were skipped because one ran long."""
        if skipped:
            self._operator.metrics.overruns.inc(skipped)
            self._operator.log.warning("cycle.overran", skipped=skipped)

    def acted(self, report: ActReport, cycle_id: str) -> None:
        """Counters, log lines and alerts of one round of acting; what was approved and not sent is recorded."""
        if not self._operator.audience:
            return
        metrics, log = self._operator.metrics, self._operator.log
        for client_order_id, state in report.changed:
            metrics.orders.labels(state.value).inc()
            log.info("order.changed", client_order_id=client_order_id, state=state.value)
        for refusal in report.refused:
            metrics.rejections.labels(refusal.reason.value).inc()
            log.info("order.refused", **_refusal_fields(refusal))
            if refusal.reason not in _EXIT_IN_HAND:
                self._store.record(
                    OrderRefused(refusal.product, refusal.side, refusal.kind, refusal.reason.value, refusal.detail),
                    cycle_id,
                )
        for fill in report.fills:
            log.info("fill.booked", **_fill_fields(fill))
        metrics.rejections.labels(Reason.EXCHANGE_REJECTED.value).inc(len(report.rejections))
        for figures in report.measured:
            metrics.executed(figures)
        for waited_ms in report.settled:
            metrics.settle_seconds.observe(waited_ms / 1000)
        for error in report.errors:
            log.warning("exchange.call_failed", detail=error)
        for told in (*notices(report), *stop_notices(report, self._store.state)):
            self.notice(*told)

    def sent(self, report: ActReport) -> str:
        """What a round sent to the venue, in words; empty where nobody reads them."""
        return sent(report, self._store.state) if self._operator.audience else ""

    def finished(self, cycle: Finished) -> None:
        """Everything at the end of a cycle. A failing disk is counted and never stops trading's own clean-up."""
        snap = cycle.snapshot
        naked = unprotected(snap, self._store.state) if snap is not None else {}
        self._stands(cycle, naked)
        self._measure(cycle, naked)
        self._tell(cycle)
        self.alerts.tick()
        if self._operator.keeps_files:
            self._show(cycle, naked)
        self._operator.heart.alive()
        self._operator.courier.nudge()

    def _show(self, cycle: Finished, naked: Mapping[ProductId, datetime]) -> None:
        """What other processes read."""
        waiting, state = self.alerts.undelivered(), self._store.state
        report = status_report(self._facts, state, cycle.snapshot, cycle.record, waiting, cycle.halts, naked)
        try:
            self._world.storage.post(HEARTBEAT, canonical(cycle.record.as_json()))
            self._world.storage.post(STATUS, json.dumps(report, indent=1).encode())
            self._keep_cycle(cycle)
        except StorageFailed as error:
            self._operator.log.critical("heartbeat.not_written", detail=str(error))
        self._operator.publish(report, cycle.complete, cycle.detail)

    def _measure(self, cycle: Finished, naked: Mapping[ProductId, datetime]) -> None:
        metrics, state, snap = self._operator.metrics, self._store.state, cycle.snapshot
        metrics.cycles.labels(cycle.record.outcome).inc()
        if cycle.record.outcome == Outcome.NO_TRADE.value:
            metrics.no_trade.labels(cycle.record.reason or "none").inc()
        for stage, seconds in cycle.stage_s.items():
            metrics.cycle_seconds.labels(stage).observe(seconds)
        found = self._bad_ticks()
        for fault, count in found.items():
            metrics.bad_ticks.labels(fault).inc(count - self._bad_ticks_told.get(fault, 0))
        self._bad_ticks_told = found
        took, limit = sum(cycle.stage_s.values()), self._config.policy.loop.cycle_budget_seconds
        if took > limit:
            self.notice("cycle.slow", Severity.WARNING, "a cycle took too long", f"{took:.1f} s, budget {limit} s")
        metrics.kill_switch.set(any(halt.cause is HaltCause.KILL_SWITCH for halt in cycle.halts))
        metrics.unknown_orders.set(sum(1 for order in state.orders.values() if order.state is OrderState.UNKNOWN))
        if self._operator.audience:
            self._measure_controls(cycle)
        if snap is None:
            return
        metrics.residuals(snap.residuals, state.ledgers)
        if self._operator.audience:
            metrics.unprotected.set(len(naked))
        if self._operator.keeps_files:
            self._measure_equity(snap)

    def _measure_controls(self, cycle: Finished) -> None:
        """What restrains trading: halts and breakers, gates that refused, and how near the loss stops are."""
        metrics, state, now = self._operator.metrics, self._store.state, cycle.record.finished_at
        metrics.restricted(
            (halt.cause.value for halt in self._in_force(cycle)),
            {name: is_open(breaker, now) for name, breaker in state.breakers.items()},
        )
        if cycle.decision is not None:
            metrics.judged(cycle.decision)
        if cycle.snapshot is not None:
            figures = cycle.snapshot.performance
            day, week, fall = figures.daily_pnl_pct, figures.weekly_pnl_pct, figures.drawdown_pct
            metrics.results({"day": day, "week": week, "drawdown": fall})

    def _in_force(self, cycle: Finished) -> tuple[Halt, ...]:
        """Every halt at the end of a cycle: latches and open breakers halt as much as what was observed."""
        return halts_in_force(self._store.state, cycle.record.finished_at, cycle.halts)

    def _measure_equity(self, snap: Snapshot) -> None:
        """What is unknown is not shown as it was once: neither the worth of the account nor shares of it."""
        nlv, gauge = snap.valuation.nlv, self._operator.metrics.exposure
        self._operator.metrics.worth(nlv.amount if nlv is not None else None)
        gauge.clear()
        if nlv is None or not nlv.is_positive:
            return
        equity = nlv.amount
        for scope, value in exposure_by_scope(snap, self._config).items():
            gauge.labels(scope).set(float(EXACT.divide(EXACT.multiply(value, HUNDRED), equity)))

    def _tell(self, cycle: Finished) -> None:
        decision, report = cycle.decision, cycle.report
        self._operator.log.info(
            "cycle.completed",
            cycle_id=cycle.record.cycle_id,
            service=cycle.complete and cycle.snapshot is not None and cycle.snapshot.service,
            outcome=cycle.record.outcome,
            reason=cycle.record.reason,
            detail=cycle.detail,
            regime=decision.regime.value if decision is not None else None,
            eligible=len(decision.eligible) if decision is not None else 0,
            triggers=len(decision.triggers) if decision is not None else 0,
            proposals=len(decision.evaluated) if decision is not None else 0,
            approved=len(decision.approved) if decision is not None else 0,
            placed=len(report.placed),
            cancelled=len(report.cancelled),
            fills=len(report.fills),
            positions=len(self._store.state.positions),
            halts=[halt.cause.value for halt in self._in_force(cycle)],
            config_hash=self._facts.config_hash[:8],
            stage_ms={name: round(seconds * 1000, 1) for name, seconds in cycle.stage_s.items()},
        )

    def _keep_cycle(self, cycle: Finished) -> None:
        """The newest decisions in full, for `bot explain`, with what `bot replay` needs to make them again; bounded."""
        if cycle.decision is None:
            return
        snapshot = cycle.snapshot if cycle.complete and self._operator.keeps_inputs else None
        inputs = inputs_of(snapshot, self._config, self._facts.code_version) if snapshot is not None else None
        keep(self._world.storage, cycle.decision, inputs, self._config)

    def notice(self, fingerprint: str, severity: Severity, title: str, detail: str) -> None:
        """Tell the operator of something that happened and is over."""
        self.alerts.notice(fingerprint, severity, title, detail)
        self._operator.courier.nudge()

    def _heard(self, raised: AlertRaised) -> None:
        """Count and log whatever fires, once and again when it escalates, and not what was folded.

        At the alert's own level: good news is no warning, and CRITICAL is more than one.
        """
        if raised.state != FIRING:
            return
        self._operator.metrics.heard(raised)
        log = self._operator.log.bind(fingerprint=raised.fingerprint, severity=raised.severity, detail=raised.detail)
        if raised.severity == Severity.CRITICAL.value:
            log.critical("alert.raised")
        elif raised.severity == Severity.WARNING.value:
            log.warning("alert.raised")
        else:
            log.info("alert.raised")

    def _record(self, raised: AlertRaised) -> object:
        try:
            return self._store.record(raised)
        except StateCorrupt:
            return None  # the journal never opened: the outbox carries the alert all the same


Notice = tuple[str, Severity, str, str]


def notices(report: ActReport) -> Iterator[Notice]:
    """What an operator must hear of one round of acting: fingerprint, severity, title, detail."""
    for item in report.rejections:
        title = f"{item.product}: the exchange refused an order"
        yield f"rejected.{item.product}.{item.reason}", Severity.WARNING, title, f"{item.reason} {item.message}"
    for product, why in blocked_exits(report):
        detail = f"{product}: {why}; it is tried again, the position stays until then"
        yield f"exit.blocked.{product}", Severity.CRITICAL, "a sale that is due cannot be made", detail
    for mismatch in report.mismatches:
        detail = f"{mismatch.what}: ours {mismatch.ours}, theirs {mismatch.theirs}; theirs was taken"
        yield f"mismatch.{mismatch.what}", Severity.WARNING, "books and exchange differed", detail
    for client_order_id in report.unknown:
        detail = f"no usable answer for {client_order_id}; it counts as full exposure until it is found"
        yield f"unknown.{client_order_id}", Severity.CRITICAL, "the fate of an order is unknown", detail


_EXIT_IN_HAND: Final = frozenset({Reason.ALREADY_WORKING, Reason.NOTHING_TO_SELL})
"""Exits that are refused because they are being done."""


def blocked_exits(report: ActReport) -> Iterator[tuple[ProductId, str]]:
    """Exits that risk approved and that neither left nor were at work already, with the reason."""
    for refusal in report.refused:
        if refusal.kind is EXIT and refusal.reason not in _EXIT_IN_HAND:
            yield refusal.product, refusal.detail
    for item in report.rejections:
        if item.kind is EXIT:
            yield item.product, f"{item.reason} {item.message}".strip()


def stop_notices(report: ActReport, state: State) -> Iterator[Notice]:
    """Stops that were hit, once for each order."""
    hit = {fill.client_order_id: fill for fill in report.fills if not fill.foreign and stopped_out(fill, state)}
    for client_order_id, fill in hit.items():
        detail = (
            f"sold {fill.size} at {fill.price} by {client_order_id}, realised {decimal_text(fill.realised or ZERO)}"
        )
        yield f"stop.{fill.product}", Severity.WARNING, f"{fill.product}: a stop was hit", detail


def _refusal_fields(refusal: Refusal) -> dict[str, str]:
    return {
        "product": refusal.product,
        "side": refusal.side.value,
        "kind": refusal.kind.value,
        "reason": refusal.reason.value,
        "detail": refusal.detail,
    }


def _fill_fields(fill: FillBooked) -> dict[str, object]:
    return {
        "product": fill.product,
        "side": fill.side.value,
        "price": str(fill.price),
        "size": str(fill.size),
        "fee": decimal_text(fill.fee),
        "realised": decimal_text(fill.realised) if fill.realised is not None else None,
        "foreign": fill.foreign,
    }
