"""Structured logs: `noun.verb_past` events, numbers as fields, one line each, secrets taken out in the last step."""

from __future__ import annotations

import traceback
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import Any, Protocol, TextIO, cast

from bot.domain.codec import time_text
from bot.ops.redact import Redactor


class Log(Protocol):
    """What the code may do with a log."""

    def bind(self, **fields: object) -> Log: ...

    def debug(self, event: str, /, **fields: object) -> None: ...

    def info(self, event: str, /, **fields: object) -> None: ...

    def warning(self, event: str, /, **fields: object) -> None: ...

    def error(self, event: str, /, **fields: object) -> None: ...

    def critical(self, event: str, /, **fields: object) -> None: ...


Fields = MutableMapping[str, Any]


def make_log(stream: TextIO, redactor: Redactor, now: Callable[[], datetime], *, as_json: bool) -> Log:
    """A logger of its own that writes to `stream`: JSON lines for machines, aligned text for a terminal.

    now: the clock that stamps the lines, trading time.
    """
    import structlog  # noqa: PLC0415 - a twentieth of a second that backtests need not pay

    def stamp(_: Any, __: str, fields: Fields) -> Fields:
        fields["ts"] = time_text(now())
        return fields

    def clean(_: Any, __: str, fields: Fields) -> Fields:
        if (error := fields.pop("exc_info", None)) is not None:
            fields["exception"] = _trace(error)
        return {key: redactor.value(key, value) for key, value in fields.items()}

    renderer: Any = structlog.processors.JSONRenderer(sort_keys=False)
    if not as_json:
        renderer = structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="ts", pad_event_to=28)
    logger = structlog.wrap_logger(
        _LineWriter(stream),
        processors=[structlog.stdlib.add_log_level, stamp, clean, renderer],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return cast("Log", logger)


def null_log() -> Log:
    """A logger that says nothing: backtests and tests."""
    return _Silent()


class _LineWriter:
    """Writes one line an event; a log that cannot be written must never stop an exit."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0

    def msg(self, message: str) -> None:
        try:
            self._stream.write(message + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1

    debug = info = warning = error = critical = msg


class _Silent:
    def bind(self, **_fields: object) -> Log:
        return self

    def debug(self, _event: str, /, **_fields: object) -> None:
        """Nothing is written."""

    info = warning = error = critical = debug


def _trace(error: object) -> str:
    if isinstance(error, BaseException):
        return " | ".join(line.strip() for line in traceback.format_exception(error))
    return str(error)
