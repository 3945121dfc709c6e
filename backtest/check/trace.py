"""What a run did, as lines that can be compared: what it wanted, what it sent and what filled, each with its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from backtest.dataset import Dataset
from backtest.drive import Drive
from bot.domain.codec import canonical, time_text
from bot.domain.value import Value
from bot.loop.finished import Finished
from bot.settings.config import Config
from bot.venue.orders import OrderRecord, VenueFill

CODE = "check"
"""Stands for the code version in runs that nobody keeps."""


class Watched(Drive):
    """A run of which somebody sees every cycle that was run."""

    def __init__(
        self, config: Config, data: Dataset, watch: Callable[[Finished], None] = lambda _: None, *, every: bool = False
    ) -> None:
        self._watch = watch
        super().__init__(config, data, CODE, every)

    def _follow(self, cycle: Finished) -> None:
        super()._follow(cycle)
        self._watch(cycle)


class Line(Value, order=True):
    """at: when it happened, as text that sorts; what: kind and content."""

    at: str
    what: str


def trace(drive: Drive) -> list[Line]:
    """Everything a finished run did, in the order of time. Cycles that wanted nothing leave no line."""
    return sorted([*_wishes(drive), *map(_order, drive.stage.venue.orders()), *map(_fill, drive.stage.venue.fills())])


def until(lines: list[Line], at: datetime) -> list[Line]:
    """Those at or before `at`."""
    last = time_text(at)
    return [line for line in lines if line.at <= last]


def first_difference(was: list[Line], now: list[Line]) -> tuple[str, ...]:
    """Where two traces part; empty when they do not."""
    for before, after in zip(was, now, strict=False):
        if before != after:
            return (f"{min(before.at, after.at)}: was {before.what}", f"is {after.what}")
    if len(was) == len(now):
        return ()
    longer, what = (was, "is missing") if len(was) > len(now) else (now, "is new")
    line = longer[min(len(was), len(now))]
    return (f"{line.at}: {line.what} {what}",)


def _wishes(drive: Drive) -> Iterator[Line]:
    for row in drive.recorder.rows:
        if "cycle_id" in row:
            rest: dict[str, Any] = {key: value for key, value in row.items() if key != "at"}
            yield Line(row["at"], f"decision {canonical(rest).decode()}")


def _order(order: OrderRecord) -> Line:
    return Line(time_text(order.created_at), f"order {order.client_order_id} {order.request}")


def _fill(fill: VenueFill) -> Line:
    what = f"fill of {fill.side.value} {fill.product} {fill.size} at {fill.price}, fee {fill.fee}"
    return Line(time_text(fill.booked_at), what)
