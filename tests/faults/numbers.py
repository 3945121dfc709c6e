"""Class numeric: edges of increments, numbers that are none, budgets that leave no legal size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal

from bot.domain.fees import cost_with_fee, size_after_fees
from bot.domain.money import Money, Price, Size, decimal_text, floor_to, parse_decimal
from bot.errors import UnitError
from tests.faults.trial import Fault, Trial
from tests.faults.venues import BUY
from tests.loop.markets import RISE, calm, slide, then
from tests.loop.stage import config_of, steady


def increments(trial: Trial) -> None:
    """The whole way of an order over the wire, and the two sums that floats get wrong."""
    trial.require("I8 floor(0.29 / 0.01) is 29", floor_to(Decimal("0.29"), Decimal("0.01")) == Decimal("0.29"))
    trial.require("I8 plain text for the smallest step", decimal_text(Decimal("0.00000001")) == "0.00000001")
    fall = then(*calm(90, 300), *slide(300, ["62000"], 600))
    with trial.wired(fall, policy={"exits": {"resting_on_exchange": False}}) as bot:
        bot.run_until(lambda: bot.oracle.fills and not bot.held("BTC"), 900)
        bodies = [json.loads(entry.body) for entry in bot.posts()]
        sizes = [next(iter(body["order_configuration"].values()))["base_size"] for body in bodies]
        trial.stimulus(f"bought and sold all of it: {sizes}", len(bodies) >= 2)
        trial.require("I5 sold to the last increment, no more", bot.held("BTC") == 0)
        product = bot.sim.do(lambda c: c.world.product("BTC-USD"))
        assert product is not None
        trial.require("I8 every size on its step", all(not Decimal(s) % product.size_step for s in sizes))


def no_numbers(trial: Trial) -> None:
    """NaN, infinity, zero: refused where they come in, and by every type they would need to pass."""
    refused = 0
    for text in ("NaN", "sNaN", "Infinity", "-Infinity", "1e400", "1_000", "", "-"):
        try:
            parse_decimal(text, "a test")
        except UnitError:
            refused += 1
    trial.require(f"I30 {refused} of 8 texts are no numbers", refused == 8)
    for number in (Decimal("NaN"), Decimal("Infinity"), Decimal("-1")):
        for kind in (Price, Size):
            try:
                kind(number)
                passed = True
            except UnitError:
                passed = False
            trial.require(f"I30 {kind.__name__}({number}) cannot exist", not passed)
    stage = trial.stage([*RISE, *steady(62, 600, "65500", 20)], opening={"USD": "0"})
    with stage.oracle.closed("equity is zero", "I1/I30", BUY):
        stage.run_for(200)
    trial.stimulus("equity of zero reaches risk", stage.held("USD") == 0)
    trial.require("I1 nothing passes a cap of zero", not stage.wire.placed)


def tight_budgets(trial: Trial) -> None:
    """Cash exactly as large as an order; an exit whose proceeds after its fee are below the minimum."""
    product = trial.stage([]).world.product("BTC-USD")
    assert product is not None
    rate, price = Decimal("0.012"), Price(Decimal("65000.01"))
    for budget in (Decimal("1.00"), Decimal("1.012"), Decimal("200"), Decimal("0.99")):
        size = size_after_fees(product, price, rate, Money(budget, "USD"))
        if not size.is_zero:
            cost = cost_with_fee(product, price, size, rate).amount
            trial.require(f"I39 {budget} buys {size} and the fee fits", cost <= budget)
    for cash, refusal in (("201", "total_cap"), ("0.90", "min_notional"), ("30", "")):
        stage = trial.stage(
            [*RISE, *steady(62, 300, "65500", 20)],
            config_of({"size": {"usd": 200}}, risk={"max_total_pct": 25, "max_per_asset_pct": 5}),
            {"USD": cash, "ETH": "50"} if cash == "201" else {"USD": cash},
        )
        stage.run_for(150)
        trial.require(
            f"I8 with {cash} USD no order is refused by the venue",
            stage.metric("bot_rejections_total", gate="exchange_rejected") == 0,
        )
        why = {p.get("reason") for row in stage.events("decision.made") for p in row["verdicts"]}
        told = not stage.wire.placed and refusal in why if refusal else stage.wire.placed
        trial.require(f"I8 {cash} USD: {refusal or 'a legal order'}", told)
    trial.stimulus("cash that reaches for nothing, for less than the minimum, for a small order", stage.wire.placed)


ROWS: Sequence[Fault] = (
    Fault("F080", "sizes on the edge of an increment, the smallest steps as text", "Decimal and plain text throughout",
          "I5 I8", increments),
    Fault("F081", "NaN, infinity and zero on their way to risk", "refused", "I1 I30", no_numbers, quick=True),
    Fault("F082", "budgets equal to the balance, below the minimum after fees", "a legal size or a recorded refusal",
          "I8 I39", tight_budgets, quick=True),
)  # fmt: skip
