"""`bot sim`: the simulated Coinbase alone, for a bot that somebody else starts."""

from __future__ import annotations

import argparse
import json
import shlex
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.cli.verb import Exit, Terminal, Verb
from bot.errors import ConfigError

if TYPE_CHECKING:
    from simulator.server import Simulator

PRODUCTS: Final = 26
LAST_PORT: Final = 65_533
_TICK_S: Final = 0.2


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, default=0, metavar="P", help="of REST; the feeds get P+1 and P+2")
    parser.add_argument("--speed", type=float, default=0.0, metavar="X", help="most trading time per real time, 0: any")
    parser.add_argument(
        "--free-running", action="store_true", help="real time, beginning now, instead of a clock that waits"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the generated market")
    parser.add_argument(
        "--products", type=int, default=PRODUCTS, metavar="N", help="how many the generated market lists"
    )
    parser.add_argument("--replay", type=Path, metavar="DIR", help="trade recorded PRODUCT_1m.csv[.gz] candles instead")
    parser.add_argument("--json", action="store_true", help="the environment as one JSON object")


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= LAST_PORT):
        raise argparse.ArgumentTypeError(f"must be 0 (any) to {LAST_PORT}, was {text[:40]!r}")
    return int(text)


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.signals import Signals

    signals, ended = Signals(), threading.Event()
    signals.follow(lambda _why: ended.set(), lambda: None)
    with signals.installed():
        sim = _started(args)
        try:
            _announce(args, terminal, sim)
            while not ended.wait(_TICK_S):
                pass
        finally:
            sim.stop()
    terminal.say("bot: the simulated exchange is gone, and what was on it")
    return Exit.FINE


def _started(args: argparse.Namespace) -> Simulator:
    """The exchange, serving. Raises: ConfigError for a taken port or candles that cannot be traded; CandlesCorrupt."""
    from simulator.demo_market import market_of
    from simulator.server import START, Simulator, SimulatorConfig

    now = args.free_running and args.replay is None
    start = datetime.now(UTC) if now else START
    market = market_of(args.replay, args.seed, args.products, start if now else None)
    config = SimulatorConfig(
        args.seed, market, start=start, speed=args.speed, free_running=args.free_running, port=args.port
    )
    try:
        return Simulator(config).start()
    except OSError as error:
        ports = f"{args.port} to {args.port + 2}"
        raise ConfigError([f"--port {args.port}: {ports} must be free on 127.0.0.1: {error.strerror}"]) from error
    except ValueError as error:
        raise ConfigError([str(error)]) from error


def environment(sim_env: Mapping[str, str], *, free_running: bool) -> dict[str, str]:
    """What points `bot run` at the exchange. A clock that runs by itself is nobody's to step."""
    found = {"ENV": "staging", "BOT_MODE": "live", **sim_env, "BOT_DATA_DIR": _folder_beside(sim_env)}
    if free_running:
        del found["BOT_TEST_CLOCK_URL"]
    return {name: value.replace("\n", "\\n") for name, value in found.items()}


def _folder_beside(sim_env: Mapping[str, str]) -> str:
    """A state folder for this exchange alone, since it knows nothing of earlier runs. The bot makes it."""
    authority = Path(sim_env["COINBASE_CA_FILE"]).parent
    return str(authority.with_name(f"bulwark-at-{authority.name}"))


def _announce(args: argparse.Namespace, terminal: Terminal, sim: Simulator) -> None:
    found = environment(sim.env(), free_running=args.free_running)
    text = json.dumps(found, indent=2) if args.json else "\n".join(_lines(found, sim.rest_url))
    print(text, file=terminal.out, flush=True)


def _lines(found: Mapping[str, str], page: str) -> Iterator[str]:
    yield "# A simulated Coinbase. Paste this into another terminal; the key in it opens nothing else."
    yield from (f"export {name}={shlex.quote(value)}" for name, value in found.items())
    yield "# Then `bot run`; any other terminal with these lines may ask `bot status` and the rest."
    yield f"# Its page is {page}/ (browsers warn of the certificate). Ctrl-C ends it."


VERB = Verb(
    "sim",
    "run the simulated Coinbase alone, and print the environment that points a bot at it",
    "bot sim\nbot sim --free-running --port 8443\nbot sim --json --speed 60",
    _arguments,
    _run,
)
