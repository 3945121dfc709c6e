"""Prometheus metrics by the names that dashboards and tests read; one registry an instance, nothing global."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from bot.domain.decision import Clamp, Decision, Outcome
from bot.domain.event import AlertRaised, ExecutionMeasured
from bot.domain.money import ZERO
from bot.domain.order import OrderState
from bot.ops.alerts import FIRING


class Metrics:
    """The daemon's figures. Decimals become floats here, at the very edge, for display only."""

    def __init__(self, config_hash: str, code_version: str) -> None:
        self.registry = CollectorRegistry()
        new = self.registry
        self.cycles = Counter("bot_cycles", "cycles by outcome", ["outcome"], registry=new)
        self.no_trade = Counter("bot_no_trade", "cycles without a trade by reason", ["reason"], registry=new)
        self.orders = Counter("bot_orders", "orders that entered a state", ["state"], registry=new)
        self.rejections = Counter("bot_rejections", "proposals and orders refused by gate", ["gate"], registry=new)
        self.clamps = Counter("bot_clamps", "proposals that a gate let pass for less", ["gate"], registry=new)
        self.equity = Gauge("bot_equity_usd", "net liquidation value; NaN while it is unknown", registry=new)
        self.exposure = Gauge("bot_exposure_pct", "worst-case exposure in percent of NLV", ["scope"], registry=new)
        self.api_requests = Counter("bot_api_requests", "REST calls", ["endpoint", "status"], registry=new)
        self.api_seconds = Histogram("bot_api_seconds", "REST call duration", ["endpoint"], registry=new)
        self.cycle_seconds = Histogram(
            "bot_cycle_seconds",
            "duration of a stage of the cycle",
            ["stage"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=new,
        )
        self.kill_switch = Gauge("bot_kill_switch", "1 while the kill switch is on", registry=new)
        self.unknown_orders = Gauge("bot_unknown_orders", "orders whose outcome is unknown", registry=new)
        self.unprotected = Gauge(
            "bot_unprotected_positions", "positions with a stop and no sell of ours at the exchange", registry=new
        )
        self.residual = Gauge("bot_ledger_residual", "venue minus books", ["currency"], registry=new)
        self.rate_budget = Gauge("bot_rate_budget_left", "requests left in the budget", ["class"], registry=new)
        self.alerts = Counter("bot_alerts", "alerts raised", ["severity"], registry=new)
        self.lost_alerts = Counter(
            "bot_alerts_lost", "alerts the disk did not keep, or that gave way in a full outbox", registry=new
        )
        self.commands = Counter("bot_commands", "operator commands answered", ["verb", "answer"], registry=new)
        self.overruns = Counter("bot_cycle_overruns", "scheduled cycles skipped because one ran long", registry=new)
        self.bad_ticks = Counter("bot_bad_ticks", "quotes and bars refused or held back", ["reason"], registry=new)
        self.halts = Gauge("bot_halts", "1 while a cause restricts trading", ["cause"], registry=new)
        self.breakers = Gauge("bot_breaker_open", "1 while a circuit breaker is open", ["breaker"], registry=new)
        self.excluded = Gauge(
            "bot_excluded", "products that may not be entered, as of the newest decision", ["reason"], registry=new
        )
        self.result = Gauge(
            "bot_result_pct",
            "result of the day and the week, and the fall from the peak, which loss stops end",
            ["period"],
            registry=new,
        )
        self.slippage = Histogram(
            "bot_slippage_bps",
            "price of an order that ended, against the one its decision assumed; positive is worse",
            buckets=(-50, -25, -10, -5, 0, 5, 10, 25, 50, 100, 250),
            registry=new,
        )
        self.fees = Counter("bot_fees", "fees of orders that ended, in quote currency", ["kind"], registry=new)
        self.settle_seconds = Histogram(
            "bot_settle_seconds",
            "time until the venue showed an order, its fills and wallets completely",
            buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300),
            registry=new,
        )
        self._info = Gauge("bot_build_info", "always 1", ["config_hash", "code_version"], registry=new)
        self.runs(config_hash, code_version)
        for outcome in Outcome:
            self.cycles.labels(outcome.value)
        for state in OrderState:
            self.orders.labels(state.value)

    def runs(self, config_hash: str, code_version: str) -> None:
        """What is in force from now on: the one pair that is 1."""
        self._info.clear()
        self._info.labels(config_hash, code_version).set(1)

    def executed(self, figures: ExecutionMeasured) -> None:
        """What an order was expected to cost, and what it did."""
        self.slippage.observe(float(figures.slippage_bps))
        self.fees.labels("expected").inc(float(figures.expected_fee))
        self.fees.labels("actual").inc(float(max(ZERO, figures.actual_fee)))

    def restricted(self, causes: Iterable[str], breakers: Mapping[str, bool]) -> None:
        """The causes in force, each once; and every breaker that ever counted a hit, open or not."""
        self.halts.clear()
        for cause in causes:
            self.halts.labels(cause).set(1)
        for name, is_open in breakers.items():
            self.breakers.labels(name).set(is_open)

    def judged(self, decision: Decision) -> None:
        """Proposals that a gate refused or cut down, and the products that were out of the question, by reason."""
        for item in decision.evaluated:
            if item.refusal is not None:
                self.rejections.labels(item.results[-1].gate).inc()
            for result in item.results:
                if isinstance(result.verdict, Clamp):
                    self.clamps.labels(result.gate).inc()
        self.excluded.clear()
        for reason, count in Counts(item.reason for item in decision.excluded).items():
            self.excluded.labels(reason.value).set(count)

    def worth(self, equity: Decimal | None) -> None:
        """Net liquidation value; not a number while it is unknown, rather than the figure that was true once."""
        self.equity.set(float("nan") if equity is None else float(equity))

    def results(self, figures: Mapping[str, Decimal | None]) -> None:
        """Results by period in percent; one that is not known is not shown, rather than shown as it was."""
        self.result.clear()
        for period, figure in figures.items():
            if figure is not None:
                self.result.labels(period).set(float(figure))

    def budget_left(self, left: Callable[[], Mapping[str, int]]) -> None:
        """Ask for the request budget of every class whenever the metrics are read."""
        for name in left():
            self.rate_budget.labels(name).set_function(partial(_of, left, name))

    def commanded(self, verb: str, done: bool) -> None:
        self.commands.labels(verb, "done" if done else "refused").inc()

    def heard(self, raised: AlertRaised) -> None:
        """Count an alert that fires, by its severity; the end of one is no alert."""
        if raised.state == FIRING:
            self.alerts.labels(raised.severity).inc()

    def render(self) -> bytes:
        """The text that `/metrics` serves."""
        return bytes(generate_latest(self.registry))

    def residuals(self, values: Mapping[str, Decimal], currencies: Mapping[str, object]) -> None:
        """Set the residual of every known currency; zero where the equation holds."""
        for currency in currencies:
            self.residual.labels(currency).set(float(values.get(currency, Decimal(0))))


def _of(left: Callable[[], Mapping[str, int]], name: str) -> float:
    return float(left()[name])
