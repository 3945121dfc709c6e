"""The items of a launch certificate, each with its evidence or with what is missing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from bot.adapters.codeversion import code_version
from bot.adapters.trust import distrusted
from bot.cli.alert_test import RECORD, channel_of
from bot.cli.books import document
from bot.cli.cancelling import credentials_of
from bot.cli.checks import Desk, Result, clock_row, desk_of
from bot.cli.journal import proven
from bot.cli.place import look
from bot.cli.rehearsal import Rehearsed, rehearsed
from bot.domain.codec import parse_time
from bot.domain.snapshot import Environment, Mode
from bot.domain.value import Value, replace
from bot.errors import BotError, UnitError
from bot.settings.controls import CONTROLS_DIGEST
from bot.settings.secrets import read_secrets

if TYPE_CHECKING:
    from bot.cli.verb import Terminal
    from bot.settings.config import Config
    from bot.settings.environment import Settings
    from bot.settings.secrets import Secrets

LARGEST = 64 * 1024 * 1024


class Proof(Value):
    name: str
    met: bool
    detail: str


class Proofs(Value):
    """Everything gathered. portfolio: empty while the key could not be asked."""

    proofs: tuple[Proof, ...]
    portfolio: str
    now: datetime


def proofs(args: argparse.Namespace, settings: Settings, config: Config, terminal: Terminal) -> Proofs:
    """Look at everything, whatever is missing. Raises ConfigError, GateRefused for secrets that cannot be read."""
    secrets = read_secrets(
        terminal.environ, environment=settings.environment, allow_test_venue=settings.allow_test_venue
    )
    credentials = credentials_of(secrets)
    with desk_of(settings, config, credentials) as desk:
        now = desk.clock.now()
        portfolio, key = _key(config, desk)
        found = (
            Proof("configuration", True, config.config_hash),
            Proof("code", True, code_version()),
            _tests(args.tests),
            _controls(args.controls),
            _gate(args.gate, config),
            key,
            _clock(config, desk),
        )
    rest = (_folder(settings), _alert(settings, secrets, config), *_rehearsal(settings, config))
    return Proofs((*found, *rest), portfolio, now)


def _tests(path: Path) -> Proof:
    """A JUnit report without a failure."""
    content = _content(path)
    if content is None:
        return Proof("tests", False, f"{path} is missing: run the whole suite with --junitxml={path}")
    try:
        suites = list(_parsed(content).iter("testsuite"))
        counts = {
            name: sum(int(s.get(name, "0")) for s in suites) for name in ("tests", "failures", "errors", "skipped")
        }
    except (ET.ParseError, ValueError) as error:
        return Proof("tests", False, f"{path} is no JUnit report: {error}")
    good = counts["tests"] > 0 and not (counts["failures"] or counts["errors"])
    return Proof("tests", good, f"{', '.join(f'{n} {c}' for c, n in counts.items())}; {_hash(content)}")


def _parsed(content: bytes) -> ET.Element:
    """Our own test runner's file: a declaration of entities has no place in it."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise ValueError("it declares a document type")
    return ET.fromstring(content)  # noqa: S314 - no entities can be declared


def _controls(path: Path) -> Proof:
    """The very table that the code carries the digest of."""
    content = _content(path)
    if content is None:
        return Proof("control table", False, f"{path} is missing")
    if sha256(content).hexdigest() != CONTROLS_DIGEST:
        return Proof("control table", False, f"{path} is not the table of this code, which has {CONTROLS_DIGEST[:12]}")
    return Proof("control table", True, _hash(content))


def _gate(path: Path, config: Config) -> Proof:
    """The backtest gate, passed with this configuration and code."""
    content = _content(path)
    if content is None:
        return Proof("backtest gate", False, f"{path} is missing: run `backtest gate`")
    try:
        found: Any = json.loads(content)
        bound = (found["config_hash"], found["code_version"]) == (config.config_hash, code_version())
        passed = found["passed"] is True
    except (ValueError, KeyError, TypeError) as error:
        return Proof("backtest gate", False, f"{path} is no result of `backtest gate`: {error!r}")
    if not bound:
        return Proof(
            "backtest gate", False, f"{path} is about another configuration or code: run `backtest gate` again"
        )
    return Proof("backtest gate", passed, _hash(content) if passed else f"{path} says that it failed")


def _key(config: Config, desk: Desk) -> tuple[str, Proof]:
    try:
        powers = desk.reader.key_permissions()
    except BotError as error:
        return "", Proof("API key", False, f"the exchange could not be asked: {error}")
    reasons = list(powers.problems(config.policy.governance.portfolio_id))
    if config.policy.governance.portfolio_id is None:
        reasons.append(
            f"governance.portfolio_id is not set: name the portfolio this may trade, {powers.portfolio_uuid}?"
        )
    told = f"may view and trade, not transfer; portfolio {powers.portfolio_uuid}"
    return powers.portfolio_uuid, Proof("API key", not reasons, "; ".join(reasons) or told)


def _clock(config: Config, desk: Desk) -> Proof:
    row = clock_row(config, desk)
    return Proof("clock", row.result is Result.FINE, row.detail)


def _folder(settings: Settings) -> Proof:
    problems = list(distrusted(settings.data_dir, settings.state_dir)) if settings.data_dir.exists() else []
    return Proof("data folder", not problems, "; ".join(problems) or f"{settings.data_dir} is private")


def _alert(settings: Settings, secrets: Secrets, config: Config) -> Proof:
    """A person has seen a test alert on the very channel that is configured, not too long ago."""
    found = document(look(settings), RECORD) or {}
    how = "run `bot alert-test`, then `bot alert-test --acknowledge CODE`"
    if not found.get("acknowledged_at"):
        return Proof("alert channel", False, f"nobody has acknowledged a test alert: {how}")
    if found.get("channel") != channel_of(secrets):
        return Proof("alert channel", False, f"the acknowledged test went to other addresses: {how}")
    try:
        at = parse_time(str(found["acknowledged_at"]))
    except UnitError:
        return Proof("alert channel", False, f"{RECORD} cannot be read: {how}")
    age = datetime.now(at.tzinfo) - at
    if age > timedelta(seconds=int(config.policy.governance.certificate_days * 86400)):
        return Proof("alert channel", False, f"the last acknowledged test is {age.days} days old: {how}")
    return Proof("alert channel", True, f"acknowledged {found['acknowledged_at']}")


def _rehearsal(settings: Settings, config: Config) -> Iterator[Proof]:
    """Paper hours, their invariants, and the kill-switch drill, all from the rehearsal's own journal."""
    staging = replace(settings, environment=Environment.STAGING, mode=Mode.PAPER)
    storage, wanted = look(staging), config.policy.governance.rehearsal_hours
    try:
        found = rehearsed(storage, config, code_version()) if staging.state_dir.exists() else Rehearsed()
        problem = proven(storage).problem if found.cycles else ""
    except BotError as error:
        found, problem = Rehearsed(), str(error)
    hours = found.hours(config)
    where = f"with this configuration and code in {staging.state_dir}"
    short = "" if hours >= wanted else f"; {wanted} h are needed: ENV=staging bot run --mode paper"
    yield Proof("rehearsal", not short, f"{hours:.1f} h {where}{short}")
    violations = [*found.violations, *([problem] if problem else [])]
    told = f"none in {found.cycles} cycles" if found.cycles else "no cycle to look at"
    yield Proof("invariants", bool(found.cycles) and not violations, "; ".join(violations[:5]) or told)
    drill = f"seen {where}" if found.drilled else f"not seen {where}: ENV=staging bot halt, then bot resume"
    yield Proof("kill-switch drill", found.drilled, drill)


def _content(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST)
    except OSError:
        return None


def _hash(content: bytes) -> str:
    return f"sha256 {sha256(content).hexdigest()}"
