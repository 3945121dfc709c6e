"""`bot guard`: what the service manager runs after a crash or a hang: working entries go, the alarm is raised."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bot.cli.place import config_of, has_state, is_running, look, settings_of
from bot.cli.verb import Exit, Terminal, Verb, add_places
from bot.errors import BotError, ConfigError, LockHeld

if TYPE_CHECKING:
    from bot.settings.environment import Settings
    from bot.settings.policy import AlertsPolicy
    from bot.settings.secrets import Secrets

DELIVERY_S: Final = 6.0
"""How long the alert is tried here; what is left in the outbox the next daemon delivers."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    parser.add_argument("--tell", metavar="TEXT", help="only raise TEXT as a CRITICAL alert; touch no order")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.settings.secrets import read_secrets

    settings = settings_of(args, terminal, urgent=True)
    secrets = read_secrets(
        terminal.environ, environment=settings.environment, allow_test_venue=settings.allow_test_venue
    )
    if args.tell is not None:
        _alarm(settings, secrets, terminal, "unit.failed", args.tell)
        return Exit.FINE
    where = f"{settings.environment.value} {settings.mode.value}"
    if is_running(settings):
        print(f"{where} runs: it looks after its orders itself", file=terminal.out)
        return Exit.FINE
    left = taken_back(settings, secrets, terminal) if has_state(settings) else ()
    if left is None:
        return Exit.FINE
    found = f"entries that may still work: {', '.join(left)}" if left else "none of its entries is working"
    _alarm(settings, secrets, terminal, "guard", f"{where} ended without its shutdown; {found}")
    return Exit.ORDERS_LEFT if left else Exit.FINE


def taken_back(settings: Settings, secrets: Secrets, terminal: Terminal) -> Sequence[str] | None:
    """Cancel the working entries, and say so; what may still work. None when a daemon has started meanwhile.

    Stops stay at the venue, and so does an exit on its way: both only ever lower what is at risk.
    """
    from bot.cli.ask import operator
    from bot.cli.cancelling import cancel_ours, still_listed
    from bot.domain.order import OrderKind

    try:
        config = config_of(settings)
        took = cancel_ours(
            settings, secrets, config, operator(), "ended without its shutdown", verb="guard", kinds=(OrderKind.ENTRY,)
        )
    except LockHeld as error:
        terminal.say(f"bot: {error}")
        return None
    except BotError as error:
        terminal.say(f"bot: nothing could be cancelled: {error}")
        return still_listed(settings)
    for problem in took.problems:
        terminal.say(f"bot: {problem}")
    print(f"{len(took.cancelled)} entries cancelled, {len(took.left)} may still work", file=terminal.out)
    return took.left


def _alarm(settings: Settings, secrets: Secrets, terminal: Terminal, fingerprint: str, detail: str) -> None:
    """Keep the alert in the outbox and try to deliver it. Never raises: what came before must still be answered."""
    from bot.adapters.webhook import WebhookCourier
    from bot.ops.alerts import AlertService, Severity
    from bot.ops.redact import Redactor

    text, policy = Redactor(secrets.redactions()).text(detail), _alerts_policy(settings)
    terminal.say(f"bot: {text}")
    try:
        storage = look(settings)
        storage.prepare()
        courier = WebhookCourier(
            storage, secrets.webhooks, timeout_s=float(policy.timeout_seconds), allowed_hosts=policy.allowed_hosts,
            allow_test_venue=settings.allow_test_venue, ca_file=settings.ca_file,
        )  # fmt: skip
        alerts = AlertService(
            storage, lambda: datetime.now(UTC), policy, settings.environment.value, settings.mode.value, lambda _: None,
            courier.carry,
        )  # fmt: skip
        alerts.notice(fingerprint, Severity.CRITICAL, "the trading process is not running", text)
        courier.start()
        courier.stop(DELIVERY_S)
        if waiting := alerts.undelivered():
            terminal.say(f"bot: {waiting} alerts could not be delivered")
    except BotError as error:
        terminal.say(f"bot: the alert could not be kept: {error}")


def _alerts_policy(settings: Settings) -> AlertsPolicy:
    """As configured; a configuration that cannot be read may be why the daemon is down, and must not silence this."""
    from bot.settings.policy import AlertsPolicy

    try:
        return config_of(settings).policy.alerts
    except ConfigError:
        return AlertsPolicy()


VERB = Verb(
    "guard",
    "after a crash or hang: cancel the working entries that were left behind, raise an alert (systemd calls this)",
    "bot guard\nbot guard --tell 'bulwark.service is down'",
    _arguments,
    _run,
)
