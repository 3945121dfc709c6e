"""Numbers that are none, in every field of every answer the bot reads money from: F035.

`1e-8` is another matter. The venue's own texts carry no exponent, but `1e-8` is how some writers of decimals put
0.00000001, a legal step or amount: it is read as exactly that number, and everything that follows is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

from bot.adapters.coinbase.wire.frame import level_changes, trades
from bot.adapters.coinbase.wire.read import Fields
from bot.domain.money import Price, Size
from bot.domain.order import OrderKind, OrderType, PlannedOrder
from bot.domain.product import Side
from bot.domain.value import Value
from bot.errors import BotError
from bot.venue.orders import LimitGtc, MarketIoc, OrderRequest
from simulator.faults import Rewrite, Rule
from simulator.markets.script import Step
from simulator.server import START
from tests.faults.trial import Trial
from tests.faults.venues import ACCOUNTS, BUY, FILLS, LISTING, NO_BREAKERS, states
from tests.faults.wired import Wired
from tests.loop.stage import BTC, ETH, SMALL, down, up

ABSURD = (
    "NaN", "sNaN", "Infinity", "-Infinity", "-0.5", "1E+400", "1e999999999", "1_000", "\uff11\uff12", "9" * 60,
    "0." + "1" * 60, "0x10", " 1", "1,5",
)  # fmt: skip
LOOPED = ("NaN", "Infinity", "-0.5", "1E+400", "1_000", "\uff11\uff12", "9" * 60)
"""Those that whole cycles are shown."""
TINY, PLAIN = "1e-8", "0.00000001"
CLIMB: Sequence[Step] = [
    step
    for number in range(240)
    for price in [str(65000 + 20 * number)]
    for step in (up(30 * number + 1, price), down(30 * number + 2, price))
]
"""Two hours in which the rule always wants to buy."""


BOTH = {
    **SMALL,
    "tiers": {1: {"products": ["BTC-USD", "ETH-USD"], "min_depth": 1000, "min_volume_24h": 1000}},
    "themes": {"majors": ["BTC-USD", "ETH-USD"]},
}
"""ETH, in which a person trades, has a price from the first cycle on."""


class Kind(Value):
    """One kind of answer. fields: every number that is read of it; read: asks for it at the bot's own adapter.

    negative: fields that may be below zero.
    """

    name: str
    path: str
    fields: tuple[str, ...]
    read: Callable[[Wired], Any]
    method: str = "GET"
    negative: tuple[str, ...] = ()

    def rule(self, at: str, text: str) -> Rule:
        return Rule(Rewrite(at, json.dumps(text)), self.method, self.path, times=None)


def _exchange(bot: Wired) -> Any:
    return bot.app.loop._world.exchange


def _of_person(bot: Wired) -> list[Any]:
    return [o for o in _exchange(bot).orders_created(START - timedelta(hours=1), bot.sim.now()) if o.product == ETH]


def _preview(bot: Wired) -> Any:
    order = PlannedOrder(
        "00000000-0000-4000-8000-000000000001", BTC, Side.BUY, OrderKind.ENTRY, OrderType.LIMIT_GTC,
        Size(Decimal("0.001")), Price(Decimal(60000)),
    )  # fmt: skip
    return _exchange(bot).preview(order)


def _bars(bot: Wired) -> Any:
    market: Any = bot.app.loop._world.market
    first = int(START.timestamp()) - 600
    return market._candles(BTC, first, first + 300)


def _book(bot: Wired) -> Any:
    """The book's error, or what it shows."""
    market: Any = bot.app.loop._world.market
    market.watch({BTC: 0})
    market.requote(BTC)
    found = market._markets[BTC]
    if found.quote_error:
        raise BotError(found.quote_error)
    return found.book.bids, found.book.asks


def _btc(bot: Wired) -> Any:
    listed = [p for p in _exchange(bot).products() if p.id == BTC]
    if not listed:
        raise BotError(f"not listed; {_exchange(bot).unreadable_products[:1]}")
    (product,) = listed
    return [getattr(product, n) for n in ("price_step", "size_step", "quote_step", "base_min", "base_max", "quote_min",
                                          "quote_max", "quote_volume_24h")]  # fmt: skip


def _rates(bot: Wired) -> Any:
    tier = _exchange(bot).fee_tier()
    return tier.maker, tier.taker


CONFIGURATION = "order_configuration.limit_limit_gtc"
KINDS = (
    Kind("wallets", ACCOUNTS, ("accounts.*.available_balance.value", "accounts.*.hold.value"),
         lambda bot: _exchange(bot).balances()),
    Kind("orders", LISTING,
         ("orders.*.filled_size", "orders.*.filled_value", "orders.*.total_fees", "orders.*.outstanding_hold_amount",
          f"orders.*.{CONFIGURATION}.base_size", f"orders.*.{CONFIGURATION}.limit_price", "orders.*.number_of_fills"),
         _of_person),
    Kind("fills", FILLS, ("fills.*.price", "fills.*.size", "fills.*.commission"),
         lambda bot: _exchange(bot).fills_since(START), negative=("fills.*.commission",)),
    Kind("products", "/products",
         tuple(f"products.*.{name}" for name in
               ("price_increment", "base_increment", "quote_increment", "base_min_size", "base_max_size",
                "quote_min_size", "quote_max_size", "approximate_quote_24h_volume")), _btc),
    Kind("book", "/market/product_book",
         ("pricebook.bids.*.price", "pricebook.bids.*.size", "pricebook.asks.*.price", "pricebook.asks.*.size"), _book),
    Kind("candles", "/market/products/*/candles",
         tuple(f"candles.*.{name}" for name in ("open", "high", "low", "close", "volume")), _bars),
    Kind("preview", "/orders/preview", ("commission_total", "order_total"), _preview, "POST"),
)  # fmt: skip
CONTRADICTED = {
    "orders.*.number_of_fills", "pricebook.bids.*.price", "pricebook.asks.*.price", "candles.*.open", "candles.*.high",
    "candles.*.close", "fee_tier.taker_fee_rate",
}  # fmt: skip
"""Where 0.00000001 cannot be: no count, the same price at every level, below the low, below the maker's rate."""
TIER = Kind("fee tier", "/transaction_summary", ("fee_tier.maker_fee_rate", "fee_tier.taker_fee_rate"), _rates)
ONE_ORDER = ("order.filled_size", "order.filled_value", "order.total_fees", "order.outstanding_hold_amount",
             f"order.{CONFIGURATION}.base_size", f"order.{CONFIGURATION}.limit_price")  # fmt: skip


def absurd_numbers(trial: Trial) -> None:
    """Refused by the adapter in every field, and no cycle of a bot that wants to buy buys on one of them."""
    _at_the_edge(trial)
    _in_frames(trial)
    for kind in KINDS:
        _in_the_loop(trial, kind)
    _worst_fees(trial)


@contextmanager
def _wanting(trial: Trial, *, audited: bool = True) -> Iterator[Wired]:
    """A bot that would buy in its first cycle; a person has traded and bid for ETH; no feed hides what REST says."""
    with trial.wired(CLIMB, policy=NO_BREAKERS, universe=BOTH, heard=False, audited=audited) as bot:
        bot.sim.conditions(feed={"silent": True})
        bid = OrderRequest("by-hand", ETH, Side.BUY, LimitGtc(Decimal("0.01"), Decimal(1000)), owner="owner")
        bought = OrderRequest("bought", ETH, Side.BUY, MarketIoc(Decimal("0.01")), owner="owner")
        bot.boot()
        bot.sim.do(lambda c: [c.world.place(request) for request in (bid, bought)])
        bot.wait(1200)
        yield bot


def _answer(kind: Kind, bot: Wired) -> Any:
    """What the adapter makes of it; the class of the refusal when it makes nothing of it."""
    try:
        return kind.read(bot)
    except BotError:
        return BotError


def _at_the_edge(trial: Trial) -> None:
    with _wanting(trial, audited=False) as bot:  # it never gets as far as books
        (order_id,) = bot.sim.do(lambda c: [o.order_id for o in c.world.working()])
        single = Kind("order", f"/orders/historical/{order_id}", ONE_ORDER, lambda b: _exchange(b).order(order_id))
        for kind in (*KINDS, TIER, single):
            good = _answer(kind, bot)
            trial.require(f"{kind.name} is read when it is as it should be", good is not BotError)
            for at in kind.fields:
                believed = [text for text in ABSURD if _reading(bot, kind, at, text) is not BotError]
                allowed = [text for text in ("-0.5",) if at in kind.negative]
                trial.require(f"I30 {at} refuses what is no number: {believed}", believed == allowed)
                tiny, plain = _reading(bot, kind, at, TINY), _reading(bot, kind, at, PLAIN)
                trial.require(f"I30 {at}: {TINY} is read as {PLAIN}", tiny == plain)
                trial.require(f"I30 {at}: and believed where it can be", (tiny is BotError) == (at in CONTRADICTED))
        trial.stimulus(f"{len(ABSURD) + 2} texts in every field", bot.struck("Rewrite") >= 35 * len(ABSURD))


def _reading(bot: Wired, kind: Kind, at: str, text: str) -> Any:
    before = bot.struck("Rewrite")
    bot.fault(kind.rule(at, text))
    found = _answer(kind, bot)
    bot.heal()
    assert bot.struck("Rewrite") > before, f"{kind.name} was not asked for"
    return found


def _in_frames(trial: Trial) -> None:
    """What the feed brings: levels of a book and trades."""
    level = {"side": "bid", "price_level": "65000", "new_quantity": "1"}
    trade = {"product_id": "BTC-USD", "price": "65000", "time": "2026-11-02T14:00:00Z"}
    for list_name, row, name, read in (
        ("updates", level, "price_level", level_changes), ("updates", level, "new_quantity", level_changes),
        ("trades", trade, "price", trades),
    ):  # fmt: skip
        believed = []
        for text in ABSURD:
            try:
                believed += list(read(Fields({list_name: [{**row, name: text}]}, "event")))
            except BotError:
                continue
        trial.require(f"I30 frames: {name} refuses what is no number: {believed}", not believed)


def _in_the_loop(trial: Trial, kind: Kind) -> None:
    with _wanting(trial) as bot:
        for at in kind.fields:
            for text in (text for text in LOOPED if not (at in kind.negative and text == "-0.5")):
                before = bot.struck("Rewrite")
                bot.fault(kind.rule(at, text))
                with bot.oracle.closed(f"{at} is {text[:12]!r}", "I8/I30", BUY):
                    bot.cycle()
                bot.heal()
                trial.require(f"I30 {at} = {text[:12]!r} is no crash", bot.last.outcome != "ERROR")
                assert bot.struck("Rewrite") > before, f"{kind.name} was not read"
        trial.require(f"I30 {kind.name}: nothing was sent", not bot.posts())
        bot.cycle()
        trial.stimulus(f"{kind.name}: nothing else had held the bot back from buying", states(bot) == ["OPEN"])


def _worst_fees(trial: Trial) -> None:
    """A tier that cannot be read: the worst that is configured is assumed."""
    with _wanting(trial) as bot:
        worst = bot.config.policy.fees.worst_maker_pct.fraction
        for at in TIER.fields:
            for text in LOOPED:
                bot.fault(TIER.rule(at, text))
                bot.cycle()
                bot.heal()
                snapshot = bot.app.loop.guard.snapshot
                assumed = snapshot is not None and snapshot.fees.maker >= worst
                trial.require(f"I30/I39 {at} = {text[:12]!r}: the worst rate is assumed", assumed)
        trial.require("and it traded by it", states(bot) != [])
