"""Class exchange: what the venue says and means, from half a listing to a product that is gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from bot.domain.codec import time_text
from bot.domain.product import Side, TradingMode
from bot.domain.value import field, replace
from bot.errors import GateRefused
from bot.venue.fees import FeeSchedule, Tier
from bot.venue.orders import LimitGtc, OrderRequest
from simulator.faults import Answer, Drop, Rewrite, Rule, When
from simulator.markets.listing import default_listings
from simulator.markets.script import ScriptMarket, Step
from simulator.server import tick_rules
from tests.faults.absurd import absurd_numbers
from tests.faults.trial import Fault, Trial
from tests.faults.venues import ACCOUNTS, BUY, CANCELS, HELD, NO_BREAKERS, ORDERS, QUOTING, one_buy, states
from tests.faults.wired import Wired
from tests.loop.markets import BOUGHT, RISE, calm, slide, then
from tests.loop.stage import BTC, config_of, down, steady

BY_BOT = config_of({}, exits={"resting_on_exchange": False})
"""Exits are made by the bot itself."""


SLOW_QUOTE = {"execution": {"maker_max_reprices": 0, "post_only_ttl_seconds": 240}}
"""One quote that stays for four minutes."""
WORKING = {"OPEN", "UNKNOWN", "SUBMITTED", "PARTIAL", "CANCEL_PENDING"}


def half_a_listing(trial: Trial) -> None:
    wallets = tuple(f"W{number:03d}" for number in range(300))
    with trial.wired(HELD, empty_wallets=wallets, policy=NO_BREAKERS) as bot:
        bot.run_until(lambda: bot.state.positions, 200)
        before = dict(bot.state.positions)
        bot.fault(Rule(Answer(500, "html"), "GET", ACCOUNTS, contains="cursor=", times=None))
        with bot.oracle.closed("half an account", "I12", BUY):
            bot.wait(60)
            bot.cycle()
        trial.stimulus("page 1 of accounts was good, page 2 answered 500", bot.struck("500"))
        trial.require("I12 the whole snapshot is void", bot.last.reason == "data_unavailable")
        trial.require("I40 positions are kept, not zeroed", dict(bot.state.positions) == before)
        bot.heal()
        bot.heals()


def shown_late(trial: Trial) -> None:
    """Late in lists and in get, with the answer received and with the answer lost."""
    for lag in (5.0, 30.0, 60.0):
        for lost in (False, True):
            with trial.wired(QUOTING, policy=SLOW_QUOTE) as bot:
                _shown_late(trial, bot, lag, lost=lost)


def _shown_late(trial: Trial, bot: Wired, lag: float, *, lost: bool) -> None:
    bot.sim.conditions(orders_lag_s=lag, feed={"silent": True})
    if lost:
        bot.fault(Rule(Drop(When.AFTER), "POST", ORDERS))
    bot.run_until(bot.working, 120)
    (order,) = bot.working()
    shown = bot.sim.do(lambda c: c.world.view.order(order.order_id, c.world.now))
    trial.stimulus(f"a new order shows {lag:.0f} s late, its answer {'lost' if lost else 'received'}", shown is None)
    wanted = "UNKNOWN" if lost else "OPEN"
    seen: set[str] = set()
    until = bot.sim.now() + timedelta(seconds=lag)
    while bot.sim.now() < until:
        bot.wait(5)
        bot.cycle()
        seen |= {f"{state} {_open_size(bot)}" for state in states(bot)} if bot.sim.now() < until else set()
    full = {f"{wanted} {order.unfilled}"} if lag > 5 else set()
    trial.require(f"I11 {wanted} at its full size while nobody shows it: {seen}", seen == full)
    bot.run_until(lambda: states(bot) == ["OPEN"], 120)
    one_buy(trial, bot)


def ghosts(trial: Trial) -> None:
    """The venue has cancelled the order, refuses to do it again, and lists it as OPEN for a while."""
    for lag in (5.0, 60.0, 150.0):
        with trial.wired(QUOTING, policy=SLOW_QUOTE) as bot:
            _ghost(trial, bot, lag)
    with trial.wired(QUOTING, policy=SLOW_QUOTE) as bot:
        bot.run_until(bot.working, 120)
        bot.run_for(100)
        bot.sim.conditions(orders_lag_s=90.0, feed={"silent": True})
        (bot.data_dir / "KILL_SWITCH").write_text("drill")
        bot.sim.do(bot.oracle_killed)
        bot.run_until(lambda: len(bot.requests("POST", "batch_cancel")) >= 20, 60)
        asked = [entry.at for entry in bot.requests("POST", "batch_cancel")]
        slowest = max((later - earlier).total_seconds() for earlier, later in pairwise(asked))
        trial.require(f"I3 under the switch the cancel is repeated every {slowest:.0f} s", slowest <= 2)
        bot.run_until(lambda: states(bot) == ["CANCELED"], 200)


def _ghost(trial: Trial, bot: Wired, lag: float) -> None:
    bot.run_until(bot.working, 120)
    (order,) = bot.working()
    bot.run_for(170)  # a cycle before its time is over
    bot.sim.conditions(orders_lag_s=lag, feed={"silent": True})  # the user feed would tell the end at once
    bot.run_until(lambda: not bot.working(), 200)
    shown = bot.sim.do(lambda c: c.world.view.order(order.order_id, c.world.now))
    (gone,) = [c.at for c in bot.oracle.history if c.order.status.is_terminal]
    listed = shown is not None and not shown.status.is_terminal
    trial.stimulus(f"cancelled, and listed OPEN for {lag:.0f} s more", listed)
    trial.require("I1 counted in full while it is listed", _open_size(bot) > 0)
    bot.run_until(lambda: states(bot) == ["CANCELED"], lag + 70)
    rows = bot.rows()
    ended = [r["ts"] for r in rows if r["topic"] == "order.changed" and r["payload"]["to"] == "CANCELED"]
    trial.require("I1/I13 until its end is proven", ended[0] >= time_text(gone + timedelta(seconds=lag)))
    told = [r["ts"] for r in rows if r["payload"].get("fingerprint", "").startswith("ghost.")]
    asked = [entry.at for entry in bot.requests("POST", "batch_cancel")]
    minute = [at for at in asked if at < asked[0] + timedelta(seconds=60)]
    trial.require(f"I13 {len(minute)} cancels in the first minute", 1 <= len(minute) <= 4)
    trial.require(f"I13 {len(asked)} cancels in {lag:.0f} s", len(asked) <= 4 + lag / 60)
    on_time = told and told[0] <= time_text(gone + timedelta(seconds=120))
    trial.require(
        f"{'CRITICAL within 120 s' if lag > 120 else 'no alert'} at {lag:.0f} s", bool(on_time) == (lag > 120)
    )
    trial.require("and never without need", bool(told) == (lag > 120))
    mark = bot.mark()
    bot.run_for(120)
    trial.require("I13 and never after its end is proven", not bot.requests("POST", "batch_cancel", mark))
    trial.require("I1 counted no more after it", states(bot) == ["CANCELED"] and not _open_size(bot))


def _open_size(bot: Wired) -> Decimal:
    """What the bot believes it may yet buy."""
    return sum((o.remaining.value for o in bot.state.orders.values() if o.side is Side.BUY), Decimal(0))


def unknown_reasons(trial: Trial) -> None:
    with trial.wired(QUOTING, policy={"execution": {"maker_max_reprices": 0}}) as bot:
        bot.fault(
            Rule(Rewrite("failure_reason", '"UNKNOWN_FAILURE_REASON"'), "POST", ORDERS, times=None),
            Rule(Rewrite("results.*.failure_reason", '"UNKNOWN_CANCEL_FAILURE_REASON"'), "POST", CANCELS, times=None),
        )
        bot.run_until(bot.working, 120)
        trial.require("I2 success with UNKNOWN_FAILURE_REASON is success", states(bot) == ["OPEN"])
        bot.run_until(lambda: not bot.working(), 200)
        bot.run_for(30)
        trial.stimulus("both answers carried an UNKNOWN reason", bot.struck("Rewrite") >= 2)
        trial.require("I13 the cancel was believed and proven", states(bot) == ["CANCELED"])
        one_buy(trial, bot)


def zeros(trial: Trial) -> None:
    stage = trial.stage(then(*calm(90, 4000)))
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    before = stage.state.positions
    stage.wire.empty_wallets = True
    with stage.oracle.closed("every wallet reads zero", "I12"):
        stage.run_for(1200)
    trial.stimulus("all balances 0 for 20 min, the venue's ledger unchanged", stage.held("BTC") > 0)
    trial.require("I40 no position closed", stage.state.positions == before)
    trial.require("I17 no loss stop", not [name for name in stage.state.latches if "stop" in name])
    trial.require("NO_TRADE and told", stage.last.reason == "data_unavailable" and stage.told("halt.breaker"))
    stage.wire.empty_wallets = False
    stage.heals()


def product_modes(trial: Trial) -> None:
    """Cancel-only at the very moment of sending; then an auction; then normal again."""
    stage = trial.stage([*RISE, *steady(62, 3000, "65500", 20)])
    stage.idle(62)
    flips: list[str] = []

    def flip(_order: object) -> None:
        flips.append("cancel_only")
        stage.world.set_mode(BTC, TradingMode.CANCEL_ONLY)

    stage.wire.before_place = flip
    stage.cycle()
    stage.wire.before_place = lambda _order: None
    trial.stimulus("cancel_only between approval and POST", flips)
    trial.require("I8 the refusal is handled", not stage.working() and stage.last.outcome != "ERROR")
    for mode in (TradingMode.CANCEL_ONLY, TradingMode.AUCTION):
        stage.world.set_mode(BTC, mode)
        with stage.oracle.closed(f"the product is {mode.value}", "I22"):
            stage.run_for(300)
    trial.require("I22 one attempt in all that time", len(flips) == 1)
    stage.world.set_mode(BTC, TradingMode.NORMAL)
    stage.heals(2400)


def limited_modes(trial: Trial) -> None:
    for mode in (TradingMode.LIMIT_ONLY, TradingMode.POST_ONLY):
        _exit_in_mode(trial, mode)


def _exit_in_mode(trial: Trial, mode: TradingMode) -> None:
    stage = trial.stage([*BOUGHT, *calm(90, 300), *slide(300, ["62000"], 1500)], BY_BOT)
    stage.run_until(lambda: BTC in stage.state.positions, 200)
    stage.world.set_mode(BTC, mode)
    stage.run_until(lambda: any(o.side is Side.SELL for o in stage.world.venue.orders()), 900)
    sold = [o for o in stage.world.venue.orders() if o.side is Side.SELL]
    trial.stimulus(f"{mode.value} while a stop is due", sold)
    fits = mode is TradingMode.LIMIT_ONLY or any(o.terms.post_only for o in sold)
    trial.require(f"I21/I8 an exit of a type that {mode.value} allows was accepted", fits)
    stage.world.set_mode(BTC, TradingMode.NORMAL)
    stage.run_until(lambda: not stage.held("BTC"), 900)


def delisted(trial: Trial) -> None:
    with trial.wired(HELD) as bot:
        bot.run_until(lambda: bot.state.positions, 200)
        bot.sim.conditions(unlisted=["BTC-USD", "BTC-USDC"])
        mark = bot.mark()
        with bot.oracle.closed("the product is gone", "I12"):
            bot.run_for(3600)
        asked = len(bot.requests("GET", "BTC-USD", mark))
        trial.stimulus("BTC-USD is 404 for an hour", bot.sim.do(lambda c: c.conditions.unlisted))
        trial.require("I40 the position is kept and shown", bot.state.positions)
        trial.require(f"no hammering: {asked} requests for it in an hour", asked <= 130)
        named = [a for a in bot.events("alert.raised") if a["state"] == "firing" and "STILL" not in a["title"]]
        trial.require(f"I29 told, and not over and over ({len(named)})", 1 <= len(named) <= 8)
        bot.sim.conditions(unlisted=[])
        bot.run_for(1200)


def alias_books(trial: Trial) -> None:
    opening = {"USD": "10000", "USDC": "10000"}
    stage = trial.stage([*RISE, *steady(62, 900, "65500", 20)], config_of({"budget_pct": 5}), opening)
    stage.cycle()
    hand = LimitGtc(Decimal("0.0149"), Decimal(60000))
    usdc = next(p.id for p in stage.world.venue.products() if p.alias == BTC)
    stage.world.place(OrderRequest("by-hand", usdc, Side.BUY, hand, owner="owner"))
    stage.run_for(180)
    trial.stimulus(f"a person bids on {usdc}, paid from USDC", len(stage.world.venue.orders()) >= 1)
    exposure = stage.oracle.money.exposure()
    trial.require("I1 counted once under one coin", set(exposure) == {"BTC"})
    trial.require("I37 and in the books as somebody else's", len(stage.state.foreign_orders) == 1)
    trial.require("I4 two wallets, one currency each", stage.state.ledgers["USDC"].anchor == 10000)
    with trial.wired(
        QUOTING,
        heard=False,
        audited=False,
        policy={"governance": {"portfolio_id": "00000000-0000-4000-8000-000000000000"}},
    ) as bot:
        try:
            bot.boot()
            refused = ""
        except GateRefused as error:
            refused = str(error)
        trial.require("the key of another portfolio refuses the start", "portfolio" in refused and not bot.posts())


EVE, NOON = (datetime(2026, 11, 2, hour, minute, tzinfo=UTC) for hour, minute in ((11, 58), (12, 0)))
"""The bid is made at 11:59:02, on the rates of the hour before noon."""


class _Repriced(FeeSchedule):
    """A fixed fee that is `dear` from a moment of the venue's clock on. clock: put in once there is one."""

    dear: Tier = Tier("Dear", Decimal(0), Decimal("0.005"), Decimal("0.009"))
    since: datetime = NOON
    clock: list[Callable[[], datetime]] = field(default_factory=list)

    def tier(self, volume: Decimal) -> Tier:
        return self.dear if self.clock and self.clock[0]() >= self.since else super().tier(volume)


OVER_NOON: Sequence[Step] = (
    *RISE, *steady(62, 138, "65500", 20), down(140, "65300"), *calm(150, 250), *slide(260, ["64000", "62800", "62500"]),
)  # fmt: skip
"""It is filled at 12:00:20, and its stop at 12:03:20."""


def _dearer_at_noon(
    trial: Trial, worst_pct: str, assumed: tuple[str, str], *, late_s: float = 0, told: bool = True,
    warned: bool = False,
) -> None:  # fmt: skip
    """The venue's rates rise at noon, with a bid at work. assumed: rates of the bid, and of the stop after noon.

    late_s: after noon, when the bot has read its tier already. told: the tier reads what the venue takes.
    warned: the breaker opens once the stop has paid more than was assumed.
    """
    cheap = Tier("Cheap", Decimal(0), Decimal("0.001"), Decimal("0.001"))
    schedule = _Repriced((cheap,), since=NOON + timedelta(seconds=late_s))
    policy = {**SLOW_QUOTE, "fees": {"worst_maker_pct": worst_pct, "worst_taker_pct": worst_pct}}
    market = ScriptMarket(default_listings(2), EVE, OVER_NOON)
    with trial.wired(rules=replace(tick_rules(), fees=schedule), policy=policy, start=EVE, market=market) as bot:
        bot.sim.do(lambda c: schedule.clock.append(lambda: c.world.now))
        bot.run_until(bot.working, 120)
        if not told:
            bot.fault(Rule(Answer(500, "json"), "GET", "/transaction_summary", times=None))
        bot.run_until(lambda: bot.working("SELL"), 120)
        (sell,) = bot.working("SELL")
        trial.stimulus(f"from noon on the venue takes {sell.taker_rate}", sell.taker_rate == schedule.dear.taker)
        rates = [row["expected_fee_rate"] for row in bot.events("intent.recorded")]
        trial.require(f"I39 {' and then '.join(rates)} is assumed", (rates[0], rates[-1]) == assumed)
        bot.run_until(lambda: not bot.state.positions, 400)
        opened = any(b["breaker"]["open"] for b in bot.events("breaker.changed") if "fee" in b["breaker"]["name"])
        trial.require("I39 more paid than assumed opens the breaker, less does not", opened == warned)
        bot.cycle()
        snapshot = bot.app.loop.guard.snapshot
        read = snapshot is not None and snapshot.fees.taker == schedule.dear.taker
        trial.require("I39 and has the tier read again", read == told)


def fees_change(trial: Trial) -> None:
    _dearer_at_noon(trial, "0.2", ("0.002", "0.009"))
    _dearer_at_noon(trial, "0.2", ("0.002", "0.002"), late_s=10, warned=True)
    _dearer_at_noon(trial, "0.2", ("0.002", "0.002"), told=False, warned=True)
    _dearer_at_noon(trial, "1.2", ("0.012", "0.012"))
    cheap = '{"maker_fee_rate": "0.001", "taker_fee_rate": "0.001"}'
    fees = {"fees": {"worst_maker_pct": "0.1", "worst_taker_pct": "0.1"}}
    with trial.wired(HELD, policy=fees) as bot:
        bot.fault(
            Rule(Rewrite("fee_tier.maker_fee_rate", '"0.001"'), "GET", "/transaction_summary", times=None),
        )
        bot.run_until(lambda: bot.state.positions, 200)
        trial.stimulus(f"the tier reads {cheap[:30]}.., the venue charges its own", bot.struck("Rewrite"))
        opened = [b["breaker"] for b in bot.events("breaker.changed") if b["breaker"]["name"] == "fee_above_assumed"]
        trial.require("I39 realised over assumed opens the breaker", opened and opened[-1]["open"])
    _unreadable(trial, "transaction_summary fails", Answer(500, "json"), "500")
    absurd = Rewrite("fee_tier.maker_fee_rate", '"0.05"')
    _unreadable(trial, "transaction_summary reads a maker rate above the taker's", absurd, "Rewrite")


def _unreadable(trial: Trial, what: str, flaw: Answer | Rewrite, name: str) -> None:
    with trial.wired(QUOTING) as bot:
        bot.fault(Rule(flaw, "GET", "/transaction_summary", times=None))
        bot.run_until(bot.working, 200)
        worst = bot.config.policy.fees.worst_maker_pct.fraction
        rate = Decimal(bot.events("intent.recorded")[0]["expected_fee_rate"])
        trial.stimulus(what, bot.struck(name))
        trial.require(f"I39 {what}: sized with the configured worst case ({rate})", worst <= rate < Decimal("0.02"))


def venue_cancels(trial: Trial) -> None:
    stage = trial.stage(then(*calm(90, 3000)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    stage.run_for(60)
    resting = [order.order_id for order in stage.working()]
    stage.world.cancel_by_exchange(resting)
    gone = stage.clock.now()
    trial.stimulus("the venue cancelled every resting order", resting and not stage.working())
    stage.run_until(lambda: stage.working(Side.SELL), 120)
    took = (stage.clock.now() - gone).total_seconds()
    trial.require(f"I28 noticed and the stop rebuilt within a cycle ({took:.0f} s)", took <= 65)
    stage.run_for(600)
    trial.require("I13 once, and no entry made anew", len(stage.wire.placed) == 3)


def _set_page(bot: Wired, change: Mapping[str, Any]) -> None:
    bot.sim.do(lambda c: c.status.change(change))


def status_page(trial: Trial) -> None:
    bad = {"indicator": "major", "components": {"Advanced Trade": "major_outage"}}
    good = {"indicator": "none", "components": {"Advanced Trade": "operational"}}
    for change in (
        {"broken": 500},
        {"html": True},
        {"indicator": "critical", "components": {"Coinbase - Website": "major_outage"}},
    ):
        with trial.wired(QUOTING) as bot:
            _set_page(bot, change)
            bot.run_until(bot.working, 200)
            trial.require(f"{next(iter(change))}: unknown or of others, nothing follows", bot.working())
    with trial.wired(QUOTING) as bot:
        bot.sim.do(lambda c: c.status.change(bad))
        with bot.oracle.closed("an incident of a component of ours", "I22", BUY):
            bot.run_for(400)
        trial.stimulus("Advanced Trade: major outage, while the API works", bot.sim.do(lambda c: c.status.components))
        trial.require("I22 entries stop", not bot.posts())
        bot.sim.do(lambda c: c.status.change(good))
    with trial.wired(QUOTING, audited=False) as bot:
        bot.sim.conditions(outage=True)
        with bot.oracle.closed("the API is down, the page green", "I22"):
            for _ in range(3):
                bot.wait(60)
                bot.cycle()
        trial.require("I22 a green page opens nothing", not bot.posts())


ROWS: Sequence[Fault] = (
    Fault("F026", "accounts: page 1 good, page 2 answers 500", "the snapshot is void, positions are kept", "I12 I40",
          half_a_listing),
    Fault("F029", "a new order is missing from lists and get for 5, 30 and 60 s, its answer received or lost",
          "full notional, not placed again", "I2 I11", shown_late),
    Fault("F030", "a cancelled order is listed OPEN for 5, 60 and 150 s more; under the kill switch",
          "cancelled again ever more slowly, counted until proof and not after, told of in 120 s", "I1 I13", ghosts),
    Fault("F032", "success with UNKNOWN_FAILURE_REASON, for create and cancel", "success", "I2 I13", unknown_reasons),
    Fault("F035", "NaN, Infinity, negatives, exponents, underscores, full-width digits, 60 digits in every number read",
          "refused at the edge, worst fees assumed; 1e-8 is 0.00000001", "I8 I30 I39", absurd_numbers),
    Fault("F037", "every balance reads 0 for 20 minutes", "NO_TRADE and alert: nothing closed, tripped or bought",
          "I12 I17 I40", zeros, quick=True),
    Fault("F040", "cancel_only between approval and POST; auction; normal", "refusal handled, no entry meanwhile",
          "I8 I22", product_modes, quick=True),
    Fault("F041", "limit_only, then post_only, while an exit is due", "an exit of an allowed type", "I8 I21",
          limited_modes, quick=True),
    Fault("F042", "the product of a position is delisted for an hour", "kept, told, not hammered", "I12 I29 I40",
          delisted),
    Fault("F043", "alias book paid from another wallet; a key of another portfolio", "one coin, two wallets; refused",
          "I1 I4 I37", alias_books, quick=True),
    Fault("F045", "the tier changes at noon; fees above it; it cannot be read, or reads a maker above the taker",
          "breaker where more is paid than assumed; worst case", "I39", fees_change),
    Fault("F048", "the venue cancels every resting order by itself", "noticed, stop rebuilt once, no re-entry",
          "I13 I28", venue_cancels, quick=True),
    Fault("F049", "status page red while the API works, green while it is down, broken",
          "entries stop on matched components only", "I22", status_page),
)  # fmt: skip
