"""`bot demo`: the daemon trading on a simulated Coinbase, through the real adapter, without keys or network."""

from __future__ import annotations

import argparse
import queue
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.cli.verb import Exit, Terminal, Verb
from bot.errors import ConfigError

if TYPE_CHECKING:
    from bot.app import App, Launch
    from bot.settings.environment import Settings
    from simulator.demo_config import Overlaid
    from simulator.demo_narrator import Tap
    from simulator.demo_story import Event, Story
    from simulator.demo_summary import Closing
    from simulator.server import Simulator

SPEED: Final = 60.0
"""Trading seconds a real second: an hour of the market passes in a minute."""
FASTEST: Final = 600.0
SEED: Final = 7
"""A sideways market in which some trades win and some lose."""
PRODUCTS: Final = 26
OPENING: Final = Decimal(10_000)
LOG: Final = "bot.log"
ENDING: Final = "ending: orders are being cancelled; Ctrl-C again leaves at once"
HEAD: Final = (
    "Bulwark demo: the real bot in its live mode trades on a simulated Coinbase on this machine.",
    "No keys, no network, no real money. Ctrl-C ends it and proves that nothing was left behind.",
    "",
)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--speed", type=_speed, default=SPEED, metavar="X", help=f"trading time per real time, {SPEED:g}"
    )
    parser.add_argument("--for", dest="duration", type=duration, metavar="DURATION", help="end after 90, 90s, 5m or 1h")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="of the generated market")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="trade recorded PRODUCT_1m.csv[.gz] candles instead")
    parser.add_argument("--plain", action="store_true", help="lines instead of a screen, as when it is no terminal")
    parser.add_argument("--data-dir", type=Path, metavar="DIR", help="keep state and log in this new folder")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="policy.yaml and universe.yaml (default config)")


def duration(text: str) -> timedelta:
    """`90`, `90s`, `5m` or `1h`. For argparse."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    if not (number.isascii() and number.isdigit() and len(number) <= 6 and int(number) > 0):
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no duration: write 90, 90s, 5m or 1h")
    return timedelta(seconds=int(number) * _UNITS[unit])


def _speed(text: str) -> float:
    try:
        found = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no number") from error
    if not 1 <= found <= FASTEST:
        raise argparse.ArgumentTypeError(f"must be 1 to {FASTEST:g}, was {text[:40]}")
    return found


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.app import NoVenueYet, open_app
    from bot.cli.signals import Signals
    from simulator.demo_config import overlaid
    from simulator.demo_narrator import Narrator, Stage, Tap

    wanted = overlaid(args.config_dir or Path(terminal.environ.get("BOT_CONFIG_DIR") or "config"))
    signals = Signals()
    heard: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    with signals.installed(), _folder(args.data_dir) as folder, _venue(args, terminal) as sim:
        log = Tap(folder / LOG, heard.put)
        launch = _launch(sim, folder, wanted, log)
        about = _about(args, sim, launch.settings, wanted)
        print("\n".join([*HEAD, *about]), file=terminal.out, flush=True)
        began = sim.now()
        try:
            with open_app(launch, give_up=signals.stop_asked) as app:
                signals.follow(app.stop, lambda: None)
                story, plain = _story(app, launch.settings), args.plain or not terminal.out.isatty()
                stage = Stage(
                    app.board.report, lambda: ENDING if app.loop.stopping else "", app.stop, OPENING, args.speed, about
                )
                with (
                    Narrator(terminal.console, story, stage, heard, plain=plain) as narrator,
                    _alarm(args.duration, app),
                ):
                    code = app.loop.run()
        except NoVenueYet:
            return Exit.FINE
        finally:
            log.close()
        why = "stopped on request" if signals.stop_asked() else "--for is over"
        return _told(terminal, _closing(story, app, sim, narrator.running, sim.now() - began), why, code, args.data_dir)


def _venue(args: argparse.Namespace, terminal: Terminal) -> Simulator:
    """The exchange, not serving yet. Raises: ConfigError and CandlesCorrupt for candles that cannot be traded."""
    from simulator.demo_market import market_of
    from simulator.server import Simulator, SimulatorConfig

    if args.replay is not None:
        terminal.say(f"bot: reading the candles in {args.replay} ...")
    market = market_of(args.replay, args.seed, PRODUCTS)
    return Simulator(SimulatorConfig(seed=args.seed, market=market, opening={"USD": OPENING}, speed=args.speed))


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """The data directory: the one asked for, which must be new, or one that is gone afterwards.

    Raises: ConfigError when it holds anything: the exchange begins from scratch, so must the bot.
    """
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="bulwark-demo-", ignore_cleanup_errors=True) as made:
            yield Path(made)
        return
    if wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        raise ConfigError(
            [f"--data-dir {wanted}: the simulated exchange begins from scratch: name a new or empty folder"]
        )
    wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
    yield wanted


def _launch(sim: Simulator, folder: Path, wanted: Overlaid, log: Tap) -> Launch:
    """What `bot run` would be given for this exchange; nothing of the caller's environment gets in."""
    from bot.app import Launch
    from bot.settings.environment import read_settings
    from bot.settings.secrets import read_secrets

    environ = {
        **sim.env(), "ENV": "staging", "BOT_MODE": "live", "BOT_DATA_DIR": str(folder), "BOT_HTTP_PORT": str(_port()),
    }  # fmt: skip
    settings = read_settings(environ)
    secrets = read_secrets(environ, environment=settings.environment, allow_test_venue=True)
    return Launch(settings, secrets, wanted.config, environ, log, True)


def _port() -> int:
    """The usual port of the bot's page, or any free one while another bot has it."""
    from bot.settings.environment import HTTP_PORT

    for port in (HTTP_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ConfigError(["no port is free on 127.0.0.1"])


def _about(args: argparse.Namespace, sim: Simulator, settings: Settings, wanted: Overlaid) -> list[str]:
    """Where everything is; the screen keeps these lines in sight."""
    source = f"generated from seed {args.seed}" if args.replay is None else f"recorded, {args.replay}"
    return [
        f"market      {source}; up to {args.speed:g} x real time, standing still while the bot works",
        f"settings    config/ with {len(wanted.changes)} changes of the demo's own: simulator/demo.yaml",
        f"bot         http://127.0.0.1:{settings.http_port}/ also /metrics, /healthz",
        f"exchange    {sim.rest_url}/ with a certificate of its own, so browsers warn",
        f"log         {settings.data_dir / LOG}",
        f"look inside {_command()} status --data-dir {settings.data_dir}",
    ]


def _command() -> str:
    """How the console script is called from another terminal in this folder."""
    if shutil.which("bot"):
        return "bot"
    script = Path(sys.executable).parent / "bot"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


def _story(app: App, settings: Settings) -> Story:
    from simulator.demo_narrator import decision_in
    from simulator.demo_story import Sources, Story

    cycles = settings.state_dir / "cycles"
    return Story(Sources(lambda cycle_id: decision_in(cycles, cycle_id), lambda: app.loop.store.state))


@contextmanager
def _alarm(after: timedelta | None, app: App) -> Iterator[None]:
    """Stop the daemon after so much real time."""
    if after is None:
        yield
        return
    timer = threading.Timer(after.total_seconds(), app.stop, ("--for is over",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _closing(story: Story, app: App, sim: Simulator, wall: timedelta, trading: timedelta) -> Closing:
    from simulator.demo_summary import Closing
    from simulator.demo_venue import truth_of

    return Closing(story, app.loop.store.state, sim.do(truth_of), OPENING, wall, trading)


def _afterwards(kept: Path | None) -> str:
    """How to ask a run that is over why it did what it did."""
    if kept is None:
        return f"  afterwards   journal and log are gone; {_command()} demo --data-dir NEW keeps them for `explain`"
    return (
        f"  afterwards   {_command()} explain last --mode live --data-dir {kept}, likewise orders, fills, journal tail"
    )


def _told(terminal: Terminal, closing: Closing, why: str, code: int, kept: Path | None) -> int:
    """Print the summary; the exit code says whether the exchange's own books confirm a clean end."""
    from simulator.demo_summary import summary

    print("\n".join([*summary(closing, why), _afterwards(kept)]), file=terminal.out, flush=True)
    if closing.truth.open_trades():
        return Exit.ORDERS_LEFT
    return code if closing.clean else Exit.ERROR


VERB = Verb(
    "demo",
    "watch the bot trade on a simulated Coinbase: no keys, no network, no real money",
    "bot demo\nbot demo --for 60s\nbot demo --speed 20 --seed 3\nbot demo --data-dir /tmp/look --plain",
    _arguments,
    _run,
)
