"""The recorded day 2023-12-11, with its real flash drop at 02:12 UTC, traded live through TLS, JWT and the SDK."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from bot.settings.load import load_config
from simulator.control import Controls
from simulator.markets.replay import ReplayMarket, candle_files
from simulator.server import Simulator, SimulatorConfig
from tests.configs import LOCAL_VENUE, SHIPPED, write_config
from tests.simulation.daemon import Daemon
from tests.simulation.oracle import Oracle, journal

DAY = datetime(2023, 12, 11, tzinfo=UTC)
KILLS = 20


def the_recorded_day_is_traded_live(data: Path) -> list[str]:
    """One bot process, the whole day; prints what it did, answers what was wrong."""
    with tempfile.TemporaryDirectory() as folder, Simulator(venue_of(data)) as sim:
        began, daemon, oracle = time.monotonic(), _daemon(sim, Path(folder)), _oracle(sim, Path(folder))
        daemon.start()
        daemon.run_until(DAY + timedelta(hours=24), within_s=900)
        code = daemon.terminate()
        _print_day(daemon, oracle, time.monotonic() - began)
        problems = [*oracle.broken, *sim.do(lambda _: oracle.audit(daemon.state_dir))]
        left = sim.do(lambda _: oracle.open_orders())
        problems += [f"{order.client_order_id} still works after the shutdown" for order in left]
        problems += [f"exit code {code}:\n{daemon.tail()}"] if code else []
        problems += ["nothing was traded"] if not oracle.fills else []
        return problems


def a_killed_bot_comes_back_to_the_truth(data: Path) -> list[str]:
    """kill -9 at 20 random instants: one cycle after each restart orders and positions are the venue's."""
    chance = random.Random(20231211)
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder, Simulator(venue_of(data)) as sim:
        daemon, oracle = _daemon(sim, Path(folder)), _oracle(sim, Path(folder))
        daemon.start()
        last = ""
        for _ in range(KILLS):
            daemon.wait_for_cycle(last, within_s=60)
            time.sleep(chance.uniform(0.0, 3.0))
            last = daemon.heartbeat().get("cycle_id", "")
            daemon.kill()
            daemon.start()
            last = daemon.wait_for_cycle(last, within_s=60)["cycle_id"]
            problems += _differences(daemon, oracle, sim)
        daemon.terminate()
        problems += [*oracle.broken, *sim.do(lambda _: oracle.audit(daemon.state_dir))]
        print(
            f"        {KILLS} kills, {len(oracle.own)} orders, {len(oracle.fills)} fills, venue time {sim.now():%H:%M}"
        )
    return problems


def venue_of(data: Path) -> SimulatorConfig:
    market = ReplayMarket(candle_files(data / "candles"), DAY)
    return SimulatorConfig(market=market, start=DAY, speed=0)


def _daemon(sim: Simulator, folder: Path) -> Daemon:
    return Daemon(sim, folder / "data", write_config(folder / "config", {**LOCAL_VENUE, "rules": every_rule()}))


def every_rule() -> list[dict[str, Any]]:
    """The shipped rules, all of them switched on: the day tries the bot, whatever its rules may earn."""
    rules = yaml.safe_load((SHIPPED / "policy.yaml").read_text())["rules"]
    return [{**rule, "enabled": True} for rule in rules]


def _oracle(sim: Simulator, folder: Path) -> Oracle:
    config = load_config(folder / "config")

    def watch(controls: Controls) -> Oracle:
        return Oracle(controls.world, config).watch()

    return sim.do(watch)


def _differences(daemon: Daemon, oracle: Oracle, sim: Simulator) -> list[str]:
    """Orders and positions of the bot's status against the venue, at rest."""
    found: list[str] = []
    for _ in range(20):  # a cycle may just be under way
        found = sim.do(lambda _: oracle.audit(daemon.state_dir))
        if not found:
            break
        time.sleep(0.1)
    return found


def _print_day(daemon: Daemon, oracle: Oracle, seconds: float) -> None:
    rows = list(journal(daemon.state_dir))
    fills = [row["payload"] for row in rows if row["topic"] == "fill.booked"]
    reasons: Counter[str] = Counter()
    for row in rows:
        if row["topic"] == "decision.made":
            reasons[f"{row['payload']['outcome']} {row['payload']['reason']}".strip()] += 1
        elif row["topic"] == "decision.repeated":
            reasons[f"{row['payload']['outcome']} {row['payload']['reason']}".strip()] += row["payload"]["count"]
    status = daemon.status()
    fees = sum((Decimal(fill["fee"]) for fill in fills), Decimal(0))
    realised = sum((Decimal(fill["realised"]) for fill in fills if fill["realised"] is not None), Decimal(0))
    print(f"        {sum(reasons.values())} cycles in {seconds:.0f} s; {len(oracle.own)} orders, {len(fills)} fills")
    print(f"        fees {fees:.4f} USD, realised {realised:.4f} USD, equity {status.get('equity')} USD")
    print(f"        ledger residual {json.dumps(status.get('ledger_residual'))}")
    print(f"        invariants broken: {len(oracle.broken)} in {oracle.events} venue events")
    for reason, count in reasons.most_common():
        print(f"        {count:6d} {reason}")
