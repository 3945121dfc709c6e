"""`bot alert-test`: one alert through the real channel, and whether it arrived."""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets as randomness
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places
from bot.domain.value import Value
from bot.errors import BotError, GateRefused

if TYPE_CHECKING:
    from bot.adapters.storage import FileStorage
    from bot.settings.config import Config
    from bot.settings.environment import Settings
    from bot.settings.secrets import Secrets

RECORD: Final = "alert-test.json"


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    add_json(parser)
    parser.add_argument("--acknowledge", metavar="CODE", help="the code in the alert you received: proves the channel")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.place import config_of, followed, look
    from bot.settings.secrets import read_secrets

    settings = followed(args, terminal)
    storage = look(settings)
    storage.prepare()
    if args.acknowledge is not None:
        return _acknowledged(storage, args.acknowledge, terminal)
    config = config_of(settings)
    secrets = read_secrets(
        terminal.environ, environment=settings.environment, allow_test_venue=settings.allow_test_venue
    )
    if not secrets.webhooks:
        raise GateRefused(["no address is configured: set ALERT_WEBHOOK_URL or the credential alert_webhook_url"])
    code = randomness.token_hex(3)
    tried = [_tried(url, settings, config, code) for url in secrets.webhooks]
    _remember(storage, code, secrets, delivered=all(one.delivered for one in tried))
    return _told(tried, args, terminal)


class Tried(Value):
    """What became of one address. The host is no secret; the rest of the address is."""

    host: str
    delivered: bool
    why: str


def _tried(url: str, settings: Settings, config: Config, code: str) -> Tried:
    """Deliver to one address through the courier the daemon uses, with an outbox of its own."""
    from bot.adapters.memory import MemoryStorage
    from bot.adapters.webhook import WebhookCourier
    from bot.ops.alerts import AlertService, Severity

    outbox, alerts = MemoryStorage(), config.policy.alerts
    failures: list[str] = []
    service = AlertService(
        outbox, lambda: datetime.now(UTC), alerts, settings.environment.value, settings.mode.value, lambda _: None
    )
    service.notice(
        "alert-test", Severity.INFO, "test of the alert channel", f"confirm with: bot alert-test --acknowledge {code}"
    )
    courier = WebhookCourier(
        outbox, (url,), timeout_s=float(alerts.timeout_seconds), allowed_hosts=alerts.allowed_hosts,
        allow_test_venue=settings.allow_test_venue, ca_file=settings.ca_file, on_failure=failures.append,
    )  # fmt: skip
    delivered = courier.deliver()
    why = "" if delivered else (failures[-1] if failures else "the receiver did not answer with a success status")
    return Tried(urlsplit(url).hostname or "", delivered, why)


def _remember(storage: FileStorage, code: str, secrets: Secrets, *, delivered: bool) -> None:
    """For the launch certificate: which channel was tried, and whether a person saw the message."""
    from bot.domain.codec import canonical, time_text

    row = {
        "code": code,
        "channel": channel_of(secrets),
        "delivered_at": time_text(datetime.now(UTC)) if delivered else None,
        "acknowledged_at": None,
    }
    storage.write(RECORD, canonical(row))


def channel_of(secrets: Secrets) -> str:
    """Fingerprint of the notification addresses: tells whether they are still the ones that were tried."""
    return hashlib.sha256("\n".join(sorted(secrets.webhooks)).encode()).hexdigest()


def _acknowledged(storage: FileStorage, code: str, terminal: Terminal) -> int:
    from bot.domain.codec import canonical, time_text

    found: dict[str, Any] = json.loads(storage.read(RECORD) or b"{}")
    if not found.get("delivered_at"):
        raise BotError("no test alert was delivered: run `bot alert-test` first")
    if code != found.get("code"):
        raise BotError("that is not the code of the newest test alert: run `bot alert-test` and look at what arrives")
    storage.write(RECORD, canonical({**found, "acknowledged_at": time_text(datetime.now(UTC))}))
    print("acknowledged: the channel works, and a person reads it", file=terminal.out)
    return Exit.FINE


def _told(tried: list[Tried], args: argparse.Namespace, terminal: Terminal) -> int:
    if args.json:
        from bot.cli.show import print_json

        print_json(terminal, [{"host": one.host, "delivered": one.delivered, "why": one.why} for one in tried])
    else:
        for one in tried:
            said = "delivered" if one.delivered else f"NOT delivered: {one.why}"
            print(f"{one.host}: {said}", file=terminal.out)
    return Exit.FINE if all(one.delivered for one in tried) else Exit.ERROR


VERB = Verb(
    "alert-test",
    "send one alert through the real channel and say whether it arrived",
    "bot alert-test\nbot alert-test --acknowledge 3fa9c1",
    _arguments,
    _run,
)
