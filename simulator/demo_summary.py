"""The demo's last words: what was done, what it came to, and that nothing was left behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

from bot.domain.money import decimal_text
from bot.domain.state import State
from bot.domain.value import Value
from bot.observe.ledger import residuals
from bot.venue.orders import OrderRecord
from simulator.demo_story import Story
from simulator.demo_venue import Truth, kind_of
from simulator.demo_words import brief, change, dollars, span

_INDENT: Final = " " * 15
_REASONS_SHOWN: Final = 8


class Closing(Value):
    """A run that has ended. opening: equity it began with, in dollars; wall and trading: how long it took."""

    story: Story
    state: State
    truth: Truth
    opening: Decimal
    wall: timedelta
    trading: timedelta

    @property
    def residuals(self) -> Mapping[str, Decimal]:
        """Exchange minus books, per currency; empty when they agree."""
        return residuals(self.state, self.truth.balances)

    @property
    def clean(self) -> bool:
        """Whether nothing is left that should not be: no entry or exit order, and not a cent unexplained."""
        return not self.truth.open_trades() and not self.residuals


def summary(closing: Closing, why: str) -> list[str]:
    """The closing lines, in fixed columns."""
    story, truth = closing.story, closing.truth
    kinds = Counter(kind_of(order) for order in truth.orders)
    told = ", ".join(f"{count} {name.lower().replace('_', ' ')}" for name, count in story.outcomes.most_common())
    rows: list[tuple[str, Sequence[str]]] = [
        ("ended", [f"{why}, after {span(closing.wall)}: {span(closing.trading)} of trading time"]),
        ("cycles", [f"{story.cycles}: {told or 'none was scheduled yet'}; {story.served} in between served orders"]),
        ("orders", [_orders(kinds), f"{_filled(len(truth.fills))}, fees {dollars(truth.fees)}"]),
        ("result", list(_result(closing))),
        ("why no trade", _reasons(story.why_not)),
        ("ledger", list(_ledger(closing))),
        ("orders left", _left(truth.open_trades())),
        ("protection", list(_protection(truth.protection()))),
    ]
    return ["", "Bulwark demo: closing summary", *(line for name, lines in rows for line in _row(name, lines))]


def _row(name: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"  {name:<13}{lines[0]}"
    yield from (f"{_INDENT}{line}" for line in lines[1:])


def _orders(kinds: Mapping[str, int]) -> str:
    names = {"entry": "to enter", "exit": "to exit", "protective": "protecting a position"}
    return f"{sum(kinds.values())} sent: " + ", ".join(f"{kinds.get(kind, 0)} {name}" for kind, name in names.items())


def _filled(count: int) -> str:
    return "1 fill" if count == 1 else f"{count} fills"


def _result(closing: Closing) -> Iterator[str]:
    state, equity = closing.state, closing.truth.equity
    yield f"equity {dollars(equity)}, at the start {dollars(closing.opening)}: {change(closing.opening, equity)}"
    yield f"realised {dollars(state.realised_total, signed=True)} on what was sold, fees of both sides included"
    for position in state.positions.values():
        what = f"{brief(position.size.value)} {position.product.base}"
        yield f"still held: {what}, paid {dollars(position.cost)} with fees"


def _reasons(why_not: Counter[str]) -> list[str]:
    rows = [f"{count:4d}  {words}" for words, count in why_not.most_common(_REASONS_SHOWN)]
    return rows or ["every scheduled cycle traded"]


def _ledger(closing: Closing) -> Iterator[str]:
    known, found = closing.state.ledgers, closing.residuals
    if not known:
        yield "not opened: the demo ended before the account was read"
        return
    yield "residual " + ", ".join(f"{decimal_text(found.get(name, Decimal(0)))} {name}" for name in sorted(known))
    yield (
        "THE BOOKS DIFFER from what the exchange says: this is a bug worth reporting"
        if found
        else "the bot's books and the exchange's own agree to the last digit"
    )


def _left(orders: Sequence[OrderRecord]) -> list[str]:
    """Proof that nothing can trade by itself any more, from the exchange's own list."""
    if not orders:
        return ["none: the exchange's own list shows no entry and no exit order"]
    return [f"{len(orders)} MAY STILL FILL:", *(f"{o.side.value} {o.product} {o.client_order_id}" for o in orders)]


def _protection(orders: Sequence[OrderRecord]) -> Iterator[str]:
    if not orders:
        yield "none needed: nothing is held"
        return
    noun = "order stays" if len(orders) == 1 else "orders stay"
    yield f"{len(orders)} protective {noun} at the exchange on purpose, so that a stopped bot keeps its stops:"
    for order in orders:
        size = brief(order.terms.base_size or Decimal(0))
        levels = f"stop {order.terms.stop_price}, target {order.terms.limit_price}"
        yield f"{order.product.base} {size}: {levels}"
