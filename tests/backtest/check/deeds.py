"""A flat market and deeds made by hand that fit it: each test changes what it is about.

Every bar opens and closes at 100.00 and goes from 99.80 to 100.20, the first to 99.79, which tells that prices have
cents; from bar WILD on they go from 99.00 to 101.00. The quote made
of it is 99.98 to 100.02 (2 bps of half spread), a buyer pays 100.06 (3 bps of slippage), each rounded to the cent.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from backtest import engine
from backtest.check.deeds import Basis, Entry, Exit, Filled, Part, Sent
from backtest.check.parity import Row, compared
from backtest.check.parity_run import Parity
from backtest.check.rehearsal import Replayed
from backtest.check.sides import Side
from backtest.dataset import Dataset
from bot.domain.decision import Decision, Outcome, Reason, Regime
from bot.domain.order import Liquidity
from bot.domain.value import replace
from bot.settings.config import Config
from tests.backtest import runs
from tests.backtest.markets import START, rows, write_csv
from tests.builders import pid, product

POLICY = {
    **runs.LIVELY,
    "data": {"bar_granularity": "ONE_MINUTE", "max_bar_staleness_seconds": 180, "warmup_minutes": 1500},
    "execution": {"default_order_type": "limit_ioc", "post_only_ttl_seconds": 60},
}
BTC = pid("BTC-USD")
WILD = 80
TAKER, MAKER = Decimal("0.002"), Decimal("0.001")
"""Rates of the lowest tier of POLICY, as fractions."""
OPENING = {"USD": Decimal(10_000)}
Amount = str | Decimal


def settings(**policy: Any) -> Config:
    return runs.settings({**POLICY, "backtest": {"half_spread_bps": 2, "slippage_bps": 3}, **policy})


def flat_market(folder: Path) -> Dataset:
    made = []
    for index, (at, *_) in enumerate(rows(1, 300, quiet=0)):
        high, low = ("101.00", "99.00") if index >= WILD else ("100.20", "99.80" if index else "99.79")
        made.append((at, "100.00", high, low, "100.00", "50.0"))
    write_csv(folder, "BTC-USD", made)
    return engine.read(engine.wish(settings(), folder))


def minute(count: float) -> datetime:
    return datetime.fromtimestamp(START, UTC) + timedelta(minutes=count)


def part(price: Amount, size: Amount = "1", *, at: float, rate: Decimal = TAKER) -> Part:
    """A fill in the minute that ends at `at`. rate: its fee over its value; MAKER makes it one."""
    kind = Liquidity.MAKER if rate == MAKER else Liquidity.TAKER
    value = Decimal(price) * Decimal(size)
    return Part(Decimal(price), Decimal(size), value * rate, kind, minute(at - 0.5), minute(at))


def sent(*parts: Part, at: float, **changes: Any) -> Sent:
    """An immediate order for 1 whose limit is that of a quote of 100.02."""
    made = Sent(minute(at), minute(at + 1), Decimal(1), Decimal("100.27"), None, False, Decimal(0), parts)
    return replace(made, **changes)


def resting(*parts: Part, at: float, limit: str = "99.98", **changes: Any) -> Sent:
    """A quote for 1 at the bid, for a minute."""
    return sent(*parts, at=at, limit=Decimal(limit), rests=True, **changes)


def basis(bar: int, **changes: Any) -> Basis:
    """Sized from 10 000 dollars at a quote of 99.98 to 100.02."""
    limit, bid, ask = Decimal("100.27"), Decimal("99.98"), Decimal("100.02")
    listed = product("BTC-USD", size_step=Decimal("0.01"))
    made = Basis(minute(bar + 1), Decimal(10_000), limit, bid, ask, listed, (), Decimal(0), Decimal(100))
    return replace(made, **changes)


def bought(*orders: Sent, bar: int = 50, asked: Amount = "1", rule: str = "dip", **changes: Any) -> Entry:
    """An entry of these orders."""
    made = Filled(Decimal(asked), orders, orders[0].at)
    return Entry(bar, BTC, rule, len(orders), made, basis(bar, **changes))


def entry(bar: int = 50, price: Amount = "100.06", size: Amount = "1", **changes: Any) -> Entry:
    """Bought by an immediate order in the bar after `bar`. changes: of the basis."""
    filled = part(price, size, at=bar + 2)
    return bought(sent(filled, at=bar + 1, size=Decimal(size)), bar=bar, asked=size, **changes)


def quoted(bar: int = 50, limit: str = "99.98", price: str | None = None, **changes: Any) -> Entry:
    """Bought by a quote that rested in the bar after `bar`. changes: of the basis."""
    filled = part(price or limit, at=bar + 2, rate=MAKER)
    return bought(resting(filled, at=bar + 1, limit=limit), bar=bar, **changes)


def sold(
    at: int, reason: str = "stop_loss", price: str = "99.87", paid: str = "100.06", opened: int = 50, **changes: Any
) -> Exit:
    """A sale in the minute that ends at `at`: a stop triggered 3 bps above `price`, a target rested at it, all else
    crossed. changes: of the order."""
    level = reason in ("stop_loss", "trailing_stop", "take_profit")
    target, made = reason == "take_profit", {"limit": Decimal(price), "rests": level}
    if level and not target:
        stop = (Decimal(price) * Decimal("1.0003")).quantize(Decimal("0.01"))
        made |= {"stop": stop, "limit": stop * Decimal("0.95")}
    order = sent(part(price, at=at, rate=MAKER if target else TAKER), at=at - 1, **(made | changes))
    filled = Filled(order.filled, (order,), None if level else order.at)
    when = minute(at)
    return Exit(opened, when, when, BTC, "dip", reason, Decimal(paid), filled)


def decision(*evaluated: Any, excluded: tuple[Any, ...] = ()) -> Decision:
    return Decision(
        "c", minute(0), Outcome.NO_TRADE, Reason.NO_SIGNAL, "no trigger fired", Regime.CHOP, (), excluded, (),
        evaluated, {}, "h",
    )  # fmt: skip


def run(name: str, *entries: Entry, exits: tuple[Exit, ...] = (), said: Decision | None = None) -> Side:
    return Side(name, entries, exits, (), {50: said if said is not None else decision()}, OPENING)


def answer(live: Side, backtest: Side, data: Dataset, config: Config | None = None) -> Parity:
    return Parity(compared(live, backtest, data, config or settings()), Replayed(1, ()), data)


def row(live: Entry, backtest: Entry, data: Dataset) -> Row:
    """What is found between an entry of each side."""
    (found,) = answer(run("live", live), run("backtest", backtest), data).comparison.rows
    return found
