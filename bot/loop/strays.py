"""Cancels without books: when durable state cannot be trusted, our orders are known by their prefix alone."""

from __future__ import annotations

from collections.abc import Collection

from bot.domain.order import ENTRY, PROTECTIVE, OrderKind, OrderReport
from bot.domain.product import BUY
from bot.errors import CriticalDataUnavailable, ExchangeError
from bot.execution.identity import is_ours
from bot.execution.report import ActReport, Tally
from bot.ports import Exchange


def cancel_ours(exchange: Exchange, tag: str, kinds: Collection[OrderKind]) -> ActReport:
    """Ask once for the cancel of every working order with our prefix whose side says that it is of these kinds.

    A sell that rests may protect a position, and nothing but its side is known of it: it goes with PROTECTIVE only.
    """
    tally = Tally()
    try:
        shown = [report for report in exchange.working_orders() if _wanted(report, tag, kinds)]
        answers = exchange.cancel([report.order_id for report in shown]) if shown else ()
    except (ExchangeError, CriticalDataUnavailable) as error:
        tally.errors.append(f"cancelling without books: {error}")
        return tally.report()
    tally.cancelled.extend(answer.order_id for answer in answers if answer.asked)
    return tally.report()


def _wanted(report: OrderReport, tag: str, kinds: Collection[OrderKind]) -> bool:
    kind = ENTRY if report.side is BUY else PROTECTIVE
    return is_ours(report.client_order_id, tag) and kind in kinds
