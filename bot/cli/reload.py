"""SIGHUP: read the files again; an invalid file keeps the running policy, and in live a reload may only tighten."""

from __future__ import annotations

from bot.app import App
from bot.domain.snapshot import Mode
from bot.errors import ConfigError
from bot.ops.alerts import Severity
from bot.settings.config import Config
from bot.settings.environment import Settings
from bot.settings.load import load_config
from bot.settings.reload import loosened


def reloaded(app: App, settings: Settings, running: Config) -> Config | None:
    """The configuration to go on with; None keeps the running one, and the operator is told why."""
    try:
        config = load_config(settings.config_dir, settled=False)
    except ConfigError as error:
        app.loop.tell(
            "config.invalid", Severity.CRITICAL, "the new configuration was not taken", "; ".join(error.problems)
        )
        return None
    if config.config_hash == running.config_hash:
        return None
    refused = loosened(running, config) if settings.mode is Mode.LIVE else []
    if refused:
        app.loop.tell("config.looser", Severity.CRITICAL, "a live reload may only tighten", "; ".join(refused))
        return None
    app.loop.tell("config.loaded", Severity.INFO, "a new configuration is in force", config.config_hash)
    return config
