"""The status report: one JSON document that `bot status`, the status page and tools read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from bot.domain.codec import time_text
from bot.domain.money import EXACT, HUNDRED, ZERO, Percent, decimal_text, quantised
from bot.domain.order import OrderState
from bot.domain.position import Position
from bot.domain.product import ProductId
from bot.domain.snapshot import Halt, MarketView, Performance, Snapshot, Valuation
from bot.domain.state import Order, State
from bot.domain.value import Value, field
from bot.settings.policy import RiskPolicy


class CycleRecord(Value):
    """One finished cycle, as heartbeat.json and `status` show it. detail: the reason in words, with its numbers."""

    cycle_id: str
    started_at: datetime
    finished_at: datetime
    outcome: str
    reason: str
    config_hash: str
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return {
            "cycle_id": self.cycle_id,
            "started_at": time_text(self.started_at),
            "finished_at": time_text(self.finished_at),
            "outcome": self.outcome,
            "reason": self.reason,
            "config_hash": self.config_hash,
            "detail": self.detail,
        }


class RunFacts(Value):
    """What identifies the running daemon. order_prefix: how its client order ids begin; limits: as `limits_of`."""

    env: str
    mode: str
    pid: int
    config_hash: str
    code_version: str
    order_prefix: str = ""
    limits: Mapping[str, str | None] = field(default_factory=dict)


def limits_of(policy: RiskPolicy) -> dict[str, str | None]:
    """The limits that the figures of a status stand against, by policy key; None: off."""
    return {
        "daily_stop_pct": _limit(policy.daily_stop_pct),
        "weekly_stop_pct": _limit(policy.weekly_stop_pct),
        "max_drawdown_pct": _limit(policy.max_drawdown_pct),
        "max_total_pct": _limit(policy.max_total_pct),
        "max_open_positions": str(policy.max_open_positions),
    }


def _limit(percent: Percent | None) -> str | None:
    return None if percent is None else decimal_text(percent.value)


def status_report(
    facts: RunFacts, state: State, snapshot: Snapshot | None, cycle: CycleRecord | None, undelivered: int,
    halts: Sequence[Halt] | None = None, unprotected: Mapping[ProductId, datetime] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Everything an operator asks first. snapshot: the newest complete one, None before the first.

    halts: what was observed last, when that is newer than the snapshot: a disk that is full lets none be finished.
    unprotected: markets in which nothing of ours is on sale, each with since when; None: not known.
    """
    valuation = snapshot.valuation if snapshot is not None else Valuation(None, ())
    performance = snapshot.performance if snapshot is not None else Performance(None, None, None)
    if halts is None:
        halts = snapshot.halts if snapshot is not None else ()
    reason = "; ".join(f"{halt.cause.value}: {halt.detail}" for halt in halts) or state.halt_reason
    return {
        "env": facts.env,
        "mode": facts.mode,
        "running": True,
        "pid": facts.pid,
        "halted": bool(halts) or state.halted_since is not None,
        "halt_reason": reason,
        "latches": [
            {"name": latch.name, "cause": latch.cause.value, "detail": latch.detail, "since": time_text(latch.since)}
            for latch in state.latches.values()
        ],
        "cycle": cycle.as_json() if cycle is not None else None,
        "currency": valuation.nlv.currency if valuation.nlv else "",
        "limits": dict(facts.limits),
        "equity": _number(valuation.nlv.amount if valuation.nlv else None, 2),
        "equity_problem": valuation.problem,
        "cash": _number(_cash(snapshot), 2),
        "exposure_pct": _number(_exposure_pct(snapshot), 4),
        "daily_pnl_pct": _number(performance.daily_pnl_pct, 4),
        "weekly_pnl_pct": _number(performance.weekly_pnl_pct, 4),
        "drawdown_pct": _number(performance.drawdown_pct, 4),
        "realised_total": _number(state.realised_total, 2),
        "fees_total": _number(state.fees_total, 2),
        "positions": [position_row(item, _view(snapshot, item)) for item in state.positions.values()],
        "orders": [order_row(order) for order in state.orders.values() if order.state.is_working],
        "unprotected": {market: time_text(since) for market, since in (unprotected or {}).items()},
        "unknown_orders": sum(1 for order in state.orders.values() if order.state is OrderState.UNKNOWN),
        "external_orders": len(state.foreign_orders),
        "breakers": [
            {"name": item.name, "state": "open" if item.open else "closed", "detail": item.detail}
            for item in state.breakers.values()
        ],
        "cooldowns": [
            {"product": item.product or "", "reason": item.reason, "until": time_text(item.until)}
            for item in state.cooldowns
            if snapshot is None or item.until > snapshot.now
        ],
        "bans": [
            {"product": item.product, "kind": item.kind, "until": time_text(item.until)}
            for item in state.bans.values()
            if snapshot is None or item.until > snapshot.now
        ],
        "quarantined": dict(state.quarantined),
        "approvals": [
            {"id": item.id, "product": item.product, "rule": item.rule, "usd": decimal_text(item.size_quote)}
            for item in state.approvals.values()
            if not item.granted
        ],
        "ledger_residual": _residuals(state, snapshot),
        "alerts_undelivered": undelivered,
        "config_hash": facts.config_hash,
        "code_version": facts.code_version,
        "order_prefix": facts.order_prefix,
        "suggested_post_trade_reconcile_wait_seconds": suggested_wait(state.settle_ms),
    }


def position_row(position: Position, view: MarketView | None) -> dict[str, Any]:
    """One position for tables and JSON; mark and profit are None while no price is usable."""
    mark = view.quote.bid if view is not None and view.quote is not None else None
    entry = position.entry_price
    profit = position.unrealised(mark).amount if mark is not None else None
    return {
        "product": position.product,
        "size": str(position.size),
        "cost": _number(position.cost, 2),
        "mark": str(mark) if mark is not None else None,
        "unrealised_pnl": _number(profit, 2),
        "stop": _level(entry.value if entry else None, position.exits.stop_loss_pct, -1),
        "target": _level(entry.value if entry else None, position.exits.take_profit_pct, 1),
        "rule": position.rule,
        "managed": position.managed,
        "beside": str(position.whole - position.size),
        "opened_at": time_text(position.opened_at),
    }


def order_row(order: Order) -> dict[str, Any]:
    """One order for tables and JSON."""
    return {
        "client_order_id": order.client_order_id,
        "order_id": order.order_id,
        "product": order.product,
        "side": order.side.value,
        "status": order.state.value,
        "size": str(order.size),
        "filled": str(order.filled),
        "limit_price": str(order.limit_price) if order.limit_price is not None else None,
        "stop_price": str(order.stop_price) if order.stop_price is not None else None,
        "kind": order.kind.value,
        "created_at": time_text(order.created_at),
        "why": order.why,
    }


def suggested_wait(settle_ms: Mapping[int, int]) -> float | None:
    """Seconds after which 95 % of submissions had settled; None before twenty observations."""
    count = sum(settle_ms.values())
    if count < 20:
        return None
    seen = 0
    for bucket in sorted(settle_ms):
        seen += settle_ms[bucket]
        if seen * 100 >= count * 95:
            return bucket / 1000
    return None


def _cash(snapshot: Snapshot | None) -> Decimal | None:
    if snapshot is None:
        return None
    return sum((p.value for p in snapshot.valuation.parts if p.source in ("cash", "stable")), ZERO)


def _exposure_pct(snapshot: Snapshot | None) -> Decimal | None:
    """Holdings at mark in percent of NLV."""
    if snapshot is None or snapshot.valuation.nlv is None or not snapshot.valuation.nlv.is_positive:
        return None
    held = sum((p.value for p in snapshot.valuation.parts if p.source in ("quote", "last_good")), ZERO)
    return EXACT.divide(EXACT.multiply(held, HUNDRED), snapshot.valuation.nlv.amount)


def _view(snapshot: Snapshot | None, position: Position) -> MarketView | None:
    return snapshot.markets.get(position.product) if snapshot is not None else None


def _residuals(state: State, snapshot: Snapshot | None) -> dict[str, str]:
    found = snapshot.residuals if snapshot is not None else {}
    return {currency: decimal_text(found.get(currency, ledger.pending)) for currency, ledger in state.ledgers.items()}


def _level(entry: Decimal | None, pct: Decimal | None, sign: int) -> str | None:
    if entry is None or pct is None:
        return None
    return _number(EXACT.multiply(entry, EXACT.add(Decimal(1), EXACT.divide(pct * sign, HUNDRED))), 8)


def _number(value: Decimal | None, places: int) -> str | None:
    return None if value is None else decimal_text(quantised(value, places))
