"""What may run where: ENV x mode x venue x keys, as one table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final

from bot.domain.snapshot import Environment, Mode
from bot.domain.value import Value
from bot.settings.environment import Settings, Venue
from bot.settings.secrets import Secrets


class Permission(Enum):
    """YES: may start. CERTIFIED: may start with a valid launch certificate. NEVER: exit 3."""

    YES = "yes"
    CERTIFIED = "certified"
    NEVER = "never"


class Cell(Value):
    """One answer of the table; `why` is for the operator when it is NEVER."""

    permission: Permission
    why: str = ""


YES: Final = Cell(Permission.YES)
CERTIFIED: Final = Cell(Permission.CERTIFIED)
NO_PRODUCTION_PAPER: Final = Cell(
    Permission.NEVER, "paper does not run in production: use dry_run to shadow the account, or ENV=staging"
)
NO_STAGING_LIVE: Final = Cell(
    Permission.NEVER,
    "staging never trades live on Coinbase: use paper, a test venue on this machine, or ENV=production",
)
NO_STRANGERS: Final = Cell(
    Permission.NEVER, "live trades on Coinbase or on a test venue on this machine only: the addresses name another host"
)
NO_KEYS: Final = Cell(
    Permission.NEVER,
    "an API key is needed here: set COINBASE_API_KEY and COINBASE_API_SECRET, or the systemd credentials",
)

_STAGING, _PRODUCTION = Environment.STAGING, Environment.PRODUCTION

# For each venue: the answer without a key, and the answer with one.
MATRIX: Final[Mapping[tuple[Environment, Mode], Mapping[Venue, tuple[Cell, Cell]]]] = {
    (_STAGING, Mode.DRY_RUN): {
        Venue.COINBASE: (YES, YES),
        Venue.TEST: (YES, YES),
        Venue.OTHER: (YES, YES),
    },
    (_STAGING, Mode.PAPER): {
        Venue.COINBASE: (YES, YES),
        Venue.TEST: (YES, YES),
        Venue.OTHER: (YES, YES),
    },
    (_STAGING, Mode.LIVE): {
        Venue.COINBASE: (NO_STAGING_LIVE, NO_STAGING_LIVE),
        Venue.TEST: (NO_KEYS, YES),
        Venue.OTHER: (NO_STRANGERS, NO_STRANGERS),
    },
    (_PRODUCTION, Mode.DRY_RUN): {
        Venue.COINBASE: (NO_KEYS, YES),
        Venue.TEST: (NO_KEYS, YES),
        Venue.OTHER: (NO_KEYS, YES),
    },
    (_PRODUCTION, Mode.PAPER): {
        Venue.COINBASE: (NO_PRODUCTION_PAPER, NO_PRODUCTION_PAPER),
        Venue.TEST: (NO_PRODUCTION_PAPER, NO_PRODUCTION_PAPER),
        Venue.OTHER: (NO_PRODUCTION_PAPER, NO_PRODUCTION_PAPER),
    },
    (_PRODUCTION, Mode.LIVE): {
        Venue.COINBASE: (NO_KEYS, CERTIFIED),
        Venue.TEST: (NO_KEYS, CERTIFIED),
        Venue.OTHER: (NO_STRANGERS, NO_STRANGERS),
    },
}


def cell(settings: Settings, *, keys: bool) -> Cell:
    """The table's answer for these settings."""
    return MATRIX[settings.environment, settings.mode][settings.venue][keys]


def needs_certificate(settings: Settings) -> bool:
    """Whether this start needs a valid `launch.json`."""
    return cell(settings, keys=True).permission is Permission.CERTIFIED


def check_start(settings: Settings, secrets: Secrets, allowed_hosts: Collection[str] = ()) -> list[str]:
    """Every reason to refuse this start (exit 3) that the environment alone can give; empty when there is none.

    The certificate, the lock and what the venue says of the key are checked elsewhere.
    allowed_hosts: `alerts.allowed_hosts`; empty allows any.
    """
    answer = cell(settings, keys=secrets.has_key)
    reasons = [answer.why] if answer.permission is Permission.NEVER else []
    if (secrets.key_name is None) != (secrets.private_key is None):
        missing = "COINBASE_API_KEY" if secrets.key_name is None else "COINBASE_API_SECRET"
        reasons.append(f"half an API key: {missing} (or its systemd credential) is missing")
    if settings.environment is Environment.PRODUCTION and not secrets.webhooks:
        reasons.append("production needs alerting: set ALERT_WEBHOOK_URL or the credential alert_webhook_url")
    if allowed_hosts:
        strangers = sorted({host for host in secrets.webhook_hosts if host not in allowed_hosts})
        reasons += [f"alerts.allowed_hosts does not name {host}, where alerts would go" for host in strangers]
    return reasons
