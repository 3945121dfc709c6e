"""Markets, faults and questions that rows of several classes share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.domain.product import Side
from simulator.markets.script import Step
from tests.faults.trial import JudgedStage, Trial
from tests.faults.wired import Wired
from tests.loop.markets import BOUGHT, RISE, calm
from tests.loop.stage import steady

ORDERS, CANCELS, ACCOUNTS, LISTING, FILLS = (
    "/orders", "/orders/batch_cancel", "/accounts", "/orders/historical/batch", "/orders/historical/fills",
)  # fmt: skip
BUY, SELL = (Side.BUY,), (Side.SELL,)
QUOTING: Sequence[Step] = (*RISE, *steady(62, 3600, "65500", 20))
"""The bot bids at 14:01:02 and is not filled."""
HELD: Sequence[Step] = (*BOUGHT, *calm(90, 3600))
"""The bot holds BTC-USD from 14:01:20 on."""
NO_BREAKERS = {
    "risk": {"breakers": {name: {"enabled": False} for name in ("api_errors", "rate_limited", "stale_data")}},
}  # fmt: skip
"""Every failed read is looked at alone."""
PATIENT = {"execution": {"post_only_ttl_seconds": 3000, "maker_max_reprices": 0}}
"""An entry that stays for the better part of an hour."""


def buys(bot: Wired) -> list[str]:
    """Client ids of buys that ever reached the venue, each as often as it did."""
    return bot.sim.do(lambda c: [o.client_order_id for o in c.world.venue.orders() if o.side is Side.BUY])


def one_buy(trial: Trial, bot: Wired) -> None:
    """One order at the venue, and one request for it."""
    ids, bodies = buys(bot), [e.body for e in bot.posts() if '"BUY"' in e.body]
    trial.require("I2 exactly one buy at the venue, asked for once", len(ids) == 1 and len(bodies) == 1)


def states(bot: Wired | JudgedStage, side: Side = Side.BUY) -> list[str]:
    """States the bot believes its orders of one side are in, oldest first."""
    return [order.state.value for order in bot.state.orders.values() if order.side is side]


def seconds_of(bot: Wired, client_order_id: str) -> float:
    """From the intent of an order to its last change, in trading time."""
    rows = [r for r in bot.rows() if r["payload"].get("client_order_id") == client_order_id]
    return (datetime.fromisoformat(rows[-1]["ts"]) - datetime.fromisoformat(rows[0]["ts"])).total_seconds()
