"""The bot as a process, with files written from the manual alone, trades at a venue that nobody tuned it for."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.contract.other_market import Oddities
from tests.contract.other_venue import OtherVenue, other_venue
from tests.process.bots import Start, eventually

POLICY = """
loop: {interval_seconds: 2, jitter_pct: 0}
data: {max_quote_staleness_seconds: 1.5}
execution: {post_only_ttl_seconds: 20, maker_max_reprices: 1, post_trade_reconcile_wait_seconds: 0.1}
rate_limits: {public_per_second: 9, private_per_second: 25}
rules:
  - name: buy_rise
    when: {all: [{price_move: {pct_15m: 0.05, pct_60m: 0.1}}]}
    tiers: [1]
    size: {usd: 200}
    stop_loss_pct: 5
    take_profit_pct: 10"""
UNIVERSE = "tiers: {1: {products: [BTC-USD, ETH-USD]}}"

PLACES = {
    "few fields, no feed": Oddities(
        spare=True, digits=0, order_id="order_{}", portfolio="", chunked=True, history_h=25, fills_after_s=1,
        brackets=False,
    ),
    "no TLS, numbers for texts, another feed": Oddities(
        tls=False, numbers=True, feed="ticker", zone="+00:00", digits=9, oldest_first=True, quiet_rows=True,
        end_inclusive=True, host="localhost", alias=True, refusals=(401,), close_each=True, history_h=25,
        fills_after_s=1,
    ),
}  # fmt: skip


def start(venue: OtherVenue, folder: Path) -> Start:
    """`bot run --mode live` beside its two files."""
    config = folder / "config"
    config.mkdir()
    (config / "policy.yaml").write_text(POLICY)
    (config / "universe.yaml").write_text(UNIVERSE)
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    places = {"BOT_CONFIG_DIR": str(config), "BOT_DATA_DIR": str(folder / "data"), "BOT_HTTP_PORT": "0"}
    return Start({**inherited, **venue.env(), **places}, "--mode", "live", "--log", "json")


def of(venue: OtherVenue, side: str, *statuses: str) -> list[dict[str, Any]]:
    with venue.account.lock:
        orders = list(venue.account.orders.values())
    return [order for order in orders if order["side"] == side and order["status"] in statuses]


def protected(venue: OtherVenue) -> bool:
    """Whether every coin bought is offered for sale at its stop."""
    bought, offered = of(venue, "BUY", "FILLED"), of(venue, "SELL", "OPEN")
    totals = [sorted((order["product_id"], order["size"]) for order in orders) for orders in (bought, offered)]
    return len(bought) == 2 and totals[0] == totals[1]


@pytest.mark.parametrize("odd", PLACES.values(), ids=PLACES.keys())
def test_the_bot_buys_protects_and_leaves_at_a_venue_it_never_met(odd: Oddities, tmp_path: Path) -> None:
    with other_venue(odd, tmp_path) as venue:
        bot = start(venue, tmp_path)
        try:
            eventually(lambda: protected(venue) or not bot.running, within_s=90)
        finally:
            bot.terminate()
            code, said = bot.ended(60)
        assert code == 0, said[-3000:]
        assert protected(venue), said[-3000:]
        refused = [problem for problem in venue.account.problems if "trigger_bracket" not in problem]
        assert refused == []
        assert len(venue.account.problems) == (0 if odd.brackets else 2), venue.account.problems
        assert of(venue, "BUY", "OPEN") == []
        state = json.loads((tmp_path / "data" / "staging-live" / "state.json").read_text())
        books = {
            name.partition("-")[0]: sum(Decimal(lot["size"]) for lot in held["lots"])
            for name, held in sizes(state).items()
        }
        assert books == {name: total for name, total in venue.account.wallets.items() if name != "USD"}


def sizes(state: dict[str, Any]) -> dict[str, Any]:
    """The positions of state.json by product."""
    found: dict[str, Any] = state["positions"]
    return found
