"""What most verbs begin with: the settings, the configuration, and the state folder they speak of."""

from __future__ import annotations

import argparse
import fcntl
import os
from typing import TYPE_CHECKING

from bot.cli.verb import Terminal
from bot.domain.value import replace
from bot.errors import ConfigError

if TYPE_CHECKING:
    from bot.adapters.storage import FileStorage
    from bot.settings.config import Config
    from bot.settings.environment import Settings


def settings_of(args: argparse.Namespace, terminal: Terminal, *, urgent: bool = False) -> Settings:
    """Environment and flags. Raises ConfigError with every problem, a data directory that cannot be one included.

    urgent: of a verb that takes orders back; it tells of variables it does not know, and goes on.
    """
    from bot.settings.environment import read_settings, unknown

    environ = terminal.environ
    if urgent and (strange := unknown(environ)):
        for name, why in strange.items():
            terminal.say(f"bot: {name}: {why}")
        environ = {name: value for name, value in environ.items() if name not in strange}
    settings = read_settings(
        environ,
        mode=getattr(args, "mode", None),
        config_dir=getattr(args, "config_dir", None),
        data_dir=getattr(args, "data_dir", None),
    )
    given = "BOT_DATA_DIR" if getattr(args, "data_dir", None) is None else "--data-dir"
    in_the_way = next((path for path in (settings.data_dir, *settings.data_dir.parents) if path.is_file()), None)
    if in_the_way is not None:
        raise ConfigError([f"{given}: {in_the_way} is a file, a folder is needed: name another"])
    return settings


def config_of(settings: Settings) -> Config:
    """Both files. Raises ConfigError with every problem."""
    from bot.settings.load import load_config

    return load_config(settings.config_dir)


def followed(args: argparse.Namespace, terminal: Terminal) -> Settings:
    """The settings of the daemon that runs here, unless a mode was asked for.

    Raises: ConfigError with every problem, also when several run and neither flag nor BOT_MODE names one of them.
    """
    settings = settings_of(args, terminal)
    if getattr(args, "mode", None) is not None:
        return settings
    running = [each for each in modes(settings) if is_running(each)]
    if not running or settings in running:
        return settings
    if len(running) > 1:
        names = ", ".join(each.mode.value for each in running)
        raise ConfigError([f"several bots run here ({names}): say which one with --mode"])
    return running[0]


def modes(settings: Settings) -> list[Settings]:
    """These settings once for every mode."""
    from bot.domain.snapshot import Mode

    return [replace(settings, mode=mode) for mode in Mode]


def is_running(settings: Settings) -> bool:
    """Whether a process holds the lock of this env and mode.

    Asks for a shared lock of a file opened for reading, so that what the holder wrote into it stays as it is.
    """
    try:
        descriptor = os.open(settings.state_dir / "bot.lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def pid_of(settings: Settings) -> int | None:
    """Process id of the daemon that runs with these settings; None when none does."""
    from bot.adapters.lock import holder

    known = holder(settings.state_dir) if is_running(settings) else None
    return known.pid if known is not None else None


def look(settings: Settings) -> FileStorage:
    """The state folder for tools that only look, or leave commands."""
    from bot.adapters.storage import FileStorage
    from bot.domain.snapshot import Environment

    production = settings.environment is Environment.PRODUCTION
    return FileStorage(settings.data_dir, settings.environment, settings.mode, production=production)


def known(args: argparse.Namespace, terminal: Terminal) -> Settings:
    """As `followed`; says so where no bot has ever run, since nothing found there is no news."""
    settings = followed(args, terminal)
    if not has_state(settings):
        others = ", ".join(f"--mode {each.mode.value}" for each in modes(settings) if has_state(each))
        hint = f"there is state of {others}" if others else "check --mode, ENV and --data-dir"
        terminal.say(f"bot: no bot has run in {settings.state_dir} yet: {hint}")
    return settings


def has_state(settings: Settings) -> bool:
    """Whether a bot of this env and mode has left durable state here."""
    folder = settings.state_dir
    return (folder / "state.json").exists() or any((folder / "journal").glob("*.jsonl*"))
