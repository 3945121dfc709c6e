"""`bot certify`: gathers what live in production must have proven; issues its certificate when nothing is missing."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bot.cli.verb import Exit, Terminal, Verb, add_json, add_places
from bot.errors import GateRefused

if TYPE_CHECKING:
    from datetime import datetime

    from bot.cli.proofs import Proof
    from bot.settings.config import Config
    from bot.settings.environment import Settings


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    add_json(parser)
    parser.add_argument("--tests", type=Path, metavar="XML", default=Path("out/tests.xml"),
                        help="JUnit report of the whole test suite (default out/tests.xml)")  # fmt: skip
    parser.add_argument("--gate", type=Path, metavar="JSON", default=Path("out/gate.json"),
                        help="result of `backtest gate` (default out/gate.json)")  # fmt: skip
    parser.add_argument("--controls", type=Path, metavar="MD", default=Path("docs/CONTROLS.md"),
                        help="the control table (default docs/CONTROLS.md)")  # fmt: skip


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.place import config_of, settings_of
    from bot.cli.proofs import proofs
    from bot.cli.show import print_json, print_table
    from bot.settings.matrix import needs_certificate

    settings = settings_of(args, terminal)
    if not needs_certificate(settings):
        where = f"{settings.environment.value} {settings.mode.value}"
        raise GateRefused([f"{where} needs no certificate: ENV=production bot certify --mode live"])
    config = config_of(settings)
    found = proofs(args, settings, config, terminal)
    rows = [{"item": p.name, "met": p.met, "detail": p.detail} for p in found.proofs]
    if args.json:
        print_json(terminal, rows)
    else:
        print_table(terminal, rows, ("item", "met", "detail"), "")
    unmet = [proof for proof in found.proofs if not proof.met]
    if unmet:
        terminal.say(f"bot: not certified: {len(unmet)} of {len(rows)} items are not met")
        return Exit.REFUSED
    path = _issue(settings, config, found.proofs, found.portfolio, found.now)
    days = config.policy.governance.certificate_days
    terminal.say(f"bot: certified for {days} days: {path}")
    return Exit.FINE


def _issue(settings: Settings, config: Config, proofs: tuple[Proof, ...], portfolio: str, now: datetime) -> Path:
    from bot.adapters.codeversion import code_version
    from bot.cli.place import look
    from bot.settings.certificate import FILE, Item, certified, dump

    storage = look(settings)
    storage.prepare()
    lasts = timedelta(seconds=int(config.policy.governance.certificate_days * 86400))
    certificate = certified(
        config, code_version=code_version(), portfolio=portfolio, venue=settings.rest_url, issued_at=now,
        expires_at=now + lasts, items=tuple(Item(p.name, p.detail, now) for p in proofs),
    )  # fmt: skip
    storage.write(FILE, dump(certificate))
    return settings.state_dir / FILE


VERB = Verb(
    "certify",
    "prove what live in production needs, and issue its certificate; exit 3 lists what is not met",
    "ENV=production bot certify --mode live\nENV=production bot certify --mode live --gate out/gate.json",
    _arguments,
    _run,
)
