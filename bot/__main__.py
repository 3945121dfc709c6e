"""`python -m bot` is the same as `bot`."""

from bot.cli.main import entrypoint

entrypoint()
