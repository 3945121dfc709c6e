"""Values to JSON and back, driven by the type hints of frozen values; numbers stay exact, output is canonical."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from functools import cache
from operator import attrgetter
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from msgspec import to_builtins

from bot.domain.money import Percent, Price, Size, decimal_text
from bot.domain.product import ProductId
from bot.domain.value import Value, field_names
from bot.errors import UnitError

T = TypeVar("T")
Json = None | bool | int | float | str | list[Any] | dict[str, Any]

_WRAPPED: Final = (Price, Size, Percent)
_RENAMED: Final[Mapping[str, str]] = {"from_state": "from", "to_state": "to"}
_TAG: Final = "is"


def encode(value: object, kind: Any = None) -> Json:
    """Plain JSON value of `value`, written as its declared type `kind` (default: its own class)."""
    declared: Any = type(value) if kind is None else kind
    return cast("Json", _encoder(declared)(value))


def decode(kind: type[T], data: Json) -> T:
    """The value of type `kind` that `encode` wrote. Raises UnitError when the data does not fit."""
    declared: Any = kind
    try:
        return cast("T", _decoder(declared)(data))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnitError(f"cannot read {getattr(kind, '__name__', kind)}: {error!r}") from error


def canonical(data: Json) -> bytes:
    """The one byte form of a JSON value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def time_text(at: datetime) -> str:
    """RFC 3339 UTC with microseconds and `Z`. Raises UnitError for a naive time."""
    if at.tzinfo is None:
        raise UnitError(f"times must be aware UTC, was {at!r}")
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    text: str = to_builtins(utc)
    return text if utc.microsecond else f"{text[:-1]}.000000Z"


def parse_time(text: str) -> datetime:
    """The aware UTC time that `time_text` wrote."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


@cache
def _encoder(kind: Any) -> Callable[[Any], Any]:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _union_encoder(args)
    if origin is tuple:
        item = _encoder(args[0]) if len(args) == 2 and args[1] is Ellipsis else None
        parts = [] if item else [_encoder(arg) for arg in args]
        return lambda value: [item(v) for v in value] if item else [e(v) for e, v in zip(parts, value, strict=True)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = _key_text, _encoder(args[1])
        return lambda value: {key(k): item(v) for k, v in value.items()}
    return _encoder(str) if origin is Literal else _plain_encoder(kind)


def _plain_encoder(kind: Any) -> Callable[[Any], Any]:
    if kind in _WRAPPED:
        return lambda value: decimal_text(value.value)
    if kind is Decimal:
        return decimal_text
    if kind is datetime:
        return time_text
    if kind is timedelta:
        return lambda value: value.total_seconds()
    if issubclass(kind, IntEnum):
        return lambda value: value.name
    if issubclass(kind, Enum):
        return lambda value: value.value
    if issubclass(kind, Value):
        return _value_encoder(kind)
    return lambda value: str(value) if isinstance(value, str) else value


def _value_encoder(kind: Any) -> Callable[[Any], dict[str, Any]]:
    hints = get_type_hints(kind)
    names = field_names(kind)
    written = [(_RENAMED.get(name, name), _encoder(hints[name])) for name in names]
    if len(names) < 2:
        return lambda value: {name: enc(getattr(value, names[0])) for name, enc in written}
    values_of = attrgetter(*names)
    return lambda value: {name: enc(part) for (name, enc), part in zip(written, values_of(value), strict=True)}


def _union_encoder(args: tuple[Any, ...]) -> Callable[[Any], Any]:
    kinds = [arg for arg in args if arg is not types.NoneType]
    if len(kinds) == 1:
        inner = _encoder(kinds[0])
        return lambda value: None if value is None else inner(value)
    tagged = {kind: (_encoder(kind), kind.__name__) for kind in kinds}

    def encode_tagged(value: Any) -> Any:
        if value is None:
            return None
        encoder, name = tagged[type(value)]
        return {_TAG: name, **encoder(value)}

    return encode_tagged


def _key_text(key: object) -> str:
    return str(key.value) if isinstance(key, Enum) else str(key)


@cache
def _decoder(kind: Any) -> Callable[[Any], Any]:
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _union_decoder(args)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            item = _decoder(args[0])
            return lambda data: tuple(item(d) for d in data)
        parts = [_decoder(arg) for arg in args]
        return lambda data: tuple(d(v) for d, v in zip(parts, data, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        key, item = _key_reader(args[0]), _decoder(args[1])
        return lambda data: {key(k): item(v) for k, v in data.items()}
    return _one_of(args) if origin is Literal else _plain_decoder(kind)


def _plain_decoder(kind: Any) -> Callable[[Any], Any]:
    if kind in _WRAPPED:
        return lambda data: kind(_number(data))
    if kind is Decimal:
        return _number
    if kind is datetime:
        return parse_time
    if kind is timedelta:
        return lambda data: timedelta(seconds=data)
    if kind is ProductId:
        return ProductId
    if issubclass(kind, IntEnum):
        return lambda data: kind[data]
    if issubclass(kind, Enum):
        return cast("Callable[[Any], Any]", kind)
    if issubclass(kind, Value):
        return _value_decoder(kind)
    return _checked(kind)


def _checked(kind: Any) -> Callable[[Any], Any]:
    allowed = (int, float) if kind is float else (kind,)

    def check(data: Any) -> Any:
        if not isinstance(data, allowed) or (isinstance(data, bool) and kind is not bool):
            raise UnitError(f"expected {kind.__name__}, was {data!r}")
        return data

    return check


def _one_of(words: tuple[str, ...]) -> Callable[[Any], Any]:
    def check(data: Any) -> Any:
        if data not in words:
            raise UnitError(f"expected one of {', '.join(words)}, was {data!r}")
        return data

    return check


def _number(data: Any) -> Decimal:
    """Our own files may hold longer tails than a venue may send (divided costs), so only form is checked here."""
    if not isinstance(data, str):
        raise UnitError(f"expected a number as text, was {data!r}")
    value = Decimal(data)
    if not value.is_finite():
        raise UnitError(f"expected a finite number, was {data!r}")
    return value


def _value_decoder(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    fields = {_RENAMED.get(name, name): (name, _decoder(hints[name])) for name in field_names(kind)}

    def build(data: Any) -> Any:
        unknown = set(data) - set(fields) - {_TAG}
        if unknown:
            raise UnitError(f"{kind.__name__} has no field {sorted(unknown)[0]!r}")
        return kind(**{fields[name][0]: fields[name][1](value) for name, value in data.items() if name != _TAG})

    return build


def _union_decoder(args: tuple[Any, ...]) -> Callable[[Any], Any]:
    kinds = [arg for arg in args if arg is not types.NoneType]
    if len(kinds) == 1:
        inner = _decoder(kinds[0])
        return lambda data: None if data is None else inner(data)
    tagged = {kind.__name__: _decoder(kind) for kind in kinds}
    return lambda data: None if data is None else tagged[data[_TAG]](data)


def _key_reader(kind: Any) -> Callable[[str], Any]:
    if kind is int:
        return int
    if kind is ProductId:
        return ProductId
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    return str
