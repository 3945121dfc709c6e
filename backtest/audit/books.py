"""Orders, fills and decisions of a run as they stand in its artifacts, and what was held and worth when."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any

from backtest.audit.tape import Tape, seconds
from bot.domain.value import Value

ZERO = Decimal(0)


class Order(Value):
    """One row of orders.json."""

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

    @property
    def base(self) -> str:
        return self.product.partition("-")[0]

    def working(self, at: int) -> bool:
        """Whether it surely worked at the venue when the cycle of `at` looked."""
        return self.created < at and (self.ended is None or self.ended > at)


class Fill(Value):
    """One row of fills.json. at: the close of the bar in which it traded, when the bot could learn of it."""

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


@dataclass
class Books:
    """Everything of one run. opening: cash before the first bar; begin, end: of the run, unix seconds."""

    tape: Tape
    orders: Mapping[str, Order]
    fills: Sequence[Fill]
    wishes: Sequence[Wish]
    trades: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    equity_rows: Sequence[Sequence[str]]
    opening: Decimal
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
    def path(self) -> Mapping[int, Decimal]:
        """Equity at every bar's close."""
        found, held, cash, done = {}, dict[str, Decimal](), self.opening, 0
        for at in range(self.begin + self.tape.length, self.end + 1, self.tape.length):
            while done < len(self.fills) and self._times[done] <= at:
                fill = self.fills[done]
                held[fill.product] = held.get(fill.product, ZERO) + fill.signed
                cash, done = cash + fill.cash, done + 1
            found[at] = cash + sum((size * self.bid(product, at) for product, size in held.items() if size), ZERO)
        return found

    def approved_entries(self) -> Iterator[Wish]:
        return (wish for wish in self.wishes if wish.approved and wish.side == "BUY")


def read(contents: Mapping[str, bytes], tape: Tape, opening: Decimal) -> Books:
    """The books of a run from its artifacts by name."""
    summary = json.loads(contents["summary.json"])
    orders = [_order(row) for row in json.loads(contents["orders.json"])]
    fills = sorted((_fill(row) for row in json.loads(contents["fills.json"])), key=lambda fill: fill.at)
    wishes = [wish for line in contents["decisions.jsonl"].splitlines() for wish in _wishes(json.loads(line))]
    return Books(
        tape=tape, orders={order.id: order for order in orders}, fills=fills, wishes=wishes,
        trades=json.loads(contents["trades.json"]), summary=summary,
        equity_rows=[line.split(",") for line in contents["equity.csv"].decode().splitlines()[1:]], opening=opening,
        begin=seconds(summary["period"]["from"]), end=seconds(summary["period"]["to"]),
    )  # fmt: skip


def _order(row: Mapping[str, Any]) -> Order:
    return Order(
        row["order_id"], row["product"], row["side"], row["kind"], row["rule"], row["cycle_id"], row["intent"],
        row["attempt"], row["type"], row["status"], Decimal(row["size"]), _number(row["limit_price"]),
        _number(row["stop_price"]), seconds(row["created_at"]),
        None if row["ended_at"] is None else seconds(row["ended_at"]), Decimal(row["filled_size"]),
    )  # fmt: skip


def _fill(row: Mapping[str, Any]) -> Fill:
    return Fill(
        row["order_id"], row["product"], row["side"], row["reason"], Decimal(row["price"]), Decimal(row["size"]),
        Decimal(row["value"]), Decimal(row["fee"]), row["liquidity"] == "MAKER", seconds(row["booked_at"]),
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


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
