"""The kill switch against fifty working orders, over the wire and by the wall clock, measured at the venue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bot.domain.product import ProductId, Side
from simulator.markets.listing import default_listings, plain_listing
from simulator.markets.script import Print, ScriptMarket, Step
from simulator.server import START, Simulator, SimulatorConfig
from tests.configs import LOCAL_VENUE, write_config
from tests.loop.stage import PLAIN, RISE
from tests.process.bots import alerted, at_speed, eventually, posts, running, working_entries

COUNT = 50
PACING = ("max_entries_per_hour", "max_entries_per_day")
PATIENT = {"post_only_ttl_seconds": 180, "maker_max_reprices": 0}
COINS = [ProductId(f"K{number:02d}-USD") for number in range(COUNT)]


def rising() -> list[Step]:
    """Every coin goes from 100 to 101 within the first minute, and the bids stay where they are."""
    return [Print(at, coin, Decimal(101), Decimal(50), Side.BUY) for coin in COINS for at in range(30, 60, 10)]


def fifty() -> Simulator:
    listings = [plain_listing(coin, Decimal("0.01"), Decimal("0.0001"), Decimal(100)) for coin in COINS]
    market = ScriptMarket([*listings, *default_listings(1)], START, rising())
    return Simulator(SimulatorConfig(market=market, opening={"USD": Decimal(100_000)}))


def config_for_fifty(folder: Path) -> Path:
    """Fifty small entries in one cycle, within every cap."""
    names = [str(coin) for coin in COINS]
    governors = {"orders_per_minute": 200, "notional_per_day_usd": 1_000_000}
    policy = {
        **LOCAL_VENUE,
        **PLAIN,
        "rules": [{**RISE, "budget_pct": 25, "max_new_per_cycle": COUNT}],
        "triggers": {"max_triggers_per_cycle": COUNT},
        "risk": {"max_open_positions": COUNT, "max_per_theme_pct": 25, **dict.fromkeys(PACING)},
        "execution": {"governors": governors, "use_preview": False, **PATIENT},
    }
    easy = {"base_size_pct": "0.4", "min_depth": 0, "min_volume_24h": 0, "max_spread_bps": 40}
    tiers = {1: {**easy, "products": names}, 2: {**easy, "products": ["BTC-USD"]}, 3: {**easy, "products": ["ETH-USD"]}}
    shipped = ("majors", "layer1", "payments", "oracles_infra", "defi", "meme")
    themes = {"all": list(names), **{theme: ["BTC-USD"] for theme in shipped}}
    return write_config(folder, policy, {"tiers": tiers, "themes": themes, "hysteresis": {"enter_after": 1}})


@dataclass
class Watch:
    """When each of the bot's orders ended, in real time, as the venue saw it."""

    ended: dict[str, float] = field(default_factory=dict)

    def saw(self, event: Any) -> None:
        order = getattr(event, "order", None)
        if order is not None and order.status.is_terminal:
            self.ended.setdefault(order.order_id, time.monotonic())


@dataclass
class Drill:
    """What one drill measured, in seconds from the moment the file appeared."""

    working: int
    asked_s: float
    terminal_s: float
    alert_s: float
    sent_after: int
    left: list[str]
    heartbeat: dict[str, Any]
    resumed: bool


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    folder, watch = tmp_path_factory.mktemp("kill"), Watch()
    with fifty() as sim, running(sim, folder, config_for_fifty(folder / "config")) as daemon:
        sim.do(lambda c: c.world.on_event(watch.saw))
        eventually(lambda: len(working_entries(sim)) == COUNT, daemon=daemon)
        at_speed(sim, 1.0)
        working, sent = len(working_entries(sim)), posts(sim)
        thrown = time.monotonic()
        (daemon.data_dir / "KILL_SWITCH").write_text("drill")
        eventually(lambda: cancels(sim), daemon=daemon)
        asked = time.monotonic() - thrown
        eventually(lambda: not working_entries(sim), daemon=daemon)
        eventually(lambda: alerted(sim, "halt.kill_switch"), daemon=daemon)
        alert = time.monotonic() - thrown
        beat = eventually(lambda: (b := daemon.heartbeat())["reason"] == "kill_switch" and b)
        time.sleep(2.0)
        after, left = posts(sim) - sent, working_entries(sim)
        (daemon.data_dir / "KILL_SWITCH").unlink()
        eventually(lambda: [a for a in alerted(sim, "halt.kill_switch") if a["state"] == "resolved"])
        last = max(watch.ended.values()) - thrown
        yield Drill(working, asked, last, alert, after, left, beat, resumed=True)


def cancels(sim: Simulator) -> int:
    return sim.do(lambda c: len(c.world.record.requests("POST", "batch_cancel")))


def test_the_drill_had_fifty_orders_at_the_venue(drill):
    assert drill.working == COUNT


def test_the_first_cancel_is_asked_within_two_seconds(drill):
    assert drill.asked_s <= 2.0


def test_every_order_is_terminal_within_ten_seconds(drill):
    assert drill.terminal_s <= 10.0
    assert drill.left == []


def test_no_order_is_sent_after_the_file_appeared(drill):
    assert drill.sent_after == 0


def test_a_critical_alert_has_arrived_within_five_seconds(drill):
    assert drill.alert_s <= 5.0


def test_the_heartbeat_says_halted_and_trading_resumes_with_a_word(drill):
    assert drill.heartbeat["outcome"] == "HALTED"
    assert drill.resumed
