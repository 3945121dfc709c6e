"""The demo's story: the daemon's own log events, its decisions and its orders, told one line a thing that matters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from bot.domain.codec import parse_time
from bot.domain.decision import Decision, Outcome
from bot.domain.order import OrderKind, OrderState
from bot.domain.product import ProductId
from bot.domain.state import State
from bot.domain.value import Value, replace
from simulator.demo_words import (
    approved_words,
    brief,
    dollars,
    ended_words,
    placed_words,
    reason_words,
    refusal_reasons,
    refused_words,
)

Event = Mapping[str, Any]
"""One line of the daemon's log."""

_REMEMBERED: Final = 200
_FILLS_SHOWN: Final = 20
_CLOSING: Final = frozenset({"cycle.completed", "run.stopped"})
_ENDED: Final = frozenset({OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED})


class Kind(Enum):
    """What a line tells of."""

    TRADE = "trade"
    NO_TRADE = "no trade"
    HALT = "halted"
    ORDER = "order"
    FILL = "fill"
    STOPS = "stops"
    ALERT = "alert"


_ORDER: Final = {kind: number for number, kind in enumerate(Kind)}
"""Of the lines of one cycle."""


class Line(Value):
    """One thing that happened, in trading time. count: cycles in a row that ended like this, `at` being the last."""

    at: datetime
    kind: Kind
    text: str
    count: int = 1


class Sources(Value):
    """Where the story looks things up: a cycle's decision, None when it is not known, and the daemon's books."""

    decision: Callable[[str], Decision | None]
    state: Callable[[], State]


class Story:
    """Folds log events into lines and counts. Used by one thread.

    cycles: every cycle that finished; served: those between two scheduled ones, which only serve orders and exits.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._shown: set[str] = set()
        self._waiting: list[Line] = []
        self.at: datetime | None = None
        self.lines: deque[Line] = deque(maxlen=_REMEMBERED)
        self.fills: deque[Line] = deque(maxlen=_FILLS_SHOWN)
        self.outcomes: Counter[str] = Counter()
        self.why_not: Counter[str] = Counter()
        self.cycles = self.served = 0
        self.regime, self.eligible = "", 0

    def tell(self, event: Event) -> list[Line]:
        """Take one event up; answers the lines it completes, the oldest first.

        What a cycle did is logged before the cycle itself: it is kept until then, since the wish comes before the deed.
        """
        self.at = parse_time(event["ts"])
        kind, text = self._told(event)
        if text is not None:
            self._waiting.append(Line(self.at, kind, text))
        if event["event"] not in _CLOSING:
            return []
        found, self._waiting = sorted(self._waiting, key=lambda line: _ORDER[line.kind]), []
        return [line for line in found if self._keep(line)]

    def _keep(self, line: Line) -> bool:
        """Whether the line is new, rather than one more cycle that ended like the last."""
        last = self.lines[-1] if self.lines else None
        if last is not None and line.kind is Kind.NO_TRADE and (last.kind, last.text) == (line.kind, line.text):
            self.lines[-1] = replace(line, count=last.count + 1)
            return False
        self.lines.append(line)
        if line.kind is Kind.FILL:
            self.fills.append(line)
        return True

    def _told(self, event: Event) -> tuple[Kind, str | None]:
        match event["event"]:
            case "cycle.completed":
                return self._cycle(event)
            case "order.changed":
                return self._order(str(event["client_order_id"]), OrderState(event["state"]))
            case "fill.booked":
                return Kind.FILL, _fill(event)
            case "alert.raised" if event["severity"] != "INFO":
                return Kind.ALERT, f"{event['severity'].lower()}: {event['detail']}"
            case _:
                return Kind.ORDER, None

    def _cycle(self, event: Event) -> tuple[Kind, str | None]:
        self.cycles += 1
        if event["service"]:
            self.served += 1
            return self._service(event)
        self.outcomes[event["outcome"]] += 1
        self.regime, self.eligible = event["regime"] or self.regime, event["eligible"]
        decision = self._sources.decision(event["cycle_id"]) if event["proposals"] else None
        if event["outcome"] == Outcome.TRADED.value:
            return Kind.TRADE, approved_words(decision) if decision is not None else event["detail"]
        if event["outcome"] != Outcome.NO_TRADE.value:
            self.why_not[reason_words(event["reason"])] += 1
            return Kind.HALT, _why_not(event)
        refused = refusal_reasons(decision) if decision is not None else set()
        self.why_not.update(refused or {reason_words(event["reason"])})
        return Kind.NO_TRADE, refused_words(decision) if decision is not None and refused else _why_not(event)

    def _service(self, event: Event) -> tuple[Kind, str | None]:
        """Cycles between the scheduled ones speak through their orders and fills, unless they decided an exit."""
        decision = self._sources.decision(event["cycle_id"]) if event["approved"] else None
        return Kind.TRADE, approved_words(decision) if decision is not None else None

    def _order(self, client_order_id: str, state: OrderState) -> tuple[Kind, str | None]:
        order = self._sources.state().orders.get(client_order_id)
        if order is None:
            return Kind.ORDER, None
        kind = Kind.STOPS if order.kind is OrderKind.PROTECTIVE else Kind.ORDER
        if state in _ENDED:
            return kind, ended_words(replace(order, state=state))
        if client_order_id in self._shown:
            return kind, None
        self._shown.add(client_order_id)
        return kind, placed_words(order)


def _why_not(event: Event) -> str:
    words, detail = reason_words(event["reason"]), str(event["detail"])
    told = detail.removeprefix("no rule holds for ").replace("_", " ")
    return told if told.startswith(words) else f"{words}: {told}"


def _fill(event: Event) -> str:
    price, size, fee = Decimal(event["price"]), Decimal(event["size"]), Decimal(event["fee"])
    verb = "bought" if event["side"] == "BUY" else "sold"
    what = f"{verb} {brief(size)} {ProductId.parse(event['product']).base} at {price}"
    realised = event["realised"]
    result = f", result {dollars(Decimal(realised), signed=True)} after all fees" if realised is not None else ""
    return f"{what} = {dollars(price * size)}, fee {dollars(fee)}{result}"
