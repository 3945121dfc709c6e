"""One decision made again, from the same account and other data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from backtest.dataset import Dataset
from backtest.market import Listed, RecordedMarket
from bot.adapters.manual_clock import ManualClock
from bot.cli.recorded import differences
from bot.decide import decide
from bot.domain.bars import Windows
from bot.domain.codec import canonical, encode
from bot.domain.decision import Decision
from bot.domain.product import Product, ProductId
from bot.domain.snapshot import MarketView, Snapshot
from bot.domain.value import Value, replace
from bot.errors import BotError
from bot.ports import MarketFacts
from bot.settings.config import Config
from bot.triggers import regime
from bot.triggers.check import needed_bars
from bot.triggers.indicators import LiveWindows

TOLD: Final = 4
"""Differences told of one decision; the rest is counted."""
BROKEN: Final = (BotError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What code that reaches for what is not there ends in."""


class Made(Value):
    """A decision that a run made, and what it was made from."""

    snapshot: Snapshot
    decision: Decision


def on_other_data(made: Made, data: Dataset, config: Config) -> tuple[str, ...]:
    """What differs when markets and listings are read from `data` at the time of the decision; empty when nothing."""
    try:
        snapshot, found = _read_again(made.snapshot, data, config)
        return _told([*found, *_decided_again(made, snapshot, config)])
    except BROKEN as error:
        return (f"it cannot be made: {type(error).__name__}: {error}",)


def with_the_bars_of_live(made: Made, data: Dataset, config: Config) -> tuple[str, ...]:
    """What differs when the windows are the daemon's own, over no more bars than the daemon asks the venue for."""
    length = config.policy.data.bar_granularity
    usual = needed_bars(config.policy, length)
    leading = max(usual, regime.needed_bars(config.policy.regime, length))
    markets = {}
    for market, view in made.snapshot.markets.items():
        count = leading if market == config.policy.regime.product and config.policy.regime.enabled else usual
        markets[market] = replace(view, windows=_live(view, data, count))
    try:
        return _told(_decided_again(made, replace(made.snapshot, markets=markets), config))
    except BROKEN as error:
        return (f"it cannot be made: {type(error).__name__}: {error}",)


def _live(view: MarketView, data: Dataset, count: int) -> Windows | None:
    if view.windows is None:
        return None
    newest = (view.windows.end - data.start) // data.length.value - 1
    segment = data.tracks[view.windows.product].at(newest)
    if segment is None:
        raise LookupError(f"{view.windows.product} has no bar {newest}")
    series = segment.columns.series.slice(0, newest - segment.first + 1)
    return LiveWindows(series.last(count))


def _read_again(snapshot: Snapshot, data: Dataset, config: Config) -> tuple[Snapshot, list[str]]:
    """The snapshot on other data, and which of its inputs are others now; windows are judged by the decision."""
    market = RecordedMarket(data, ManualClock(snapshot.now))
    listed: dict[str, Mapping[ProductId, Product]] = {}
    markets, found = {}, []
    for name, view in snapshot.markets.items():
        at = view.product.as_of
        if str(at) not in listed:
            products = Listed(data, ManualClock(at), config.policy.data).products()
            listed[str(at)] = {product.id: product for product in products}
        seen = _seen_again(view, market.facts(name), listed[str(at)].get(view.product.id))
        found += [f"{name} {line}" for line in _inputs(view, seen)]
        markets[name] = seen
    return replace(snapshot, markets=markets), found


def _seen_again(view: MarketView, facts: MarketFacts, product: Product | None) -> MarketView:
    """The view with the parts it had read again; what was held back or missing stays so."""
    return replace(
        view,
        product=product if product is not None else view.product,
        quote=facts.quote if view.quote is not None else None,
        book=facts.book if view.book is not None else None,
        windows=facts.windows if view.windows is not None else None,
        last_trade=facts.last_trade,
    )


def _inputs(was: MarketView, now: MarketView) -> Iterator[str]:
    for name in ("product", "quote", "book", "last_trade"):
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            yield f"{name}: was {_brief(before)}, is {_brief(after)}"
    if (was.windows is None) != (now.windows is None):
        yield "bars: none now"


def _decided_again(made: Made, snapshot: Snapshot, config: Config) -> list[str]:
    was, now = (canonical(encode(decision)) for decision in (made.decision, decide(snapshot, config)))
    return [] if was == now else [f"decision {line}" for line in differences(was, now)]


def _told(found: list[str]) -> tuple[str, ...]:
    more = [f"and {len(found) - TOLD} more differences"] if len(found) > TOLD else []
    return (*found[:TOLD], *more)


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= 120 else f"{text[:119]}…"
