"""What one round of acting did, for the loop to turn into metrics, breakers and alerts."""

from __future__ import annotations

from collections.abc import Iterable
from operator import add
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import astuple

from bot.domain.decision import Reason, Reject
from bot.domain.event import ExecutionMeasured, FillBooked, Mismatch
from bot.domain.order import OrderKind, OrderState
from bot.domain.product import ProductId, Side
from bot.domain.value import Value, field


class Refusal(Value):
    """Something the bot wanted to send and did not."""

    product: ProductId
    side: Side
    kind: OrderKind
    reason: Reason
    detail: str


class Rejection(Value):
    """A definite refusal by the venue."""

    client_order_id: str
    product: ProductId
    kind: OrderKind
    reason: str
    message: str


class ActReport(Value):
    """One round of acting. Ids are client order ids, but for `cancelled` and `orphans`, which are the venue's.

    placed: accepted by the venue; cancelled: cancels asked; changed: new state of every order that moved.
    settled: milliseconds, rounded up to a bucket, until the venue showed an order completely.
    orphans: orders of ours that were believed never placed and work.
    exit_now: positions whose protective sell cannot rest any more, since the price is beyond it.
    errors: reads and cancels that failed, in words; auth_refused: the venue refused the key.
    """

    placed: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    unknown: tuple[str, ...] = ()
    changed: tuple[tuple[str, OrderState], ...] = ()
    fills: tuple[FillBooked, ...] = ()
    measured: tuple[ExecutionMeasured, ...] = ()
    settled: tuple[int, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    orphans: tuple[str, ...] = ()
    exit_now: tuple[ProductId, ...] = ()
    errors: tuple[str, ...] = ()
    auth_refused: bool = False
    rate_limited: int = 0

    @property
    def traded(self) -> bool:
        """Whether anything reached the venue."""
        return bool(self.placed or self.unknown)


class Tally(Struct):
    """Collects one ActReport while acting: the same fields in the same order, those that grow as lists."""

    placed: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    changed: list[tuple[str, OrderState]] = field(default_factory=list)
    fills: list[FillBooked] = field(default_factory=list)
    measured: list[ExecutionMeasured] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    mismatches: list[Mismatch] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    exit_now: list[ProductId] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    auth_refused: bool = False
    rate_limited: int = 0

    def refuse(self, product: ProductId, side: Side, kind: OrderKind, verdict: Reject) -> None:
        self.refused.append(Refusal(product, side, kind, verdict.reason, verdict.detail))

    def report(self) -> ActReport:
        if self == _BLANK:
            return NOTHING
        *lists, auth_refused, rate_limited = astuple(self)
        fields: tuple[Any, ...] = (*map(tuple, lists), auth_refused, rate_limited)
        return ActReport(*fields)


_BLANK: Final = Tally()

NOTHING: Final = ActReport()
"""A round in which there was nothing to be done, as in most."""


def combined(reports: Iterable[ActReport]) -> ActReport:
    """Several rounds as one."""
    whole = NOTHING
    for report in reports:
        if report is not NOTHING:
            whole = report if whole is NOTHING else _both(whole, report)
    return whole


def _both(first: ActReport, then: ActReport) -> ActReport:
    *lists, auth_refused, rate_limited = astuple(first)
    *more, refused_again, limited_again = astuple(then)
    fields: tuple[Any, ...] = (*map(add, lists, more), auth_refused or refused_again, rate_limited + limited_again)
    return ActReport(*fields)
