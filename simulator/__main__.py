"""The simulator as a process of its own: `python -m simulator`. Ends cleanly on SIGINT and SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from simulator.markets.market import Market
from simulator.markets.replay import ReplayMarket, candle_files
from simulator.server import START, Simulator, SimulatorConfig


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    config = _config(options)
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    with Simulator(config) as sim:
        _announce(sim, options.env_file)
        stop.wait()
    return 0


def config_of(arguments: list[str]) -> SimulatorConfig:
    """The configuration a command line asks for. Raises CandlesCorrupt for a folder that cannot be replayed."""
    return _config(_parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description="A Coinbase Advanced Trade one can break.")
    parser.add_argument("--seed", type=int, default=1, help="of the market, the ids and every random fault")
    parser.add_argument("--products", type=int, default=16, help="how many products the generated market lists")
    parser.add_argument("--replay", type=Path, help="folder with PRODUCT_1m.csv[.gz] files to trade instead")
    parser.add_argument("--start", default="", help="where trading time begins, e.g. 2023-12-10T00:00:00Z")
    parser.add_argument("--cash", type=Decimal, default=Decimal(10_000), help="opening US dollars")
    parser.add_argument(
        "--speed", type=float, default=0.0, help="trading seconds a second under the clock, 0 = no brake"
    )
    parser.add_argument("--step", type=float, default=1.0, help="trading seconds between two looks at the market")
    parser.add_argument("--free-running", action="store_true", help="let trading time run until somebody steps it")
    parser.add_argument("--limits", action="store_true", help="turn away too many requests")
    parser.add_argument(
        "--env-file", type=Path, help="write the bot's environment to this file instead of the terminal"
    )
    return parser


def _config(options: argparse.Namespace) -> SimulatorConfig:
    start = _start(options.start, options.free_running)
    market: Market | None = None
    if options.replay is not None:
        market = ReplayMarket(candle_files(options.replay), start, options.seed)
    return SimulatorConfig(
        seed=options.seed,
        market=market,
        products=options.products,
        start=start,
        opening={"USD": options.cash},
        limits=options.limits,
        step=timedelta(seconds=options.step),
        speed=options.speed,
        free_running=options.free_running,
    )


def _start(text: str, free_running: bool) -> datetime:
    """A free-running venue begins now unless told otherwise: a client may compare its clock with the venue's."""
    if text:
        return datetime.fromisoformat(text).astimezone(UTC)
    return datetime.now(UTC) if free_running else START


def _announce(sim: Simulator, env_file: Path | None) -> None:
    """One JSON object: the environment that points a bot here. The key in it opens nothing else."""
    text = json.dumps(sim.env(), indent=2) + "\n"
    if env_file is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    env_file.touch(mode=0o600)
    env_file.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
