"""Class order-lifecycle: fills that come twice or late, cancels that race, people on the same account, floods."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal

from bot.adapters.coinbase.budget import Access, Priority
from bot.domain.decision import Reason
from bot.domain.market import Quote
from bot.domain.money import Price, Size
from bot.domain.order import OrderKind, OrderState, OrderType, PlannedOrder
from bot.domain.product import ProductId, Side
from bot.domain.state import State
from bot.domain.value import replace
from bot.errors import RateLimited
from bot.execution.controls import Permits
from bot.execution.last_hop import Moment, judge
from bot.ports import KillProbe, KillState
from bot.venue.orders import LimitGtc, MarketIoc, OrderRequest
from simulator.faults import Answer, Cancels, Drop, Rule, When
from simulator.server import START
from tests.faults.runaways import runaways
from tests.faults.trial import Fault, JudgedStage, Trial
from tests.faults.venues import BUY, HELD, ORDERS, PATIENT, QUOTING, one_buy, states
from tests.loop.markets import RISE, calm, slide, then
from tests.loop.stage import BTC, config_of, down, steady
from tests.loop.test_trades import offered

ON = KillState(KillProbe.PRESENT, "looks wrong")
PEOPLE = "owner"


def by_hand(stage: JudgedStage, side: Side, size: str, name: str = "by-hand") -> None:
    """Somebody with the same account trades at the market."""
    stage.world.place(OrderRequest(name, BTC, side, MarketIoc(Decimal(size)), owner=PEOPLE))


def fills_twice(trial: Trial) -> None:
    with trial.wired(HELD) as bot:
        bot.sim.conditions(double_fills=True)
        bot.run_until(lambda: bot.state.positions, 200)
        bot.run_for(120)
        bot.crash()
        bot.boot()
        bot.run_for(120)
        listed = len(bot.requests("GET", "fills"))
        trial.stimulus("every fill listed twice, the second time under another entry id", listed)
        booked = bot.events("fill.booked")
        trial.require(f"I14 booked once over {listed} polls and a restart", len(booked) == len(bot.oracle.fills))
        position = next(iter(bot.state.positions.values()))
        trial.require("I4 the position is the venue's", position.size.value == bot.held("BTC"))


def fill_after_cancel(trial: Trial) -> None:
    """The venue takes the cancel, matches all the same, and only then ends the order."""
    stage = trial.stage([*RISE, *steady(62, 105, "65500", 5), down(112, "65300"), *calm(120, 900)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    stage.world.conditions.cancels = Cancels.LOST
    stage.run_until(lambda: stage.held("BTC"), 120)
    stage.world.conditions.cancels = Cancels.TAKEN
    filled_at = stage.oracle.fills[0].at
    asked = [r for r in stage.rows() if r["topic"] == "order.changed" and r["payload"]["cancel_asked"]]
    trial.stimulus("the fill came after the cancel was acknowledged", asked and asked[0]["ts"] <= filled_at.isoformat())
    stage.run_for(120)
    trial.require("I14 the quantity is booked once", len(stage.events("fill.booked")) == 1)
    trial.require("I13 and the position held", stage.state.positions[BTC].size.value == stage.held("BTC"))


def cancel_too_late(trial: Trial) -> None:
    stage = trial.stage([*RISE, *steady(62, 107, "65500", 5), down(108, "65300"), *calm(120, 900)])
    stage.run_until(lambda: stage.working(Side.BUY), 120)
    raced: list[str] = []

    def race(call: str) -> None:
        if call == "cancel" and not raced and stage.working(Side.BUY):
            raced.append(call)
            stage.idle(2)

    stage.wire.on_call = race
    stage.run_until(lambda: raced, 120)
    trial.stimulus("the order fills while its cancel travels", raced and stage.held("BTC"))
    stage.run_for(120)
    (order,) = [o for o in stage.orders() if o.side is Side.BUY]
    trial.require("I13/I2 read, and found filled", order.state is OrderState.FILLED)
    trial.require("I14 booked", stage.state.positions[BTC].size.value == stage.held("BTC"))


def dust(trial: Trial) -> None:
    stage = trial.stage(
        [*RISE, offered(70, "65450", "0.0000052"), offered(90, "65450", "0")],
        config_of(execution={"maker_max_reprices": 0}),
    )
    stage.run_until(lambda: stage.held("BTC"), 120)
    stage.run_for(900)
    held = stage.held("BTC")
    trial.stimulus(f"{held} BTC filled, the rest cancelled", 0 < held < Decimal("0.0001"))
    sells = [o for o in stage.wire.placed if o.side is Side.SELL]
    trial.require("I4 booked as it is", stage.state.positions[BTC].size.value == held)
    trial.require(f"I8 no attempts to sell what cannot be sold ({len(sells)})", not sells)
    refused = stage.metric("bot_rejections_total", gate="exchange_rejected")
    trial.require("and none refused by the venue", refused == 0)


def vanished(trial: Trial) -> None:
    """Booked, answer lost, and shown by nobody: only the hold tells that it is there."""
    with trial.wired(QUOTING, policy=PATIENT) as bot:
        bot.sim.conditions(hide_next=1)
        bot.fault(Rule(Drop(When.AFTER), "POST", ORDERS))
        bot.run_until(bot.working, 120)
        trial.stimulus("the order works and no list shows it", bot.sim.do(lambda c: len(c.conditions.hidden)) == 1)
        bot.run_for(400)
        trial.require("I11/I40 UNKNOWN at full weight while a hold says so", states(bot) == ["UNKNOWN"])
        trial.require("I40 told", bot.told("unknown.") == "CRITICAL")
        one_buy(trial, bot)
        bot.sim.conditions(hidden=[])
        bot.run_until(lambda: states(bot) != ["UNKNOWN"], 200)
    for known in (True, False):
        _gone(trial, known=known)


def _gone(trial: Trial, *, known: bool) -> None:
    """Accepted, and then neither list, get, fills nor holds tell of it, for ever. known: the venue's answer came."""
    with trial.wired(QUOTING, policy=PATIENT, audited=False) as bot:  # the venue has an order that nobody can see
        bot.sim.conditions(feed={"silent": True}, hide_next=1)
        if not known:
            bot.fault(Rule(Drop(When.AFTER), "POST", ORDERS))
        bot.run_until(bot.working, 120)
        (order,) = bot.working()
        bot.sim.do(lambda c: c.world.cancel_by_exchange([order.order_id]))
        gone, mark = bot.sim.now(), bot.mark()
        bot.run_until(lambda: states(bot)[0] in {"REJECTED", "CANCELED"}, 600)
        listed = [e for e in bot.requests("GET", "historical/batch", mark) if "start_date" in e.path]
        took = (bot.sim.now() - gone).total_seconds()
        said = "answered" if known else "unanswered"
        trial.stimulus(f"an order that was {said} and that nobody shows: {len(listed)} listings", len(listed) >= 3)
        trial.require(f"I11 {said}: full weight for {took:.0f} s and {len(listed)} listings", took >= 60)
        trial.require(f"I40 {said}: told", bot.told("mismatch." if known else "unknown."))
        bot.run_for(600)
        one_buy(trial, bot)


def people(trial: Trial) -> None:
    """Somebody bids, buys, sells the bot's coins, and cancels the bot's stop."""
    stage = trial.stage(then(*calm(90, 3000)))
    stage.run_until(lambda: stage.working(Side.SELL), 200)
    config = LimitGtc(Decimal("0.001"), Decimal(60000))
    stage.world.place(OrderRequest("by-hand", BTC, Side.BUY, config, owner=PEOPLE))
    stop = [o.order_id for o in stage.working(Side.SELL)]
    stage.world.cancel_by_exchange(stop, "Cancelled by a person")
    stage.run_for(70)
    trial.stimulus("a person bids and cancels the bot's stop", len(stage.state.foreign_orders) == 1)
    trial.require(
        "I13 own order cancelled from outside is terminal", any(o.state is OrderState.CANCELED for o in stage.orders())
    )
    by_hand(stage, Side.BUY, "0.001", "bought")
    stage.run_for(120)
    trial.require("I1 a foreign fill is booked and its product waits", BTC in stage.state.quarantined)
    held = stage.held("BTC")
    stage.throw_the_switch()
    stage.run_for(60)
    kept = [o.client_order_id for o in stage.working() if o.client_order_id == "by-hand"]
    trial.require("I16 never cancelled, not even under the kill switch", kept)
    trial.require("I5 nothing of it was sold", stage.held("BTC") == held)


def transfers(trial: Trial) -> None:
    for amount in ("90000", "-9700"):
        stage = trial.stage(calm(10, 2000))
        stage.run_for(60)
        stage.world.transfer("USD", Decimal(amount))
        with stage.oracle.closed("an unexplained difference", "I12", BUY):
            stage.run_for(61)
        stage.run_for(400)
        trial.stimulus(f"a transfer of {amount} USD", stage.oracle.transfers)
        report = stage.published[0]
        flat = (report["daily_pnl_pct"], report["drawdown_pct"]) == ("0", "0")
        trial.require(f"I17 {amount}: no profit, no drawdown", flat)
        trial.require("I9 no loss stop", not stage.state.latches)


def in_quote(trial: Trial) -> None:
    """A person buys for dollars; the venue's row gives its size in dollars."""
    with trial.wired([*calm(10, 900)]) as bot:
        bot.cycle()
        bot.wait(10)
        config = MarketIoc(quote_size=Decimal(200))
        bot.sim.do(lambda c: c.world.place(OrderRequest("by-hand", BTC, Side.BUY, config, owner=PEOPLE)))
        bot.run_for(120)
        rows = bot.sim.do(lambda c: [f.size_in_quote for f in c.world.venue.fills()])
        trial.stimulus("a fill whose size is in quote currency", any(rows))
        booked = sum((Decimal(f["size"]) for f in bot.events("fill.booked")), Decimal(0))
        trial.require(f"I15 {booked} BTC booked, not 200", booked == bot.held("BTC") and booked < 1)


def stale_quotes(trial: Trial) -> None:
    refusal = (
        '{"success": false, "failure_reason": "UNKNOWN_FAILURE_REASON", "error_response": {"error": '
        '"INVALID_LIMIT_PRICE_POST_ONLY", "message": "Post only order would cross", "error_details": "",'
        '"preview_failure_reason": "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"}}'
    )
    with trial.wired(QUOTING) as bot:
        bot.fault(Rule(Answer(200, refusal), "POST", ORDERS, times=None))
        bot.run_for(900)
        sent = len(bot.posts())
        trial.stimulus("every post-only order would cross", bot.struck("POST_ONLY"))
        most = 1 + bot.config.policy.execution.maker_max_reprices
        trial.require(f"I19 {sent} attempts in a quarter of an hour", sent <= 6 * most)
        trial.require("I2 nothing at the venue", not bot.working() and not bot.held("BTC"))
    stage = trial.stage(
        [
            *RISE,
            *(s for at in range(62, 400, 44) for s in steady(at, at + 40, "65500", 5)),
            down(107, "65498.21", size="0.001"),
            down(153, "65498.21", size="0.001"),
            *calm(420, 900),
        ]
    )
    stage.run_for(600)
    trial.require("I2 replaced while it fills: never more than approved", stage.held("BTC") <= Decimal("0.0031"))


def spent_budget(trial: Trial) -> None:
    """Reads have eaten all they may of the second and of the hour when the switch is thrown."""
    limits = {
        "rate_limits": {"public_per_second": 1000, "private_per_second": 1000, "hourly": 600, "max_wait_seconds": 1}
    }
    with trial.wired(QUOTING, policy={**PATIENT, **limits}, audited=False) as bot:
        bot.run_until(bot.working, 120)
        budget = bot.app.loop._world.exchange.client.budget  # type: ignore[attr-defined]
        spent = 0
        while budget.left()["hourly"] > 0.2 * 600 * 1.01 and budget.ready("/accounts", Access.PRIVATE, Priority.NORMAL):
            budget.take("/accounts", Access.PRIVATE, Priority.NORMAL)
            spent += 1
        try:
            budget.take("/accounts", Access.PRIVATE, Priority.NORMAL)
            dry = budget.left()["hourly"] > 200
        except RateLimited:
            dry = True
        trial.stimulus(f"{spent} reads, none more fits", dry)
        (bot.data_dir / "KILL_SWITCH").write_text("drill")
        began = time.monotonic()
        bot.sim.do(bot.oracle_killed)
        bot.run_until(lambda: not bot.working(), 30)
        took = time.monotonic() - began
        trial.require(f"I18/I3/I21 cancels go out from the reserve ({took:.1f} s)", took < 10)


def absurd_prices(trial: Trial) -> None:
    """The last function before the socket, asked by itself."""
    config, btc = config_of(), ProductId("BTC-USD")
    quote = Quote(btc, Price(Decimal(65000)), Price(Decimal(65010)), Size(Decimal(1)), Size(Decimal(1)), START)
    order = PlannedOrder(
        "x", btc, Side.BUY, OrderKind.ENTRY, OrderType.LIMIT_IOC, Size(Decimal("0.001")), Price(Decimal(65010))
    )
    moment = Moment(START, KillState(KillProbe.ABSENT), True, Permits(True, True, False), quote, State(), btc, False)
    trial.require("a sane order passes", judge(order, moment, config.policy) is None)
    for price in ("650100", "6501", "72000", "0.01"):
        verdict = judge(replace(order, limit_price=Price(Decimal(price))), moment, config.policy)
        refused = getattr(verdict, "reason", None) is Reason.PRICE_COLLAR
        trial.require(f"I20 a buy at {price} is refused", refused)
    unpriced = judge(replace(order, limit_price=None), moment, config.policy)
    trial.require("I20 and one without a limit", getattr(unpriced, "reason", None) is Reason.PRICE_COLLAR)
    blind = judge(order, replace(moment, quote=None), config.policy)
    trial.require("I38 and one without a quote", getattr(blind, "reason", None) is Reason.QUOTE_MISSING)
    stage = trial.stage([*RISE, *steady(62, 600, "65500", 20)])
    stage.idle(62)
    stage.world.conditions.feed.spikes = {"BTC-USD": 10.0}
    with stage.oracle.closed("the quote is ten times the truth", "I38/I20", BUY):
        stage.run_for(120)
    trial.stimulus("limits far away; a quote at ten times the price", stage.world.conditions.feed.spikes)


def stops_and_kills(trial: Trial) -> None:
    """With the day lost a stop still sells; with the kill switch on it does not, and somebody is told."""
    lossy = config_of(
        {"cooldown_minutes": 1},
        exits={"resting_on_exchange": False},
        risk={"daily_stop_pct": "0.005", "weekly_stop_pct": 6},
    )
    fall = [*RISE, down(80, "65300"), *calm(90, 300), *slide(300, ["62000"], 900)]
    stage = trial.stage(fall, lossy)
    stage.run_until(lambda: "daily_stop" in stage.state.latches, 400)
    trial.require("I22 the day is lost with the position held", BTC in stage.state.positions)
    with stage.oracle.closed("the day is lost", "I22/I9", BUY):
        stage.run_until(lambda: not stage.held("BTC"), 600)
    trial.require("I21 its stop sold it", not stage.held("BTC"))
    killed = trial.stage(fall, config_of({}, exits={"resting_on_exchange": False}))
    killed.run_until(lambda: BTC in killed.state.positions, 200)
    killed.disk.kill = ON
    with killed.oracle.closed("killed", "I3/I22"):
        killed.run_for(400)
    trial.stimulus("a stop is due with the daily stop, then with the kill switch", killed.held("BTC"))
    trial.require("I3 nothing goes out, and CRITICAL", killed.told("halt.kill_switch") == "CRITICAL")


ROWS: Sequence[Fault] = (
    Fault("F052", "every fill is listed twice under two entry ids, over polls and a restart", "applied once",
          "I4 I14", fills_twice),
    Fault("F054", "a fill after the cancel was acknowledged", "booked; exposure right before the next decision",
          "I1 I13 I14", fill_after_cancel, quick=True),
    Fault("F055", "a cancel refused because the order has filled", "the order is read", "I2 I13", cancel_too_late,
          quick=True),
    Fault("F056", "a partial fill leaves less than can be sold", "booked as dust, no retry loop", "I4 I8", dust,
          quick=True),
    Fault("F057", "an order that list, get and fills never show; its hold stays, or goes as well",
          "full weight as long as a hold tells of it, else given up, and told, after a minute and three listings",
          "I11 I40", vanished),
    Fault("F060", "a person bids, buys, and cancels the bot's stop", "counted, never touched; not sold again",
          "I1 I5 I16", people, quick=True),
    Fault("F061", "deposit of ten times the equity; withdrawal of 97 %", "profit, drawdown and stops unchanged",
          "I9 I17", transfers, quick=True),
    Fault("F062", "a fill whose size is in dollars", "base from the order's filled size", "I4 I15", in_quote),
    Fault("F064", "post-only refused each time; each replacement races a fill", "few attempts, not more than approved",
          "I2 I19", stale_quotes),
    Fault("F066", "10 000 proposals in one cycle; one a second for an hour; the same exit for ever",
          "LATCH, over restarts, at each ceiling: orders a minute and a day, money a day, repeats", "I1 I19", runaways),
    Fault("F067", "reads have used their whole budget when the switch is thrown", "cancels from the reserve",
          "I3 I18 I21", spent_budget),
    Fault("F068", "limits ten times away, of zero, or from a quote that is wrong", "the collar at the last hop refuses",
          "I20 I38", absurd_prices, quick=True),
    Fault("F069", "a stop is due with the daily stop active, then with the kill switch", "sold; not sold and told",
          "I3 I21 I22", stops_and_kills, quick=True),
)  # fmt: skip
