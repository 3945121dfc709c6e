"""The launch certificate: what was proven before live in production, for which configuration and code, and how long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from pydantic import ValidationError

from bot.domain.codec import canonical, decode, encode
from bot.domain.value import Value
from bot.errors import UnitError
from bot.settings.config import Config
from bot.settings.controls import CONTROLS_DIGEST
from bot.settings.policy import Policy
from bot.settings.reload import loosened
from bot.settings.universe import Universe

FILE: Final = "launch.json"
VERSION: Final = 2
AGAIN: Final = "run `bot certify`"


class Item(Value):
    """One thing that was proven: when, and by which number or hash."""

    name: str
    detail: str
    at: datetime


class Certificate(Value):
    """Binds a configuration, a code version and a portfolio to what was proven of them.

    controls: digest of the control table (docs/CONTROLS.md) that was in force. policy, universe: the certified
    configuration itself, so that one which only tightens it stays certified.
    """

    config_hash: str
    code_version: str
    portfolio: str
    venue: str
    issued_at: datetime
    expires_at: datetime
    items: tuple[Item, ...]
    policy: Mapping[str, Any]
    universe: Mapping[str, Any]
    controls: str = CONTROLS_DIGEST
    version: int = VERSION

    def config(self) -> Config:
        """The certified configuration. Raises UnitError when this code cannot read it."""
        try:
            return Config(Policy.model_validate(self.policy), Universe.model_validate(self.universe))
        except ValidationError as error:
            raise UnitError(
                f"the certified configuration is from other code: {error.error_count()} problems"
            ) from error


def certified(config: Config, **facts: Any) -> Certificate:
    """A certificate of this configuration; `facts`: the other fields."""
    return Certificate(
        config_hash=config.config_hash,
        policy=config.policy.model_dump(mode="json"),
        universe=config.universe.model_dump(mode="json"),
        **facts,
    )


def dump(certificate: Certificate) -> bytes:
    """The file's content, with a checksum against accidents."""
    body = {**_plain(certificate), "policy": dict(certificate.policy), "universe": dict(certificate.universe)}
    return canonical({**body, "checksum": _checksum(body)}) + b"\n"


def load(content: bytes) -> Certificate:
    """The certificate that `dump` wrote. Raises UnitError when it was changed or is no certificate."""
    try:
        data = json.loads(content)
        checksum = data.pop("checksum")
        policy, universe = data.pop("policy"), data.pop("universe")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnitError("it is no launch certificate") from error
    if _checksum({**data, "policy": policy, "universe": universe}) != checksum:
        raise UnitError("it was changed after it was issued")
    plain = decode(_Plain, data)
    return Certificate(
        plain.config_hash, plain.code_version, plain.portfolio, plain.venue, plain.issued_at, plain.expires_at,
        plain.items, policy, universe, plain.controls, plain.version,
    )  # fmt: skip


def certificate_reasons(
    content: bytes | None, config: Config, code_version: str, now: datetime, venue: str, portfolio: str | None = None
) -> list[str]:
    """Why live in production may not start on this certificate; empty when it may.

    A configuration that differs from the certified one is fine as long as it is nowhere looser.
    venue: address of the exchange. portfolio: the one the key sees; None: not known yet, not compared.
    """
    if content is None:
        return [f"there is no launch certificate ({FILE}): {AGAIN}"]
    try:
        found = load(content)
        if found.version != VERSION:
            return [f"the launch certificate has version {found.version}, this code reads {VERSION}: {AGAIN}"]
        return [*_dated(found, now), *_bound(found, config, code_version, (venue, portfolio))]
    except UnitError as error:
        return [f"the launch certificate cannot be used: {error}: {AGAIN}"]


class _Plain(Value):
    """A certificate without its configuration, which has a reader of its own."""

    config_hash: str
    code_version: str
    portfolio: str
    venue: str
    issued_at: datetime
    expires_at: datetime
    items: tuple[Item, ...]
    controls: str
    version: int


def _plain(certificate: Certificate) -> dict[str, Any]:
    found: Any = encode(
        _Plain(
            certificate.config_hash, certificate.code_version, certificate.portfolio, certificate.venue,
            certificate.issued_at, certificate.expires_at, certificate.items, certificate.controls,
            certificate.version,
        )
    )  # fmt: skip
    return dict(found)


def _checksum(body: dict[str, Any]) -> str:
    return sha256(canonical(body)).hexdigest()


def _dated(found: Certificate, now: datetime) -> list[str]:
    if now >= found.expires_at:
        return [f"the launch certificate expired at {found.expires_at:%Y-%m-%d %H:%M} UTC: {AGAIN}"]
    if now < found.issued_at:
        return [f"the launch certificate is from the future ({found.issued_at:%Y-%m-%d %H:%M} UTC): check the clock"]
    return []


def _bound(found: Certificate, config: Config, code_version: str, where: tuple[str, str | None]) -> list[str]:
    reasons, (venue, portfolio) = [], where
    if found.venue != venue:
        reasons.append(f"the launch certificate is for {found.venue}, this is {venue}: {AGAIN}")
    if found.code_version != code_version:
        reasons.append(f"the launch certificate is for code {found.code_version}, this is {code_version}: {AGAIN}")
    if found.controls != CONTROLS_DIGEST:
        reasons.append(f"the launch certificate is for another table of controls ({found.controls[:12]}): {AGAIN}")
    if portfolio is not None and found.portfolio != portfolio:
        reasons.append(f"the launch certificate is for portfolio {found.portfolio}, the key sees {portfolio}: {AGAIN}")
    if found.config_hash != config.config_hash:
        looser = loosened(found.config(), config)
        reasons += [f"looser than what was certified: {line}: {AGAIN}" for line in looser]
    return reasons
