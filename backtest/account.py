"""What trading cost, how orders fared, and how much was at risk: figures from the venue's own records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from statistics import fmean, median
from typing import Any

import numpy as np

from backtest.candles import Floats
from backtest.curve import Curve
from backtest.dataset import Dataset
from backtest.metrics import NOT_ENOUGH, rounded
from backtest.recorder import Recorder
from backtest.trades import Ledger, Trade
from bot.domain.money import BASIS_POINTS, EXACT, HUNDRED, ZERO, total
from bot.domain.order import PROTECTIVE, OrderKind, VenueStatus
from bot.domain.value import Value
from bot.risk.gates import GATES
from bot.settings.config import Config
from bot.venue.orders import OrderRecord, VenueFill


def costs(fills: Sequence[VenueFill], trades: Sequence[Trade]) -> dict[str, Any]:
    """Fees, spreads and slippage that all fills paid, and apart from them what those of the closed trades paid.

    spread, slippage: as each fill paid them (VenueFill); a maker pays neither. gross: what the closed trades made
    before their costs, net: what is left of it.
    """
    closed = [trade for trade in trades if trade.closed]
    every = _Paid(*(total(getattr(fill, name) for fill in fills) for name in ("fee", "spread", "slippage", "value")))
    own = _Paid(*(total(getattr(trade, name) for trade in closed) for name in ("fees", "spread", "slippage", "traded")))
    net = total(trade.pnl for trade in closed)
    gross = EXACT.add(net, own.total)
    return {
        **every.told(),
        "closed": {
            **own.told(),
            "gross": rounded(float(gross)),
            "gross_bps_of_traded": _share(gross, own.traded, BASIS_POINTS),
            "share_of_gross_pct": _share(own.total, gross, HUNDRED),
            "net": rounded(float(net)),
        },
    }


def execution(ledger: Ledger) -> dict[str, Any]:
    """Orders and fills, by kind: how many were sent, filled, partly filled, expired, quoted again, refused."""
    recorder, data = ledger.recorder, ledger.data
    kinds: dict[OrderKind, list[OrderRecord]] = {kind: [] for kind in OrderKind}
    attempts = Counter[str]()
    for order in ledger.orders.values():
        origin = recorder.origins.get(order.client_order_id)
        kinds[origin.kind if origin is not None else PROTECTIVE].append(order)
        attempts["requotes"] += int(origin is not None and origin.attempt > 1)
    slips = [float(item.slippage_bps) for item in recorder.measured.values()]
    every = list(ledger.orders.values())
    waited = {
        order.order_id: (data.newest(order.last_fill_at) - data.newest(order.created_at)) * data.length.minutes
        for order in every
        if order.status is VenueStatus.FILLED and order.last_fill_at is not None
    }
    return {
        "fills": len(ledger.fills),
        **_fate(every, waited),
        "expired": sum(order.status is VenueStatus.EXPIRED for order in every),
        "rejected": sum(order.status is VenueStatus.FAILED for order in every),
        "requotes": attempts["requotes"],
        "by_kind": {kind.value: _fate(orders, waited) for kind, orders in kinds.items()},
        "refused": dict(sorted(recorder.refused.items())),
        "slippage_against_decision_bps": (
            {"mean": rounded(fmean(slips)), "median": rounded(median(slips)), "worst": rounded(max(slips)),
             "orders": len(slips)} if slips else NOT_ENOUGH
        ),
    }  # fmt: skip


def exposure(curve: Curve, config: Config, themes: Mapping[str, Floats]) -> dict[str, Any]:
    """How much of equity was invested, against the caps of the policy. themes: as `curve.themes` gives them."""
    risk = config.policy.risk
    return {
        "time_in_market_pct": rounded(float(np.mean(curve.positions > 0)) * 100),
        "mean_pct": rounded(float(np.mean(curve.invested_pct))),
        "max_pct": rounded(float(np.max(curve.invested_pct))),
        "cap_pct": rounded(float(risk.max_total_pct.value)),
        "max_asset_pct": rounded(float(np.max(curve.largest_pct))),
        "asset_cap_pct": rounded(float(risk.max_per_asset_pct.value)),
        "max_positions": int(np.max(curve.positions)),
        "positions_cap": risk.max_open_positions,
        "max_theme_pct": {name: rounded(float(np.max(line))) for name, line in sorted(themes.items())},
        "theme_cap_pct": rounded(float(risk.max_per_theme_pct.value)),
    }


def coverage(recorder: Recorder) -> dict[str, Any]:
    """What was exercised: cycles by outcome, rules and triggers behind wishes, how often each gate was asked, and what
    gates said but a plain yes."""
    return {
        "cycles": dict(sorted(recorder.outcomes.items())),
        "rules": dict(sorted(recorder.rules.items())),
        "triggers": dict(sorted(recorder.triggers.items())),
        "asked": {row.name: recorder.asked[row.name] for row in GATES},
        "gates": {gate: dict(reasons) for gate, reasons in recorder.gates_hit.items()},
    }


def integrity(data: Dataset, recorder: Recorder, residuals: Mapping[str, Decimal]) -> dict[str, Any]:
    """Whether the books balance and what the data left out."""
    found = data.integrity
    return {
        "ledger_residual": {currency: str(amount.normalize() + ZERO) for currency, amount in residuals.items()},
        "balanced": all(amount == 0 for amount in residuals.values()),
        "mismatches": recorder.mismatches,
        "failed_cycles": len(recorder.failures),
        "rejected_ticks": dict(sorted(recorder.bad_ticks.items())),
        "rows": dict(found.rows),
        "recorded": {
            product: {"first": _iso(first), "last": _iso(last)} for product, (first, last) in found.recorded.items()
        },
        "quiet_bars": dict(found.quiet),
        "gaps": [{"product": product, "from": _iso(first), "to": _iso(after)} for product, first, after in found.gaps],
    }


def fate(orders: Iterable[OrderRecord]) -> Counter[str]:
    """How orders ended, by the venue's word for it."""
    return Counter(order.status.value for order in orders)


class _Paid(Value):
    """What fills cost, and their value."""

    fees: Decimal
    spread: Decimal
    slippage: Decimal
    traded: Decimal

    @property
    def total(self) -> Decimal:
        return total((self.fees, self.spread, self.slippage))

    def told(self) -> dict[str, Any]:
        return {
            "fees": rounded(float(self.fees)),
            "spread": rounded(float(self.spread)),
            "slippage": rounded(float(self.slippage)),
            "total": rounded(float(self.total)),
            "traded": rounded(float(self.traded)),
            "total_bps_of_traded": _share(self.total, self.traded, BASIS_POINTS),
        }


def _share(part: Decimal, whole: Decimal, scale: Decimal) -> float | str:
    return rounded(float(part / whole * scale)) if whole > 0 else NOT_ENOUGH


def _fate(orders: Sequence[OrderRecord], waited: Mapping[str, int]) -> dict[str, Any]:
    """waited: minutes until it was filled, by order."""
    filled = [order for order in orders if order.status is VenueStatus.FILLED]
    partial = [order for order in orders if order.filled_size > 0 and order.status is not VenueStatus.FILLED]
    return {
        "orders": len(orders),
        "by_status": dict(sorted(fate(orders).items())),
        "partial": len(partial),
        "fill_ratio_pct": rounded(len(filled) / len(orders) * 100) if orders else NOT_ENOUGH,
        "minutes_to_fill": _spread_of([waited[order.order_id] for order in filled if order.order_id in waited]),
    }


def _spread_of(minutes: Sequence[int]) -> dict[str, Any] | str:
    if not minutes:
        return NOT_ENOUGH
    return {"mean": rounded(fmean(minutes)), "median": rounded(median(minutes)), "max": max(minutes)}


def _iso(at: int) -> str:
    return str(np.datetime64(at, "s")) + "Z"
