"""The command line: one parser, one verb a file, every failure one plain line and its exit code."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from bot.cli import (
    adopt,
    alert_test,
    approve,
    bans,
    certify,
    check,
    config,
    demo,
    explain,
    export,
    fetch_candles,
    fills,
    flag,
    guard,
    halt,
    ignore,
    journal,
    orders,
    positions,
    reject,
    replay,
    resume,
    risk_report,
    run,
    shadow,
    sim,
    state,
    status,
    unflag,
)
from bot.cli.verb import Exit, Terminal, Verb
from bot.errors import (
    AuthRefused,
    BotError,
    CandlesCorrupt,
    ConfigError,
    GateRefused,
    LockHeld,
)

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

VERBS: Final[tuple[Verb, ...]] = (
    run.VERB,
    check.VERB,
    status.VERB,
    halt.VERB,
    resume.VERB,
    flag.VERB,
    unflag.VERB,
    bans.VERB,
    approve.VERB,
    reject.VERB,
    adopt.VERB,
    ignore.VERB,
    explain.VERB,
    orders.VERB,
    positions.VERB,
    fills.VERB,
    export.VERB,
    journal.VERB,
    replay.VERB,
    risk_report.VERB,
    shadow.VERB,
    config.VERB,
    state.VERB,
    alert_test.VERB,
    certify.VERB,
    guard.VERB,
    fetch_candles.VERB,
    demo.VERB,
    sim.VERB,
)
"""In the order `--help` shows them."""

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def entrypoint() -> NoReturn:
    """The console script."""
    terminal = Terminal(os.environ, sys.stdout, sys.stderr)
    sys.exit(main(sys.argv[1:], terminal))


def main(arguments: Sequence[str], terminal: Terminal) -> int:
    """Run one verb; answers the exit code."""
    verbs = {verb.name: verb for verb in VERBS}
    try:
        parsed = _parser(terminal).parse_args(arguments)
        return verbs[parsed.verb].run(parsed, terminal)
    except _Done as done:
        return done.code
    except BotError as error:
        return _told(error, terminal)
    except KeyboardInterrupt:
        return Exit.ERROR
    except BrokenPipeError:
        # Whoever read our output has gone; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.ERROR
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        terminal.say(f"bot: the output cannot be written: {error.strerror}")
        return Exit.ERROR


def exit_code(error: BotError) -> Exit:
    """The exit code of an error that ended a verb."""
    codes: tuple[tuple[type[BotError], Exit], ...] = (
        (ConfigError, Exit.USAGE),
        (CandlesCorrupt, Exit.USAGE),
        (GateRefused, Exit.REFUSED),
        (LockHeld, Exit.LOCKED),
        (AuthRefused, Exit.EXCHANGE_REFUSES),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), Exit.ERROR)


def _told(error: BotError, terminal: Terminal) -> int:
    for line in str(error).splitlines() or [type(error).__name__]:
        terminal.say(f"bot: {line}")
    return exit_code(error)


class _Done(Exception):
    """The parser answered by itself: help was printed, or the arguments were refused."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Parser(argparse.ArgumentParser):
    """Speaks to the terminal of its class, and ends the verb rather than the process. Subparsers share the class."""

    terminal: ClassVar[Terminal]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **kwargs})

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        super().print_help(file or self.terminal.out)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        if message:
            self.terminal.say(message.rstrip())
        raise _Done(status)

    def error(self, message: str) -> NoReturn:
        self.terminal.say(f"bot: {message}\nbot: `{self.prog} --help` shows how it is used")
        raise _Done(Exit.USAGE)


def _speaking_to(terminal: Terminal) -> type[_Parser]:
    return type("_Parser", (_Parser,), {"terminal": terminal})


def _parser(terminal: Terminal) -> argparse.ArgumentParser:
    parser = _speaking_to(terminal)(
        prog="bot",
        description="Bulwark: a Coinbase spot trading daemon that fails closed.",
        epilog="example:\n  bot run --mode paper\n  bot status --watch\n  bot halt --reason 'looks wrong'",
    )
    group = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        sub = group.add_parser(
            verb.name,
            help=verb.help,
            description=verb.help,
            epilog=f"example:\n  {verb.example.replace(chr(10), chr(10) + '  ')}",
        )
        verb.arguments(sub)
    return parser
