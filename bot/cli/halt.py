"""`bot halt`: the kill switch, with proof."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from bot.cli.place import config_of, has_state, is_running, look, modes, settings_of
from bot.cli.verb import Exit, Terminal, Verb, add_places
from bot.domain.value import replace
from bot.errors import BotError, ConfigError

if TYPE_CHECKING:
    from bot.settings.config import Config
    from bot.settings.environment import Settings

CONFIRMED_WITHIN_S: Final = 10.0
POLL_S: Final = 0.1


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser, mode=False)
    parser.add_argument("--reason", metavar="R", default="", help="kept in the file, in alerts and in the journal")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.adapters.killfile import switch_on
    from bot.cli.ask import operator

    settings = settings_of(args, terminal, urgent=True)
    reason = args.reason or f"bot halt by {operator()}"
    kill = switch_on(settings.data_dir, reason)
    on = "is on" if kill.reason == reason else "was on already"
    print(f"the kill switch {settings.kill_file} {on}: {kill.reason}", file=terminal.out)
    if not _anybody(settings):
        terminal.say(
            f"bot: no bot has ever run below {settings.data_dir}: one that runs with another folder is NOT halted; "
            "check --data-dir and BOT_DATA_DIR"
        )
    codes = [_halted(each, reason, terminal) for each in modes(settings) if is_running(each) or has_state(each)]
    codes += [_others(settings, terminal)]
    return max(codes)


def _anybody(settings: Settings) -> bool:
    """Whether a bot of either environment runs here, or has left state."""
    from bot.domain.snapshot import Environment

    folders = [each for env in Environment for each in modes(replace(settings, environment=env))]
    return any(has_state(each) or is_running(each) for each in folders)


def _halted(settings: Settings, reason: str, terminal: Terminal) -> int:
    """See one mode halted: by its daemon, or without one by taking its orders back here."""
    where = f"{settings.environment.value} {settings.mode.value}"
    if is_running(settings):
        return _confirmed(settings, where, terminal)
    from bot.cli.ask import operator
    from bot.cli.cancelling import cancel_ours, still_listed
    from bot.settings.secrets import read_secrets

    try:
        config = _config(settings, terminal)
        secrets = read_secrets(
            terminal.environ, environment=settings.environment, allow_test_venue=settings.allow_test_venue
        )
        took = cancel_ours(settings, secrets, config, operator(), reason)
    except BotError as error:
        left = still_listed(settings)
        terminal.say(f"bot: {where}: {error}")
        return _told_left(where, left, terminal) if left else Exit.FINE
    for problem in took.problems:
        terminal.say(f"bot: {where}: {problem}")
    print(f"{where}: not running; {len(took.cancelled)} orders cancelled", file=terminal.out)
    return _told_left(where, took.left, terminal)


def _config(settings: Settings, terminal: Terminal) -> Config:
    """A file that is broken now must not keep orders working: its defaults cancel as well."""
    from bot.settings.config import Config
    from bot.settings.policy import Policy
    from bot.settings.universe import Universe

    try:
        return config_of(settings)
    except ConfigError as error:
        terminal.say(f"bot: cancelling by the defaults, since the configuration cannot be used: {error.problems[0]}")
        return Config(Policy(), Universe())


def _confirmed(settings: Settings, where: str, terminal: Terminal) -> int:
    """Wait for the daemon to say that it has halted."""
    from bot.cli.books import document
    from bot.cli.report import HEARTBEAT, STATUS

    storage, deadline = look(settings), time.monotonic() + CONFIRMED_WITHIN_S
    while time.monotonic() < deadline:
        beat, status = document(storage, HEARTBEAT) or {}, document(storage, STATUS) or {}
        halted = beat.get("outcome") in ("HALTED", "EXIT_ONLY") and (
            beat.get("reason") == "kill_switch" or "kill_switch" in str(status.get("halt_reason"))
        )
        if halted:
            print(f"{where}: confirmed halted in cycle {beat.get('cycle_id')}", file=terminal.out)
            working = [o["client_order_id"] for o in status.get("orders", ()) if o.get("kind") != "protective"]
            return _told_left(where, tuple(working), terminal)
        time.sleep(POLL_S)
    terminal.say(
        f"bot: {where}: no confirmation within {CONFIRMED_WITHIN_S:.0f} s. The daemon's watcher stops every order by "
        "itself; look at `bot status`, and at the exchange"
    )
    return Exit.ERROR


def _others(settings: Settings, terminal: Terminal) -> int:
    """State of the other environment is under other keys: what works there can only be named."""
    from bot.domain.snapshot import Environment

    code = Exit.FINE
    for environment in Environment:
        if environment is settings.environment:
            continue
        for each in modes(replace(settings, environment=environment)):
            if has_state(each) or is_running(each):
                code = max(code, _named(each, terminal))
    return code


def _named(settings: Settings, terminal: Terminal) -> Exit:
    from bot.cli.cancelling import still_listed

    where = f"{settings.environment.value} {settings.mode.value}"
    if is_running(settings):
        print(f"{where}: runs, and halts by the same file", file=terminal.out)
        return Exit.FINE
    left = still_listed(settings)
    if not left:
        return Exit.FINE
    terminal.say(f"bot: {where} has working orders and no daemon: ENV={settings.environment.value} bot halt")
    return _told_left(where, left, terminal)


def _told_left(where: str, left: Sequence[str], terminal: Terminal) -> Exit:
    for order in left:
        terminal.say(f"bot: {where}: may still work: {order}")
    return Exit.ORDERS_LEFT if left else Exit.FINE


VERB = Verb(
    "halt",
    "stop trading now: no order is sent any more, working entries are cancelled",
    "bot halt --reason 'prices look wrong'\nbot resume",
    _arguments,
    _run,
)
