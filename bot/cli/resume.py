"""`bot resume`: takes the kill switch away, or one latch."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any, Final

from bot.cli.verb import Exit, Terminal, Verb, add_places

if TYPE_CHECKING:
    from bot.settings.environment import Settings

PATIENCE_S: Final = 8.0
POLL_S: Final = 0.2


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_places(parser)
    parser.add_argument("--latch", metavar="NAME", help="clear this loss or governor latch instead of the kill switch")


def _run(args: argparse.Namespace, terminal: Terminal) -> int:
    from bot.cli.ask import ask

    if args.latch is not None:
        return ask(args, terminal, "resume-latch", [args.latch])
    from bot.adapters.killfile import switch_off
    from bot.cli.place import is_running, modes, settings_of
    from bot.ports import KillProbe

    settings = settings_of(args, terminal)
    was = switch_off(settings.data_dir)
    if was.probe is KillProbe.PRESENT:
        print(f"the kill switch is off; it said: {was.reason}", file=terminal.out)
    elif was.active:
        terminal.say(f"bot: {was.reason}")
        return Exit.ERROR
    else:
        print("the kill switch was not on", file=terminal.out)
    for each in [each for each in modes(settings) if is_running(each)] or [settings]:
        _tell_rest(each, terminal)
    return Exit.FINE


def _tell_rest(settings: Settings, terminal: Terminal) -> None:
    """What halts still, once the daemon has had the time to see that the switch is gone."""
    from bot.cli.place import is_running
    from bot.cli.report import report_of

    report, deadline = report_of(settings), time.monotonic() + PATIENCE_S
    while is_running(settings) and "kill_switch" in report["halt_reason"] and time.monotonic() < deadline:
        time.sleep(POLL_S)
        report = report_of(settings)
    where = f"{report['env']} {report['mode']}"
    for line in _remaining(report):
        print(f"{where} still halts: {line}", file=terminal.out)
    if not report["running"]:
        print(f"{where} is not running; `bot run` starts it", file=terminal.out)


def _remaining(report: dict[str, Any]) -> list[str]:
    """Latches and breakers by name; other halts only a running bot can tell."""
    latches = [
        f"latch {latch['name']}: {latch['detail']} (`bot resume --latch {latch['name']}`)"
        for latch in report["latches"]
    ]
    breakers = [f"breaker {b['name']}: {b['detail']}" for b in report["breakers"] if b["state"] == "open"]
    other = report["running"] and report["halted"] and not (latches or breakers)
    return [*latches, *breakers, *([report["halt_reason"]] if other else [])]


VERB = Verb(
    "resume",
    "take the kill switch away, or clear one latch",
    "bot resume\nbot resume --latch daily_stop",
    _arguments,
    _run,
)
