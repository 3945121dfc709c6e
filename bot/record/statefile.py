"""state.json: the folded state as canonical JSON with schema and checksum."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from bot.domain.codec import canonical, decode, encode
from bot.domain.state import SCHEMA_VERSION, State
from bot.errors import StateCorrupt, UnitError


def dump(state: State) -> bytes:
    """The one byte form of a state: the same state gives the same bytes on any machine."""
    body: Any = encode(state)
    return _bytes_of(_signed({**body, "schema": SCHEMA_VERSION}))


def load(content: bytes) -> State:
    """The state that `dump` wrote.

    Raises: UnitError when the content is damaged; StateCorrupt when newer code wrote it.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UnitError("it is not JSON") from error
    if not isinstance(data, dict):
        raise UnitError(f"it holds a {type(data).__name__}, not a state")
    body = {key: value for key, value in data.items() if key != "checksum"}
    if _bytes_of(_signed(body)) != content:
        raise UnitError("its checksum does not match its content")
    if (schema := body.pop("schema", None)) != SCHEMA_VERSION:
        raise StateCorrupt(f"it has schema {schema}, this code reads {SCHEMA_VERSION}: run the code that wrote it")
    return _decoded(body)


def _decoded(body: dict[str, Any]) -> State:
    """Undamaged but not readable is no reason to fall back to an older state: it is the wrong code that runs."""
    try:
        return decode(State, body)
    except UnitError as error:
        raise StateCorrupt(f"this code cannot read it: {error}") from error


def _signed(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "checksum": sha256(_bytes_of(body)).hexdigest()}


def _bytes_of(data: dict[str, Any]) -> bytes:
    try:
        return canonical(data) + b"\n"
    except ValueError as error:
        raise UnitError("it holds what no state holds") from error
