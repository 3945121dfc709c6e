"""`bot run`: the daemon."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bot.cli.place import config_of, settings_of
from bot.cli.verb import Exit, Terminal, Verb, add_places

if TYPE_CHECKING:
    from bot.settings.environment import Settings


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    parser.add_argument("--once", action="store_true", help="one cycle, then exit (6 when the kill switch is on)")
    parser.add_argument("--log", choices=("json", "pretty"), help="default: json in production, pretty otherwise")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.app import Launch, NoVenueYet, open_app
    from bot.cli.reload import reloaded
    from bot.cli.signals import Signals
    from bot.domain.snapshot import Environment
    from bot.settings.secrets import read_secrets

    settings = settings_of(args, terminal)
    config = config_of(settings)
    secrets = read_secrets(
        terminal.environ, environment=settings.environment, allow_test_venue=settings.allow_test_venue
    )
    as_json = settings.environment is Environment.PRODUCTION if args.log is None else args.log == "json"
    launch = Launch(settings, secrets, config, terminal.environ, terminal.err, as_json)
    if not as_json:
        terminal.say(_begins(settings))
    signals = Signals()
    with signals.installed():
        try:
            with open_app(launch, give_up=signals.stop_asked) as app:
                signals.follow(app.stop, lambda: app.loop.reload(lambda running: reloaded(app, settings, running)))
                return app.loop.run(once=args.once)
        except NoVenueYet:
            terminal.say("bot: stopped before the exchange could be reached; nothing was sent")
            return Exit.FINE


def _begins(settings: Settings) -> str:
    """One line for the person who started it: what begins, where it looks, and the way out."""
    pages = f"pages on http://127.0.0.1:{settings.http_port}/" if settings.http_port else "no pages"
    return (
        f"bot: {settings.environment.value} {settings.mode.value} on {settings.rest_url}, state in "
        f"{settings.state_dir}, {pages}; Ctrl-C ends it"
    )


VERB = Verb(
    "run",
    "run the daemon until it is told to stop",
    "bot run --mode paper\nENV=production BOT_MODE=live bot run\nbot run --once",
    _arguments,
    _run,
)
