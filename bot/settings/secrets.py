"""Secrets from systemd credentials or the environment, and from nowhere else; they show themselves to nobody."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from bot.domain.snapshot import Environment
from bot.errors import ConfigError, GateRefused
from bot.settings.addresses import HTTP, parse_address

CREDENTIALS: Final[Mapping[str, str]] = {
    "COINBASE_API_KEY": "coinbase_api_key",
    "COINBASE_API_SECRET": "coinbase_api_secret",
    "ALERT_WEBHOOK_URL": "alert_webhook_url",
}
"""Each variable and the credential file that wins over it."""

PIECE: Final = 16
"""No piece of a secret this long or longer may be seen anywhere."""
SHORTEST: Final = 8
"""Shorter texts stand in ordinary words too; hiding them would hide the log."""
SIZE_LIMIT: Final = 64 * 1024
OPEN_BITS: Final = stat.S_IRWXO | stat.S_IWGRP
"""Open to others, or writable by the group. systemd lets its service read by an access list, which shows in the group's
read bit, so that bit alone says nothing."""


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """The API key and the notification addresses. private_key: PEM or base64, with real line breaks."""

    key_name: str | None = None
    private_key: str | None = None
    webhooks: tuple[str, ...] = ()

    @property
    def has_key(self) -> bool:
        """Whether both halves of the API key are there."""
        return self.key_name is not None and self.private_key is not None

    @property
    def webhook_hosts(self) -> tuple[str, ...]:
        """The hosts of the notification addresses, which are no secret."""
        return tuple(urlsplit(url).hostname or "" for url in self.webhooks)

    def __repr__(self) -> str:
        return f"Secrets(key={'set' if self.has_key else 'not set'}, webhooks={len(self.webhooks)})"

    def redactions(self) -> tuple[str, ...]:
        """Every text that would give a secret away, longest first: whole secrets and all their pieces of 16 characters,
        raw, with escaped line breaks, in base64 (any alignment, both alphabets), in hex and percent-encoded."""
        found = {form for secret in self._hidden() for form in _forms(secret) if len(form) >= SHORTEST}
        pieces = {form[at : at + PIECE] for form in found for at in range(len(form) - PIECE + 1)}
        return tuple(sorted(found | pieces, key=lambda text: (-len(text), text)))

    def _hidden(self) -> Iterator[str]:
        """What must not be seen. Of a notification address that is what follows the host."""
        if self.key_name is not None:
            yield self.key_name
        if self.private_key is not None:
            yield self.private_key
            yield "".join(line for line in self.private_key.splitlines() if not line.startswith("-----"))
        for url in self.webhooks:
            parts = urlsplit(url)
            tail = f"{parts.path}?{parts.query}" if parts.query else parts.path
            yield from [tail] if len(tail) > 1 else []


def read_secrets(variables: Mapping[str, str], *, environment: Environment, allow_test_venue: bool = False) -> Secrets:
    """The secrets of one process. Empty files and variables count as absent.

    Raises: ConfigError when a credential cannot be read or a notification address cannot be used; GateRefused when, in
    production, a credential file is open to others. Neither ever shows a value.
    """
    source = _Source(variables, production=environment is Environment.PRODUCTION)
    name, key, addresses = (source.read(variable) for variable in CREDENTIALS)
    webhooks = tuple(part.strip() for part in (addresses or "").split(",") if part.strip())
    for number, url in enumerate(webhooks, start=1):
        checked = parse_address(url, HTTP, allow_loopback=allow_test_venue)
        if isinstance(checked, str):
            source.problems.append(f"ALERT_WEBHOOK_URL: address {number} {checked}")
    if source.problems:
        raise ConfigError(source.problems)
    if source.exposed:
        raise GateRefused(source.exposed)
    return Secrets(name, None if key is None else key.replace("\\n", "\n"), webhooks)


@dataclass(slots=True)
class _Source:
    """Reads one secret after the other and keeps what is wrong."""

    variables: Mapping[str, str]
    production: bool
    problems: list[str] = field(default_factory=list)
    exposed: list[str] = field(default_factory=list)

    def read(self, variable: str) -> str | None:
        folder = self.variables.get("CREDENTIALS_DIRECTORY")
        given = self._file(Path(folder) / CREDENTIALS[variable]) if folder else None
        return (given or self.variables.get(variable, "")).strip() or None

    def _file(self, path: Path) -> str | None:
        try:
            with path.open("rb") as file:
                self._check_mode(path, file.fileno())
                data = file.read(SIZE_LIMIT + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.problems.append(f"{path}: cannot be read: {error.strerror}")
            return None
        return self._text(path, data)

    def _text(self, path: Path, data: bytes) -> str | None:
        if len(data) > SIZE_LIMIT:
            self.problems.append(f"{path}: is larger than {SIZE_LIMIT} bytes, which no credential is")
            return None
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            self.problems.append(f"{path}: is not text")
            return None

    def _check_mode(self, path: Path, descriptor: int) -> None:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if self.production and mode & OPEN_BITS:
            self.exposed.append(f"{path}: mode {mode:04o} lets others at it; production needs 0400 or 0600")


def _forms(secret: str) -> Iterator[str]:
    """One secret in every spelling that gives it away."""
    data = secret.encode()
    yield secret
    yield secret.replace("\n", "\\n")
    yield from secret.splitlines()
    yield from (data.hex(), data.hex().upper(), quote(secret, safe=""), quote(secret))
    for shift in range(3):  # the same bytes look different in base64 when others stand before them
        text = base64.b64encode(bytes(shift) + data).decode()
        inner = text[4 if shift else 0 :].rstrip("=")
        yield from (inner, inner.replace("+", "-").replace("/", "_"))
