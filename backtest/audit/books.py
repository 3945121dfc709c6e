"""Orders, fills and decisions of a run as they stand in its artifacts, and what was held and worth when."""

from __future__ import annotations

import csv
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from backtest.audit.tape import Bar, Tape, seconds
from bot.domain.value import Value

ZERO = Decimal(0)


class Order(Value):
    """One row of orders.json. parent: the entry whose attached bracket it is, or empty."""

    id: str
    product: str
    side: str
    kind: str
    rule: str
    cycle: str
    intent: int | None
    attempt: int | None
    type: str
    status: str
    size: Decimal
    limit: Decimal | None
    stop: Decimal | None
    created: int
    ended: int | None
    filled: Decimal
    parent: str = ""

    @property
    def base(self) -> str:
        return self.product.partition("-")[0]

    def working(self, at: int) -> bool:
        """Whether it surely worked at the venue when the cycle of `at` looked."""
        return self.created < at and (self.ended is None or self.ended > at)


class Fill(Value):
    """One row of fills.json. at: the close of the bar in which it traded, when the bot could learn of it. spread,
    slippage: what it says that taking cost."""

    order: str
    product: str
    side: str
    reason: str
    price: Decimal
    size: Decimal
    value: Decimal
    fee: Decimal
    maker: bool
    at: int
    spread: Decimal = ZERO
    slippage: Decimal = ZERO

    @property
    def base(self) -> str:
        return self.product.partition("-")[0]

    @property
    def signed(self) -> Decimal:
        return self.size if self.side == "BUY" else -self.size

    @property
    def cash(self) -> Decimal:
        """What it did to the wallet."""
        return (-self.value if self.side == "BUY" else self.value) - self.fee


class Wish(Value):
    """One proposal of decisions.jsonl. room: the least a gate cut it down to, or what was wanted."""

    cycle: str
    at: int
    product: str
    side: str
    rule: str
    reference: Decimal
    room: Decimal
    approved: bool
    size: Decimal
    worst_price: Decimal
    worst_quote: Decimal

    @property
    def base(self) -> str:
        return self.product.partition("-")[0]


class Standing(NamedTuple):
    """What there is at one moment. worth: of each holding, at the bid."""

    cash: Decimal
    worth: Mapping[str, Decimal]

    @property
    def equity(self) -> Decimal:
        return self.cash + sum(self.worth.values(), ZERO)


class Account(Value):
    """What the bot itself says of its money. opening: cash before the first bar; peak: the highest equity it knows."""

    opening: Decimal
    peak: Decimal | None


@dataclass
class Books:
    """Everything of one run. cycles: outcome and reason of each by its time; opening: cash before the first bar; peak:
    the highest equity that the bot knows of at the end; begin, end: of the run, unix seconds."""

    tape: Tape
    orders: Mapping[str, Order]
    fills: Sequence[Fill]
    wishes: Sequence[Wish]
    trades: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    equity_rows: Sequence[Mapping[str, str]]
    exposure_rows: Sequence[Mapping[str, str]]
    cycles: Mapping[int, tuple[str, str]]
    opening: Decimal
    peak: Decimal | None
    begin: int
    end: int
    _times: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._times = [fill.at for fill in self.fills]

    def fills_until(self, at: int) -> Sequence[Fill]:
        return self.fills[: bisect_right(self._times, at)]

    def fills_before(self, at: int) -> Sequence[Fill]:
        return self.fills[: bisect_left(self._times, at)]

    def first_fill_at(self, order: Order) -> int | None:
        return self._first_fills.get(order.id)

    @cached_property
    def _first_fills(self) -> Mapping[str, int]:
        return {fill.order: fill.at for fill in reversed(self.fills)}

    def held(self, at: int) -> Mapping[str, Decimal]:
        """Size of each product held at `at`, fills of that moment in it."""
        found: dict[str, Decimal] = {}
        for fill in self.fills_until(at):
            found[fill.product] = found.get(fill.product, ZERO) + fill.signed
        return {product: size for product, size in found.items() if size}

    def cash(self, at: int) -> Decimal:
        return self.opening + sum((fill.cash for fill in self.fills_until(at)), ZERO)

    def worth(self, at: int) -> Mapping[str, Decimal]:
        """Value of each holding at the bid known at `at`."""
        return {product: size * self.bid(product, at) for product, size in self.held(at).items()}

    def equity(self, at: int) -> Decimal:
        return self.cash(at) + sum(self.worth(at).values(), ZERO)

    def bid(self, product: str, at: int) -> Decimal:
        """The newest bid at `at`; in a gap the last before it."""
        known = self._openings[product]
        index = bisect_right(known, at - self.tape.length) - 1
        quote = self.tape.around(product, self.tape.bars[product][known[index]].close) if index >= 0 else None
        return ZERO if quote is None else quote.bid

    @cached_property
    def _openings(self) -> Mapping[str, Sequence[int]]:
        return {product: sorted(bars) for product, bars in self.tape.bars.items()}

    @cached_property
    def standings(self) -> Mapping[int, Standing]:
        """Cash and holdings at every bar's close."""
        found, held, cash, done = {}, dict[str, Decimal](), self.opening, 0
        for at in range(self.begin + self.tape.length, self.end + 1, self.tape.length):
            while done < len(self.fills) and self._times[done] <= at:
                fill = self.fills[done]
                held[fill.product] = held.get(fill.product, ZERO) + fill.signed
                cash, done = cash + fill.cash, done + 1
            worth = {product: size * self.bid(product, at) for product, size in held.items() if size}
            found[at] = Standing(cash, worth)
        return found

    @cached_property
    def path(self) -> Mapping[int, Decimal]:
        """Equity at every bar's close."""
        return {at: standing.equity for at, standing in self.standings.items()}

    def parent(self, order: Order) -> Fill | None:
        """The fill of its entry from which an attached bracket was born; None for every other order."""
        born = (fill for fill in self.fills_until(order.created) if fill.order == order.parent)
        return next((fill for fill in born if fill.at == order.created), None) if order.parent else None

    def began(self, fill: Fill, order: Order, bar: Bar) -> Decimal:
        """Price at which the part of a bar began that an order lived through: the opening, or that of the fill which
        bore it inside the bar (R8)."""
        entry = self.parent(order)
        return entry.price if entry is not None and entry.maker and fill.at == order.created else bar.open

    def approved_entries(self) -> Iterator[Wish]:
        return (wish for wish in self.wishes if wish.approved and wish.side == "BUY")


def read(contents: Mapping[str, bytes], tape: Tape, account: Account) -> Books:
    """The books of a run from its artifacts by name."""
    summary = json.loads(contents["summary.json"])
    orders = [_order(row) for row in json.loads(contents["orders.json"])]
    fills = sorted((_fill(row) for row in json.loads(contents["fills.json"])), key=lambda fill: fill.at)
    decisions = [json.loads(line) for line in contents["decisions.jsonl"].splitlines()]
    wishes = [wish for row in decisions for wish in _wishes(row)]
    return Books(
        tape=tape, orders={order.id: order for order in orders}, fills=fills, wishes=wishes,
        trades=json.loads(contents["trades.json"]), summary=summary,
        equity_rows=_table(contents["equity.csv"]), exposure_rows=_table(contents["exposure.csv"]),
        cycles={at: (row["outcome"], row.get("reason", "")) for row in decisions for at in _times(row, tape.length)},
        opening=account.opening, peak=account.peak,
        begin=seconds(summary["period"]["from"]), end=seconds(summary["period"]["to"]),
    )  # fmt: skip


def _order(row: Mapping[str, Any]) -> Order:
    return Order(
        row["order_id"], row["product"], row["side"], row["kind"], row["rule"], row["cycle_id"], row["intent"],
        row["attempt"], row["type"], row["status"], Decimal(row["size"]), _number(row["limit_price"]),
        _number(row["stop_price"]), seconds(row["created_at"]),
        None if row["ended_at"] is None else seconds(row["ended_at"]), Decimal(row["filled_size"]),
        row["parent_id"] or "",
    )  # fmt: skip


def _fill(row: Mapping[str, Any]) -> Fill:
    return Fill(
        row["order_id"], row["product"], row["side"], row["reason"], Decimal(row["price"]), Decimal(row["size"]),
        Decimal(row["value"]), Decimal(row["fee"]), row["liquidity"] == "MAKER", seconds(row["booked_at"]),
        Decimal(row["spread"]), Decimal(row["slippage"]),
    )  # fmt: skip


def _wishes(row: Mapping[str, Any]) -> Iterator[Wish]:
    for want in row.get("proposals", ()):
        cuts = [
            Decimal(said["to"])
            for said in row["verdicts"]
            if said["product"] == want["product"] and said["verdict"] == "clamp"
        ]
        yes = want["approved"] == "yes"
        yield Wish(
            row["cycle_id"], seconds(row["at"]), want["product"], want["side"], want["rule"],
            Decimal(want["reference"]), min([Decimal(want["size_quote"]), *cuts]), yes,
            Decimal(want["size"]) if yes else ZERO, Decimal(want["worst_price"]) if yes else ZERO,
            Decimal(want["worst_quote"]) if yes else ZERO,
        )  # fmt: skip


def _times(row: Mapping[str, Any], step: int) -> range:
    """When the cycles of a row were."""
    first, last = (row["first"], row["last"]) if "idle" in row else (row["at"], row["at"])
    return range(seconds(first), seconds(last) + 1, step)


def _table(content: bytes) -> Sequence[Mapping[str, str]]:
    """The rows of a CSV file by the names of its columns."""
    return list(csv.DictReader(content.decode().splitlines()))


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
